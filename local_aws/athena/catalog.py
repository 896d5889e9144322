"""The Glue Data Catalog as queries see it: tables, views, information_schema."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from local_aws.athena import types as t
from local_aws.athena.errors import QueryError
from local_aws.athena.query import CATALOG, View
from local_aws.athena.types import Type
from local_aws.lake import Lake, LakeError, parse_type
from local_aws.service import AwsError

if TYPE_CHECKING:
    from local_aws.instance import Instance

_PREFIX, _SUFFIX = "/* Presto View: ", " */"
_V = t.VARCHAR


class GlueCatalog:
    """One statement's view of the catalog. Every call asks Glue anew."""

    def __init__(self, aws: Instance) -> None:
        self.aws = aws
        self.lake = Lake(aws)

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """A Glue operation.

        Raises:
            AwsError: as Glue raises it.
        """
        return self.aws.services["glue"].call(operation, request)

    def pages(self, operation: str, member: str, **request: Any) -> Iterator[dict[str, Any]]:
        while True:
            answer = self.call(operation, **request)
            yield from answer[member]
            if not answer.get("NextToken"):
                return
            request["NextToken"] = answer["NextToken"]

    def table(self, database: str, name: str) -> dict[str, Any] | None:
        try:
            return self.lake.table(database, name)
        except LakeError:
            return None

    def has_database(self, name: str) -> bool:
        try:
            self.call("GetDatabase", Name=name)
        except AwsError as error:
            if error.code != "EntityNotFoundException":
                raise
            return False
        return True

    def databases(self) -> list[str]:
        return sorted(d["Name"] for d in self.pages("GetDatabases", "DatabaseList"))

    def tables(self, database: str) -> list[dict[str, Any]]:
        return sorted(
            self.pages("GetTables", "TableList", DatabaseName=database), key=lambda x: x["Name"]
        )

    def view(self, table: dict[str, Any]) -> View:
        """The query of a view that Athena or Presto made.

        Raises:
            QueryError: it is a view of another engine.
        """
        text = (table.get("ViewOriginalText") or "").strip()
        if not text.startswith(_PREFIX) or not text.endswith(_SUFFIX):
            raise QueryError(
                "INVALID_VIEW",
                f"Failed analyzing stored view '{table['Name']}': not a Presto view",
            )
        document = json.loads(base64.b64decode(text[len(_PREFIX) : -len(_SUFFIX)]))
        columns = [(c["name"].lower(), c["type"]) for c in document.get("columns", [])]
        return View(document["originalSql"], document.get("schema") or "", columns)

    def information(self, name: str) -> tuple[list[tuple[str, Type]], list[list[Any]]] | None:
        """A table of information_schema; None if there is none of that name.

        https://docs.aws.amazon.com/athena/latest/ug/querying-glue-catalog.html
        """
        if name == "schemata":
            return (
                [("catalog_name", _V), ("schema_name", _V)],
                [[CATALOG, d] for d in [*self.databases(), "information_schema"]],
            )
        if name == "tables":
            columns = ["table_catalog", "table_schema", "table_name", "table_type"]
            return [(c, _V) for c in columns], [
                [CATALOG, d, table["Name"], _kind(table)]
                for d in self.databases()
                for table in self.tables(d)
            ]
        if name == "views":
            columns = ["table_catalog", "table_schema", "table_name", "view_definition"]
            return [(c, _V) for c in columns], [
                [CATALOG, d, table["Name"], self.view(table).sql]
                for d in self.databases()
                for table in self.tables(d)
                if _kind(table) == "VIEW"
            ]
        if name == "columns":
            return self._columns()
        return None

    def _columns(self) -> tuple[list[tuple[str, Type]], list[list[Any]]]:
        columns = [
            ("table_catalog", _V), ("table_schema", _V), ("table_name", _V), ("column_name", _V),
            ("ordinal_position", t.BIGINT), ("column_default", _V), ("is_nullable", _V),
            ("data_type", _V), ("comment", _V), ("extra_info", _V),
        ]  # fmt: skip
        rows: list[list[Any]] = []
        for database in self.databases():
            for table in self.tables(database):
                keys = {k["Name"].lower() for k in table.get("PartitionKeys") or []}
                own = table.get("StorageDescriptor", {}).get("Columns") or []
                for i, column in enumerate([*own, *(table.get("PartitionKeys") or [])], 1):
                    name = column["Name"].lower()
                    try:
                        type_ = str(t.from_hive(parse_type(column.get("Type") or "string")))
                    except LakeError:
                        type_ = column["Type"]
                    rows.append(
                        [
                            CATALOG, database, table["Name"], name, i, None, "YES", type_,
                            column.get("Comment"), "partition key" if name in keys else None,
                        ]
                    )  # fmt: skip
        return columns, rows


def _kind(table: dict[str, Any]) -> str:
    return "VIEW" if table.get("TableType") == "VIRTUAL_VIEW" else "BASE TABLE"


def view_input(
    name: str, sql: str, database: str, columns: list[tuple[str, Type]]
) -> dict[str, Any]:
    """Glue's TableInput of a view, as Athena registers it."""
    document = {
        "originalSql": sql,
        "catalog": CATALOG,
        "schema": database,
        "columns": [{"name": n, "type": str(type_)} for n, type_ in columns],
    }
    encoded = base64.b64encode(json.dumps(document).encode()).decode()
    return {
        "Name": name,
        "TableType": "VIRTUAL_VIEW",
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "PartitionKeys": [],
        "StorageDescriptor": {
            "Columns": [{"Name": n, "Type": str(_hive(type_, n))} for n, type_ in columns],
            "Location": "",
            "SerdeInfo": {},
        },
        "ViewOriginalText": f"{_PREFIX}{encoded}{_SUFFIX}",
        "ViewExpandedText": "/* Presto View */",
    }


def _hive(type_: Type, name: str) -> str:
    try:
        return str(t.to_hive(type_, name))
    except QueryError:
        return "string"
