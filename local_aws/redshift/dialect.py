"""Redshift's grammar: sqlglot's dialect with functions left as they were written, and its tokens.

A function call stays a name with arguments (``exp.Anonymous``), so that what each one means is
said in one place, :mod:`local_aws.redshift.functions`, and what is not there is refused by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import sqlglot
from sqlglot import exp
from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import SqlglotError
from sqlglot.parsers.redshift import RedshiftParser
from sqlglot.tokens import Token, TokenType

from local_aws.redshift.errors import SqlError

_KEPT = ("CAST", "CONVERT", "EXTRACT", "POSITION", "SUBSTRING", "TRIM", "TRY_CAST")


def _approximate(parser: Any) -> exp.Expr:
    call = parser._parse_function() or parser._parse_id_var()
    if not isinstance(call, exp.Anonymous):
        parser.raise_error("APPROXIMATE must stand before an aggregate function")
    call.set("this", f"approximate_{call.name.lower()}")
    return call


class Warehouse(Redshift):
    """Redshift's SQL as this package reads it."""

    class Tokenizer(Redshift.Tokenizer):
        COMMANDS: ClassVar[Any] = set()  # SHOW, CALL and EXPLAIN are words like others

    class Parser(RedshiftParser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS = {
            name: parse for name, parse in RedshiftParser.FUNCTION_PARSERS.items() if name in _KEPT
        }
        NO_PAREN_FUNCTION_PARSERS = {
            **{
                name: parse
                for name, parse in RedshiftParser.NO_PAREN_FUNCTION_PARSERS.items()
                if name in ("CASE", "ANY")
            },
            "APPROXIMATE": _approximate,
            "SYSDATE": lambda self: self.expression(exp.Anonymous(this="sysdate")),
        }


def parse_one(sql: str) -> exp.Expr:
    """One query or expression as a tree.

    Raises:
        SqlError: it is not Redshift SQL.
    """
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect=Warehouse) if tree is not None]
    except SqlglotError as error:
        raise syntax_error(error) from None
    if len(trees) != 1:
        raise SqlError("cannot insert multiple commands into a prepared statement")
    return trees[0]


def parse_expression(sql: str) -> exp.Expr:
    """A value expression, such as a column's DEFAULT."""
    select = parse_one(f"SELECT {sql}")
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        raise SqlError(f"syntax error in the expression {sql}")
    return select.expressions[0]


def syntax_error(error: SqlglotError) -> SqlError:
    details = getattr(error, "errors", None)
    if details:
        near = details[0].get("highlight") or ""
        return SqlError(
            f'syntax error at or near "{near}"',
            f"{details[0].get('description')} (line {details[0].get('line')},"
            f" column {details[0].get('col')})",
        )
    return SqlError(f"syntax error: {error}")


def tokenize(sql: str) -> list[Token]:
    try:
        return Warehouse().tokenize(sql)
    except SqlglotError as error:
        raise SqlError(f"syntax error: {error}") from None


_STRINGS = (TokenType.STRING, TokenType.HEREDOC_STRING)
_QUOTED = (*_STRINGS, TokenType.IDENTIFIER)


@dataclass(frozen=True)
class Word:
    """One word, mark or quoted text, from ``start`` to ``end`` (inclusive) in the statement."""

    text: str
    token_type: TokenType
    start: int
    end: int


def words(sql: str) -> list[Word]:
    """Tokens, with keywords of several words (PRIMARY KEY) taken apart."""
    found: list[Word] = []
    for token in tokenize(sql):
        parts = sql[token.start : token.end + 1].split()
        if len(parts) < 2 or token.token_type in _QUOTED:
            found.append(Word(token.text, token.token_type, token.start, token.end))
            continue
        at = token.start
        for part in parts:
            at = sql.index(part, at)
            found.append(Word(part, TokenType.VAR, at, at + len(part) - 1))
            at += len(part)
    return found


_LEXEMES = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"[^"]*"|--[^\n]*|/\*.*?\*/"""
    r"""|\$([A-Za-z_]\w*)?\$.*?\$(?(1)\1)\$|\$(?P<number>\d+)""",
    re.DOTALL,
)


