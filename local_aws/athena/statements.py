"""Which engine a statement belongs to, as Athena routes it: Hive for DDL, Trino for the rest."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp
from sqlglot.tokens import TokenType

from local_aws.athena import hive, parser
from local_aws.athena.errors import QueryError, unsupported


@dataclass(frozen=True)
class Routed:
    """``type`` and ``subtype`` are StatementType and SubstatementType; ``body`` is what to run.

    ``body`` is a Hive statement, a tree, or for ``prepare`` and its like a dict.
    """

    type: str
    subtype: str
    body: object


_REFUSED = {
    "UPDATE": "UPDATE (Iceberg tables only)",
    "DELETE": "DELETE (Iceberg tables only)",
    "MERGE": "MERGE (Iceberg tables only)",
    "OPTIMIZE": "OPTIMIZE (Iceberg tables only)",
    "VACUUM": "VACUUM (Iceberg tables only)",
}
_DML = ("SELECT", "WITH", "VALUES", "TABLE", "(")


def route(sql: str) -> Routed:
    """Read one statement.

    Raises:
        QueryError: SYNTAX_ERROR, or NOT_SUPPORTED for what the embedded AWS does not have.
    """
    text = single(sql)
    first = _first_words(text)
    if not first:
        raise QueryError("SYNTAX_ERROR", "line 1:1: mismatched input '<EOF>'")
    head = first[0]
    if head in _REFUSED:
        raise unsupported(_REFUSED[head])
    if head in _DML:
        return Routed("DML", "SELECT", _query(text))
    if head == "INSERT":
        return _insert(text, first)
    if head == "UNLOAD":
        return Routed("DML", "UNLOAD", unload(text))
    if head == "EXPLAIN":
        return _explain(text)
    if head in ("PREPARE", "EXECUTE", "DEALLOCATE"):
        return _prepared(text, head)
    if head == "USING":
        raise unsupported("USING EXTERNAL FUNCTION (Lambda UDFs)")
    if head == "CREATE" and ("VIEW" in first[1:5]):
        return Routed("DDL", "CREATE_VIEW", create_view(text))
    if head == "CREATE" and "TABLE" in first[1:3] and "EXTERNAL" not in first[1:3]:
        tree = _ctas(text)
        if tree is not None:
            return Routed("DDL", "CREATE_TABLE_AS_SELECT", tree)
    if head == "CREATE" and len(first) > 1 and first[1] in ("FUNCTION", "ROLE", "MATERIALIZED"):
        raise unsupported(f"CREATE {first[1]}")
    if head in ("CREATE", "DROP", "ALTER", "MSCK"):
        statement = hive.parse(text)
        return Routed("DDL", statement.kind.upper(), statement)
    if head in ("SHOW", "DESCRIBE", "DESC"):
        statement = hive.parse(text)
        return Routed("UTILITY", statement.kind.upper(), statement)
    raise QueryError(
        "SYNTAX_ERROR", f"line 1:1: mismatched input '{head.lower()}'. Queries of this type are"
        " not supported"
    )  # fmt: skip


def single(sql: str) -> str:
    """The statement without its semicolon.

    Raises:
        QueryError: there are several statements.
    """
    try:
        groups = parser.statements(sql)
    except QueryError:
        found = hive.Reader(sql)
        if not found.words:
            raise
        return sql[: found.words[-1].end + 1]
    if len(groups) > 1:
        raise QueryError("SYNTAX_ERROR", f"Only one sql statement is allowed. Got: {sql}")
    if not groups:
        return ""
    return sql[groups[0][0].start : groups[0][-1].end + 1]


def _first_words(text: str) -> list[str]:
    try:
        words = [w.text.upper() for w in hive.words(text)[:6]]
    except QueryError:
        words = [w for token in parser.tokens(text)[:6] for w in token.text.upper().split()]
    return words


def _query(text: str) -> exp.Expr:
    tree = parser.parse(text)
    if not isinstance(tree, (exp.Query, exp.Values)):
        raise unsupported(f"the statement {text[:60]}")
    return tree


def _insert(text: str, first: list[str]) -> Routed:
    if "OVERWRITE" in first[:3]:
        raise unsupported(
            "INSERT OVERWRITE", "Athena has only INSERT INTO: delete the objects, or use CTAS."
        )
    tree = parser.parse(text)
    if not isinstance(tree, exp.Insert) or tree.expression is None:
        raise QueryError("SYNTAX_ERROR", f"line 1:1: mismatched input: {text[:60]}")
    return Routed("DML", "INSERT", tree)


def _ctas(text: str) -> exp.Create | None:
    try:
        tree = parser.parse(text)
    except QueryError:
        if "`" in text:
            return None
        raise
    if isinstance(tree, exp.Create) and isinstance(tree.expression, (exp.Query, exp.Values)):
        return tree
    return None


def create_view(text: str) -> dict[str, object]:
    """``CREATE [OR REPLACE] VIEW name AS query``, with the query's own text."""
    words = parser.tokens(text)
    tree = parser.parse(text)
    if not isinstance(tree, exp.Create) or not isinstance(tree.this, exp.Table):
        raise unsupported("a column list in CREATE VIEW", "Name the columns in the query.")
    if not isinstance(tree.expression, (exp.Query, exp.Values)):
        raise QueryError("SYNTAX_ERROR", f"line 1:1: mismatched input: {text[:60]}")
    for token in words:
        if token.text.upper() == "AS":
            body = text[token.end + 1 :].strip()
            break
    else:
        raise QueryError("SYNTAX_ERROR", "mismatched input '<EOF>'. Expecting: AS")
    return {"tree": tree, "sql": body, "replace": bool(tree.args.get("replace"))}


