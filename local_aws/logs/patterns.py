"""CloudWatch Logs filter patterns for unstructured events.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import re
from collections.abc import Callable

from local_aws.service import AwsError, Unsupported

_TOKEN = re.compile(r'(?P<sign>[-?]?)(?:"(?P<phrase>(?:[^"\\]|\\.)*)"|(?P<word>[^\s"]+))(?=\s|$)')
_WORD = re.compile(r"[\w.]+")


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """A function that tells whether a message matches.

    Terms (``ERROR``), quoted phrases (``"exit code 1"``), exclusions (``-INFO``) and alternatives
    (``?ERROR ?WARN``). Case matters, and terms are whole words.

    Raises:
        Unsupported: JSON, space-delimited and regular expression patterns.
        AwsError: InvalidParameterException for what CloudWatch Logs refuses.
    """
    text = pattern.strip()
    for opening, kind in (("{", "JSON"), ("[", "space-delimited"), ("%", "regular expression")):
        if text.startswith(opening):
            raise Unsupported(
                f"{kind} patterns in filterPattern ({text})",
                'Use terms, "quoted phrases", -exclusions and ?alternatives.',
            )
    required: list[re.Pattern[str]] = []
    excluded: list[re.Pattern[str]] = []
    either: list[re.Pattern[str]] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found:
            raise AwsError("InvalidParameterException", f"Invalid filter pattern: {pattern}")
        word = found["word"]
        if word is not None and not _WORD.fullmatch(word):
            raise AwsError("InvalidParameterException", f"Invalid character(s) in term '{word}'")
        term = word if word is not None else re.sub(r"\\(.)", r"\1", found["phrase"])
        {"": required, "-": excluded, "?": either}[found["sign"]].append(_whole(term))
        position = found.end()
        while position < len(text) and text[position].isspace():
            position += 1

    def matches(message: str) -> bool:
        return (
            all(term.search(message) for term in required)
            and not any(term.search(message) for term in excluded)
            and (not either or bool(required) or any(term.search(message) for term in either))
        )

    return matches


def _whole(term: str) -> re.Pattern[str]:
    before = r"(?<!\w)" if term[:1].isalnum() else ""
    after = r"(?!\w)" if term[-1:].isalnum() else ""
    return re.compile(before + re.escape(term) + after)
