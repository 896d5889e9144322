"""The Redshift Data API: statements, batches, sessions, results, and the catalog's lists.

https://docs.aws.amazon.com/redshift/latest/mgmt/data-api.html
"""

from __future__ import annotations

import base64
import binascii
import itertools
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from local_aws.redshift import results, statements
from local_aws.redshift.compiler import Relation
from local_aws.redshift.compute import Compute
from local_aws.redshift.errors import Cancelled, SqlError, shape
from local_aws.redshift.fidelity import FEATURES
from local_aws.redshift.serverless import NAMESPACE, WORKGROUP
from local_aws.redshift.session import Outcome, Session
from local_aws.redshift.types import RType
from local_aws.redshift.warehouse import Warehouse
from local_aws.service import AwsError, Feature, Request, Response, Service, Unsupported, operation

STATEMENT, SESSION, TOKEN, COUNTER = (
    "redshift-data/statement",
    "redshift-data/session",
    "redshift-data/client-token",
    "redshift-data/counter",
)
MOST_SQL = 100 * 1024
KEPT = timedelta(hours=24)
DONE = ("FINISHED", "FAILED", "ABORTED")
log = logging.getLogger("local_aws.redshift")
_WHERE = ("ClusterIdentifier", "SecretArn", "DbUser", "Database", "WorkgroupName")
_RUN = (*_WHERE, "StatementName", "Parameters", "ClientToken", "ResultFormat", "SessionId",
        "SessionKeepAliveSeconds", "WaitTimeSeconds", "WithEvent")  # fmt: skip


@dataclass
class Live:
    """A session that the API keeps open, or that one statement uses."""

    id: str
    session: Session
    workgroup: str
    database: str
    keep: int = 0
    expires: float = 0.0
    named: bool = False
    busy: threading.Lock = field(default_factory=threading.Lock)


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


