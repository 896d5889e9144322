"""Delivered lines as rows: split by the contract, typed, checked; a CSV file as numbered lines.

Columns are found by a CSV file's header, in whatever order it has them, and by the keys of a JSON
object. What the contract does not
know is kept aside as JSON, and an optional column that is not there is null.

A row of the file is a line; a quoted field cannot hold a line break. Nothing is dropped: a row that
breaks a rule of severity `error` comes out with `_rule` set, and goes to quarantine.

What a contract asks for is put into Spark SQL expressions as text, not into Column objects: those
cost a call into the JVM for every operator, which on a small night is most of the job's time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from madrugada_spark import privacy
from madrugada_spark.contract import JSON_LINES, Column, Dataset, Rule
from madrugada_spark.json_lines import BLANK, FILE, FILE_LINE, NO_OBJECT, field, split_json

EMPTY_ROW = "empty_row"
MALFORMED_ROW = "malformed_row"
DUPLICATE_KEY = "duplicate_key"
BADLY_QUOTED = "a quoted field does not end in its line, or something stands beside its quotes"
MOST_FIELDS = 2000
SHOWN = 100
# So few values that are not of their type are mistakes in rows, whatever their share.
FEWEST_OF_A_CHANGED_TYPE = 5
# Rejected lines are found again by their number modulo this: no task holds more of them.
PLACES = 1 << 18
# Spark never cuts a file that is not bigger than this (spark.sql.files.openCostInBytes).
ONE_BLOCK = 4 << 20

# Columns beside the contract's own, until rows are written.
LINE, RAW, RULE, WARNINGS, RESCUED = "_line", "_raw", "_rule", "_warnings", "_rescued"
COLUMN, REASON = "_column", "_reason"
_DATE_SHAPES = {"yyyy": "[0-9]{4}", "MM": "[0-9]{2}", "dd": "[0-9]{2}"}
_DATE_SHAPES |= {"M": "[0-9]{1,2}", "d": "[0-9]{1,2}"}
_FIXED_DATES = ("yyyy-MM-dd", "dd/MM/yyyy", "MM/dd/yyyy")


def numbered_lines(spark: SparkSession, uri: str, size: int) -> DataFrame:
    """The lines of one file: `_line` (bigint, from 1) and `_raw` (string, without CR).

    Line numbers are exact however many tasks read the file: lines are numbered within each block,
    and for a file of more than one block the lines of each block are counted first.

    :param size: bytes of the file.
    """
    lines = spark.read.option("lineSep", "\n").text(uri)
    raw = f"trim(trailing '\r' from value) as {RAW}"
    if size <= ONE_BLOCK:
        return lines.selectExpr(f"monotonically_increasing_id() + 1 as {LINE}", raw)
    lines = lines.selectExpr(
        "value",
        "monotonically_increasing_id() as position",
        "_metadata.file_block_start as block",
    )
    blocks = (
        lines.groupBy("block")
        .agg(F.count("*").alias("lines"), F.min("position").alias("first"))
        .orderBy("block")
        .collect()
    )
    shifts, before = [], 0
    for block in blocks:
        shifts.append((block["block"], before - block["first"] + 1))
        before += block["lines"]
    shift = spark.createDataFrame(shifts, "block bigint, shift bigint")
    return lines.join(F.broadcast(shift), "block").selectExpr(f"position + shift as {LINE}", raw)


def checked_rows(
    lines: DataFrame,
    dataset: Dataset,
    header: Sequence[str] | None = None,
    day: date | None = None,
) -> DataFrame:
    """Parses and checks numbered lines, a CSV file's header among them.

    :param lines: `_line`, `_raw`; of JSON lines also the other columns of `numbered_objects`, and
        `_salt` where a column is hashed.
    :param header: the file's columns in their order; the contract's unless given. Those that the
        contract does not know are not checked.
    :param day: when the lines were delivered, for contracts that ask.
    :returns: the contract's columns, typed; `_line`, `_raw`; `_rule`, the first `error` rule that
        the row breaks, null when none; `_warnings`, ids of broken `warn` rules joined with `;`,
        else null; `_rescued`, the values of unknown columns that are not blank, as JSON text by
        header, null when there is none; and `_text_<column>`, what stood in the file. One row for
        each line after the header.
    """
    keep = [name for name in (LINE, RAW, FILE, FILE_LINE, privacy.SALT) if name in lines.columns]
    if dataset.file_format == JSON_LINES:
        texts = {
            _text_of(column): _text(field(str(column.header)), column)
            for column in dataset.delivered_columns
        }
        split = split_json(lines, dataset, keep, texts)
    else:
        split = _split_csv(lines, dataset, dataset.headers if header is None else header, keep)
    typed = split.selectExpr(
        "*", *(f"{_typed(c, day)} as {_name(c.name)}" for c in dataset.columns)
    )
    errors = [(EMPTY_ROW, "_empty"), (MALFORMED_ROW, "_malformed")]
    warnings = []
    for rule in dataset.rules:
        if rule.severity == "error":
            errors.append((rule.id, _broken(rule, dataset, day)))
        elif rule.kind != "reference":
            warnings.append(f"if({_broken(rule, dataset, day)}, {_literal(rule.id)}, null)")
    cases = " ".join(f"when {test} then {_literal(rule)}" for rule, test in errors)
    # Whoever filters by `_rule` must not have the filter pushed below the projections, where Spark
    # would parse the line again for each column that a rule looks at; it never pushes a filter
    # through an expression that is not deterministic.
    return typed.selectExpr(
        *(_name(name) for name in dataset.column_names),
        *(name for name in keep if name != privacy.SALT),
        f"case {cases} when spark_partition_id() < 0 then '' end as {RULE}",
        f"nullif(concat_ws(';', {', '.join(warnings)}), '') as {WARNINGS}"
        if warnings
        else f"cast(null as string) as {WARNINGS}",
        f"{privacy.masked(RESCUED, dataset.private_columns)} as {RESCUED}"
        if dataset.private_columns
        else RESCUED,
        *(_text_of(column) for column in dataset.delivered_columns),
    )


def _split_csv(
    lines: DataFrame, dataset: Dataset, header: Sequence[str], keep: Sequence[str]
) -> DataFrame:
    """Takes each line of a CSV file apart, in the shape of `split_json`."""
    separator = str(dataset.delimiter)
    fields = [f"f{i}" for i in range(len(header))]
    places = dict(zip(header, (f"_fields.{field}" for field in fields), strict=True))
    schema = ", ".join(f"{name} string" for name in (*fields, "corrupt"))
    delimiter = _literal(separator)
    options = {
        "sep": separator,
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": "corrupt",
        "escape": '"',
        "maxCharsPerColumn": "-1",
    }
    if dataset.null_text is not None:
        options["nullValue"] = dataset.null_text
    pairs = ", ".join(_literal(part) for pair in options.items() for part in pair)
    # The parser throws at a line of very many fields instead of calling it corrupt.
    too_many = (
        f"length({RAW}) > {MOST_FIELDS} and "
        f"length({RAW}) - length(replace({RAW}, {delimiter})) > {MOST_FIELDS}"
    )
    split = lines.where(f"{LINE} > 1").selectExpr(
        *keep,
        f"from_csv(if({too_many}, null, {RAW}), '{schema}', map({pairs})) as _fields",
    )
    # Steps of their own, so that each text is taken from the line once and not for every rule.
    return split.selectExpr(
        *keep,
        f"trim(replace({RAW}, {delimiter})) = '' as _empty",
        "_fields is null or _fields.corrupt is not null or "
        f"{_badly_quoted(separator)} as _malformed",
        *(
            f"{_text(places.get(str(column.header)), column)} as {_text_of(column)}"
            for column in dataset.delivered_columns
        ),
        f"{_rescued({name: places[name] for name in dataset.new_columns(header)})} as {RESCUED}",
    )


def accepted(rows: DataFrame) -> DataFrame:
    """The rows that broke no `error` rule; keys may still be there twice."""
    return rows.where(f"{RULE} is null")


def broken_places() -> str:
    """An aggregate over checked rows: the places of those that broke an `error` rule, as text."""
    place = f"if({RULE} is null, null, cast({LINE} % {PLACES} as string))"
    return f"array_join(collect_set({place}), ',')"


def at_places(lines: DataFrame, places: str) -> DataFrame:
    """The lines at those places: all that broke a rule, and few others.

    To take a line apart costs many times what it costs to read it, and few lines are broken.

    :param places: what `broken_places` gave, not empty.
    """
    numbers = [(int(place),) for place in places.split(",")]
    found = lines.sparkSession.createDataFrame(numbers, "place bigint")
    return lines.join(F.broadcast(found), F.expr(f"{LINE} % {PLACES} = place"), "left_semi")


def rejected(rows: DataFrame, dataset: Dataset, header: Sequence[str] | None = None) -> DataFrame:
    """The rows that broke an `error` rule: `_line`, `_raw`, `_rule`, `_column`, `_reason`.

    Of a delivery in several files also `_file`, and `_line` is the line in that file. Personal data
    is masked in `_raw`.

    :param header: as for `checked_rows`.
    """
    if dataset.file_format == JSON_LINES:
        reasons = {EMPTY_ROW: _literal(BLANK), MALFORMED_ROW: _literal(NO_OBJECT)}
    else:
        reasons = _reasons_of_csv(dataset, dataset.headers if header is None else header)
    columns = {}
    for rule in dataset.rules:
        if rule.severity == "error":
            reasons[rule.id] = _reason(rule, dataset)
            columns[rule.id] = rule.column or ",".join(rule.parameters["columns"])
    reason = " ".join(f"when {_literal(rule)} then {text}" for rule, text in reasons.items())
    column = " ".join(f"when {_literal(rule)} then {_literal(c)}" for rule, c in columns.items())
    private = dataset.private_columns
    return rows.where(f"{RULE} is not null").selectExpr(
        *((FILE, f"{FILE_LINE} as {LINE}") if FILE in rows.columns else (LINE,)),
        f"{privacy.masked(RAW, private)} as {RAW}" if private else RAW,
        RULE,
        f"case {RULE} {column} end as {COLUMN}",
        f"case {RULE} {reason} end as {REASON}",
    )


def _reasons_of_csv(dataset: Dataset, header: Sequence[str]) -> dict[str, str]:
    separator = str(dataset.delimiter)
    found = f"size(split({RAW}, {_literal(re.escape(separator))}, {MOST_FIELDS}))"
    fields = f"expected {len(header)} fields separated by {separator!r}, found "
    return {
        EMPTY_ROW: "'the line holds separators alone'",
        MALFORMED_ROW: f"if({_badly_quoted(separator)}, {_literal(BADLY_QUOTED)}, "
        f"concat({_literal(fields)}, {found}))",
    }


def duplicates(rows: DataFrame, dataset: Dataset) -> DataFrame:
    """Accepted rows whose key comes again further down, in the shape of `rejected`."""
    keys = ", ".join(_name(name) for name in dataset.key)
    shown = ", ".join(f"cast({_name(name)} as string)" for name in dataset.key)
    return (
        accepted(rows)
        .selectExpr("*", f"max({LINE}) over (partition by {keys}) as _last")
        .where(f"{LINE} < _last")
        .selectExpr(
            LINE,
            RAW,
            f"{_literal(DUPLICATE_KEY)} as {RULE}",
            f"{_literal(','.join(dataset.key))} as {COLUMN}",
            f"concat({_literal(', '.join(dataset.key) + ' ')}, concat_ws(', ', {shown}), "
            f"' is also in line ', _last, '; the last line counts') as {REASON}",
        )
    )


def changed_types(
    rows: DataFrame, dataset: Dataset, delivered: int, quarantined: Mapping[str, int]
) -> list[str]:
    """Sentences on columns whose values are no longer of their contract's type, in this file.

    A column has changed its type when more than half of its values, and at least
    `FEWEST_OF_A_CHANGED_TYPE`, do not parse; values are those that are not blank, in lines with as
    many fields as the header. Fewer are mistakes in rows, which quarantine takes.

    Whether it may be so is told by the counts of quarantined rows alone, so that a file in order is
    not read for this. A row is counted for the first rule that it breaks; so a column is looked at
    when its rows could be more than half of those that no other rule took, or, if it may be blank,
    when there are enough of them. Then the file is read once more for all columns' exact figures.

    :param rows: of `checked_rows`.
    :param delivered: the file's rows.
    :param quarantined: its quarantined rows by rule.
    """
    typed = [rule for rule in dataset.rules if rule.kind == "type" and rule.severity == "error"]
    others = sum(quarantined.values())
    doubtful = False
    for rule in typed:
        count = quarantined.get(rule.id, 0)
        if count < FEWEST_OF_A_CHANGED_TYPE:
            continue
        may_be_blank = dataset.column(str(rule.column)).header not in dataset.required_headers
        doubtful |= may_be_blank or 2 * count > delivered - (others - count)
    if not doubtful:
        return []
    figures = rows.where(f"{RULE} is null or {RULE} not in ('{EMPTY_ROW}', '{MALFORMED_ROW}')")
    found = figures.selectExpr(
        *(
            part
            for n, column in enumerate(dataset.column(str(rule.column)) for rule in typed)
            for part in (
                f"count({_text_of(column)}) as filled_{n}",
                f"count_if({_wrong_type(column)}) as wrong_{n}",
                f"min_by(substring({_text_of(column)}, 1, {SHOWN}), {LINE}) "
                f"filter (where {_wrong_type(column)}) as example_{n}",
            )
        )
    ).first()
    assert found is not None
    sentences = []
    for n, rule in enumerate(typed):
        filled, wrong = found[f"filled_{n}"], found[f"wrong_{n}"]
        if wrong >= FEWEST_OF_A_CHANGED_TYPE and 2 * wrong > filled:
            said = no_longer(dataset.column(str(rule.column)), wrong, filled - wrong)
            sentences.append(f"{said}, such as {found[f'example_{n}']!r}")
    return sentences


def no_longer(column: Column, wrong: int, right: int) -> str:
    """The sentence on a column of which so many values are not of its type, and so many are."""
    return (
        f"column {column.header} no longer looks like {_wanted(column)}: {wrong} of "
        f"{wrong + right} values do not parse"
    )


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _name(column: str) -> str:
    return f"`{column}`"


def _rescued(unknown: dict[str, str]) -> str:
    """Fields by header as one JSON object of those that are not blank, null when all are."""
    if not unknown:
        return "cast(null as string)"
    pairs = [
        f"{_foreign(name)}, if(trim({field}) = '', null, {field})"
        for name, field in unknown.items()
    ]
    return f"nullif(to_json(named_struct({', '.join(pairs)})), '{{}}')"


def _foreign(text: str) -> str:
    """A literal of text from a file, in which no character can mean anything to the parser."""
    return (
        "'" + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in text) + "'"
    )


def _text_of(column: Column) -> str:
    return f"`_text_{column.name}`"


def _text(field: str | None, column: Column) -> str:
    """A field's text, null when blank or not there; blanks around it stay only in strings."""
    if field is None:
        return "cast(null as string)"
    if column.type == "string":
        return f"if(trim({field}) = '', null, {field})"
    return f"nullif(trim({field}), '')"


