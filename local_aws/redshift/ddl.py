"""CREATE, DROP, ALTER, TRUNCATE and COMMENT, read token by token.

https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html
"""

# SQL is put together here from quoted names and compiled expressions only.
# ruff: noqa: S608

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from local_aws.redshift import types as t
from local_aws.redshift.compiler import Column, Query, Relation, Scope, Typed, concrete, quote
from local_aws.redshift.dialect import Cursor, parse_expression, parse_one
from local_aws.redshift.errors import SqlError, Unsupported
from local_aws.redshift.statements import Statement, lock_name
from local_aws.redshift.types import RType
from local_aws.redshift.warehouse import INTERNAL

if TYPE_CHECKING:
    from local_aws.redshift.session import Outcome, Session

MAX_COLUMNS = 1600


def _done(count: int = -1) -> Outcome:
    from local_aws.redshift.session import Outcome

    return Outcome(count=count)


@dataclass
class ColumnDef:
    """A column as CREATE TABLE describes it."""

    name: str
    type: RType
    not_null: bool = False
    note: dict[str, Any] = field(default_factory=dict)


@dataclass
class TableDef:
    """A table as CREATE TABLE describes it; ``details`` is what DuckDB does not keep."""

    columns: list[ColumnDef] = field(default_factory=list)
    likes: list[tuple[int, tuple[str, ...], bool]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)


def create(sql: str) -> Statement:
    cursor = Cursor(sql)
    cursor.expect("CREATE")
    replace = cursor.accept("OR", "REPLACE")
    if cursor.accept("EXTERNAL", "SCHEMA"):
        from local_aws.redshift import spectrum

        return spectrum.create_schema(sql, cursor)
    if cursor.accept("EXTERNAL", "TABLE"):
        from local_aws.redshift import spectrum

        return spectrum.create_table(sql, cursor)
    if cursor.accept("SCHEMA"):
        return _create_schema(sql, cursor)
    if cursor.accept("VIEW"):
        return _create_view(sql, cursor, replace)
    if cursor.accept("MATERIALIZED"):
        raise Unsupported("materialized views in Redshift", "Use a view or CREATE TABLE AS.")
    if replace:
        raise Unsupported(f"CREATE OR REPLACE {cursor.peek()} in Redshift")
    cursor.accept("LOCAL")
    temporary = cursor.accept("TEMP") or cursor.accept("TEMPORARY")
    if cursor.accept("TABLE"):
        return _create_table(sql, cursor, temporary)
    raise Unsupported(f"CREATE {cursor.peek() or 'that'} in Redshift")


# -- schemas -------------------------------------------------------------------------------


def _create_schema(sql: str, cursor: Cursor) -> Statement:
    exists_ok = cursor.accept("IF", "NOT", "EXISTS")
    if cursor.accept("AUTHORIZATION"):
        name = cursor.name()
    else:
        name = cursor.name()
        if cursor.accept("AUTHORIZATION"):
            cursor.name()
    if cursor.accept("QUOTA"):
        raise Unsupported("CREATE SCHEMA ... QUOTA")
    cursor.end()

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        if session.view.has_schema(name):
            if exists_ok:
                return _done()
            raise SqlError(f'schema "{name}" already exists')
        if name.startswith(("pg_", "_rs")) or name in ("main", "information_schema"):
            raise SqlError(f'unacceptable schema name "{name}"')
        session.run(f"CREATE SCHEMA {quote(session.warehouse.attached)}.{quote(name)}")
        return _done()

    return Statement("CREATE SCHEMA", sql, run, writes=((name, "*"),))


# -- tables --------------------------------------------------------------------------------


def _create_table(sql: str, cursor: Cursor, temporary: bool) -> Statement:
    exists_ok = cursor.accept("IF", "NOT", "EXISTS")
    parts = cursor.qualified()
    temporary = temporary or parts[-1].startswith("#")
    definition = TableDef()
    names: list[str] = []
    if cursor.peek() == "(" and not _names_before_as(cursor):
        _columns(cursor, definition)
    elif cursor.peek() == "(":
        names = cursor.names()
    _attributes(cursor, definition)
    if cursor.accept("AS"):
        tree = parse_one(cursor.rest())
        return _table_as(sql, parts, temporary, exists_ok, definition, names, tree)
    if names or not (definition.columns or definition.likes):
        cursor.fail("expected column definitions or AS")
    cursor.end()

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        where = _place(session, parts, temporary, exists_ok)
        if where is None:
            return _done()
        columns = list(definition.columns)
        details = dict(definition.details)
        for position, source, defaults in reversed(definition.likes):
            like = session.view.relation(source)
            columns[position:position] = _like(like, defaults)
            for key in ("diststyle", "sortstyle"):
                if key in like.details:
                    details.setdefault(key, like.details[key])
        make_table(session, where, columns, details)
        return _done()

    return Statement("CREATE TABLE", sql, run, writes=(parts,))


