"""What Athena's operations share: refusals, pages, and the work groups they run in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from local_aws.service import AwsError, Request, Service, Unsupported

ENGINE = {
    "SelectedEngineVersion": "Athena engine version 3",
    "EffectiveEngineVersion": "Athena engine version 3",
}
_ENGINES = ("AUTO", "Athena engine version 3")


def invalid(message: str, code: str = "INVALID_INPUT") -> AwsError:
    """InvalidRequestException with its AthenaErrorCode."""
    return AwsError("InvalidRequestException", message, AthenaErrorCode=code)


def page(
    items: Sequence[Any], request: Request, default: int, most: int
) -> tuple[list[Any], dict[str, str]]:
    """One page of a list, and NextToken if there is more."""
    size = request.get("MaxResults") or default
    if not 1 <= size <= most:
        raise invalid(f"MaxResults must be between 1 and {most}")
    token = request.get("NextToken") or "0"
    if not token.isdigit() or int(token) > len(items):
        raise invalid("Invalid NextToken")
    start = int(token)
    more = {"NextToken": str(start + size)} if start + size < len(items) else {}
    return list(items[start : start + size]), more


def checked_result_configuration(given: dict[str, Any] | None) -> dict[str, Any]:
    """A ResultConfiguration without what is not implemented.

    Raises:
        Unsupported, AwsError: an option that is not, or a location that is not in S3.
    """
    given = {k: v for k, v in (given or {}).items() if v is not None}
    for name in set(given) - {"OutputLocation", "EncryptionConfiguration", "AclConfiguration",
                              "ExpectedBucketOwner"}:  # fmt: skip
        raise Unsupported(f"the option ResultConfiguration.{name} of athena")
    encryption = given.get("EncryptionConfiguration")
    if encryption and encryption.get("EncryptionOption") != "SSE_S3":
        raise Unsupported(
            f"the encryption {encryption.get('EncryptionOption')} of query results", "Use SSE_S3."
        )
    location = given.get("OutputLocation")
    if location is not None and not location.startswith("s3://"):
        raise invalid(f"outputLocation is not a valid S3 path: {location}")
    return given


_CONFIGURATION = (
    "ResultConfiguration", "EnforceWorkGroupConfiguration", "PublishCloudWatchMetricsEnabled",
    "BytesScannedCutoffPerQuery", "RequesterPaysEnabled", "EngineVersion",
    "EnableMinimumEncryptionConfiguration",
)  # fmt: skip


def checked_configuration(given: dict[str, Any] | None) -> dict[str, Any]:
    """A WorkGroupConfiguration with AWS's defaults, without what is not implemented."""
    given = {k: v for k, v in (given or {}).items() if v is not None}
    for name in set(given) - set(_CONFIGURATION):
        raise Unsupported(f"the option Configuration.{name} of athena work groups")
    if given.get("RequesterPaysEnabled"):
        raise Unsupported("RequesterPaysEnabled of athena work groups")
    check_cutoff(given.get("BytesScannedCutoffPerQuery"))
    selected = (given.get("EngineVersion") or {}).get("SelectedEngineVersion") or "AUTO"
    if selected not in _ENGINES:
        raise Unsupported(f"the engine version {selected!r}", f"Use one of {', '.join(_ENGINES)}.")
    return {
        "EnforceWorkGroupConfiguration": True,
        "PublishCloudWatchMetricsEnabled": False,
        "RequesterPaysEnabled": False,
        **given,
        "ResultConfiguration": checked_result_configuration(given.get("ResultConfiguration")),
        "EngineVersion": {**ENGINE, "SelectedEngineVersion": selected},
    }


def check_cutoff(value: int | None) -> None:
    if value is not None and value < 10_000_000:
        raise invalid("BytesScannedCutoffPerQuery must be at least 10000000 (10 MB)")


class AthenaBase(Service):
    """The store's kinds and how to find things in them."""

    WORKGROUP, EXECUTION, TOKEN = "athena/workgroup", "athena/execution", "athena/token"
    NAMED, PREPARED, TAGS = "athena/named", "athena/prepared", "athena/tags"

    def workgroup(self, name: str | None) -> dict[str, Any]:
        """A work group's document.

        Raises:
            AwsError: there is none of that name.
        """
        found = self.aws.store.get(self.WORKGROUP, name or "primary")
        if found is None:
            raise invalid(f"WorkGroup {name} is not found.")
        return found

    def tag(self, arn: str, tags: list[dict[str, str]] | None) -> None:
        if tags:
            known = self.aws.store.get(self.TAGS, arn) or {}
            self.aws.store.put(self.TAGS, arn, {**known, **{t["Key"]: t["Value"] for t in tags}})
