"""The attributes of queues: which there are, what they may be, what they are by default."""

from __future__ import annotations

import json
from collections.abc import Mapping

from local_aws.service import AwsError, Unsupported
from local_aws.sqs.contents import invalid_parameter

NUMBERS = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
DEFAULTS = {
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
    "SqsManagedSseEnabled": "true",
}
TEXTS = ("Policy", "RedrivePolicy", "KmsMasterKeyId", "SqsManagedSseEnabled")
REFUSED = (
    "FifoQueue",
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoThroughputLimit",
    "RedriveAllowPolicy",
)
READ_ONLY = (
    "QueueArn",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


def checked(given: Mapping[str, str]) -> dict[str, str]:
    """Attributes as they are kept; one that is empty goes back to its default.

    Raises:
        AwsError: InvalidAttributeName, InvalidAttributeValue.
        Unsupported: FIFO queues.
    """
    for name, value in given.items():
        if name in REFUSED and value not in ("", "false"):
            raise Unsupported(f"the queue attribute {name}", "Use a standard queue.")
        if name not in NUMBERS and name not in TEXTS and name not in REFUSED:
            raise AwsError("InvalidAttributeName", f"Unknown Attribute {name}.")
        if name in NUMBERS:
            least, most = NUMBERS[name]
            if not value.isdigit() or not least <= int(value) <= most:
                raise _invalid(name)
        if name == "Policy" and value:
            try:
                json.loads(value)
            except ValueError as error:
                raise _invalid(name) from error
    return {
        name: str(int(value)) if name in NUMBERS else value
        for name, value in given.items()
        if name not in REFUSED
    }


def redrive_of(policy: str) -> tuple[str, int]:
    """The dead-letter queue's ARN and the number of receptions that a RedrivePolicy gives.

    Raises:
        AwsError: InvalidParameterValue.
    """
    refused = f"Value {policy} for parameter RedrivePolicy is invalid. Reason: "
    try:
        given = json.loads(policy)
        target, most = given["deadLetterTargetArn"], int(given["maxReceiveCount"])
    except (ValueError, KeyError, TypeError) as error:
        raise invalid_parameter(
            f"{refused}Redrive policy is not a valid JSON map with deadLetterTargetArn and"
            " maxReceiveCount."
        ) from error
    if not 1 <= most <= 1000:
        raise invalid_parameter(
            f"{refused}Invalid value for maxReceiveCount: {most}, valid values are from 1 to 1000"
            " both inclusive."
        )
    return target, most


def _invalid(name: str) -> AwsError:
    return AwsError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")
