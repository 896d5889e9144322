"""Amazon Athena: queries on the lake, executed by DuckDB."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import threading
import time
import uuid
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from local_aws.athena import statements
from local_aws.athena.base import ENGINE, checked_result_configuration, invalid, page
from local_aws.athena.errors import QueryError
from local_aws.athena.execution import Cancelled, Execution, Job, Outcome, open_database
from local_aws.athena.fidelity import FEATURES
from local_aws.athena.metadata import NAME, MetadataOperations
from local_aws.athena.results import read_csv
from local_aws.athena.workgroups import WorkGroupOperations
from local_aws.service import AwsError, Request, Response, Unsupported, operation

log = logging.getLogger("local_aws.athena")

FINISHED = ("SUCCEEDED", "FAILED", "CANCELLED")
LONGEST_QUERY = 262_144
MOST_ROWS = 1000
HISTORY = timedelta(days=45)
_LOST = "Query was running when the embedded AWS stopped. Start it again."
_DATA_ERRORS = ("HIVE_BAD_DATA", "HIVE_CURSOR_ERROR", "HIVE_CANNOT_OPEN_SPLIT")


class Athena(WorkGroupOperations, MetadataOperations):
    """Amazon Athena, engine version 3."""

    service_name = "athena"
    features = FEATURES

    def setup(self) -> None:
        self._running: dict[str, Execution] = {}
        self._lock = threading.Lock()
        self._database = open_database(self.aws.config.state)
        self.ensure_primary()

    def start(self) -> None:
        shutil.rmtree(self.aws.config.state / "athena" / "scratch", ignore_errors=True)
        for key, document in self.aws.store.list(self.EXECUTION):
            if document["QueryExecution"]["Status"]["State"] not in FINISHED:
                self._end(key, "FAILED", _LOST, category=1, type_=100, retryable=True)

    def expire(self) -> None:
        """Forget queries that ended after 45 days, and their client tokens.

        AWS says how long it keeps a query history, and not how long it knows a token:
        https://docs.aws.amazon.com/athena/latest/ug/queries-viewing-history.html
        """
        oldest = self.aws.now() - HISTORY
        for key, document in self.aws.store.list(self.EXECUTION):
            status = document["QueryExecution"]["Status"]
            if status["State"] in FINISHED and status["SubmissionDateTime"] < oldest:
                self.aws.store.delete(self.EXECUTION, key)
        for token, known in self.aws.store.list(self.TOKEN):
            if self.aws.store.get(self.EXECUTION, known["Id"]) is None:
                self.aws.store.delete(self.TOKEN, token)

    def stop(self) -> None:
        with self._lock:
            running = list(self._running.values())
        for execution in running:
            execution.cancel()

    # Starting and running

    @operation(
        "QueryString",
        "ClientRequestToken",
        "QueryExecutionContext",
        "ResultConfiguration",
        "WorkGroup",
        "ExecutionParameters",
        "ResultReuseConfiguration",
        differs="ResultReuseConfiguration is accepted and every query runs anew.",
    )
    def StartQueryExecution(self, request: Request) -> Response:
        """Run a statement."""
        sql = request["QueryString"]
        if len(sql.encode()) > LONGEST_QUERY:
            raise invalid(f"Query string is longer than {LONGEST_QUERY} bytes")
        group = self.workgroup(request.get("WorkGroup"))
        if group["State"] != "ENABLED":
            raise invalid(f"WorkGroup {group['Name']} is disabled.")
        context = request.get("QueryExecutionContext") or {}
        if (context.get("Catalog") or NAME).lower() != NAME.lower():
            raise Unsupported(f"the data catalog {context['Catalog']}", f"Use {NAME}.")
        output = self._output(group, request)
        with self.aws.store.transaction():
            earlier = self._same_token(request)
            if earlier is not None:
                return {"QueryExecutionId": earlier}
            routed = self._routed(sql, request.get("ExecutionParameters") or [])
            key = str(uuid.uuid4())
            self._put_execution(key, request, group, context, output, routed)
            token = request.get("ClientRequestToken")
            if token:
                self.aws.store.put(self.TOKEN, token, {"Id": key, "Hash": _fingerprint(request)})
        configuration = group["Configuration"]
        job = Job(
            id=key,
            sql=sql,
            database=(context.get("Database") or "default").lower(),
            parameters=list(request.get("ExecutionParameters") or []),
            workgroup=group["Name"],
            output=output,
            enforced=bool(configuration.get("EnforceWorkGroupConfiguration"))
            and bool(configuration["ResultConfiguration"].get("OutputLocation")),
            cutoff=configuration.get("BytesScannedCutoffPerQuery"),
        )
        execution = Execution(self.aws, job, self._database, self.prepared)
        with self._lock:
            self._running[key] = execution
        self.aws.background(self._run, execution)
        return {"QueryExecutionId": key}

    def _output(self, group: dict[str, Any], request: Request) -> str:
        """Where results go: the client's location unless the work group enforces its own."""
        configuration = group["Configuration"]
        own = configuration["ResultConfiguration"].get("OutputLocation")
        given = checked_result_configuration(request.get("ResultConfiguration"))
        theirs = given.get("OutputLocation")
        enforced = configuration.get("EnforceWorkGroupConfiguration")
        location = own if enforced and own else theirs or own
        if not location:
            raise invalid(
                "No output location provided. An output location is required either through the"
                " Workgroup result configuration setting or as an API input."
            )
        try:
            self.aws.s3.path(location)
        except AwsError as error:
            raise invalid(
                f"Unable to verify/create output bucket {location.split('/')[2]}"
            ) from error
        return str(location)

    def _same_token(self, request: Request) -> str | None:
        token = request.get("ClientRequestToken")
        if not token:
            return None
        if len(token) < 32:
            raise invalid("ClientRequestToken must have at least 32 characters")
        known = self.aws.store.get(self.TOKEN, token)
        if known is None:
            return None
        if known["Hash"] != _fingerprint(request):
            raise invalid("Idempotent parameters do not match")
        return str(known["Id"])

    @staticmethod
    def _routed(sql: str, parameters: list[str]) -> statements.Routed:
        try:
            return statements.route(statements.bind(sql, parameters) if parameters else sql)
        except QueryError as error:
            if error.code == "SYNTAX_ERROR":
                raise invalid(error.message, "MALFORMED_QUERY") from error
            return statements.Routed("DML", "", None)

    def _put_execution(
        self,
        key: str,
        request: Request,
        group: dict[str, Any],
        context: dict[str, Any],
        output: str,
        routed: statements.Routed,
    ) -> None:
        suffix = {"SELECT": ".csv", "EXECUTE": ".csv"}.get(
            routed.subtype, "" if routed.type == "DML" else ".txt"
        )
        if routed.subtype == "CREATE_TABLE_AS_SELECT":
            suffix = ""
        execution: dict[str, Any] = {
            "QueryExecutionId": key,
            "Query": request["QueryString"],
            "StatementType": routed.type,
            "ResultConfiguration": {
                **checked_result_configuration(request.get("ResultConfiguration")),
                "OutputLocation": f"{output.rstrip('/')}/{key}{suffix}",
            },
            "QueryExecutionContext": {k: v for k, v in context.items() if v},
            "Status": {"State": "QUEUED", "SubmissionDateTime": self.aws.now()},
            "Statistics": {"EngineExecutionTimeInMillis": 0, "DataScannedInBytes": 0},
            "WorkGroup": group["Name"],
            "EngineVersion": group["Configuration"]["EngineVersion"] or ENGINE,
        }
        if routed.subtype:
            execution["SubstatementType"] = routed.subtype
        if request.get("ExecutionParameters"):
            execution["ExecutionParameters"] = request["ExecutionParameters"]
        if request.get("ResultReuseConfiguration"):
            execution["ResultReuseConfiguration"] = request["ResultReuseConfiguration"]
        self.aws.store.put(self.EXECUTION, key, {"QueryExecution": execution})

    def _run(self, execution: Execution) -> None:
        key = execution.job.id
        try:
            started = time.monotonic()
            try:
                if not self._begin(key):
                    return
                end = partial(self._succeed, key, execution.run(), started)
            except Cancelled as error:
                end = partial(self._end, key, "CANCELLED", str(error), execution.scanned, started)
            except QueryError as error:
                end = partial(self._fail, key, error, execution.scanned, started)
            except Exception as error:
                log.exception("query %s failed", key)
                wrapped = QueryError("GENERIC_INTERNAL_ERROR", f"{type(error).__name__}: {error}")
                end = partial(self._fail, key, wrapped, execution.scanned, started)
            self.aws.insist(end)
        except Exception:
            log.exception("the state of query %s could not be kept", key)
        finally:
            with self._lock:
                self._running.pop(key, None)

    def _begin(self, key: str) -> bool:
        with self.aws.store.transaction():
            document = self.aws.store.get(self.EXECUTION, key)
            if document is None or document["QueryExecution"]["Status"]["State"] != "QUEUED":
                return False
            document["QueryExecution"]["Status"]["State"] = "RUNNING"
            self.aws.store.put(self.EXECUTION, key, document)
        return True

    def _fail(self, key: str, error: QueryError, scanned: int, started: float) -> None:
        category, type_ = 2, 1006
        if error.code == "GENERIC_INTERNAL_ERROR":
            category, type_ = 1, 200
        elif error.code in _DATA_ERRORS:
            type_ = 1001
        elif error.code == "FAILED":
            type_ = 1003
        self._end(
            key, "FAILED", str(error), scanned=scanned, started=started, category=category,
            type_=type_,
        )  # fmt: skip

    def _end(
        self,
        key: str,
        state: str,
        reason: str,
        scanned: int = 0,
        started: float | None = None,
        category: int = 0,
        type_: int = 0,
        retryable: bool = False,
    ) -> None:
        with self.aws.store.transaction():
            document = self.aws.store.get(self.EXECUTION, key)
            if document is None:
                return
            execution = document["QueryExecution"]
            status = execution["Status"]
            if status["State"] in FINISHED:
                return
            status.update(State=state, StateChangeReason=reason, CompletionDateTime=self.aws.now())
            if category:
                status["AthenaError"] = {
                    "ErrorCategory": category,
                    "ErrorType": type_,
                    "Retryable": retryable,
                    "ErrorMessage": reason,
                }
            execution["Statistics"] = _statistics(started, scanned, 0)
            self.aws.store.put(self.EXECUTION, key, document)

    def _succeed(self, key: str, outcome: Outcome, started: float) -> None:
        with self.aws.store.transaction():
            document = self.aws.store.get(self.EXECUTION, key)
            if document is None:
                return
            execution = document["QueryExecution"]
            if execution["Status"]["State"] in FINISHED:
                return
            execution["Status"].update(State="SUCCEEDED", CompletionDateTime=self.aws.now())
            execution["ResultConfiguration"]["OutputLocation"] = outcome.location
            execution["Statistics"] = _statistics(started, outcome.scanned, outcome.planning_millis)
            if outcome.manifest:
                execution["Statistics"]["DataManifestLocation"] = outcome.manifest
            document.update(
                Columns=outcome.columns,
                Text=outcome.text,
                Rows=outcome.rows,
                UpdateCount=outcome.update_count,
                OutputBytes=outcome.output_bytes,
            )
            self.aws.store.put(self.EXECUTION, key, document)

    # Looking

    def _execution(self, key: str) -> dict[str, Any]:
        found = self.aws.store.get(self.EXECUTION, key)
        if found is None:
            raise invalid(f"QueryExecution {key} was not found")
        return found

    def _finished(self, key: str) -> bool:
        found = self.aws.store.get(self.EXECUTION, key)
        return found is None or found["QueryExecution"]["Status"]["State"] in FINISHED

    @operation("QueryExecutionId")
    def GetQueryExecution(self, request: Request) -> Response:
        """Return a query execution; waits a while for one that has not ended."""
        key = request["QueryExecutionId"]
        self._execution(key)
        self.aws.wait_for(lambda: self._finished(key))
        return {"QueryExecution": self._execution(key)["QueryExecution"]}

    @operation("QueryExecutionIds")
    def BatchGetQueryExecution(self, request: Request) -> Response:
        """Return up to 50 query executions, and name those that are not there."""
        keys = request["QueryExecutionIds"]
        if not 1 <= len(keys) <= 50:
            raise invalid("QueryExecutionIds must have between 1 and 50 members")
        found, missing = [], []
        for key in keys:
            document = self.aws.store.get(self.EXECUTION, key)
            if document is not None:
                found.append(document["QueryExecution"])
                continue
            missing.append(
                {
                    "QueryExecutionId": key,
                    "ErrorCode": "INVALID_QUERY_EXECUTION_ID",
                    "ErrorMessage": f"QueryExecution {key} was not found",
                }
            )
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}

    @operation("NextToken", "MaxResults", "WorkGroup")
    def ListQueryExecutions(self, request: Request) -> Response:
        """List the ids of a work group's query executions, the newest first."""
        group = self.workgroup(request.get("WorkGroup"))["Name"]
        found = [
            (document["QueryExecution"]["Status"]["SubmissionDateTime"], key)
            for key, document in self.aws.store.list(self.EXECUTION)
            if document["QueryExecution"]["WorkGroup"] == group
        ]
        items, more = page([key for _, key in sorted(found, reverse=True)], request, 50, 50)
        return {"QueryExecutionIds": items, **more}

    @operation("QueryExecutionId")
    def StopQueryExecution(self, request: Request) -> Response:
        """Stop a query; one that has ended stays as it is."""
        key = request["QueryExecutionId"]
        self._execution(key)
        with self._lock:
            execution = self._running.get(key)
        self._end(key, "CANCELLED", "Query cancelled by user")
        if execution is not None:
            execution.cancel()
        return {}

    @operation("QueryExecutionId", "NextToken", "MaxResults", "QueryResultType")
    def GetQueryResults(self, request: Request) -> Response:
        """Return a page of at most 1,000 rows; of a SELECT the first row is the header."""
        if (request.get("QueryResultType") or "DATA_ROWS") != "DATA_ROWS":
            raise Unsupported("QueryResultType DATA_MANIFEST of athena:GetQueryResults")
        size = request.get("MaxResults") or MOST_ROWS
        if not 1 <= size <= MOST_ROWS:
            raise invalid(f"MaxResults is more than maximum allowed length {MOST_ROWS}.")
        key = request["QueryExecutionId"]
        document = self._execution(key)
        execution = document["QueryExecution"]
        state = execution["Status"]["State"]
        if state in ("QUEUED", "RUNNING"):
            raise invalid(
                f"Query has not yet finished. Current state: {state}", "INVALID_QUERY_STATE"
            )
        if state != "SUCCEEDED":
            raise invalid(
                f"Query did not finish successfully. Final query state: {state}",
                "INVALID_QUERY_STATE",
            )
        location = execution["ResultConfiguration"]["OutputLocation"]
        rows: list[list[str | None]] = []
        following: int | None = None
        if location.endswith((".csv", ".txt")):
            rows, following = self._read(location, document, request.get("NextToken"), size)
        answer: dict[str, Any] = {
            "UpdateCount": document.get("UpdateCount", 0),
            "ResultSet": {
                "Rows": [
                    {"Data": [{} if v is None else {"VarCharValue": v} for v in row]}
                    for row in rows
                ],
                "ResultSetMetadata": {"ColumnInfo": document.get("Columns", [])},
            },
        }
        if following is not None:
            answer["NextToken"] = f"{key}:{following}"
        return answer

    def _read(
        self, location: str, document: dict[str, Any], token: str | None, size: int
    ) -> tuple[list[list[str | None]], int | None]:
        key = document["QueryExecution"]["QueryExecutionId"]
        offset = 0
        if token:
            owner, _, position = token.rpartition(":")
            if owner != key or not position.isdigit():
                raise invalid("Invalid NextToken")
            offset = int(position)
        try:
            path = Path(self.aws.s3.path(location))
        except AwsError as error:
            raise invalid(f"Query results are not found in {location}: {error.message}") from error
        if not path.is_file():
            raise invalid(f"Could not find results: {location} is not there any more")
        if not document.get("Text"):
            return read_csv(path, offset, size)
        rows: list[list[str | None]] = []
        with path.open("rb") as file:
            file.seek(offset)
            while len(rows) < size:
                line = file.readline()
                if not line:
                    return rows, None
                rows.append([line[:-1].decode()])
            here = file.tell()
            return rows, here if file.read(1) else None

    @operation("QueryExecutionId")
    def GetQueryRuntimeStatistics(self, request: Request) -> Response:
        """Return a query's times, bytes and rows; without stages."""
        document = self._execution(request["QueryExecutionId"])
        execution = document["QueryExecution"]
        statistics = execution["Statistics"]
        names = (
            "QueryQueueTimeInMillis",
            "ServicePreProcessingTimeInMillis",
            "QueryPlanningTimeInMillis",
            "EngineExecutionTimeInMillis",
            "ServiceProcessingTimeInMillis",
            "TotalExecutionTimeInMillis",
        )
        timeline = {name: statistics[name] for name in names if name in statistics}
        made: dict[str, Any] = {"Timeline": timeline}
        if execution["Status"]["State"] == "SUCCEEDED":
            made["Rows"] = {
                "InputBytes": statistics.get("DataScannedInBytes", 0),
                "OutputRows": document.get("Rows", 0),
                "OutputBytes": document.get("OutputBytes", 0),
            }
        return {"QueryRuntimeStatistics": made}


def _statistics(started: float | None, scanned: int, planning: int) -> dict[str, Any]:
    total = round((time.monotonic() - started) * 1000) if started is not None else 0
    return {
        "EngineExecutionTimeInMillis": total,
        "DataScannedInBytes": scanned,
        "TotalExecutionTimeInMillis": total,
        "QueryQueueTimeInMillis": 0,
        "ServicePreProcessingTimeInMillis": 0,
        "QueryPlanningTimeInMillis": planning,
        "ServiceProcessingTimeInMillis": 0,
        "ResultReuseInformation": {"ReusedPreviousResult": False},
    }


def _fingerprint(request: Request) -> str:
    members = {k: v for k, v in request.items() if k != "ClientRequestToken" and v is not None}
    text = json.dumps(members, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