def _names_before_as(cursor: Cursor) -> bool:
    """Whether ``(a, b)`` are names for a CREATE TABLE AS rather than definitions."""
    at = 1
    while cursor.peek(at) != ")":
        if cursor.at + at >= len(cursor.tokens):
            return False
        at += 1
        if cursor.peek(at) not in (",", ")"):
            return False
        if cursor.peek(at) == ",":
            at += 1
    return True


def _place(
    session: Session, parts: tuple[str, ...], temporary: bool, exists_ok: bool
) -> tuple[str, str, str] | None:
    """``(database, schema, name)`` in DuckDB for a new relation; None when it exists already."""
    schema, name = session.view.place(parts)
    if temporary:
        if schema and not schema.startswith("pg_temp"):
            raise SqlError("cannot create temporary relation in non-temporary schema")
        existing = session.view.local("", name, temporary=True)
        where = ("temp", "main", name)
    else:
        schema = schema or session.view.creation_schema()
        if not session.view.has_schema(schema):
            raise SqlError(f'schema "{schema}" does not exist')
        if session.view.external_schema(schema) is not None:
            raise SqlError(
                f'Operations on local objects in external schema "{schema}" are not enabled.'
            )
        existing = session.view.local(schema, name)
        where = (session.warehouse.attached, schema, name)
        session.lock([lock_name(session, (schema, name))])
    if existing is not None:
        if exists_ok:
            return None
        raise SqlError(f'Relation "{name}" already exists')
    return where


def make_table(
    session: Session,
    where: tuple[str, str, str],
    columns: list[ColumnDef],
    details: dict[str, Any],
) -> str:
    """Create a table in DuckDB and write its details; its quoted name."""
    if len(columns) > MAX_COLUMNS:
        raise SqlError(f"tables can have at most {MAX_COLUMNS} columns")
    names = [column.name for column in columns]
    for name in names:
        if names.count(name) > 1:
            raise SqlError(f'column "{name}" specified more than once')
    for key in (*details.get("primary_key", ()), *details.get("sortkey", ())):
        if key not in names:
            raise SqlError(f'column "{key}" named in key does not exist')
    full = ".".join(quote(part) for part in where)
    listed = ", ".join(
        f"{quote(c.name)} {c.type.duck}{' NOT NULL' if c.not_null else ''}" for c in columns
    )
    kind = "TEMPORARY TABLE" if where[0] == "temp" else "TABLE"
    session.run(f"CREATE {kind} {full} ({listed})")
    session.view.annotate(full, details)
    for column in columns:
        note = {"type": str(column.type), **column.note}
        identity = note.get("identity")
        if identity:
            identity["sequence"] = _sequence(session, identity, where[0] == "temp")
        default = note.get("default")
        if default is not None:
            compiler = session.compiler()
            value = compiler.expr(parse_expression(default), Scope())
            compiler.assign(value, Column(column.name, column.type))
        session.view.annotate_column(full, column.name, note)
    return full


def _sequence(session: Session, identity: dict[str, Any], temporary: bool) -> str:
    name = f"identity_{uuid.uuid4().hex}"
    place = ("temp", "main") if temporary else (session.warehouse.attached, INTERNAL)
    full = ".".join((*place, name))
    quoted = ".".join(quote(part) for part in (*place, name))
    seed, step = identity["seed"], identity["step"]
    low = f" MINVALUE {min(seed, -(2**62))} MAXVALUE {max(seed, 2**62)}"
    kind = "TEMPORARY SEQUENCE" if temporary else "SEQUENCE"
    session.run(f"CREATE {kind} {quoted}{low} START WITH {seed} INCREMENT BY {step}")
    return full


def _like(like: Relation, defaults: bool) -> list[ColumnDef]:
    made = []
    for column in like.columns:
        note = dict(like.details.get("columns", {}).get(column.name, {}))
        kept = {key: note[key] for key in ("encode", "distkey") if key in note}
        if defaults and column.default is not None:
            kept["default"] = column.default
        made.append(ColumnDef(column.name, column.type, not column.nullable, kept))
    return made


def _columns(cursor: Cursor, definition: TableDef) -> None:
    cursor.expect("(")
    while True:
        if cursor.accept("LIKE"):
            source = cursor.qualified()
            defaults = cursor.accept("INCLUDING", "DEFAULTS")
            if not defaults:
                cursor.accept("EXCLUDING", "DEFAULTS")
            definition.likes.append((len(definition.columns), source, defaults))
        elif _is_constraint(cursor):
            _table_constraint(cursor, definition)
        else:
            definition.columns.append(_column(cursor, definition))
        if not cursor.accept(","):
            break
    cursor.expect(")")


def _is_constraint(cursor: Cursor) -> bool:
    word, after = cursor.peek(), cursor.peek(1)
    return (
        word == "CONSTRAINT"
        or (word in ("PRIMARY", "FOREIGN") and after == "KEY")
        or (word == "UNIQUE" and after == "(")
        or (word == "CHECK" and after == "(")
    )


