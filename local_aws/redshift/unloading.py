"""UNLOAD: a query's rows to S3.

https://docs.aws.amazon.com/redshift/latest/dg/r_UNLOAD.html
"""

# SQL is put together here from quoted names and compiled expressions only.
# ruff: noqa: S608

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_aws.redshift import objects
from local_aws.redshift.casts import to_text
from local_aws.redshift.compiler import Column, Query, concrete, quote, text
from local_aws.redshift.dialect import Cursor, parse_one
from local_aws.redshift.errors import SqlError, Unsupported
from local_aws.redshift.statements import Statement

if TYPE_CHECKING:
    from local_aws.redshift.session import Outcome, Session


@dataclass
class Unload:
    """An UNLOAD statement, read."""

    query: str
    uri: str = ""
    format: str = "text"
    partitions: list[str] = field(default_factory=list)
    include: bool = False
    authorised: bool = False
    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)


def read_unload(sql: str) -> Unload:
    cursor = Cursor(sql)
    cursor.expect("UNLOAD")
    cursor.expect("(")
    made = Unload(cursor.string())
    cursor.expect(")")
    cursor.expect("TO")
    made.uri = cursor.string()
    while cursor:
        if objects.authorisation(cursor):
            made.authorised = True
            continue
        if cursor.accept("FORMAT"):
            cursor.accept("AS")
        word = cursor.token().text.upper()
        if word in ("PARQUET", "CSV", "JSON"):
            made.format = word.lower()
        elif word == "PARTITION":
            cursor.expect("BY")
            made.partitions = cursor.names()
            made.include = cursor.accept("INCLUDE")
        elif word == "MANIFEST":
            made.flags.add("MANIFEST")
            if cursor.accept("VERBOSE"):
                raise Unsupported("UNLOAD MANIFEST VERBOSE")
        elif word in ("HEADER", "ADDQUOTES", "GZIP", "ALLOWOVERWRITE", "CLEANPATH"):
            made.flags.add(word)
        elif word in ("DELIMITER", "NULL", "REGION"):
            cursor.accept("AS")
            made.values[word] = cursor.string()
        elif word == "PARALLEL":
            if cursor.peek() in ("OFF", "FALSE"):
                made.flags.add("SERIAL")
            elif cursor.peek() not in ("ON", "TRUE"):
                cursor.fail("expected ON or OFF")
            cursor.token()
        elif word in ("MAXFILESIZE", "ROWGROUPSIZE", "BZIP2", "ZSTD", "ENCRYPTED", "ESCAPE",
                      "FIXEDWIDTH", "EXTENSION", "KMS_KEY_ID"):  # fmt: skip
            raise Unsupported(f"the UNLOAD option {word}")
        else:
            cursor.at -= 1
            cursor.fail(f"UNLOAD has no option {word}")
    if not made.authorised:
        raise SqlError("Missing credentials: UNLOAD needs IAM_ROLE or CREDENTIALS")
    if made.format == "json":
        raise Unsupported("UNLOAD FORMAT JSON")
    if made.format == "parquet" and (made.flags & {"HEADER", "ADDQUOTES", "GZIP"} or made.values):
        raise SqlError(
            "HEADER, ADDQUOTES, GZIP, DELIMITER and NULL AS are not supported for UNLOAD to PARQUET"
        )
    if made.partitions and made.format == "text":
        raise SqlError("PARTITION BY needs FORMAT AS PARQUET or CSV")
    return made


def unload(sql: str) -> Statement:
    parsed = read_unload(sql)
    tree = parse_one(parsed.query)

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        from local_aws.redshift.session import Outcome

        query = session.compiler(parameters).query(tree)
        names = [column.name for column in query.columns]
        for name in parsed.partitions:
            if name not in names:
                raise SqlError(f'PARTITION BY column "{name}" is not in the query')
        if len(set(names)) < len(names):
            raise SqlError("UNLOAD needs a different name for each column")
        count = _write(session, parsed, query)
        return Outcome(count=count)

    return Statement("UNLOAD", sql, run)


