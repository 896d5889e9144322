"""What engines share: operations by their AWS names, AWS-shaped errors, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from moto.core.exceptions import ServiceException

if TYPE_CHECKING:
    from local_aws.instance import Instance

Request = dict[str, Any]
Response = dict[str, Any]
F = TypeVar("F", bound=Callable[..., Any])


class AwsError(ServiceException):
    """An error in the service's own shape: ``AwsError("EntityNotFoundException", "...")``.

    ``extra`` are further members of the error's shape (such as ``AthenaErrorCode``).
    """

    def __init__(self, code: str, message: str, **extra: Any) -> None:
        super().__init__(code, message)
        for name, value in extra.items():
            setattr(self, name, value)


class Unsupported(AwsError):
    """Something that AWS has and the embedded AWS does not. ``what`` names it, ``remedy`` helps."""

    def __init__(self, what: str, remedy: str = "") -> None:
        message = f"The embedded AWS does not support {what}."
        if remedy:
            message += f" {remedy}"
        super().__init__("NotImplemented", f"{message} See local_aws/FIDELITY.md.")


@dataclass(frozen=True)
class Operation:
    """How one AWS operation is implemented: its request members, and what differs from AWS."""

    name: str
    summary: str
    accepts: tuple[str, ...]
    ignores: Mapping[str, str]
    differs: str


@dataclass(frozen=True)
class Feature:
    """A feature inside an operation (an SQL statement, a classifier), for the fidelity list.

    ``status`` is one of ``supported``, ``different`` and ``refused``.
    """

    area: str
    name: str
    status: str
    note: str = ""


def operation(
    *accepts: str, ignores: Mapping[str, str] | None = None, differs: str = ""
) -> Callable[[F], F]:
    """Mark a method as an AWS operation; the method's name is the operation's name.

    Args:
        accepts: the request's top-level members that are implemented.
        ignores: members that change nothing here, each with the reason why that is true.
        differs: in a sentence, what a client could notice.

    A request with any other member is refused by the gateway, naming the member.
    """

    def mark(method: F) -> F:
        doc = (method.__doc__ or "").strip().splitlines()
        method.__dict__["aws_operation"] = Operation(
            method.__name__, doc[0] if doc else "", accepts, dict(ignores or {}), differs
        )
        return method

    return mark


@dataclass
class Service:
    """One AWS service. Subclasses name it as botocore does and add operations as methods."""

    aws: Instance
    service_name: ClassVar[str] = ""
    features: ClassVar[tuple[Feature, ...]] = ()
    _operations: dict[str, Operation] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._operations = self.operations()
        self.setup()

    def setup(self) -> None:
        """Called once, before the first request and before :meth:`start`."""

    def start(self) -> None:
        """Called when the server listens: resume what a restart interrupted."""

    def expire(self) -> None:
        """Called when the server has started and every hour: delete what AWS keeps no longer."""

    def wake(self) -> None:
        """Called before the server stops: have calls that wait look whether they still may."""

    def stop(self) -> None:
        """Called when the server stops: end every process that this service started."""

    @classmethod
    def operations(cls) -> dict[str, Operation]:
        """The implemented operations by name."""
        found = {}
        for name in dir(cls):
            mark = getattr(getattr(cls, name, None), "aws_operation", None)
            if isinstance(mark, Operation):
                found[name] = mark
        return found

    def call(self, name: str, request: Request) -> Response:
        """Run one operation after checking that every given member is implemented."""
        known = self._operations.get(name)
        if known is None:
            raise Unsupported(f"{self.service_name}:{name}")
        for member, value in request.items():
            if value is None or member in known.accepts or member in known.ignores:
                continue
            raise Unsupported(
                f"the option {member} of {self.service_name}:{name}",
                f"Supported options: {', '.join(known.accepts) or 'none'}.",
            )
        return getattr(self, name)(request) or {}
