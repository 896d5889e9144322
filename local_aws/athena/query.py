"""A Trino query as one DuckDB query over the lake.

Names are resolved and every expression is typed by Trino's rules here, so that DuckDB never has
to guess: relations get aliases of their own, columns are ``c1``, ``c2``, ..., conversions are
written out. Columns that nothing uses are neither computed nor read.
"""

# SQL is put together here from quoted names and translated expressions only.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import duckdb
from sqlglot import exp

from local_aws.athena import types as t
from local_aws.athena.errors import QueryError, unsupported
from local_aws.athena.expressions import Expressions
from local_aws.athena.parser import parse, position
from local_aws.athena.scope import Cell, Field, Relation, Scope
from local_aws.athena.types import Type
from local_aws.athena.values import Value, coerce, compare, rounded
from local_aws.lake import Lake, LakeError, literal, quoted

MARK = "\x00"
CATALOG = "awsdatacatalog"


@dataclass(frozen=True)
class View:
    """A stored query: what Athena keeps in ``ViewOriginalText``."""

    sql: str
    database: str
    columns: list[tuple[str, str]]


class Catalog(Protocol):
    """What a translation asks the data catalog."""

    lake: Lake

    def table(self, database: str, name: str) -> dict[str, Any] | None: ...
    def has_database(self, name: str) -> bool: ...
    def view(self, table: dict[str, Any]) -> View: ...
    def information(self, name: str) -> tuple[list[tuple[str, Type]], list[list[Any]]] | None: ...


@dataclass
class Query:
    """``sql`` gives ``c1``, ``c2``, ...; ``fields`` are their names, types and cells."""

    sql: str
    fields: list[Field]
    root: Cell


@dataclass
class _Scan:
    table: dict[str, Any]
    alias: str
    columns: dict[str, Cell]
    partitions: set[int]
    where: list[str] = field(default_factory=list)
    prunable: bool = True


@dataclass
class _State:
    """What is found out while one SELECT is translated."""

    aggregates: bool = False
    windows: dict[str, exp.Window] = field(default_factory=dict)


@dataclass(frozen=True)
class Translated:
    """A query ready to run: DuckDB SQL, its output columns, and what it reads."""

    sql: str
    columns: list[tuple[str, Type]]
    bytes: int


def translate(node: exp.Expr, catalog: Catalog, database: str) -> Translated:
    """A parsed Trino query for DuckDB.

    Raises:
        QueryError: what Trino would refuse, or what is not supported.
        LakeError: a table that cannot be read.
    """
    translator = Translator(catalog, database)
    query = translator.query(node, None)
    query.root.use()
    for item in query.fields:
        item.cell.use()
    sql, bytes_ = translator.finish(query.sql)
    columns = [
        (item.name if item.name is not None else f"_col{i}", item.type)
        for i, item in enumerate(query.fields)
    ]
    return Translated(sql, columns, bytes_)


