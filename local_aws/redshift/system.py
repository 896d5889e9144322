"""Redshift's system views and catalogs, made from what the warehouse knows when they are read.

https://docs.aws.amazon.com/redshift/latest/dg/cm_chap_system-tables.html
"""

# SQL is put together here from quoted names and literals only.
# ruff: noqa: S608

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from local_aws.redshift import types as t
from local_aws.redshift.compiler import Column, Relation, quote, text
from local_aws.redshift.errors import SqlError, Unsupported
from local_aws.redshift.types import RType

if TYPE_CHECKING:
    from local_aws.redshift.warehouse import View

NAME = t.varchar(128)
LONG = t.varchar(4000)
OWNER = "admin"
CLASS, RULES = 1259, 2618
"""The numbers of PG_CLASS and PG_REWRITE themselves."""
Rows = Iterator[Sequence[Any]]
Shape = tuple[tuple[str, RType], ...]
_VIEWS: dict[str, tuple[str, Shape, Callable[[View], Rows]]] = {}
_PREFIXES = ("stl_", "stv_", "svl_", "svv_", "svcs_", "sys_", "pg_", "padb_")


def system_view(schema: str, name: str, /, **columns: RType) -> Callable[[Any], Any]:
    """Register a view: its schema, its columns, and what yields its rows."""

    def put(rows: Callable[[View], Rows]) -> Callable[[View], Rows]:
        _VIEWS[f"{schema}.{name}"] = (name, tuple(columns.items()), rows)
        return rows

    return put


def relation(view: View, schema: str, name: str) -> Relation | None:
    """The system view of that name, or None.

    Raises:
        Unsupported: Redshift may have it, this has not.
    """
    known = _VIEWS.get(f"{schema or 'pg_catalog'}.{name}")
    if known is None:
        system = schema in ("pg_catalog", "information_schema") or not schema
        if system and name.startswith(_PREFIXES):
            raise Unsupported(f"the system view {name}")
        if schema == "information_schema":
            raise Unsupported(f"information_schema.{name}")
        return None
    _, shape, rows = known
    place = schema or "pg_catalog"
    columns = [Column(column, kind, True, (place, name)) for column, kind in shape]
    return Relation("system", place, name, columns, sql=_table(columns, rows(view)))


def _table(columns: Sequence[Column], rows: Rows) -> str:
    names = ", ".join(quote(column.name) for column in columns)
    listed = [f"({', '.join(_literal(value) for value in row)})" for row in rows]
    casts = ", ".join(
        f"CAST({quote(column.name)} AS {column.type.duck}) AS {quote(column.name)}"
        for column in columns
    )
    if not listed:
        nulls = ", ".join("NULL" for _ in columns)
        return f"(SELECT {casts} FROM (VALUES ({nulls})) AS v({names}) WHERE FALSE)"
    return f"(SELECT {casts} FROM (VALUES {', '.join(listed)}) AS v({names}))"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return str(value)
    return text(str(value))


def identifier(*parts: str) -> int:
    """A stable number for an object, as the catalogs number theirs."""
    return 100000 + zlib.crc32(".".join(parts).encode()) % 1_000_000_000


def tables(view: View) -> list[Relation]:
    return [each for each in view.relations() if each.kind in ("table", "view")]


def external(view: View) -> list[Relation]:
    return view.spectrum.relations() if view.spectrum is not None else []


# -- information_schema --------------------------------------------------------------------


@system_view("information_schema", "schemata", catalog_name=NAME, schema_name=NAME,
             schema_owner=NAME)  # fmt: skip
def _schemata(view: View) -> Rows:
    for schema in ["information_schema", "pg_catalog", *view.schemas()]:
        yield view.database, schema, OWNER


@system_view("information_schema", "tables", table_catalog=NAME, table_schema=NAME,
             table_name=NAME, table_type=NAME)  # fmt: skip
