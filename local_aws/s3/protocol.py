"""S3's REST protocol: which operation a request is, its parts, and the answer's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import botocore.loaders
from botocore.model import OperationModel, ServiceModel

from local_aws.s3.body import Body
from local_aws.s3.errors import STATUS, S3Error
from local_aws.service import AwsError, Operation, Unsupported

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_VIRTUAL_HOST = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9.-]+?)\.(s3\.)?localhost(:\d+)?")
_CONTROL = {ord(c): f"&#x{ord(c):X};" for c in map(chr, range(32)) if c not in "\t\n"}


@dataclass(slots=True)
class Call:
    """One request. ``key`` is empty for bucket operations, ``bucket`` for service operations."""

    method: str
    bucket: str
    key: str
    query: dict[str, str]
    environ: dict[str, Any]
    body: Body
    request_id: str
    operation: str = ""

    def header(self, name: str) -> str | None:
        """A request header by its lower-case name, as UTF-8 text."""
        value = self.environ.get(_environ_name(name))
        if value is None or value.isascii():
            return value
        return value.encode("latin-1").decode("utf-8", "replace")

    def xml(self, limit: int = 4 << 20) -> ElementTree.Element:
        """The body as XML with namespaces removed.

        Raises:
            S3Error: MalformedXML.
        """
        return parse_xml(self.body.text(limit))


def parse_xml(text: str) -> ElementTree.Element:
    """A request's XML with namespaces removed.

    Raises:
        S3Error: MalformedXML.
    """
    try:
        # Expat 2.4.1 and later bounds the expansion of entities.
        root = ElementTree.fromstring(text)  # noqa: S314
    except ElementTree.ParseError as error:
        raise malformed_xml(str(error)) from error
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
    return root


def malformed_xml(why: str) -> S3Error:
    return S3Error(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published"
        f" schema ({why})",
    )


@dataclass(slots=True)
class Reply:
    """An answer: status, headers, and a body in one piece or as a stream."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterator[bytes] = b""


def xml_reply(root: str, content: str, headers: Mapping[str, str] | None = None) -> Reply:
    """A 200 answer with an XML document in S3's namespace."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{content}</{root}>'
    return Reply(200, {"Content-Type": "application/xml", **(headers or {})}, text.encode())


def quoted(text: str) -> str:
    """Text for an XML element; control characters become references, as S3 writes them."""
    return escape(text, {'"': "&quot;"}).translate(_CONTROL)


def element(name: str, value: object) -> str:
    """``<name>value</name>``, or nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"<{name}>{'true' if value else 'false'}</{name}>"
    return f"<{name}>{quoted(str(value))}</{name}>"


def error_reply(error: AwsError, call: Call, resource: str) -> Reply:
    """S3's error document; HEAD answers and 304 have none."""
    status = STATUS.get(error.code, 400)
    details = getattr(error, "details", {})
    content = (
        element("Code", error.code)
        + element("Message", error.message)
        + "".join(element(name, value) for name, value in details.items())
        + element("Resource", resource)
        + element("RequestId", call.request_id)
        + element("HostId", "local")
    )
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{content}</Error>'
    if call.method == "HEAD" or status == 304:
        return Reply(status, {"Content-Type": "application/xml"})
    return Reply(status, {"Content-Type": "application/xml"}, text.encode())


def status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


@cache
def _environ_name(header: str) -> str:
    name = header.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


def parse_target(environ: Mapping[str, Any]) -> tuple[str, str, dict[str, str]]:
    """Bucket, key and query of a request, path style or ``<bucket>.localhost``.

    Raises:
        S3Error: InvalidURI, the path is not UTF-8.
    """
    uri: str = environ.get("REQUEST_URI") or environ["PATH_INFO"]
    raw, _, query = uri.partition("?")
    try:
        path = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise S3Error("InvalidURI", f"Couldn't parse the specified URI: {error}") from error
    virtual = _VIRTUAL_HOST.fullmatch(environ.get("HTTP_HOST", ""))
    if virtual:
        bucket, key = virtual["bucket"], path[1:]
    else:
        bucket, _, key = path[1:].partition("/")
    return bucket, key, dict(parse_qsl(query, keep_blank_values=True)) if query else {}


