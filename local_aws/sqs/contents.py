"""What a message may hold, and the digests that SQS gives of it.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from typing import Any

from local_aws.service import AwsError, Unsupported

_TYPE = re.compile(r"(String|Number|Binary)(\..{1,250})?")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_FORBIDDEN = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def invalid_parameter(message: str) -> AwsError:
    return AwsError("InvalidParameterValue", message)


def check_body(body: str) -> None:
    """
    Raises:
        AwsError: InvalidMessageContents, InvalidParameterValue.
    """
    if not body:
        raise AwsError("MissingParameter", "The request must contain the parameter MessageBody.")
    if _FORBIDDEN.search(body):
        raise AwsError("InvalidMessageContents", "Invalid characters found in the message body.")


def attributes_of(given: dict[str, Any]) -> dict[str, Any]:
    """A sender's attributes, checked, with bytes as base64 text.

    Raises:
        AwsError: InvalidParameterValue.
        Unsupported: lists of values, which AWS reserves too.
    """
    if len(given) > 10:
        raise invalid_parameter(
            f"Number of message attributes [{len(given)}] exceeds the allowed maximum [10]."
        )
    attributes = {}
    for name, value in given.items():
        lower = name.lower()
        if not _NAME.fullmatch(name) or lower.startswith(("aws.", "amazon.")):
            raise invalid_parameter(f"The message attribute name '{name}' is invalid.")
        kind = value.get("DataType") or ""
        if not _TYPE.fullmatch(kind):
            raise invalid_parameter(
                f"The message attribute '{name}' has an invalid message attribute type, the set of"
                " supported type prefixes is Binary, Number, and String."
            )
        if value.get("StringListValues") or value.get("BinaryListValues"):
            raise Unsupported("lists as values of message attributes")
        member = "BinaryValue" if kind.startswith("Binary") else "StringValue"
        content = value.get(member)
        if not content:
            raise invalid_parameter(
                f"The message attribute '{name}' must contain a non-empty message attribute value"
                f" for message attribute type '{kind.partition('.')[0]}'."
            )
        if kind.startswith("Number"):
            _check_number(name, content)
        if isinstance(content, bytes):
            content = base64.b64encode(content).decode()
        attributes[name] = {"DataType": kind, member: content}
    return attributes


def answered(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes as an answer has them: with bytes as bytes."""
    return {
        name: {**value, "BinaryValue": base64.b64decode(value["BinaryValue"])}
        if "BinaryValue" in value
        else value
        for name, value in attributes.items()
    }


def size_of(body: str, attributes: dict[str, Any]) -> int:
    """What a message counts towards its limit, in bytes."""
    return len(body.encode()) + sum(
        len(name.encode()) + len(value["DataType"].encode()) + len(_value(value))
        for name, value in attributes.items()
    )


def digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def attributes_digest(attributes: dict[str, Any]) -> str:
    """The MD5 of attributes, by AWS's rules."""
    md5 = hashlib.md5(usedforsecurity=False)

    def add(part: bytes) -> None:
        md5.update(struct.pack("!I", len(part)) + part)

    for name, value in sorted(attributes.items()):
        add(name.encode())
        add(value["DataType"].encode())
        md5.update(b"\x02" if "BinaryValue" in value else b"\x01")
        add(_value(value))
    return md5.hexdigest()


def _value(attribute: dict[str, Any]) -> bytes:
    if "BinaryValue" in attribute:
        return base64.b64decode(attribute["BinaryValue"])
    return attribute["StringValue"].encode()


def _check_number(name: str, text: str) -> None:
    try:
        float(text)
    except ValueError as error:
        raise invalid_parameter(
            f"Can't cast the value of message (user) attribute '{name}' to a number."
        ) from error
