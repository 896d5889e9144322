"""COPY from CSV, delimited text and JSON: every field read by its column's type.

Fields are checked one by one, so that an error names its file, line and column as Redshift's
``sys_load_error_detail`` does; good rows go through a scratch file into DuckDB at once.
https://docs.aws.amazon.com/redshift/latest/dg/copy-parameters-data-conversion.html
"""

# SQL is put together here from quoted names and literals only.
# ruff: noqa: S608

from __future__ import annotations

import codecs
import csv
import gzip
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_aws.redshift import dml, formats
from local_aws.redshift.compiler import Column, Relation, quote, text
from local_aws.redshift.errors import SqlError, Unsupported

if TYPE_CHECKING:
    from local_aws.redshift.loading import Copy
    from local_aws.redshift.objects import Object
    from local_aws.redshift.session import Session

NULL = "\\N"
INTEGER_BITS = {"int2": 15, "int4": 31, "int8": 63}
_TRUE = ("t", "true", "y", "yes", "1", "on")
_FALSE = ("f", "false", "n", "no", "0", "off")
csv.field_size_limit(4 * 1024 * 1024)


class BadField(Exception):
    """A field that its column does not take: Redshift's error code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@dataclass
class Fault:
    """One row of sys_load_error_detail."""

    file: str
    line: int
    column: Column | None
    code: int
    reason: str
    raw_line: str = ""
    raw_value: str = ""


Record = tuple[int, list[str | None], str]
"""A line number, its fields (None is NULL), and the line as it stands."""


def load(
    session: Session, relation: Relation, wanted: list[Column], files: list[Object], copy: Copy
) -> int:
    """Load every file, or none; how many rows were loaded.

    Raises:
        SqlError: more errors than MAXERROR allows; each is in sys_load_error_detail.
    """
    most = int(copy.options.get("maxerror", 0))
    if not 0 <= most <= 100000:
        raise SqlError("MAXERROR must be between 0 and 100000")
    readers = [_reader(column, copy.options) for column in wanted]
    faults: list[Fault] = []
    with tempfile.TemporaryDirectory(prefix="copy-") as folder:
        scratch = Path(folder, "rows.csv")
        with scratch.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
            for each in files:
                for row in _rows(each, wanted, readers, copy, faults, max(most, 1)):
                    writer.writerow(row)
                if len(faults) >= max(most, 1):
                    break
        if faults:
            record(session, relation, faults)
        if len(faults) >= max(most, 1):
            raise SqlError(
                f"Load into table '{relation.name}' failed.  Check 'sys_load_error_detail' system"
                " table for details."
            )
        return _insert(session, relation, wanted, scratch)


def record(session: Session, relation: Relation, faults: list[Fault]) -> None:
    """Write load errors where they stay when the COPY is rolled back."""
    connection = session.warehouse.connection()
    try:
        for fault in faults:
            column = fault.column
            connection.execute(
                f"INSERT INTO {session.view.internal('load_error')}"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    session.query_id, relation.name, datetime.now(UTC).replace(tzinfo=None),
                    fault.file, fault.line, column.name if column else "",
                    column.type.name if column else "",
                    str(column.type.a) if column and column.type.a else "", 0,
                    fault.raw_line[:1024], fault.raw_value[:1024], fault.code, fault.reason[:512],
                ],
            )  # fmt: skip
    finally:
        connection.close()


def _insert(session: Session, relation: Relation, wanted: list[Column], scratch: Path) -> int:
    if not scratch.stat().st_size:
        return 0
    compiler = session.compiler()
    names = [f"c{i}" for i in range(len(wanted))]
    values = {
        column.name: f"CAST({name} AS {column.type.duck})"
        for name, column in zip(names, wanted, strict=True)
    }
    listed = ", ".join(quote(column.name) for column in relation.columns)
    selected = ", ".join(
        values.get(column.name) or dml.fill(session, compiler, relation, column)
        for column in relation.columns
    )
    shape = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    return session.change(
        f"INSERT INTO {relation.sql} ({listed}) SELECT {selected} FROM read_csv("
        f"{text(str(scratch))}, columns = {{{shape}}}, header = false, delim = ',', quote = '\"',"
        " escape = '\"', nullstr = '\\N', allow_quoted_nulls = true, auto_detect = false,"
        " max_line_size = 67108864, new_line = '\\n')"
    ).count


# -- rows ----------------------------------------------------------------------------------


def _rows(
    each: Object,
    wanted: list[Column],
    readers: list[Callable[[str], str]],
    copy: Copy,
    faults: list[Fault],
    most: int,
) -> Iterator[list[str]]:
    source = _json if copy.format == "json" else _delimited
    records = source(each, wanted, copy)
    while True:
        try:
            line, fields, raw = next(records)
        except StopIteration:
            return
        except _BadRow as unreadable:  # nothing after it can be read
            faults.append(unreadable.fault)
            return
        try:
            yield _row(each, wanted, readers, copy, line, fields, raw)
        except _BadRow as bad_row:
            faults.append(bad_row.fault)
            if len(faults) >= most:
                return


class _BadRow(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


def _row(
    each: Object,
    wanted: list[Column],
    readers: list[Callable[[str], str]],
    copy: Copy,
    line: int,
    fields: list[str | None],
    raw: str,
) -> list[str]:
    options = copy.options
    if len(fields) < len(wanted) and options.get("fillrecord"):
        fields = [*fields, *([None] * (len(wanted) - len(fields)))]
    if len(fields) < len(wanted):
        column = wanted[len(fields)]
        raise _BadRow(Fault(each.uri, line, column, 1214, "Delimiter not found", raw))
    if len(fields) > len(wanted):
        raise _BadRow(Fault(each.uri, line, None, 1202, "Extra column(s) found", raw))
    made = []
    for value, column, read in zip(fields, wanted, readers, strict=True):
        try:
            value = _nulled(value, column, options)
            if value is None:
                if not column.nullable:
                    raise BadField(1213, "Missing data for not-null field")
                made.append(NULL)
                continue
            shown = read(value)
            made.append(shown)
        except BadField as bad:
            raise _BadRow(
                Fault(each.uri, line, column, bad.code, bad.reason, raw, value or "")
            ) from None
    return made


def _nulled(value: str | None, column: Column, options: dict[str, Any]) -> str | None:
    """What counts as NULL: NULL AS, EMPTYASNULL, BLANKSASNULL, and '' for all but text."""
    if value is None or value == options.get("null", NULL):
        return None
    if column.type.is_string:
        if value == "" and options.get("emptyasnull"):
            return None
        if options.get("blanksasnull") and value and not value.strip(" "):
            return None
        return value
    return value if value.strip() else None


def _bytes(each: Object, copy: Copy) -> bytes:
    data = each.path.read_bytes()
    if copy.options.get("gzip"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError):
            raise SqlError(f"The file {each.uri} is not in gzip format") from None
    return data


def _decoded(each: Object, copy: Copy) -> str:
    data = _bytes(each, copy)
    name = copy.options.get("encoding", "UTF8").upper()
    if name not in ("UTF8", "UTF16", "UTF16LE", "UTF16BE"):
        raise Unsupported(f"the COPY ENCODING {name}")
    if name != "UTF8":
        return data.decode({"UTF16": "utf-16"}.get(name, name.replace("UTF16", "utf-16-").lower()))
    data = data.removeprefix(codecs.BOM_UTF8)
    replacement = copy.options.get("acceptinvchars")
    if replacement is not None:
        return data.decode("utf-8", "replace").replace("\ufffd", replacement[:1])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        raise _BadRow(
            Fault(
                each.uri,
                line,
                None,
                1220,
                "String contains invalid or unsupported UTF8 codepoints. Bad UTF8 hex sequence:"
                f" {data[error.start : error.start + 1].hex()} (error 4)",
            )
        ) from None


def _delimited(each: Object, wanted: list[Column], copy: Copy) -> Iterator[Record]:
    options = copy.options
    is_csv = copy.format == "csv"
    mark = options.get("delimiter", "," if is_csv else "|")
    mark = {"\\t": "\t"}.get(mark, mark)
    if len(mark) != 1:
        raise Unsupported(f"the COPY DELIMITER {mark!r} of more than one character")
    skipped = int(options.get("ignoreheader", 0))
    lines = _decoded(each, copy).splitlines(keepends=True)
    if is_csv:
        rows: Iterator[list[str]] = csv.reader(
            lines, delimiter=mark, quotechar=options.get("quote", '"'), doublequote=True,
            strict=True,
        )  # fmt: skip
    else:
        rows = csv.reader(lines, delimiter=mark, quoting=csv.QUOTE_NONE)
    before = 0
    while True:
        try:
            fields = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise _BadRow(
                Fault(
                    each.uri, before + 1, None, 1212, f"Invalid quote formatting for CSV ({error})"
                )
            ) from None
        line = before + 1
        before = rows.line_num  # type: ignore[attr-defined]
        if line <= skipped:
            continue
        raw = "".join(lines[line - 1 : before]).rstrip("\r\n")
        if not raw or (not raw.strip() and options.get("ignoreblanklines")):
            continue
        if options.get("trimblanks"):
            fields = [field.rstrip(" ") for field in fields]
        yield line, list(fields), raw


def _json(each: Object, wanted: list[Column], copy: Copy) -> Iterator[Record]:
    """Objects one after another; their members go to the columns of the same name."""
    how = copy.options["json"].lower()
    if how not in ("auto", "auto ignorecase"):
        raise Unsupported(f"COPY JSON {copy.options['json']!r}", "Use 'auto'.")
    content = _decoded(each, copy)
    decoder = json.JSONDecoder(parse_float=str)
    at = line = 0
    while True:
        while at < len(content) and content[at] in " \t\r\n":
            at += 1
        if at >= len(content):
            return
        line = content.count("\n", 0, at) + 1
        try:
            item, end = decoder.raw_decode(content, at)
        except ValueError as error:
            raise _BadRow(Fault(each.uri, line, None, 1224, f"Invalid JSON: {error}")) from None
        raw = content[at:end]
        at = end
        if not isinstance(item, dict):
            raise _BadRow(Fault(each.uri, line, None, 1224, "Not a JSON object", raw))
        if how == "auto ignorecase":
            item = {key.lower(): value for key, value in item.items()}
        yield line, [_json_text(item.get(column.name)) for column in wanted], raw


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)


# -- fields --------------------------------------------------------------------------------


def _reader(column: Column, options: dict[str, Any]) -> Callable[[str], str]:
    """What makes a field the text that DuckDB casts to the column's type."""
    kind = column.type
    name = kind.name
    if kind.is_string:
        limit, cut = kind.a, bool(options.get("truncatecolumns"))
        fixed = name == "bpchar"

        def read_text(value: str) -> str:
            if fixed:
                value = value.rstrip(" ")
            data = value.encode()
            if len(data) <= limit:
                return value
            if len(value.rstrip(" ").encode()) <= limit or cut:
                return data[:limit].decode("utf-8", "ignore")
            raise BadField(1204, "String length exceeds DDL length")

        return read_text
    if name in INTEGER_BITS:
        bits = INTEGER_BITS[name]

        def read_integer(value: str) -> str:
            value = value.strip()
            digits = value[1:] if value[:1] in "+-" else value
            if not (digits.isascii() and digits.isdigit()):
                label = {"int2": "Short", "int4": "Integer", "int8": "Long"}[name]
                at = next((i for i, c in enumerate(digits) if not c.isdigit()), 0)
                raise BadField(
                    1207, f"Invalid digit, Value '{digits[at : at + 1]}', Pos {at}, Type: {label}"
                )
            if not -(2**bits) <= int(value) < 2**bits:
                raise BadField(1216, f"Overflow for {column.type}")
            return str(int(value))

        return read_integer
    if name == "numeric":
        return lambda value: _numeric(value.strip(), kind.a, kind.b)
    if name in ("float4", "float8"):
        return _float
    if name == "bool":
        return _boolean
    if name == "date":
        return _moment_reader(str(options.get("dateformat", "YYYY-MM-DD")), options, only_date=True)
    if name in ("timestamp", "timestamptz"):
        return _moment_reader(
            str(options.get("timeformat", "YYYY-MM-DD HH:MI:SS")), options, only_date=False
        )
    raise Unsupported(f"COPY of text into a column of type {kind}")