class Translator:
    """Translates one statement; not to be used twice."""

    def __init__(self, catalog: Catalog, database: str) -> None:
        self.catalog = catalog
        self.database = database
        self.expressions = Expressions(self)
        self._counters: dict[str, int] = {}
        self._collecting: list[list[Cell]] = [[]]
        self._states: list[_State] = []
        self._scans: list[_Scan] = []
        self._items: list[tuple[Cell, Type]] = []
        self._with: list[tuple[str, Query]] = []
        self._ctes: list[dict[str, tuple[str, Query]]] = []
        self._views: list[tuple[str, str]] = []

    # What expressions ask

    def fresh(self, prefix: str) -> str:
        self._counters[prefix] = self._counters.get(prefix, 0) + 1
        return f"{prefix}{self._counters[prefix]}"

    def note(self, cell: Cell) -> None:
        """The expression being translated needs ``cell``."""
        self._collecting[-1].append(cell)

    def note_all(self, query: Query) -> None:
        for item in query.fields:
            self.note(item.cell)

    def aggregated(self, windowed: bool) -> None:
        if self._states and not windowed:
            self._states[-1].aggregates = True

    @contextmanager
    def collect(self) -> Iterator[list[Cell]]:
        """The cells that are noted inside."""
        found: list[Cell] = []
        self._collecting.append(found)
        try:
            yield found
        finally:
            self._collecting.pop()

    def subquery(self, node: exp.Expr, scope: Scope) -> Query:
        query = self.query(node, scope)
        self.note(query.root)
        return query

    def order_items(self, nodes: list[exp.Expr], scope: Scope) -> str:
        """ORDER BY's items; NULL is last both ways unless told otherwise, as in Trino."""
        return ", ".join(_ordered(self.expressions.value(n.this, scope), n) for n in nodes)

    def window(self, node: exp.Window, scope: Scope) -> str:
        """What stands inside OVER ( )."""
        if node.args.get("alias") is not None:
            name = node.args["alias"].name.lower()
            named = self._states[-1].windows.get(name)
            if named is None:
                raise QueryError("INVALID_WINDOW_REFERENCE", f"Cannot resolve WINDOW name {name}")
            node = named
        parts = []
        keys = [self.expressions.value(p, scope).sql for p in node.args.get("partition_by") or []]
        if keys:
            parts.append(f"PARTITION BY {', '.join(keys)}")
        if node.args.get("order"):
            parts.append(f"ORDER BY {self.order_items(node.args['order'].expressions, scope)}")
        spec = node.args.get("spec")
        if spec is not None:
            if spec.args.get("exclude"):
                raise unsupported("EXCLUDE in a window frame")
            start = self._bound(spec, "start", scope)
            end = self._bound(spec, "end", scope) if spec.args.get("end") else "CURRENT ROW"
            parts.append(f"{spec.args['kind'].upper()} BETWEEN {start} AND {end}")
        return " ".join(parts)

    def _bound(self, spec: exp.WindowSpec, name: str, scope: Scope) -> str:
        bound, side = spec.args[name], spec.args.get(f"{name}_side")
        text = bound if isinstance(bound, str) else self.expressions.value(bound, scope).sql
        return (
            f"{text} {side}".upper()
            if isinstance(bound, str) and side
            else (f"{text} {side.upper()}" if side else text.upper())
        )

    # Queries

    def query(self, node: exp.Expr, parent: Scope | None) -> Query:
        """Any query: SELECT, a set operation, VALUES, or one in parentheses."""
        with_ = node.args.get("with_")
        if with_ is None:
            return self._query(node, parent)
        if with_.args.get("recursive"):
            raise unsupported("WITH RECURSIVE")
        self._ctes.append({})
        try:
            for cte in with_.expressions:
                name = cte.alias.lower()
                if name in self._ctes[-1]:
                    raise QueryError(
                        "DUPLICATE_NAMED_QUERY", f"WITH query name '{name}' specified more than"
                        " once"
                    )  # fmt: skip
                made = _renamed(self.query(cte.this, None), cte.args["alias"], name)
                emitted = self.fresh("q")
                self._with.append((emitted, made))
                self._ctes[-1][name] = (emitted, made)
            return self._query(node, parent)
        finally:
            self._ctes.pop()

    def _query(self, node: exp.Expr, parent: Scope | None) -> Query:
        if isinstance(node, exp.Select):
            return self._select(node, parent)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, parent)
        if isinstance(node, exp.Values):
            return self._values(node, parent)
        if isinstance(node, exp.Subquery):
            return self._modified(self.query(node.this, parent), node, parent)
        raise unsupported(f"the query {node.sql('trino')[:80]}")

    def _select(self, node: exp.Select, parent: Scope | None) -> Query:
        for name in ("qualify", "distribute", "sort", "cluster", "laterals", "match", "into"):
            if node.args.get(name):
                raise QueryError("SYNTAX_ERROR", f"mismatched input '{name.upper()}'")
        distinct = node.args.get("distinct")
        if distinct is not None and distinct.args.get("on"):
            raise QueryError("SYNTAX_ERROR", "mismatched input 'ON'. SELECT DISTINCT takes no ON")
        self._states.append(_State())
        state = self._states[-1]
        try:
            depends: list[Cell] = []
            first = len(self._scans)
            relation = self._from(node, parent)
            depends.append(relation.root)
            scope = Scope(relation.fields, parent)
            for named in node.args.get("windows") or []:
                state.windows[named.name.lower()] = named
            clauses = []
            where = node.args.get("where")
            if where is not None:
                own = [scan for scan in self._scans[first:] if scan.prunable]
                clauses.append(f"WHERE {self._where(where.this, scope, depends, own)}")
            items, fields = self._items_of(node, scope)
            group = node.args.get("group")
            if group is not None:
                with self.collect() as cells:
                    clauses.append(f"GROUP BY {self._group(group, scope, items, fields, cells)}")
                depends += cells
            having = node.args.get("having")
            if having is not None:
                with self.collect() as cells:
                    inner = Scope(scope.fields, parent, clause="HAVING")
                    clauses.append(f"HAVING {self.expressions.condition(having.this, inner).sql}")
                depends += cells
            clauses += self._tail(node, scope, items, fields, depends)
            root = Cell(depends=depends)
            if distinct is not None or (state.aggregates and group is None):
                root.depends += [f.cell for f in fields]
            selected = ", ".join(
                f"{self._item(f.cell, f.type)} AS c{i}" for i, f in enumerate(fields, 1)
            )
            sql = f"SELECT {'DISTINCT ' if distinct is not None else ''}{selected}"
            if relation.sql:
                sql += f" FROM {relation.sql}"
            return Query(" ".join([sql, *clauses]), fields, root)
        finally:
            self._states.pop()

    def _item(self, cell: Cell, type_: Type) -> str:
        self._items.append((cell, type_))
        return f"{MARK}i{len(self._items) - 1}{MARK}"

    def _items_of(self, node: exp.Select, scope: Scope) -> tuple[list[Value], list[Field]]:
        items: list[Value] = []
        fields: list[Field] = []

        def add(value: Value, name: str | None, cells: list[Cell]) -> None:
            cell = Cell(value.sql, cells)
            items.append(value)
            fields.append(Field(name, value.type, "", cell))

        for expression in node.expressions:
            star = expression.this if isinstance(expression, exp.Column) else expression
            if isinstance(star, exp.Star):
                if any(star.args.get(k) for k in ("except_", "except", "replace", "rename")):
                    raise QueryError("SYNTAX_ERROR", "mismatched input after '*'")
                qualifier = (
                    tuple(p.name.lower() for p in expression.parts[:-1])
                    if isinstance(expression, exp.Column)
                    else ()
                )
                chosen = [
                    f
                    for f in scope.fields
                    if not f.hidden
                    and (not qualifier or f.qualifier[-len(qualifier) :] == qualifier)
                ]
                if not chosen:
                    if qualifier:
                        raise QueryError(
                            "TABLE_NOT_FOUND",
                            f"{position(expression)}Unable to resolve reference"
                            f" {'.'.join(qualifier)}",
                        )
                    raise QueryError(
                        "COLUMN_NOT_FOUND", "SELECT * not allowed from relation that has no columns"
                    )
                for found in chosen:
                    add(Value(found.sql, found.type), found.name, [found.cell])
                continue
            alias = expression.alias if isinstance(expression, exp.Alias) else None
            inner = expression.this if isinstance(expression, exp.Alias) else expression
            with self.collect() as cells:
                value = self.expressions.value(inner, scope)
            if isinstance(inner, exp.Query) or value.type.name == "unknown":
                value = Value(value.sql, value.type)
            name = alias or None
            if name is None and isinstance(inner, (exp.Column, exp.Dot)):
                name = inner.expression.name if isinstance(inner, exp.Dot) else inner.name
            add(value, name, cells)
        return items, fields

    def _where(self, node: exp.Expr, scope: Scope, depends: list[Cell], scans: list[_Scan]) -> str:
        """The condition; its parts over partition columns alone also choose partitions."""
        inner = Scope(scope.fields, scope.parent, clause="WHERE")
        parts = list(node.flatten()) if isinstance(node, exp.And) else [node]
        texts = []
        for part in parts:
            with self.collect() as cells:
                text = self.expressions.condition(part, inner).sql
            depends += cells
            texts.append(text)
            self._prune(part, text, cells, scans)
        return " AND ".join(texts)

    @staticmethod
    def _prune(node: exp.Expr, text: str, cells: list[Cell], scans: list[_Scan]) -> None:
        """Let a condition over partition columns alone choose the partitions of its table.

        ``scans`` are those whose rows the condition may drop before they are joined.
        """
        if node.find(exp.Query) or not cells:
            return
        for scan in scans:
            if all(id(cell) in scan.partitions for cell in cells):
                scan.where.append(text)

    def _group(
        self,
        group: exp.Group,
        scope: Scope,
        items: list[Value],
        fields: list[Field],
        cells: list[Cell],
    ) -> str:
        if group.args.get("all") is not None or group.args.get("totals"):
            raise unsupported("GROUP BY ALL or DISTINCT")
        inner = Scope(scope.fields, scope.parent, clause="GROUP BY")

        def one(node: exp.Expr) -> str:
            if isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit():
                index = int(node.name)
                if not 1 <= index <= len(items):
                    raise QueryError(
                        "INVALID_COLUMN_REFERENCE",
                        f"{position(node)}GROUP BY position {index} is not in select list",
                    )
                cells.append(fields[index - 1].cell)
                value = items[index - 1]
                return _not_ordinal(value.sql)
            if isinstance(node, exp.Paren):
                return f"({one(node.this)})"
            if isinstance(node, exp.Tuple):
                return f"({', '.join(one(e) for e in node.expressions)})"
            for kind, word in (
                (exp.GroupingSets, "GROUPING SETS "), (exp.Rollup, "ROLLUP"), (exp.Cube, "CUBE")
            ):  # fmt: skip
                if isinstance(node, kind):
                    return f"{word}({', '.join(one(e) for e in node.expressions)})"
            return _not_ordinal(self.expressions.value(node, inner).sql)

        parts = [one(node) for node in group.expressions]
        for name, word in (("grouping_sets", "GROUPING SETS "), ("rollup", ""), ("cube", "")):
            for node in group.args.get(name) or []:
                parts.append(one(node) if not word or isinstance(node, exp.GroupingSets) else "")
        return ", ".join(parts)

    def _tail(
        self,
        node: exp.Expr,
        scope: Scope,
        items: list[Value],
        fields: list[Field],
        depends: list[Cell],
    ) -> list[str]:
        """ORDER BY, OFFSET and LIMIT."""
        clauses = []
        order = node.args.get("order")
        if order is not None:
            names: dict[str, list[tuple[Value, Cell]]] = {}
            for value, item in zip(items, fields, strict=True):
                if item.name is not None:
                    names.setdefault(item.name.lower(), []).append((value, item.cell))
            inner = Scope(scope.fields, scope.parent, clause="ORDER BY", items=names)
            parts = []
            with self.collect() as cells:
                for ordered in order.expressions:
                    key = ordered.this
                    if isinstance(key, exp.Literal) and not key.is_string:
                        index = int(key.name) if key.name.isdigit() else 0
                        if not 1 <= index <= len(items):
                            raise QueryError(
                                "INVALID_COLUMN_REFERENCE",
                                f"{position(key)}ORDER BY position {key.name} is not in select"
                                " list",
                            )
                        cells.append(fields[index - 1].cell)
                        _orderable(items[index - 1])
                        parts.append(_ordered(Value(str(index), fields[index - 1].type), ordered))
                        continue
                    value = self.expressions.value(key, inner)
                    _orderable(value)
                    parts.append(_ordered(Value(_not_ordinal(value.sql), value.type), ordered))
            depends += cells
            clauses.append(f"ORDER BY {', '.join(parts)}")
        limit = node.args.get("limit")
        if isinstance(limit, exp.Fetch):
            options = limit.args.get("limit_options")
            if options is not None and (
                options.args.get("with_ties") or options.args.get("percent")
            ):
                raise unsupported("FETCH ... WITH TIES", "Use rank().")
            clauses.append(f"LIMIT {self._count(limit.args.get('count') or exp.Literal.number(1))}")
        elif limit is not None and limit.expression.name.upper() != "ALL":
            clauses.append(f"LIMIT {self._count(limit.expression)}")
        offset = node.args.get("offset")
        if offset is not None:
            clauses.append(f"OFFSET {self._count(offset.expression)}")
        return clauses

    @staticmethod
    def _count(node: exp.Expr) -> str:
        if not isinstance(node, exp.Literal) or not node.name.isdigit():
            raise QueryError(
                "SYNTAX_ERROR", f"mismatched input '{node.sql('trino')}'. Expecting: <integer>"
            )
        return node.name

    def _set_operation(self, node: exp.SetOperation, parent: Scope | None) -> Query:
        left, right = self.query(node.this, parent), self.query(node.expression, parent)
        word = {exp.Union: "UNION", exp.Intersect: "INTERSECT", exp.Except: "EXCEPT"}[type(node)]
        if len(left.fields) != len(right.fields):
            raise QueryError(
                "TYPE_MISMATCH",
                f"{word} query has different number of fields: {len(left.fields)},"
                f" {len(right.fields)}",
            )
        types = []
        for i, (a, b) in enumerate(zip(left.fields, right.fields, strict=True), 1):
            both = t.common(a.type, b.type)
            if both is None:
                raise QueryError(
                    "TYPE_MISMATCH",
                    f"column {i} in {word} query has incompatible types: {a.type}, {b.type}",
                )
            types.append(both)
        all_ = not node.args.get("distinct")
        fields = [
            Field(a.name, type_, "", Cell(depends=[a.cell, b.cell]))
            for a, b, type_ in zip(left.fields, right.fields, types, strict=True)
        ]
        root = Cell(depends=[left.root, right.root])
        if not (all_ and word == "UNION"):
            root.depends += [f.cell for f in fields]
        sql = f"({self._coerced(left, types)}) {word}{' ALL' if all_ else ''}" + (
            f" ({self._coerced(right, types)})"
        )
        return self._modified(Query(sql, fields, root), node, parent)

    def _coerced(self, query: Query, types: list[Type]) -> str:
        if [f.type for f in query.fields] == types:
            return query.sql
        alias = self.fresh("s")
        items = ", ".join(
            f"{coerce(Value(f'{alias}.c{i}', f.type), type_).sql} AS c{i}"
            for i, (f, type_) in enumerate(zip(query.fields, types, strict=True), 1)
        )
        return f"SELECT {items} FROM ({query.sql}) AS {alias}"

    def _modified(self, query: Query, node: exp.Expr, parent: Scope | None) -> Query:
        """A query with the ORDER BY and LIMIT that stand behind it."""
        if not any(node.args.get(name) for name in ("order", "limit", "offset")):
            return query
        alias = self.fresh("r")
        fields = [
            Field(f.name and f.name.lower(), f.type, f"{alias}.c{i}", f.cell)
            for i, f in enumerate(query.fields, 1)
        ]
        depends = [query.root]
        items = [Value(f.sql, f.type) for f in fields]
        clauses = self._tail(node, Scope(fields, parent), items, query.fields, depends)
        sql = f"SELECT * FROM ({query.sql}) AS {alias} {' '.join(clauses)}"
        return Query(sql, query.fields, Cell(depends=depends))

    def _values(self, node: exp.Values, parent: Scope | None) -> Query:
        scope = Scope([], parent)
        rows: list[list[Value]] = []
        with self.collect() as cells:
            for row in node.expressions:
                parts = row.expressions if isinstance(row, exp.Tuple) else [row]
                rows.append([self.expressions.value(part, scope) for part in parts])
        width = len(rows[0])
        if any(len(row) != width for row in rows):
            raise QueryError("TYPE_MISMATCH", "Values rows have mismatched sizes")
        types = []
        for i in range(width):
            wanted = rows[0][i].type
            for row in rows[1:]:
                both = t.common(wanted, row[i].type)
                if both is None:
                    raise QueryError(
                        "TYPE_MISMATCH", f"Values rows have mismatched types: {wanted} vs"
                        f" {row[i].type}"
                    )  # fmt: skip
                wanted = both
            types.append(wanted)
        lines = ", ".join(
            f"({', '.join(coerce(v, ty).sql for v, ty in zip(row, types, strict=True))})"
            for row in rows
        )
        names = ", ".join(f"c{i}" for i in range(1, width + 1))
        typed = ", ".join(f"CAST(c{i} AS {ty.duckdb}) AS c{i}" for i, ty in enumerate(types, 1))
        sql = f"SELECT {typed} FROM (VALUES {lines}) AS {self.fresh('v')}({names})"
        fields = [Field(None, type_, "", Cell()) for type_ in types]
        return self._modified(Query(sql, fields, Cell(depends=cells)), node, parent)

    # FROM

    def _from(self, node: exp.Select, parent: Scope | None) -> Relation:
        from_ = node.args.get("from_")
        if from_ is None:
            return Relation("", [], Cell())
        relation = self._relation(from_.this, Scope([], parent))
        return self._joined(relation, node.args.get("joins") or [], parent)

    def _joined(self, relation: Relation, joins: list[exp.Join], parent: Scope | None) -> Relation:
        for join in joins:
            relation = self._join(relation, join, parent)
        return relation

    def _join(self, left: Relation, join: exp.Join, parent: Scope | None) -> Relation:
        if join.args.get("method"):
            raise unsupported("NATURAL JOIN", "Use JOIN ... USING.")
        side, kind = (join.side or "").upper(), (join.kind or "").upper()
        if kind not in ("", "INNER", "CROSS", "OUTER"):
            raise unsupported(f"{kind} JOIN")
        first = len(self._scans)
        before = [scan for scan in self._scans if scan.prunable]
        right = self._relation(join.this, Scope(left.fields, parent))
        added = self._scans[first:]
        if side in ("LEFT", "FULL"):
            for scan in added:
                scan.prunable = False
        if side in ("RIGHT", "FULL"):
            for scan in before:
                if any(f.cell in scan.columns.values() for f in left.fields):
                    scan.prunable = False
        lateral = "LATERAL " if isinstance(join.this, (exp.Unnest, exp.Lateral)) else ""
        words = f"{side} JOIN" if side else "JOIN"
        root = Cell(depends=[left.root, right.root])
        using, on = join.args.get("using"), join.args.get("on")
        if using:
            names = [u.name.lower() for u in using]
            return self._using(left, right, names, words, side, root)
        fields = left.fields + right.fields
        if on is None:
            if side:
                raise QueryError("SYNTAX_ERROR", f"{side} JOIN requires ON or USING")
            return Relation(f"{left.sql} CROSS JOIN {lateral}{right.sql}", fields, root)
        scope = Scope(fields, parent, clause="ON")
        parts = list(on.flatten()) if isinstance(on, exp.And) else [on]
        texts = []
        for part in parts:
            with self.collect() as cells:
                texts.append(self.expressions.condition(part, scope).sql)
            root.depends += cells
            if not side:
                self._prune(part, texts[-1], cells, [*before, *added])
            elif side == "LEFT":
                self._prune(part, texts[-1], cells, added)
        return Relation(
            f"{left.sql} {words} {lateral}{right.sql} ON {' AND '.join(texts)}", fields, root
        )

    def _using(
        self, left: Relation, right: Relation, names: list[str], words: str, side: str, root: Cell
    ) -> Relation:
        tests, shared = [], []
        for name in names:
            found = []
            for relation in (left, right):
                one = Scope(relation.fields).find((), name, "")
                if one is None:
                    raise QueryError(
                        "COLUMN_NOT_FOUND",
                        f"Column '{name}' is missing from one side of join",
                    )
                found.append(one)
            a, b = found
            tests.append(compare("=", Value(a.sql, a.type), Value(b.sql, b.type)).sql)
            root.depends += [a.cell, b.cell]
            both = t.common(a.type, b.type)
            assert both is not None
            x, y = (coerce(Value(f.sql, f.type), both).sql for f in (a, b))
            sql = {"RIGHT": y, "FULL": f"coalesce({x}, {y})"}.get(side, x)
            shared.append(Field(name, both, sql, Cell(depends=[a.cell, b.cell])))
        rest = [f for f in left.fields + right.fields if f.name not in names]
        sql = f"{left.sql} {words} {right.sql} ON {' AND '.join(tests)}"
        return Relation(sql, shared + rest, root)

    def _relation(self, node: exp.Expr, scope: Scope) -> Relation:
        """One FROM item. ``scope`` is what a lateral item may use."""
        if isinstance(node, exp.Table):
            relation = self._table(node)
            return self._joined(relation, node.args.get("joins") or [], scope.parent)
        if isinstance(node, exp.Subquery):
            inner = node.this
            if isinstance(inner, (exp.Table, exp.Subquery)) and not node.alias:
                nested = self._relation(inner, Scope([], scope.parent))
                nested = self._joined(nested, node.args.get("joins") or [], scope.parent)
                return Relation(f"({nested.sql})", nested.fields, nested.root)
            if not isinstance(inner, exp.Query) or isinstance(inner, exp.Table):
                raise unsupported(f"the relation {node.sql('trino')[:80]}")
            if node.args.get("sample"):
                raise unsupported("TABLESAMPLE")
            bare = node.copy() if any(node.args.get(k) for k in ("order", "limit")) else None
            query = self.query(inner, scope.parent)
            if bare is not None:
                query = self._modified(query, node, scope.parent)
            relation = self._derived(query, node.args.get("alias"))
            return self._joined(relation, node.args.get("joins") or [], scope.parent)
        if isinstance(node, exp.Values):
            alias = node.args.get("alias")
            return self._derived(self._values(node, scope.parent), alias)
        if isinstance(node, exp.Unnest):
            return self._unnest(node, scope)
        if isinstance(node, exp.Lateral):
            if not isinstance(node.this, exp.Subquery):
                raise unsupported(f"the relation {node.sql('trino')[:80]}")
            query = self.query(node.this.this, Scope(scope.fields, scope.parent))
            return self._derived(query, node.args.get("alias"))
        raise unsupported(f"the relation {node.sql('trino')[:80]}")

    def _derived(
        self, query: Query, alias: exp.TableAlias | None, name: str = "", source: str = ""
    ) -> Relation:
        """A query as a FROM item; ``source`` names it where it is emitted elsewhere."""
        emitted = self.fresh("r")
        if alias is not None:
            query = _renamed(query, alias, alias.name)
            name = alias.name or name
        qualifier = (name.lower(),) if name else ()
        fields = [
            Field(f.name and f.name.lower(), f.type, f"{emitted}.c{i}", f.cell, qualifier)
            for i, f in enumerate(query.fields, 1)
        ]
        return Relation(f"{source or f'({query.sql})'} AS {emitted}", fields, query.root)

    def _unnest(self, node: exp.Unnest, scope: Scope) -> Relation:
        """Arrays side by side, padded with NULL; a map gives two columns, rows their fields.

        https://trino.io/docs/current/sql/select.html#unnest
        """
        emitted, inner = self.fresh("r"), self.fresh("u")
        parts: list[str] = []
        columns: list[tuple[str, Type]] = []
        lengths = []
        with self.collect() as cells:
            for argument in node.expressions:
                value = self.expressions.value(argument, scope)
                if value.type.name == "map":
                    for function, type_ in zip(
                        ("map_keys", "map_values"), value.type.args, strict=True
                    ):
                        parts.append(f"unnest({function}({value.sql})) AS u{len(parts) + 1}")
                        columns.append((f"{inner}.u{len(parts)}", type_))
                    lengths.append(f"cardinality({value.sql})")
                    continue
                if value.type.name != "array":
                    raise QueryError(
                        "INVALID_FUNCTION_ARGUMENT",
                        f"{position(argument)}Cannot unnest type: {value.type}",
                    )
                parts.append(f"unnest({value.sql}) AS u{len(parts) + 1}")
                lengths.append(f"len({value.sql})")
                element = value.type.args[0]
                reference = f"{inner}.u{len(parts)}"
                if element.name == "row":
                    for i, (name, type_) in enumerate(element.args):
                        key = literal(t.field_name(name, i))
                        columns.append((f"struct_extract({reference}, {key})", type_))
                else:
                    columns.append((reference, element))
        if node.args.get("offset"):
            longest = f"greatest({', '.join(f'coalesce({n}, 0)' for n in lengths)})"
            parts.append(f"unnest(range(1, CAST({longest} AS BIGINT) + 1)) AS u{len(parts) + 1}")
            columns.append((f"{inner}.u{len(parts)}", t.BIGINT))
        items = ", ".join(f"{sql} AS c{i}" for i, (sql, _) in enumerate(columns, 1))
        sql = f"(SELECT {items} FROM (SELECT {', '.join(parts)}) AS {inner}) AS {emitted}"
        alias = node.args.get("alias")
        names = [c.name.lower() for c in alias.args.get("columns") or []] if alias else []
        if isinstance(node.args.get("offset"), exp.Identifier):
            names.append(node.args["offset"].name.lower())
        if names and len(names) != len(columns):
            raise QueryError(
                "MISMATCHED_COLUMN_ALIASES",
                f"Column alias list has {len(names)} entries but '{alias and alias.name}' has"
                f" {len(columns)} columns available",
            )
        qualifier = (alias.name.lower(),) if alias is not None and alias.name else ()
        root = Cell(depends=cells)
        fields = [
            Field(names[i] if names else None, type_, f"{emitted}.c{i + 1}", root, qualifier)
            for i, (_, type_) in enumerate(columns)
        ]
        return Relation(sql, fields, root)

    def _table(self, node: exp.Table) -> Relation:
        for option in ("sample", "version", "when", "pivots", "hints", "ordinality"):
            if node.args.get(option):
                raise unsupported(
                    {"sample": "TABLESAMPLE", "version": "FOR TIMESTAMP AS OF (Iceberg)"}.get(
                        option, option.upper()
                    )
                )
        if not isinstance(node.this, exp.Identifier):
            raise unsupported(f"the table function {node.sql('trino')}")
        name, database = node.name.lower(), node.db.lower()
        alias = node.args.get("alias")
        if not database:
            for ctes in reversed(self._ctes):
                if name in ctes:
                    emitted, made = ctes[name]
                    return self._derived(made, alias, name, emitted)
        if node.catalog and node.catalog.lower() not in (CATALOG, "hive"):
            raise QueryError(
                "CATALOG_NOT_FOUND", f"{position(node)}Catalog '{node.catalog}' not found"
            )
        database = database or self.database
        return self.table(database, name, alias, position(node))

    def table(
        self, database: str, name: str, alias: exp.TableAlias | None = None, where: str = ""
    ) -> Relation:
        """A catalog table, a view, or a table of information_schema."""
        if database == "information_schema":
            found = self.catalog.information(name)
            if found is not None:
                return self._information(name, *found, alias)
        table = self.catalog.table(database, name)
        if table is None:
            if not self.catalog.has_database(database) and database != "information_schema":
                raise QueryError("SCHEMA_NOT_FOUND", f"{where}Schema '{database}' does not exist")
            raise QueryError(
                "TABLE_NOT_FOUND", f"{where}Table '{CATALOG}.{database}.{name}' does not exist"
            )
        if table.get("TableType") == "VIRTUAL_VIEW":
            return self._view(database, name, table, alias)
        return self._scan(database, name, table, alias)

    def _scan(
        self, database: str, name: str, table: dict[str, Any], alias: exp.TableAlias | None
    ) -> Relation:
        emitted = self.fresh("r")
        columns = self.catalog.lake.columns(table)
        cells = {c.name: Cell() for c in columns}
        cells["$path"] = Cell()
        partitions = {id(cells[c.name]) for c in columns if c.partition}
        self._scans.append(_Scan(table, emitted, cells, partitions))
        qualifier = (alias.name.lower(),) if alias and alias.name else (CATALOG, database, name)
        names = [c.name.lower() for c in alias.args.get("columns") or []] if alias else []
        if names and len(names) != len(columns):
            raise _alias_count(names, name, len(columns))
        fields = []
        for i, column in enumerate(columns):
            type_ = t.from_hive(column.type)
            sql = f"{emitted}.{quoted(column.name)}"
            if type_ == t.TIMESTAMP:
                sql = rounded(sql, 3)
            shown = names[i] if names else column.name
            fields.append(Field(shown, type_, sql, cells[column.name], qualifier))
        path = f'{emitted}."$path"'
        fields.append(Field("$path", t.VARCHAR, path, cells["$path"], qualifier, hidden=True))
        mark = f"{MARK}s{len(self._scans) - 1}{MARK}"
        return Relation(f"({mark}) AS {emitted}", fields, Cell())

    def _view(
        self, database: str, name: str, table: dict[str, Any], alias: exp.TableAlias | None
    ) -> Relation:
        if (database, name) in self._views:
            raise QueryError("VIEW_IS_RECURSIVE", f"Statement is recursive: {database}.{name}")
        view = self.catalog.view(table)
        outer = self.database, self._ctes, self._states
        self.database, self._ctes, self._states = view.database or database, [], []
        self._views.append((database, name))
        try:
            query = self.query(parse(view.sql), None)
        except QueryError as error:
            raise QueryError(
                "INVALID_VIEW", f"Failed analyzing stored view '{CATALOG}.{database}.{name}':"
                f" {error.message}"
            ) from error  # fmt: skip
        finally:
            self.database, self._ctes, self._states = outer
            self._views.pop()
        if [f.name and f.name.lower() for f in query.fields] != [c[0] for c in view.columns]:
            raise QueryError(
                "VIEW_IS_STALE",
                f"View '{CATALOG}.{database}.{name}' is stale or in invalid state: a column has"
                " changed. Create the view again.",
            )
        relation = self._derived(query, alias, name)
        if alias is None or not alias.name:
            qualifier = (CATALOG, database, name)
            relation.fields = [
                Field(f.name, f.type, f.sql, f.cell, qualifier) for f in relation.fields
            ]
        return relation

    def _information(
        self,
        name: str,
        columns: list[tuple[str, Type]],
        rows: list[list[Any]],
        alias: exp.TableAlias | None,
    ) -> Relation:
        def sql_of(value: Any, type_: Type) -> str:
            text = "NULL" if value is None else literal(str(value))
            return f"CAST({text} AS {type_.duckdb})"

        lines = [
            ", ".join(
                f"{sql_of(value, type_)} AS c{i}"
                for i, (value, (_, type_)) in enumerate(zip(row, columns, strict=True), 1)
            )
            for row in rows or [[None] * len(columns)]
        ]
        sql = " UNION ALL ".join(f"SELECT {line}" for line in lines)
        if not rows:
            sql += " LIMIT 0"
        fields = [Field(n, type_, "", Cell()) for n, type_ in columns]
        relation = self._derived(Query(sql, fields, Cell()), alias, name)
        if alias is None or not alias.name:
            qualifier = (CATALOG, "information_schema", name)
            relation.fields = [
                Field(f.name, f.type, f.sql, f.cell, qualifier) for f in relation.fields
            ]
        return relation

    # The end

    def finish(self, sql: str) -> tuple[str, int]:
        """The whole SQL, now that it is known what is used, and the bytes that it scans."""
        ctes = [
            f"{name} AS ({self._resolved(query.sql)})"
            for name, query in self._with
            if query.root.used
        ]
        body = self._resolved(sql)
        if ctes:
            body = f"WITH {', '.join(ctes)} {body}"
        return body, self._bytes

    _bytes = 0

    def _resolved(self, sql: str) -> str:
        parts = sql.split(MARK)
        for i in range(1, len(parts), 2):
            kind, index = parts[i][0], int(parts[i][1:])
            if kind == "s":
                parts[i] = self._scan_sql(self._scans[index])
                continue
            cell, type_ = self._items[index]
            parts[i] = self._resolved(cell.sql) if cell.used else f"CAST(NULL AS {type_.duckdb})"
        return "".join(parts)

    def _scan_sql(self, scan: _Scan) -> str:
        wanted = {name for name, cell in scan.columns.items() if cell.used}
        where = " AND ".join(scan.where) or None
        lake = self.catalog.lake
        try:
            found = lake.scan(scan.table, wanted, where, scan.alias)
        except duckdb.Error:
            found = lake.scan(scan.table, wanted)
        self._bytes += found.bytes
        return found.sql