def _badly_quoted(delimiter: str) -> str:
    """When a line's quotes do not pair: the parser would take half a field for the whole of it.

    No repetition gives back what it took, so that a long field takes no stack.
    """
    sign = re.escape(delimiter)
    field = f'(?:[^"{sign}][^{sign}]*+|"[^"]*+(?:""[^"]*+)*+")?+'
    shape = f"^{field}(?:{sign}{field})*+\\z"
    return f"(instr({RAW}, '\"') > 0 and not {RAW} rlike {_literal(shape)})"


def _typed(column: Column, day: date | None) -> str:
    """The value, null where the text is not exactly of the contract's type."""
    if column.value_of is not None:
        assert day is not None
        return f"date'{day}'"
    kind, text = column.type, _text_of(column)
    if column.privacy is not None:
        change = {privacy.HASH: privacy.hashed, privacy.TRUNCATE: privacy.truncated_ip}
        return change[column.privacy](text)
    if kind == "string":
        return text
    if kind == "boolean":
        true, false = _literal(str(column.true_value)), _literal(str(column.false_value))
        return f"case {text} when {true} then true when {false} then false end"
    if kind in ("int", "bigint"):
        # The cast takes an optional sign and digits, decimals, which it would cut off, and
        # control characters around them, which are none of the characters from + to 9.
        ends = f"{text} >= '+' and {text} < ':' and substring({text}, -1) between '0' and '9'"
        return f"if(instr({text}, '.') = 0 and {ends}, cast({text} as {kind}), null)"
    if kind == "date" and str(column.format) in _FIXED_DATES:
        return _fixed_date(text, str(column.format))
    if kind == "timestamp":
        return _fixed_timestamp(text, str(column.format))
    if kind.startswith("decimal"):
        precision, scale = (int(n) for n in re.findall(r"\d+", kind))
        decimals = f"([.][0-9]{{1,{scale}}})?" if scale else ""
        shape = f"[+-]?[0-9]{{1,{max(1, precision - scale)}}}{decimals}"
        value = f"cast({text} as {kind})"
    elif kind == "double":
        shape = "[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]{1,3})?"
        value = f"cast({text} as double)"
    elif kind == "date":
        pattern = str(column.format)
        shape = re.sub("yyyy|MM|dd|M|d", lambda part: _DATE_SHAPES[part[0]], pattern)
        value = f"to_date({text}, '{pattern}')"
    else:
        raise AssertionError(f"no rule to type {kind}")
    return f"if({text} rlike '^{shape}\\\\z', {value}, null)"


