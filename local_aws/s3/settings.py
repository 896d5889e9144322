"""Settings of buckets: tags, and what is kept and returned though it changes nothing locally."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from local_aws.s3.attributes import parse_tags, tags_xml
from local_aws.s3.base import OWNER_ID, S3Base, bucket_operation, key_operation
from local_aws.s3.errors import S3Error
from local_aws.s3.protocol import NAMESPACE, Call, Reply, element, malformed_xml, xml_reply
from local_aws.service import Unsupported

_CHECKSUM = ("ContentMD5", "ChecksumAlgorithm")
_ENCRYPTION = (
    "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
    "</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>"
)
_ACCESS_BLOCK = "".join(
    f"<{name}>true</{name}>"
    for name in (
        "BlockPublicAcls",
        "IgnorePublicAcls",
        "BlockPublicPolicy",
        "RestrictPublicBuckets",
    )
)
_OWNERSHIP = "<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>"
_OWNER_ACL = (
    f"<Owner><ID>{OWNER_ID}</ID></Owner><AccessControlList><Grant>"
    '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">'
    f"<ID>{OWNER_ID}</ID></Grantee><Permission>FULL_CONTROL</Permission>"
    "</Grant></AccessControlList>"
)


class SettingsOperations(S3Base):
    @bucket_operation("Tagging", *_CHECKSUM)
    def PutBucketTagging(self, call: Call) -> Reply:
        """Replace a bucket's tags."""
        self.change_settings(call.bucket, tags=parse_tags(call.xml(), 50))
        return Reply(204)

    @bucket_operation()
    def GetBucketTagging(self, call: Call) -> Reply:
        """Give a bucket's tags."""
        tags = self.settings(call.bucket).get("tags")
        if not tags:
            raise _missing("NoSuchTagSet", "The TagSet does not exist", call)
        return xml_reply("Tagging", tags_xml(tags))

    @bucket_operation()
    def DeleteBucketTagging(self, call: Call) -> Reply:
        """Remove a bucket's tags."""
        self.change_settings(call.bucket, tags=None)
        return Reply(204)

    @bucket_operation()
    def GetBucketVersioning(self, call: Call) -> Reply:
        """Say that versioning was never enabled."""
        self.objects.folder(call.bucket)
        return xml_reply("VersioningConfiguration", "")

    @bucket_operation(
        "ServerSideEncryptionConfiguration",
        *_CHECKSUM,
        differs="Kept and returned; nothing is encrypted on this disk.",
    )
    def PutBucketEncryption(self, call: Call) -> Reply:
        """Keep a bucket's default encryption."""
        return self._keep(call, "encryption", "ServerSideEncryptionConfiguration", 200)

    @bucket_operation()
    def GetBucketEncryption(self, call: Call) -> Reply:
        """Give a bucket's default encryption, AES256 unless another was put."""
        kept = self.settings(call.bucket).get("encryption", _ENCRYPTION)
        return xml_reply("ServerSideEncryptionConfiguration", kept)

    @bucket_operation()
    def DeleteBucketEncryption(self, call: Call) -> Reply:
        """Return to the default, AES256."""
        return self._forget(call, "encryption")

    @bucket_operation(
        "PublicAccessBlockConfiguration",
        *_CHECKSUM,
        differs="Kept and returned; the embedded AWS answers whoever reaches its port.",
    )
    def PutPublicAccessBlock(self, call: Call) -> Reply:
        """Keep a bucket's public access block."""
        return self._keep(call, "access_block", "PublicAccessBlockConfiguration", 200)

    @bucket_operation()
    def GetPublicAccessBlock(self, call: Call) -> Reply:
        """Give a bucket's public access block; everything is blocked in a new bucket."""
        kept = self.settings(call.bucket).get("access_block", _ACCESS_BLOCK)
        if not kept:
            raise _missing(
                "NoSuchPublicAccessBlockConfiguration",
                "The public access block configuration was not found",
                call,
            )
        return xml_reply("PublicAccessBlockConfiguration", kept)

    @bucket_operation()
    def DeletePublicAccessBlock(self, call: Call) -> Reply:
        """Remove a bucket's public access block."""
        self.change_settings(call.bucket, access_block="")
        return Reply(204)

    @bucket_operation("OwnershipControls", *_CHECKSUM)
    def PutBucketOwnershipControls(self, call: Call) -> Reply:
        """Confirm that the bucket's owner owns every object; ACLs cannot be enabled."""
        root = call.xml()
        for rule in root.iter("ObjectOwnership"):
            if rule.text != "BucketOwnerEnforced":
                raise Unsupported(
                    f"the object ownership {rule.text}",
                    "ACLs are disabled, as for new buckets on AWS: use BucketOwnerEnforced.",
                )
        self.change_settings(call.bucket, ownership=_content(root, "OwnershipControls"))
        return Reply()

    @bucket_operation()
    def GetBucketOwnershipControls(self, call: Call) -> Reply:
        """Say that the bucket's owner owns every object."""
        kept = self.settings(call.bucket).get("ownership", _OWNERSHIP)
        if not kept:
            raise _missing(
                "OwnershipControlsNotFoundError",
                "The bucket ownership controls were not found",
                call,
            )
        return xml_reply("OwnershipControls", kept)

    @bucket_operation()
    def DeleteBucketOwnershipControls(self, call: Call) -> Reply:
        """Remove the ownership controls; ACLs stay disabled."""
        self.change_settings(call.bucket, ownership="")
        return Reply(204)

    @bucket_operation(
        "LifecycleConfiguration",
        "TransitionDefaultMinimumObjectSize",
        "ChecksumAlgorithm",
        differs="Kept and returned; no object ever expires or changes its storage class.",
    )
    def PutBucketLifecycleConfiguration(self, call: Call) -> Reply:
        """Keep a bucket's lifecycle rules."""
        return self._keep(call, "lifecycle", "LifecycleConfiguration", 200)

    @bucket_operation()
    def GetBucketLifecycleConfiguration(self, call: Call) -> Reply:
        """Give a bucket's lifecycle rules."""
        kept = self.settings(call.bucket).get("lifecycle")
        if not kept:
            raise _missing(
                "NoSuchLifecycleConfiguration",
                "The lifecycle configuration does not exist",
                call,
            )
        return xml_reply("LifecycleConfiguration", kept)

    @bucket_operation()
    def DeleteBucketLifecycle(self, call: Call) -> Reply:
        """Remove a bucket's lifecycle rules."""
        return self._forget(call, "lifecycle")

    @bucket_operation(
        "Policy",
        "ConfirmRemoveSelfBucketAccess",
        *_CHECKSUM,
        differs="Kept and returned; policies are not enforced.",
    )
    def PutBucketPolicy(self, call: Call) -> Reply:
        """Keep a bucket's policy."""
        self.objects.folder(call.bucket)
        text = call.body.text(20 << 10)
        try:
            policy = json.loads(text)
        except ValueError as error:
            raise S3Error(
                "MalformedPolicy", f"This policy contains invalid Json: {error}"
            ) from error
        if not isinstance(policy, dict) or not policy.get("Statement"):
            raise S3Error("MalformedPolicy", "Missing required field Statement")
        self.change_settings(call.bucket, policy=text)
        return Reply(204)

    @bucket_operation()
    def GetBucketPolicy(self, call: Call) -> Reply:
        """Give a bucket's policy."""
        policy = self.settings(call.bucket).get("policy")
        if not policy:
            raise _missing("NoSuchBucketPolicy", "The bucket policy does not exist", call)
        return Reply(200, {"Content-Type": "application/json"}, policy.encode())

    @bucket_operation()
    def DeleteBucketPolicy(self, call: Call) -> Reply:
        """Remove a bucket's policy."""
        return self._forget(call, "policy")

    @bucket_operation()
    def GetBucketAcl(self, call: Call) -> Reply:
        """Say that the owner has full control; ACLs are disabled."""
        self.objects.folder(call.bucket)
        return _acl()

    @key_operation(
        "VersionId",
    )
    def GetObjectAcl(self, call: Call) -> Reply:
        """Say that the owner has full control; ACLs are disabled."""
        self.found(call)
        return _acl()

    @bucket_operation()
    def GetBucketCors(self, call: Call) -> Reply:
        """Say that there are no rules for other origins."""
        self.objects.folder(call.bucket)
        raise _missing("NoSuchCORSConfiguration", "The CORS configuration does not exist", call)

    @bucket_operation()
    def GetBucketWebsite(self, call: Call) -> Reply:
        """Say that the bucket is no website."""
        self.objects.folder(call.bucket)
        raise _missing(
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration",
            call,
        )

    @bucket_operation()
    def GetBucketReplication(self, call: Call) -> Reply:
        """Say that nothing is replicated."""
        self.objects.folder(call.bucket)
        raise _missing(
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was not found",
            call,
        )

    @bucket_operation()
    def GetObjectLockConfiguration(self, call: Call) -> Reply:
        """Say that objects cannot be locked."""
        self.objects.folder(call.bucket)
        raise _missing(
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
            call,
        )

    @bucket_operation()
    def GetBucketLogging(self, call: Call) -> Reply:
        """Say that access is not logged."""
        self.objects.folder(call.bucket)
        return xml_reply("BucketLoggingStatus", "")

    @bucket_operation()
    def GetBucketAccelerateConfiguration(self, call: Call) -> Reply:
        """Say that transfers are not accelerated."""
        self.objects.folder(call.bucket)
        return xml_reply("AccelerateConfiguration", "")

    @bucket_operation()
    def GetBucketRequestPayment(self, call: Call) -> Reply:
        """Say that the bucket's owner pays."""
        self.objects.folder(call.bucket)
        return xml_reply("RequestPaymentConfiguration", element("Payer", "BucketOwner"))

    def _keep(self, call: Call, name: str, root: str, status: int) -> Reply:
        self.objects.folder(call.bucket)
        self.change_settings(call.bucket, **{name: _content(call.xml(), root)})
        return Reply(status)

    def _forget(self, call: Call, name: str) -> Reply:
        self.change_settings(call.bucket, **{name: None})
        return Reply(204)


def _missing(code: str, message: str, call: Call) -> S3Error:
    return S3Error(code, message, BucketName=call.bucket)


def _content(root: ElementTree.Element, name: str) -> str:
    """The inside of a document, to be kept and returned as it was put."""
    if root.tag != name or not len(root):
        raise malformed_xml(f"expected {name} with content")
    return "".join(ElementTree.tostring(each, encoding="unicode") for each in root)


def _acl() -> Reply:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<AccessControlPolicy xmlns="{NAMESPACE}">{_OWNER_ACL}</AccessControlPolicy>'
    )
    return Reply(200, {"Content-Type": "application/xml"}, text.encode())
