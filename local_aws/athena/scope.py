"""What a name means at a place in a query, and which columns of which scans are needed for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from local_aws.athena.errors import QueryError
from local_aws.athena.types import Type
from local_aws.athena.values import Value


class Cell:
    """Something that is computed only if it is used: a scanned column, or an item of a SELECT.

    Using a cell uses what it depends on. What stays unused is not read.
    """

    def __init__(self, sql: str = "", depends: list[Cell] | None = None) -> None:
        self.sql = sql
        self.depends = depends or []
        self.used = False

    def use(self) -> None:
        stack = [self]
        while stack:
            cell = stack.pop()
            if not cell.used:
                cell.used = True
                stack += cell.depends


@dataclass(frozen=True)
class Field:
    """A column of a relation. ``qualifier`` is what may stand before its name, outermost first."""

    name: str | None
    type: Type
    sql: str
    cell: Cell
    qualifier: tuple[str, ...] = ()
    hidden: bool = False

    def matches(self, qualifier: tuple[str, ...], name: str) -> bool:
        if self.name != name:
            return False
        return not qualifier or self.qualifier[-len(qualifier) :] == qualifier


@dataclass
class Relation:
    """A FROM item: DuckDB SQL with its alias, its columns, and what makes its rows."""

    sql: str
    fields: list[Field]
    root: Cell


@dataclass
class Scope:
    """The columns in sight. ``parent`` is the query around a subquery."""

    fields: list[Field]
    parent: Scope | None = None
    lambdas: dict[str, Value] = field(default_factory=dict)
    clause: str = "SELECT"
    items: dict[str, list[tuple[Value, Cell]]] = field(default_factory=dict)
    """Output names that ORDER BY may use, with what they stand for."""

    def inner(self, **lambdas: Value) -> Scope:
        """The scope of a lambda's body."""
        return Scope(self.fields, self.parent, {**self.lambdas, **lambdas}, self.clause, self.items)

    def find(self, qualifier: tuple[str, ...], name: str, where: str) -> Field | None:
        """The column of this name here, not in the queries around.

        Raises:
            QueryError: several columns have the name (AMBIGUOUS_NAME).
        """
        found = [f for f in self.fields if f.matches(qualifier, name)]
        if len(found) > 1:
            raise QueryError("AMBIGUOUS_NAME", f"{where}Column '{name}' is ambiguous")
        return found[0] if found else None
