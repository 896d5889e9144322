"""Athena's Hive statements, read from tokens by hand: DDL, SHOW, DESCRIBE, MSCK.

https://docs.aws.amazon.com/athena/latest/ug/ddl-reference.html

Raises ``QueryError("SYNTAX_ERROR", ...)`` for what is no such statement, and names what Hive has
and the embedded AWS has not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlglot.dialects.hive import Hive
from sqlglot.errors import TokenError
from sqlglot.tokens import Token, TokenType

from local_aws.athena.errors import QueryError, unsupported

_WORDLESS = (TokenType.STRING, TokenType.IDENTIFIER, TokenType.NUMBER)


class _Hive(Hive):
    class Tokenizer(Hive.Tokenizer):
        COMMANDS = set()  # a command's text is tokens too


_HIVE = _Hive()


@dataclass(frozen=True)
class Word:
    """A token; tokens of several words are taken apart."""

    text: str
    kind: str
    start: int
    end: int
    line: int
    column: int


@dataclass(frozen=True)
class Name:
    database: str | None
    table: str


@dataclass(frozen=True)
class Statement:
    """``kind`` is the name of the method that runs it; ``arguments`` are its own."""

    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)


def words(sql: str) -> list[Word]:
    """The words of a Hive statement.

    Raises:
        QueryError: a literal is not closed.
    """
    try:
        found: list[Token] = list(_HIVE.tokenize(sql))
    except TokenError as error:
        raise QueryError("SYNTAX_ERROR", str(error)) from error
    out = []
    for token in found:
        if token.token_type == TokenType.SEMICOLON:
            continue
        if token.token_type in _WORDLESS:
            kind = token.token_type.name.lower()
            out.append(_word(token, token.text, kind))
            continue
        for text in token.text.split() or [token.text]:
            out.append(
                _word(token, text, "word" if text[0].isalnum() or text[0] == "_" else "sign")
            )
    return out


def _word(token: Token, text: str, kind: str) -> Word:
    return Word(text, kind, token.start, token.end, token.line, token.col)


class Reader:
    """Walks over the words of a statement."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.words = words(sql)
        self.index = 0

    @property
    def done(self) -> bool:
        return self.index >= len(self.words)

    def peek(self, *texts: str) -> bool:
        """Whether the next words are these keywords or signs."""
        ahead = self.words[self.index : self.index + len(texts)]
        return len(ahead) == len(texts) and all(
            w.kind in ("word", "sign") and w.text.upper() == text
            for w, text in zip(ahead, texts, strict=True)
        )

    def accept(self, *texts: str) -> bool:
        if self.peek(*texts):
            self.index += len(texts)
            return True
        return False

    def error(self, expected: str) -> QueryError:
        if self.done:
            return QueryError("SYNTAX_ERROR", f"mismatched input '<EOF>'. Expecting: {expected}")
        word = self.words[self.index]
        return QueryError(
            "SYNTAX_ERROR",
            f"line {word.line}:{word.column}: mismatched input '{word.text}'."
            f" Expecting: {expected}",
        )

    def expect(self, *texts: str) -> None:
        if not self.accept(*texts):
            raise self.error(" ".join(texts))

    def next(self, expected: str, *kinds: str) -> Word:
        if self.done or self.words[self.index].kind not in kinds:
            raise self.error(expected)
        self.index += 1
        return self.words[self.index - 1]

    def identifier(self, expected: str = "an identifier") -> str:
        return self.next(expected, "word", "identifier").text.lower()

    def string(self, expected: str = "a string") -> str:
        return self.next(expected, "string").text

    def name(self) -> Name:
        first = self.identifier("a name")
        if self.accept("."):
            second = self.identifier("a name")
            if self.accept("."):
                if first not in ("awsdatacatalog", "hive"):
                    raise QueryError("CATALOG_NOT_FOUND", f"Catalog '{first}' not found")
                return Name(second, self.identifier("a name"))
            return Name(first, second)
        return Name(None, first)

    def end(self) -> None:
        if not self.done:
            raise self.error("<EOF>")

    def if_exists(self) -> bool:
        return self.accept("IF", "EXISTS")

    def if_not_exists(self) -> bool:
        return self.accept("IF", "NOT", "EXISTS")

    def properties(self) -> dict[str, str]:
        self.expect("(")
        found = {}
        while True:
            key = self.string("a property's name in quotes")
            self.expect("=")
            word = self.next("a property's value in quotes", "string", "number", "word")
            found[key] = word.text
            if not self.accept(","):
                break
        self.expect(")")
        return found

    def type(self) -> str:
        """A Hive type, up to the comma or parenthesis that ends the column."""
        start = self.words[self.index].start if not self.done else 0
        depth = 0
        end = start
        while not self.done:
            word = self.words[self.index]
            if depth == 0 and (word.text in (",", ")") or word.text.upper() == "COMMENT"):
                break
            depth += word.text.count("<") + word.text.count("(")
            depth -= word.text.count(">") + word.text.count(")")
            end = word.end + 1
            self.index += 1
        text = "".join(self.sql[start:end].split()).lower()
        if not text:
            raise self.error("a type")
        return text

    def columns(self) -> list[dict[str, str]]:
        self.expect("(")
        found = []
        while True:
            column = {"Name": self.identifier("a column's name"), "Type": self.type()}
            if self.accept("COMMENT"):
                column["Comment"] = self.string()
            found.append(column)
            if not self.accept(","):
                break
        self.expect(")")
        return found

    def partition(self) -> dict[str, str]:
        """``(dt = '2024-01-01', k = 1)``"""
        self.expect("(")
        found = {}
        while True:
            key = self.identifier("a partition column")
            if not self.accept("="):
                raise self.error("=")
            word = self.next("a value", "string", "number", "word", "sign")
            if word.text == "-":
                word = self.next("a number", "number")
                found[key] = f"-{word.text}"
            else:
                found[key] = word.text
            if not self.accept(","):
                break
        self.expect(")")
        return found