def _tables(view: View) -> Rows:
    for each in view.relations():
        kind = {"view": "VIEW", "temp": "LOCAL TEMPORARY"}.get(each.kind, "BASE TABLE")
        yield view.database, each.schema, each.name, kind


_COLUMNS = {
    "table_catalog": NAME, "table_schema": NAME, "table_name": NAME, "column_name": NAME,
    "ordinal_position": t.INT4, "column_default": LONG, "is_nullable": t.varchar(3),
    "data_type": NAME, "character_maximum_length": t.INT4, "numeric_precision": t.INT4,
    "numeric_scale": t.INT4,
}  # fmt: skip


def _column_rows(view: View, found: Sequence[Relation]) -> Rows:
    from local_aws.redshift.types import LONG_NAMES

    bits = {"int2": 16, "int4": 32, "int8": 64, "float4": 24, "float8": 53}
    for each in found:
        for position, column in enumerate(each.columns, 1):
            kind = column.type
            yield (
                view.database, each.schema, each.name, column.name, position, column.default,
                "YES" if column.nullable else "NO", LONG_NAMES.get(kind.name, kind.name),
                kind.a if kind.is_string else None,
                kind.a if kind.name == "numeric" else bits.get(kind.name),
                kind.b if kind.name == "numeric" else 0 if kind.is_integer else None,
            )  # fmt: skip


@system_view("information_schema", "columns", **_COLUMNS)
def _columns(view: View) -> Rows:
    """Without late-binding views: SVV_COLUMNS and PG_GET_LATE_BINDING_VIEW_COLS have those."""
    return _column_rows(view, [each for each in view.relations() if not each.details.get("late")])


def _keys(view: View) -> Iterator[tuple[Relation, str, str, list[str]]]:
    """``(table, constraint name, type, columns)`` of the keys, which nothing enforces."""
    for each in view.relations():
        details = each.details
        if details.get("primary_key"):
            yield each, f"{each.name}_pkey", "PRIMARY KEY", details["primary_key"]
        for names in details.get("unique", ()):
            yield each, f"{each.name}_{'_'.join(names)}_key", "UNIQUE", names
        for number, key in enumerate(details.get("foreign_keys", ())):
            suffix = str(number) if number else ""
            columns = "_".join(key["columns"])
            yield each, f"{each.name}_{columns}_fkey{suffix}", "FOREIGN KEY", key["columns"]


@system_view("information_schema", "table_constraints", constraint_catalog=NAME,
             constraint_schema=NAME, constraint_name=NAME, table_catalog=NAME, table_schema=NAME,
             table_name=NAME, constraint_type=NAME, is_deferrable=t.varchar(3),
             initially_deferred=t.varchar(3))  # fmt: skip
def _table_constraints(view: View) -> Rows:
    for each, name, kind, _ in _keys(view):
        yield (view.database, each.schema, name, view.database, each.schema, each.name, kind,
               "NO", "NO")  # fmt: skip


@system_view("information_schema", "key_column_usage", constraint_catalog=NAME,
             constraint_schema=NAME, constraint_name=NAME, table_catalog=NAME, table_schema=NAME,
             table_name=NAME, column_name=NAME, ordinal_position=t.INT4)  # fmt: skip
def _key_column_usage(view: View) -> Rows:
    for each, name, _, names in _keys(view):
        for position, column in enumerate(names, 1):
            yield (view.database, each.schema, name, view.database, each.schema, each.name,
                   column, position)  # fmt: skip


@system_view("information_schema", "views", table_catalog=NAME, table_schema=NAME,
             table_name=NAME, view_definition=t.TEXT)  # fmt: skip
def _views(view: View) -> Rows:
    for each in tables(view):
        if each.kind == "view":
            yield view.database, each.schema, each.name, each.definition


# -- pg_catalog ----------------------------------------------------------------------------


@system_view("pg_catalog", "pg_database", datname=NAME, datdba=t.INT4)
def _pg_database(view: View) -> Rows:
    yield view.database, 100


