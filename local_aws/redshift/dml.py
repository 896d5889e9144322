"""SELECT, INSERT, UPDATE, DELETE, MERGE and EXPLAIN."""

# SQL is put together here from quoted names and compiled expressions only.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from local_aws.redshift.compiler import (
    Column,
    Compiler,
    Query,
    Relation,
    Scope,
    Source,
    Typed,
    quote,
)
from local_aws.redshift.dialect import Cursor, parse_expression, parse_one
from local_aws.redshift.errors import SqlError, Unsupported
from local_aws.redshift.statements import Statement
from local_aws.redshift.types import varchar

if TYPE_CHECKING:
    from local_aws.redshift.session import Outcome, Session


def select(sql: str) -> Statement:
    tree = parse_one(sql)
    if isinstance(tree, exp.Select) and tree.args.get("into") is not None:
        from local_aws.redshift import ddl

        return ddl.select_into(sql, tree)

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        return session.fetch(session.compiler(parameters).query(tree))

    def columns(session: Session, parameters: dict[str, str]) -> list[Column]:
        return session.compiler(parameters).query(tree).columns

    return Statement("SELECT", sql, run, columns=columns)


def with_query(sql: str) -> Statement:
    """WITH ... before a SELECT; Redshift takes none before INSERT, UPDATE and DELETE."""
    tree = parse_one(sql)
    if isinstance(tree, exp.Insert | exp.Update | exp.Delete | exp.Merge):
        word = type(tree).__name__.upper()
        raise SqlError(f'syntax error at or near "{word}"', "Put the WITH inside the statement.")
    return select(sql)


def target(session: Session, parts: tuple[str, ...], word: str) -> Relation:
    """The table that a statement writes, locked.

    Raises:
        SqlError: it is a view, an external table or a system view.
    """
    from local_aws.redshift.statements import lock_name

    relation = session.view.relation(parts)
    if relation.kind == "external":
        raise SqlError(
            f'cannot {word.lower()} external table "{relation.name}"'
            " (Redshift Spectrum external tables are read-only)"
        )
    if relation.kind == "view":
        raise SqlError(f"cannot {word.lower()} a view")
    if relation.kind == "system":
        raise SqlError(f"permission denied for relation {relation.name}")
    if relation.kind == "table":
        session.lock([lock_name(session, (relation.schema, relation.name))])
    return relation


def parts_of(table: exp.Expr) -> tuple[str, ...]:
    if not isinstance(table, exp.Table):
        raise Unsupported(f"{type(table).__name__} as a target")
    return tuple(part.name.lower() for part in table.parts)


# -- INSERT --------------------------------------------------------------------------------


def insert(sql: str) -> Statement:
    """INSERT INTO ... VALUES, SELECT or DEFAULT VALUES.

    https://docs.aws.amazon.com/redshift/latest/dg/r_INSERT_30.html
    """
    tree = parse_one(sql)
    if not isinstance(tree, exp.Insert):
        raise SqlError("syntax error in INSERT")
    for part in ("overwrite", "by_name", "partition", "conflict", "returning", "alternative"):
        if tree.args.get(part):
            raise SqlError(f'syntax error at or near "{part}"')
    schema = tree.this
    table = schema.this if isinstance(schema, exp.Schema) else schema
    names = [c.name.lower() for c in schema.expressions] if isinstance(schema, exp.Schema) else None
    parts = parts_of(table)

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        relation = target(session, parts, "INSERT INTO")
        compiler = session.compiler(parameters)
        body = tree.expression
        if body is None:
            return _insert_rows(session, compiler, relation, [], [[]])
        if isinstance(body, exp.Values):
            rows = [
                row.expressions if isinstance(row, exp.Tuple) else [row] for row in body.expressions
            ]
            wanted = _targets(relation, names, len(rows[0]) if rows else 0)
            return _insert_rows(session, compiler, relation, wanted, rows)
        query = compiler.query(body)
        wanted = _targets(relation, names, len(query.columns))
        return session.change(insert_query(session, compiler, relation, wanted, query))

    return Statement("INSERT", sql, run, writes=(parts,))


def _targets(relation: Relation, names: Sequence[str] | None, given: int) -> list[Column]:
    known = {column.name: column for column in relation.columns}
    if names is None:
        if given > len(relation.columns):
            raise SqlError("INSERT has more expressions than target columns")
        return relation.columns[:given]
    for name in names:
        if name not in known:
            raise SqlError(f'column "{name}" of relation "{relation.name}" does not exist')
        if list(names).count(name) > 1:
            raise SqlError(f'column "{name}" specified more than once')
    if given > len(names):
        raise SqlError("INSERT has more expressions than target columns")
    if given < len(names):
        raise SqlError("INSERT has more target columns than expressions")
    wanted = [known[name] for name in names]
    return wanted


