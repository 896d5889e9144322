"""S3: objects are plain files that every engine and every client shares."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Response

from local_aws.faults import InjectedError
from local_aws.s3.body import Body
from local_aws.s3.buckets import BucketOperations
from local_aws.s3.errors import S3Error
from local_aws.s3.lists import ListOperations
from local_aws.s3.multipart import MultipartOperations
from local_aws.s3.notifications import NotificationOperations
from local_aws.s3.objects import ObjectStore
from local_aws.s3.protocol import Call, Reply, Router, error_reply, parse_target, status_line
from local_aws.s3.settings import SettingsOperations
from local_aws.s3.tagging import TaggingOperations
from local_aws.s3.transfers import ObjectOperations
from local_aws.service import AwsError, Feature

log = logging.getLogger("local_aws.s3")


class S3(
    NotificationOperations,
    MultipartOperations,
    ObjectOperations,
    TaggingOperations,
    ListOperations,
    SettingsOperations,
    BucketOperations,
):
    """The S3 of one embedded AWS; objects are files under ``<state>/s3/<bucket>/<key>``."""

    features = (
        Feature("addressing", "path style, <bucket>.localhost", "supported"),
        Feature("addressing", "presigned URLs", "different", "they expire; nobody is asked who"),
        Feature("authorization", "signatures, policies, ACLs", "different", "not checked"),
        Feature("keys", "UTF-8 up to 1024 bytes, folder markers that end with /", "supported"),
        Feature(
            "keys",
            "parts that are empty, . or .. or over 255 bytes; a and a/b at once; content in a/",
            "refused",
            "objects are plain files",
        ),
        Feature(
            "objects",
            "files that other programs write into a bucket's folder",
            "different",
            "objects at once, without an event; symbolic links and names not in UTF-8 are none",
        ),
        Feature("objects", "storage classes that need a restore", "refused"),
        Feature("objects", "SSE-C, object lock, website redirects, annotations", "refused"),
        Feature("bodies", "aws-chunked with trailers, Expect: 100-continue", "supported"),
        Feature(
            "checksums",
            "MD5, CRC32, CRC32C, CRC64NVME, SHA1, SHA256, x-amz-content-sha256",
            "supported",
        ),
        Feature("checksums", "SHA512, XXHASH", "refused"),
        Feature(
            "checksums", "CRC64NVME of objects put without a checksum", "different", "none is kept"
        ),
        Feature("versioning", "enabling it", "refused", "every object has the version null"),
        Feature("notifications", "Lambda, SQS, SNS; ObjectCreated, ObjectRemoved", "supported"),
        Feature("notifications", "EventBridge, other events", "refused"),
    )

    def setup(self) -> None:
        state = self.aws.config.state
        self.objects = ObjectStore(state / "s3", state / "s3-scratch", state / "s3.sqlite")
        self._router = Router(self._operations)
        self.setup_multipart()
        self.setup_notifications()

    def start(self) -> None:
        self.resume_notifications()

    def stop(self) -> None:
        self.objects.close()

    def bucket_path(self, bucket: str) -> Path:
        """The folder of a bucket's objects; it need not exist yet."""
        return self.objects.root / bucket

    def path(self, uri: str) -> Path:
        """The file or folder of ``s3://bucket/key`` (also ``s3a`` and ``s3n``).

        Raises:
            AwsError: NoSuchBucket; InvalidURI when it is no such URI, or leads out of the bucket.
        """
        scheme, separator, rest = uri.partition("://")
        if not separator or scheme not in ("s3", "s3a", "s3n"):
            raise S3Error("InvalidURI", f"{uri!r} is no URI of S3: expected s3://bucket/key")
        bucket, _, key = rest.partition("/")
        folder = self.objects.folder(bucket)
        if ".." in key.split("/") or "\0" in key:
            raise S3Error("InvalidURI", f"{uri!r} leads out of its bucket")
        return folder / key.strip("/") if key.strip("/") else folder

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request of S3's REST protocol."""
        body = Body(environ)
        call = Call(environ["REQUEST_METHOD"], "", "", {}, environ, body, _request_id())
        reply = self._answer(call)
        body.drain()
        headers = [
            ("x-amz-request-id", call.request_id),
            ("x-amz-id-2", "local"),
            ("Server", "AmazonS3"),
        ]
        content = reply.body
        if isinstance(content, bytes):
            if reply.status not in (204, 304):
                reply.headers.setdefault("Content-Length", str(len(content)))
            content = iter((content,)) if content and call.method != "HEAD" else iter(())
        for name, value in reply.headers.items():
            headers.append((name, value if value.isascii() else _latin(value)))
        start_response(status_line(reply.status), headers)
        return content

    def failure(self, environ: dict[str, Any], error: InjectedError) -> Response:
        """An error document for a request that is not looked at any further."""
        body = Body(environ)
        call = Call(environ["REQUEST_METHOD"], "", "", {}, environ, body, _request_id())
        with contextlib.suppress(AwsError):
            call.bucket, call.key, call.query = parse_target(environ)
        reply = error_reply(error, call, f"/{call.bucket}/{call.key}".rstrip("/") or "/")
        body.drain()
        headers = {**reply.headers, "x-amz-request-id": call.request_id, "Server": "AmazonS3"}
        content = reply.body if isinstance(reply.body, bytes) else b""
        return Response(content, status=error.status, headers=headers)

    def _answer(self, call: Call) -> Reply:
        try:
            call.bucket, call.key, call.query = parse_target(call.environ)
            self._check_expiry(call)
            owner = call.environ.get("HTTP_X_AMZ_EXPECTED_BUCKET_OWNER")
            if owner not in (None, self.aws.config.account):
                raise S3Error("AccessDenied", "Access Denied")
            call.operation = self._router.match(call)
            return getattr(self, call.operation)(call)
        except AwsError as error:
            return error_reply(error, call, f"/{call.bucket}/{call.key}".rstrip("/") or "/")
        except Exception as error:
            log.exception("s3:%s of %s/%s failed", call.operation, call.bucket, call.key)
            failure = S3Error("InternalError", f"{type(error).__name__}: {error}")
            return error_reply(failure, call, f"/{call.bucket}/{call.key}")

    def _check_expiry(self, call: Call) -> None:
        """Refuse a presigned URL after its time.

        Raises:
            S3Error: AccessDenied, AuthorizationQueryParametersError.
        """
        seconds, moment = call.query.get("X-Amz-Expires"), call.query.get("Expires")
        if seconds is None and (moment is None or "Signature" not in call.query):
            return
        try:
            if seconds is None:
                expires = datetime.fromtimestamp(int(moment or ""), UTC)
            else:
                signed = datetime.strptime(call.query.get("X-Amz-Date", ""), "%Y%m%dT%H%M%SZ")
                expires = signed.replace(tzinfo=UTC) + timedelta(seconds=int(seconds))
        except (ValueError, OverflowError):
            raise S3Error(
                "AuthorizationQueryParametersError",
                "X-Amz-Date must be formatted YYYYMMDDTHHMMSSZ, X-Amz-Expires and Expires are"
                " numbers of seconds",
            ) from None
        if self.aws.now() > expires:
            raise S3Error(
                "AccessDenied",
                "Request has expired",
                Expires=expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            )


def _request_id() -> str:
    return uuid.uuid4().hex[:16].upper()


def _latin(value: str) -> str:
    """A header's text as WSGI wants it: each byte of its UTF-8 as one character."""
    return value.encode().decode("latin-1")
