"""The queues of a state folder from before they had an engine: moto's snapshot of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from local_aws import snapshots
from local_aws.sqs.attributes import DEFAULTS, TEXTS


class OldQueue(NamedTuple):
    """A queue with its bodies in order, and the attributes that were not moto's defaults."""

    name: str
    attributes: dict[str, str]
    tags: dict[str, str]
    messages: list[tuple[str, dict[str, Any]]]


def old_queues(snapshot: Path, region: str) -> Iterator[OldQueue]:
    """The standard queues in moto's snapshot; FIFO queues are not supported any more."""
    backend = snapshots.read(snapshot).get(region)
    for queue in backend.queues.values() if backend else ():
        if queue.fifo_queue:
            continue
        attributes = {
            name: str(value)
            for name, value in queue.attributes.items()
            if name in (*DEFAULTS, *TEXTS) and value not in (None, "")
        }
        if attributes.get("MaximumMessageSize") == "262144":
            del attributes["MaximumMessageSize"]
        messages = [(message.body, message.message_attributes) for message in queue._messages]
        yield OldQueue(queue.name, attributes, dict(queue.tags or {}), messages)
