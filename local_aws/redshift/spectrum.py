"""External schemas and tables: the Glue Data Catalog's tables, read where they lie.

https://docs.aws.amazon.com/redshift/latest/dg/c-using-spectrum.html
"""

# SQL is put together here from quoted names and compiled expressions only.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from local_aws.lake import Lake, LakeError
from local_aws.redshift import objects
from local_aws.redshift import types as t
from local_aws.redshift.compiler import Column, Relation
from local_aws.redshift.dialect import Cursor
from local_aws.redshift.errors import SqlError, Unsupported
from local_aws.redshift.statements import Statement
from local_aws.redshift.types import RType
from local_aws.service import AwsError

if TYPE_CHECKING:
    from local_aws.glue.metastore import Catalog
    from local_aws.redshift.session import Outcome, Session

NESTED = RType("nested")
"""A column that Redshift reads with its syntax for nested data; refused when it is used."""


def redshift_type(kind: Any) -> RType:
    """The Redshift type of a Hive type; text without a length is VARCHAR(65535)."""
    simple = {
        "tinyint": t.INT2,
        "smallint": t.INT2,
        "int": t.INT4,
        "integer": t.INT4,
        "bigint": t.INT8,
        "float": t.FLOAT4,
        "double": t.FLOAT8,
        "boolean": t.BOOL,
        "string": t.TEXT,
        "date": t.DATE,
        "timestamp": t.TIMESTAMP,
    }
    if kind.name == "decimal":
        return t.numeric(*kind.args)
    if kind.name == "varchar":
        return t.varchar(kind.args[0] if kind.args else t.MAX_VARCHAR)
    if kind.name == "char":
        return RType("bpchar", kind.args[0] if kind.args else 1)
    return simple.get(kind.name, NESTED)


class Spectrum:
    """One session's view of the external schemas."""

    def __init__(self, session: Session) -> None:
        self.session = session
        assert session.aws is not None
        self.aws = session.aws
        self.lake = Lake(session.aws)

    @property
    def catalog(self) -> Catalog:
        return cast("Catalog", self.aws.services["glue"].catalog)  # type: ignore[attr-defined]

    def relation(self, schema: str, external: dict[str, str], name: str) -> Relation | None:
        """An external table, or None."""
        table = self.catalog.table(external["database"], name)
        if table is None:
            return None
        return self._relation(schema, table)

    def _relation(self, schema: str, table: dict[str, Any]) -> Relation:
        if table.get("TableType") == "VIRTUAL_VIEW":
            raise Unsupported(f"the catalog view {table['Name']} in an external schema")
        try:
            found = self.lake.columns(table)
        except LakeError as error:
            raise SqlError(f"Spectrum Scan Error: {error}") from None
        columns = [
            Column(c.name, redshift_type(c.type), True, (schema, table["Name"])) for c in found
        ]
        details = {"glue": table, "partitions": [c.name for c in found if c.partition]}
        return Relation("external", schema, table["Name"], columns, details=details)

    def relations(self) -> list[Relation]:
        """Every external table; catalog views are left out."""
        found = []
        for schema, external in sorted(self.session.view.external_schemas().items()):
            if self.catalog.database(external["database"]) is None:
                continue
            for table in self.catalog.tables(external["database"]):
                if table.get("TableType") != "VIRTUAL_VIEW":
                    found.append(self._relation(schema, table))
        return found

    def scan(self, relation: Relation, names: Sequence[str], where: str | None, alias: str) -> str:
        """DuckDB's FROM item for the wanted columns of an external table."""
        for column in relation.columns:
            if column.name in names and column.type is NESTED:
                raise Unsupported(f"the nested column {column.name} of an external table")
        try:
            scan = self.lake.scan(relation.details["glue"], set(names), where, alias=alias)
        except LakeError as error:
            raise SqlError(f"Spectrum Scan Error: {error}") from None
        return f"({scan.sql})"

    def drop(self, session: Session, relation: Relation) -> None:
        """DROP TABLE of an external table: it leaves the catalog, its objects stay."""
        if not session.autocommit:
            raise SqlError("DROP EXTERNAL TABLE cannot run inside a transaction block")
        external = session.view.external_schema(relation.schema)
        assert external is not None
        self.catalog.delete_table(external["database"], relation.name)


def _done() -> Outcome:
    from local_aws.redshift.session import Outcome

    return Outcome()