def _fixed_date(text: str, pattern: str) -> str:
    """A date whose parts have fixed places, several times cheaper than `to_date` by a pattern.

    Exactly the pattern's separators in their places and digits in all others; the cast then refuses
    what is no day of the calendar.
    """
    places = {part: pattern.index(part) + 1 for part in ("yyyy", "MM", "dd")}
    parts = [f"substring({text}, {place}, {len(part)})" for part, place in places.items()]
    separators = [(n, c) for n, c in enumerate(pattern, 1) if not c.isalpha()]
    tests = [f"length({text}) = {len(pattern)}"]
    tests += [f"substring({text}, {place}, 1) = '{sign}'" for place, sign in separators]
    tests.append(f"length(translate({text}, '0123456789', '')) = {len(separators)}")
    return f"if({' and '.join(tests)}, cast(concat_ws('-', {', '.join(parts)}) as date), null)"


def _fixed_timestamp(text: str, pattern: str) -> str:
    """A timestamp in UTC whose parts have fixed places, in the order that the cast reads."""
    separators = [(n, c) for n, c in enumerate(pattern, 1) if not c.isalpha()]
    tests = [f"length({text}) = {len(pattern)}"]
    tests += [f"substring({text}, {place}, 1) = '{sign}'" for place, sign in separators]
    tests.append(f"length(translate({text}, '0123456789', '')) = {len(separators)}")
    return f"if({' and '.join(tests)}, cast({text} as timestamp), null)"