def check_identity(relation: Relation, wanted: Sequence[Column]) -> None:
    for column in wanted:
        identity = relation.details["columns"].get(column.name, {}).get("identity")
        if identity and identity["always"]:
            raise SqlError(f'cannot set an identity column "{column.name}" to a value')


def fill(session: Session, compiler: Compiler, relation: Relation, column: Column) -> str:
    """What a column gets that an INSERT or COPY does not name: identity, DEFAULT or NULL."""
    identity = relation.details["columns"].get(column.name, {}).get("identity")
    if identity:
        return f"CAST(nextval('{identity['sequence']}') AS {column.type.duck})"
    if column.default is not None:
        value = compiler.expr(parse_expression(column.default), Scope())
        return compiler.assign(value, column)
    return f"CAST(NULL AS {column.type.duck})"


def _insert_rows(
    session: Session, compiler: Compiler, relation: Relation, wanted: Sequence[Column], rows: Any
) -> Outcome:
    made = []
    explicit = set()
    for row in rows:
        if len(row) > len(wanted):
            raise SqlError("INSERT has more expressions than target columns")
        if len(row) < len(wanted):
            raise SqlError("VALUES lists must all be the same length")
        values = {}
        for node, column in zip(row, wanted, strict=True):
            if _is_default(node):
                values[column.name] = fill(session, compiler, relation, column)
            else:
                explicit.add(column.name)
                values[column.name] = compiler.assign(compiler.expr(node, Scope()), column)
        made.append([
            values.get(column.name) or fill(session, compiler, relation, column)
            for column in relation.columns
        ])  # fmt: skip
    check_identity(relation, [column for column in wanted if column.name in explicit])
    listed = ", ".join(quote(column.name) for column in relation.columns)
    shown = ", ".join(f"({', '.join(row)})" for row in made)
    return session.change(f"INSERT INTO {relation.sql} ({listed}) VALUES {shown}")


def _is_default(node: exp.Expr) -> bool:
    return (isinstance(node, exp.Var | exp.Column)) and node.name.upper() == "DEFAULT"


def insert_query(
    session: Session,
    compiler: Compiler,
    relation: Relation,
    wanted: Sequence[Column],
    query: Query,
) -> str:
    """``INSERT INTO ... SELECT`` with every column written: converted, defaulted or NULL."""
    check_identity(relation, wanted)
    names = [f"c{i}" for i in range(len(query.columns))]
    values = {
        column.name: compiler.assign(Typed(name, found.type), column)
        for name, found, column in zip(names, query.columns, wanted, strict=False)
    }
    listed = ", ".join(quote(column.name) for column in relation.columns)
    selected = ", ".join(
        values.get(column.name) or fill(session, compiler, relation, column)
        for column in relation.columns
    )
    source = f"({query.sql}) AS s({', '.join(names)})"
    return f"INSERT INTO {relation.sql} ({listed}) SELECT {selected} FROM {source}"


# -- UPDATE, DELETE ------------------------------------------------------------------------


def _scope(compiler: Compiler, relation: Relation, alias: str) -> Scope:
    scope = Scope()
    scope.sources[alias] = Source(alias, relation.columns, relation)
    return scope


def update(sql: str) -> Statement:
    """UPDATE ... SET ... FROM ... WHERE.

    https://docs.aws.amazon.com/redshift/latest/dg/r_UPDATE.html
    """
    tree = parse_one(sql)
    if not isinstance(tree, exp.Update):
        raise SqlError("syntax error in UPDATE")
    for part in ("returning", "order", "limit"):
        if tree.args.get(part):
            raise SqlError(f'syntax error at or near "{part}"')
    parts = parts_of(tree.this)
    alias = tree.this.alias.lower() or parts[-1]

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        relation = target(session, parts, "UPDATE")
        compiler = session.compiler(parameters)
        scope = _scope(compiler, relation, alias)
        source = ""
        if tree.args.get("from_") is not None:
            first = tree.args["from_"].this
            source = " FROM " + compiler.from_items(first, (), scope)
        sets = assignments(session, compiler, relation, tree.expressions, scope, alias)
        where = tree.args.get("where")
        test = f" WHERE {compiler.condition(where.this, scope, 'WHERE')}" if where else ""
        return session.change(f"UPDATE {relation.sql} AS {quote(alias)} SET {sets}{source}{test}")

    return Statement("UPDATE", sql, run, writes=(parts,))