def _table_constraint(cursor: Cursor, definition: TableDef) -> None:
    """Keys are informational: kept for the planner and for readers of the catalog."""
    if cursor.accept("CONSTRAINT"):
        cursor.name()
    if cursor.accept("PRIMARY", "KEY"):
        _primary_key(definition, cursor.names())
    elif cursor.accept("UNIQUE"):
        definition.details.setdefault("unique", []).append(cursor.names())
    elif cursor.accept("FOREIGN", "KEY"):
        names = cursor.names()
        cursor.expect("REFERENCES")
        _foreign_key(cursor, definition, names)
    else:
        raise SqlError("CHECK constraints are not supported")


def _primary_key(definition: TableDef, names: list[str]) -> None:
    if "primary_key" in definition.details:
        raise SqlError("multiple primary keys for the table are not allowed")
    definition.details["primary_key"] = names
    for column in definition.columns:
        if column.name in names:
            column.not_null = True


def _foreign_key(cursor: Cursor, definition: TableDef, names: list[str]) -> None:
    other = cursor.qualified()
    columns = cursor.names() if cursor.peek() == "(" else []
    definition.details.setdefault("foreign_keys", []).append(
        {"columns": names, "table": list(other), "references": columns}
    )


def _type(cursor: Cursor) -> RType:
    """A type name: ``character varying(20)``, ``numeric(12, 2)``, ``timestamp with time zone``."""
    start = cursor.tokens[cursor.at].start if cursor else 0
    word = cursor.token().text.upper()
    if word == "DOUBLE":
        cursor.expect("PRECISION")
    elif word in ("CHARACTER", "CHAR", "NCHAR"):
        cursor.accept("VARYING")
    elif word == "INTERVAL":
        raise Unsupported("INTERVAL columns")
    if cursor.peek() == "(":
        cursor.parenthesised()
    if word in ("TIMESTAMP", "TIME") and (
        cursor.accept("WITH", "TIME", "ZONE") or cursor.accept("WITHOUT", "TIME", "ZONE")
    ):
        pass
    shown = cursor.sql[start : cursor.tokens[cursor.at - 1].end + 1]
    return parse_column_type(shown)


def parse_column_type(shown: str) -> RType:
    from sqlglot.errors import SqlglotError

    try:
        kind = exp.DataType.build(shown, dialect="redshift")
    except (SqlglotError, ValueError):
        raise SqlError(f'type "{shown.lower()}" does not exist') from None
    if kind.this is exp.DataType.Type.USERDEFINED:
        raise SqlError(f'type "{shown.lower()}" does not exist')
    return t.from_sqlglot(kind)


def _column(cursor: Cursor, definition: TableDef) -> ColumnDef:
    name = cursor.name()
    if not cursor:
        cursor.fail("expected a type")
    column = ColumnDef(name, _type(cursor))
    while cursor and cursor.peek() not in (",", ")"):
        _column_attribute(cursor, column, definition)
    return column


def _column_attribute(cursor: Cursor, column: ColumnDef, definition: TableDef) -> None:
    if cursor.accept("NOT", "NULL"):
        column.not_null = True
    elif cursor.accept("NULL"):
        pass
    elif cursor.accept("DEFAULT"):
        column.note["default"] = _default(cursor)
    elif cursor.accept("IDENTITY"):
        column.note["identity"] = _identity(cursor, column, always=True)
        column.not_null = True
    elif cursor.accept("GENERATED", "BY", "DEFAULT", "AS", "IDENTITY"):
        column.note["identity"] = _identity(cursor, column, always=False)
        column.not_null = True
    elif cursor.accept("ENCODE"):
        column.note["encode"] = _encoding(cursor)
    elif cursor.accept("DISTKEY"):
        definition.details["distkey"] = column.name
        definition.details["diststyle"] = "KEY"
    elif cursor.accept("SORTKEY"):
        definition.details.setdefault("sortkey", []).append(column.name)
    elif cursor.accept("PRIMARY", "KEY"):
        column.not_null = True
        _primary_key(definition, [column.name])
    elif cursor.accept("UNIQUE"):
        definition.details.setdefault("unique", []).append([column.name])
    elif cursor.accept("REFERENCES"):
        _foreign_key(cursor, definition, [column.name])
    elif cursor.accept("COLLATE"):
        if not cursor.accept("CASE_SENSITIVE"):
            raise Unsupported("COLLATE CASE_INSENSITIVE")
    else:
        cursor.fail("expected a column attribute, a comma or a parenthesis")


ENCODINGS = (
    "raw", "az64", "bytedict", "delta", "delta32k", "lzo", "mostly8", "mostly16", "mostly32",
    "runlength", "text255", "text32k", "zstd", "auto",
)  # fmt: skip


def _encoding(cursor: Cursor) -> str:
    name = cursor.name()
    if name not in ENCODINGS:
        raise SqlError(f'invalid encoding type "{name}"')
    return name


def _default(cursor: Cursor) -> str:
    """The text of a DEFAULT: one value, with casts and a call's parentheses."""
    start = cursor.tokens[cursor.at].start if cursor else 0
    if cursor.peek() == "(":
        cursor.parenthesised()
    else:
        while cursor.peek() in ("-", "+"):
            cursor.token()
        cursor.token()
        if cursor.peek() == "(":
            cursor.parenthesised()
        if cursor.is_string():  # DATE '2024-01-01'
            cursor.token()
    while cursor.accept("::"):
        _type(cursor)
    return cursor.sql[start : cursor.tokens[cursor.at - 1].end + 1]


