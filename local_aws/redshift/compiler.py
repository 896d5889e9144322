"""Redshift queries to DuckDB queries, typed as Redshift types them.

The tree that sqlglot reads is walked once, from the inside out. Every expression becomes a
:class:`Typed`: the DuckDB text and the Redshift type of its value, because what an operator or
function does in Redshift hangs on types (``5/2`` is 2, ``AVG`` of integers is an integer, the scale
of a quotient follows from its operands). A node without a rule here is refused by its name, so
that nothing reaches DuckDB that might mean something else there.
"""

# SQL is put together here from quoted names and compiled expressions only.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol, cast

from sqlglot import exp

from local_aws.redshift import types as t
from local_aws.redshift.errors import SqlError, Unsupported
from local_aws.redshift.types import RType


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True)
class Column:
    """A column of a relation or of a query's result; ``origin`` is its (schema, table)."""

    name: str
    type: RType
    nullable: bool = True
    origin: tuple[str, str] | None = None
    default: str | None = None
    label: str | None = None


@dataclass
class Relation:
    """What a FROM item names. ``kind``: table, temp, view, external, system.

    ``sql`` is what stands in DuckDB's FROM; a view has the text of its query in ``definition``.
    """

    kind: str
    schema: str
    name: str
    columns: list[Column]
    sql: str = ""
    definition: str = ""
    path: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.schema}.{self.name}"


class Catalog(Protocol):
    """Where the compiler finds relations."""

    database: str

    def relation(self, parts: tuple[str, ...], path: tuple[str, ...] | None = None) -> Relation: ...

    def scan(self, relation: Relation, names: Sequence[str], where: str | None, alias: str) -> str:
        """DuckDB's FROM item for an external table of which ``names`` are read.

        ``where`` is about partition columns, qualified by ``alias``.
        """
        ...


@dataclass(frozen=True)
class Typed:
    """An expression: DuckDB text, Redshift type, and the name PostgreSQL would give the column."""

    sql: str
    type: RType
    name: str = "?column?"
    origin: tuple[str, str] | None = None
    nullable: bool = True
    literal: str | None = None

    def named(self, name: str) -> Typed:
        return replace(self, name=name)


@dataclass(frozen=True)
class Argument:
    """What a statement's ``$1`` stands for: a text (None is NULL) and the type it was sent as."""

    text: str | None
    type: RType = t.UNKNOWN


@dataclass
class Query:
    sql: str
    columns: list[Column]


@dataclass
class Source:
    alias: str
    columns: list[Column]
    relation: Relation | None = None


@dataclass
class Scope:
    parent: Scope | None = None
    sources: dict[str, Source] = field(default_factory=dict)
    merged: dict[str, RType] = field(default_factory=dict)
    aliases: dict[str, Typed] = field(default_factory=dict)
    windows: dict[str, exp.Window] = field(default_factory=dict)

    def find(self, table: str, schema: str, name: str) -> Typed | None:
        """A column in this scope alone.

        Raises:
            SqlError: more than one source has it.
        """
        if not table and name in self.merged:
            return Typed(quote(name), self.merged[name], name)
        found = []
        for source in self.sources.values():
            if table and source.alias != table:
                continue
            if schema and (source.relation is None or source.relation.schema != schema):
                continue
            found += [(source, column) for column in source.columns if column.name == name]
        if len(found) > 1:
            raise SqlError(f'column reference "{name}" is ambiguous')
        if not found:
            return None
        source, column = found[0]
        sql = f"{quote(source.alias)}.{quote(name)}"
        return Typed(sql, column.type, name, column.origin, column.nullable)


_SELECT_PARTS = {
    "expressions", "from_", "joins", "where", "group", "having", "qualify", "windows", "order",
    "limit", "offset", "distinct", "with_", "kind", "laterals", "into", "hint",
}  # fmt: skip
_JOIN_SIDES = {"", "LEFT", "RIGHT", "FULL"}
_COMPARISONS = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_SYSTEM_TIME = "%Y-%m-%d %H:%M:%S.%f"