def assignments(
    session: Session,
    compiler: Compiler,
    relation: Relation,
    items: Sequence[exp.Expr],
    scope: Scope,
    alias: str,
) -> str:
    known = {column.name: column for column in relation.columns}
    made = []
    for item in items:
        if not isinstance(item, exp.EQ) or not isinstance(item.this, exp.Column):
            raise Unsupported(f"SET {item.sql(dialect='redshift')}")
        name = item.this.name.lower()
        if item.this.table and item.this.table.lower() not in (alias, relation.name):
            raise SqlError(f'column "{item.this.table}" of relation does not exist')
        column = known.get(name)
        if column is None:
            raise SqlError(f'column "{name}" of relation "{relation.name}" does not exist')
        check_identity(relation, [column])
        if _is_default(item.expression):
            value = fill(session, compiler, relation, column)
        else:
            value = compiler.assign(compiler.expr(item.expression, scope), column)
        made.append(f"{quote(name)} = {value}")
    return ", ".join(made)


def delete(sql: str) -> Statement:
    """DELETE [FROM] ... USING ... WHERE.

    https://docs.aws.amazon.com/redshift/latest/dg/r_DELETE.html
    """
    tree = parse_one(sql)
    if not isinstance(tree, exp.Delete):
        raise SqlError("syntax error in DELETE")
    for part in ("returning", "order", "limit"):
        if tree.args.get(part):
            raise SqlError(f'syntax error at or near "{part}"')
    table = tree.this or (tree.args.get("tables") or [None])[0]
    parts = parts_of(table)
    alias = table.alias.lower() or parts[-1]

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        relation = target(session, parts, "DELETE FROM")
        compiler = session.compiler(parameters)
        scope = _scope(compiler, relation, alias)
        source = ""
        using = tree.args.get("using") or []
        if using:
            source = " USING " + compiler.from_items(using[0], (), scope)
            for extra in using[1:]:
                source += ", " + compiler.from_items(extra, (), scope)
        where = tree.args.get("where")
        test = f" WHERE {compiler.condition(where.this, scope, 'WHERE')}" if where else ""
        return session.change(f"DELETE FROM {relation.sql} AS {quote(alias)}{source}{test}")

    return Statement("DELETE", sql, run, writes=(parts,))


# -- MERGE ---------------------------------------------------------------------------------


def merge(sql: str) -> Statement:
    """MERGE INTO ... USING ... ON ..., with both WHEN branches or REMOVE DUPLICATES.

    https://docs.aws.amazon.com/redshift/latest/dg/r_MERGE.html
    """
    cursor = Cursor(sql)
    cursor.expect("MERGE")
    cursor.expect("INTO")
    parts = cursor.qualified()
    words = [token.text.upper() for token in cursor.tokens[-2:]]
    remove = words == ["REMOVE", "DUPLICATES"]
    body = sql[: cursor.tokens[-2].start] + "WHEN MATCHED THEN DELETE" if remove else sql
    tree = parse_one(body)
    if not isinstance(tree, exp.Merge) or tree.args.get("on") is None:
        raise SqlError("syntax error in MERGE")
    alias = tree.this.alias.lower() or parts[-1]
    source_node = tree.args["using"]
    if not isinstance(source_node, exp.Table):
        raise SqlError("the source of MERGE must be a table", "Put the query into a temp table.")
    matched, missing = (None, None) if remove else _branches(tree)

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        relation = target(session, parts, "MERGE INTO")
        compiler = session.compiler(parameters)
        scope = _scope(compiler, relation, alias)
        source = compiler.source(source_node, scope)
        test = compiler.condition(tree.args["on"], scope, "MERGE ON")
        here = f"{relation.sql} AS {quote(alias)}"
        found = list(scope.sources.values())[1]
        if remove:
            return _remove_duplicates(session, compiler, relation, here, source, found, test)
        _refuse_many(session, here, source, test, alias)
        assert matched is not None
        assert missing is not None
        parts_sql = [f"MERGE INTO {here} USING {source} ON ({test})"]
        then = matched.args["then"]
        if isinstance(then, exp.Update):
            items = assignments(session, compiler, relation, then.expressions, scope, alias)
            parts_sql.append(f"WHEN MATCHED THEN UPDATE SET {items}")
        else:
            parts_sql.append("WHEN MATCHED THEN DELETE")
        parts_sql.append(_not_matched(session, compiler, relation, missing, scope))
        return session.change(" ".join(parts_sql))

    return Statement("MERGE", sql, run, writes=(parts,))


