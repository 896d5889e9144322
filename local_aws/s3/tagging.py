"""Tags and attributes of objects.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
"""

from __future__ import annotations

from local_aws.s3.attributes import parse_tags, tags_xml
from local_aws.s3.base import S3Base, bucket_operation, check_version, http_time, key_operation
from local_aws.s3.checksums import CHECKSUMS
from local_aws.s3.errors import invalid_argument, no_such_key
from local_aws.s3.objects import Stored
from local_aws.s3.protocol import Call, Reply, element, xml_reply

_ATTRIBUTES = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")


class TaggingOperations(S3Base):
    @key_operation(
        "VersionId",
    )
    def GetObjectTagging(self, call: Call) -> Reply:
        """Give an object's tags."""
        return xml_reply("Tagging", tags_xml(self.found(call).info.get("tags", {})))

    @key_operation(
        "Tagging",
        "VersionId",
        "ContentMD5",
        "ChecksumAlgorithm",
    )
    def PutObjectTagging(self, call: Call) -> Reply:
        """Replace an object's tags."""
        tags = parse_tags(call.xml(), 10)
        return self._set_tags(call, tags, 200)

    @bucket_operation("Key", "VersionId")
    def DeleteObjectTagging(self, call: Call) -> Reply:
        """Remove an object's tags."""
        return self._set_tags(call, {}, 204)

    def _set_tags(self, call: Call, tags: dict[str, str], status: int) -> Reply:
        check_version(call)

        def change(stored: Stored) -> None:
            stored.info.pop("tags", None)
            if tags:
                stored.info["tags"] = tags

        if self.objects.change_info(call.bucket, call.key, change) is None:
            raise no_such_key(call.key)
        return Reply(status)

    @key_operation(
        "VersionId",
        "ObjectAttributes",
        "MaxParts",
        "PartNumberMarker",
    )
    def GetObjectAttributes(self, call: Call) -> Reply:
        """Give an object's ETag, checksum, parts, storage class and size."""
        stored = self.found(call)
        wanted = {
            name.strip() for name in (call.header("x-amz-object-attributes") or "").split(",")
        }
        unknown = sorted(wanted - set(_ATTRIBUTES))
        if unknown:
            raise invalid_argument(
                "Invalid attribute name specified.", "x-amz-object-attributes", unknown[0]
            )
        content = ""
        if "ETag" in wanted:
            content += element("ETag", stored.etag)
        checksums = {
            name: value
            for name, value in stored.info.get("checksums", {}).items()
            if name in CHECKSUMS
        }
        if "Checksum" in wanted and checksums:
            inner = "".join(element(f"Checksum{n.upper()}", v) for n, v in checksums.items())
            kind = stored.info.get("checksum_type", "FULL_OBJECT")
            content += f"<Checksum>{inner}{element('ChecksumType', kind)}</Checksum>"
        if "ObjectParts" in wanted and stored.info.get("parts"):
            content += self._parts(call, stored)
        if "StorageClass" in wanted:
            content += element("StorageClass", stored.info.get("storage_class", "STANDARD"))
        if "ObjectSize" in wanted:
            content += element("ObjectSize", stored.size)
        return xml_reply(
            "GetObjectAttributesResponse",
            content,
            {"Last-Modified": http_time(stored.mtime_ns)},
        )

    @staticmethod
    def _parts(call: Call, stored: Stored) -> str:
        sizes = stored.info["parts"]
        limit = int(call.header("x-amz-max-parts") or 1000)
        after = int(call.header("x-amz-part-number-marker") or 0)
        page = list(enumerate(sizes, 1))[after : after + limit]
        last = page[-1][0] if page else after
        inner = (
            element("PartsCount", len(sizes))
            + element("PartNumberMarker", after)
            + element("NextPartNumberMarker", last)
            + element("MaxParts", limit)
            + element("IsTruncated", last < len(sizes))
        )
        if stored.info.get("part_checksums"):
            algorithm, values = stored.info["part_checksums"]
            for number, size in page:
                inner += (
                    f"<Part>{element('PartNumber', number)}{element('Size', size)}"
                    f"{element(f'Checksum{algorithm.upper()}', values[number - 1])}</Part>"
                )
        return f"<ObjectParts>{inner}</ObjectParts>"
