"""What is kept beside an object's bytes: headers, metadata, tags, storage class.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

from local_aws.s3.errors import S3Error, invalid_argument
from local_aws.s3.protocol import Call, element, malformed_xml
from local_aws.service import Unsupported

DEFAULT_TYPE = "binary/octet-stream"
KEPT_HEADERS = {
    "cache-control": "Cache-Control",
    "content-disposition": "Content-Disposition",
    "content-encoding": "Content-Encoding",
    "content-language": "Content-Language",
    "content-type": "Content-Type",
    "expires": "Expires",
}
STORAGE_CLASSES = (
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
)
_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "SNOW", "EXPRESS_ONEZONE")
_LARGEST_METADATA = 2048

ATTRIBUTES = (
    "ACL",
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
    "Metadata",
    "StorageClass",
    "Tagging",
)
"""The members of a request that :func:`given_attributes` reads."""

ENCRYPTION = {
    "ServerSideEncryption": "kept and returned; nothing is encrypted on this disk",
    "SSEKMSKeyId": "kept and returned; nothing is encrypted on this disk",
    "SSEKMSEncryptionContext": "nothing is encrypted on this disk",
    "BucketKeyEnabled": "nothing is encrypted on this disk",
}


def given_attributes(call: Call) -> dict[str, Any]:
    """The ``info`` of an object (see :class:`Stored`) from the headers of a request.

    Raises:
        S3Error: InvalidStorageClass, InvalidTag, MetadataTooLarge, InvalidArgument,
            AccessControlListNotSupported.
    """
    check_acl(call)
    info: dict[str, Any] = {}
    headers = {}
    for name in KEPT_HEADERS:
        value = call.header(name)
        if value is None:
            continue
        if name == "content-encoding":
            parts = [part.strip() for part in value.split(",")]
            value = ",".join(part for part in parts if part and part != "aws-chunked")
        if value:
            headers[name] = value
    if headers:
        info["headers"] = headers
    metadata = _metadata(call)
    if metadata:
        info["metadata"] = metadata
    tagging = call.header("x-amz-tagging")
    if tagging:
        info["tags"] = parse_tagging_header(tagging)
    storage_class = parse_storage_class(call)
    if storage_class:
        info["storage_class"] = storage_class
    encryption = call.header("x-amz-server-side-encryption")
    if encryption:
        info["encryption"] = parse_encryption(call, encryption)
    return info


def check_acl(call: Call) -> None:
    """ACLs are disabled, as for buckets made on AWS since 2023: the owner has full control.

    Raises:
        S3Error: AccessControlListNotSupported.
    """
    if call.header("x-amz-acl") not in (None, "private", "bucket-owner-full-control"):
        raise S3Error("AccessControlListNotSupported", "The bucket does not allow ACLs")


def parse_storage_class(call: Call) -> str | None:
    storage_class = call.header("x-amz-storage-class")
    if storage_class in _ARCHIVES:
        raise Unsupported(
            f"the storage class {storage_class}",
            f"Use one of {', '.join(STORAGE_CLASSES)}.",
        )
    if storage_class is not None and storage_class not in STORAGE_CLASSES:
        raise S3Error(
            "InvalidStorageClass",
            "The storage class you specified is not valid",
            StorageClassRequested=storage_class,
        )
    return None if storage_class == "STANDARD" else storage_class


def parse_encryption(call: Call, algorithm: str) -> dict[str, str]:
    name = "x-amz-server-side-encryption"
    if algorithm not in ("AES256", "aws:kms", "aws:kms:dsse"):
        raise invalid_argument("The encryption method specified is not supported", name, algorithm)
    key = call.header(f"{name}-aws-kms-key-id")
    return {name: algorithm, **({f"{name}-aws-kms-key-id": key} if key else {})}


def _metadata(call: Call) -> dict[str, str]:
    prefix = "HTTP_X_AMZ_META_"
    metadata = {}
    for name in call.environ:
        if name.startswith(prefix):
            short = name[len(prefix) :].lower().replace("_", "-")
            metadata[short] = call.header(f"x-amz-meta-{short}") or ""
    size = sum(len(name) + len(value.encode()) for name, value in metadata.items())
    if size > _LARGEST_METADATA:
        raise S3Error(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            Size=str(size),
            MaxSizeAllowed=str(_LARGEST_METADATA),
        )
    return metadata


def attribute_headers(info: dict[str, Any]) -> dict[str, str]:
    """The answer's headers for an object's ``info``."""
    headers = {"Content-Type": DEFAULT_TYPE}
    for name, value in info.get("headers", {}).items():
        headers[KEPT_HEADERS[name]] = value
    for name, value in info.get("metadata", {}).items():
        headers[f"x-amz-meta-{name}"] = value
    if info.get("tags"):
        headers["x-amz-tagging-count"] = str(len(info["tags"]))
    if "storage_class" in info:
        headers["x-amz-storage-class"] = info["storage_class"]
    headers.update(encryption_headers(info))
    return headers


def encryption_headers(info: dict[str, Any]) -> dict[str, str]:
    return info.get("encryption") or {"x-amz-server-side-encryption": "AES256"}


def parse_tagging_header(text: str) -> dict[str, str]:
    """``a=1&b=2`` as tags.

    Raises:
        S3Error: InvalidArgument, InvalidTag.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise invalid_argument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query"
            " parameters without tag name duplicates.",
            "x-amz-tagging",
            text,
        ) from None
    return _checked_tags(pairs, 10)


def parse_tags(root: ElementTree.Element, most: int) -> dict[str, str]:
    """A ``<Tagging>`` document.

    Raises:
        S3Error: MalformedXML, InvalidTag.
    """
    tag_set = root.find("TagSet")
    if root.tag != "Tagging" or tag_set is None:
        raise malformed_xml("expected Tagging with a TagSet")
    pairs = [(tag.findtext("Key") or "", tag.findtext("Value") or "") for tag in tag_set]
    return _checked_tags(pairs, most)


def _checked_tags(pairs: list[tuple[str, str]], most: int) -> dict[str, str]:
    if len(pairs) > most:
        raise S3Error("BadRequest", f"Object tags cannot be greater than {most}")
    tags: dict[str, str] = {}
    for key, value in pairs:
        if key in tags:
            raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key")
        if not key or len(key) > 128:
            raise S3Error("InvalidTag", "The TagKey you have provided is invalid", TagKey=key)
        if len(value) > 256:
            raise S3Error("InvalidTag", "The TagValue you have provided is invalid", TagKey=key)
        tags[key] = value
    return tags


def tags_xml(tags: dict[str, str]) -> str:
    content = "".join(
        f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>" for key, value in tags.items()
    )
    return f"<TagSet>{content}</TagSet>"
