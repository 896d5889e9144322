"""Loads the dataset contracts and compiles them into what the engines read.

A contract is one YAML file in the Open Data Contract Standard v3 (https://bitol-io.github.io/
open-data-contract-standard/). Lambda and Glue have no YAML reader, so `compile_contracts` turns all
of them into one JSON document, which is deployed as `s3://<artifacts>/contracts/contracts.json`:

    {"format": 1,
     "sources":  {"<source>": ["<dataset>", ...]},
     "streams":  {"<source>": ["<dataset>", ...]},
     "fetched":  {"<source>": ["<dataset>", ...]},
     "datasets": {"<dataset>": {name, source, file_name, file_format, delimiter, encoding, key,
                                null_text, bronze_key, columns, rules, duplicates,
                                max_quarantined_percent, min_rows, description, owner, frequency,
                                latency, partition, glue_columns}},
     "gold":     {"<table>": {name, built_from, key, columns, glue_columns, description,
                                owner, partition}}}

`sources` deliver files (`file_format` is `csv`); `streams` arrive all day long as compressed
objects of JSON lines (`jsonl`), straight in bronze; `fetched` are brought by a function of their
own, as one file of JSON lines a day. `bronze_key` is where that file or those objects are in
bronze, with `{delivery_date}` or `{year}`, `{month}` and `{day}` in it. `duplicates` is
`quarantined`, or `counted` where they are a matter of course: because delivery is at least once, or
because a file has several rows for what silver has one of.

`partition` is `{"column": "<date column>", "by": "month" or "day"}`, or null where files are in no
folders.

`python -m include.contracts.compile` prints that document; `--out FILE` writes it.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

CONTRACTS_FOLDER = Path(__file__).resolve().parent
FORMAT = 1

SEVERITIES = ("error", "warn")
DATE_FORMATS = ("yyyy-MM-dd", "dd/MM/yyyy", "MM/dd/yyyy", "M/d/yyyy", "d/M/yyyy")
LOGICAL_TYPES = {
    "int": "integer",
    "bigint": "integer",
    "varchar": "string",
    "decimal": "number",
    "double": "number",
    "date": "date",
    "boolean": "boolean",
    "timestamp": "timestamp",
}
TIMESTAMP_FORMATS = ("yyyy-MM-dd HH:mm:ss.SSSSSS",)
# What is done to personal data before it is written, and the type that the column has then.
PRIVACY = {"hash_with_salt": "varchar(64)", "truncate_ip": "varchar(45)"}
COLUMN_PROPERTIES = (
    "trueValue",
    "falseValue",
    "partitionBy",
    "privacy",
    "typeSeverity",
    "valueOf",
    "inSilver",
)
PARTITIONS = ("month", "day")
# What tells a file's day in its place in bronze; one of the two.
_DAY_IN_KEY = ("{delivery_date}", "{year}/{month}/{day}")
# What every silver table has after its contract's own columns.
SILVER_EXTRA = (("ingest_date", "date"), ("warnings", "string"), ("rescued_data", "string"))

# Both are safe loaders; the one in C takes a tenth of the time.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_VARCHAR = re.compile(r"varchar\((\d{1,5})\)")
_DECIMAL = re.compile(r"decimal\((\d{1,2}),(\d{1,2})\)")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class ContractError(ValueError):
    """A contract is wrong; the message names the file, the field and what was expected."""


@dataclass(frozen=True)
class Column:
    """One column: `name` in every table, `header` in the source file (None in gold)."""

    name: str
    header: str | None
    physical_type: str
    required: bool
    format: str | None = None
    true_value: str | None = None
    false_value: str | None = None
    description: str = ""
    privacy: str | None = None
    """What is done to the value before it is written: a key of `PRIVACY`; None for nothing."""
    value_of: str | None = None
    """`delivery_date` for a column that no file has: the day on which the row was delivered."""
    in_silver: bool = True
    """Whether silver has it; a column that is known and wanted by nobody stays in bronze."""

    @property
    def glue_type(self) -> str:
        """The type in the Glue Data Catalog, as Athena writes it."""
        return "string" if self.physical_type.startswith("varchar") else self.physical_type

    @property
    def redshift_type(self) -> str:
        """The type in Redshift DDL."""
        return "double precision" if self.physical_type == "double" else self.physical_type


@dataclass(frozen=True)
class Rule:
    """One check of a row. `error` sends the row to quarantine, `warn` keeps it and counts it."""

    id: str
    kind: str
    severity: str
    column: str | None
    parameters: dict[str, Any] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True)
class Partition:
    """The date column by whose months or days a version's files are kept apart."""

    column: str
    by: str


