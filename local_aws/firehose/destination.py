"""An S3 destination: its settings as given, checked and completed as Firehose does it."""

from __future__ import annotations

import codecs
import re
from typing import Any

from local_aws.firehose.prefixes import check_prefixes
from local_aws.service import AwsError, Unsupported

Destination = dict[str, Any]
"""An ExtendedS3DestinationConfiguration that is complete."""

_KEPT = (
    "RoleARN",
    "BucketARN",
    "Prefix",
    "ErrorOutputPrefix",
    "BufferingHints",
    "CompressionFormat",
    "EncryptionConfiguration",
    "CloudWatchLoggingOptions",
    "ProcessingConfiguration",
    "S3BackupMode",
    "FileExtension",
    "CustomTimeZone",
)
_SWITCHES = ("DataFormatConversionConfiguration", "DynamicPartitioningConfiguration")
_LAMBDA = {
    "LambdaArn": "",
    "NumberOfRetries": "3",
    "RoleArn": "",
    "BufferSizeInMBs": "1",
    "BufferIntervalInSeconds": "60",
}
_EXTENSIONS = {"GZIP": ".gz", "UNCOMPRESSED": ""}


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidArgumentException", message)


def destination_of(given: dict[str, Any], current: Destination | None = None) -> Destination:
    """The destination that a configuration, or an update of ``current``, stands for.

    Raises:
        AwsError: InvalidArgumentException.
        Unsupported: naming what is not implemented.
    """
    for member, value in given.items():
        if member in _SWITCHES and not (value or {}).get("Enabled"):
            continue
        if member not in _KEPT:
            raise Unsupported(f"the option {member} of an S3 destination")
    known = {member: given[member] for member in _KEPT if given.get(member) is not None}
    destination: Destination = {
        "Prefix": "",
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
        "CompressionFormat": "UNCOMPRESSED",
        "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        "CloudWatchLoggingOptions": {"Enabled": False},
        "ProcessingConfiguration": {"Enabled": False},
        "S3BackupMode": "Disabled",
        "FileExtension": "",
        "CustomTimeZone": "UTC",
        **(current or {}),
        **known,
    }
    if set(destination["BufferingHints"]) != {"SizeInMBs", "IntervalInSeconds"}:
        raise _invalid(
            "BufferingHints: specify both SizeInMBs and IntervalInSeconds, or neither of them."
        )
    if destination["CompressionFormat"] not in _EXTENSIONS:
        raise Unsupported(
            f"the compression format {destination['CompressionFormat']}",
            "Use UNCOMPRESSED or GZIP.",
        )
    if "KMSEncryptionConfig" in destination["EncryptionConfiguration"]:
        raise Unsupported(
            "KMSEncryptionConfig of an S3 destination", "Use the bucket's default encryption."
        )
    if destination["S3BackupMode"] != "Disabled":
        raise Unsupported("the S3 backup of source records", "Use S3BackupMode Disabled.")
    check_prefixes(
        destination["Prefix"],
        destination.get("ErrorOutputPrefix"),
        destination["CustomTimeZone"],
    )
    _check_processors(destination["ProcessingConfiguration"])
    return destination


def extension(destination: Destination) -> str:
    """How the keys of its objects end."""
    return destination["FileExtension"] or _EXTENSIONS[destination["CompressionFormat"]]


def transformation(destination: Destination) -> dict[str, str] | None:
    """The parameters of its Lambda processor, if it has one."""
    found = _processor(destination, "Lambda")
    return None if found is None else {**_LAMBDA, **found}


def delimiter(destination: Destination) -> bytes:
    """What is appended to each record."""
    found = _processor(destination, "AppendDelimiterToRecord")
    if found is None:
        return b""
    # Templates write the two characters \n where a new line is meant.
    return codecs.decode(found.get("Delimiter", "\\n"), "unicode_escape").encode()


def _processor(destination: Destination, kind: str) -> dict[str, str] | None:
    configuration = destination["ProcessingConfiguration"]
    if not configuration.get("Enabled"):
        return None
    for processor in configuration.get("Processors") or ():
        if processor["Type"] == kind:
            return _parameters(processor)
    return None


def _parameters(processor: dict[str, Any]) -> dict[str, str]:
    given = processor.get("Parameters") or ()
    return {item["ParameterName"]: item["ParameterValue"] for item in given}


def _check_processors(configuration: dict[str, Any]) -> None:
    kinds = [processor["Type"] for processor in configuration.get("Processors") or ()]
    for kind in kinds:
        if kind not in ("Lambda", "AppendDelimiterToRecord"):
            raise Unsupported(
                f"the processor {kind}", "Supported processors: Lambda, AppendDelimiterToRecord."
            )
        if kinds.count(kind) > 1:
            raise _invalid(f"Only one processor of type {kind} is allowed.")
    for processor in configuration.get("Processors") or ():
        parameters = _parameters(processor)
        if processor["Type"] == "AppendDelimiterToRecord":
            allowed: tuple[str, ...] = ("Delimiter",)
        else:
            allowed = tuple(_LAMBDA)
            _check_lambda(parameters)
        for name in parameters:
            if name not in allowed:
                raise _invalid(f"The parameter {name} is not valid for {processor['Type']}.")


def _check_lambda(parameters: dict[str, str]) -> None:
    if not re.fullmatch(r"arn:.*:lambda:.*:function:.+", parameters.get("LambdaArn", "")):
        raise _invalid("The Lambda processor needs the parameter LambdaArn, a function's ARN.")
    limits = {
        "NumberOfRetries": (0, 300),
        "BufferSizeInMBs": (0.2, 3),
        "BufferIntervalInSeconds": (0, 900),
    }
    for name, (least, most) in limits.items():
        try:
            fits = least <= float(parameters.get(name, least)) <= most
        except ValueError:
            fits = False
        if not fits:
            raise _invalid(f"{name} must be between {least} and {most}, not {parameters[name]}.")
