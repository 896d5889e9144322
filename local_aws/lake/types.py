"""Hive's column types, as the Glue Data Catalog writes them, and what they are in DuckDB.

https://docs.aws.amazon.com/athena/latest/ug/data-types.html
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from local_aws.lake.errors import LakeError

_DUCKDB = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "varchar": "VARCHAR",
    "char": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
_ALIASES = {"integer": "int", "real": "float", "long": "bigint", "short": "smallint"}
INTEGERS = ("tinyint", "smallint", "int", "bigint")


@dataclass(frozen=True)
class HiveType:
    """One type. ``args``: (precision, scale), (length,), (element,), (key, value), or fields.

    The fields of a struct are ``(name, type)`` pairs, names in lower case.
    """

    name: str
    args: tuple[Any, ...] = ()

    @property
    def duckdb(self) -> str:
        """The DuckDB type that holds a value of this type, as text."""
        if self.name == "decimal":
            return f"DECIMAL({self.args[0]},{self.args[1]})"
        if self.name == "array":
            return f"{self.args[0].duckdb}[]"
        if self.name == "map":
            return f"MAP({self.args[0].duckdb}, {self.args[1].duckdb})"
        if self.name == "struct":
            fields = ", ".join(f"{quoted(name)} {type_.duckdb}" for name, type_ in self.args)
            return f"STRUCT({fields})"
        return _DUCKDB[self.name]

    @property
    def nested(self) -> bool:
        return self.name in ("array", "map", "struct")

    def __str__(self) -> str:
        if self.name == "array":
            return f"array<{self.args[0]}>"
        if self.name == "map":
            return f"map<{self.args[0]},{self.args[1]}>"
        if self.name == "struct":
            return "struct<" + ",".join(f"{name}:{type_}" for name, type_ in self.args) + ">"
        if self.args:
            return f"{self.name}({','.join(str(a) for a in self.args)})"
        return self.name


def quoted(name: str) -> str:
    """``name`` as a DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """``text`` as a DuckDB string literal."""
    return "'" + text.replace("'", "''") + "'"


@lru_cache(maxsize=2048)
def parse_type(text: str) -> HiveType:
    """The type that a catalog column declares.

    >>> str(parse_type("struct<a:int,b:array<decimal(12,2)>>"))
    'struct<a:int,b:array<decimal(12,2)>>'

    Raises:
        LakeError: the text is not a type that Athena knows.
    """
    parser = _Parser(text)
    found = parser.type()
    if parser.rest.strip():
        raise parser.error()
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.rest = text

    def error(self) -> LakeError:
        return LakeError(
            "HIVE_UNSUPPORTED_FORMAT",
            f"Unsupported Hive type: {self.text}. Expected one of"
            f" {', '.join(_DUCKDB)}, decimal(p,s), array<>, map<,>, struct<>.",
        )

    def word(self) -> str:
        self.rest = self.rest.lstrip()
        end = 0
        while end < len(self.rest) and self.rest[end] not in "<>(),: \t\n":
            end += 1
        found, self.rest = self.rest[:end], self.rest[end:]
        return found.strip("`")

    def take(self, symbol: str) -> bool:
        self.rest = self.rest.lstrip()
        if not self.rest.startswith(symbol):
            return False
        self.rest = self.rest[len(symbol) :]
        return True

    def need(self, symbol: str) -> None:
        if not self.take(symbol):
            raise self.error()

    def numbers(self) -> tuple[int, ...]:
        if not self.take("("):
            return ()
        found = [self.word()]
        while self.take(","):
            found.append(self.word())
        self.need(")")
        if not all(n.isdigit() for n in found):
            raise self.error()
        return tuple(int(n) for n in found)

    def type(self) -> HiveType:
        name = self.word().lower()
        name = _ALIASES.get(name, name)
        if name == "array":
            self.need("<")
            element = self.type()
            self.need(">")
            return HiveType("array", (element,))
        if name == "map":
            self.need("<")
            key = self.type()
            self.need(",")
            value = self.type()
            self.need(">")
            return HiveType("map", (key, value))
        if name == "struct":
            self.need("<")
            fields: list[tuple[str, HiveType]] = []
            while True:
                field = self.word().lower()
                self.need(":")
                fields.append((field, self.type()))
                if not self.take(","):
                    break
            self.need(">")
            return HiveType("struct", tuple(fields))
        numbers = self.numbers()
        if name == "decimal":
            precision, scale = (*numbers, *(10, 0)[len(numbers) :])[:2]
            if not 0 < precision <= 38 or scale > precision or len(numbers) > 2:
                raise self.error()
            return HiveType("decimal", (precision, scale))
        if name in ("varchar", "char"):
            if len(numbers) > 1 or (name == "char" and not numbers):
                raise self.error()
            return HiveType(name, numbers) if numbers else HiveType("string")
        if name not in _DUCKDB or numbers:
            raise self.error()
        return HiveType(name)
