"""Text files as a DuckDB relation, as Hive's SerDes read them: CSV and JSON lines.

Each SerDe becomes SQL over one column ``line``, so that DuckDB decompresses and reads in
parallel while the rules stay the SerDe's own.

- https://docs.aws.amazon.com/athena/latest/ug/lazy-simple-serde.html
- https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html
- https://docs.aws.amazon.com/athena/latest/ug/json-serde.html
"""

# SQL is put together here from quoted names and literals only.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import duckdb

from local_aws.lake.errors import LakeError
from local_aws.lake.parquet import file_list
from local_aws.lake.types import INTEGERS, HiveType, literal, quoted

LAZY_SIMPLE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
OPEN_CSV = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
JSON_SERDES = ("org.openx.data.jsonserde.JsonSerDe", "org.apache.hive.hcatalog.data.JsonSerDe")

_INTEGER = r"[+-]?\d+"
_FLOAT = r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|Infinity)|NaN"
_DATE = r"\d{4}-\d{1,2}-\d{1,2}"
_TIME = _DATE + r" \d{1,2}:\d{1,2}:\d{1,2}(\.\d{1,9})?"
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_MIXED = "mixed line ends"
_NOT_READ = (".bz2", ".lzo", ".snappy", ".deflate", ".lz4", ".xz", ".zip")


def lines(files: Sequence[Path], skip: int) -> str:
    """A relation ``line`` of the files' lines, without a byte order mark, line ends, or headers.

    A line ends with LF, CR or both, in one file now this and now that, as Hive's readers have it.

    Raises:
        LakeError: a file is compressed in a way that is not read.
    """
    groups: dict[str, list[Path]] = {}
    for file in files:
        if file.suffix in _NOT_READ:
            raise LakeError(
                "HIVE_UNSUPPORTED_FORMAT",
                f"{file.name}: {file.suffix} compression is not supported by the embedded AWS."
                " Write the file plain, .gz or .zst.",
            )
        compression = _COMPRESSIONS.get(file.suffix, "none")
        if compression == "none" and _mixes_line_ends(file):
            compression = _MIXED
        groups.setdefault(compression, []).append(file)
    separator = "\x1d\x1f\x1d\x1f"  # never met: a line is one column
    parts = [
        _lines_of_mixed(group, skip)
        if compression == _MIXED
        else
        f"SELECT coalesce(line, '') AS line, filename AS __file FROM read_csv({file_list(group)},"
        f" columns={{'line': 'VARCHAR'}}, auto_detect=false, header=false, skip={skip}, quote='',"
        f" escape='', delim='{separator}', compression='{compression}', filename=true,"
        " strict_mode=true)"
        for compression, group in groups.items()
    ]  # fmt: skip
    return " UNION ALL ".join(parts)


def _lines_of_mixed(files: Sequence[Path], skip: int) -> str:
    """What `lines` gives, of files whose line ends differ: DuckDB's own reader refuses them."""
    text = r"regexp_replace(regexp_replace(content, '^\x{FEFF}', ''), '(\r\n|\r|\n)$', '')"
    every = rf"regexp_split_to_array({text}, '\r\n|\r|\n')"
    return (
        f"SELECT unnest({every}[{skip + 1}:]) AS line, filename AS __file"
        f" FROM read_text({file_list(files)})"
    )


def _mixes_line_ends(file: Path) -> bool:
    found = file.stat()
    return _mixed(file, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=65536)
def _mixed(file: Path, size: int, written: int) -> bool:
    """Whether a file's lines do not all end alike; size and time tell it from a later one."""
    feeds = returns = pairs = 0
    last = b""
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            # A file without CR, which most are, is only searched for one.
            if b"\r" in block or last == b"\r":
                returns += block.count(b"\r")
                pairs += (last + block).count(b"\r\n")
            feeds += block.count(b"\n")
            last = block[-1:]
    return len({feeds, returns, pairs} - {0}) > 1 or (pairs == 0 and feeds > 0 and returns > 0)


