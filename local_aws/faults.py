"""Faults on purpose: a share of requests is throttled, fails with a 5xx, or loses its answer.

Off unless asked for, by ``--faults`` or ``LOCAL_AWS_FAULTS`` at the start, or while it runs::

    LOCAL_AWS_FAULTS="seed=7 rate=0.05 kinds=throttle,error,lost" python -m local_aws ...
    curl -X PUT    127.0.0.1:4566/_local/faults -d '{"seed": 7, "rate": 0.05, "services": ["s3"]}'
    curl           127.0.0.1:4566/_local/faults      # the plan, and how many there were so far
    curl -X DELETE 127.0.0.1:4566/_local/faults

Which requests are hit follows from the seed and from how many requests came before, so the same
requests in the same order meet the same faults.
"""

from __future__ import annotations

import errno
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from local_aws.service import AwsError

THROTTLE, ERROR, LOST = "throttle", "error", "lost"
KINDS = (THROTTLE, ERROR, LOST)
"""Refused for now; refused with a 5xx; executed, and then the connection ends without an answer."""

_THROTTLED = ("ThrottlingException", 400)
_QUERY_THROTTLED = ("Throttling", 400)
THROTTLES = {
    "s3": ("SlowDown", 503),
    "lambda": ("TooManyRequestsException", 429),
    "cloudformation": _QUERY_THROTTLED,
    "iam": _QUERY_THROTTLED,
    "sts": _QUERY_THROTTLED,
    "sns": ("Throttled", 429),
    "sqs": ("RequestThrottled", 403),
    "firehose": ("ServiceUnavailableException", 503),
    "monitoring": _QUERY_THROTTLED,
}
"""Signing name to error code and HTTP status; every other service has `ThrottlingException`."""

ERRORS = {
    "s3": ("InternalError", 500),
    "glue": ("InternalServiceException", 500),
    "lambda": ("ServiceException", 500),
    "logs": ("ServiceUnavailableException", 503),
    "cloudformation": ("InternalFailure", 500),
    "iam": ("ServiceFailure", 500),
    "sts": ("InternalFailure", 500),
    "sns": ("InternalError", 500),
    "sqs": ("InternalError", 500),
    "secretsmanager": ("InternalServiceError", 500),
    "ssm": ("InternalServerError", 500),
    "kms": ("KMSInternalException", 500),
    "kinesis": ("InternalFailureException", 500),
    "firehose": ("ServiceUnavailableException", 503),
    "monitoring": ("InternalServiceError", 500),
}
"""The same for 5xx; every other service has `InternalServerException`, 500."""

_MESSAGES = {
    "SlowDown": "Please reduce your request rate.",
    THROTTLE: "Rate exceeded",
    ERROR: "We encountered an internal error. Please try again.",
}


class BadPlan(ValueError):
    """The plan cannot be read; the message says what was expected."""


class InjectedError(AwsError):
    """An error that a request met on purpose."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(code, message)
        self.status = status


class AnswerLost(OSError):
    """Ends the connection without an answer: the server takes it for a client that has gone."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the answer was lost on purpose")


@dataclass(frozen=True)
class Plan:
    """Which requests are hit, and how.

    Attributes:
        rate: the share of requests, 0 to 1.
        services: signing names (``s3``, ``glue``, ``redshift-data``, ...); empty is every one.
    """

    seed: int = 1
    rate: float = 0.05
    kinds: tuple[str, ...] = KINDS
    services: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise BadPlan(f"rate={self.rate}: expected a share from 0 to 1, such as 0.05")
        if not self.kinds or (unknown := set(self.kinds) - set(KINDS)):
            named = ",".join(sorted(unknown)) if self.kinds else ""
            raise BadPlan(f"kinds={named}: expected some of {', '.join(KINDS)}")

    @classmethod
    def parse(cls, text: str) -> Plan:
        """From ``seed=7 rate=0.05 kinds=throttle,error services=s3,glue``; all parts are optional.

        Raises:
            BadPlan: a part that is unknown or has no such value.
        """
        given: dict[str, Any] = {}
        for part in text.split():
            name, separator, value = part.partition("=")
            if not separator:
                raise BadPlan(f"{part!r}: expected name=value, such as rate=0.05")
            given[name] = value.split(",") if name in ("kinds", "services") else value
        return cls.of(given)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Plan:
        """From a document with some of the attributes.

        Raises:
            BadPlan: a member that is unknown or has no such value.
        """
        known: dict[str, Any] = {"seed": int, "rate": float, "kinds": tuple, "services": tuple}
        if unknown := sorted(given.keys() - known.keys()):
            raise BadPlan(f"{', '.join(unknown)}: expected {', '.join(known)}")
        values = {}
        for name, value in given.items():
            if isinstance(value, str) and known[name] is tuple:
                raise BadPlan(f"{name}={value!r}: expected a list")
            try:
                values[name] = known[name](value)
            except (TypeError, ValueError):
                raise BadPlan(f"{name}={value!r}: expected a number") from None
        return cls(**values)

    def fault(self, number: int) -> str | None:
        """What the request with this number (of those to `services`) meets."""
        # Numbers seed well only when they are mixed; a text is hashed.
        random = Random(f"{self.seed}:{number}")  # noqa: S311 - to be repeated
        return random.choice(self.kinds) if random.random() < self.rate else None


class Faults:
    """The plan in force, and what it has done."""

    def __init__(self, plan: Plan | None = None) -> None:
        self._lock = threading.Lock()
        self.set(plan)

    def set(self, plan: Plan | None) -> None:
        """Begin a plan at its first request; None is no faults."""
        with self._lock:
            self.plan = plan
            self._requests = 0
            self._injected: Counter[str] = Counter()

    def next(self, service: str) -> str | None:
        """What the request that has just come meets: a kind, or nothing."""
        if self.plan is None:
            return None
        with self._lock:
            plan = self.plan
            if plan is None or (plan.services and service not in plan.services):
                return None
            self._requests += 1
            kind = plan.fault(self._requests)
            if kind:
                self._injected[f"{service}:{kind}"] += 1
            return kind

    def report(self) -> dict[str, Any]:
        """``plan`` (null when off), ``requests``, ``injected`` by ``<service>:<kind>``."""
        with self._lock:
            return {
                "plan": asdict(self.plan) if self.plan else None,
                "requests": self._requests,
                "injected": dict(sorted(self._injected.items())),
            }


def injected_error(service: str, kind: str) -> InjectedError:
    """A service's own error for a kind."""
    code, status = (
        THROTTLES.get(service, _THROTTLED)
        if kind == THROTTLE
        else ERRORS.get(service, ("InternalServerException", 500))
    )
    return InjectedError(code, _MESSAGES.get(code, _MESSAGES[kind]), status)