@system_view("pg_catalog", "pg_user", usename=NAME, usesysid=t.INT4, usecreatedb=t.BOOL,
             usesuper=t.BOOL)  # fmt: skip
def _pg_user(view: View) -> Rows:
    yield OWNER, 100, True, True


@system_view("pg_catalog", "pg_namespace", oid=t.INT8, nspname=NAME, nspowner=t.INT4)
def _pg_namespace(view: View) -> Rows:
    for schema in ["information_schema", "pg_catalog", *view.schemas()]:
        yield identifier(schema), schema, 100


@system_view("pg_catalog", "pg_class", oid=t.INT8, relname=NAME, relnamespace=t.INT8,
             relowner=t.INT4, relkind=t.varchar(1), relnatts=t.INT4)  # fmt: skip
def _pg_class(view: View) -> Rows:
    for each in view.relations():
        yield (identifier(each.schema, each.name), each.name, identifier(each.schema), 100,
               "v" if each.kind == "view" else "r", len(each.columns))  # fmt: skip


@system_view("pg_catalog", "pg_attribute", attrelid=t.INT8, attname=NAME, atttypid=t.INT8,
             attnum=t.INT4, atttypmod=t.INT4, attnotnull=t.BOOL, attisdropped=t.BOOL,
             attisdistkey=t.BOOL, attsortkeyord=t.INT4)  # fmt: skip
def _pg_attribute(view: View) -> Rows:
    for each in view.relations():
        if each.details.get("late"):
            continue  # PG_GET_LATE_BINDING_VIEW_COLS has these
        keys = each.details.get("sortkey", [])
        for position, column in enumerate(each.columns, 1):
            yield (
                identifier(each.schema, each.name), column.name, column.type.oid, position,
                column.type.modifier, not column.nullable, False,
                each.details.get("distkey") == column.name,
                keys.index(column.name) + 1 if column.name in keys else 0,
            )  # fmt: skip


@system_view("pg_catalog", "pg_description", objoid=t.INT8, classoid=t.INT8, objsubid=t.INT4,
             description=LONG)  # fmt: skip
def _pg_description(view: View) -> Rows:
    """Comments: of a relation under 0, of a column under its position."""
    for each in view.relations():
        number = identifier(each.schema, each.name)
        if each.details.get("comment"):
            yield number, CLASS, 0, each.details["comment"]
        for position, column in enumerate(each.columns, 1):
            comment = each.details["columns"].get(column.name, {}).get("comment")
            if comment:
                yield number, CLASS, position, comment


@system_view("pg_catalog", "pg_rewrite", oid=t.INT8, rulename=NAME, ev_class=t.INT8)
def _pg_rewrite(view: View) -> Rows:
    """Each view is a rule."""
    for each in view.relations():
        if each.kind == "view":
            yield _rule(each), "_RETURN", identifier(each.schema, each.name)


def _rule(each: Relation) -> int:
    return identifier(each.schema, each.name, "_RETURN")


@system_view("pg_catalog", "pg_depend", classid=t.INT8, objid=t.INT8, objsubid=t.INT4,
             refclassid=t.INT8, refobjid=t.INT8, refobjsubid=t.INT4,
             deptype=t.varchar(1))  # fmt: skip
def _pg_depend(view: View) -> Rows:
    """Which relations the views are bound to."""
    for each in view.relations():
        for schema, name in each.details.get("depends", ()):
            yield RULES, _rule(each), 0, CLASS, identifier(schema, name), 0, "n"


@system_view("pg_catalog", "pg_proc", oid=t.INT8, proname=NAME, pronamespace=t.INT8,
             proowner=t.INT4)  # fmt: skip
def _pg_proc(view: View) -> Rows:
    """User-defined functions, of which there are none; built-in ones are not listed."""
    return iter(())