def _write(session: Session, parsed: Unload, query: Query) -> int:
    assert session.aws is not None
    bucket, prefix = objects.split_uri(parsed.uri)
    root = objects.folder(session.aws, bucket)
    _clear(session, parsed, root)
    row = session.run(f"SELECT count(*) FROM ({query.sql})").fetchone()
    count = int(row[0]) if row else 0
    if not count:
        return 0
    scratch_root = session.aws.config.state / "redshift" / "unload"
    scratch_root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch_root) as folder:
        out = Path(folder, "out")
        shown = text(str(out if parsed.partitions else Path(folder, "one")))
        session.run(f"COPY ({_body(parsed, query)}) TO {shown} ({_options(parsed)})")
        moved = []
        if parsed.partitions:
            for path in sorted(out.rglob("*")):
                if path.is_file():
                    moved.append((path, f"{prefix}{path.parent.relative_to(out).as_posix()}/"))
        else:
            moved.append((Path(folder, "one"), prefix))
        made = [_place(root, path, place, parsed) for path, place in moved]
        if "MANIFEST" in parsed.flags:
            entries = [{"url": f"s3://{bucket}/{key}"} for key in made]
            manifest = Path(folder, "manifest")
            manifest.write_text(json.dumps({"entries": entries}))
            _move(manifest, root / f"{prefix}manifest")
    return count


def _clear(session: Session, parsed: Unload, root: Path) -> None:
    assert session.aws is not None
    try:
        existing = objects.with_prefix(session.aws, parsed.uri)
    except SqlError:
        return
    if "CLEANPATH" in parsed.flags:
        for each in existing:
            each.path.unlink()
    elif "ALLOWOVERWRITE" not in parsed.flags:
        raise SqlError(
            "Specified unload destination on S3 is not empty. Consider using a different bucket /"
            " prefix, manually removing the target files in S3, or using the ALLOWOVERWRITE option."
        )


def _body(parsed: Unload, query: Query) -> str:
    names = [f"c{i}" for i in range(len(query.columns))]
    made = []
    for name, column in zip(names, query.columns, strict=True):
        kept = parsed.format == "parquet" or column.name in parsed.partitions
        shown = _parquet(name, column) if kept else _printed(name, column)
        made.append(f"{shown} AS {quote(column.name)}")
    return f"SELECT {', '.join(made)} FROM ({query.sql}) AS s({', '.join(names)})"


def _parquet(name: str, column: Column) -> str:
    return f"CAST({name} AS {concrete(column.type).duck})"


def _printed(name: str, column: Column) -> str:
    kind = concrete(column.type)
    if kind.name == "bool":
        return f"CASE {name} WHEN TRUE THEN 't' WHEN FALSE THEN 'f' END"
    return to_text(name, kind)


def _options(parsed: Unload) -> str:
    if parsed.format == "parquet":
        options: dict[str, Any] = {"FORMAT": "parquet", "COMPRESSION": "'snappy'"}
    else:
        mark = parsed.values.get("DELIMITER", "," if parsed.format == "csv" else "|")
        quoted = parsed.format == "csv" or "ADDQUOTES" in parsed.flags
        options = {
            "FORMAT": "csv",
            "DELIMITER": text(mark),
            "HEADER": "true" if "HEADER" in parsed.flags else "false",
            "QUOTE": "'\"'" if quoted else "''",
            "ESCAPE": "'\"'" if quoted else "''",
            "NULLSTR": text(parsed.values.get("NULL", "")),
            "COMPRESSION": "'gzip'" if "GZIP" in parsed.flags else "'none'",
        }
        if "ADDQUOTES" in parsed.flags:
            options["FORCE_QUOTE"] = "*"
    if parsed.partitions:
        options["PARTITION_BY"] = f"({', '.join(map(quote, parsed.partitions))})"
        if parsed.include:
            options["WRITE_PARTITION_COLUMNS"] = "true"
    return ", ".join(f"{name} {value}" for name, value in options.items())


def _place(root: Path, path: Path, place: str, parsed: Unload) -> str:
    """Move one written file to its key: ``<prefix>0000_part_00.parquet``."""
    part = "000" if "SERIAL" in parsed.flags else "0000_part_00"
    ending = {"parquet": ".parquet", "csv": ".csv" if parsed.partitions else ""}.get(
        parsed.format, ""
    )
    key = f"{place}{part}{ending}{'.gz' if 'GZIP' in parsed.flags else ''}"
    _move(path, root / key)
    return key


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(source, target)
    except OSError:
        shutil.move(source, target)