class RedshiftData(Service):
    """Runs each statement in a thread, on the workgroup's DuckDB database."""

    service_name: ClassVar[str] = "redshift-data"
    features: ClassVar[tuple[Feature, ...]] = FEATURES

    def setup(self) -> None:
        self.results = self.aws.config.state / "redshift" / "results"
        self._sessions: dict[str, Live] = {}
        self._running: dict[str, Live] = {}
        self._guard = threading.Lock()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Statements that ran when the process died have failed."""
        now = self.aws.now()
        for key, statement in self.aws.store.list(STATEMENT):
            if statement["Status"] not in DONE:
                statement["Status"] = "FAILED"
                statement["Error"] = "ERROR: The connection to the server was lost."
                for sub in statement.get("SubStatements", ()):
                    if sub["Status"] not in DONE:
                        sub["Status"] = "ABORTED"
                statement["UpdatedAt"] = now
                self.aws.store.put(STATEMENT, key, statement)
        for key, session in self.aws.store.list(SESSION):
            if session["Status"] != "CLOSED":
                self.aws.store.update(SESSION, key, Status="CLOSED", UpdatedAt=now)
        threading.Thread(target=self._reap, name="redshift-sessions", daemon=True).start()

    def stop(self) -> None:
        """Cancel what runs and close every database."""
        self._stopped.set()
        with self._guard:
            live = {*map(id, self._sessions.values())}
            every = [*self._sessions.values()]
            every += [each for each in self._running.values() if id(each) not in live]
        for each in every:
            each.session.cancel()
        for each in every:
            if each.busy.acquire(timeout=5):
                each.session.close()
        Compute.of(self.aws).stop()

    def _reap(self) -> None:
        while not self._stopped.wait(1.0):
            now = time.monotonic()
            with self._guard:
                ended = [s for s in self._sessions.values() if s.expires < now]
            for each in ended:
                if each.busy.acquire(blocking=False):
                    try:
                        self._close(each)
                    except Exception:
                        log.exception("the end of session %s could not be noted", each.id)

    def expire(self) -> None:
        """Statements, results and client tokens are kept for 24 hours."""
        oldest = self.aws.now() - KEPT
        for key, statement in self.aws.store.list(STATEMENT):
            if statement["CreatedAt"] < oldest and statement["Status"] in DONE:
                self._forget(key)
        for token, known in self.aws.store.list(TOKEN):
            if self.aws.store.get(STATEMENT, known["Id"]) is None:
                self.aws.store.delete(TOKEN, token)

    def _close(self, live: Live) -> None:
        with self._guard:
            self._sessions.pop(live.id, None)
        live.session.close()
        if live.named and not self._stopped.is_set():
            self.aws.store.update(SESSION, live.id, Status="CLOSED", UpdatedAt=self.aws.now())

    def _forget(self, key: str) -> None:
        self.aws.store.delete(STATEMENT, key)
        for path in self.results.glob(f"{key}*.jsonl"):
            path.unlink(missing_ok=True)

    # -- where a statement runs ------------------------------------------------------------

    def _where(self, request: Request) -> tuple[str, Warehouse]:
        """``(workgroup, database)`` that a request names.

        Raises:
            AwsError: ValidationException, as AWS words it.
        """
        if request.get("ClusterIdentifier"):
            if request.get("WorkgroupName"):
                raise invalid("Only one of ClusterIdentifier and WorkgroupName can be specified.")
            raise invalid("Redshift endpoint doesn't exist in this region.")
        workgroup = request.get("WorkgroupName") or ""
        if not workgroup:
            raise invalid("Either ClusterIdentifier or WorkgroupName is required.")
        if request.get("DbUser"):
            raise invalid("DbUser is not supported with a serverless workgroup.")
        if workgroup.startswith("arn:"):
            workgroup = next(
                (key for key, each in self.aws.store.list(WORKGROUP)
                 if each["workgroupArn"] == workgroup), workgroup,
            )  # fmt: skip
        found = self.aws.store.get(WORKGROUP, workgroup)
        if found is None:
            raise invalid("Redshift endpoint doesn't exist in this region.")
        if request.get("SecretArn"):
            self._check_secret(request["SecretArn"])
        database = request.get("Database")
        if not database:
            raise invalid("Database is required.")
        namespace = self.aws.store.get(NAMESPACE, found["namespaceName"]) or {}
        if database != namespace.get("dbName", "dev"):
            raise invalid(f'FATAL: database "{database}" does not exist')
        return workgroup, Compute.of(self.aws).warehouse(found["namespaceName"], database)

    def _check_secret(self, arn: str) -> None:
        from botocore.exceptions import ClientError

        try:
            self.aws.client("secretsmanager").describe_secret(SecretId=arn)
        except ClientError as error:
            raise invalid(f"The secret {arn} cannot be read: {error}") from None

    def _session(self, request: Request) -> Live:
        """The session a request names, or a new one; it is busy until it is released."""
        keep = request.get("SessionKeepAliveSeconds")
        wanted = request.get("SessionId")
        if wanted:
            for member in _WHERE:
                if request.get(member) and member != "Database":
                    raise invalid(f"{member} must not be specified with SessionId.")
            with self._guard:
                live = self._sessions.get(wanted)
            if live is None or live.expires < time.monotonic():
                raise invalid(f"Session {wanted} is not available.")
            if request.get("Database") and request["Database"] != live.database:
                raise invalid("Database does not match the session's database.")
            if not live.busy.acquire(blocking=False):
                raise invalid(f"Session {wanted} is busy: it runs another statement.")
            if keep is not None:
                live.keep = keep
            live.session.cancelled.clear()
            return live
        workgroup, warehouse = self._where(request)
        session = Session(warehouse, self.aws, self._spectrum(), next(Compute.of(self.aws).pids))
        live = Live(str(uuid.uuid4()), session, workgroup, warehouse.database, keep or 0)
        live.busy.acquire()
        if keep:
            live.named = True
            with self._guard:
                self._sessions[live.id] = live
                live.expires = time.monotonic() + 86400
            now = self.aws.now()
            self.aws.store.put(SESSION, live.id, {
                "SessionId": live.id, "Status": "BUSY", "CreatedAt": now, "UpdatedAt": now,
                "WorkgroupName": workgroup, "Database": warehouse.database, "Ttl": keep,
            })  # fmt: skip
        return live

    def _spectrum(self) -> Callable[[Session], Any] | None:
        from local_aws.redshift import spectrum

        return getattr(spectrum, "Spectrum", None)

    def _release(self, live: Live) -> None:
        """The statement is over: the session waits for the next one, or ends."""
        if live.named and live.keep and not self._stopped.is_set():
            live.expires = time.monotonic() + live.keep
            live.busy.release()
            self.aws.store.update(
                SESSION, live.id, Status="AVAILABLE", UpdatedAt=self.aws.now(), Ttl=live.keep
            )
        elif not self._stopped.is_set():
            self._close(live)
        else:
            live.busy.release()

    # -- statements ------------------------------------------------------------------------

    @operation("Sql", *_RUN, differs="one database user; WithEvent is refused")
    def ExecuteStatement(self, request: Request) -> Response:
        """Run one SQL statement."""
        return self._submit(request, [request["Sql"]], batch=False)

    @operation("Sqls", "ExecutionMode", *_RUN, differs="one database user; WithEvent is refused")
    def BatchExecuteStatement(self, request: Request) -> Response:
        """Run up to 40 statements in order, in one transaction unless AUTO_COMMIT is asked for."""
        sqls = request["Sqls"]
        if not 1 <= len(sqls) <= 40:
            raise invalid(
                f"1 validation error detected: Value at 'sqls' failed to satisfy constraint:"
                f" Member must have length less than or equal to 40 (it has {len(sqls)})."
            )
        return self._submit(request, sqls, batch=True)

    def _submit(self, request: Request, sqls: list[str], batch: bool) -> Response:
        if request.get("WithEvent"):
            raise Unsupported("WithEvent", "There is no EventBridge here.")
        for sql in sqls:
            if not sql.strip():
                raise invalid("Query string is empty.")
            if len(sql.encode()) > MOST_SQL:
                raise invalid(f"Query string exceeds the limit of {MOST_SQL} bytes.")
        parameters = self._parameters(request, sqls)
        token = request.get("ClientToken")
        if token:
            known = self.aws.store.get(TOKEN, token)
            found = self.aws.store.get(STATEMENT, known["Id"]) if known else None
            if found:
                if found["Sqls"] != sqls:
                    raise invalid("The ClientToken was used with another request.")
                return self._submitted(found)
        live = self._session(request)
        identifier, now = str(uuid.uuid4()), self.aws.now()
        statement: dict[str, Any] = {
            "Id": identifier,
            "Sqls": sqls,
            "Batch": batch,
            "Status": "SUBMITTED",
            "CreatedAt": now,
            "UpdatedAt": now,
            "WorkgroupName": live.workgroup,
            "Database": live.database,
            "DbUser": "IAM:root",
            "StatementName": request.get("StatementName"),
            "SecretArn": request.get("SecretArn"),
            "SessionId": live.id if live.named else None,
            "ResultFormat": request.get("ResultFormat") or "JSON",
            "QueryParameters": request.get("Parameters"),
            "RedshiftPid": live.session.view.pid,
            "HasResultSet": False,
            "Duration": -1,
            "ResultRows": -1,
            "ResultSize": -1,
            "RedshiftQueryId": 0,
        }
        if batch:
            statement["ExecutionMode"] = request.get("ExecutionMode") or "TRANSACTION"
            statement["SubStatements"] = [
                {
                    "Id": f"{identifier}:{number}",
                    "QueryString": sql,
                    "Status": "SUBMITTED",
                    "CreatedAt": now,
                    "UpdatedAt": now,
                    "Duration": -1,
                    "ResultRows": -1,
                    "ResultSize": -1,
                    "RedshiftQueryId": 0,
                    "HasResultSet": False,
                }
                for number, sql in enumerate(sqls, 1)
            ]
        with self.aws.store.transaction():
            self.aws.store.put(STATEMENT, identifier, statement)
            if token:
                self.aws.store.put(TOKEN, token, {"Id": identifier})
        with self._guard:
            self._running[identifier] = live
        if live.named:
            self.aws.store.update(SESSION, live.id, Status="BUSY", UpdatedAt=now)
        threading.Thread(
            target=self._run, args=(statement, live, parameters), name=f"redshift-{identifier[:8]}",
            daemon=True,
        ).start()  # fmt: skip
        wait = request.get("WaitTimeSeconds")
        if wait:
            self.aws.wait_for(lambda: self._is_done(identifier), min(wait, 30))
            statement = self.aws.store.get(STATEMENT, identifier) or statement
        return self._submitted(statement)

    def _parameters(self, request: Request, sqls: list[str]) -> dict[str, str]:
        from local_aws.redshift.dialect import Cursor

        given: dict[str, str] = {}
        for parameter in request.get("Parameters") or ():
            if parameter["name"] in given:
                raise invalid(f"Parameters list contains duplicate names: {parameter['name']}")
            given[parameter["name"]] = parameter["value"]
        if not given:
            return given
        used = set()
        for sql in sqls:
            try:
                cursor = Cursor(sql)
            except SqlError:
                return given
            for before, after in itertools.pairwise(cursor.tokens):
                if before.text == ":" and after.start == before.end + 1:
                    used.add(after.text)
        unused = sorted(set(given) - used)
        if unused:
            raise invalid(
                f"Parameters list contains unused parameters. Unused parameters: {unused}"
            )
        return given

    @staticmethod
    def _submitted(statement: dict[str, Any]) -> Response:
        members = ("Id", "CreatedAt", "Database", "SecretArn", "WorkgroupName", "SessionId",
                   "Status", "RedshiftPid", "HasResultSet")  # fmt: skip
        made = {key: statement[key] for key in members if statement.get(key) is not None}
        return {**made, "DbUser": statement["DbUser"], "DbGroups": []}

    def _is_done(self, identifier: str) -> bool:
        found = self.aws.store.get(STATEMENT, identifier)
        return found is None or found["Status"] in DONE

    def _query_id(self) -> int:
        with self.aws.store.transaction():
            count = (self.aws.store.get(COUNTER, "query") or {"value": 1000})["value"] + 1
            self.aws.store.put(COUNTER, "query", {"value": count})
        return count

    def _save(self, statement: dict[str, Any], **changes: Any) -> None:
        if self._stopped.is_set():
            return  # at the next start it is found unfinished, and failed
        statement.update(changes, UpdatedAt=self.aws.now())
        self.aws.store.put(STATEMENT, statement["Id"], statement)

    def _run(self, statement: dict[str, Any], live: Live, parameters: dict[str, str]) -> None:
        began = time.perf_counter_ns()
        status, error = "FINISHED", None
        try:
            self._save(statement, Status="STARTED")
            if statement["Batch"]:
                self._run_batch(statement, live.session, parameters)
            else:
                self._run_one(statement, statement["Sqls"][0], live.session, parameters)
        except Cancelled:
            status, error = "ABORTED", "Query cancelled on user's request"
        except Exception as failure:  # whatever happens is the statement's error
            status, error = "FAILED", shape(failure)
            if statement["Batch"] and getattr(failure, "number", 0):
                error = f"Query #{failure.number} failed with {error}"  # type: ignore[attr-defined]
        finally:
            with self._guard:
                self._running.pop(statement["Id"], None)
        changes: dict[str, Any] = {"Status": status, "Duration": time.perf_counter_ns() - began}
        if error is not None:
            changes["Error"] = error
        try:
            self._release(live)
        finally:
            self.aws.insist(partial(self._save, statement, **changes))

    def _run_one(
        self, record: dict[str, Any], sql: str, session: Session, parameters: dict[str, str]
    ) -> None:
        """Run one statement and write what it gave into its record."""
        session.query_id = record["RedshiftQueryId"] = self._query_id()

        def consume(outcome: Outcome) -> None:
            if outcome.columns is not None and outcome.rows is not None:
                path = self._result_path(record["Id"])
                rows, size = results.write(path, outcome.columns, outcome.rows)
                record.update(HasResultSet=True, ResultRows=rows, ResultSize=size)
            else:
                record.update(ResultRows=outcome.count, ResultSize=0)

        session.execute(sql, consume, parameters)

    def _run_batch(
        self, statement: dict[str, Any], session: Session, parameters: dict[str, str]
    ) -> None:
        together = statement["ExecutionMode"] == "TRANSACTION"
        failures = []
        if together:
            try:
                session.lock(statements.planned(statement["Sqls"], session))
            except BaseException:
                session.warehouse.locks.release(session)
                for sub in statement["SubStatements"]:
                    sub["Status"] = "ABORTED"
                raise
        for number, sub in enumerate(statement["SubStatements"], 1):
            began = time.perf_counter_ns()
            sub["Status"] = "STARTED"
            self._save(statement)
            try:
                if together and not session.in_transaction:
                    session.begin()
                self._run_one(sub, sub["QueryString"], session, parameters)
                sub["Status"] = "FINISHED"
                statement["HasResultSet"] |= sub["HasResultSet"]
            except BaseException as failure:
                sub["Status"] = "ABORTED" if isinstance(failure, Cancelled) else "FAILED"
                if not isinstance(failure, Cancelled):
                    sub["Error"] = shape(failure)  # type: ignore[arg-type]
                failure.number = number  # type: ignore[attr-defined]
                failures.append(failure)
                if together or isinstance(failure, Cancelled):
                    if session.in_transaction:
                        session.rollback()
                    session.warehouse.locks.release(session)
                    for later in statement["SubStatements"][number:]:
                        later["Status"] = "ABORTED"
                    raise
            finally:
                sub["Duration"] = time.perf_counter_ns() - began
                sub["UpdatedAt"] = self.aws.now()
        if session.in_transaction:
            session.commit()
        session.warehouse.locks.release(session)
        if failures:
            raise failures[0]

    # -- what became of it -----------------------------------------------------------------

    def _find(self, identifier: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """``(statement, sub-statement)``; the second is None for a whole statement.

        Raises:
            AwsError: ResourceNotFoundException, also after 24 hours.
        """
        whole, _, number = identifier.partition(":")
        found = self.aws.store.get(STATEMENT, whole)
        if found is None or found["CreatedAt"] < self.aws.now() - KEPT:
            raise AwsError("ResourceNotFoundException", "Query does not exist.")
        if not number:
            return found, None
        for sub in found.get("SubStatements", ()):
            if sub["Id"] == identifier:
                return found, sub
        raise AwsError("ResourceNotFoundException", "Query does not exist.")

    @operation("Id", "WaitTimeSeconds",
               differs="waits for the end of a running statement before it answers")  # fmt: skip
    def DescribeStatement(self, request: Request) -> Response:
        """What became of a statement or of a batch's statement."""
        whole = request["Id"].partition(":")[0]
        self._find(request["Id"])
        self._wait(whole, request)
        statement, sub = self._find(request["Id"])
        if sub is not None:
            shared = {key: statement[key] for key in ("Database", "WorkgroupName", "DbUser")}
            return {**shared, **sub, "ResultFormat": statement["ResultFormat"]}
        hidden = ("Sqls", "Batch", "StatementName")
        made = {k: v for k, v in statement.items() if k not in hidden and v is not None}
        if not statement["Batch"]:
            made["QueryString"] = statement["Sqls"][0]
        else:
            for member in ("ResultRows", "RedshiftQueryId"):
                made[member] = -1 if member == "ResultRows" else 0
        return made

    def _wait(self, whole: str, request: Request) -> None:
        seconds = request.get("WaitTimeSeconds")
        if seconds:
            self.aws.wait_for(lambda: self._is_done(whole), min(seconds, 30))
        elif not self._is_done(whole):
            self.aws.wait_for(lambda: self._is_done(whole))

    def _result_path(self, identifier: str) -> Path:
        return self.results / f"{identifier.replace(':', '_')}.jsonl"

    def _result(self, request: Request, wanted: str) -> tuple[Any, Any, int | None, int, int]:
        identifier = request["Id"]
        self._find(identifier)
        if request.get("WaitTimeSeconds"):
            self._wait(identifier.partition(":")[0], request)
        statement, sub = self._find(identifier)
        record = sub or statement
        if record["Status"] != "FINISHED" or statement["Status"] in ("FAILED", "ABORTED"):
            raise AwsError(
                "ResourceNotFoundException",
                f"Query is not in FINISHED state (it is {record['Status']}): {identifier}",
            )
        if not record["HasResultSet"] or (sub is None and statement["Batch"]):
            raise AwsError("ResourceNotFoundException", "Query does not have result.")
        if statement["ResultFormat"] != wanted:
            other = "GetStatementResultV2" if wanted == "JSON" else "GetStatementResult"
            raise invalid(f"The result format is {statement['ResultFormat']}. Use {other}.")
        path = self._result_path(identifier)
        if not path.exists():
            raise AwsError("ResourceNotFoundException", "Query result has expired.")
        offset = _offset(request.get("NextToken"))
        columns, rows, after = results.page(path, offset)
        return columns, rows, after, offset, record["ResultRows"]

    @operation("Id", "NextToken", "WaitTimeSeconds")
    def GetStatementResult(self, request: Request) -> Response:
        """A finished statement's rows as typed fields, at most 1,000 a page."""
        columns, rows, after, _, total = self._result(request, "JSON")
        answer = {
            "Records": results.records(columns, rows),
            "ColumnMetadata": columns,
            "TotalNumRows": total,
        }
        return answer if after is None else {**answer, "NextToken": _token(after)}

    @operation("Id", "NextToken", "WaitTimeSeconds")
    def GetStatementResultV2(self, request: Request) -> Response:
        """A finished statement's rows as CSV, for statements run with ResultFormat CSV."""
        columns, rows, after, offset, total = self._result(request, "CSV")
        answer = {
            "Records": [{"CSVRecords": results.as_csv(columns, rows, header=not offset)}],
            "ColumnMetadata": columns,
            "TotalNumRows": total,
            "ResultFormat": "CSV",
        }
        return answer if after is None else {**answer, "NextToken": _token(after)}

    @operation("Id")
    def CancelStatement(self, request: Request) -> Response:
        """Stop a running statement."""
        identifier = request["Id"].partition(":")[0]
        statement, _ = self._find(request["Id"])
        with self._guard:
            live = self._running.get(identifier)
        if statement["Status"] in DONE or live is None:
            statement, _ = self._find(identifier)
            raise invalid(
                f"Could not cancel a query that is already in {statement['Status']} state with ID:"
                f" {identifier}"
            )
        live.session.cancel()
        return {"Status": True}

    @operation("NextToken", "MaxResults", "StatementName", "Status", "Database", "WorkgroupName",
               "ClusterIdentifier", ignores={"RoleLevel": "there is one caller"})  # fmt: skip
    def ListStatements(self, request: Request) -> Response:
        """Statements of the last 24 hours, newest first; finished ones unless Status says more."""
        wanted = request.get("Status") or "FINISHED"
        found = []
        for _, statement in self.aws.store.list(STATEMENT):
            if statement["CreatedAt"] < self.aws.now() - KEPT:
                continue
            if wanted != "ALL" and statement["Status"] != wanted:
                continue
            name = statement.get("StatementName") or ""
            if request.get("StatementName") and not name.startswith(request["StatementName"]):
                continue
            if request.get("Database") and statement["Database"] != request["Database"]:
                continue
            if request.get("ClusterIdentifier"):
                continue
            group = request.get("WorkgroupName")
            if group and statement["WorkgroupName"] != group:
                continue
            found.append(statement)
        found.sort(key=lambda each: each["CreatedAt"], reverse=True)
        page, token = _page(found, request, 100)
        listed = []
        for statement in page:
            members = ("Id", "Status", "StatementName", "CreatedAt", "UpdatedAt", "SecretArn",
                       "QueryParameters", "ResultFormat", "SessionId")  # fmt: skip
            shown = {key: statement[key] for key in members if statement.get(key) is not None}
            shown["IsBatchStatement"] = statement["Batch"]
            if statement["Batch"]:
                shown["QueryStrings"] = statement["Sqls"]
            else:
                shown["QueryString"] = statement["Sqls"][0]
            listed.append(shown)
        return {"Statements": listed, **token}

    # -- the catalog's lists ---------------------------------------------------------------

    def _relations(self, request: Request) -> tuple[Session, Callable[[], None]]:
        asked = dict(request)
        if request.get("ConnectedDatabase"):
            asked["Database"] = request["ConnectedDatabase"]
            if request.get("Database") not in (None, request["ConnectedDatabase"]):
                raise Unsupported("lists of a database other than the connected one")
        _, warehouse = self._where(asked)
        session = Session(warehouse, self.aws, self._spectrum())
        return session, session.close

    @operation(*_WHERE, "NextToken", "MaxResults")
    def ListDatabases(self, request: Request) -> Response:
        """The databases of a workgroup."""
        workgroup, warehouse = self._where(
            {**request, "Database": request.get("Database") or self._default(request)}
        )
        del workgroup
        page, token = _page([warehouse.database], request, 1000)
        return {"Databases": page, **token}

    def _default(self, request: Request) -> str:
        group = self.aws.store.get(WORKGROUP, request.get("WorkgroupName") or "") or {}
        namespace = self.aws.store.get(NAMESPACE, group.get("namespaceName", "")) or {}
        return namespace.get("dbName", "dev")

    @operation(*_WHERE, "ConnectedDatabase", "SchemaPattern", "NextToken", "MaxResults")
    def ListSchemas(self, request: Request) -> Response:
        """The schemas of a database, external ones too."""
        session, close = self._relations(request)
        try:
            every = sorted(["information_schema", "pg_catalog", *session.view.schemas()])
        finally:
            close()
        page, token = _page(
            [name for name in every if _like(name, request.get("SchemaPattern"))], request, 1000
        )
        return {"Schemas": page, **token}

    @operation(*_WHERE, "ConnectedDatabase", "SchemaPattern", "TablePattern", "NextToken",
               "MaxResults")  # fmt: skip
    def ListTables(self, request: Request) -> Response:
        """Tables and views of a database, external ones too."""
        session, close = self._relations(request)
        try:
            found = self._tables(session)
        finally:
            close()
        kinds = {"table": "TABLE", "view": "VIEW", "external": "EXTERNAL TABLE"}
        listed = [
            {"name": each.name, "schema": each.schema, "type": kinds[each.kind]}
            for each in sorted(found, key=lambda each: each.key)
            if _like(each.schema, request.get("SchemaPattern"))
            and _like(each.name, request.get("TablePattern"))
        ]
        page, token = _page(listed, request, 1000)
        return {"Tables": page, **token}

    @staticmethod
    def _tables(session: Session) -> list[Relation]:
        found = [each for each in session.view.relations() if each.kind != "temp"]
        if session.view.spectrum is not None:
            found += session.view.spectrum.relations()
        return found

    @operation(*_WHERE, "ConnectedDatabase", "Schema", "Table", "NextToken", "MaxResults")
    def DescribeTable(self, request: Request) -> Response:
        """The columns of a table."""
        if not request.get("Table"):
            raise invalid("Table is required.")
        session, close = self._relations(request)
        parts = tuple(part.lower() for part in (request.get("Schema"), request["Table"]) if part)
        try:
            relation = session.view.find(parts)
        except SqlError as error:
            raise invalid(f"ERROR: {error}") from None
        finally:
            close()
        if relation is None:
            return {"TableName": request["Table"], "ColumnList": []}
        columns = []
        for column in relation.columns:
            made = results.metadata(column)
            made["length"] = _length(column.type)
            made["schemaName"], made["tableName"] = relation.schema, relation.name
            if column.default is not None:
                made["columnDefault"] = column.default
            columns.append(made)
        page, token = _page(columns, request, 1000)
        return {"TableName": relation.name, "ColumnList": page, **token}

    @operation("SessionId", "Status", "WorkgroupName", "ClusterIdentifier", "Database",
               "NextToken", "MaxResults", ignores={"RoleLevel": "there is one caller"})  # fmt: skip
    def ListSessions(self, request: Request) -> Response:
        """Sessions of the last 24 hours; open ones unless Status says otherwise."""
        found = []
        for _, session in self.aws.store.list(SESSION):
            if request.get("SessionId") and session["SessionId"] != request["SessionId"]:
                continue
            if request.get("ClusterIdentifier"):
                continue
            wanted = request.get("Status")
            if wanted and session["Status"] != wanted:
                continue
            if not wanted and not request.get("SessionId") and session["Status"] == "CLOSED":
                continue
            if any(
                request.get(member) and session.get(member) != request[member]
                for member in ("WorkgroupName", "Database")
            ):
                continue
            found.append({key: value for key, value in session.items() if key != "Ttl"})
        page, token = _page(found, request, 100)
        return {"Sessions": page, **token}


