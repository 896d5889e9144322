"""Where an object goes: prefixes with expressions, and the suffix that Firehose adds.

https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html
"""

from __future__ import annotations

import re
import secrets
import string
import uuid
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from local_aws.firehose.dates import BadPattern, formatted
from local_aws.service import AwsError, Unsupported

LONGEST = 512
_EXPRESSION = re.compile(r"!\{([^:{}]*):([^{}]*)\}")
_DEFAULT = "!{timestamp:yyyy/MM/dd/HH/}"
_ERROR_TYPE = "!{firehose:error-output-type}"
_SOME_DAY = datetime(2026, 1, 5, 3, tzinfo=UTC)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidArgumentException", message)


def check_prefixes(prefix: str, error_prefix: str | None, time_zone: str) -> None:
    """Refuse what Firehose would refuse, or could not be evaluated later.

    Raises:
        AwsError: InvalidArgumentException.
        Unsupported: expressions of dynamic partitioning.
    """
    if time_zone:
        try:
            ZoneInfo(time_zone)
        except (KeyError, ValueError, OSError) as error:
            raise _invalid(f"The time zone {time_zone} is not supported.") from error
    if _ERROR_TYPE in prefix:
        raise _invalid(f"Prefix cannot contain {_ERROR_TYPE}")
    if "!{" in prefix and not error_prefix:
        raise _invalid("ErrorOutputPrefix can't be null when Prefix contains expressions")
    if error_prefix and "!{" in error_prefix and _ERROR_TYPE not in error_prefix:
        raise _invalid(
            f"ErrorOutputPrefix must contain at least one instance of {_ERROR_TYPE} when it"
            " contains expressions"
        )
    for name, value in (("Prefix", prefix), ("ErrorOutputPrefix", error_prefix or "")):
        if len(evaluate(value, _SOME_DAY, "processing-failed")) > LONGEST:
            raise _invalid(f"{name} must not be longer than {LONGEST} characters once evaluated")


def data_prefix(prefix: str, oldest: datetime) -> str:
    """The prefix of delivered records; without a timestamp expression the hour is appended."""
    whole = prefix if "!{timestamp:" in prefix else prefix + _DEFAULT
    return evaluate(whole, oldest, "")


def error_prefix(prefix: str, given: str | None, oldest: datetime, kind: str) -> str:
    """The prefix of records that failed; ``kind`` such as ``processing-failed``."""
    return evaluate(given or f"{prefix}{_ERROR_TYPE}/{_DEFAULT}", oldest, kind)


def suffix(stream: str, version: str, oldest: datetime, extension: str) -> str:
    """The rest of an object's key, different each time."""
    return f"{stream}-{version}-{oldest:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}{extension}"


def evaluate(value: str, moment: datetime, kind: str) -> str:
    """A prefix with its expressions evaluated; ``moment`` in the time zone that is wanted.

    Raises:
        AwsError: InvalidArgumentException.
        Unsupported: expressions of dynamic partitioning.
    """

    def evaluated(found: re.Match[str]) -> str:
        namespace, name = found.groups()
        if namespace == "timestamp":
            try:
                return formatted(name, moment)
            except BadPattern as error:
                raise _invalid(f"Invalid expression {found.group()}: {error}") from error
        if namespace == "firehose" and name == "random-string":
            letters = string.ascii_lowercase + string.digits
            return "".join(secrets.choice(letters) for _ in range(11))
        if namespace == "firehose" and name == "error-output-type":
            return kind
        if namespace in ("partitionKeyFromQuery", "partitionKeyFromLambda"):
            raise Unsupported(f"the expression {found.group()}", "Use timestamp expressions.")
        raise _invalid(f"Invalid expression {found.group()}")

    if "!{" in _EXPRESSION.sub("", value):
        raise _invalid(f"The sequence !{{ can only appear in !{{namespace:value}}: {value}")
    return _EXPRESSION.sub(evaluated, value)
