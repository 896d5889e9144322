"""Athena's Trino statements as trees in which every function keeps the name it was written with.

sqlglot's own parser turns functions of many dialects into shared classes; here a function is
``Anonymous(name, arguments)``, so that the table of supported functions decides by Trino's name.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.dialects.trino import Trino
from sqlglot.errors import ErrorLevel, ParseError, TokenError
from sqlglot.parsers.trino import TrinoParser
from sqlglot.tokens import Token, TokenType

from local_aws.athena.errors import QueryError

_SPECIAL = ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "POSITION", "LISTAGG", "SUBSTRING")


def _cast(parser: TrinoParser) -> exp.Expr:
    """CAST as a call, which the shared parser does not tell from a literal such as DATE '...'."""
    node = TrinoParser.FUNCTION_PARSERS["CAST"](parser)
    node.meta["call"] = True
    return node


class _Parser(TrinoParser):
    FUNCTIONS = {}
    FUNCTION_PARSERS = {
        **{name: parse for name, parse in TrinoParser.FUNCTION_PARSERS.items() if name in _SPECIAL},
        "CAST": _cast,
    }


class AthenaSql(Trino):
    """Trino with subscripts as they are written (sqlglot counts from 0)."""

    INDEX_OFFSET = 0

    class Tokenizer(Trino.Tokenizer):
        COMMANDS = set()  # a command's text is tokens too

    Parser = _Parser


_DIALECT = AthenaSql()


def tokens(sql: str) -> list[Token]:
    """The tokens of a statement.

    Raises:
        QueryError: a literal or comment is not closed.
    """
    try:
        return list(_DIALECT.tokenize(sql))
    except TokenError as error:
        raise QueryError("SYNTAX_ERROR", str(error)) from error


def parse(sql: str) -> exp.Expr:
    """One statement as a tree.

    Raises:
        QueryError: it is not Trino SQL, with line and column.
    """
    parser = _Parser(dialect=_DIALECT, error_level=ErrorLevel.IMMEDIATE)
    try:
        trees = [tree for tree in parser.parse(tokens(sql), sql) if tree is not None]
    except ParseError as error:
        raise QueryError("SYNTAX_ERROR", _where(error)) from error
    if len(trees) != 1:
        raise QueryError("SYNTAX_ERROR", "Only one sql statement is allowed.")
    tree = trees[0]
    if isinstance(tree, exp.Command):
        raise QueryError("SYNTAX_ERROR", f"line 1:1: mismatched input '{tree.name}'")
    return tree


def parse_expression(sql: str) -> exp.Expr:
    """One value expression, such as an argument of EXECUTE ... USING."""
    tree = parse(f"SELECT {sql}")
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or len(tree.args) < 1:
        raise QueryError("SYNTAX_ERROR", f"line 1:1: {sql!r} is not one expression")
    found: exp.Expr = tree.expressions[0]
    return found


def _where(error: ParseError) -> str:
    if not error.errors:
        return str(error)
    first = error.errors[0]
    near = first.get("highlight") or ""
    what = first.get("description") or "invalid syntax"
    return f"line {first.get('line')}:{first.get('col')}: mismatched input '{near}'. {what}"


def position(node: exp.Expr) -> str:
    """``line 1:8: `` of a node, or nothing where the parser did not keep it."""
    part: object = node
    while isinstance(part, exp.Expr):
        if part.meta.get("line"):
            meta = part.meta
            start = meta.get("col", 1) - max(meta.get("end", 0) - meta.get("start", 0), 0)
            return f"line {meta['line']}:{max(start, 1)}: "
        part = part.this
    return ""


def statements(sql: str) -> list[list[Token]]:
    """The tokens of each statement between semicolons."""
    found: list[list[Token]] = [[]]
    for token in tokens(sql):
        if token.token_type == TokenType.SEMICOLON:
            found.append([])
        else:
            found[-1].append(token)
    return [group for group in found if group]