def _ordered(value: Value, node: exp.Expr) -> str:
    direction = "DESC" if node.args.get("desc") else "ASC"
    nulls = "FIRST" if node.args.get("nulls_first") else "LAST"
    return f"{value.sql} {direction} NULLS {nulls}"


def _orderable(value: Value) -> None:
    if not value.type.orderable:
        raise QueryError(
            "TYPE_MISMATCH",
            f"Type {value.type} is not orderable, and therefore cannot be used in ORDER BY",
        )


def _not_ordinal(sql: str) -> str:
    """A constant number in GROUP BY or ORDER BY that DuckDB does not take for a position."""
    return f"CAST({sql} AS INTEGER)" if sql.strip("()-").isdigit() else sql


def _renamed(query: Query, alias: exp.TableAlias, name: str) -> Query:
    columns = [c.name for c in alias.args.get("columns") or []]
    if not columns:
        return query
    if len(columns) != len(query.fields):
        raise _alias_count(columns, name, len(query.fields))
    fields = [
        Field(shown, f.type, f.sql, f.cell) for shown, f in zip(columns, query.fields, strict=True)
    ]
    return Query(query.sql, fields, query.root)


def _alias_count(names: list[str], name: str, available: int) -> QueryError:
    return QueryError(
        "MISMATCHED_COLUMN_ALIASES",
        f"Column alias list has {len(names)} entries but '{name}' has {available} columns"
        " available",
    )


__all__ = ["Catalog", "LakeError", "Translated", "View", "translate"]
