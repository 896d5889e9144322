"""The resource types that stacks may have, by their CloudFormation names."""

from __future__ import annotations

from local_aws.cloudformation.resources import (
    compute,
    identity,
    lake,
    messaging,
    secrets,
    storage,
    streaming,
    warehouse,
)
from local_aws.cloudformation.resources.base import ResourceType

RESOURCE_TYPES: dict[str, ResourceType] = {
    item.type: item()
    for item in (
        storage.Bucket,
        identity.Role,
        identity.ManagedPolicy,
        messaging.Topic,
        messaging.TopicPolicy,
        messaging.Subscription,
        messaging.Queue,
        messaging.QueuePolicy,
        compute.Function,
        compute.Permission,
        compute.LogGroup,
        streaming.Stream,
        streaming.DeliveryStream,
        streaming.EventSourceMapping,
        secrets.Secret,
        lake.Database,
        lake.Table,
        lake.Classifier,
        lake.Crawler,
        lake.Job,
        lake.WorkGroup,
        warehouse.Namespace,
        warehouse.Workgroup,
    )
}