def _broken(rule: Rule, dataset: Dataset, day: date | None) -> str:
    """When a row breaks a rule; null counts as not broken."""
    if rule.kind == "product_maximum":
        product = " * ".join(_name(name) for name in rule.parameters["columns"])
        return f"{product} > {rule.parameters['value']}"
    column = dataset.column(str(rule.column))
    text, value = _text_of(column), _name(column.name)
    if rule.kind == "required":
        return f"{text} is null"
    if rule.kind == "type":
        return _wrong_type(column)
    if rule.kind == "max_bytes":
        return f"octet_length({text}) > {int(rule.parameters['value'])}"
    if rule.kind in ("minimum", "maximum"):
        sign = "<" if rule.kind == "minimum" else ">"
        limit = rule.parameters["value"]
        literal = column.type in ("date", "timestamp")
        return f"{value} {sign} " + (f"{column.type}'{limit}'" if literal else limit)
    if rule.kind == "days_after_delivery":
        assert day is not None
        return f"cast({value} as date) > date_add(date'{day}', {int(rule.parameters['value'])})"
    if rule.kind == "allowed":
        values = ", ".join(_literal(v) for v in rule.parameters["values"])
        return f"{text} not in ({values})"
    raise AssertionError(f"rule {rule.id}: no such kind: {rule.kind}")


