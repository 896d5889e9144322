"""A crawler's ``Configuration`` JSON.

https://docs.aws.amazon.com/glue/latest/dg/crawler-configuration.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from local_aws.service import AwsError, Unsupported

_FLAGS = {
    "CrawlerOutput.Tables.AddOrUpdateBehavior": ("MergeNewColumns", "merges_columns"),
    "CrawlerOutput.Partitions.AddOrUpdateBehavior": ("InheritFromTable", "partitions_inherit"),
    "Grouping.TableGroupingPolicy": ("CombineCompatibleSchemas", "combines"),
}
_LEVEL = "Grouping.TableLevelConfiguration"
_KNOWN = ", ".join([*(f"{key} = {value}" for key, (value, _) in _FLAGS.items()), _LEVEL])


@dataclass(frozen=True)
class Options:
    """What a ``Configuration`` asks for.

    Attributes:
        merges_columns: a table keeps its columns and gets the new ones (MergeNewColumns).
        partitions_inherit: partitions take the table's columns and format (InheritFromTable).
        combines: one table for each include path, whatever the schemas.
        level: the folder level of the tables; the bucket is level 1.
    """

    merges_columns: bool = False
    partitions_inherit: bool = False
    combines: bool = False
    level: int | None = None


def parse_options(text: str | None) -> Options:
    """The options of a ``Configuration``; none of them when it is empty.

    Raises:
        AwsError: InvalidInputException for what is no such JSON; a refusal that names the
            option which the embedded AWS does not have.
    """
    if not text:
        return Options()
    try:
        given = json.loads(text)
    except ValueError as error:
        raise AwsError("InvalidInputException", f"Configuration is not JSON: {error}.") from error
    if not isinstance(given, dict) or given.get("Version") not in (1, "1.0"):
        raise AwsError(
            "InvalidInputException", 'Configuration must be a JSON object with "Version": 1.0.'
        )
    flags: dict[str, bool] = {}
    level: Any = None
    for key, value in _flattened(given, ""):
        if key == "Version" or (key == "CreatePartitionIndex" and value is False):
            continue
        if key == _LEVEL:
            level = value
        elif key in _FLAGS and value == _FLAGS[key][0]:
            flags[_FLAGS[key][1]] = True
        else:
            raise Unsupported(
                f"the crawler configuration {key} = {json.dumps(value)}", f"Supported: {_KNOWN}."
            )
    if level is not None and (isinstance(level, bool) or not isinstance(level, int) or level < 1):
        raise AwsError(
            "InvalidInputException",
            f"TableLevelConfiguration must be a whole number from 1 (the bucket), not {level}.",
        )
    return Options(level=level, **flags)


def _flattened(given: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in given.items():
        if isinstance(value, dict) and value:
            found.extend(_flattened(value, f"{prefix}{key}."))
        else:
            found.append((f"{prefix}{key}", value))
    return found
