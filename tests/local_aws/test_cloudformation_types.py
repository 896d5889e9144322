"""Each resource type: made, changed in place and deleted, as its own service tells it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.cloudformation.resources import RESOURCE_TYPES
from local_aws.instance import Config
from local_aws.server import Server

Client = Callable[[str], Any]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {
                "Service": [
                    "lambda.amazonaws.com",
                    "glue.amazonaws.com",
                    "firehose.amazonaws.com",
                ]
            },
            "Action": "sts:AssumeRole",
        }
    ],
}
ROLE = "arn:aws:iam::123456789012:role/types"


def policy(action: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@dataclass(frozen=True)
class Case:
    """A resource before and after an update, and what its service says of it then.

    ``read`` gives what is compared with ``first`` and ``second``; once the resource is deleted
    it must fail with ``gone``, an error code or ``ValueError``.
    """

    type: str
    before: dict[str, Any]
    after: dict[str, Any]
    read: Callable[[Client], Any]
    first: Any
    second: Any
    gone: str = ""
    needs: dict[str, Any] = field(default_factory=dict)


def _role(client: Client) -> Any:
    iam = client("iam")
    found = iam.get_role(RoleName="t-role")["Role"]
    policies = iam.list_role_policies(RoleName="t-role")["PolicyNames"]
    return found.get("Description"), found["MaxSessionDuration"], policies


def _managed(client: Client) -> Any:
    arn = "arn:aws:iam::123456789012:policy/t-policy"
    iam = client("iam")
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
    return document["Document"]["Statement"][0]["Action"]


def _bucket(client: Client) -> Any:
    s3 = client("s3")
    try:
        access = s3.get_public_access_block(Bucket="t-bucket")
        blocked = access["PublicAccessBlockConfiguration"]["BlockPublicAcls"]
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchPublicAccessBlockConfiguration":
            raise
        blocked = None
    tags = {t["Key"]: t["Value"] for t in s3.get_bucket_tagging(Bucket="t-bucket")["TagSet"]}
    return blocked, tags


def _topic(client: Client) -> Any:
    sns = client("sns")
    arn = "arn:aws:sns:us-east-1:123456789012:t-topic"
    tags = sns.list_tags_for_resource(ResourceArn=arn)["Tags"]
    return sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"], tags


def _queue(client: Client) -> Any:
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName="t-queue")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return attributes["DelaySeconds"], attributes["VisibilityTimeout"]


def _queue_policy(client: Client) -> Any:
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName="t-policed")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    return json.loads(found["Attributes"]["Policy"])["Statement"][0]["Action"]


def _topic_policy(client: Client) -> Any:
    attributes = client("sns").get_topic_attributes(
        TopicArn="arn:aws:sns:us-east-1:123456789012:t-policed"
    )["Attributes"]
    return json.loads(attributes["Policy"])["Statement"][0]["Action"]


def _subscription(client: Client) -> Any:
    sns = client("sns")
    (found,) = [
        item
        for item in sns.list_subscriptions()["Subscriptions"]
        if item["TopicArn"].endswith(":t-subscribed")
    ]
    arn = found["SubscriptionArn"]
    attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    return attributes.get("RawMessageDelivery")


def _function(client: Client) -> Any:
    functions = client("lambda")
    found = functions.get_function(FunctionName="t-function")
    configuration = found["Configuration"]
    answer = functions.invoke(FunctionName="t-function")["Payload"].read()
    variables = configuration.get("Environment", {}).get("Variables", {})
    return configuration["Timeout"], variables, found.get("Tags"), json.loads(answer)


def _permission(client: Client) -> Any:
    found = json.loads(client("lambda").get_policy(FunctionName="t-permitted")["Policy"])
    return [item["Principal"]["Service"] for item in found["Statement"]]


def _log_group(client: Client) -> Any:
    (found,) = client("logs").describe_log_groups(logGroupNamePrefix="/t/group")["logGroups"]
    return found.get("retentionInDays")


def _classifier(client: Client) -> Any:
    return client("glue").get_classifier(Name="t-classifier")["Classifier"]["CsvClassifier"][
        "Delimiter"
    ]


def _crawler(client: Client) -> Any:
    found = client("glue").get_crawler(Name="t-crawler")["Crawler"]
    return found.get("Description"), [t["Path"] for t in found["Targets"]["S3Targets"]]


def _table(client: Client) -> Any:
    found = client("glue").get_table(DatabaseName="t_tables", Name="t_table")["Table"]
    keys = [key["Name"] for key in found["PartitionKeys"]]
    serde = found["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"]
    return found.get("Description"), keys, serde


TABLE: dict[str, Any] = {
    "CatalogId": "123456789012",
    "DatabaseName": {"Ref": "Database"},
    "TableInput": {
        "Name": "t_table",
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": "day", "Type": "string"}],
        "StorageDescriptor": {
            "Columns": [{"Name": "a", "Type": "string"}],
            "Location": "s3://t/table/",
            "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
        },
    },
}


def _job(client: Client) -> Any:
    found = client("glue").get_job(JobName="t-job")["Job"]
    return found["Timeout"], found["DefaultArguments"], found["NumberOfWorkers"]


def _database(client: Client) -> Any:
    return client("glue").get_database(Name="t_database")["Database"].get("Description")


def _work_group(client: Client) -> Any:
    found = client("athena").get_work_group(WorkGroup="t-group")["WorkGroup"]
    configuration = found["Configuration"]
    location = configuration["ResultConfiguration"]["OutputLocation"]
    return found["State"], location, configuration.get("BytesScannedCutoffPerQuery")


def _namespace(client: Client) -> Any:
    redshift = client("redshift-serverless")
    return redshift.get_namespace(namespaceName="t-namespace")["namespace"]["iamRoles"]


def _workgroup(client: Client) -> Any:
    redshift = client("redshift-serverless")
    return redshift.get_workgroup(workgroupName="t-workgroup")["workgroup"]["baseCapacity"]


def _stream(client: Client) -> Any:
    kinesis = client("kinesis")
    found = kinesis.describe_stream_summary(StreamName="t-stream")["StreamDescriptionSummary"]
    tags = kinesis.list_tags_for_stream(StreamName="t-stream")["Tags"]
    return found["OpenShardCount"], found["RetentionPeriodHours"], tags


def _delivery_stream(client: Client) -> Any:
    described = client("firehose").describe_delivery_stream(DeliveryStreamName="t-delivery")
    stream = described["DeliveryStreamDescription"]
    destination = stream["Destinations"][0]["ExtendedS3DestinationDescription"]
    source = stream["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"]
    return (
        source.rpartition(":")[2],
        destination["CompressionFormat"],
        destination["BufferingHints"]["IntervalInSeconds"],
        destination["ProcessingConfiguration"]["Enabled"],
    )


def _mapping(client: Client) -> Any:
    (found,) = client("lambda").list_event_source_mappings(
        EventSourceArn="arn:aws:sqs:us-east-1:123456789012:t-mapped"
    )["EventSourceMappings"]
    return found["BatchSize"], found["State"], found["FunctionResponseTypes"]


def _secret(client: Client) -> Any:
    value = client("secretsmanager").get_secret_value(SecretId="t-secret")["SecretString"]
    document = json.loads(value)
    return sorted(document), document.get("user"), len(document.get("salt", ""))


def _unfilled(client: Client) -> Any:
    found = client("secretsmanager").describe_secret(SecretId="t-unfilled")
    return found["Description"], found.get("VersionIdsToStages", {})


QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "t-policed"}}
FUNCTION = {
    "FunctionName": "t-function",
    "Runtime": "python3.11",
    "Handler": "index.handler",
    "Role": ROLE,
    "MemorySize": 128,
    "Code": {"ZipFile": "def handler(event, context):\n    return 'one'\n"},
}
JOB = {
    "Name": "t-job",
    "Role": ROLE,
    "GlueVersion": "5.1",
    "WorkerType": "G.1X",
    "NumberOfWorkers": "2",
    "Timeout": 5,
    "Command": {"Name": "glueetl", "PythonVersion": 3, "ScriptLocation": "s3://t/job.py"},
    "DefaultArguments": {"--a": 1, "--b": "true"},
}
CASES = [
    Case(
        "AWS::IAM::Role",
        {
            "RoleName": "t-role",
            "AssumeRolePolicyDocument": TRUST,
            "Description": "one",
            "Policies": [
                {"PolicyName": "a", "PolicyDocument": policy("s3:GetObject")},
                {"PolicyName": "b", "PolicyDocument": policy("s3:GetObject")},
            ],
        },
        {
            "RoleName": "t-role",
            "AssumeRolePolicyDocument": TRUST,
            "Description": "two",
            "MaxSessionDuration": "7200",
            "Policies": [{"PolicyName": "c", "PolicyDocument": policy("s3:PutObject")}],
        },
        _role,
        ("one", 3600, ["a", "b"]),
        ("two", 7200, ["c"]),
        gone="NoSuchEntity",
    ),
    Case(
        "AWS::IAM::ManagedPolicy",
        {"ManagedPolicyName": "t-policy", "PolicyDocument": policy("s3:GetObject")},
        {"ManagedPolicyName": "t-policy", "PolicyDocument": policy("s3:PutObject")},
        _managed,
        "s3:GetObject",
        "s3:PutObject",
        gone="NoSuchEntity",
    ),
    Case(
        "AWS::S3::Bucket",
        {
            "BucketName": "t-bucket",
            "PublicAccessBlockConfiguration": {"BlockPublicAcls": "true"},
            "Tags": [{"Key": "a", "Value": "1"}],
        },
        {"BucketName": "t-bucket", "Tags": [{"Key": "b", "Value": "2"}]},
        _bucket,
        (True, {"a": "1"}),
        (None, {"b": "2"}),
        gone="NoSuchBucket",
    ),
    Case(
        "AWS::SNS::Topic",
        {
            "TopicName": "t-topic",
            "DisplayName": "one",
            "Tags": [{"Key": "a", "Value": "1"}],
        },
        {"TopicName": "t-topic", "DisplayName": "two", "Tags": [{"Key": "b", "Value": "2"}]},
        _topic,
        ("one", [{"Key": "a", "Value": "1"}]),
        ("two", [{"Key": "b", "Value": "2"}]),
        gone="ResourceNotFound",
    ),
    Case(
        "AWS::SNS::TopicPolicy",
        {"Topics": [{"Ref": "Topic"}], "PolicyDocument": policy("sns:Publish")},
        {"Topics": [{"Ref": "Topic"}], "PolicyDocument": policy("sns:Subscribe")},
        _topic_policy,
        "sns:Publish",
        "sns:Subscribe",
        gone="NotFound",
        needs={"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "t-policed"}}},
    ),
    Case(
        "AWS::SNS::Subscription",
        {
            "TopicArn": {"Ref": "Topic"},
            "Protocol": "sqs",
            "Endpoint": {"Fn::GetAtt": ["Queue", "Arn"]},
            "RawMessageDelivery": True,
        },
        {
            "TopicArn": {"Ref": "Topic"},
            "Protocol": "sqs",
            "Endpoint": {"Fn::GetAtt": ["Queue", "Arn"]},
        },
        _subscription,
        "true",
        "false",
        gone="ValueError",
        needs={
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "t-subscribed"}},
            "Queue": QUEUE,
        },
    ),
    Case(
        "AWS::SQS::Queue",
        {"QueueName": "t-queue", "DelaySeconds": 5},
        {"QueueName": "t-queue", "VisibilityTimeout": "60"},
        _queue,
        ("5", "30"),
        ("0", "60"),
        gone="AWS.SimpleQueueService.NonExistentQueue",
    ),
    Case(
        "AWS::SQS::QueuePolicy",
        {"Queues": [{"Ref": "Queue"}], "PolicyDocument": policy("sqs:SendMessage")},
        {"Queues": [{"Ref": "Queue"}], "PolicyDocument": policy("sqs:ReceiveMessage")},
        _queue_policy,
        "sqs:SendMessage",
        "sqs:ReceiveMessage",
        gone="AWS.SimpleQueueService.NonExistentQueue",
        needs={"Queue": QUEUE},
    ),
    Case(
        "AWS::Lambda::Function",
        {**FUNCTION, "Timeout": "10", "Environment": {"Variables": {"AB": 1}}},
        {
            **FUNCTION,
            "Code": {"ZipFile": "def handler(event, context):\n    return 'two'\n"},
            "Tags": [{"Key": "a", "Value": "1"}],
        },
        _function,
        (10, {"AB": "1"}, None, "one"),
        (3, {}, {"a": "1"}, "two"),
        gone="ResourceNotFoundException",
    ),
    Case(
        "AWS::Lambda::Permission",
        {
            "FunctionName": {"Ref": "Function"},
            "Action": "lambda:InvokeFunction",
            "Principal": "s3.amazonaws.com",
        },
        {
            "FunctionName": {"Ref": "Function"},
            "Action": "lambda:InvokeFunction",
            "Principal": "sns.amazonaws.com",
        },
        _permission,
        ["s3.amazonaws.com"],
        ["sns.amazonaws.com"],
        gone="ResourceNotFoundException",
        needs={
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {**FUNCTION, "FunctionName": "t-permitted"},
            }
        },
    ),
    Case(
        "AWS::Lambda::EventSourceMapping",
        {
            "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
            "FunctionName": {"Ref": "Function"},
            "BatchSize": "5",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "Enabled": "false",
        },
        {
            "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
            "FunctionName": {"Fn::GetAtt": ["Function", "Arn"]},
        },
        _mapping,
        (5, "Disabled", ["ReportBatchItemFailures"]),
        (10, "Enabled", []),
        gone="ValueError",
        needs={
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "t-mapped"}},
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {**FUNCTION, "FunctionName": "t-mapped"},
            },
        },
    ),
    Case(
        "AWS::Kinesis::Stream",
        {"Name": "t-stream", "ShardCount": "2", "RetentionPeriodHours": 48},
        {"Name": "t-stream", "ShardCount": "2", "Tags": [{"Key": "a", "Value": "1"}]},
        _stream,
        (2, 48, []),
        (2, 24, [{"Key": "a", "Value": "1"}]),
        gone="ResourceNotFoundException",
    ),
    Case(
        "AWS::KinesisFirehose::DeliveryStream",
        {
            "DeliveryStreamName": "t-delivery",
            "DeliveryStreamType": "KinesisStreamAsSource",
            "KinesisStreamSourceConfiguration": {
                "KinesisStreamARN": {"Fn::GetAtt": ["Source", "Arn"]},
                "RoleARN": ROLE,
            },
            "ExtendedS3DestinationConfiguration": {
                "BucketARN": "arn:aws:s3:::t-results",
                "RoleARN": ROLE,
                "CompressionFormat": "GZIP",
                "BufferingHints": {"SizeInMBs": "1", "IntervalInSeconds": "60"},
                "ProcessingConfiguration": {
                    "Enabled": "true",
                    "Processors": [{"Type": "AppendDelimiterToRecord"}],
                },
            },
        },
        {
            "DeliveryStreamName": "t-delivery",
            "DeliveryStreamType": "KinesisStreamAsSource",
            "KinesisStreamSourceConfiguration": {
                "KinesisStreamARN": {"Fn::GetAtt": ["Source", "Arn"]},
                "RoleARN": ROLE,
            },
            "ExtendedS3DestinationConfiguration": {
                "BucketARN": "arn:aws:s3:::t-results",
                "RoleARN": ROLE,
            },
        },
        _delivery_stream,
        ("stream/t-source", "GZIP", 60, True),
        ("stream/t-source", "UNCOMPRESSED", 300, False),
        gone="ResourceNotFoundException",
        needs={"Source": {"Type": "AWS::Kinesis::Stream", "Properties": {"Name": "t-source"}}},
    ),
    Case(
        "AWS::SecretsManager::Secret",
        {
            "Name": "t-secret",
            "GenerateSecretString": {
                "SecretStringTemplate": '{"user": "u"}',
                "GenerateStringKey": "salt",
                "PasswordLength": "40",
            },
        },
        {"Name": "t-secret", "SecretString": '{"user": "v"}'},
        _secret,
        (["salt", "user"], "u", 40),
        (["user"], "v", 0),
        gone="ResourceNotFoundException",
    ),
    Case(
        "AWS::SecretsManager::Secret",
        {"Name": "t-unfilled", "Description": "one"},
        {"Name": "t-unfilled", "Description": "two"},
        _unfilled,
        ("one", {}),
        ("two", {}),
        gone="ResourceNotFoundException",
    ),
    Case(
        "AWS::Logs::LogGroup",
        {"LogGroupName": "/t/group", "RetentionInDays": "7"},
        {"LogGroupName": "/t/group"},
        _log_group,
        7,
        None,
        gone="ValueError",
    ),
    Case(
        "AWS::Glue::Database",
        {"CatalogId": "123456789012", "DatabaseInput": {"Name": "t_database"}},
        {
            "CatalogId": "123456789012",
            "DatabaseInput": {"Name": "t_database", "Description": "two"},
        },
        _database,
        None,
        "two",
        gone="EntityNotFoundException",
    ),
    Case(
        "AWS::Glue::Table",
        TABLE,
        {**TABLE, "TableInput": {**TABLE["TableInput"], "Description": "two"}},
        _table,
        (None, ["day"], "org.openx.data.jsonserde.JsonSerDe"),
        ("two", ["day"], "org.openx.data.jsonserde.JsonSerDe"),
        gone="EntityNotFoundException",
        needs={
            "Database": {
                "Type": "AWS::Glue::Database",
                "Properties": {
                    "CatalogId": "123456789012",
                    "DatabaseInput": {"Name": "t_tables"},
                },
            }
        },
    ),
    Case(
        "AWS::Glue::Classifier",
        {"CsvClassifier": {"Name": "t-classifier", "Delimiter": ";"}},
        {"CsvClassifier": {"Name": "t-classifier", "Delimiter": "|"}},
        _classifier,
        ";",
        "|",
        gone="EntityNotFoundException",
    ),
    Case(
        "AWS::Glue::Crawler",
        {
            "Name": "t-crawler",
            "Role": ROLE,
            "DatabaseName": {"Ref": "Database"},
            "Targets": {"S3Targets": [{"Path": "s3://t/one/"}]},
        },
        {
            "Name": "t-crawler",
            "Role": ROLE,
            "Description": "two",
            "DatabaseName": {"Ref": "Database"},
            "Targets": {"S3Targets": [{"Path": "s3://t/two/"}]},
        },
        _crawler,
        (None, ["s3://t/one/"]),
        ("two", ["s3://t/two/"]),
        gone="EntityNotFoundException",
        needs={
            "Database": {
                "Type": "AWS::Glue::Database",
                "Properties": {
                    "CatalogId": "123456789012",
                    "DatabaseInput": {"Name": "t_crawled"},
                },
            }
        },
    ),
    Case(
        "AWS::Glue::Job",
        JOB,
        {**JOB, "Timeout": "9", "NumberOfWorkers": 3, "DefaultArguments": {"--c": "x"}},
        _job,
        (5, {"--a": "1", "--b": "true"}, 2),
        (9, {"--c": "x"}, 3),
        gone="EntityNotFoundException",
    ),
    Case(
        "AWS::Athena::WorkGroup",
        {
            "Name": "t-group",
            "WorkGroupConfiguration": {
                "ResultConfiguration": {"OutputLocation": "s3://t-results/one/"},
                "BytesScannedCutoffPerQuery": "10000000",
            },
        },
        {
            "Name": "t-group",
            "State": "DISABLED",
            "WorkGroupConfiguration": {
                "ResultConfiguration": {"OutputLocation": "s3://t-results/two/"},
            },
        },
        _work_group,
        ("ENABLED", "s3://t-results/one/", 10_000_000),
        ("DISABLED", "s3://t-results/two/", None),
        gone="InvalidRequestException",
    ),
    Case(
        "AWS::RedshiftServerless::Namespace",
        {"NamespaceName": "t-namespace", "DbName": "dev", "ManageAdminPassword": "true"},
        {
            "NamespaceName": "t-namespace",
            "DbName": "dev",
            "ManageAdminPassword": "true",
            "IamRoles": [ROLE],
        },
        _namespace,
        [],
        [ROLE],
        gone="ResourceNotFoundException",
    ),
    Case(
        "AWS::RedshiftServerless::Workgroup",
        {"WorkgroupName": "t-workgroup", "NamespaceName": {"Ref": "Namespace"}, "BaseCapacity": 8},
        {
            "WorkgroupName": "t-workgroup",
            "NamespaceName": {"Ref": "Namespace"},
            "BaseCapacity": "16",
        },
        _workgroup,
        8,
        16,
        gone="ResourceNotFoundException",
        needs={
            "Namespace": {
                "Type": "AWS::RedshiftServerless::Namespace",
                "Properties": {"NamespaceName": "t-worked"},
            }
        },
    ),
]


def test_every_type_has_a_case() -> None:
    assert {case.type for case in CASES} == set(RESOURCE_TYPES)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws"))) as running:
        client = running.aws.client
        client("iam").create_role(RoleName="types", AssumeRolePolicyDocument=json.dumps(TRUST))
        client("s3").create_bucket(Bucket="t-results")
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.type)
def test_made_changed_and_deleted(case: Case, client: Client) -> None:
    stacks = client("cloudformation")
    name = case.type.replace("::", "-")

    def template(properties: dict[str, Any]) -> dict[str, Any]:
        tested = {"Type": case.type, "Properties": properties}
        return {
            "StackName": name,
            "TemplateBody": json.dumps({"Resources": {**case.needs, "Tested": tested}}),
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
        }

    def state(stack_name: str = name) -> tuple[str, str]:
        stack = stacks.describe_stacks(StackName=stack_name)["Stacks"][0]
        return stack["StackStatus"], stack.get("StackStatusReason", "")

    stack_id = stacks.create_stack(**template(case.before))["StackId"]
    assert state() == ("CREATE_COMPLETE", "")
    assert case.read(client) == case.first
    stacks.update_stack(**template(case.after))
    assert state() == ("UPDATE_COMPLETE", "")
    assert case.read(client) == case.second
    stacks.delete_stack(StackName=name)
    assert state(stack_id)[0] == "DELETE_COMPLETE"
    with pytest.raises((ClientError, ValueError)) as caught:
        case.read(client)
    error = caught.value
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else "ValueError"
    assert code == case.gone
