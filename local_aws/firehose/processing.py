"""What happens to records between the buffer and S3: a Lambda function, a delimiter.

https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from local_aws.firehose.buffer import Buffered
from local_aws.kinesis.shards import sequence_number, shard_id

Invoke = Callable[[str, str], tuple[str, bool]]
"""``invoke(function_arn, payload)``: the answer's JSON, and whether it is an error."""

_LARGEST_CALL = 4 << 20


@dataclass(frozen=True)
class Failure:
    """A record that goes under the error prefix, and why."""

    record: Buffered
    code: str
    message: str
    attempts: int
    ended: int

    def line(self, function_arn: str) -> bytes:
        """The JSON line that Firehose writes of it."""
        document = {
            "attemptsMade": self.attempts,
            "arrivalTimestamp": self.record.arrived,
            "errorCode": self.code,
            "errorMessage": self.message,
            "attemptEndingTimestamp": self.ended,
            "rawData": base64.b64encode(self.record.data).decode(),
            "lambdaArn": function_arn,
        }
        return json.dumps(document, separators=(",", ":")).encode() + b"\n"


class _CallFailed(Exception):
    """A call of the function that gave no usable answer: ``code``, ``message``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class Transformation:
    """A Lambda processor: which function, how often it is tried, how much it gets at a time."""

    function_arn: str
    retries: int
    batch_bytes: int
    stream_arn: str
    source_arn: str | None
    region: str

    def apply(
        self, records: Iterable[Buffered], invoke: Invoke
    ) -> tuple[list[bytes], list[Failure]]:
        """The data that came back as Ok, in order, and what failed; what was Dropped is neither."""
        good: list[bytes] = []
        failed: list[Failure] = []
        for batch in self._batches(records):
            answers, failures = self._transform(batch, invoke)
            good += answers
            failed += failures
        return good, failed

    def _batches(self, records: Iterable[Buffered]) -> Iterator[list[Buffered]]:
        batch: list[Buffered] = []
        size, most = 0, min(self.batch_bytes, _LARGEST_CALL)
        for record in records:
            if batch and size + len(record.data) > most:
                yield batch
                batch, size = [], 0
            batch.append(record)
            size += len(record.data)
        if batch:
            yield batch

    def _transform(
        self, batch: list[Buffered], invoke: Invoke
    ) -> tuple[list[bytes], list[Failure]]:
        payload = json.dumps(self._event(batch))
        attempts = 0
        while True:
            attempts += 1
            try:
                answers = self._call(payload, invoke)
                break
            except _CallFailed as error:
                if attempts > self.retries:
                    now = _now()
                    return [], [
                        Failure(record, error.code, error.message, attempts, now)
                        for record in batch
                    ]
        good, failed = [], []
        for number, record in enumerate(batch):
            outcome = _outcome(answers.get(_record_id(number, record), []))
            if isinstance(outcome, bytes):
                good.append(outcome)
            elif outcome is not None:
                failed.append(Failure(record, *outcome, attempts, _now()))
        return good, failed

    def _call(self, payload: str, invoke: Invoke) -> dict[str, list[dict[str, Any]]]:
        text, is_error = invoke(self.function_arn, payload)
        if is_error:
            raise _CallFailed(
                "Lambda.FunctionError",
                "The Lambda function was successfully invoked but it returned an error result.",
            )
        try:
            answers: dict[str, list[dict[str, Any]]] = {}
            for item in json.loads(text)["records"]:
                answers.setdefault(item["recordId"], []).append(item)
        except (ValueError, KeyError, TypeError) as error:
            raise _CallFailed(
                "Lambda.JsonProcessingException",
                "There was an error parsing returned records from the Lambda function. Ensure that"
                " the returned records follow the status model required by Amazon Data Firehose.",
            ) from error
        return answers

    def _event(self, batch: list[Buffered]) -> dict[str, Any]:
        event: dict[str, Any] = {
            "invocationId": str(uuid.uuid4()),
            "deliveryStreamArn": self.stream_arn,
            "region": self.region,
        }
        if self.source_arn:
            event["sourceKinesisStreamArn"] = self.source_arn
        event["records"] = [
            {
                "recordId": _record_id(number, record),
                "approximateArrivalTimestamp": record.arrived,
                "data": base64.b64encode(record.data).decode(),
                **_source(record),
            }
            for number, record in enumerate(batch)
        ]
        return event


def _record_id(number: int, record: Buffered) -> str:
    return f"{sequence_number(record.id)}{number:06d}"


def _source(record: Buffered) -> dict[str, Any]:
    if record.source is None:
        return {}
    metadata = {
        "sequenceNumber": sequence_number(record.source["id"]),
        "subsequenceNumber": 0,
        "partitionKey": record.source["key"],
        "shardId": shard_id(record.source["shard"]),
        "approximateArrivalTimestamp": record.arrived,
    }
    return {"kinesisRecordMetadata": metadata}


def _outcome(answers: list[dict[str, Any]]) -> bytes | tuple[str, str] | None:
    """The record's new data; or an error's code and message; or None when it was dropped."""
    if not answers:
        return (
            "Lambda.MissingRecordId",
            "One or more record IDs were not returned. Ensure that the Lambda function returns all"
            " received record IDs.",
        )
    if len(answers) > 1:
        return (
            "Lambda.DuplicatedRecordId",
            "Multiple records were returned with the same record ID. Ensure that the Lambda"
            " function returns unique record IDs for each record.",
        )
    result = answers[0].get("result")
    if result == "Dropped":
        return None
    if result == "ProcessingFailed":
        return "Lambda.ProcessingFailedStatus", "ProcessingFailed status set for record"
    try:
        if result != "Ok":
            raise ValueError(f"{result!r} is no result")
        return base64.b64decode(answers[0]["data"], validate=True)
    except (ValueError, KeyError, TypeError):
        return (
            "Lambda.JsonProcessingException",
            "There was an error parsing returned records from the Lambda function. Ensure that the"
            " returned records follow the status model required by Amazon Data Firehose.",
        )


def _now() -> int:
    return time.time_ns() // 1_000_000
