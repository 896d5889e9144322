"""Lambda: real handlers in processes of their own, called by clients and by S3 events.

https://docs.aws.amazon.com/lambda/latest/api/welcome.html
"""

from __future__ import annotations

import base64
import json
import re
import threading
import uuid
from typing import Any

from local_aws.lambda_.asynchronous import AsyncInvocations
from local_aws.lambda_.code import CodeStore
from local_aws.lambda_.environments import Outcome, Settings, make_runtime_folder
from local_aws.lambda_.event_sources import EventSourceOperations
from local_aws.lambda_.policy import allows, statement_of
from local_aws.lambda_.pool import Pool
from local_aws.service import AwsError, Feature, Request, Response, Unsupported, operation

FUNCTION = "lambda/function"
RUNTIME = "python3.11"
SYNC_BYTES = 6_291_456
ASYNC_BYTES = 1_048_576
_NAME = re.compile(r"[a-zA-Z0-9-_]{1,64}")
_REFERENCE = re.compile(
    r"(?:arn:aws:lambda:(?P<region>[^:]+):)?(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9-_]+)(?::(?P<qualifier>[$a-zA-Z0-9-_]+))?"
)
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
_RESERVED = re.compile(
    r"_HANDLER|_X_AMZN_TRACE_ID|LAMBDA_(TASK_ROOT|RUNTIME_DIR)|AWS_(?!ENDPOINT).*"
)
_VARIABLE = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")
_CONFIGURATION = (
    "Role",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "Environment",
    "Runtime",
    "EphemeralStorage",
    "TracingConfig",
    "LoggingConfig",
    "Layers",
    "VpcConfig",
    "DeadLetterConfig",
    "SnapStart",
)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message, Type="User")