@dataclass(frozen=True)
class Contract:
    """One dataset (layer `silver`, from a delivered file) or one gold table."""

    name: str
    layer: str
    description: str
    owner: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    data_product: str = ""
    """The pipeline that it is of."""
    rules: tuple[Rule, ...] = ()
    source: str | None = None
    built_from: tuple[str, ...] = ()
    file_name: str | None = None
    file_format: str = "csv"
    duplicates: str = "quarantined"
    bronze_key: str | None = None
    delimiter: str | None = None
    null_text: str | None = None
    encoding: str | None = None
    max_quarantined_percent: float | None = None
    min_rows: int = 0
    frequency: str | None = None
    latency: str | None = None
    partition: Partition | None = None

    @property
    def arrives_all_day(self) -> bool:
        """Whether its objects come all day long, under names that nobody knows before."""
        return "{hour}" in str(self.bronze_key)

    def glue_columns(self) -> list[dict[str, str]]:
        """Columns in order as Glue's TableInput wants them, silver's own columns included."""
        columns = [{"Name": c.name, "Type": c.glue_type} for c in self.columns if c.in_silver]
        if self.layer == "silver":
            columns += [{"Name": name, "Type": kind} for name, kind in SILVER_EXTRA]
        return columns

    def redshift_columns(self) -> list[tuple[str, str]]:
        """(name, type) in order; COPY from Parquet is positional, so order is part of the contract.

        https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html
        """
        return [(c.name, c.redshift_type) for c in self.columns]

    def redshift_ddl(self, schema: str = "sales_schema") -> str:
        """`create table if not exists` for the warehouse, one column a line, no semicolon."""
        required = {c.name for c in self.columns if c.required}
        lines = [
            f"    {name} {kind}{' not null' if name in required else ''}"
            for name, kind in self.redshift_columns()
        ]
        lines.append(f"    primary key ({', '.join(self.key)})")
        body = ",\n".join(lines)
        return f"create table if not exists {schema}.{self.name} (\n{body}\n)"

    def athena_ddl(self) -> str:
        """`create external table if not exists`, empty until a night publishes into it.

        Its location is a folder of the layer's bucket, a template's parameter, where no job writes.
        """
        columns = self.glue_columns()
        body = ",\n".join(f"    {column['Name']} {column['Type']}" for column in columns)
        return (
            f"create external table if not exists madrugada_{self.layer}.{self.name} (\n{body}\n)\n"
            "stored as parquet\n"
            f"location 's3://{{{{ params.{self.layer}_bucket }}}}/{self.name}/empty/'"
        )

    def athena_bronze_ddl(self) -> str:
        """`create external table if not exists` over the files as they are, all columns as text.

        For files that no crawler goes through; each day is a partition, `athena_bronze_day`.
        """
        columns = [str(column.header).lower() for column in self.columns if column.header]
        body = ",\n".join(f"    {name} string" for name in columns)
        if self.file_format == "csv":
            rows = f"row format delimited fields terminated by '{self.delimiter}'\n"
            rows += "stored as textfile\n"
            properties = "\ntblproperties ('skip.header.line.count' = '1')"
        else:
            rows = "row format serde 'org.openx.data.jsonserde.JsonSerDe'\n"
            rows += "with serdeproperties ('ignore.malformed.json' = 'true')\n"
            properties = ""
        folder = str(self.bronze_key).partition("{")[0]
        return (
            f"create external table if not exists madrugada_bronze.{self.name} (\n{body}\n)\n"
            f"partitioned by (ingest_date string)\n{rows}"
            f"location 's3://{{{{ params.bronze_bucket }}}}/{folder}'{properties}"
        )

    def athena_bronze_day(self) -> str:
        """The partition of the night's delivery, wherever bronze has it."""
        folder = str(self.bronze_key).rpartition("/")[0]
        day = "ti.xcom_pull(task_ids='plan_night').delivery_date"
        for written, text in zip(_DAY_IN_KEY, ("day", "day | replace('-', '/')"), strict=True):
            folder = folder.replace(written, f"{{{{ {text} }}}}")
        return (
            f"{{%- set day = {day} -%}}\n"
            f"alter table madrugada_bronze.{self.name} add if not exists\n"
            "partition (ingest_date = '{{ day }}')\n"
            f"location 's3://{{{{ params.bronze_bucket }}}}/{folder}/'"
        )