def _identity(cursor: Cursor, column: ColumnDef, always: bool) -> dict[str, Any]:
    if not column.type.is_integer or column.type.name == "int2":
        raise SqlError("identity column must be of type INT or BIGINT")
    cursor.expect("(")
    seed = cursor.number()
    cursor.expect(",")
    step = cursor.number()
    cursor.expect(")")
    if step == 0:
        raise SqlError("the step of IDENTITY must not be 0")
    return {"seed": seed, "step": step, "always": always}


def _attributes(cursor: Cursor, definition: TableDef) -> None:
    """DISTSTYLE, DISTKEY, SORTKEY, ENCODE AUTO, BACKUP: physical, kept, without effect here."""
    details = definition.details
    while cursor and cursor.peek() != "AS":
        if cursor.accept("BACKUP"):
            if cursor.name() not in ("yes", "no"):
                cursor.fail()
        elif cursor.accept("DISTSTYLE"):
            style = cursor.name().upper()
            if style not in ("AUTO", "EVEN", "KEY", "ALL"):
                raise SqlError(f"invalid DISTSTYLE {style}")
            details["diststyle"] = style
        elif cursor.accept("DISTKEY"):
            names = cursor.names()
            if len(names) != 1:
                raise SqlError("a table has one DISTKEY column")
            details["distkey"] = names[0]
            details["diststyle"] = "KEY"
        elif cursor.accept("ENCODE", "AUTO"):
            pass
        elif cursor.peek() in ("COMPOUND", "INTERLEAVED", "SORTKEY"):
            style = "" if cursor.peek() == "SORTKEY" else cursor.name()
            cursor.expect("SORTKEY")
            if cursor.accept("AUTO"):
                continue
            details["sortkey"] = cursor.names()
            details["sortstyle"] = style or "compound"
        else:
            cursor.fail()
    names = [column.name for column in definition.columns]
    if (
        details.get("distkey")
        and names
        and not definition.likes
        and details["distkey"] not in names
    ):
        raise SqlError(f'column "{details["distkey"]}" named in DISTKEY does not exist')


def _table_as(
    sql: str,
    parts: tuple[str, ...],
    temporary: bool,
    exists_ok: bool,
    definition: TableDef,
    names: list[str],
    tree: exp.Expr,
) -> Statement:
    """CREATE TABLE AS, and SELECT INTO."""

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        where = _place(session, parts, temporary, exists_ok)
        if where is None:
            return _done()
        compiler = session.compiler(parameters)
        query = compiler.query(tree)
        if len(names) > len(query.columns):
            raise SqlError("CREATE TABLE AS specifies too many column names")
        columns = []
        for i, found in enumerate(query.columns):
            name = names[i] if i < len(names) else found.name
            kind = concrete(found.type)
            if kind.name == "interval":
                raise Unsupported("INTERVAL columns")
            columns.append(ColumnDef(name, kind))
        full = make_table(session, where, columns, definition.details)
        return session.change(fill_table(full, columns, query, compiler))

    return Statement("CREATE TABLE AS", sql, run, writes=(parts,))


def fill_table(full: str, columns: list[ColumnDef], query: Query, compiler: Any) -> str:
    names = [f"c{i}" for i in range(len(columns))]
    values = ", ".join(
        compiler.assign(Typed(name, found.type), Column(column.name, column.type))
        for name, found, column in zip(names, query.columns, columns, strict=True)
    )
    return f"INSERT INTO {full} SELECT {values} FROM ({query.sql}) AS s({', '.join(names)})"


def select_into(sql: str, tree: exp.Select) -> Statement:
    """SELECT ... INTO [TEMP] table.

    https://docs.aws.amazon.com/redshift/latest/dg/r_SELECT_INTO.html
    """
    into = tree.args["into"]
    body = tree.copy()
    body.set("into", None)
    parts = tuple(part.name.lower() for part in into.this.parts)
    temporary = bool(into.args.get("temporary")) or parts[-1].startswith("#")
    return _table_as(sql, parts, temporary, False, TableDef(), [], body)


# -- views ---------------------------------------------------------------------------------