def _length(kind: RType) -> int:
    sizes = {"int2": 2, "int4": 4, "int8": 8, "float4": 4, "float8": 8, "bool": 1, "date": 4,
             "timestamp": 8, "timestamptz": 8, "time": 8}  # fmt: skip
    return sizes.get(kind.name, kind.a)


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"offset:{offset}".encode()).decode()


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(token).decode().partition(":")
        if word == "offset":
            return int(number)
    except (ValueError, binascii.Error):
        pass
    raise invalid("The NextToken is not valid.")


def _page(items: list[Any], request: Request, most: int) -> tuple[list[Any], dict[str, str]]:
    start = _offset(request.get("NextToken"))
    size = min(request.get("MaxResults") or most, most)
    after = start + size
    token = {"NextToken": _token(after)} if after < len(items) else {}
    return items[start:after], token


def _like(name: str, pattern: str | None) -> bool:
    """SQL's LIKE, without regard to case."""
    if not pattern:
        return True
    name, pattern = name.lower(), pattern.lower()
    reached = {0}
    for char in pattern:
        if char == "%":
            reached = set(range(min(reached, default=0), len(name) + 1)) if reached else set()
        else:
            reached = {
                at + 1 for at in reached if at < len(name) and (char == "_" or name[at] == char)
            }
    return len(name) in reached
