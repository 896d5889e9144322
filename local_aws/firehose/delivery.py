"""One delivery stream at work: its buffer fills, and is delivered when it is full or old enough."""

from __future__ import annotations

import gzip
import hashlib
import logging
import threading
import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from local_aws.firehose.buffer import Buffer, Buffered
from local_aws.firehose.destination import Destination, delimiter, extension, transformation
from local_aws.firehose.prefixes import data_prefix, error_prefix, suffix
from local_aws.firehose.processing import Transformation
from local_aws.service import AwsError

if TYPE_CHECKING:
    from local_aws.firehose.engine import Firehose

FAILED = "processing-failed"
LONGEST_PAUSE = 30.0
STOP_SECONDS = 10.0
READ_RECORDS = 1000
log = logging.getLogger("local_aws.firehose")


class _Stopping(Exception):
    """The server stops while a function runs: what it answers counts for nothing."""


class Delivery:
    """The threads of one delivery stream; ``document`` is what its engine stores of it."""

    def __init__(self, engine: Firehose, buffer: Buffer, document: dict[str, Any]) -> None:
        self._engine = engine
        self._buffer = buffer
        self._id: str = document["id"]
        self._document = document
        self._changed = threading.Condition()
        self._delivering = threading.Lock()
        self._size, self._oldest = buffer.waiting(self._id)
        self._failures = 0
        self._written = False
        self._not_before = 0.0
        self._stopped = False
        self._threads = [threading.Thread(target=self._run, name="firehose", daemon=True)]
        if document["source"]:
            self._threads.append(
                threading.Thread(target=self._read_on, name="firehose-source", daemon=True)
            )

    def start(self) -> None:
        """Begin to work; once is enough."""
        for thread in self._threads:
            if thread.ident is None:
                thread.start()

    def change(self, document: dict[str, Any]) -> None:
        """Go on with other settings."""
        with self._changed:
            self._document = document
            self._not_before = 0.0
            self._changed.notify_all()

    def put(self, records: list[bytes]) -> None:
        """Buffer records; they are on disk when this returns."""
        now = time.time_ns() // 1_000_000
        with self._changed:
            self._buffer.add(self._id, now, records)
            self._grow(sum(map(len, records)), now)

    def stop(self, flush: bool = True) -> None:
        """End the threads, and deliver what is buffered; what cannot be delivered stays on disk.

        A transformation is not begun any more: its function may need the server.
        """
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._document["source"]:
            arrived = self._engine.kinesis.records.arrived
            with arrived:
                arrived.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(STOP_SECONDS)
        if any(thread.is_alive() for thread in self._threads):
            return
        if flush and not transformation(self._destination):
            self.flush()

    def flush(self) -> None:
        """Deliver everything that is buffered, as far as it can be delivered at once."""
        while self._oldest is not None and self._deliver():
            pass

    @property
    def _destination(self) -> Destination:
        return self._document["destination"]

    def _grow(self, size: int, oldest: int) -> None:
        self._size += size
        self._oldest = oldest if self._oldest is None else min(oldest, self._oldest)
        self._changed.notify_all()

    def _seconds_left(self) -> float | None:
        """Until the buffer is due; None while it is empty."""
        if self._oldest is None:
            return None
        hints = self._destination["BufferingHints"]
        left = self._oldest / 1000 + hints["IntervalInSeconds"] - time.time()
        if self._size >= hints["SizeInMBs"] << 20:
            left = 0.0
        return max(left, self._not_before - time.monotonic(), 0.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                left = self._seconds_left()
                while not self._stopped and left != 0:
                    self._changed.wait(left)
                    left = self._seconds_left()
                if self._stopped:
                    return
            self._deliver()

    def _deliver(self) -> bool:
        """Bring a buffer's worth to S3; whether that was possible."""
        with self._delivering:
            if self._oldest is None:
                return True
            self._written = False
            try:
                last = self._write()
                with self._changed:
                    self._size, self._oldest = self._buffer.delivered(self._id, last)
                    self._failures = 0
            except _Stopping:
                return False
            except Exception as error:
                self._failed(error)
                return False
            return True

    def _failed(self, error: Exception) -> None:
        """Pause before the next try, whatever else fails too."""
        name = self._document["name"]
        if not isinstance(error, AwsError):
            log.exception("delivering %s failed", name)
        with self._changed:
            self._failures += 1
            pause = min(0.5 * 2 ** min(self._failures, 6), LONGEST_PAUSE)
            self._not_before = time.monotonic() + pause
        code = error.code if isinstance(error, AwsError) else type(error).__name__
        log.warning("%s: S3.%s: %s; again in %.0f s", name, code, error, pause)
        options = self._destination["CloudWatchLoggingOptions"]
        try:
            if not self._written:
                # Other settings may make another plan; what is in S3 is to keep its key.
                self._buffer.give_up(self._id)
            if options.get("Enabled") and not self._stopped:
                self._engine.log_error(options, self._document, f"S3.{code}", str(error))
        except Exception:
            log.exception("that delivering %s failed could not be noted", name)

    # From the buffer to S3

    def _write(self) -> int:
        """Write the objects of one delivery; the last record's id."""
        planned = self._buffer.planned(self._id)
        if planned is None:
            size = self._destination["BufferingHints"]["SizeInMBs"] << 20
            records = self._buffer.take(self._id, size)
            plan = self._planned(records)
            self._buffer.plan(self._id, records[-1].id, plan)
        else:
            last, plan = planned
            records = self._buffer.take(self._id, 0, last)
        destination = plan["destination"]
        good, failed = self._transformed(destination, records)
        end = delimiter(destination)
        if good:
            self._put_object(destination, plan["key"], (data + end for data in good))
        if failed:
            self._put_object(destination, plan["error_key"], failed)
        return records[-1].id

    def _planned(self, records: list[Buffered]) -> dict[str, Any]:
        destination = self._destination
        zone = ZoneInfo(destination["CustomTimeZone"] or "UTC")
        oldest = min(record.arrived for record in records)
        moment = datetime.fromtimestamp(oldest / 1000, UTC).astimezone(zone)
        end = suffix(
            self._document["name"], str(self._document["version"]), moment, extension(destination)
        )
        prefix = destination["Prefix"]
        return {
            "destination": destination,
            "key": data_prefix(prefix, moment) + end,
            "error_key": error_prefix(prefix, destination.get("ErrorOutputPrefix"), moment, FAILED)
            + end,
        }

    def _transformed(
        self, destination: Destination, records: list[Buffered]
    ) -> tuple[list[bytes], list[bytes]]:
        """The data to deliver, and the lines for the error prefix."""
        given = transformation(destination)
        if given is None:
            return [record.data for record in records], []
        source = self._document["source"]
        step = Transformation(
            function_arn=given["LambdaArn"],
            retries=int(given["NumberOfRetries"]),
            batch_bytes=int(float(given["BufferSizeInMBs"]) * (1 << 20)),
            stream_arn=self._document["arn"],
            source_arn=source["KinesisStreamARN"] if source else None,
            region=self._engine.aws.config.region,
        )
        good, failed = step.apply(records, self._invoke)
        return good, [failure.line(step.function_arn) for failure in failed]

    def _invoke(self, function_arn: str, payload: str) -> tuple[str, bool]:
        functions: Any = self._engine.aws.services["lambda"]
        try:
            outcome = functions.run(function_arn, payload, str(uuid.uuid4()), throttle=False)
        finally:
            if self._stopped:
                raise _Stopping
        return outcome.payload, outcome.failed

    def _put_object(self, destination: Destination, key: str, data: Iterable[bytes]) -> None:
        bucket = destination["BucketARN"].rpartition(":::")[2]
        s3 = self._engine.aws.s3
        content = b"".join(data)
        if destination["CompressionFormat"] == "GZIP":
            content = gzip.compress(content, 6, mtime=0)
        with s3.objects.new_file() as path:
            path.write_bytes(content)
            etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
            info = {"headers": {"content-type": "application/octet-stream"}}
            s3.objects.commit(bucket, key, path, etag, info)
            self._written = True
        s3.notify(bucket, key)

    # From Kinesis to the buffer

    def _read_on(self) -> None:
        records = self._engine.kinesis.records
        while not self._stopped:
            seen = records.last()
            try:
                found = self._read_shards()
            except Exception:
                if self._stopped:
                    return
                log.exception("reading the source of %s failed", self._document["name"])
                found = False
            if found:
                continue
            with records.arrived:
                if records.last() == seen and not self._stopped:
                    records.arrived.wait(1.0)

    def _read_shards(self) -> bool:
        """Buffer what is new in each shard; whether there was anything."""
        limit = self._destination["BufferingHints"]["SizeInMBs"] << 20
        if self._size > 4 * limit:
            time.sleep(0.2)  # Kinesis keeps the rest until the destination takes this
            return False
        name = self._document["source"]["KinesisStreamARN"].partition(":stream/")[2]
        try:
            stream = self._engine.kinesis.stream(name)
        except AwsError:
            return False
        checkpoints = self._buffer.checkpoints(self._id)
        any_found = False
        for shard in range(stream["shards"]):
            after = checkpoints.get(shard, self._document["source"]["start"])
            found, _ = self._engine.kinesis.read(stream, shard, after, READ_RECORDS)
            if not found or self._stopped:
                continue
            any_found = True
            with self._changed:
                self._buffer.add_from_shard(
                    self._id,
                    shard,
                    found[-1].id,
                    (
                        (item.arrived, item.data, {"id": item.id, "key": item.key, "shard": shard})
                        for item in found
                    ),
                )
                self._grow(
                    sum(len(item.data) for item in found), min(item.arrived for item in found)
                )
        return any_found
