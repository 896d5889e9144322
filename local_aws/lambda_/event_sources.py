"""Event source mappings: queues whose messages Lambda takes to a function.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
"""

from __future__ import annotations

import threading
import uuid
from typing import Any

from local_aws import constraints
from local_aws.lambda_.environments import Outcome
from local_aws.lambda_.polling import Poller
from local_aws.service import AwsError, Request, Response, Service, Unsupported, operation

MAPPING = "lambda/mapping"
STOP_SECONDS = 5.0
_SETTINGS = {
    "BatchSize": "batch",
    "MaximumBatchingWindowInSeconds": "window",
    "FunctionResponseTypes": "responses",
    "ScalingConfig": "scaling",
    "Enabled": "enabled",
}


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message, Type="User")


class EventSourceOperations(Service):
    """Mappings from SQS queues, and the pollers of those that are enabled."""

    def setup_mappings(self) -> None:
        self._pollers: dict[str, Poller] = {}
        self._mapping = threading.RLock()

    def start_mappings(self) -> None:
        """Poll for the mappings that a restart found."""
        for _, mapping in self.aws.store.list(MAPPING):
            self._poll(mapping)

    def end_mappings(self) -> None:
        """Receive nothing more."""
        for poller in self._pollers.values():
            poller.end()

    def join_mappings(self) -> None:
        """Wait for the batches that were running; their environments end before."""
        for poller in self._pollers.values():
            poller.join(STOP_SECONDS)

    def run(
        self,
        name: str,
        payload: str,
        request_id: str,
        client_context: str | None = None,
        throttle: bool = True,
    ) -> Outcome:
        """Run a function now, and wait for its outcome."""
        raise NotImplementedError

    def function(self, reference: str) -> dict[str, Any]:
        """A function's document.

        Raises:
            AwsError: ResourceNotFoundException.
        """
        raise NotImplementedError

    @operation("EventSourceArn", "FunctionName", *_SETTINGS)
    def CreateEventSourceMapping(self, request: Request) -> Response:
        """Have a queue's messages invoke a function, in batches."""
        constraints.check("lambda", "CreateEventSourceMapping", request)
        source = request.get("EventSourceArn") or ""
        kind = source.split(":")[2] if source.count(":") >= 5 else source
        if kind != "sqs":
            raise Unsupported(
                f"event source mappings from {kind or 'no ARN'}",
                "Use an SQS queue; Firehose reads Kinesis data streams.",
            )
        function = self.function(request["FunctionName"])
        with self._mapping:
            for identity, other in self.aws.store.list(MAPPING):
                if (other["source"], other["function"]) == (source, function["FunctionName"]):
                    raise AwsError(
                        "ResourceConflictException",
                        f'An event source mapping with SQS arn (" {source} ") and function'
                        f' (" {function["FunctionName"]} ") already exists. Please update or'
                        f" delete the existing mapping with UUID {identity}",
                        Type="User",
                    )
            mapping = {
                "uuid": str(uuid.uuid4()),
                "source": source,
                "function": function["FunctionName"],
                "batch": 10,
                "window": 0,
                "responses": [],
                "scaling": None,
                "enabled": True,
                **_given(request),
            }
            self._check_mapping(mapping)
            self._keep(mapping)
        return self._described(mapping, "Creating")

    @operation("UUID", "FunctionName", *_SETTINGS)
    def UpdateEventSourceMapping(self, request: Request) -> Response:
        """Change a mapping; its pollers begin anew."""
        constraints.check("lambda", "UpdateEventSourceMapping", request)
        with self._mapping:
            mapping = self._found(request) | _given(request)
            if request.get("FunctionName"):
                mapping["function"] = self.function(request["FunctionName"])["FunctionName"]
            self._check_mapping(mapping)
            self._keep(mapping)
        return self._described(mapping, "Updating")

    @operation("UUID")
    def GetEventSourceMapping(self, request: Request) -> Response:
        """A mapping's settings and state."""
        return self._described(self._found(request))

    @operation("EventSourceArn", "FunctionName", "Marker", "MaxItems")
    def ListEventSourceMappings(self, request: Request) -> Response:
        """Mappings, of a queue or a function or all, 100 a page."""
        source, name = request.get("EventSourceArn"), request.get("FunctionName")
        if name:
            name = self.function(name)["FunctionName"]
        found = [
            mapping
            for _, mapping in self.aws.store.list(MAPPING, after=request.get("Marker") or "")
            if source in (None, mapping["source"]) and name in (None, mapping["function"])
        ]
        limit = min(request.get("MaxItems") or 100, 100)
        answer: Response = {
            "EventSourceMappings": [self._described(mapping) for mapping in found[:limit]]
        }
        if len(found) > limit:
            answer["NextMarker"] = found[limit - 1]["uuid"]
        return answer

    @operation("UUID")
    def DeleteEventSourceMapping(self, request: Request) -> Response:
        """Delete a mapping; a batch that runs is brought to its end."""
        with self._mapping:
            mapping = self._found(request)
            self.aws.store.delete(MAPPING, mapping["uuid"])
            poller = self._pollers.pop(mapping["uuid"], None)
        if poller:
            poller.end()
        return self._described(mapping, "Deleting")

    def _found(self, request: Request) -> dict[str, Any]:
        mapping = self.aws.store.get(MAPPING, request["UUID"])
        if mapping is None:
            raise AwsError(
                "ResourceNotFoundException",
                "The resource you requested does not exist.",
                Type="User",
            )
        return mapping

    def _check_mapping(self, mapping: dict[str, Any]) -> None:
        """
        Raises:
            AwsError: InvalidParameterValueException.
        """
        if mapping["batch"] > 10 and not mapping["window"]:
            raise _invalid(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is"
                " greater than 10"
            )
        queues = self._queues()
        try:
            queue = queues.queue(mapping["source"].rpartition(":")[2])
        except AwsError as error:
            raise _invalid(
                "Error occurred while ReceiveMessage. SQS Error Code:"
                " AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue"
                " does not exist."
            ) from error
        hidden = int(queues.attribute(queue, "VisibilityTimeout"))
        timeout = self.function(mapping["function"])["Timeout"]
        if hidden < timeout:
            raise _invalid(
                f"Queue visibility timeout: {hidden} seconds is less than Function timeout:"
                f" {timeout} seconds"
            )

    def _keep(self, mapping: dict[str, Any]) -> None:
        mapping["modified"] = self.aws.now()
        self.aws.store.put(MAPPING, mapping["uuid"], mapping)
        self._poll(mapping)

    def _poll(self, mapping: dict[str, Any]) -> None:
        with self._mapping:
            former = self._pollers.pop(mapping["uuid"], None)
            if former:
                former.end()
            if mapping["enabled"] and "sqs" in self.aws.services:
                poller = self._pollers[mapping["uuid"]] = Poller(self, self._queues(), mapping)
                poller.start()

    def _queues(self) -> Any:
        return self.aws.services["sqs"]

    def _described(self, mapping: dict[str, Any], state: str | None = None) -> Response:
        answer: Response = {
            "UUID": mapping["uuid"],
            "BatchSize": mapping["batch"],
            "MaximumBatchingWindowInSeconds": mapping["window"],
            "EventSourceArn": mapping["source"],
            "FunctionArn": self.aws.arn("lambda", f"function:{mapping['function']}"),
            "LastModified": mapping["modified"],
            "State": state or ("Enabled" if mapping["enabled"] else "Disabled"),
            "StateTransitionReason": "USER_INITIATED",
            "FunctionResponseTypes": mapping["responses"],
            "EventSourceMappingArn": self.aws.arn(
                "lambda", f"event-source-mapping:{mapping['uuid']}"
            ),
        }
        if mapping["scaling"]:
            answer["ScalingConfig"] = mapping["scaling"]
        return answer


def _given(request: Request) -> dict[str, Any]:
    return {
        key: request[member] for member, key in _SETTINGS.items() if request.get(member) is not None
    }
