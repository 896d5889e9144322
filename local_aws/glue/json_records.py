"""The records of a JSON file at a classifier's path, and their schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from local_aws.glue.schema import Type, widest

_STEP = re.compile(r"\.(?P<name>[A-Za-z_][\w-]*)|\[\*\]|\['(?P<quoted>[^']+)'\]")
_SPACE = re.compile(r"[\s,]*")


def parse_path(path: str) -> list[str | None] | None:
    """The steps below ``$``: a name, or ``None`` for every element; ``None`` if not understood."""
    if not path.startswith("$"):
        return None
    steps: list[str | None] = []
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            return None
        steps.append(match["name"] or match["quoted"])
        position = match.end()
    return steps


def json_schema(text: str, path: str, whole: bool) -> tuple[list[tuple[str, Type]], int] | None:
    """Columns and number of records, or ``None`` when the text is no JSON at that path.

    Of a sample that is not the ``whole`` file, a last value that is cut in two is left out.
    """
    start = text.lstrip()[:1]
    if start not in ("{", "["):
        return None
    steps = parse_path(path) or []
    columns: dict[str, Type] = {}
    records = 0
    if start == "[" and not steps and not whole:
        # The array does not end in the sample: its type is that of the elements so far.
        return _array(text)
    try:
        for document in _documents(text, bool(steps) and steps[0] is None, whole):
            below = steps[1:] if steps and steps[0] is None else steps
            for record in _select(document, below):
                records += 1
                fields = _fields(record)
                for name, value in fields.items():
                    known = columns.get(name)
                    columns[name] = widest(known, json_type(value))
    except ValueError:
        return None
    return (list(columns.items()), records) if records else None


def _array(text: str) -> tuple[list[tuple[str, Type]], int] | None:
    element: Type = None
    try:
        for value in _documents(text, True, False):
            element = widest(element, json_type(value))
    except ValueError:
        return None
    return [("array", {"array": element})], 1


def _fields(record: Any) -> dict[str, Any]:
    if isinstance(record, dict):
        return {str(name).lower(): value for name, value in record.items()}
    return {"array" if isinstance(record, list) else "record": record}


def _documents(text: str, elements: bool, whole: bool) -> Iterator[Any]:
    """Each top-level value; of a top-level array its elements, if asked for."""
    decoder = json.JSONDecoder()
    position = _skip(text, 0)
    if elements:
        if text[position : position + 1] != "[":
            raise ValueError("not an array")
        position = _skip(text, position + 1)
    count = 0
    while position < len(text) and text[position] != "]":
        try:
            value, position = decoder.raw_decode(text, position)
        except ValueError:
            if count and not whole:
                return
            raise
        count += 1
        yield value
        position = _skip(text, position)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _select(document: Any, steps: list[str | None]) -> Iterator[Any]:
    if not steps:
        yield document
        return
    step, rest = steps[0], steps[1:]
    if step is None:
        if isinstance(document, list):
            for element in document:
                yield from _select(element, rest)
    elif isinstance(document, dict) and step in document:
        yield from _select(document[step], rest)


def json_type(value: Any) -> Type:
    """The type of one JSON value, as the built-in JSON classifier names it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "int" if -(2**31) <= value < 2**31 else "bigint"
    if isinstance(value, float):
        return "double"
    if isinstance(value, dict):
        return {"struct": {str(name).lower(): json_type(part) for name, part in value.items()}}
    if isinstance(value, list):
        element: Type = None
        for part in value:
            element = widest(element, json_type(part))
        return {"array": element}
    return "string"