def lazy_simple(
    columns: Sequence[tuple[str, HiveType]], wanted: set[str], properties: Mapping[str, str]
) -> dict[str, str]:
    """Expressions over ``fields`` by column; what cannot be parsed is NULL, as Hive has it."""
    null = properties.get("serialization.null.format", "\\N")
    return {
        name: _lazy_value(type_, f"fields[{index}]", null, properties, name)
        for index, (name, type_) in enumerate(columns, 1)
        if name in wanted
    }


def lazy_simple_fields(properties: Mapping[str, str]) -> str:
    """The expression that cuts ``line`` into the list ``fields``."""
    delimiter = character(
        properties.get("field.delim", properties.get("serialization.format", "\x01")), "field.delim"
    )
    if delimiter.isdigit() and "field.delim" not in properties:
        delimiter = chr(int(delimiter))
    escape = properties.get("escape.delim", "")
    if not escape:
        return f"string_split(line, {literal(delimiter)})"
    escape = character(escape, "escape.delim")
    field = f"((?:[^{_in_set(delimiter + escape)}]|{_pattern(escape)}.)*){_pattern(delimiter)}"
    return (
        "list_transform(regexp_extract_all(line ||"
        f" {literal(delimiter)}, {literal(field)}, 1), lambda f:"
        f" regexp_replace(f, {literal(_pattern(escape) + '(.)')}, '\\1', 'g'))"
    )


def character(text: str, option: str) -> str:
    """A delimiter of the catalog as one character: ``;``, ``\\t``, ``\\001``, ``\\u0001``.

    Raises:
        LakeError: it is more than one character.
    """
    named = {"\\t": "\t", "\\n": "\n", "\\\\": "\\", "\\0": "\0"}
    if text in named:
        return named[text]
    if len(text) > 1 and text[0] == "\\" and text[1:].isdigit():
        return chr(int(text[1:], 8))
    if len(text) == 6 and text.startswith("\\u"):
        return chr(int(text[2:], 16))
    if len(text) > 1 and option == "field.delim" and text.isdigit():
        return text
    if len(text) != 1:
        raise LakeError(
            "HIVE_UNSUPPORTED_FORMAT",
            f"{option} {text!r} is not one character; MultiDelimitSerDe is not supported.",
        )
    return text


def _pattern(char: str) -> str:
    """``char`` inside a regular expression over values."""
    return f"\\x{{{ord(char):x}}}"


def _in_set(chars: str) -> str:
    return "".join(_pattern(char) for char in chars)


def _lazy_value(
    type_: HiveType, text: str, null: str, properties: Mapping[str, str], name: str
) -> str:
    value = f"nullif({text}, {literal(null)})"
    if type_.name == "array" and not type_.args[0].nested:
        separator = character(
            properties.get("collection.delim", properties.get("colelction.delim", "\x02")),
            "collection.delim",
        )
        element = _lazy_value(type_.args[0], "e", null, properties, name)
        return (
            f"CASE WHEN {value} = '' THEN [] ELSE"
            f" list_transform(string_split({value}, {literal(separator)}), lambda e: {element}) END"
        )
    if type_.nested:
        raise LakeError(
            "HIVE_UNSUPPORTED_FORMAT",
            f"Column {name}: {type_} in delimited text is not supported by the embedded AWS."
            " Use Parquet or JSON.",
        )
    return lenient(type_, value)


def lenient(type_: HiveType, value: str) -> str:
    """Text to a value; NULL where the text is not one."""
    name = type_.name
    if name == "string":
        return value
    if name == "varchar":
        return f"left({value}, {type_.args[0]})"
    if name == "char":
        return f"rpad({value}, {type_.args[0]}, ' ')"
    if name == "binary":
        return f"try(from_base64({value}))"
    if name == "boolean":
        return f"CASE lower({value}) WHEN 'true' THEN true WHEN 'false' THEN false END"
    pattern = _pattern_of(type_)
    return (
        f"CASE WHEN regexp_full_match({value}, {literal(pattern)})"
        f" THEN TRY_CAST({value} AS {type_.duckdb}) END"
    )


def _pattern_of(type_: HiveType) -> str:
    if type_.name in INTEGERS:
        return _INTEGER
    return {"date": _DATE, "timestamp": _TIME}.get(type_.name, _FLOAT)