def parse(sql: str) -> Statement:
    """One Hive statement.

    Raises:
        QueryError: it is not one, or it is not supported.
    """
    reader = Reader(sql)
    for first, rule in (
        ("CREATE", _create), ("DROP", _drop), ("ALTER", _alter), ("SHOW", _show),
        ("DESCRIBE", _describe), ("DESC", _describe), ("MSCK", _msck),
    ):  # fmt: skip
        if reader.accept(first):
            statement = rule(reader)
            reader.end()
            return statement
    raise reader.error("CREATE, DROP, ALTER, SHOW, DESCRIBE or MSCK")


def _create(r: Reader) -> Statement:
    if r.accept("DATABASE") or r.accept("SCHEMA"):
        return _create_database(r)
    external = r.accept("EXTERNAL")
    r.expect("TABLE")
    return _create_table(r, external)


def _create_database(r: Reader) -> Statement:
    arguments: dict[str, Any] = {"if_not_exists": r.if_not_exists(), "name": r.identifier()}
    while not r.done:
        if r.accept("COMMENT"):
            arguments["comment"] = r.string()
        elif r.accept("LOCATION"):
            arguments["location"] = r.string()
        elif r.accept("WITH", "DBPROPERTIES"):
            arguments["properties"] = r.properties()
        else:
            raise r.error("COMMENT, LOCATION or WITH DBPROPERTIES")
    return Statement("create_database", arguments)


_DELIMITED = {
    ("FIELDS", "TERMINATED", "BY"): "field.delim",
    ("ESCAPED", "BY"): "escape.delim",
    ("COLLECTION", "ITEMS", "TERMINATED", "BY"): "collection.delim",
    ("MAP", "KEYS", "TERMINATED", "BY"): "mapkey.delim",
    ("LINES", "TERMINATED", "BY"): "line.delim",
    ("NULL", "DEFINED", "AS"): "serialization.null.format",
}


def _create_table(r: Reader, external: bool) -> Statement:
    a: dict[str, Any] = {"external": external, "if_not_exists": r.if_not_exists()}
    a["name"] = r.name()
    if r.accept("LIKE"):
        raise unsupported("CREATE TABLE LIKE", "Use CREATE TABLE ... AS ... WITH NO DATA.")
    a["columns"] = r.columns() if r.peek("(") else []
    while not r.done:
        if r.accept("COMMENT"):
            a["comment"] = r.string()
        elif r.accept("PARTITIONED", "BY"):
            a["partition_keys"] = r.columns()
        elif r.peek("CLUSTERED", "BY"):
            raise unsupported("CLUSTERED BY (bucketed tables)", "Use partitions.")
        elif r.accept("ROW", "FORMAT", "SERDE"):
            a["serde"] = r.string()
            if r.accept("WITH", "SERDEPROPERTIES"):
                a["serde_properties"] = r.properties()
        elif r.accept("WITH", "SERDEPROPERTIES"):
            a["serde_properties"] = r.properties()
        elif r.accept("ROW", "FORMAT", "DELIMITED"):
            a["delimited"] = _delimited(r)
        elif r.accept("STORED", "AS", "INPUTFORMAT"):
            a["input_format"] = r.string()
            r.expect("OUTPUTFORMAT")
            a["output_format"] = r.string()
        elif r.accept("STORED", "AS"):
            a["stored_as"] = r.identifier("a file format").upper()
        elif r.accept("LOCATION"):
            a["location"] = r.string()
        elif r.accept("TBLPROPERTIES"):
            a["properties"] = r.properties()
        else:
            raise r.error("PARTITIONED BY, ROW FORMAT, STORED AS, LOCATION or TBLPROPERTIES")
    return Statement("create_table", a)


def _delimited(r: Reader) -> dict[str, str]:
    found: dict[str, str] = {}
    while True:
        for phrase, key in _DELIMITED.items():
            if r.accept(*phrase):
                found[key] = r.string()
                break
        else:
            return found