def _wrong_type(column: Column) -> str:
    return f"{_text_of(column)} is not null and {_name(column.name)} is null"


def _wanted(column: Column) -> str:
    if column.type in ("date", "timestamp"):
        return f"a {column.type} as {column.format}"
    if column.privacy == privacy.TRUNCATE:
        return "an IP address"
    if column.type == "boolean":
        return f"{column.true_value} or {column.false_value}"
    return column.type


def _reason(rule: Rule, dataset: Dataset) -> str:
    """The sentence that says how a row breaks a rule, as an expression."""
    if rule.kind == "product_maximum":
        names = " * ".join(rule.parameters["columns"])
        return _literal(f"{names} is more than {rule.parameters['value']}")
    column = dataset.column(str(rule.column))
    wanted = _wanted(column)
    if rule.kind == "required":
        return _literal(f"{column.name} is empty, expected {wanted}")
    if rule.kind == "max_bytes":
        size, most = f"octet_length({_text_of(column)})", rule.parameters["value"]
        tail = f" bytes in UTF-8, expected at most {most}"
        return f"concat({_literal(f'{column.name} has ')}, {size}, {_literal(tail)})"
    expected = {
        "type": lambda: wanted,
        "minimum": lambda: f"at least {rule.parameters['value']}",
        "maximum": lambda: f"at most {rule.parameters['value']}",
        "allowed": lambda: f"one of {', '.join(rule.parameters['values'])}",
        "days_after_delivery": lambda: (
            f"at most {rule.parameters['value']} days after it was delivered"
        ),
    }[rule.kind]()
    if column.privacy is not None:
        return _literal(f"{column.name}: expected {expected}")
    opening = _literal(f"{column.name} is '")
    return (
        f"concat({opening}, substring({_text_of(column)}, 1, {SHOWN}), "
        f"{_literal(chr(39) + ', expected ' + expected)})"
    )