def open_csv_fields(properties: Mapping[str, str]) -> str:
    """The expression that cuts ``line`` into ``fields`` by separator, quote and escape."""
    separator = character(properties.get("separatorChar", ","), "separatorChar")
    quote = character(properties.get("quoteChar", '"'), "quoteChar")
    escape = character(properties.get("escapeChar", "\\"), "escapeChar")
    s, q, e = _pattern(separator), _pattern(quote), _pattern(escape)
    plain = f"[^{s}{q}{e}]" if e != q else f"[^{s}{q}]"
    inside = f"[^{q}{e}]|{e}.|{q}{q}" if e != q else f"[^{q}]|{q}{q}"
    outside = f"{plain}|{e}[^{s}]|" if e != q else f"{plain}|"
    field = f"((?:{outside}{q}(?:{inside})*{q})*){s}"
    unescaped = f"regexp_replace(f, {literal(e + '(.)')}, '\\1', 'g')" if e != q else "f"
    inner = f"regexp_replace(f[2:-2], {literal(f'(?:{q}|{e})(.)')}, '\\1', 'g')"
    cut = (
        f"list_transform(regexp_extract_all(line || {literal(separator)}, {literal(field)}, 1),"
        f" lambda f: CASE WHEN length(f) >= 2 AND f[1] = {literal(quote)}"
        f" AND f[-1] = {literal(quote)} THEN {inner} ELSE {unescaped} END)"
    )
    simple = f"contains(line, {literal(quote)}) OR contains(line, {literal(escape)})"
    return f"CASE WHEN {simple} THEN {cut} ELSE string_split(line, {literal(separator)}) END"


def open_csv(
    columns: Sequence[tuple[str, HiveType]], wanted: set[str], properties: Mapping[str, str]
) -> dict[str, str]:
    """Expressions over ``fields`` by column; what cannot be parsed fails the query.

    DATE is the number of days since 1970-01-01; TIMESTAMP is milliseconds since then, or
    ``yyyy-MM-dd HH:mm:ss.f``; numbers may not be empty; ``use.null.for.invalid.data`` lifts that.
    """
    to_null = properties.get("use.null.for.invalid.data", "").lower() == "true"
    expressions = {}
    for index, (name, type_) in enumerate(columns, 1):
        if name not in wanted:
            continue
        field = f"fields[{index}]"
        if type_.name in ("string", "varchar", "char"):
            expressions[name] = lenient(type_, field)
            continue
        if type_.nested or type_.name in ("decimal", "float", "binary"):
            known = "string, boolean, int, bigint, double, date and timestamp"
            if type_.name not in ("decimal", "float"):
                raise LakeError(
                    "HIVE_UNSUPPORTED_FORMAT",
                    f"Column {name}: OpenCSVSerDe does not read {type_}. It reads {known}.",
                )
        message = (
            f"'HIVE_BAD_DATA: Error parsing field value ''' || {field} || ''' for field"
            f" {index - 1}: For input string: \"' || {field} || '\"'"
        )
        otherwise = "NULL" if to_null else failure(message, type_.duckdb)
        if type_.name == "boolean":
            good = f"CASE lower({field}) WHEN 'true' THEN true ELSE false END"
            expressions[name] = f"CASE WHEN {field} IS NULL THEN NULL ELSE {good} END"
            continue
        if type_.name == "date":
            cases = [(_INTEGER, f"DATE '1970-01-01' + TRY_CAST({field} AS INTEGER)")]
        elif type_.name == "timestamp":
            cases = [
                (_INTEGER, f"make_timestamp(TRY_CAST({field} AS BIGINT) * 1000)"),
                (_TIME, f"TRY_CAST({field} AS TIMESTAMP)"),
            ]
        else:
            cases = [(_pattern_of(type_), f"TRY_CAST({field} AS {type_.duckdb})")]
        when = " ".join(
            f"WHEN regexp_full_match({field}, {literal(pattern)}) AND ({value}) IS NOT NULL"
            f" THEN {value}"
            for pattern, value in cases
        )
        expressions[name] = f"CASE WHEN {field} IS NULL THEN NULL {when} ELSE {otherwise} END"
    return expressions