def _create_view(sql: str, cursor: Cursor, replace: bool) -> Statement:
    """CREATE VIEW, also WITH NO SCHEMA BINDING.

    https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_VIEW.html
    """
    parts = cursor.qualified()
    names = cursor.names() if cursor.peek() == "(" else []
    cursor.expect("AS")
    tokens = cursor.tokens
    tail = [token.text.upper() for token in tokens[-4:]]
    late = tail == ["WITH", "NO", "SCHEMA", "BINDING"]
    end = tokens[-4].start if late else len(cursor.sql)
    definition = cursor.sql[tokens[cursor.at].start : end].strip() if cursor else ""
    tree = parse_one(definition)

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        schema, name = session.view.place(parts)
        schema = schema or session.view.creation_schema()
        if not session.view.has_schema(schema):
            raise SqlError(f'schema "{schema}" does not exist')
        session.lock([lock_name(session, (schema, name))])
        existing = session.view.local(schema, name)
        if existing is not None and not (replace and existing.kind == "view"):
            if replace:
                raise SqlError(f'"{name}" is not a view')
            raise SqlError(f'Relation "{name}" already exists')
        details: dict[str, Any] = {"view": definition, "path": list(session.view.search_path)}
        if late:
            details["late"] = True
            columns = _late_columns(session, tree, names)
        else:
            columns = _bound(session, tree, names, details)
        full = ".".join(quote(part) for part in (session.warehouse.attached, schema, name))
        shown = ", ".join(
            f"CAST(NULL AS {concrete(c.type).duck}) AS {quote(c.name)}" for c in columns
        )
        session.run(f"CREATE OR REPLACE VIEW {full} AS SELECT {shown}")
        session.view.annotate(full, details, view=True)
        for column in columns:
            session.view.annotate_column(full, column.name, {"type": str(concrete(column.type))})
        return _done()

    return Statement("CREATE VIEW", sql, run, writes=(parts,))


def _late_columns(session: Session, tree: exp.Expr, names: list[str]) -> list[Column]:
    """A late-binding view need not be valid yet; then it has one column until it is."""
    try:
        columns = session.compiler().query(tree).columns
    except SqlError:
        columns = [Column("?column?", t.varchar(1))]
    return [
        Column(names[i] if i < len(names) else column.name, concrete(column.type))
        for i, column in enumerate(columns)
    ]


def _bound(
    session: Session, tree: exp.Expr, names: list[str], details: dict[str, Any]
) -> list[Column]:
    compiler = session.compiler()
    query = compiler.query(tree)
    if len(names) > len(query.columns):
        raise SqlError("CREATE VIEW specifies more column names than columns")
    depends = []
    for relation in compiler.reads.values():
        if relation.kind == "external":
            raise SqlError(
                "External tables are not supported in views",
                "Create the view WITH NO SCHEMA BINDING.",
            )
        if relation.kind == "temp":
            raise Unsupported("a view on a temporary table")
        if relation.kind in ("table", "view"):
            depends.append([relation.schema, relation.name])
    details["depends"] = depends
    columns = []
    for i, column in enumerate(query.columns):
        name = names[i] if i < len(names) else column.name
        columns.append(Column(name, concrete(column.type)))
    found = [column.name for column in columns]
    for name in found:
        if found.count(name) > 1:
            raise SqlError(f'column "{name}" specified more than once')
    return columns


def dependents(session: Session, schema: str, name: str) -> list[Relation]:
    return [
        relation
        for relation in session.view.relations()
        if [schema, name] in relation.details.get("depends", [])
    ]


# -- DROP ----------------------------------------------------------------------------------


def drop(sql: str) -> Statement:
    cursor = Cursor(sql)
    cursor.expect("DROP")
    kind = cursor.token().text.upper()
    if kind not in ("TABLE", "VIEW", "SCHEMA"):
        raise Unsupported(f"DROP {kind} in Redshift")
    missing_ok = cursor.accept("IF", "EXISTS")
    targets = [cursor.qualified()]
    while cursor.accept(","):
        targets.append(cursor.qualified())
    external = cursor.accept("DROP", "EXTERNAL", "DATABASE")
    cascade = cursor.accept("CASCADE")
    if not cascade:
        cursor.accept("RESTRICT")
    cursor.end()

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        for parts in targets:
            if kind == "SCHEMA":
                _drop_schema(session, parts[-1], missing_ok, cascade, external)
            else:
                _drop_relation(session, parts, kind, missing_ok, cascade)
        return _done()

    writes = tuple((parts[-1], "*") if kind == "SCHEMA" else parts for parts in targets)
    return Statement(f"DROP {kind}", sql, run, writes=writes)


def _drop_schema(
    session: Session, name: str, missing_ok: bool, cascade: bool, external: bool
) -> None:
    if session.view.external_schema(name) is not None:
        if external:
            raise Unsupported("DROP SCHEMA ... DROP EXTERNAL DATABASE", "Drop it through Glue.")
        session.connection.execute(
            f"DELETE FROM {session.view.internal('external_schema')} WHERE name = ?", [name]
        )
        return
    if not session.view.has_schema(name):
        if missing_ok:
            return
        raise SqlError(f'schema "{name}" does not exist')
    inside = [relation for relation in session.view.relations() if relation.schema == name]
    if inside and not cascade:
        raise SqlError(
            f"cannot drop schema {name} because other objects depend on it",
            "Use DROP ... CASCADE to drop the dependent objects too.",
        )
    for relation in inside:
        if session.view.local(relation.schema, relation.name) is not None:
            _remove(session, relation, cascade=True)
    session.run(f"DROP SCHEMA {quote(session.warehouse.attached)}.{quote(name)}")