@system_view("pg_catalog", "pg_tables", schemaname=NAME, tablename=NAME, tableowner=NAME)
def _pg_tables(view: View) -> Rows:
    for each in tables(view):
        if each.kind == "table":
            yield each.schema, each.name, OWNER


@system_view("pg_catalog", "pg_views", schemaname=NAME, viewname=NAME, viewowner=NAME,
             definition=t.TEXT)  # fmt: skip
def _pg_views(view: View) -> Rows:
    for each in tables(view):
        if each.kind == "view":
            yield each.schema, each.name, OWNER, each.definition


@system_view(
    "pg_catalog",
    "pg_table_def",
    schemaname=NAME,
    tablename=NAME,
    column=NAME,
    type=NAME,
    encoding=t.varchar(32),
    distkey=t.BOOL,
    sortkey=t.INT4,
    notnull=t.BOOL,
)
def _pg_table_def(view: View) -> Rows:
    """Tables of the schemas in the search path, as in Redshift."""
    for each in view.relations():
        if each.kind == "view" or (each.kind == "table" and each.schema not in view.search_path):
            continue
        keys = each.details.get("sortkey", [])
        for column in each.columns:
            note = each.details["columns"].get(column.name, {})
            yield (
                each.schema, each.name, column.name, str(column.type), note.get("encode", "none"),
                each.details.get("distkey") == column.name,
                keys.index(column.name) + 1 if column.name in keys else 0, not column.nullable,
            )  # fmt: skip


# -- functions in FROM ---------------------------------------------------------------------


def late_binding_columns(view: View) -> Rows:
    """Schema, view, column, type and position of the views WITH NO SCHEMA BINDING.

    https://docs.aws.amazon.com/redshift/latest/dg/PG_GET_LATE_BINDING_VIEW_COLS.html
    """
    from local_aws.redshift.compiler import Compiler, concrete
    from local_aws.redshift.dialect import parse_one

    for each in tables(view):
        if not each.details.get("late"):
            continue
        whole = parse_one(f"SELECT * FROM {quote(each.schema)}.{quote(each.name)}")
        try:
            columns = Compiler(view).query(whole).columns
        except SqlError:
            continue  # what it reads is gone: it has no columns until that is back
        for position, column in enumerate(columns, 1):
            yield each.schema, each.name, column.name, str(concrete(column.type)), position


TABLE_FUNCTIONS: dict[str, tuple[int, Callable[[View], Rows]]] = {
    "pg_get_late_binding_view_cols": (5, late_binding_columns),
}
"""Functions in FROM that give records: how many columns, and what yields the rows."""


def table_function(view: View, name: str, columns: Sequence[tuple[str, RType]]) -> Relation:
    """A function in FROM with its column definition list.

    Raises:
        Unsupported: another function. SqlError: the columns are not the function's.
    """
    known = TABLE_FUNCTIONS.get(name)
    if known is None:
        raise Unsupported(f"the function {name.upper()} in FROM")
    count, rows = known
    if not columns:
        raise SqlError('a column definition list is required for functions returning "record"')
    if len(columns) != count:
        raise SqlError(f"function {name} returns {count} columns, not {len(columns)}")
    made = [Column(column, kind, True) for column, kind in columns]
    return Relation("system", "pg_catalog", name, made, sql=_table(made, rows(view)))


# -- svv_ ----------------------------------------------------------------------------------


@system_view("pg_catalog", "svv_tables", table_catalog=NAME, table_schema=NAME, table_name=NAME,
             table_type=NAME, remarks=LONG)  # fmt: skip
def _svv_tables(view: View) -> Rows:
    for each in tables(view):
        kind = "VIEW" if each.kind == "view" else "BASE TABLE"
        yield view.database, each.schema, each.name, kind, each.details.get("comment")
    for each in external(view):
        yield view.database, each.schema, each.name, "EXTERNAL TABLE", None


