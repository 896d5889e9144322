"""What a crawler knows of a file's schema, and how schemas of several files become one.

A type is a Hive type's name, ``None`` while no value has been seen, ``{"struct": {name: type}}``
or ``{"array": type}``; so it can be kept as JSON and merged part by part.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

Type = str | dict[str, Any] | None

_INTEGERS = ("tinyint", "smallint", "int", "bigint")
SIMILAR = 0.7
"""Schemas that share more than this part of their columns are one table's (70 percent on AWS)."""


@dataclass
class Schema:
    """One file's, one partition's or one table's schema and figures.

    Attributes:
        classification: ``csv``, ``json``, ``parquet`` or ``UNKNOWN``.
        compression: ``none``, ``gzip`` or ``bzip2``.
        columns: name and type, in order.
        serde: ``SerializationLibrary``, ``Parameters``, ``InputFormat`` and ``OutputFormat``.
        parameters: what the classifier adds to a table's parameters (``delimiter``...).
        objects, size, records: how many files, bytes and (estimated) records.
        named: whether the column names came from the data rather than ``col0``, ``col1``.
    """

    classification: str
    compression: str
    columns: list[tuple[str, Type]]
    serde: dict[str, Any]
    parameters: dict[str, str]
    objects: int = 1
    size: int = 0
    records: int = 0
    named: bool = True
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Schema:
        columns = [(name, type_) for name, type_ in document["columns"]]
        return cls(**{**document, "columns": columns})

    @property
    def known(self) -> bool:
        """Whether a classifier recognised the data."""
        return self.classification != "UNKNOWN"

    @property
    def average_record(self) -> int:
        return self.size // self.records if self.records else 0

    def compatible(self, other: Schema) -> bool:
        """Whether both can be one table's data: same format, compression and delimiter."""
        return (
            self.classification == other.classification
            and self.compression == other.compression
            and self.parameters.get("delimiter") == other.parameters.get("delimiter")
            and self.serde.get("SerializationLibrary") == other.serde.get("SerializationLibrary")
        )

    def similar(self, other: Schema) -> bool:
        """Whether more than 70 percent of the columns are the same (types too, if nameless)."""
        if self.named and other.named:
            mine = {name for name, _ in self.columns}
            theirs = {name for name, _ in other.columns}
        else:
            mine = {f"{name} {hive(type_)}" for name, type_ in self.columns}
            theirs = {f"{name} {hive(type_)}" for name, type_ in other.columns}
        if not mine and not theirs:
            return True
        return len(mine & theirs) / len(mine | theirs) > SIMILAR


def merged(schemas: list[Schema]) -> Schema:
    """One schema for several compatible ones: all columns, types widened, figures added up."""
    first = schemas[0]
    columns: dict[str, Type] = {}
    for schema in schemas:
        for name, type_ in schema.columns:
            columns[name] = widest(columns[name], type_) if name in columns else type_
    return Schema(
        first.classification,
        first.compression,
        list(columns.items()),
        first.serde,
        first.parameters,
        sum(schema.objects for schema in schemas),
        sum(schema.size for schema in schemas),
        sum(schema.records for schema in schemas),
        all(schema.named for schema in schemas),
    )


def widest(left: Type, right: Type) -> Type:
    """The narrowest type that holds the values of both."""
    if left is None or left == right:
        return right
    if right is None:
        return left
    if isinstance(left, dict) and isinstance(right, dict):
        if "struct" in left and "struct" in right:
            fields = dict(left["struct"])
            for name, type_ in right["struct"].items():
                fields[name] = widest(fields[name], type_) if name in fields else type_
            return {"struct": fields}
        if "array" in left and "array" in right:
            return {"array": widest(left["array"], right["array"])}
        return "string"
    if isinstance(left, dict) or isinstance(right, dict):
        return "string"
    if left in _INTEGERS and right in _INTEGERS:
        return max(left, right, key=_INTEGERS.index)
    numbers = (*_INTEGERS, "float", "double")
    if left in numbers and right in numbers:
        return "double"
    return "string"


def hive(type_: Type) -> str:
    """The type as the catalog writes it; a column without any value is a string."""
    if type_ is None:
        return "string"
    if isinstance(type_, str):
        return type_
    if "array" in type_:
        return f"array<{hive(type_['array'])}>"
    fields = ",".join(f"{name}:{hive(part)}" for name, part in type_["struct"].items())
    return f"struct<{fields}>"
