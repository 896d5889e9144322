"""COPY: load S3 objects into a table, all or nothing.

https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html
"""

# SQL is put together here from quoted names and compiled expressions only.
# ruff: noqa: S608

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb

from local_aws.redshift import dml, objects
from local_aws.redshift.compiler import Column, Relation, quote, text
from local_aws.redshift.dialect import Cursor
from local_aws.redshift.errors import SqlError, Unsupported, of_duckdb
from local_aws.redshift.objects import Object
from local_aws.redshift.statements import Statement
from local_aws.redshift.types import RType

if TYPE_CHECKING:
    from local_aws.redshift.session import Outcome, Session


@dataclass
class Copy:
    """A COPY statement, read. ``options`` are those of text formats, by lower-case name."""

    table: tuple[str, ...]
    columns: list[str] = field(default_factory=list)
    uri: str = ""
    format: str = "text"
    manifest: bool = False
    authorised: bool = False
    options: dict[str, Any] = field(default_factory=dict)


_COLUMNAR = ("acceptinvchars", "fillrecord", "statupdate", "explicit_ids", "noload")
_REFUSED = (
    "AVRO", "BZIP2", "COMPROWS", "COMPUPDATE_PRESET", "ENCRYPTED", "EXPLICIT_IDS", "FIXEDWIDTH",
    "LZOP", "MASTER_SYMMETRIC_KEY", "NOLOAD", "ORC", "READRATIO", "REGION", "ROUNDEC", "SHAPEFILE",
    "SSH", "ZSTD", "ESCAPE", "REMOVEQUOTES", "IGNOREALLERRORS", "JOB",
)  # fmt: skip


def read_copy(sql: str) -> Copy:
    """COPY's clauses.

    Raises:
        SqlError: a clause that COPY does not have. Unsupported: one that this does not.
    """
    cursor = Cursor(sql)
    cursor.expect("COPY")
    copy = Copy(cursor.qualified())
    if cursor.peek() == "(":
        copy.columns = cursor.names()
    cursor.expect("FROM")
    copy.uri = cursor.string()
    if not copy.uri.lower().startswith("s3://"):
        raise Unsupported("COPY from anything but S3")
    while cursor:
        if objects.authorisation(cursor):
            copy.authorised = True
        else:
            _option(cursor, copy)
    if not copy.authorised:
        raise SqlError("Missing credentials: COPY needs IAM_ROLE or CREDENTIALS")
    return copy


def _option(cursor: Cursor, copy: Copy) -> None:
    if cursor.accept("FORMAT"):
        cursor.accept("AS")
    word = cursor.token().text.upper()
    options = copy.options
    if word in ("PARQUET", "CSV", "JSON"):
        copy.format = word.lower()
        if word == "JSON":
            cursor.accept("AS")
            options["json"] = cursor.string() if cursor.is_string() else "auto"
    elif word == "MANIFEST":
        copy.manifest = True
    elif word in ("DELIMITER", "QUOTE", "DATEFORMAT", "TIMEFORMAT", "ENCODING"):
        cursor.accept("AS")
        options[word.lower()] = cursor.string() if cursor.is_string() else cursor.name()
    elif word == "NULL":
        cursor.accept("AS")
        options["null"] = cursor.string()
    elif word == "REGION" and copy.format != "parquet":
        cursor.accept("AS")
        options["region"] = cursor.string()
    elif word in ("IGNOREHEADER", "MAXERROR"):
        cursor.accept("AS")
        options[word.lower()] = cursor.number()
    elif word == "ACCEPTINVCHARS":
        cursor.accept("AS")
        options["acceptinvchars"] = cursor.string() if cursor.is_string() else "?"
    elif word in ("GZIP", "BLANKSASNULL", "EMPTYASNULL", "TRUNCATECOLUMNS", "FILLRECORD",
                  "TRIMBLANKS", "IGNOREBLANKLINES", "ACCEPTANYDATE"):  # fmt: skip
        options[word.lower()] = True
    elif word in ("STATUPDATE", "COMPUPDATE"):
        if cursor.peek() in ("ON", "OFF", "TRUE", "FALSE", "PRESET"):
            cursor.token()
        if word == "COMPUPDATE":
            options["compupdate"] = True
    elif word in _REFUSED:
        if word == "REGION":
            options["region"] = cursor.string() if cursor.is_string() else ""
            return
        raise Unsupported(f"the COPY option {word}")
    else:
        cursor.at -= 1
        cursor.fail(f"COPY has no option {word}")


def copy(sql: str) -> Statement:
    parsed = read_copy(sql)
    if parsed.format == "parquet":
        for name in parsed.options:
            if name not in _COLUMNAR:
                raise SqlError(f"{name.upper()} argument is not supported for PARQUET based COPY")

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        from local_aws.redshift.session import Outcome

        relation = dml.target(session, parsed.table, "COPY INTO")
        assert session.aws is not None
        find = objects.in_manifest if parsed.manifest else objects.with_prefix
        files = find(session.aws, parsed.uri)
        wanted = target_columns(relation, parsed.columns)
        if parsed.format == "parquet":
            count = load_parquet(session, relation, wanted, files, parsed.uri)
        else:
            from local_aws.redshift import text_loading

            count = text_loading.load(session, relation, wanted, files, parsed)
        for each in files:
            session.connection.execute(
                f"INSERT INTO {session.view.internal('load_commit')} VALUES (?, ?, NULL, ?)",
                [session.query_id, each.uri, session.transaction_start.replace(tzinfo=None)],
            )
        return Outcome(count=count)

    return Statement("COPY", sql, run, writes=(parsed.table,))