def create_schema(sql: str, cursor: Cursor) -> Statement:
    """CREATE EXTERNAL SCHEMA ... FROM DATA CATALOG.

    https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_EXTERNAL_SCHEMA.html
    """
    exists_ok = cursor.accept("IF", "NOT", "EXISTS")
    name = cursor.name()
    cursor.expect("FROM")
    if not cursor.accept("DATA", "CATALOG"):
        raise Unsupported(f"CREATE EXTERNAL SCHEMA FROM {cursor.peek()}", "Use DATA CATALOG.")
    if cursor.accept("SCHEMA"):
        raise Unsupported("CREATE EXTERNAL SCHEMA FROM DATA CATALOG SCHEMA")
    cursor.expect("DATABASE")
    database = cursor.string().lower()
    region = role = ""
    create = authorised = False
    while cursor:
        if cursor.accept("REGION"):
            cursor.accept("AS")
            region = cursor.string()
        elif cursor.peek() == "IAM_ROLE":
            role = cursor.rest().split()[1].strip("'")
            authorised = objects.authorisation(cursor)
        elif cursor.accept("CATALOG_ROLE"):
            if not cursor.accept("DEFAULT"):
                cursor.string()
        elif cursor.accept("CREATE", "EXTERNAL", "DATABASE"):
            cursor.expect("IF", "NOT", "EXISTS")
            create = True
        elif cursor.accept("CATALOG_ID"):
            raise Unsupported("CATALOG_ID of CREATE EXTERNAL SCHEMA")
        else:
            cursor.fail()
    if not authorised:
        raise SqlError("IAM_ROLE is required to create an external schema")

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        view = session.view
        if view.has_schema(name):
            if exists_ok:
                return _done()
            raise SqlError(f'schema "{name}" already exists')
        assert session.aws is not None
        if region and region != session.aws.config.region:
            raise Unsupported(f"a data catalog in the region {region}")
        if view.spectrum.catalog.database(database) is None:
            if not create:
                raise SqlError(
                    f'external database "{database}" does not exist',
                    "Add CREATE EXTERNAL DATABASE IF NOT EXISTS.",
                )
            view.spectrum.catalog.create_database({"Name": database})
        session.connection.execute(
            f"INSERT INTO {view.internal('external_schema')} VALUES (?, ?, ?, ?)",
            [name, database, role, region or session.aws.config.region],
        )
        return _done()

    return Statement("CREATE EXTERNAL SCHEMA", sql, run, alone=create, writes=((name, "*"),))


# -- external tables -----------------------------------------------------------------------

_PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {
        "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        "Parameters": {"serialization.format": "1"},
    },
}
_TEXT = {
    "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
}


def _hive(cursor: Cursor) -> str:
    """A column type of an external table, as Hive writes it."""
    from local_aws.redshift.ddl import _type

    kind = _type(cursor)
    names = {
        "int2": "smallint",
        "int4": "int",
        "int8": "bigint",
        "float4": "float",
        "float8": "double",
        "bool": "boolean",
        "date": "date",
        "timestamp": "timestamp",
    }
    if kind.name == "numeric":
        return f"decimal({kind.a},{kind.b})"
    if kind.name == "varchar":
        return f"varchar({kind.a})"
    if kind.name == "bpchar":
        return f"char({kind.a})"
    if kind.name not in names:
        raise Unsupported(f"{kind} columns in external tables")
    return names[kind.name]


def _definitions(cursor: Cursor) -> list[dict[str, str]]:
    cursor.expect("(")
    found = []
    while True:
        name = cursor.name()
        found.append({"Name": name, "Type": _hive(cursor)})
        if not cursor.accept(","):
            break
    cursor.expect(")")
    return found


def _properties(cursor: Cursor) -> dict[str, str]:
    cursor.expect("(")
    found = {}
    while True:
        name = cursor.string()
        cursor.expect("=")
        found[name] = cursor.string()
        if not cursor.accept(","):
            break
    cursor.expect(")")
    return found