def json_lines(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    columns: Sequence[tuple[str, HiveType]],
    wanted: set[str],
    properties: Mapping[str, str],
) -> tuple[str, dict[str, str]]:
    """``(relation, expressions by column)`` of JSON objects, one a line.

    Keys are met without regard to case, as in Athena. ``source`` is a relation with ``line``.
    """
    mapped = {
        key.removeprefix("mapping.").lower(): value
        for key, value in properties.items()
        if key.startswith("mapping.")
    }
    malformed = properties.get("ignore.malformed.json", "").lower() == "true"
    parse = (
        "TRY_CAST(line AS JSON)"
        if malformed
        else "CASE WHEN json_valid(line) THEN CAST(line AS JSON) ELSE "
        + failure(
            "'HIVE_CURSOR_ERROR: Row is not a valid JSON Object: ' || left(line, 200)", "JSON"
        )
        + " END"
    )
    relation = f"SELECT {parse} AS document, __file FROM ({source}) AS lines WHERE trim(line) <> ''"
    spelled: dict[str, list[str]] = {}
    if wanted:
        for (key,) in connection.execute(
            f"SELECT DISTINCT unnest(json_keys(document)) FROM ({relation}) AS documents"
            " WHERE json_type(document) = 'OBJECT'"
        ).fetchall():
            spelled.setdefault(key.lower(), []).append(key)
    expressions = {}
    for name, type_ in columns:
        if name not in wanted:
            continue
        keys = sorted(spelled.get(mapped.get(name, name).lower(), []))
        values = [_json_value(type_, f"document -> {literal(_json_path(key))}") for key in keys]
        expressions[name] = (
            f"coalesce({', '.join(values)})" if values else f"CAST(NULL AS {type_.duckdb})"
        )
    return relation, expressions


def _json_path(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'$."{escaped}"'


def _json_value(type_: HiveType, node: str, depth: int = 0) -> str:
    if type_.name == "struct":
        members = [
            (field, _json_value(inner, f"({node}) -> {literal(_json_path(field))}", depth))
            for field, inner in type_.args
        ]
        fields = ", ".join(f"{quoted(field)} := {value}" for field, value in members)
        return f"CASE WHEN json_type({node}) = 'OBJECT' THEN struct_pack({fields}) END"
    if type_.name == "array":
        element = _json_value(type_.args[0], f"e{depth}", depth + 1)
        return (
            f"list_transform(json_transform_strict({node}, '[\"JSON\"]'),"
            f" lambda e{depth}: {element})"
        )
    if type_.name == "map":
        key, value = type_.args
        member = f"json_extract({node}, {_JSON_KEY.format(depth)})"
        return (
            f"CASE WHEN json_type({node}) = 'OBJECT' THEN map_from_entries(list_transform("
            f"json_keys({node}), lambda e{depth}: struct_pack(k := CAST(e{depth} AS {key.duckdb}),"
            f" v := {_json_value(value, member, depth + 1)}))) END"
        )
    text = f"(({node}) ->> '$')"
    if type_.name == "string":
        return text
    if type_.name in ("varchar", "char"):
        return lenient(type_, text)
    if type_.name == "boolean":
        return f"CAST({text} AS BOOLEAN)"
    if type_.name == "binary":
        return f"from_base64({text})"
    message = (
        f"'HIVE_BAD_DATA: Error parsing a column of type {type_}: For input string: \"'"
        f" || {text} || '\"'"
    )
    return (
        f"CASE WHEN {text} IS NULL THEN NULL"
        f" WHEN regexp_full_match({text}, {literal(_pattern_of(type_))})"
        f" THEN CAST({text} AS {type_.duckdb}) ELSE {failure(message, type_.duckdb)} END"
    )


FAILURE = "\x1e"
"""Stands before and after a failure's message in the text of DuckDB's error."""


def failure(message: str, duckdb_type: str) -> str:
    """A value of a type that fails the query when it is reached, saying the SQL text ``message``.

    DuckDB's ``error()`` is volatile, which forbids TRY and holds filters back; a bad cast is not.
    """
    said = f"CAST('{FAILURE}' || {message} || '{FAILURE}' AS BIGINT)"
    return f"list_extract(CAST([] AS {duckdb_type}[]), {said})"


_JSON_KEY = """'$."' || replace(replace(e{0}, '\\', '\\\\'), '"', '\\"') || '"'"""