def _drop(r: Reader) -> Statement:
    if r.accept("DATABASE") or r.accept("SCHEMA"):
        arguments: dict[str, Any] = {"if_exists": r.if_exists(), "name": r.identifier()}
        arguments["cascade"] = r.accept("CASCADE")
        if not arguments["cascade"]:
            r.accept("RESTRICT")
        return Statement("drop_database", arguments)
    view = r.accept("VIEW")
    if not view:
        r.expect("TABLE")
    arguments = {"if_exists": r.if_exists(), "name": r.name()}
    if not view:
        r.accept("PURGE")
    return Statement("drop_view" if view else "drop_table", arguments)


def _alter(r: Reader) -> Statement:
    if r.accept("DATABASE") or r.accept("SCHEMA"):
        name = r.identifier()
        r.expect("SET", "DBPROPERTIES")
        return Statement("set_database_properties", {"name": name, "properties": r.properties()})
    r.expect("TABLE")
    table = r.name()
    partition = r.partition() if r.accept("PARTITION") else None
    a: dict[str, Any] = {"name": table}
    if r.accept("RENAME", "TO", "PARTITION"):
        if partition is None:
            raise r.error("PARTITION (...)")
        return Statement("rename_partition", {**a, "old": partition, "new": r.partition()})
    if r.accept("SET", "LOCATION"):
        return Statement("set_location", {**a, "partition": partition, "location": r.string()})
    if partition is not None and not r.peek("ADD"):
        raise r.error("RENAME TO PARTITION or SET LOCATION")
    if r.accept("SET", "TBLPROPERTIES"):
        return Statement("set_properties", {**a, "properties": r.properties()})
    if r.accept("REPLACE", "COLUMNS"):
        return Statement("replace_columns", {**a, "columns": r.columns()})
    if r.accept("ADD", "COLUMNS"):
        return Statement("add_columns", {**a, "columns": r.columns()})
    if r.accept("ADD"):
        a["if_not_exists"] = r.if_not_exists()
        a["partitions"] = []
        while r.accept("PARTITION"):
            values = r.partition()
            location = r.string() if r.accept("LOCATION") else None
            a["partitions"].append((values, location))
            r.accept(",")
        if not a["partitions"]:
            raise r.error("PARTITION (...)")
        return Statement("add_partitions", a)
    if r.accept("DROP"):
        a["if_exists"] = r.if_exists()
        a["partitions"] = []
        while r.accept("PARTITION"):
            a["partitions"].append(r.partition())
            r.accept(",")
        if not a["partitions"]:
            raise r.error("PARTITION (...)")
        r.accept("PURGE")
        return Statement("drop_partitions", a)
    if r.peek("CHANGE"):
        raise unsupported("ALTER TABLE CHANGE COLUMN", "Use REPLACE COLUMNS.")
    if r.peek("RENAME"):
        raise unsupported("ALTER TABLE RENAME", "Athena renames no Hive table; create a new one.")
    raise r.error("ADD, DROP, RENAME, REPLACE or SET")


def _show(r: Reader) -> Statement:
    if r.accept("DATABASES") or r.accept("SCHEMAS"):
        r.accept("LIKE")
        return Statement("show_databases", {"pattern": None if r.done else r.string()})
    for word, kind in (("TABLES", "show_tables"), ("VIEWS", "show_views")):
        if r.accept(word):
            database = r.identifier() if r.accept("IN") or r.accept("FROM") else None
            r.accept("LIKE")
            return Statement(
                kind, {"database": database, "pattern": None if r.done else r.string()}
            )
    if r.accept("PARTITIONS"):
        return Statement("show_partitions", {"name": r.name()})
    if r.accept("COLUMNS"):
        if not r.accept("IN"):
            r.expect("FROM")
        name = r.name()
        if r.accept("IN") or r.accept("FROM"):
            name = Name(r.identifier(), name.table)
        return Statement("show_columns", {"name": name})
    if r.accept("CREATE", "TABLE"):
        return Statement("show_create_table", {"name": r.name()})
    if r.accept("CREATE", "VIEW"):
        return Statement("show_create_view", {"name": r.name()})
    if r.accept("TBLPROPERTIES"):
        name = r.name()
        key = None
        if r.accept("("):
            key = r.string()
            r.expect(")")
        return Statement("show_tblproperties", {"name": name, "key": key})
    raise r.error("DATABASES, TABLES, VIEWS, PARTITIONS, COLUMNS, CREATE TABLE or TBLPROPERTIES")


def _describe(r: Reader) -> Statement:
    extended = r.accept("EXTENDED") or r.accept("FORMATTED")
    if extended:
        raise unsupported("DESCRIBE EXTENDED and FORMATTED", "Use SHOW CREATE TABLE.")
    if r.accept("DATABASE") or r.accept("SCHEMA"):
        raise unsupported("DESCRIBE DATABASE", "Use GetDatabase.")
    name = r.name()
    column = None
    if r.accept("PARTITION"):
        r.partition()
    if not r.done:
        column = r.identifier("a column")
    return Statement("describe", {"name": name, "column": column})


def _msck(r: Reader) -> Statement:
    r.expect("REPAIR", "TABLE")
    return Statement("msck", {"name": r.name()})