def create_table(sql: str, cursor: Cursor) -> Statement:
    """CREATE EXTERNAL TABLE, Parquet or delimited text, written to the Glue catalog.

    https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_EXTERNAL_TABLE.html
    """
    parts = cursor.qualified()
    if cursor.peek() != "(":
        raise Unsupported("CREATE EXTERNAL TABLE AS", "Use UNLOAD, then CREATE EXTERNAL TABLE.")
    columns = _definitions(cursor)
    keys: list[dict[str, str]] = []
    storage: dict[str, Any] = dict(_TEXT)
    serde: dict[str, str] = {}
    location = ""
    parameters: dict[str, str] = {"EXTERNAL": "TRUE"}
    while cursor:
        if cursor.accept("PARTITIONED", "BY"):
            keys = _definitions(cursor)
        elif cursor.accept("STORED", "AS"):
            word = cursor.name()
            if word == "parquet":
                storage = dict(_PARQUET)
            elif word != "textfile":
                raise Unsupported(f"CREATE EXTERNAL TABLE STORED AS {word.upper()}")
        elif cursor.accept("ROW", "FORMAT", "DELIMITED"):
            if cursor.accept("FIELDS", "TERMINATED", "BY"):
                serde["field.delim"] = serde["serialization.format"] = cursor.string()
            if cursor.accept("LINES", "TERMINATED", "BY"):
                serde["line.delim"] = cursor.string()
        elif cursor.peek() == "ROW":
            raise Unsupported("CREATE EXTERNAL TABLE ROW FORMAT SERDE", "Create it through Glue.")
        elif cursor.accept("LOCATION"):
            location = cursor.string()
        elif cursor.accept("TABLE", "PROPERTIES"):
            parameters.update(_properties(cursor))
        else:
            cursor.fail()
    if not location:
        raise SqlError("LOCATION is required to create an external table")
    if storage["InputFormat"] == _TEXT["InputFormat"]:
        storage["SerdeInfo"] = {
            "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
            "Parameters": {"serialization.format": "1", **serde},
        }

    def run(session: Session, given: dict[str, str]) -> Outcome:
        schema, name = session.view.place(parts)
        external = session.view.external_schema(schema) if schema else None
        if external is None:
            raise SqlError(f'"{schema}" is not an external schema')
        catalog = session.view.spectrum.catalog
        if catalog.table(external["database"], name) is not None:
            raise SqlError(f'Relation "{name}" already exists')
        catalog.create_table(external["database"], {
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": parameters,
            "PartitionKeys": keys,
            "StorageDescriptor": {**storage, "Columns": columns, "Location": location},
        })  # fmt: skip
        return _done()

    return Statement("CREATE EXTERNAL TABLE", sql, run, alone=True)


def alter_partition(sql: str, parts: tuple[str, ...], cursor: Cursor) -> Statement:
    """ALTER TABLE ... ADD [IF NOT EXISTS] PARTITION ... LOCATION, and DROP PARTITION.

    https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE_external-table.html
    """
    adding = cursor.accept("ADD")
    if not adding:
        cursor.expect("DROP")
    exists_ok = cursor.accept("IF", "NOT", "EXISTS")
    wanted = []
    while cursor.accept("PARTITION"):
        cursor.expect("(")
        values = {}
        while True:
            name = cursor.name()
            cursor.expect("=")
            values[name] = cursor.token().text
            if not cursor.accept(","):
                break
        cursor.expect(")")
        location = ""
        if adding:
            cursor.expect("LOCATION")
            location = cursor.string()
        wanted.append((values, location))
    cursor.end()

    def run(session: Session, given: dict[str, str]) -> Outcome:
        relation = session.view.relation(parts)
        if relation.kind != "external":
            raise SqlError(f'"{parts[-1]}" is not an external table')
        external = session.view.external_schema(relation.schema)
        assert external is not None
        catalog = session.view.spectrum.catalog
        for values, location in wanted:
            keys = relation.details["partitions"]
            if sorted(values) != sorted(keys):
                raise SqlError(f"the partition columns of {relation.name} are {', '.join(keys)}")
            ordered = [values[key] for key in keys]
            try:
                if not adding:
                    catalog.delete_partition(external["database"], relation.name, ordered)
                    continue
                known = catalog.partition(external["database"], relation.name, ordered)
                if known is not None:
                    if exists_ok:
                        continue
                    raise SqlError("Partition already exists.")
                storage = dict(relation.details["glue"]["StorageDescriptor"])
                catalog.create_partition(
                    external["database"],
                    relation.name,
                    {"Values": ordered, "StorageDescriptor": {**storage, "Location": location}},
                )
            except AwsError as error:
                raise SqlError(error.message) from None
        return _done()

    return Statement("ALTER EXTERNAL TABLE", sql, run, alone=True)