def _drop_relation(
    session: Session, parts: tuple[str, ...], kind: str, missing_ok: bool, cascade: bool
) -> None:
    try:
        relation = session.view.find(parts)
    except SqlError:
        if missing_ok:
            return
        raise
    if relation is None:
        if missing_ok:
            return
        raise SqlError(f'{kind.capitalize()} "{".".join(parts)}" does not exist')
    if relation.kind == "external":
        session.view.spectrum.drop(session, relation)
        return
    if relation.kind == "system":
        raise SqlError(f"permission denied: {relation.name} is a system catalog")
    if (relation.kind == "view") != (kind == "VIEW"):
        is_view = relation.kind == "view"
        raise SqlError(f'"{parts[-1]}" is {"not a table" if is_view else "not a view"}')
    _remove(session, relation, cascade)


def _remove(session: Session, relation: Relation, cascade: bool) -> None:
    if relation.kind != "temp":
        session.lock([lock_name(session, (relation.schema, relation.name))])
    for dependent in dependents(session, relation.schema, relation.name):
        if not cascade:
            kind = "view" if relation.kind == "view" else "table"
            raise SqlError(
                f"cannot drop {kind} {relation.name} because other objects depend on it",
                "Use DROP ... CASCADE to drop the dependent objects too.",
            )
        if session.view.local(dependent.schema, dependent.name) is not None:
            _remove(session, dependent, cascade)
    word = "VIEW" if relation.kind == "view" else "TABLE"
    session.run(f"DROP {word} {relation.sql}")
    for note in relation.details.get("columns", {}).values():
        _drop_sequence(session, note)


def _drop_sequence(session: Session, note: dict[str, Any]) -> None:
    if note.get("identity"):
        parts = note["identity"]["sequence"].rsplit(".", 2)
        session.run("DROP SEQUENCE IF EXISTS " + ".".join(quote(part) for part in parts))


# -- ALTER ---------------------------------------------------------------------------------


def alter(sql: str) -> Statement:
    """ALTER TABLE: ADD and DROP COLUMN, RENAME, ALTER COLUMN TYPE of VARCHAR, keys, physical
    attributes.

    https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE.html
    """
    cursor = Cursor(sql)
    cursor.expect("ALTER")
    if not cursor.accept("TABLE"):
        raise Unsupported(f"ALTER {cursor.peek()} in Redshift")
    parts = cursor.qualified()
    if cursor.accept("APPEND"):
        raise Unsupported("ALTER TABLE APPEND", "Use INSERT INTO ... SELECT and TRUNCATE.")
    if cursor.peek() in ("ADD", "DROP") and cursor.peek(1) == "PARTITION":
        from local_aws.redshift import spectrum

        return spectrum.alter_partition(sql, parts, cursor)
    if cursor.peek() == "ADD" and _starts_partition(cursor):
        from local_aws.redshift import spectrum

        return spectrum.alter_partition(sql, parts, cursor)
    renames = [cursor.peek(), cursor.peek(1)] == ["RENAME", "TO"]
    action = _alteration(cursor)

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        relation = session.view.relation(parts)
        if relation.kind == "external":
            raise Unsupported("ALTER TABLE of an external table's columns", "Use Glue.")
        if relation.kind not in ("table", "temp") and not (renames and relation.kind == "view"):
            raise SqlError(f'"{parts[-1]}" is not a table')
        if relation.kind in ("table", "view"):
            session.lock([lock_name(session, (relation.schema, relation.name))])
        action(session, relation)
        return _done()

    return Statement("ALTER TABLE", sql, run, writes=(parts,))


def _starts_partition(cursor: Cursor) -> bool:
    return [cursor.peek(i) for i in range(1, 5)] == ["IF", "NOT", "EXISTS", "PARTITION"]


def _alteration(cursor: Cursor) -> Any:
    if cursor.accept("ADD"):
        if _is_constraint(cursor):
            definition = TableDef()
            _table_constraint(cursor, definition)
            cursor.end()
            return lambda session, relation: _add_keys(session, relation, definition.details)
        cursor.accept("COLUMN")
        definition = TableDef()
        column = _column(cursor, definition)
        cursor.end()
        if definition.details or "identity" in column.note:
            raise SqlError("ALTER TABLE ADD COLUMN takes no key, DISTKEY, SORTKEY or IDENTITY")
        return lambda session, relation: _add_column(session, relation, column)
    if cursor.accept("DROP"):
        if cursor.accept("CONSTRAINT"):
            raise Unsupported("ALTER TABLE DROP CONSTRAINT")
        cursor.accept("COLUMN")
        name = cursor.name()
        cascade = cursor.accept("CASCADE")
        if not cascade:
            cursor.accept("RESTRICT")
        cursor.end()
        return lambda session, relation: _drop_column(session, relation, name, cascade)
    if cursor.accept("RENAME"):
        if cursor.accept("TO"):
            new = cursor.name()
            cursor.end()
            return lambda session, relation: _rename(session, relation, new)
        cursor.accept("COLUMN")
        old = cursor.name()
        cursor.expect("TO")
        new = cursor.name()
        cursor.end()
        return lambda session, relation: _rename_column(session, relation, old, new)
    if cursor.accept("OWNER", "TO"):
        cursor.name()
        cursor.end()
        return lambda session, relation: None
    if cursor.accept("ALTER"):
        return _physical(cursor)
    raise Unsupported(f"ALTER TABLE ... {cursor.peek()}")