@dataclass(frozen=True)
class Route:
    """One operation of S3's model: what a request must carry to be it, and what it may carry."""

    name: str
    query: frozenset[str]
    fixed: Mapping[str, str]
    header: str | None
    headers: Mapping[str, str]
    arguments: Mapping[str, str]


class Router:
    """Finds a request's operation by botocore's model of S3, and refuses what is not there."""

    def __init__(self, implemented: Mapping[str, Operation]) -> None:
        model = ServiceModel(botocore.loaders.Loader().load_service_model("s3", "service-2"))
        self._routes: dict[tuple[str, str], list[Route]] = {}
        self._refused: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {}
        for name in model.operation_names:
            operation = model.operation_model(name)
            if operation.deprecated or name in ("ListDirectoryBuckets", "WriteGetObjectResponse"):
                continue
            self._add(operation, implemented.get(name))
        for routes in self._routes.values():
            routes.sort(key=lambda r: len(r.query) + (r.header is not None), reverse=True)
        self.implemented = implemented

    def _add(self, operation: OperationModel, known: Operation | None) -> None:
        path, _, query = operation.http["requestUri"].partition("?")
        level = "key" if "{Key+}" in path else "bucket" if "{Bucket}" in path else "service"
        fixed = dict(parse_qsl(query, keep_blank_values=True))
        members = operation.input_shape.members if operation.input_shape else {}
        required = set(operation.input_shape.required_members) if operation.input_shape else set()
        needs, header = set(fixed), None
        headers, arguments = {}, {}
        for member, shape in members.items():
            where, name = shape.serialization.get("location"), shape.serialization.get("name", "")
            if where == "querystring":
                arguments[name] = member
                if member in required:
                    needs.add(name)
            elif where == "header":
                headers[name.lower()] = member
                if member in required and name.lower() in (
                    "x-amz-copy-source",
                    "x-amz-rename-source",
                ):
                    header = name.lower()
        route = Route(operation.name, frozenset(needs), fixed, header, headers, arguments)
        method = operation.http["method"]
        self._routes.setdefault((method, level), []).append(route)
        if known is None:
            return
        takes = {*known.accepts, *known.ignores}
        self._refused[operation.name] = (
            [(_environ_name(n), m) for n, m in headers.items() if m not in takes],
            [(n, m) for n, m in arguments.items() if m not in takes],
        )

    def match(self, call: Call) -> str:
        """The name of the operation that the request is.

        Raises:
            S3Error: MethodNotAllowed.
            Unsupported: not implemented, or an option of it is not.
        """
        level = "key" if call.key else "bucket" if call.bucket else "service"
        query, environ = call.query, call.environ
        for route in self._routes.get((call.method, level), ()):
            if (
                all(name in query for name in route.query)
                and all(query[n] == v for n, v in route.fixed.items() if v)
                and (route.header is None or _environ_name(route.header) in environ)
            ):
                break
        else:
            if call.method == "POST" and level == "bucket":
                raise Unsupported("s3:PostObject (uploads from a browser's form)", "Use PutObject.")
            raise S3Error(
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.",
                Method=call.method,
            )
        if route.name not in self.implemented:
            raise Unsupported(f"s3:{route.name}")
        headers, arguments = self._refused[route.name]
        for name, member in headers:
            if name in environ:
                raise self._refuse(route.name, member)
        if query:
            for name, member in arguments:
                if name in query:
                    raise self._refuse(route.name, member)
        return route.name

    @staticmethod
    def _refuse(operation: str, member: str) -> Unsupported:
        return Unsupported(f"the option {member} of s3:{operation}")
