"""From an HTTP request to an operation of an engine or of moto, and back."""

from __future__ import annotations

import json
import logging
import uuid
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import UnknownServiceError
from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.wrappers import Response

from local_aws.control_plane import MOTO_SERVICES, ControlPlane
from local_aws.faults import LOST, AnswerLost, BadPlan, Faults, InjectedError, Plan, injected_error
from local_aws.instance import ENGINES, Instance
from local_aws.service import AwsError, Unsupported

# Our own codes (NotImplemented) are in no service's model, and are meant to be seen as they are.
warnings.filterwarnings("ignore", message=".*does not match an error shape.*")

log = logging.getLogger("local_aws.gateway")
Environ = dict[str, Any]
StartResponse = Callable[..., Any]


def service_of(request: Request) -> str:
    """The service's signing name, from the signature's scope or a presigned URL; else s3."""
    authorization = request.headers.get("Authorization", "")
    if "Credential=" in authorization:
        scope = authorization.split("Credential=", 1)[1].split(",", 1)[0].split("/")
        if len(scope) >= 5:
            return scope[-2].lower()
    credential = request.args.get("X-Amz-Credential", "")
    if credential.count("/") >= 4:
        return credential.split("/")[-2].lower()
    return "s3"


class Gateway:
    """The WSGI application: S3 by its own handler, engines by botocore's models, the rest moto."""

    def __init__(self, aws: Instance, control_plane: ControlPlane) -> None:
        self.aws = aws
        self.control_plane = control_plane
        self.faults = Faults(aws.config.faults)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.path == "/_local/health":
            return _document({"status": "ok"})(environ, start_response)
        if request.path == "/_local/faults":
            return self.control_faults(request)(environ, start_response)
        service = service_of(request)
        kind = self.faults.next(service)
        if kind is None:
            return self.execute(service, request, environ, start_response)
        if kind != LOST:
            return self.fail(service, request, injected_error(service, kind))(
                environ, start_response
            )
        answer = self.execute(service, request, environ, start_response)
        if hasattr(answer, "close"):
            answer.close()
        raise AnswerLost

    def execute(
        self, service: str, request: Request, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Have the service answer; an unknown one is refused."""
        if service == "s3":
            return self.aws.s3.wsgi(environ, start_response)
        if service in self.aws.services:
            return self.answer(service, request)(environ, start_response)
        if service in MOTO_SERVICES:
            return self.control_plane.wsgi(service, environ, start_response)
        return self.refuse(service, request)(environ, start_response)

    def answer(self, service: str, request: Request) -> Response:
        """Parse, call and serialise one operation of an engine."""
        model = get_service_model(service)
        try:
            operation, params = get_service_router(service).match(request)
        except (NotFound, MethodNotAllowed):
            name = request.headers.get("X-Amz-Target", f"{request.method} {request.path}")
            return _failure(f"The embedded AWS knows no operation {name} of {service}.")
        protocol = determine_request_protocol(model, request.content_type)
        try:
            parsed = PROTOCOL_PARSERS[protocol](operation).parse(
                {
                    "method": request.method,
                    "values": request.values,
                    "headers": request.headers,
                    "body": request.get_data(),
                    "url_path": request.path,
                    "url_params": params,
                }
            )
            result: Any = self.aws.services[service].call(operation.name, parsed)
        except AwsError as error:
            result = error
        except Exception as error:
            log.exception("%s:%s failed", service, operation.name)
            result = AwsError("InternalServerException", f"{type(error).__name__}: {error}")
        return _serialise(operation, protocol, result)

    def control_faults(self, request: Request) -> Response:
        """Show, set or end the faults that are made on purpose."""
        try:
            if request.method == "PUT":
                given = json.loads(request.get_data() or b"{}")
                if not isinstance(given, dict):
                    raise BadPlan('expected a document such as {"rate": 0.05}')
                self.faults.set(Plan.of(given))
            elif request.method == "DELETE":
                self.faults.set(None)
            elif request.method != "GET":
                return _document({"message": "Use GET, PUT or DELETE."}, 405)
        except ValueError as error:
            return _document({"message": str(error)}, 400)
        return _document(self.faults.report())

    def fail(self, service: str, request: Request, error: InjectedError) -> Response:
        """An error that a request meets on purpose, in the service's own shape, nothing done."""
        if service == "s3":
            return self.aws.s3.failure(request.environ, error)
        request.get_data(cache=False)  # so that the connection can be used again
        try:
            model = get_service_model("cloudwatch" if service == "monitoring" else service)
        except UnknownServiceError:
            return _failure(error.message)
        protocol = determine_request_protocol(model, request.content_type)
        response = _serialise(OperationModel({}, model), protocol, error)
        response.status_code = error.status
        return response

    @staticmethod
    def refuse(service: str, request: Request) -> Response:
        """Say that a whole service is missing, in that service's own protocol where known."""
        error = Unsupported(
            f"the service {service}",
            f"Supported services: {', '.join(sorted({*ENGINES, *MOTO_SERVICES}))}.",
        )
        try:
            model = get_service_model(service)
        except UnknownServiceError:
            return _failure(error.message)
        protocol = determine_request_protocol(model, request.content_type)
        return _serialise(OperationModel({}, model), protocol, error)


def _serialise(operation: OperationModel, protocol: str, result: Any) -> Response:
    request_id = str(uuid.uuid4())
    serializer = get_serializer_class(operation.service_model.service_name, protocol)
    wire = serializer(operation, SerializationContext(request_id)).serialize(result)
    status = wire["status_code"]
    if isinstance(result, Unsupported):
        status = 501
    elif isinstance(result, AwsError) and result.code == "InternalServerException":
        status = 500
    elif isinstance(result, dict) and operation.output_shape:
        for name, member in operation.output_shape.members.items():
            if member.serialization.get("location") == "statusCode" and name in result:
                status = result[name]
    headers = {**wire["headers"], "x-amzn-RequestId": request_id}
    return Response(wire["body"], status=status, headers=headers)


def _document(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content), status=status, content_type="application/json")


def _failure(message: str) -> Response:
    body = json.dumps({"__type": "NotImplemented", "message": message})
    return Response(
        body,
        status=501,
        content_type="application/x-amz-json-1.1",
        headers={"x-amzn-ErrorType": "NotImplemented"},
    )