def _physical(cursor: Cursor) -> Any:
    if cursor.peek() in ("DISTKEY", "DISTSTYLE", "SORTKEY", "COMPOUND"):
        definition = TableDef()
        if cursor.accept("DISTKEY"):
            definition.details = {"distkey": cursor.name(), "diststyle": "KEY"}
        elif cursor.accept("DISTSTYLE", "KEY"):
            cursor.expect("DISTKEY")
            definition.details = {"distkey": cursor.name(), "diststyle": "KEY"}
        elif cursor.accept("SORTKEY", "NONE"):
            definition.details = {"sortkey": []}
        else:
            _attributes(cursor, definition)
        cursor.end()
        details = definition.details

        def change(session: Session, relation: Relation) -> None:
            names = [column.name for column in relation.columns]
            for name in [*([details["distkey"]] if "distkey" in details else []),
                         *details.get("sortkey", ())]:  # fmt: skip
                if name not in names:
                    raise SqlError(f'column "{name}" does not exist')
            session.view.annotate(relation.sql, {**relation.details, **details})

        return change
    if cursor.accept("ENCODE", "AUTO"):
        return lambda session, relation: None
    cursor.accept("COLUMN")
    name = cursor.name()
    if cursor.accept("ENCODE"):
        encoding = _encoding(cursor)
        return lambda session, relation: _note(session, relation, name, encode=encoding)
    cursor.expect("TYPE")
    kind = _type(cursor)
    cursor.end()
    return lambda session, relation: _widen(session, relation, name, kind)


def _existing(relation: Relation, name: str) -> Column:
    for column in relation.columns:
        if column.name == name:
            return column
    raise SqlError(f'column "{name}" of relation "{relation.name}" does not exist')


def _note(session: Session, relation: Relation, name: str, **changes: Any) -> None:
    _existing(relation, name)
    note = relation.details["columns"].get(name, {})
    session.view.annotate_column(relation.sql, name, {**note, **changes})


def _add_keys(session: Session, relation: Relation, details: dict[str, Any]) -> None:
    if "primary_key" in details and "primary_key" in relation.details:
        raise SqlError(f'multiple primary keys for table "{relation.name}" are not allowed')
    for name in details.get("primary_key", ()):
        if _existing(relation, name).nullable:
            raise SqlError(f'column "{name}" is nullable; a primary key column must be NOT NULL')
    merged = dict(relation.details)
    for key, value in details.items():
        merged[key] = [*merged.get(key, []), *value] if key != "primary_key" else value
    session.view.annotate(relation.sql, merged)


def _add_column(session: Session, relation: Relation, column: ColumnDef) -> None:
    if column.name in [known.name for known in relation.columns]:
        raise SqlError(f'column "{column.name}" of relation "{relation.name}" already exists')
    value = "NULL"
    default = column.note.get("default")
    if default is not None:
        compiler = session.compiler()
        made = compiler.expr(parse_expression(default), Scope())
        value = compiler.assign(made, Column(column.name, column.type))
    elif column.not_null:
        raise SqlError("ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default")
    kind = column.type.duck
    name = quote(column.name)
    note = {"type": str(column.type), **column.note}
    if column.not_null:
        _rebuild(session, relation, f"{name} {kind} NOT NULL", value)
    else:
        session.run(f"ALTER TABLE {relation.sql} ADD COLUMN {name} {kind} DEFAULT {value}")
        session.run(f"ALTER TABLE {relation.sql} ALTER COLUMN {name} DROP DEFAULT")
    session.view.annotate_column(relation.sql, column.name, note)


def _rebuild(session: Session, relation: Relation, added: str, value: str) -> None:
    """The table again with one more column, where DuckDB cannot add it to a table with rows."""
    new = f"rebuilt_{uuid.uuid4().hex}"
    place = relation.sql.rpartition(".")[0]
    full = f"{place}.{quote(new)}"
    listed = ", ".join(
        f"{quote(c.name)} {c.type.duck}{'' if c.nullable else ' NOT NULL'}"
        for c in relation.columns
    )
    temporary = "TEMPORARY " if relation.kind == "temp" else ""
    session.run(f"CREATE {temporary}TABLE {full} ({listed}, {added})")
    session.run(f"INSERT INTO {full} SELECT *, {value} FROM {relation.sql}")
    session.run(f"DROP TABLE {relation.sql}")
    session.run(f"ALTER TABLE {full} RENAME TO {quote(relation.name)}")
    session.view.annotate(relation.sql, relation.details)
    for name, note in relation.details["columns"].items():
        session.view.annotate_column(relation.sql, name, note)