class _Reader:
    """Walks one parsed YAML file and words every mistake with its file and field."""

    def __init__(self, path: Path, document: Any) -> None:
        self.path = path
        if not isinstance(document, dict):
            raise ContractError(f"{path}: expected a mapping (an ODCS v3 contract), found none")
        self.document: dict[str, Any] = document

    def fail(self, where: str, expected: str) -> ContractError:
        return ContractError(f"{self.path}: {where}: {expected}")

    def get(self, node: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
        value = node.get(key)
        if not isinstance(value, kind) or value in ("", [], {}):
            raise self.fail(
                f"{where}.{key}".lstrip("."), f"expected a {kind.__name__}, found {value!r}"
            )
        return value

    def custom(self, node: Mapping[str, Any], where: str, allowed: Iterable[str]) -> dict[str, Any]:
        allowed = tuple(allowed)
        result: dict[str, Any] = {}
        for entry in node.get("customProperties") or []:
            name = entry.get("property")
            if name not in allowed:
                raise self.fail(
                    f"{where}.customProperties".lstrip("."),
                    f"unknown property {name!r}; known here: {', '.join(allowed)}",
                )
            result[name] = entry.get("value")
        return result

    def severity(self, value: Any, where: str) -> str:
        if value not in SEVERITIES:
            raise self.fail(f"{where}.severity", f"expected error or warn, found {value!r}")
        return value


def load_contract(path: Path | str) -> Contract:
    """Reads one contract file.

    :raises ContractError: naming the file, the field and what was expected.
    """
    path = Path(path)
    try:
        return _contract(path)
    except (AttributeError, TypeError) as error:
        raise ContractError(f"{path}: not shaped as an ODCS v3 contract: {error}") from error


def _contract(path: Path) -> Contract:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ContractError(f"{path}: not readable as YAML in UTF-8: {error}") from error
    reader = _Reader(path, document)
    root = reader.document
    if root.get("kind") != "DataContract":
        raise reader.fail("kind", f"expected DataContract, found {root.get('kind')!r}")
    if not str(root.get("apiVersion", "")).startswith("v3."):
        raise reader.fail("apiVersion", f"expected v3.x, found {root.get('apiVersion')!r}")
    name = reader.get(root, "name", str, "")
    if not _NAME.fullmatch(name):
        raise reader.fail("name", f"expected lower case letters, digits and _, found {name!r}")
    if path.stem != name:
        raise reader.fail("name", f"expected {path.stem!r}, the name of its file, found {name!r}")
    custom = reader.custom(
        root,
        "",
        (
            "layer",
            "source",
            "encoding",
            "maxQuarantinedPercent",
            "builtFrom",
            "duplicates",
            "nullText",
        ),
    )
    layer = custom.get("layer")
    if layer not in ("silver", "gold"):
        raise reader.fail("customProperties.layer", f"expected silver or gold, found {layer!r}")
    schemas = reader.get(root, "schema", list, "")
    if len(schemas) != 1 or schemas[0].get("name") != name:
        raise reader.fail("schema", f"expected exactly one object, named {name!r}")
    table = schemas[0]
    properties = reader.get(table, "properties", list, f"schema.{name}")
    columns: list[Column] = []
    rules: list[Rule] = []
    key: dict[int, str] = {}
    partitions: list[Partition] = []
    for node in properties:
        column, position, type_severity = _column(reader, node, layer)
        if column.name in {c.name for c in columns}:
            raise reader.fail(f"properties.{column.name}", "expected each column once")
        if column.header is not None and column.header in {c.header for c in columns}:
            raise reader.fail(
                f"properties.{column.name}.physicalName", f"header {column.header!r} is used twice"
            )
        columns.append(column)
        if position is not None:
            if position in key:
                raise reader.fail(
                    f"properties.{column.name}.primaryKeyPosition",
                    f"{position} is also that of {key[position]}",
                )
            key[position] = column.name
        rules += _column_rules(reader, node, column, layer, type_severity)
        partitions += _partition(reader, node, column)
    if len(partitions) > 1:
        raise reader.fail(
            "partitioned", f"expected at most one column, found {[p.column for p in partitions]}"
        )
    if sorted(key) != list(range(1, len(key) + 1)) or not key:
        raise reader.fail(
            "primaryKeyPosition", f"expected 1, 2, ... on the key's columns, found {sorted(key)}"
        )
    table_rules, min_rows = _table_rules(reader, table, {c.name: c for c in columns}, layer)
    rules += table_rules
    ids = [rule.id for rule in rules]
    for rule_id in ids:
        if ids.count(rule_id) > 1:
            raise reader.fail("quality", f"rule name {rule_id!r} is used twice")
    common: dict[str, Any] = {
        "name": name,
        "layer": layer,
        "description": reader.get(
            reader.get(root, "description", dict, ""), "purpose", str, "description"
        ),
        "owner": reader.get(reader.get(root, "team", dict, ""), "name", str, "team"),
        "data_product": reader.get(root, "dataProduct", str, ""),
        "columns": tuple(columns),
        "key": tuple(key[position] for position in sorted(key)),
        "rules": tuple(rules),
        "partition": partitions[0] if partitions else None,
    }
    if layer == "gold":
        built_from = reader.get(custom, "builtFrom", list, "customProperties")
        return Contract(built_from=tuple(built_from), **common)
    return Contract(min_rows=min_rows, **common, **_delivery(reader, root, table, custom))


def _delivery(
    reader: _Reader, root: dict[str, Any], table: dict[str, Any], custom: dict[str, Any]
) -> dict[str, Any]:
    source = reader.get(custom, "source", str, "customProperties")
    if not _NAME.fullmatch(source):
        raise reader.fail("customProperties.source", f"expected a name, found {source!r}")
    encoding = reader.get(custom, "encoding", str, "customProperties")
    if encoding != "utf-8":
        raise reader.fail("customProperties.encoding", f"expected utf-8, found {encoding!r}")
    percent = custom.get("maxQuarantinedPercent")
    if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100:
        raise reader.fail(
            "customProperties.maxQuarantinedPercent", f"expected 0 to 100, found {percent!r}"
        )
    file_name = reader.get(table, "physicalName", str, "schema")
    file_format, delimiter, bronze_key = _format(
        reader, root, source, str(table["name"]), file_name
    )
    null_text = custom.get("nullText")
    if null_text is not None and (file_format != "csv" or not isinstance(null_text, str)):
        raise reader.fail("customProperties.nullText", "expected a text, of a file of csv")
    duplicates = custom.get("duplicates", "quarantined")
    if duplicates not in ("quarantined", "counted"):
        raise reader.fail(
            "customProperties.duplicates", f"expected quarantined or counted, found {duplicates!r}"
        )
    promised = {
        sla.get("property"): f"{sla.get('value')}{sla.get('unit', '')}"
        for sla in root.get("slaProperties") or []
    }
    return {
        "source": source,
        "encoding": encoding,
        "max_quarantined_percent": float(percent),
        "delimiter": delimiter,
        "null_text": null_text,
        "bronze_key": bronze_key,
        "duplicates": duplicates,
        "file_name": file_name,
        "file_format": file_format,
        "frequency": promised.get("frequency"),
        "latency": promised.get("latency"),
    }


def _format(
    reader: _Reader, root: dict[str, Any], source: str, dataset: str, file_name: str
) -> tuple[str, str | None, str]:
    """`csv` with its separator, or `jsonl`; and the key in bronze.

    Files of csv come to landing. JSON lines are put straight in bronze: as objects that arrive by
    the hour when the name is a pattern, as one file otherwise.
    """
    servers = {s.get("server"): s for s in reader.get(root, "servers", list, "")}
    landing, bronze = servers.get("landing"), servers.get("bronze")
    by_hour = f"{source}/{dataset}/ingest_date={{delivery_date}}/hour={{hour}}/{file_name}"
    by_day = f"{source}/{dataset}/ingest_date={{delivery_date}}/{file_name}"
    delimiter = None
    if landing is not None:
        if landing.get("format") != "csv":
            raise reader.fail("servers", "expected a server named landing with format csv")
        delimiter = reader.get(landing, "delimiter", str, "servers.landing")
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise reader.fail(
                "servers.landing.delimiter", f"expected one character, found {delimiter!r}"
            )
        _at(
            reader,
            landing,
            "landing",
            f"s3://{{prefix}}-landing/{source}/{{delivery_date}}/{file_name}",
        )
        file_format = "csv"
        if bronze is None:
            return file_format, delimiter, by_day
    elif bronze is None:
        raise reader.fail("servers", "expected a server named landing with format csv")
    else:
        if bronze.get("format") != "json" or bronze.get("delimiter") != "new_line":
            raise reader.fail("servers.bronze", "expected format json with delimiter new_line")
        file_format = "jsonl"
        if "*" in file_name:
            _at(reader, bronze, "bronze", f"s3://{{prefix}}-bronze/{by_hour}")
            return file_format, delimiter, by_hour
    location = reader.get(bronze, "location", str, "servers.bronze")
    bucket, _, key = location.removeprefix("s3://").partition("/")
    bare = key
    for day in _DAY_IN_KEY:
        bare = bare.replace(day, "", 1) if bare == key else bare
    dated = bare != key and not {"{", "}"} & set(bare)
    if bucket != "{prefix}-bronze" or not key.endswith(f"/{file_name}") or not dated:
        raise reader.fail(
            "servers.bronze.location",
            f"expected s3://{{prefix}}-bronze/<folders, one of them {' or '.join(_DAY_IN_KEY)}>/"
            f"{file_name}, found {location}",
        )
    return file_format, delimiter, key


def _at(reader: _Reader, server: dict[str, Any], name: str, expected: str) -> None:
    location = reader.get(server, "location", str, f"servers.{name}")
    if location != expected:
        raise reader.fail(f"servers.{name}.location", f"expected {expected}, found {location}")


def _column(reader: _Reader, node: dict[str, Any], layer: str) -> tuple[Column, int | None, str]:
    """The column, its place in the key, and how severe it is when its value is of another type."""
    name = reader.get(node, "name", str, "properties")
    where = f"properties.{name}"
    if not _NAME.fullmatch(name):
        raise reader.fail(where, f"expected lower case letters, digits and _, found {name!r}")
    if layer == "silver" and name in {extra for extra, _ in SILVER_EXTRA}:
        raise reader.fail(where, f"{name} is a column that every silver table gets by itself")
    physical = reader.get(node, "physicalType", str, where)
    base = physical.split("(")[0]
    varchar, decimal = _VARCHAR.fullmatch(physical), _DECIMAL.fullmatch(physical)
    if (
        base not in LOGICAL_TYPES
        or (base == "varchar") != bool(varchar)
        or (base == "decimal") != bool(decimal)
        or (base not in ("varchar", "decimal") and base != physical)
    ):
        raise reader.fail(
            f"{where}.physicalType",
            "expected int, bigint, double, date, timestamp, boolean, varchar(n) or decimal(p,s) "
            f"without blanks, found {physical!r}",
        )
    if decimal and not 0 <= int(decimal[2]) <= int(decimal[1]) <= 38:
        raise reader.fail(f"{where}.physicalType", f"expected s <= p <= 38, found {physical!r}")
    if varchar and not 1 <= int(varchar[1]) <= 65535:
        raise reader.fail(f"{where}.physicalType", f"expected 1 to 65535, found {physical!r}")
    if node.get("logicalType") != LOGICAL_TYPES[base]:
        raise reader.fail(
            f"{where}.logicalType",
            f"expected {LOGICAL_TYPES[base]} for {physical}, found {node.get('logicalType')!r}",
        )
    required = node.get("required", False)
    if not isinstance(required, bool):
        raise reader.fail(f"{where}.required", f"expected true or false, found {required!r}")
    position = node.get("primaryKeyPosition") if node.get("primaryKey") else None
    if node.get("primaryKey") and (not isinstance(position, int) or not required):
        raise reader.fail(where, "a key column needs primaryKeyPosition and required: true")
    custom = reader.custom(node, where, COLUMN_PROPERTIES)
    custom.pop("partitionBy", None)
    if layer == "gold" and custom:
        raise reader.fail(f"{where}.customProperties", f"not for gold: {', '.join(custom)}")
    value_of = custom.get("valueOf")
    if value_of is not None and (value_of != "delivery_date" or physical != "date"):
        raise reader.fail(
            f"{where}.valueOf", f"expected delivery_date, on a date, found {value_of!r}"
        )
    of_file = layer == "silver" and value_of is None
    header = reader.get(node, "physicalName", str, where) if of_file else None
    in_silver = custom.get("inSilver", True)
    if not isinstance(in_silver, bool) or (not in_silver and (required or node.get("quality"))):
        raise reader.fail(
            f"{where}.inSilver", "expected true or false, and no rules where it is false"
        )
    value_format = None
    formats = {"date": DATE_FORMATS, "timestamp": TIMESTAMP_FORMATS}
    if of_file and base in formats:
        value_format = (node.get("logicalTypeOptions") or {}).get("format")
        if value_format not in formats[base]:
            raise reader.fail(
                f"{where}.logicalTypeOptions.format",
                f"expected one of {', '.join(formats[base])}, found {value_format!r}",
            )
    true_value = false_value = None
    if of_file and base == "boolean":
        true_value = reader.get(custom, "trueValue", str, f"{where}.customProperties")
        false_value = reader.get(custom, "falseValue", str, f"{where}.customProperties")
    elif {"trueValue", "falseValue"} & set(custom):
        raise reader.fail(f"{where}.customProperties", "only booleans have trueValue, falseValue")
    privacy = custom.get("privacy")
    if privacy is not None and PRIVACY.get(privacy) != physical:
        known = ", ".join(f"{mark} on {kind}" for mark, kind in PRIVACY.items())
        raise reader.fail(f"{where}.privacy", f"expected {known}, found {privacy!r} on {physical}")
    type_severity = reader.severity(custom.get("typeSeverity", "error"), f"{where}.typeSeverity")
    column = Column(
        name=name,
        header=header,
        physical_type=physical,
        required=required,
        format=value_format,
        true_value=true_value,
        false_value=false_value,
        description=str(node.get("description", "")),
        privacy=privacy,
        value_of=value_of,
        in_silver=in_silver,
    )
    return column, position, type_severity


def _partition(reader: _Reader, node: dict[str, Any], column: Column) -> list[Partition]:
    where = f"properties.{column.name}"
    asked = {"partitioned", "partitionKeyPosition"} & set(node)
    custom = reader.custom(node, where, COLUMN_PROPERTIES)
    by = custom.get("partitionBy")
    if not asked and by is None:
        return []
    if node.get("partitioned") is not True or node.get("partitionKeyPosition") != 1:
        raise reader.fail(where, "expected partitioned: true and partitionKeyPosition: 1")
    if by not in PARTITIONS or column.physical_type != "date" or not column.required:
        raise reader.fail(
            f"{where}.partitionBy",
            f"expected {' or '.join(PARTITIONS)}, on a date that is required, found {by!r} on "
            f"{column.physical_type}",
        )
    return [Partition(column.name, by)]


def _limit(reader: _Reader, where: str, column: Column, value: Any) -> str:
    """A limit in the text form that the engines cast to the column's type."""
    base = column.physical_type.split("(")[0]
    if base in ("date", "timestamp") and isinstance(value, str) and _ISO_DATE.fullmatch(value):
        return value
    if base in ("int", "bigint", "decimal", "double") and not isinstance(value, bool):
        try:
            return str(Decimal(str(value)))
        except InvalidOperation:
            pass
    raise reader.fail(where, f"expected a limit for {column.physical_type}, found {value!r}")


def _column_rules(
    reader: _Reader, node: dict[str, Any], column: Column, layer: str, type_severity: str
) -> list[Rule]:
    where = f"properties.{column.name}"
    name = column.name
    rules: list[Rule] = []
    if not column.in_silver:
        return rules

    def add(kind: str, severity: str, rule_id: str | None = None, **parameters: Any) -> None:
        rules.append(Rule(rule_id or f"{name}_{kind}", kind, severity, name, parameters))

    if column.required and column.value_of is None:
        add("required", "error")
    if layer == "gold":
        if node.get("quality") or node.get("relationships"):
            raise reader.fail(where, "rules of gold tables are the audits in SQL")
        return rules
    varchar = _VARCHAR.fullmatch(column.physical_type)
    if column.privacy == "truncate_ip":
        add("type", type_severity)
    elif varchar and column.privacy is None:
        add("max_bytes", "error", value=int(varchar[1]))
    elif not varchar and column.value_of is None:
        add("type", type_severity)
    options = dict(node.get("logicalTypeOptions") or {})
    options.pop("format", None)
    for kind in ("minimum", "maximum"):
        if kind in options:
            limit = _limit(reader, f"{where}.logicalTypeOptions.{kind}", column, options.pop(kind))
            add(kind, "error", value=limit)
    if options:
        raise reader.fail(f"{where}.logicalTypeOptions", f"not supported: {', '.join(options)}")
    for check in node.get("quality") or []:
        rule_id = reader.get(check, "name", str, f"{where}.quality")
        at = f"{where}.quality.{rule_id}"
        severity = reader.severity(check.get("severity"), at)
        metric = check.get("metric")
        if metric in ("nullValues", "invalidValues") and check.get("mustBe") != 0:
            raise reader.fail(f"{at}.mustBe", f"expected 0, found {check.get('mustBe')!r}")
        if metric == "nullValues":
            add("required", severity, rule_id)
        elif metric == "invalidValues":
            values = (check.get("arguments") or {}).get("validValues")
            if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
                raise reader.fail(f"{at}.arguments.validValues", "expected a list of strings")
            if not varchar:
                raise reader.fail(at, f"expected a varchar column, found {column.physical_type}")
            add("allowed", severity, rule_id, values=values)
        elif check.get("type") == "custom" and check.get("engine") == "madrugada":
            implementation = reader.get(check, "implementation", dict, at)
            kind, value = next(iter(implementation.items()))
            if len(implementation) == 1 and kind == "daysAfterDelivery":
                if column.physical_type not in ("date", "timestamp") or type(value) is not int:
                    raise reader.fail(
                        f"{at}.implementation.daysAfterDelivery",
                        f"expected days, on a date or timestamp, found {value!r} on "
                        f"{column.physical_type}",
                    )
                add("days_after_delivery", severity, rule_id, value=value)
                continue
            if len(implementation) != 1 or kind not in ("minimum", "maximum"):
                raise reader.fail(
                    f"{at}.implementation",
                    "expected {minimum: n}, {maximum: n} or {daysAfterDelivery: n}",
                )
            limit = _limit(reader, f"{at}.implementation", column, value)
            add(kind, severity, rule_id, value=limit)
        else:
            raise reader.fail(
                at,
                "expected metric nullValues or invalidValues, or type custom with engine madrugada",
            )
    for relation in node.get("relationships") or []:
        target = str(relation.get("to", ""))
        dataset, _, to = target.partition(".")
        if not dataset or not to:
            raise reader.fail(f"{where}.relationships.to", f"expected dataset.column: {target!r}")
        custom = reader.custom(relation, f"{where}.relationships", ("severity",))
        if custom.get("severity") != "warn":
            raise reader.fail(
                f"{where}.relationships.severity",
                "expected warn: whether the other row is there depends on what else has arrived, "
                "so the row is kept, flagged, and checked again in every night; a row that must "
                "not go on is stopped by the layer's audit",
            )
        add("reference", "warn", dataset=dataset, to=to)
    return rules


def _table_rules(
    reader: _Reader, table: dict[str, Any], columns: dict[str, Column], layer: str
) -> tuple[list[Rule], int]:
    """Rules over several columns, and the least number of rows that a file must have."""
    rules: list[Rule] = []
    min_rows = 0
    for check in table.get("quality") or []:
        rule_id = reader.get(check, "name", str, "schema.quality")
        at = f"schema.quality.{rule_id}"
        if layer == "gold":
            raise reader.fail(at, "rules of gold tables are the audits in SQL")
        severity = reader.severity(check.get("severity"), at)
        if check.get("metric") == "rowCount":
            min_rows = check.get("mustBeGreaterOrEqualTo")
            if severity != "error" or isinstance(min_rows, bool) or not isinstance(min_rows, int):
                raise reader.fail(at, "expected severity error and mustBeGreaterOrEqualTo: n")
            continue
        implementation = check.get("implementation")
        if check.get("engine") != "madrugada" or not isinstance(implementation, dict):
            raise reader.fail(at, "expected type custom with engine madrugada")
        factors = implementation.get("multiply")
        if set(implementation) != {"multiply", "maximum"} or not isinstance(factors, list):
            raise reader.fail(
                f"{at}.implementation", "expected {multiply: [column, ...], maximum: n}"
            )
        for factor in factors:
            kind = columns[factor].physical_type if factor in columns else "no such column"
            if kind.split("(")[0] not in ("int", "bigint", "decimal"):
                raise reader.fail(f"{at}.implementation.multiply", f"{factor}: {kind}")
        rules.append(
            Rule(
                rule_id,
                "product_maximum",
                severity,
                None,
                {"columns": factors, "value": str(Decimal(str(implementation["maximum"])))},
                str(check.get("description", "")),
            )
        )
    return rules, min_rows


def load_contracts(folder: Path | str = CONTRACTS_FOLDER) -> dict[str, Contract]:
    """Every contract of a folder by name, checked against each other.

    :raises ContractError: as `load_contract`, and for references and sources that do not exist.
    """
    folder = Path(folder)
    contracts = {path.stem: load_contract(path) for path in sorted(folder.glob("*.yaml"))}
    if not contracts:
        raise ContractError(f"{folder}: expected contracts (*.yaml), found none")
    files: dict[tuple[str | None, str | None], str] = {}
    sources = {c.source for c in contracts.values() if c.layer == "silver"}
    file_formats: dict[str | None, str] = {}
    for contract in contracts.values():
        path = folder / f"{contract.name}.yaml"
        if contract.layer == "gold":
            for source in contract.built_from:
                if source not in sources:
                    raise ContractError(
                        f"{path}: customProperties.builtFrom: no dataset has source {source!r}"
                    )
            continue
        if file_formats.setdefault(contract.source, contract.file_format) != contract.file_format:
            raise ContractError(
                f"{path}: customProperties.source: {contract.source} delivers files of csv as well "
                "as of JSON lines; expected sources of their own"
            )
        other = files.setdefault((contract.source, contract.file_name), contract.name)
        if other != contract.name:
            raise ContractError(
                f"{path}: schema.physicalName: {contract.file_name} is also that of {other}"
            )
        for rule in contract.rules:
            if rule.kind != "reference":
                continue
            target = contracts.get(rule.parameters["dataset"])
            at = f"{path}: properties.{rule.column}.relationships.to"
            if target is None or target.layer != "silver":
                raise ContractError(f"{at}: no dataset {rule.parameters['dataset']!r}")
            if target.key != (rule.parameters["to"],):
                raise ContractError(
                    f"{at}: expected the key of {target.name}, {', '.join(target.key)}, "
                    f"found {rule.parameters['to']!r}"
                )
    in_reference_order(contracts.values())
    return contracts


def in_reference_order(contracts: Iterable[Contract]) -> list[Contract]:
    """Silver datasets so that each comes after those it references.

    :raises ContractError: when references go round in a circle.
    """
    waiting = {c.name: c for c in contracts if c.layer == "silver"}
    ordered: list[Contract] = []
    while waiting:
        ready = [
            c
            for c in waiting.values()
            if not any(
                r.kind == "reference"
                and r.parameters["dataset"] in waiting
                and r.parameters["dataset"] != c.name
                for r in c.rules
            )
        ]
        if not ready:
            raise ContractError(f"references go round in a circle: {', '.join(sorted(waiting))}")
        for contract in ready:
            ordered.append(waiting.pop(contract.name))
    return ordered


def compile_contracts(folder: Path | str = CONTRACTS_FOLDER) -> dict[str, Any]:
    """All contracts as the one JSON-ready document that Lambda and Glue read (see the module)."""
    contracts = load_contracts(folder)
    sources: dict[str, list[str]] = {}
    streams: dict[str, list[str]] = {}
    fetched: dict[str, list[str]] = {}
    datasets: dict[str, Any] = {}
    gold: dict[str, Any] = {}
    for contract in in_reference_order(contracts.values()):
        among = sources
        if contract.file_format == "jsonl":
            among = streams if contract.arrives_all_day else fetched
        among.setdefault(str(contract.source), []).append(contract.name)
        datasets[contract.name] = {
            **_plain(contract, "source", "file_name", "file_format", "delimiter", "encoding"),
            "null_text": contract.null_text,
            "bronze_key": contract.bronze_key,
            "duplicates": contract.duplicates,
            "frequency": contract.frequency,
            "latency": contract.latency,
            "max_quarantined_percent": contract.max_quarantined_percent,
            "min_rows": contract.min_rows,
            "rules": [asdict(rule) for rule in contract.rules],
        }
    for contract in contracts.values():
        if contract.layer == "gold":
            gold[contract.name] = {
                **_plain(contract),
                "built_from": list(contract.built_from),
            }
    return {
        "format": FORMAT,
        "sources": dict(sorted(sources.items())),
        "streams": dict(sorted(streams.items())),
        "fetched": dict(sorted(fetched.items())),
        "datasets": datasets,
        "gold": gold,
    }


def _plain(contract: Contract, *more: str) -> dict[str, Any]:
    names = ("name", "description", "owner", *more)
    return {
        **{name: getattr(contract, name) for name in names},
        "key": list(contract.key),
        "partition": asdict(contract.partition) if contract.partition else None,
        "columns": [
            {**asdict(c), "type": c.glue_type, "redshift_type": c.redshift_type}
            for c in contract.columns
        ],
        "glue_columns": contract.glue_columns(),
    }


def contracts_json(folder: Path | str = CONTRACTS_FOLDER) -> str:
    """The compiled document as text; the same contracts always give the same bytes."""
    return json.dumps(compile_contracts(folder), ensure_ascii=False, indent=1) + "\n"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Compile the dataset contracts into one JSON.")
    parser.add_argument("--folder", type=Path, default=CONTRACTS_FOLDER)
    parser.add_argument("--out", type=Path, help="write here instead of printing")
    arguments = parser.parse_args(argv)
    text = contracts_json(arguments.folder)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