def unload(text: str) -> dict[str, object]:
    """``UNLOAD (query) TO 's3://...' WITH (format = 'PARQUET', ...)``."""
    words = parser.tokens(text)
    depth, end = 0, 0
    for index, token in enumerate(words[1:], 1):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0:
            end = index
            break
    if not end or words[1].text != "(":
        raise QueryError("SYNTAX_ERROR", "mismatched input. Expecting: UNLOAD (query) TO 's3://'")
    inner = text[words[1].end + 1 : words[end].start]
    rest = hive.Reader(text[words[end].end + 1 :])
    rest.expect("TO")
    location = rest.string("an S3 location")
    properties: dict[str, object] = {}
    if rest.accept("WITH"):
        properties = _with_properties(rest)
    rest.end()
    return {"tree": _query(inner), "location": location, "properties": properties}


def _with_properties(reader: hive.Reader) -> dict[str, object]:
    reader.expect("(")
    found: dict[str, object] = {}
    while True:
        key = reader.identifier("a property")
        reader.expect("=")
        if reader.accept("ARRAY"):
            reader.expect("[")
            items = [reader.string()]
            while reader.accept(","):
                items.append(reader.string())
            reader.expect("]")
            found[key] = items
        else:
            found[key] = reader.next("a value", "string", "number", "word").text
        if not reader.accept(","):
            break
    reader.expect(")")
    return found


def _explain(text: str) -> Routed:
    words = parser.tokens(text)
    if len(words) > 1 and words[1].text.upper() in ("ANALYZE", "("):
        raise unsupported(f"EXPLAIN {words[1].text.upper()}", "Use EXPLAIN query.")
    return Routed("UTILITY", "EXPLAIN", _query(text[words[0].end + 1 :]))


def _prepared(text: str, head: str) -> Routed:
    reader = hive.Reader(text)
    reader.index = 1
    if head == "DEALLOCATE":
        reader.expect("PREPARE")
        name = reader.identifier("a statement's name")
        reader.end()
        return Routed("DDL", "DEALLOCATE_PREPARE", {"name": name})
    name = reader.identifier("a statement's name")
    if head == "PREPARE":
        reader.expect("FROM")
        if reader.done:
            raise reader.error("a statement")
        body = text[reader.words[reader.index].start :]
        route(body)
        return Routed("DDL", "PREPARE", {"name": name, "sql": body})
    arguments: list[str] = []
    if not reader.done:
        reader.expect("USING")
        arguments = _arguments(text[reader.words[reader.index].start :])
    return Routed("DML", "EXECUTE", {"name": name, "arguments": arguments})


def _arguments(text: str) -> list[str]:
    """Expressions between commas that are in no parentheses."""
    found, depth, start = [], 0, 0
    for token in parser.tokens(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            found.append(text[start : token.start])
            start = token.end + 1
    return [*found, text[start:]]


def is_prepare(sql: str) -> bool:
    """Whether it is PREPARE, whose question marks stay."""
    return _first_words(single(sql))[:1] == ["PREPARE"]


def bind(sql: str, parameters: list[str]) -> str:
    """The statement with its ``?`` replaced, in order, by expressions.

    https://docs.aws.amazon.com/athena/latest/ug/querying-with-prepared-statements.html

    >>> bind("select ? from t where d = ?", ["1", "DATE '2024-01-01'"])
    "select 1 from t where d = DATE '2024-01-01'"

    Raises:
        QueryError: there are more or fewer parameters than question marks, or one is no expression.
    """
    try:
        holders = [
            token for token in parser.tokens(sql) if token.token_type == TokenType.PLACEHOLDER
        ]
    except QueryError:
        if parameters:
            raise
        return sql
    if len(holders) != len(parameters):
        raise QueryError(
            "INVALID_PARAMETER_USAGE",
            f"Incorrect number of parameters: expected {len(holders)} but found {len(parameters)}",
        )
    parts, start = [], 0
    for token, text in zip(holders, parameters, strict=True):
        tree = parser.parse_expression(text)
        simple = isinstance(tree, (exp.Literal, exp.Cast, exp.Boolean, exp.Null))
        parts += [sql[start : token.start], text.strip() if simple else f"({text})"]
        start = token.end + 1
    return "".join([*parts, sql[start:]])
