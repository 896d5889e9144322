"""Bucket operations."""

from __future__ import annotations

from local_aws.s3.base import BUCKET, OWNER, S3Base, bucket_operation, iso_now, iso_time
from local_aws.s3.errors import S3Error
from local_aws.s3.names import is_bucket_name
from local_aws.s3.protocol import Call, Reply, element, parse_xml, xml_reply
from local_aws.service import Unsupported, operation


class BucketOperations(S3Base):
    @operation(
        "Bucket",
        "CreateBucketConfiguration",
        "ObjectOwnership",
        "ACL",
        differs="Bucket names are taken by nobody else. There is one region.",
    )
    def CreateBucket(self, call: Call) -> Reply:
        """Create a bucket: a folder."""
        bucket = call.bucket
        if not is_bucket_name(bucket):
            raise S3Error(
                "InvalidBucketName", "The specified bucket is not valid.", BucketName=bucket
            )
        if call.header("x-amz-acl") not in (None, "private"):
            raise S3Error(
                "InvalidBucketAclWithObjectOwnership",
                "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
            )
        tags = self._check_configuration(call)
        ownership = call.header("x-amz-object-ownership") or "BucketOwnerEnforced"
        if ownership != "BucketOwnerEnforced":
            raise Unsupported(
                f"the object ownership {ownership}: ACLs are disabled, as for new buckets on AWS",
                "Use BucketOwnerEnforced or leave it out.",
            )
        with self.aws.store.transaction():
            folder = self.objects.root / bucket
            if not folder.is_dir():
                folder.mkdir()
                self.aws.store.put(
                    BUCKET, bucket, {"created": iso_now(), **({"tags": tags} if tags else {})}
                )
            elif self.aws.config.region != "us-east-1":
                raise S3Error(
                    "BucketAlreadyOwnedByYou",
                    "Your previous request to create the named bucket succeeded and you already"
                    " own it.",
                    BucketName=bucket,
                )
        return Reply(200, {"Location": f"/{bucket}"})

    def _check_configuration(self, call: Call) -> dict[str, str]:
        """Check where the bucket shall be, and return its tags."""
        text = call.body.text(1 << 20)
        if not text:
            return {}
        tags: dict[str, str] = {}
        for part in parse_xml(text):
            if part.tag == "LocationConstraint":
                self._check_location(part.text or "")
            elif part.tag == "Tags":
                tags = {tag.findtext("Key", ""): tag.findtext("Value", "") for tag in part}
            else:
                raise Unsupported(f"the option {part.tag} of s3:CreateBucket")
        return tags

    def _check_location(self, location: str) -> None:
        region = self.aws.config.region
        if location == "us-east-1":
            raise S3Error(
                "InvalidLocationConstraint",
                "The specified location-constraint is not valid",
                LocationConstraint=location,
            )
        if location and location != region:
            raise Unsupported(
                f"a bucket in {location}", f"The embedded AWS has one region, {region}."
            )

    @bucket_operation()
    def HeadBucket(self, call: Call) -> Reply:
        """Say whether a bucket exists."""
        self.objects.folder(call.bucket)
        return Reply(200, {"x-amz-bucket-region": self.aws.config.region})

    @bucket_operation()
    def DeleteBucket(self, call: Call) -> Reply:
        """Delete an empty bucket."""
        with self.aws.store.transaction():
            self.objects.delete_bucket(call.bucket)
            self.forget_uploads(call.bucket)
            self.aws.store.delete(BUCKET, call.bucket)
        return Reply(204)

    @operation("Prefix", "BucketRegion", "MaxBuckets", "ContinuationToken")
    def ListBuckets(self, call: Call) -> Reply:
        """List all buckets by name."""
        prefix = call.query.get("prefix", "")
        if call.query.get("bucket-region", self.aws.config.region) != self.aws.config.region:
            names = []
        else:
            after = call.query.get("continuation-token", "")
            names = [n for n in self.objects.buckets() if n.startswith(prefix) and n > after]
        limit = int(call.query.get("max-buckets") or 10000)
        token = names[limit - 1] if len(names) > limit else None
        content = "".join(self._bucket(name) for name in names[:limit])
        return xml_reply(
            "ListAllMyBucketsResult",
            f"<Buckets>{content}</Buckets>{OWNER}"
            + element("ContinuationToken", token)
            + (element("Prefix", prefix) if prefix else ""),
        )

    def _bucket(self, name: str) -> str:
        document = self.aws.store.get(BUCKET, name) or {}
        created = document.get("created")
        if created is None:
            created = iso_time((self.objects.root / name).stat().st_ctime_ns)
        return (
            f"<Bucket>{element('Name', name)}{element('CreationDate', created)}"
            f"{element('BucketRegion', self.aws.config.region)}</Bucket>"
        )

    @bucket_operation()
    def GetBucketLocation(self, call: Call) -> Reply:
        """Give the region; us-east-1 is written as nothing, as on AWS."""
        self.objects.folder(call.bucket)
        region = self.aws.config.region
        text = "" if region == "us-east-1" else region
        return xml_reply("LocationConstraint", text)
