"""SNS, which moto serves, delivers to the queues of the embedded AWS whose request it answers.

Outside of such a request, as in a test that mocks AWS in the same process, moto has its own queues.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from moto.sqs import sqs_backends
from moto.sqs.exceptions import QueueDoesNotExist
from moto.sqs.models import SQSBackend

from local_aws.service import AwsError

if TYPE_CHECKING:
    from local_aws.sqs.engine import Sqs

log = logging.getLogger("local_aws.sqs")
_OUTSIDE = object()
_queues: ContextVar[Sqs | object | None] = ContextVar("queues", default=_OUTSIDE)


@contextmanager
def queues_of(queues: Sqs | None) -> Iterator[None]:
    """While moto answers a request, its SNS sees these queues."""
    token = _queues.set(queues)
    try:
        yield
    finally:
        _queues.reset(token)


class _Queues(SQSBackend):
    """What moto's SNS uses of moto's SQS."""

    # By its module's name moto finds the addresses of a service.
    __module__ = SQSBackend.__module__

    def get_queue(self, queue_name: str) -> Any:
        queues: Any = _queues.get()
        if queues is _OUTSIDE:
            return super().get_queue(queue_name)
        try:
            if queues is None:
                raise QueueDoesNotExist
            queues.queue(queue_name)
        except AwsError as error:
            raise QueueDoesNotExist from error
        return SimpleNamespace(fifo_queue=False)

    def send_message(  # type: ignore[override]  # no caller has positional ones after these
        self,
        queue_name: str,
        message_body: str,
        message_attributes: dict[str, Any] | None = None,
        **more: Any,
    ) -> Any:
        """Deliver; a message whose queue is not there is lost, as on AWS."""
        queues: Any = _queues.get()
        if queues is _OUTSIDE:
            return super().send_message(queue_name, message_body, message_attributes, **more)
        try:
            if queues is None:
                raise QueueDoesNotExist
            queues.send(queue_name, message_body, message_attributes)
        except (AwsError, QueueDoesNotExist) as error:
            log.warning("a message of SNS for the queue %s is lost: %s", queue_name, error)
        return None


sqs_backends.backend = _Queues