def numbered(sql: str) -> tuple[str, int]:
    """A statement for :func:`parse_one`, and how many parameters ($1, $2, ...) it has.

    A blank is put after each: sqlglot takes ``($1,$2)`` for a text in dollar quotes otherwise.
    """
    most = 0
    pieces, at = [], 0
    for found in _LEXEMES.finditer(sql):
        if found["number"]:
            most = max(most, int(found["number"]))
            pieces.append(sql[at : found.end()] + " ")
            at = found.end()
    return "".join([*pieces, sql[at:]]), most


def split(sql: str) -> list[str]:
    """The statements in a text, without their semicolons and surrounding space."""
    parts: list[str] = []
    start: int | None = None
    end = 0
    for token in tokenize(sql):
        if token.token_type is TokenType.SEMICOLON:
            if start is not None:
                parts.append(sql[start:end])
            start = None
            continue
        if start is None:
            start = token.start
        end = token.end + 1
    if start is not None:
        parts.append(sql[start:end])
    return parts


class Cursor:
    """Reads a statement token by token, for the statements that sqlglot does not parse."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.tokens = words(sql)
        self.at = 0

    def __bool__(self) -> bool:
        return self.at < len(self.tokens)

    def peek(self, ahead: int = 0) -> str:
        """The next token's text in upper case; '' at the end; a quoted text is never a word."""
        if self.at + ahead >= len(self.tokens):
            return ""
        token = self.tokens[self.at + ahead]
        return "" if token.token_type in _QUOTED else token.text.upper()

    def accept(self, *words: str) -> bool:
        """Move past these words when they are next."""
        if any(self.peek(i) != word for i, word in enumerate(words)):
            return False
        self.at += len(words)
        return True

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            self.fail(f"expected {' '.join(words)}")

    def fail(self, why: str = "") -> NoReturn:
        near = self.tokens[self.at].text if self else "end of statement"
        raise SqlError(f'syntax error at or near "{near}"', why)

    def end(self) -> None:
        if self:
            self.fail()

    def token(self) -> Word:
        if not self:
            self.fail("the statement ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def is_string(self) -> bool:
        """Whether a text in quotes or in $$ is next."""
        return bool(self) and self.tokens[self.at].token_type in _STRINGS

    def string(self) -> str:
        if not self.is_string():
            self.fail("expected a quoted text")
        return self.token().text

    def number(self) -> int:
        negative = self.accept("-")
        if not self or self.tokens[self.at].token_type is not TokenType.NUMBER:
            self.fail("expected a number")
        return int(self.token().text) * (-1 if negative else 1)

    def name(self) -> str:
        """An identifier, folded to lower case as Redshift does by default."""
        token = self.token()
        if token.token_type is TokenType.IDENTIFIER:
            return token.text.lower()
        head = token.text[:1]
        if token.token_type in _STRINGS or not (head.isalpha() or head in "_#"):
            self.at -= 1
            self.fail("expected a name")
        return token.text.lower()

    def qualified(self) -> tuple[str, ...]:
        """``name``, ``schema.name`` or ``database.schema.name``."""
        parts = [self.name()]
        while self.accept("."):
            parts.append(self.name())
        return tuple(parts)

    def parenthesised(self) -> str:
        """The text between a parenthesis that is next and its end."""
        self.expect("(")
        start = self.tokens[self.at].start if self else len(self.sql)
        depth = 1
        while depth:
            token = self.token()
            if token.token_type is TokenType.L_PAREN:
                depth += 1
            elif token.token_type is TokenType.R_PAREN:
                depth -= 1
        return self.sql[start : self.tokens[self.at - 1].start].strip()

    def names(self) -> list[str]:
        """``(a, b, c)``."""
        self.expect("(")
        found = [self.name()]
        while self.accept(","):
            found.append(self.name())
        self.expect(")")
        return found

    def rest(self) -> str:
        """The text from here to the end."""
        return self.sql[self.tokens[self.at].start :] if self else ""