class Compiler:
    """Compiles the queries of one statement."""

    def __init__(
        self,
        catalog: Catalog,
        parameters: dict[str, str] | None = None,
        now: datetime | None = None,
        transaction_start: datetime | None = None,
    ) -> None:
        self.catalog = catalog
        self.parameters = parameters or {}
        self.arguments: Sequence[Argument] = ()
        self.now = now or datetime.now(UTC)
        self.transaction_start = transaction_start or self.now
        self.reads: dict[str, Relation] = {}
        self.used_parameters: set[str] = set()
        self._ctes: list[dict[str, list[Column]]] = []
        self._views: list[str] = []
        self._path: tuple[str, ...] | None = None
        self._renamed: Sequence[Sequence[str]] = ()
        self.leader: list[str] = []
        """Functions used that exist on Redshift's leader node alone."""

    # -- queries ---------------------------------------------------------------------------

    def query(self, node: exp.Expr, parent: Scope | None = None) -> Query:
        """A SELECT, a set operation, or either in parentheses."""
        if isinstance(node, exp.Subquery) and not node.alias:
            inner = node.unnest() if not _has_modifiers(node) else None
            if inner is not None:
                with self._with(node):
                    return self.query(inner, parent)
        with self._with(node) as ctes:
            if isinstance(node, exp.Select):
                body = self._select(node, parent)
            elif isinstance(node, exp.SetOperation):
                body = self._set_operation(node, parent)
            elif isinstance(node, exp.Subquery):
                inner_query = self.query(node.this, parent)
                order = self._order_of_result(node, inner_query.columns)
                body = Query(f"SELECT * FROM ({inner_query.sql}){order}", inner_query.columns)
            else:
                raise Unsupported(f"{_name(node)} as a query")
        return Query(ctes + body.sql, body.columns)

    @contextmanager
    def _with(self, node: exp.Expr) -> Any:
        clause = node.args.get("with_")
        if clause is None:
            yield ""
            return
        known: dict[str, list[Column]] = {}
        self._ctes.append(known)
        parts = []
        recursive = bool(clause.args.get("recursive"))
        for cte in clause.expressions:
            name = cte.alias.lower()
            names = [column.name.lower() for column in cte.args["alias"].args.get("columns") or ()]
            if recursive and isinstance(cte.this, exp.SetOperation):
                if not names:
                    raise SqlError(f'recursive common table "{name}" needs a column name list')
                anchor = self.query(cte.this.left)
                known[name] = _renamed(anchor.columns, names, name)
            body = self.query(cte.this)
            known[name] = _renamed(body.columns, names, name)
            listed = ", ".join(quote(column.name) for column in known[name])
            parts.append(f"{quote(name)}({listed}) AS ({body.sql})")
        try:
            yield f"WITH {'RECURSIVE ' if recursive else ''}{', '.join(parts)} "
        finally:
            self._ctes.pop()

    def _set_operation(self, node: exp.SetOperation, parent: Scope | None) -> Query:
        kind = type(node).__name__.upper()
        if not node.args.get("distinct", True):
            if kind != "UNION":
                raise SqlError(f"{kind} ALL is not supported")
            kind = "UNION ALL"
        left, right = self.query(node.left, parent), self.query(node.right, parent)
        if len(left.columns) != len(right.columns):
            raise SqlError(f"each {kind} query must have the same number of columns")
        columns = [
            replace(
                a,
                type=concrete(t.unify([a.type, b.type], kind)),
                origin=None,
                nullable=a.nullable or b.nullable,
            )
            for a, b in zip(left.columns, right.columns, strict=True)
        ]
        sides = [
            f"({self._recast(side, columns) if isinstance(side, Query) else ''})"
            for side in (left, right)
        ]
        sql = f"{sides[0]} {kind} {sides[1]}"
        order = self._order_of_result(node, columns)
        return Query(f"SELECT * FROM ({sql}){order}" if order else sql, columns)

    def _recast(self, side: Query, columns: Sequence[Column]) -> str:
        """A query whose columns are made those types."""
        if all(a.type.duck == b.type.duck for a, b in zip(side.columns, columns, strict=True)):
            return side.sql
        names = [f"c{i}" for i in range(len(columns))]
        casts = [
            f"{self.cast(Typed(quote(n), a.type), b.type).sql} AS {quote(b.name)}"
            for n, a, b in zip(names, side.columns, columns, strict=True)
        ]
        return f"SELECT {', '.join(casts)} FROM ({side.sql}) AS s({', '.join(names)})"

    def _order_of_result(self, node: exp.Expr, columns: Sequence[Column]) -> str:
        """ORDER BY and LIMIT of a set operation: by output names or positions."""
        order = node.args.get("order")
        parts = []
        for item in order.expressions if order else ():
            key = item.this
            if isinstance(key, exp.Literal) and not key.is_string:
                sql = self._position(key, len(columns), "ORDER BY")
            elif isinstance(key, exp.Column) and not key.table:
                if key.name.lower() not in [column.name for column in columns]:
                    raise SqlError(f'column "{key.name.lower()}" does not exist')
                sql = quote(key.name.lower())
            else:
                scope = Scope(sources={"": Source("", list(columns))})
                sql = self.expr(key, scope).sql.replace('"".', "")
            parts.append(sql + _direction(item))
        result = f" ORDER BY {', '.join(parts)}" if parts else ""
        return result + self._limit(node)

    @staticmethod
    def _position(key: exp.Literal, count: int, clause: str) -> str:
        if not key.is_int or not 1 <= int(key.this) <= count:
            raise SqlError(f"{clause} position {key.this} is not in select list")
        return str(int(key.this))

    def _limit(self, node: exp.Expr) -> str:
        result = ""
        for part in ("limit", "offset"):
            clause = node.args.get(part)
            if clause is None:
                continue
            if not isinstance(clause, exp.Limit | exp.Offset):
                raise Unsupported(f"{_name(clause)}")
            value = clause.expression
            if isinstance(value, exp.Var) and value.name.upper() == "ALL":
                continue
            number = self.expr(value, Scope())
            count = number.literal if number.literal is not None else number.sql
            if not count.isdigit():
                raise SqlError(f"{part.upper()} must be a whole number, not {count}")
            result += f" {part.upper()} {count}"
        return result

    def _select(self, node: exp.Select, parent: Scope | None) -> Query:
        for part, value in node.args.items():
            if value and part not in _SELECT_PARTS:
                raise Unsupported(f"{part.strip('_').upper()} in a query")
        if node.args.get("laterals"):
            raise Unsupported("LATERAL in a query")
        distinct = node.args.get("distinct")
        if distinct is not None and distinct.args.get("on"):
            raise SqlError("SELECT DISTINCT ON is not supported")
        scope = Scope(parent)
        for window in node.args.get("windows") or ():
            scope.windows[window.name.lower()] = window
        source = self._from(node, scope)
        where = node.args.get("where")
        test = f" WHERE {self.condition(where.this, scope, 'WHERE')}" if where else ""
        outputs = self._projection(node, scope)
        parts = [
            "SELECT " + ("DISTINCT " if distinct is not None else ""),
            ", ".join(f"{value.sql} AS {quote(value.name)}" for value in outputs),
        ]
        if source:
            parts.append(f" FROM {source}")
        parts += [test, self._group(node, scope, len(outputs))]
        if node.args.get("having") is not None:
            bare = replace(scope, aliases={})
            test = self.condition(node.args["having"].this, bare, "HAVING")
            parts.append(f" HAVING {test}")
        if node.args.get("qualify") is not None:
            test = self.condition(node.args["qualify"].this, scope, "QUALIFY")
            parts.append(f" QUALIFY {test}")
        parts.append(self._order(node, scope, outputs))
        parts.append(self._limit(node))
        columns = [Column(v.name, v.type, v.nullable, v.origin) for v in outputs]
        return Query("".join(parts), columns)

    def _projection(self, node: exp.Select, scope: Scope) -> list[Typed]:
        outputs: list[Typed] = []
        for item in node.expressions:
            star = item if isinstance(item, exp.Star) else None
            if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
                star = item.this
            if star is not None:
                table = item.table.lower() if isinstance(item, exp.Column) else ""
                outputs += self._star(star, table, scope)
                continue
            alias = ""
            if isinstance(item, exp.Alias):
                alias, item = item.alias.lower(), item.this
            value = self.expr(item, scope)
            value = replace(value, sql=as_column(value))
            if alias:
                value = value.named(alias)
                scope.aliases.setdefault(alias, replace(value, sql=f"({value.sql})"))
            outputs.append(value)
        if not outputs:
            raise SqlError("a query must select at least one column")
        return outputs

    def _star(self, star: exp.Star, table: str, scope: Scope) -> list[Typed]:
        if star.args.get("replace") or star.args.get("rename"):
            raise Unsupported("SELECT * REPLACE or RENAME")
        excluded = {column.name.lower() for column in star.args.get("except_") or ()}
        if table and table not in scope.sources:
            raise SqlError(f'relation "{table}" does not exist')
        found: list[Typed] = []
        if not table:
            found += [Typed(quote(n), kind, n) for n, kind in scope.merged.items()]
        for source in scope.sources.values():
            if table and source.alias != table:
                continue
            found += [
                Typed(
                    f"{quote(source.alias)}.{quote(column.name)}",
                    column.type,
                    column.label or column.name,
                    column.origin,
                    column.nullable,
                )
                for column in source.columns
                if table or column.name not in scope.merged
            ]
        names = {value.name for value in found}
        for name in excluded - names:
            raise SqlError(f'column "{name}" does not exist')
        if not found:
            raise SqlError("SELECT * with no tables specified is not valid")
        return [value for value in found if value.name not in excluded]

    def _group(self, node: exp.Select, scope: Scope, count: int) -> str:
        group = node.args.get("group")
        if group is None:
            return ""
        if group.args.get("all"):
            raise Unsupported("GROUP BY ALL", "Name the columns.")

        def key(item: exp.Expr) -> str:
            if isinstance(item, exp.Literal) and not item.is_string:
                return self._position(item, count, "GROUP BY")
            if isinstance(item, exp.Tuple):
                return f"({', '.join(key(part) for part in item.expressions)})"
            if isinstance(item, exp.Paren):
                return key(item.this)
            return self.expr(item, scope).sql

        parts = [key(item) for item in group.expressions]
        for kind, word in (("rollup", "ROLLUP"), ("cube", "CUBE")):
            for clause in group.args.get(kind) or ():
                parts.append(f"{word} ({', '.join(key(item) for item in clause.expressions)})")
        for clause in group.args.get("grouping_sets") or ():
            sets = ", ".join(
                key(item) if isinstance(item, exp.Tuple) else f"({key(item)})"
                for item in clause.expressions
            )
            parts.append(f"GROUPING SETS ({sets})")
        return f" GROUP BY {', '.join(parts)}"

    def _order(self, node: exp.Select, scope: Scope, outputs: Sequence[Typed]) -> str:
        order = node.args.get("order")
        if order is None:
            return ""
        names = [value.name for value in outputs]
        parts = []
        for item in order.expressions:
            key = item.this
            if isinstance(key, exp.Literal) and not key.is_string:
                sql = self._position(key, len(outputs), "ORDER BY")
            elif isinstance(key, exp.Column) and not key.table and key.name.lower() in names:
                sql = str(names.index(key.name.lower()) + 1)
            else:
                sql = self.expr(key, scope).sql
            parts.append(sql + _direction(item))
        return f" ORDER BY {', '.join(parts)}"

    # -- FROM ------------------------------------------------------------------------------

    def _from(self, node: exp.Expr, scope: Scope) -> str:
        clause = node.args.get("from_")
        if clause is None:
            return ""
        return self.from_items(clause.this, node.args.get("joins") or (), scope)

    def from_items(self, first: exp.Expr, joins: Iterable[exp.Join], scope: Scope) -> str:
        sql = self.source(first, scope)
        for join in [*(first.args.get("joins") or ()), *joins]:
            sql += self._join(join, scope)
        return sql

    def _join(self, join: exp.Join, scope: Scope) -> str:
        side = (join.args.get("side") or "").upper()
        kind = (join.args.get("kind") or "").upper()
        method = (join.args.get("method") or "").upper()
        if side not in _JOIN_SIDES or kind not in ("", "INNER", "OUTER", "CROSS"):
            raise Unsupported(f"{side} {kind} JOIN".replace("  ", " "))
        before = {column.name for source in scope.sources.values() for column in source.columns}
        right = self.source(join.this, scope)
        added = list(scope.sources.values())[-1]
        using = [column.name.lower() for column in join.args.get("using") or ()]
        if method == "NATURAL":
            using = [column.name for column in added.columns if column.name in before]
        elif method:
            raise Unsupported(f"{method} JOIN")
        on = join.args.get("on")
        word = f"{side} JOIN" if side else ("CROSS JOIN" if kind == "CROSS" else "JOIN")
        if using:
            for name in using:
                sides = [
                    column.type
                    for source in scope.sources.values()
                    for column in source.columns
                    if column.name == name
                ]
                if name not in before or name not in {c.name for c in added.columns}:
                    raise SqlError(f'column "{name}" specified in USING clause does not exist')
                scope.merged[name] = t.unify(sides, "JOIN/USING")
            return f" {word} {right} USING ({', '.join(map(quote, using))})"
        if on is not None:
            return f" {word} {right} ON {self.condition(on, scope, 'JOIN/ON')}"
        if side or kind in ("INNER", "OUTER"):
            raise SqlError(f"{word} needs a condition: ON or USING")
        return f" CROSS JOIN {right}"

    def source(self, node: exp.Expr, scope: Scope) -> str:
        """A table, view or subquery in FROM, added to the scope."""
        for part in ("pivots", "sample", "laterals", "when", "version", "changes"):
            if node.args.get(part):
                raise Unsupported(f"{part.upper().rstrip('S')} in FROM")
        alias_node = node.args.get("alias")
        alias, names = "", []
        if alias_node is not None:
            alias = alias_node.name.lower()
            names = [c.name.lower() for c in alias_node.args.get("columns") or ()]
        if isinstance(node, exp.Subquery):
            inner = self.query(node.this, scope.parent)
            alias = alias or f"_subquery{len(scope.sources)}"
            if len({column.name for column in inner.columns}) < len(inner.columns):
                inner = _numbered(inner)
            return self._add(
                scope, Source(alias, _renamed(inner.columns, names, alias)), f"({inner.sql})", names
            )
        if not isinstance(node, exp.Table):
            raise Unsupported(f"{_name(node)} in FROM")
        if isinstance(node.this, exp.Anonymous):
            return self._table_function(node, scope)
        if not isinstance(node.this, exp.Identifier):
            raise Unsupported(f"{node.this.sql(dialect='redshift')} in FROM")
        parts = tuple(part.name.lower() for part in node.parts)
        alias = alias or parts[-1]
        if len(parts) == 1:
            for known in reversed(self._ctes):
                if parts[0] in known:
                    columns = _renamed(known[parts[0]], names, alias)
                    return self._add(scope, Source(alias, columns), quote(parts[0]), names)
        relation = self.catalog.relation(self._renamed_since(parts), self._path)
        self.reads[relation.key] = relation
        body = f"({self._view(relation)})" if relation.kind == "view" else ""
        source = Source(alias, _renamed(relation.columns, names, parts[-1]), relation)
        if body:
            return self._add(scope, source, body, names)
        sql = relation.sql
        if relation.kind == "external":
            read = _columns_read(node, relation)
            where = self._partition_filter(node, relation, alias)
            sql = self.catalog.scan(relation, read, where, alias)
        return self._add(scope, source, sql, names)

    def _renamed_since(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        """What a view's text calls a relation, as it is called now: a view stays bound to it."""
        schemas = [parts[-2]] if len(parts) > 1 else [*(self._path or ())]
        for schema, old, new in self._renamed:
            if old == parts[-1] and schema in schemas:
                return schema, new
        return parts

    def _table_function(self, node: exp.Table, scope: Scope) -> str:
        """``f() alias(name type, ...)`` in FROM."""
        from local_aws.redshift import system

        if node.this.expressions:
            raise Unsupported(f"{node.this.name.upper()} with arguments in FROM")
        alias = node.args.get("alias")
        listed = alias.args.get("columns") or () if alias is not None else ()
        columns = [
            (column.name.lower(), t.from_sqlglot(column.args["kind"]))
            for column in listed
            if isinstance(column, exp.ColumnDef) and column.args.get("kind") is not None
        ]
        name = node.this.name.lower()
        relation = system.table_function(cast(Any, self.catalog), name, columns)
        shown = alias.name.lower() if alias is not None and alias.name else name
        return self._add(scope, Source(shown, relation.columns), relation.sql, ())

    def _partition_filter(self, node: exp.Expr, relation: Relation, alias: str) -> str | None:
        """The parts of the query's WHERE that say which partitions of an external table matter."""
        keys = relation.details.get("partitions", [])
        clause = node.parent
        select = clause.parent if isinstance(clause, exp.From | exp.Join) else None
        where = select.args.get("where") if isinstance(select, exp.Select) else None
        if not keys or select is None or where is None:
            return None
        if any(join.args.get("side") for join in select.args.get("joins") or ()):
            return None  # a row that an outer join makes up has no partition
        columns = [column for column in relation.columns if column.name in keys]
        scope = Scope(sources={alias: Source(alias, columns, relation)})
        tests = where.this.flatten() if isinstance(where.this, exp.And) else [where.this]
        made = []
        for test in tests:
            named = list(test.find_all(exp.Column))
            ours = all(
                column.name.lower() in keys and column.table.lower() in ("", alias)
                for column in named
            )
            if not named or not ours or test.find(exp.Select, exp.Anonymous, exp.Placeholder):
                continue
            sql = self.condition(test, scope, "WHERE")
            if "_rs." not in sql:  # read outside the warehouse, which has these functions
                made.append(sql)
        return " AND ".join(made) or None

    def _view(self, relation: Relation) -> str:
        from local_aws.redshift.dialect import parse_one

        if relation.key in self._views:
            raise SqlError(f'infinite recursion in the view "{relation.name}"')
        ctes, self._ctes = self._ctes, []
        path, self._path = self._path, relation.path
        renamed, self._renamed = self._renamed, relation.details.get("renamed", ())
        self._views.append(relation.key)
        try:
            body = self.query(parse_one(relation.definition))
        finally:
            self._views.pop()
            self._ctes, self._path, self._renamed = ctes, path, renamed
        if relation.details.get("late"):
            relation.columns[:] = [replace(c, origin=None) for c in body.columns]
            return body.sql
        names = ", ".join(quote(column.name) for column in relation.columns)
        return f"SELECT * FROM ({self._recast(body, relation.columns)}) AS v({names})"

    @staticmethod
    def _add(scope: Scope, source: Source, sql: str, names: Sequence[str]) -> str:
        if source.alias in scope.sources:
            raise SqlError(f'table name "{source.alias}" specified more than once')
        scope.sources[source.alias] = source
        listed = f"({', '.join(quote(c.name) for c in source.columns)})" if names else ""
        return f"{sql} AS {quote(source.alias)}{listed}"

    # -- expressions -----------------------------------------------------------------------

    def condition(self, node: exp.Expr, scope: Scope, clause: str) -> str:
        value = self.expr(node, scope)
        if value.type.name not in ("bool", "null", "unknown"):
            raise SqlError(f"argument of {clause} must be type boolean, not type {value.type}")
        return self.cast(value, t.BOOL).sql

    def expr(self, node: exp.Expr, scope: Scope) -> Typed:
        """One value expression."""
        rule = _RULES.get(type(node))
        if rule is None:
            raise Unsupported(f"{_name(node)} ({node.sql(dialect='redshift')[:80]})")
        return rule(self, node, scope)

    def exprs(self, nodes: Iterable[exp.Expr], scope: Scope) -> list[Typed]:
        return [self.expr(node, scope) for node in nodes]

    def column(self, node: exp.Column, scope: Scope) -> Typed:
        name, table, schema = node.name.lower(), node.table.lower(), node.db.lower()
        if node.catalog and node.catalog.lower() != self.catalog.database:
            raise Unsupported("columns of another database")
        level: Scope | None = scope
        while level is not None:
            found = level.find(table, schema, name)
            if found is None and not table:
                found = level.aliases.get(name)
                if found is not None:
                    found = found.named(name)
            if found is not None:
                return found
            level = level.parent
        if not table and name in _BARE:
            return _BARE[name](self)
        if table and all(table not in level.sources for level in _levels(scope)):
            raise SqlError(f'relation "{table}" does not exist')
        among = ", ".join(alias for level in _levels(scope) for alias in level.sources)
        where = f" in {among}" if among else ""
        raise SqlError(f'column "{name}" does not exist{where}')

    def cast(self, value: Typed, kind: RType, explicit: bool = False) -> Typed:
        """A value made that type, as an implicit conversion (a comparison, a CASE) or a CAST.

        Raises:
            SqlError: Redshift has no such conversion.
        """
        from local_aws.redshift import casts

        return casts.convert(self, value, kind, explicit)

    def assign(self, value: Typed, column: Column) -> str:
        """A value made fit for a column that it is written to; overlong text is an error."""
        from local_aws.redshift import casts

        return casts.assign(value, column)


def as_column(value: Typed) -> str:
    """A value as it stands in a select list: text and NULL get their type."""
    if value.type.name == "null":
        return f"CAST({value.sql} AS VARCHAR)"
    return value.sql


def concrete(kind: RType) -> RType:
    """The type of a column made of a literal whose use gave it none."""
    if kind.name in ("unknown", "null"):
        return t.varchar(max(kind.a, 1))
    return kind


def _levels(scope: Scope) -> Iterable[Scope]:
    level: Scope | None = scope
    while level is not None:
        yield level
        level = level.parent


def _renamed(columns: Sequence[Column], names: Sequence[str], relation: str) -> list[Column]:
    if len(names) > len(columns):
        raise SqlError(
            f'table "{relation}" has {len(columns)} columns available but {len(names)} specified'
        )
    return [
        replace(
            column, name=names[i] if i < len(names) else column.name, type=concrete(column.type)
        )
        for i, column in enumerate(columns)
    ]


def _numbered(query: Query) -> Query:
    """A subquery with two columns of one name: both are there, neither can be named."""
    names = [f"c{i}" for i in range(len(query.columns))]
    seen = [column.name for column in query.columns]
    columns = [
        column
        if seen.count(column.name) == 1
        else replace(column, name=f"{column.name} {i}", label=column.name)
        for i, column in enumerate(query.columns)
    ]
    listed = ", ".join(
        f"{name} AS {quote(column.name)}" for name, column in zip(names, columns, strict=True)
    )
    return Query(f"SELECT {listed} FROM ({query.sql}) AS s({', '.join(names)})", columns)


def _direction(item: exp.Expr) -> str:
    """ASC or DESC with the place of NULLs, which Redshift sorts as the highest values.

    https://docs.aws.amazon.com/redshift/latest/dg/r_ORDER_BY_clause.html
    """
    descending = bool(item.args.get("desc"))
    first = bool(item.args.get("nulls_first"))
    return f" {'DESC' if descending else 'ASC'} NULLS {'FIRST' if first else 'LAST'}"


def _columns_read(node: exp.Expr, relation: Relation) -> list[str]:
    """The columns of an external table that the whole statement may read, by name."""
    root = node.root()
    stars = root.find_all(exp.Star)
    if any(isinstance(star.parent, exp.Select | exp.Column) for star in stars):
        return [column.name for column in relation.columns]
    named = {column.name.lower() for column in root.find_all(exp.Column, exp.Identifier)}
    return [column.name for column in relation.columns if column.name in named]


def _has_modifiers(node: exp.Expr) -> bool:
    return any(node.args.get(part) for part in ("order", "limit", "offset"))


def _name(node: exp.Expr) -> str:
    return type(node).__name__


Rule = Callable[[Compiler, Any, Scope], Typed]
_RULES: dict[type[exp.Expr], Rule] = {}
_BARE: dict[str, Callable[[Compiler], Typed]] = {}
"""Words that stand for a value without parentheses, unless a column has that name."""


def rule(*kinds: type[exp.Expr]) -> Callable[[Rule], Rule]:
    def mark(function: Rule) -> Rule:
        for kind in kinds:
            _RULES[kind] = function
        return function

    return mark


from local_aws.redshift import expressions as _expressions  # noqa: E402,F401 (fills _RULES)