class Lambda(EventSourceOperations):
    """Functions from zip archives, on Python 3.11, each in warm processes of its own."""

    service_name = "lambda"
    features = (
        Feature("runtime", "python3.11", "supported", "With the runtime's own packages only."),
        Feature("runtime", "other runtimes, container images, layers", "refused"),
        Feature(
            "runtime",
            "memory limit",
            "supported",
            "The process's resident memory is looked at every 0.1 s.",
        ),
        Feature(
            "runtime", "file system", "different", "The host's; TMPDIR and HOME are the function's."
        ),
        Feature("runtime", "freezing between invocations", "different", "Threads go on running."),
        Feature(
            "asynchronous invocation",
            "two retries",
            "different",
            "After 1 and 2 seconds, not 1 and 2 minutes. Events survive a restart.",
        ),
        Feature(
            "asynchronous invocation",
            "dead-letter queue",
            "supported",
            "Amazon SQS or SNS. Without one the event is named in the function's log.",
        ),
        Feature("asynchronous invocation", "destinations", "refused"),
        Feature("functions", "versions, aliases, function URLs", "refused"),
        Feature(
            "event source mappings",
            "SQS queues",
            "supported",
            "Batching windows, partial batch responses, dead-letter queues.",
        ),
        Feature(
            "event source mappings",
            "concurrency",
            "different",
            "Two batches at once; an event is cut at 6 MB.",
        ),
        Feature(
            "event source mappings",
            "Kinesis, DynamoDB and other sources; filters, destinations, tags",
            "refused",
        ),
        Feature("functions", "VPC, tracing, file systems, KMS keys", "refused"),
        Feature(
            "functions",
            "concurrency",
            "different",
            "Four environments a function; further calls wait instead of being throttled.",
        ),
    )

    def setup(self) -> None:
        root = self.aws.config.state / "lambda"
        self._root = root
        self.code = CodeStore(root / "code")
        self.pool = Pool(self._write_log)
        self.queue = AsyncInvocations(self)
        self._runtime = make_runtime_folder(root / "runtime")
        self._changing = threading.RLock()
        self._listening = False
        self._listen()
        self.setup_mappings()

    def start(self) -> None:
        self._listen()
        self.queue.resume()
        self.start_mappings()

    def _listen(self) -> None:
        """Take S3's events; S3 may deliver some of before a restart as soon as it starts."""
        if "s3" in self.aws.services and not self._listening:
            self.aws.s3.on_object_created(self.on_event)
            self._listening = True

    def stop(self) -> None:
        self.end_mappings()
        self.queue.stop()
        self.pool.stop()
        self.join_mappings()

    # What other engines use

    def on_event(self, event: dict[str, Any], function_arn: str) -> None:
        """Take an event of S3 for a function; it is on disk when this returns.

        Raises:
            AwsError: ResourceNotFoundException; AccessDeniedException when the function's policy
                does not let S3 in for that bucket.
        """
        document = self._function(function_arn)
        bucket = event["Records"][0]["s3"]["bucket"]["arn"]
        account = self.aws.config.account
        if not allows(document.get("Policy", []), "s3.amazonaws.com", bucket, account):
            raise AwsError(
                "AccessDeniedException",
                f"the policy of {function_arn} does not let s3.amazonaws.com invoke it for"
                f" {bucket}: call AddPermission",
            )
        self.queue.accept(document["FunctionName"], json.dumps(event))

    def may_be_invoked(
        self, function_arn: str, principal: str, source_arn: str, source_account: str
    ) -> bool:
        """Whether the function exists and its policy lets a service invoke it for a source."""
        try:
            document = self._function(function_arn)
        except AwsError:
            return False
        return allows(document.get("Policy", []), principal, source_arn, source_account)

    def function(self, reference: str) -> dict[str, Any]:
        """A function's document.

        Raises:
            AwsError: ResourceNotFoundException.
        """
        return self._function(reference)

    def run(
        self,
        name: str,
        payload: str,
        request_id: str,
        client_context: str | None = None,
        throttle: bool = True,
    ) -> Outcome:
        """Run a function now, and wait for its outcome.

        Raises:
            AwsError: ResourceNotFoundException; TooManyRequestsException if ``throttle``.
        """
        document = self._function(name)
        reserved = document.get("ReservedConcurrency")
        settings = self._settings(document)
        with self.pool.environment(
            document["FunctionName"], settings, document["RevisionId"], reserved, throttle
        ) as environment:
            return environment.invoke(request_id, payload, client_context)

    def drop_event(self, name: str, request_id: str, payload: str, error: str) -> None:
        """Send an event that failed for good to the dead-letter target, or name it in the log."""
        document = self._function(name)
        target = (document.get("DeadLetterConfig") or {}).get("TargetArn")
        message = json.loads(error).get("errorMessage", "")
        if target:
            attributes = {
                "RequestID": {"DataType": "String", "StringValue": request_id},
                "ErrorCode": {"DataType": "Number", "StringValue": "200"},
                "ErrorMessage": {"DataType": "String", "StringValue": message[:1024] or "error"},
            }
            if target.split(":")[2] == "sqs":
                sqs = self.aws.client("sqs")
                url = sqs.get_queue_url(QueueName=target.rpartition(":")[2])["QueueUrl"]
                sqs.send_message(QueueUrl=url, MessageBody=payload, MessageAttributes=attributes)
            else:
                self.aws.client("sns").publish(
                    TopicArn=target, Message=payload, MessageAttributes=attributes
                )
            return
        self._write_log(
            self._log_group(document),
            "asynchronous-invocation",
            [f"The event {request_id} was dropped after 3 attempts: {message} Event: {payload}"],
        )

    # Functions

    @operation(
        "FunctionName",
        "Code",
        "PackageType",
        "Publish",
        "Tags",
        "Architectures",
        *_CONFIGURATION,
        differs="The code runs on the host's own architecture. EphemeralStorage is not a limit.",
    )
    def CreateFunction(self, request: Request) -> Response:
        """Create a function from a zip archive, given in the call or lying in S3."""
        if request.get("PackageType", "Zip") != "Zip":
            raise Unsupported("functions from container images", "Use PackageType Zip.")
        if request.get("Publish"):
            raise Unsupported("published versions of functions", "Leave Publish out.")
        name = self._parse(request["FunctionName"])["name"]
        if not _NAME.fullmatch(name):
            raise _invalid(f"Function name {name} must be 1 to 64 letters, digits, - or _.")
        if "Runtime" not in request or "Handler" not in request:
            raise _invalid(
                "Runtime and Handler are mandatory parameters for functions created with"
                " deployment packages."
            )
        configuration = self._configured({}, request)
        code = self._load_code(request["Code"])
        with self._changing:
            if self.aws.store.get(FUNCTION, name):
                raise AwsError(
                    "ResourceConflictException", f"Function already exist: {name}", Type="User"
                )
            document = {
                "FunctionName": name,
                "FunctionArn": self.aws.arn("lambda", f"function:{name}"),
                "PackageType": "Zip",
                "Version": "$LATEST",
                "Architectures": request.get("Architectures", ["x86_64"]),
                "Tags": request.get("Tags", {}),
                **configuration,
                **code,
            }
            self._save(document)
        answer = self._describe(document)
        return {
            **answer,
            "State": "Pending",
            "StateReason": "The function is being created.",
            "StateReasonCode": "Creating",
            "LastUpdateStatus": None,
        }

    @operation(
        "FunctionName",
        "ZipFile",
        "S3Bucket",
        "S3Key",
        "S3ObjectVersion",
        "Publish",
        "DryRun",
        "RevisionId",
        "Architectures",
    )
    def UpdateFunctionCode(self, request: Request) -> Response:
        """Replace a function's archive; warm environments are replaced too."""
        if request.get("Publish"):
            raise Unsupported("published versions of functions", "Leave Publish out.")
        self._function(request["FunctionName"])
        given = ("ZipFile", "S3Bucket", "S3Key", "S3ObjectVersion")
        code = self._load_code({key: request[key] for key in given if key in request})
        with self._changing:
            document = self._function(request["FunctionName"], request.get("RevisionId"))
            document |= code
            if request.get("Architectures"):
                document["Architectures"] = request["Architectures"]
            if not request.get("DryRun"):
                self._save(document)
        return self._updating(document)

    @operation("FunctionName", "RevisionId", *_CONFIGURATION)
    def UpdateFunctionConfiguration(self, request: Request) -> Response:
        """Change a function's settings; warm environments are replaced."""
        with self._changing:
            document = self._function(request["FunctionName"], request.get("RevisionId"))
            document = {**document, **self._configured(document, request)}
            self._save(document)
        return self._updating(document)

    @operation(
        "FunctionName",
        "Qualifier",
        differs="Code.Location is a file: address, not a presigned one.",
    )
    def GetFunction(self, request: Request) -> Response:
        """A function's settings, tags and where its archive is."""
        document = self._qualified(request)
        answer: Response = {
            "Configuration": self._describe(document),
            "Code": {
                "RepositoryType": "S3",
                "Location": self.code.archive(document["CodeSha256"]).as_uri(),
            },
        }
        if document["Tags"]:
            answer["Tags"] = document["Tags"]
        if document.get("ReservedConcurrency") is not None:
            answer["Concurrency"] = {
                "ReservedConcurrentExecutions": document["ReservedConcurrency"]
            }
        return answer

    @operation("FunctionName", "Qualifier")
    def GetFunctionConfiguration(self, request: Request) -> Response:
        """A function's settings."""
        return self._describe(self._qualified(request))

    @operation("Marker", "MaxItems", "FunctionVersion")
    def ListFunctions(self, request: Request) -> Response:
        """Functions by name, 50 a page."""
        limit = min(request.get("MaxItems") or 50, 50)
        marker = request.get("Marker", "")
        documents = [document for name, document in self.aws.store.list(FUNCTION) if name >= marker]
        answer: Response = {"Functions": [self._describe(item) for item in documents[:limit]]}
        for item in answer["Functions"]:
            for member in ("State", "LastUpdateStatus"):
                item.pop(member)
        if len(documents) > limit:
            answer["NextMarker"] = documents[limit]["FunctionName"]
        return answer

    @operation("FunctionName", "Qualifier")
    def DeleteFunction(self, request: Request) -> Response:
        """Delete a function and end its environments."""
        with self._changing:
            document = self._qualified(request)
            if request.get("Qualifier") == "$LATEST":
                raise _invalid("$LATEST version cannot be deleted without deleting the function.")
            self.aws.store.delete(FUNCTION, document["FunctionName"])
            self._drop_code()
        self.pool.discard(document["FunctionName"])
        return {}

    @operation("FunctionName", "ReservedConcurrentExecutions")
    def PutFunctionConcurrency(self, request: Request) -> Response:
        """Reserve, and so cap, a function's concurrent executions."""
        amount = request["ReservedConcurrentExecutions"]
        with self._changing:
            document = self._function(request["FunctionName"])
            document["ReservedConcurrency"] = amount
            self.aws.store.put(FUNCTION, document["FunctionName"], document)
        return {"ReservedConcurrentExecutions": amount}

    @operation("FunctionName")
    def GetFunctionConcurrency(self, request: Request) -> Response:
        """A function's reserved concurrency."""
        reserved = self._function(request["FunctionName"]).get("ReservedConcurrency")
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    @operation("FunctionName")
    def DeleteFunctionConcurrency(self, request: Request) -> Response:
        """Take a function's reserved concurrency away."""
        with self._changing:
            document = self._function(request["FunctionName"])
            document.pop("ReservedConcurrency", None)
            self.aws.store.put(FUNCTION, document["FunctionName"], document)
        return {}

    # Invocation

    @operation("FunctionName", "InvocationType", "LogType", "Payload", "ClientContext", "Qualifier")
    def Invoke(self, request: Request) -> Response:
        """Run a function and wait, or queue an event for it, or only check the call."""
        document = self._qualified(request)
        kind = request.get("InvocationType", "RequestResponse")
        body = request.get("Payload") or b""
        if hasattr(body, "read"):
            body = body.read()
        raw = body.encode() if isinstance(body, str) else bytes(body)
        limit = ASYNC_BYTES if kind == "Event" else SYNC_BYTES
        if len(raw) > limit:
            raise AwsError(
                "RequestTooLargeException",
                f"Request must be smaller than {limit} bytes for the InvokeFunction operation",
                Type="User",
            )
        payload = _json_text(raw)
        if kind == "DryRun":
            return {"StatusCode": 204}
        if kind == "Event":
            self.queue.accept(document["FunctionName"], payload, request.get("ClientContext"))
            return {"StatusCode": 202}
        if kind != "RequestResponse":
            raise _invalid(f"Unknown InvocationType {kind}.")
        outcome = self.run(
            document["FunctionName"], payload, str(uuid.uuid4()), request.get("ClientContext")
        )
        answer: Response = {
            "StatusCode": 200,
            "ExecutedVersion": "$LATEST",
            "Payload": outcome.payload.encode(),
        }
        if outcome.failed:
            answer["FunctionError"] = "Unhandled"
        if request.get("LogType") == "Tail":
            answer["LogResult"] = base64.b64encode(outcome.tail).decode()
        return answer

    # Policy and tags

    @operation(
        "FunctionName",
        "StatementId",
        "Action",
        "Principal",
        "SourceArn",
        "SourceAccount",
        "RevisionId",
    )
    def AddPermission(self, request: Request) -> Response:
        """Let a service or an account use the function."""
        with self._changing:
            document = self._function(request["FunctionName"], request.get("RevisionId"))
            statements = document.setdefault("Policy", [])
            sid = request["StatementId"]
            if any(item["Sid"] == sid for item in statements):
                raise AwsError(
                    "ResourceConflictException",
                    f"The statement id ({sid}) provided already exists. Please provide a new"
                    " statement id, or remove the existing statement.",
                    Type="User",
                )
            statement = statement_of(request, document["FunctionArn"], self.aws.config.account)
            statements.append(statement)
            self.aws.store.put(FUNCTION, document["FunctionName"], document)
        return {"Statement": json.dumps(statement)}

    @operation("FunctionName", "StatementId", "RevisionId")
    def RemovePermission(self, request: Request) -> Response:
        """Take a permission away."""
        with self._changing:
            document = self._function(request["FunctionName"], request.get("RevisionId"))
            statements = document.get("Policy", [])
            kept = [item for item in statements if item["Sid"] != request["StatementId"]]
            if len(kept) == len(statements):
                raise AwsError(
                    "ResourceNotFoundException",
                    f"Statement {request['StatementId']} is not found in resource policy.",
                    Type="User",
                )
            document["Policy"] = kept
            self.aws.store.put(FUNCTION, document["FunctionName"], document)
        return {}

    @operation("FunctionName")
    def GetPolicy(self, request: Request) -> Response:
        """The function's resource policy."""
        document = self._function(request["FunctionName"])
        if not document.get("Policy"):
            raise AwsError(
                "ResourceNotFoundException",
                "The resource you requested does not exist.",
                Type="User",
            )
        policy = {"Version": "2012-10-17", "Id": "default", "Statement": document["Policy"]}
        return {"Policy": json.dumps(policy), "RevisionId": document["RevisionId"]}

    @operation("Resource")
    def ListTags(self, request: Request) -> Response:
        """The function's tags."""
        return {"Tags": self._function(request["Resource"])["Tags"]}

    @operation("Resource", "Tags")
    def TagResource(self, request: Request) -> Response:
        """Add tags to a function."""
        with self._changing:
            document = self._function(request["Resource"])
            document["Tags"] |= request["Tags"]
            self.aws.store.put(FUNCTION, document["FunctionName"], document)
        return {}

    @operation("Resource", "TagKeys")
    def UntagResource(self, request: Request) -> Response:
        """Take tags from a function."""
        with self._changing:
            document = self._function(request["Resource"])
            for key in request["TagKeys"]:
                document["Tags"].pop(key, None)
            self.aws.store.put(FUNCTION, document["FunctionName"], document)
        return {}

    # Shared

    @staticmethod
    def _parse(reference: str) -> dict[str, str]:
        found = _REFERENCE.fullmatch(reference)
        if not found:
            raise _invalid(
                f"1 validation error detected: Value '{reference}' at 'functionName' failed to"
                " satisfy constraint: it must be a function's name, partial ARN or ARN"
            )
        return found.groupdict()

    def _function(self, reference: str, revision: str | None = None) -> dict[str, Any]:
        parts = self._parse(reference)
        document = self.aws.store.get(FUNCTION, parts["name"])
        if document is None or parts["qualifier"] not in (None, "$LATEST"):
            arn = self.aws.arn("lambda", f"function:{parts['name']}")
            if parts["qualifier"]:
                arn = f"{arn}:{parts['qualifier']}"
            raise AwsError("ResourceNotFoundException", f"Function not found: {arn}", Type="User")
        if revision and revision != document["RevisionId"]:
            raise AwsError(
                "PreconditionFailedException",
                "The Revision Id provided does not match the latest Revision Id. Call the"
                " GetFunction/GetAlias API to retrieve the latest Revision Id",
                Type="User",
            )
        return document

    def _qualified(self, request: Request) -> dict[str, Any]:
        qualifier = request.get("Qualifier")
        reference = request["FunctionName"]
        return self._function(f"{reference}:{qualifier}" if qualifier else reference)

    def _save(self, document: dict[str, Any]) -> None:
        document["RevisionId"] = str(uuid.uuid4())
        now = self.aws.now()
        document["LastModified"] = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}+0000"
        self.aws.store.put(FUNCTION, document["FunctionName"], document)
        self._drop_code()
        self.pool.discard(document["FunctionName"], keep=document["RevisionId"])

    def _drop_code(self) -> None:
        self.code.keep_only(doc["CodeSha256"] for _, doc in self.aws.store.list(FUNCTION))

    def _load_code(self, code: dict[str, Any]) -> dict[str, Any]:
        for member in code:
            if member not in ("ZipFile", "S3Bucket", "S3Key", "S3ObjectVersion"):
                raise Unsupported(f"the option {member} of a function's code")
        if ("ZipFile" in code) == ("S3Key" in code):
            raise _invalid("Please provide a source for function code.")
        data = code["ZipFile"] if "ZipFile" in code else self._fetch(code)
        sha = self.code.add(data)
        return {"CodeSha256": sha, "CodeSize": len(data)}

    def _fetch(self, code: dict[str, Any]) -> bytes:
        from botocore.exceptions import ClientError

        where = {"Bucket": code["S3Bucket"], "Key": code["S3Key"]}
        if "S3ObjectVersion" in code:
            where["VersionId"] = code["S3ObjectVersion"]
        try:
            return self.aws.client("s3").get_object(**where)["Body"].read()
        except ClientError as error:
            raise _invalid(
                "Error occurred while GetObject. S3 Error Code:"
                f" {error.response['Error']['Code']}. S3 Error Message:"
                f" {error.response['Error']['Message']}"
            ) from error

    def _configured(self, current: dict[str, Any], request: Request) -> dict[str, Any]:
        """The settings of ``current`` with those of the request, checked."""
        known = {key: current[key] for key in _CONFIGURATION if key in current}
        given = {key: request[key] for key in _CONFIGURATION if request.get(key) is not None}
        settings = {
            "Description": "",
            "Timeout": 3,
            "MemorySize": 128,
            "EphemeralStorage": {"Size": 512},
            **known,
            **given,
        }
        if settings["Runtime"] != RUNTIME:
            raise Unsupported(f"the runtime {settings['Runtime']}", f"Use {RUNTIME}.")
        if settings.get("Layers"):
            raise Unsupported("Layers of functions", "Put everything into the archive.")
        vpc = settings.get("VpcConfig") or {}
        if vpc.get("SubnetIds") or vpc.get("SecurityGroupIds"):
            raise Unsupported("functions in a VPC", "Leave VpcConfig out.")
        if (settings.get("TracingConfig") or {}).get("Mode", "PassThrough") != "PassThrough":
            raise Unsupported("active tracing of functions", "Use the mode PassThrough.")
        if (settings.get("SnapStart") or {}).get("ApplyOn", "None") != "None":
            raise Unsupported("SnapStart")
        logging = settings.get("LoggingConfig") or {}
        if logging.get("LogFormat", "Text") != "Text" or logging.keys() - {"LogFormat", "LogGroup"}:
            raise Unsupported("logging formats other than Text", "Use LogFormat Text.")
        if not 1 <= settings["Timeout"] <= 900:
            raise _invalid(f"Timeout must be 1 to 900 seconds, not {settings['Timeout']}.")
        if not 128 <= settings["MemorySize"] <= 10240:
            raise _invalid(f"MemorySize must be 128 to 10240 MB, not {settings['MemorySize']}.")
        if "." not in settings["Handler"]:
            raise _invalid(f"Handler must be module.function, not {settings['Handler']}.")
        _check_variables((settings.get("Environment") or {}).get("Variables") or {})
        if "Role" in given:
            self._check_role(settings["Role"])
        target = (settings.get("DeadLetterConfig") or {}).get("TargetArn", "")
        if target and target.split(":")[2:3] not in (["sqs"], ["sns"]):
            raise _invalid(f"The dead-letter target {target} is no SQS queue and no SNS topic.")
        return settings

    def _check_role(self, role: str) -> None:
        if not _ROLE.fullmatch(role):
            raise _invalid(f"Value '{role}' at 'role' is not the ARN of a role.")
        from botocore.exceptions import ClientError

        refused = _invalid("The role defined for the function cannot be assumed by Lambda.")
        try:
            found = self.aws.client("iam").get_role(RoleName=role.rpartition("/")[2])["Role"]
        except ClientError as error:
            raise refused from error
        if "lambda.amazonaws.com" not in json.dumps(found["AssumeRolePolicyDocument"]):
            raise refused

    def _describe(self, document: dict[str, Any]) -> dict[str, Any]:
        hidden = {"Policy", "Tags", "ReservedConcurrency", "DeadLetterConfig", "VpcConfig"}
        answer = {key: value for key, value in document.items() if key not in hidden}
        if (document.get("DeadLetterConfig") or {}).get("TargetArn"):
            answer["DeadLetterConfig"] = document["DeadLetterConfig"]
        return {
            **answer,
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "TracingConfig": {"Mode": "PassThrough"},
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": self._log_group(document)},
        }

    def _updating(self, document: dict[str, Any]) -> dict[str, Any]:
        return {
            **self._describe(document),
            "LastUpdateStatus": "InProgress",
            "LastUpdateStatusReason": "The function is being created.",
            "LastUpdateStatusReasonCode": "Creating",
        }

    @staticmethod
    def _log_group(document: dict[str, Any]) -> str:
        given = (document.get("LoggingConfig") or {}).get("LogGroup")
        return given or f"/aws/lambda/{document['FunctionName']}"

    def _write_log(self, group: str, stream: str, lines: Any) -> None:
        self.aws.logs.write(group, stream, lines)

    def _settings(self, document: dict[str, Any]) -> Settings:
        return Settings(
            name=document["FunctionName"],
            arn=document["FunctionArn"],
            handler=document["Handler"],
            folder=self.code.folder(document["CodeSha256"]),
            runtime=self._runtime,
            scratch=self._root / "tmp",
            timeout=document["Timeout"],
            memory=document["MemorySize"],
            log_group=self._log_group(document),
            variables={
                **self.aws.environment(),
                **((document.get("Environment") or {}).get("Variables") or {}),
            },
        )


def _json_text(raw: bytes) -> str:
    if not raw:
        return "{}"
    try:
        text = raw.decode()
        json.loads(text)
    except ValueError as error:
        raise AwsError(
            "InvalidRequestContentException",
            f"Could not parse request body into json: {error}",
            Type="User",
        ) from error
    return text


def _check_variables(variables: dict[str, str]) -> None:
    reserved = [name for name in variables if _RESERVED.fullmatch(name)]
    if reserved:
        raise _invalid(
            "Lambda was unable to configure your environment variables because the environment"
            " variables you have provided contains reserved keys that are currently not supported"
            f" for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    for name in variables:
        if not _VARIABLE.fullmatch(name):
            raise _invalid(f"{name} is no name for an environment variable.")
    if sum(len(name) + len(value) for name, value in variables.items()) > 4096:
        raise _invalid(
            "Lambda was unable to configure your environment variables because the environment"
            " variables you have provided exceeded the 4KB limit."
        )