def _drop_column(session: Session, relation: Relation, name: str, cascade: bool) -> None:
    _existing(relation, name)
    if len(relation.columns) == 1:
        raise SqlError("cannot drop the only column of a table")
    details = relation.details
    if name == details.get("distkey") or name in details.get("sortkey", ()):
        raise SqlError(f'cannot drop column "{name}": it is a DISTKEY or SORTKEY')
    if dependents(session, relation.schema, relation.name) and not cascade:
        raise SqlError(
            f"cannot drop table {relation.name} column {name} because other objects depend on it",
            "Use DROP ... CASCADE to drop the dependent objects too.",
        )
    for dependent in dependents(session, relation.schema, relation.name):
        _remove(session, dependent, cascade=True)
    kept = dict(details)
    if name in kept.get("primary_key", ()):
        kept.pop("primary_key")
    session.run(f"ALTER TABLE {relation.sql} DROP COLUMN {quote(name)}")
    _drop_sequence(session, details["columns"].get(name, {}))
    session.view.annotate(relation.sql, kept)


def _rename(session: Session, relation: Relation, new: str) -> None:
    """A new name; views that are bound to the relation stay bound to it."""
    if session.view.local(relation.schema, new, relation.kind == "temp") is not None:
        raise SqlError(f'Relation "{new}" already exists')
    bound = [] if relation.kind == "temp" else dependents(session, relation.schema, relation.name)
    kind = "VIEW" if relation.kind == "view" else "TABLE"
    session.run(f"ALTER {kind} {relation.sql} RENAME TO {quote(new)}")
    for view in bound:
        details = dict(view.details)
        details["depends"] = [
            [schema, new if (schema, name) == (relation.schema, relation.name) else name]
            for schema, name in details["depends"]
        ]
        written = {tuple(old): name for *old, name in details.get("renamed", ())}
        before = [old for old, name in written.items() if name == relation.name]
        known = [old for old in before if old[0] == relation.schema]
        written[known[0] if known else (relation.schema, relation.name)] = new
        details["renamed"] = [[*old, name] for old, name in written.items()]
        session.view.annotate(view.sql, details, view=True)


def _rename_column(session: Session, relation: Relation, old: str, new: str) -> None:
    _existing(relation, old)
    if new in [column.name for column in relation.columns]:
        raise SqlError(f'column "{new}" of relation "{relation.name}" already exists')
    if dependents(session, relation.schema, relation.name):
        raise Unsupported("renaming a column that a view is bound to", "Drop the view first.")
    session.run(f"ALTER TABLE {relation.sql} RENAME COLUMN {quote(old)} TO {quote(new)}")
    details = dict(relation.details)
    for key in ("primary_key", "sortkey"):
        if key in details:
            details[key] = [new if name == old else name for name in details[key]]
    if details.get("distkey") == old:
        details["distkey"] = new
    session.view.annotate(relation.sql, details)


def _widen(session: Session, relation: Relation, name: str, kind: RType) -> None:
    """ALTER COLUMN TYPE changes the size of a VARCHAR, as in Redshift."""
    column = _existing(relation, name)
    if column.type.name != "varchar" or kind.name != "varchar":
        raise SqlError("target data type is not supported; only VARCHAR sizes can be altered")
    if kind.a < column.type.a:
        row = session.run(f"SELECT max(strlen({quote(name)})) FROM {relation.sql}").fetchone()
        if row and row[0] is not None and row[0] > kind.a:
            raise SqlError(f"cannot alter column {name}: a value is longer than {kind.a} bytes")
    _note(session, relation, name, type=str(kind))


# -- TRUNCATE, COMMENT ---------------------------------------------------------------------


def truncate(sql: str) -> Statement:
    """TRUNCATE commits the transaction it runs in.

    https://docs.aws.amazon.com/redshift/latest/dg/r_TRUNCATE.html
    """
    cursor = Cursor(sql)
    cursor.expect("TRUNCATE")
    cursor.accept("TABLE")
    parts = cursor.qualified()
    cursor.end()

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        from local_aws.redshift.dml import target

        relation = target(session, parts, "TRUNCATE")
        session.run(f"DELETE FROM {relation.sql}")
        return _done()

    return Statement("TRUNCATE", sql, run, commits=True, writes=(parts,))


def comment(sql: str) -> Statement:
    """COMMENT ON TABLE, VIEW and COLUMN.

    https://docs.aws.amazon.com/redshift/latest/dg/r_COMMENT.html
    """
    cursor = Cursor(sql)
    cursor.expect("COMMENT")
    cursor.expect("ON")
    kind = cursor.token().text.upper()
    if kind not in ("TABLE", "VIEW", "COLUMN"):
        raise Unsupported(f"COMMENT ON {kind}")
    parts = cursor.qualified()
    cursor.expect("IS")
    shown = None if cursor.accept("NULL") else cursor.string()
    cursor.end()
    owner, column = (parts[:-1], parts[-1]) if kind == "COLUMN" else (parts, "")

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        relation = session.view.relation(owner)
        if relation.kind not in ("table", "temp", "view"):
            raise Unsupported(f"COMMENT ON a relation of the kind {relation.kind}")
        if column:
            _note(session, relation, column, comment=shown)
        else:
            details = {**relation.details, "comment": shown}
            session.view.annotate(relation.sql, details, view=relation.kind == "view")
        return _done()

    return Statement("COMMENT", sql, run, writes=(owner,))