def target_columns(relation: Relation, names: list[str]) -> list[Column]:
    """The columns that fields are loaded into, in the fields' order."""
    known = {column.name: column for column in relation.columns}
    for name in names:
        if name not in known:
            raise SqlError(f'column "{name}" of relation "{relation.name}" does not exist')
    if names:
        wanted = [known[name] for name in names]
        dml.check_identity(relation, wanted)
        return wanted
    notes = relation.details["columns"]
    return [
        column
        for column in relation.columns
        if not (notes.get(column.name, {}).get("identity") or {}).get("always")
    ]


# -- Parquet -------------------------------------------------------------------------------

_SKIPPED = ("_", ".")


def load_parquet(
    session: Session, relation: Relation, wanted: list[Column], files: list[Object], uri: str
) -> int:
    """Columns by position; counts must agree and types be compatible, in every file.

    https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html
    """
    top = len(uri.rpartition("/")[0]) + 1
    data = [
        each
        for each in files
        if not any(part.startswith(_SKIPPED) for part in each.uri[top:].split("/"))
    ]
    if not data:
        raise SqlError(f"No Parquet files found for {uri}")
    paths: list[str] = []
    stored: list[tuple[str, str]] = []
    for each in data:
        found = _schema(session, each)
        if len(found) != len(wanted):
            raise SqlError(
                "Spectrum Scan Error\n  Detail:  Unmatched number of columns between table and"
                f" file. Table columns: {len(wanted)}, Data columns: {len(found)},"
                f" File name: {each.uri}"
            )
        for (name, kind), column in zip(found, wanted, strict=True):
            if not compatible(kind, column.type):
                raise SqlError(
                    f"Spectrum Scan Error. File '{each.uri}' has an incompatible Parquet schema"
                    f" for column '{name}'. Column type: {str(column.type).upper()},"
                    f" Parquet schema: {kind}"
                )
        if stored and found != stored:
            count = _insert(session, relation, wanted, stored, paths)
            rest = data[data.index(each) :]
            return count + load_parquet(session, relation, wanted, rest, uri)
        stored = found
        paths.append(str(each.path))
    return _insert(session, relation, wanted, stored, paths)


def _schema(session: Session, each: Object) -> list[tuple[str, str]]:
    """``(name, DuckDB type)`` of a Parquet file's columns."""
    try:
        rows = (
            session.connection.cursor()
            .execute(
                f"DESCRIBE SELECT * FROM read_parquet({text(_literal(str(each.path)))},"
                " hive_partitioning = false)"
            )
            .fetchall()
        )
    except duckdb.Error as error:
        raise SqlError(
            f"Spectrum Scan Error. File '{each.uri}' is not a valid Parquet file."
            f" ({of_duckdb(error)})"
        ) from None
    return [(row[0], row[1]) for row in rows]


def _literal(path: str) -> str:
    """A path without its characters meaning a pattern."""
    for char in "[":
        path = path.replace(char, "[[]")
    return path.replace("*", "[*]").replace("?", "[?]")


def compatible(stored: str, column: RType) -> bool:
    """Whether a Parquet column (as DuckDB types it) can be loaded into a column of that type."""
    name = column.name
    if stored.startswith("DECIMAL("):
        precision, scale = (int(part) for part in stored[8:-1].split(","))
        return name == "numeric" and scale == column.b and precision <= column.a
    return stored in {
        "int2": ("TINYINT", "SMALLINT"),
        "int4": ("TINYINT", "SMALLINT", "INTEGER"),
        "int8": ("TINYINT", "SMALLINT", "INTEGER", "BIGINT"),
        "float4": ("FLOAT",),
        "float8": ("FLOAT", "DOUBLE"),
        "bool": ("BOOLEAN",),
        "varchar": ("VARCHAR",),
        "bpchar": ("VARCHAR",),
        "date": ("DATE",),
        "timestamp": ("TIMESTAMP", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"),
        "timestamptz": ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "TIMESTAMP_NS"),
        "time": ("TIME",),
    }.get(name, ())


def _insert(
    session: Session,
    relation: Relation,
    wanted: list[Column],
    stored: list[tuple[str, str]],
    paths: list[str],
) -> int:
    compiler = session.compiler()
    names = [f"c{i}" for i in range(len(stored))]
    values = {}
    for name, column in zip(names, wanted, strict=True):
        value = f"CAST({name} AS {column.type.duck})"
        if column.type.is_string:
            kind = "character varying" if column.type.name == "varchar" else "character"
            shown = f"rtrim({name}, ' ')" if column.type.name == "bpchar" else name
            value = f"_rs.fit({shown}, {column.type.a}, '{kind}({column.type.a})')"
        values[column.name] = value
    listed = ", ".join(quote(column.name) for column in relation.columns)
    selected = ", ".join(
        values.get(column.name) or dml.fill(session, compiler, relation, column)
        for column in relation.columns
    )
    sources = ", ".join(text(_literal(path)) for path in paths)
    outcome = session.change(
        f"INSERT INTO {relation.sql} ({listed}) SELECT {selected} FROM"
        f" read_parquet([{sources}], hive_partitioning = false) AS s({', '.join(names)})"
    )
    return outcome.count