@system_view("pg_catalog", "svv_columns", **_COLUMNS, remarks=LONG)
def _svv_columns(view: View) -> Rows:
    found = [*tables(view), *external(view)]
    comments = {
        (each.schema, each.name, column): note.get("comment")
        for each in found
        for column, note in each.details.get("columns", {}).items()
    }
    for row in _column_rows(view, found):
        yield (*row, comments.get((row[1], row[2], row[3])))


@system_view("pg_catalog", "svv_all_tables", database_name=NAME, schema_name=NAME,
             table_name=NAME, table_acl=NAME, table_type=NAME, remarks=LONG)  # fmt: skip
def _svv_all_tables(view: View) -> Rows:
    for each in tables(view):
        kind = "VIEW" if each.kind == "view" else "TABLE"
        yield view.database, each.schema, each.name, None, kind, each.details.get("comment")
    for each in external(view):
        yield view.database, each.schema, each.name, None, "EXTERNAL TABLE", None


@system_view("pg_catalog", "svv_all_columns", database_name=NAME, schema_name=NAME,
             table_name=NAME, column_name=NAME, ordinal_position=t.INT4, column_default=LONG,
             is_nullable=t.varchar(3), data_type=NAME, character_maximum_length=t.INT4,
             numeric_precision=t.INT4, numeric_scale=t.INT4, remarks=LONG)  # fmt: skip
def _svv_all_columns(view: View) -> Rows:
    return _svv_columns(view)


@system_view("pg_catalog", "svv_table_info", database=NAME, schema=NAME, table_id=t.INT8,
             table=NAME, encoded=t.varchar(16), diststyle=NAME, sortkey1=NAME,
             max_varchar=t.INT4, sortkey1_enc=t.varchar(32), sortkey_num=t.INT4, size=t.INT8,
             pct_used=t.numeric(10, 4), unsorted=t.numeric(5, 2), stats_off=t.numeric(5, 2),
             tbl_rows=t.numeric(38, 0), skew_sortkey1=t.numeric(19, 2),
             skew_rows=t.numeric(19, 2))  # fmt: skip
def _svv_table_info(view: View) -> Rows:
    """Tables that have rows; NULL for what slices and blocks of a cluster would say."""
    for each in tables(view):
        if each.kind != "table":
            continue
        row = view.connection.execute(f"SELECT count(*) FROM {each.sql}").fetchone()
        details = each.details
        style = details.get("diststyle", "AUTO")
        style = f"KEY({details['distkey']})" if style == "KEY" else style
        keys = details.get("sortkey", [])
        longest = max((c.type.a for c in each.columns if c.type.name == "varchar"), default=0)
        encodings = {name: note.get("encode") for name, note in details["columns"].items()}
        if not row or not row[0]:
            continue
        yield (
            view.database, each.schema, identifier(each.schema, each.name), each.name,
            "Y" if any(encodings.values()) else "Y, AUTO(ENCODE)", style,
            keys[0] if keys else None, longest, encodings.get(keys[0]) if keys else None,
            len(keys), None, None, None, 0, row[0], None, None,
        )  # fmt: skip


@system_view("pg_catalog", "svv_external_schemas", esoid=t.INT8, eskind=t.INT4, schemaname=NAME,
             esowner=t.INT4, databasename=NAME, esoptions=LONG)  # fmt: skip
def _svv_external_schemas(view: View) -> Rows:
    for name, each in sorted(view.external_schemas().items()):
        options = f'{{"REGION":"{each["region"]}","IAM_ROLE":"{each["role"]}"}}'
        yield identifier(name), 1, name, 100, each["database"], options


def _glue(each: Relation) -> dict[str, Any]:
    return each.details["glue"].get("StorageDescriptor", {})


@system_view("pg_catalog", "svv_external_tables", schemaname=NAME, tablename=NAME, tabletype=NAME,
             location=LONG, input_format=NAME, output_format=NAME, serialization_lib=NAME,
             serde_parameters=LONG, compressed=t.INT4, parameters=LONG)  # fmt: skip