def _branches(tree: exp.Merge) -> tuple[exp.When, exp.When]:
    whens = tree.args["whens"].expressions
    for when in whens:
        if when.args.get("condition") is not None:
            raise SqlError('syntax error at or near "AND"', "WHEN takes no further condition.")
        if when.args.get("source"):
            raise SqlError('syntax error at or near "BY"')
    matched = [when for when in whens if when.args.get("matched")]
    missing = [when for when in whens if not when.args.get("matched")]
    if len(matched) != 1 or len(missing) != 1:
        raise SqlError(
            "MERGE needs exactly one WHEN MATCHED and one WHEN NOT MATCHED clause",
            "Or use REMOVE DUPLICATES.",
        )
    if not isinstance(missing[0].args["then"], exp.Insert):
        raise SqlError("WHEN NOT MATCHED takes INSERT alone")
    return matched[0], missing[0]


def _refuse_many(session: Session, here: str, source: str, test: str, alias: str) -> None:
    """Redshift cannot say which of several source rows wins, and refuses."""
    row = session.run(
        f"SELECT 1 FROM {here} JOIN {source} ON ({test})"
        f" GROUP BY {quote(alias)}.rowid HAVING count(*) > 1 LIMIT 1"
    ).fetchone()
    if row:
        raise SqlError("Found multiple matches to update the same tuple.")


def _not_matched(
    session: Session, compiler: Compiler, relation: Relation, when: exp.When, scope: Scope
) -> str:
    then = when.args["then"]
    values = then.expression
    rows = values.expressions if isinstance(values, exp.Tuple | exp.Values) else [values]
    if isinstance(values, exp.Values):
        rows = rows[0].expressions
    names = None
    if isinstance(then.this, exp.Tuple):
        names = [column.name.lower() for column in then.this.expressions]
    elif then.this is not None and isinstance(then.this, exp.Column):
        names = [then.this.name.lower()]
    wanted = _targets(relation, names, len(rows))
    made = {}
    for node, column in zip(rows, wanted, strict=True):
        if not _is_default(node):
            made[column.name] = compiler.assign(compiler.expr(node, scope), column)
    check_identity(relation, [column for column in wanted if column.name in made])
    listed = ", ".join(quote(column.name) for column in relation.columns)
    shown = ", ".join(
        made.get(column.name) or fill(session, compiler, relation, column)
        for column in relation.columns
    )
    return f"WHEN NOT MATCHED THEN INSERT ({listed}) VALUES ({shown})"


def _remove_duplicates(
    session: Session,
    compiler: Compiler,
    relation: Relation,
    here: str,
    source: str,
    found: Source,
    test: str,
) -> Outcome:
    if len(found.columns) != len(relation.columns):
        raise SqlError("MERGE REMOVE DUPLICATES needs tables with the same columns")
    removed = session.change(f"DELETE FROM {here} USING {source} WHERE {test}")
    listed = ", ".join(f"{quote(found.alias)}.{quote(c.name)}" for c in found.columns)
    query = Query(f"SELECT DISTINCT {listed} FROM {source}", found.columns)
    added = session.change(insert_query(session, compiler, relation, relation.columns, query))
    return replace(added, count=max(added.count, removed.count))


# -- EXPLAIN -------------------------------------------------------------------------------


def explain(sql: str) -> Statement:
    """EXPLAIN of a query: DuckDB's plan, which is not Redshift's."""
    cursor = Cursor(sql)
    cursor.expect("EXPLAIN")
    cursor.accept("VERBOSE")
    if cursor.peek() not in ("SELECT", "WITH", "("):
        raise Unsupported(f"EXPLAIN {cursor.peek()}")
    tree = parse_one(cursor.rest())
    plan_column = Column("QUERY PLAN", varchar(65535))

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        from local_aws.redshift.session import Outcome

        compiled = session.compiler(parameters).query(tree)
        plan = session.run(f"EXPLAIN {compiled.sql}").fetchall()
        lines = [(line,) for row in plan for line in row[-1].splitlines()]

        def fetch(count: int) -> list[tuple[Any, ...]]:
            taken = lines[:count]
            del lines[:count]
            return taken

        return Outcome([plan_column], fetch)

    return Statement("EXPLAIN", sql, run, columns=lambda *_: [plan_column])