def _numeric(value: str, precision: int, scale: int) -> str:
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise BadField(1207, f"Invalid digit, Value '{value[:1]}', Pos 0, Type: Decimal") from None
    if not number.is_finite():
        raise BadField(1207, f"Invalid digit, Value '{value[:1]}', Pos 0, Type: Decimal")
    whole = abs(int(number))
    if whole >= 10 ** (precision - scale):
        raise BadField(1209, "Numeric data overflow (result precision)")
    return format(number, "f")


def _float(value: str) -> str:
    try:
        return repr(float(value))
    except ValueError:
        raise BadField(1207, f"Invalid digit, Value '{value[:1]}', Pos 0, Type: Double") from None


def _boolean(value: str) -> str:
    word = value.strip().lower()
    if word in _TRUE:
        return "true"
    if word in _FALSE:
        return "false"
    raise BadField(1210, "Unknown boolean format")


def _moment_reader(pattern: str, options: dict[str, Any], only_date: bool) -> Callable[[str], str]:
    word = pattern.lower()
    reason = "Invalid Date Format - length must be 10 or more" if only_date else "Invalid timestamp"
    code = 1205 if only_date else 1206

    def shown(moment: datetime) -> str:
        return moment.date().isoformat() if only_date else moment.isoformat(sep=" ")

    def failed(value: str) -> str:
        if options.get("acceptanydate"):
            return NULL
        raise BadField(code, f"{reason}: {value!r} is not {pattern}")

    if word in ("epochsecs", "epochmillisecs"):
        unit = 1 if word == "epochsecs" else 1000

        def read_epoch(value: str) -> str:
            try:
                moment = datetime.fromtimestamp(float(value) / unit, UTC).replace(tzinfo=None)
            except (ValueError, OverflowError, OSError):
                return failed(value)
            return shown(moment)

        return read_epoch
    if word == "auto" or pattern.upper() in ("YYYY-MM-DD", "YYYY-MM-DD HH:MI:SS"):

        def read_iso(value: str) -> str:
            value = value.strip()
            try:
                if only_date:
                    return date.fromisoformat(value[:10]).isoformat()
                return shown(datetime.fromisoformat(value).replace(tzinfo=None))
            except ValueError:
                return failed(value)

        return read_iso
    made = _strptime(pattern)

    def read_formatted(value: str) -> str:
        try:
            return shown(datetime.strptime(value.strip(), made))
        except ValueError:
            return failed(value)

    return read_formatted


def _strptime(pattern: str) -> str:
    """A DATEFORMAT or TIMEFORMAT as Python's strptime has it; HH is 24 hours without AM or PM."""
    parts = formats.split(pattern)
    half = any(value in ("AM", "PM", "am", "pm") for kind, value in parts if kind == "element")
    known = {
        "YYYY": "%Y", "YY": "%y", "MM": "%m", "DD": "%d", "HH24": "%H", "MI": "%M", "SS": "%S",
        "HH": "%I" if half else "%H", "HH12": "%I", "MON": "%b", "Mon": "%b", "AM": "%p",
        "PM": "%p", "am": "%p", "pm": "%p", "US": "%f", "DDD": "%j",
    }  # fmt: skip
    made = ""
    for kind, value in parts:
        if kind == "text":
            made += value.replace("%", "%%")
        elif kind == "element":
            if value not in known:
                raise Unsupported(f"the format element {value} of COPY")
            made += known[value]
    return made