def _svv_external_tables(view: View) -> Rows:
    import json

    for each in external(view):
        storage = _glue(each)
        serde = storage.get("SerdeInfo", {})
        yield (
            each.schema, each.name, "TABLE", storage.get("Location"), storage.get("InputFormat"),
            storage.get("OutputFormat"), serde.get("SerializationLibrary"),
            json.dumps(serde.get("Parameters", {})), int(bool(storage.get("Compressed"))),
            json.dumps(each.details["glue"].get("Parameters", {})),
        )  # fmt: skip


@system_view("pg_catalog", "svv_external_columns", schemaname=NAME, tablename=NAME,
             columnname=NAME, external_type=NAME, columnnum=t.INT4, part_key=t.INT4,
             is_nullable=t.varchar(5))  # fmt: skip
def _svv_external_columns(view: View) -> Rows:
    for each in external(view):
        table = each.details["glue"]
        listed = [*_glue(each).get("Columns", []), *table.get("PartitionKeys", [])]
        keys = each.details["partitions"]
        for position, column in enumerate(listed, 1):
            name = column["Name"].lower()
            part = keys.index(name) + 1 if name in keys else 0
            yield each.schema, each.name, name, column.get("Type"), position, part, "true"


@system_view("pg_catalog", "svv_external_partitions", schemaname=NAME, tablename=NAME,
             values=LONG, location=LONG, input_format=NAME, output_format=NAME,
             serialization_lib=NAME)  # fmt: skip
def _svv_external_partitions(view: View) -> Rows:
    import json

    for each in external(view):
        if not each.details["partitions"]:
            continue
        for part in view.spectrum.lake.partitions(each.details["glue"]):
            storage = part.get("StorageDescriptor", {})
            yield (
                each.schema, each.name, json.dumps(part["Values"]), storage.get("Location"),
                storage.get("InputFormat"), storage.get("OutputFormat"),
                storage.get("SerdeInfo", {}).get("SerializationLibrary"),
            )  # fmt: skip


# -- loads ---------------------------------------------------------------------------------


def _stored(view: View, name: str, columns: str) -> Rows:
    yield from view.connection.execute(f"SELECT {columns} FROM {view.internal(name)}").fetchall()


@system_view("pg_catalog", "stl_load_errors", userid=t.INT4, query=t.INT8, starttime=t.TIMESTAMP,
             filename=LONG, line_number=t.INT8, colname=NAME, type=NAME, col_length=NAME,
             position=t.INT4, raw_line=LONG, raw_field_value=LONG, err_code=t.INT4,
             err_reason=LONG)  # fmt: skip
def _stl_load_errors(view: View) -> Rows:
    return _stored(
        view,
        "load_error",
        "100, query, started, file, line, column_name, type, length, position, raw_line,"
        " raw_value, code, reason",
    )


@system_view("pg_catalog", "sys_load_error_detail", user_id=t.INT4, query_id=t.INT8,
             start_time=t.TIMESTAMP, database_name=NAME, table_name=NAME, file_name=LONG,
             line_number=t.INT8, column_name=NAME, column_type=NAME, column_length=NAME,
             position=t.INT4, error_code=t.INT4, error_message=LONG)  # fmt: skip
def _sys_load_error_detail(view: View) -> Rows:
    return _stored(
        view,
        "load_error",
        "100, query, started, current_database(), table_name, file, line, column_name, type,"
        " length, position, code, reason",
    )


@system_view("pg_catalog", "stl_load_commits", userid=t.INT4, query=t.INT8, filename=LONG,
             lines_scanned=t.INT8, curtime=t.TIMESTAMP)  # fmt: skip
def _stl_load_commits(view: View) -> Rows:
    return _stored(view, "load_commit", "100, query, file, lines, loaded")


def names() -> list[str]:
    """Every system view, and function in FROM, for the fidelity list."""
    return sorted([name.removeprefix("pg_catalog.") for name in _VIEWS] + list(TABLE_FUNCTIONS))
