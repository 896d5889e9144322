"""CloudFormation: templates as functions of their parameters, and stacks as clients see them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_aws.cloudformation.functions import Evaluator
from local_aws.cloudformation.template import parameter_values, parse
from local_aws.instance import Config
from local_aws.server import Server
from local_aws.service import AwsError

SERVICES = ["s3", "logs", "sqs", "lambda", "glue", "cloudformation"]
ROLE = """
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: !Sub "${AWS::StackName}-role"
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement:
          - Effect: Allow
            Principal: { Service: lambda.amazonaws.com }
            Action: sts:AssumeRole
"""


# Templates


def evaluate(expression: str, declarations: str = "", **parameters: str) -> Any:
    """An expression's value, in a template with these parameters and one bucket."""
    body = f"""
{declarations}
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      Value: {expression}
"""
    template = parse(body)
    values = Evaluator(
        template,
        parameter_values(template, parameters),
        {"AWS::Region": "us-east-1", "AWS::AccountId": "123456789012"},
        lambda name: f"ref-{name}",
        lambda name, attribute: f"{name}/{attribute}",
    )
    return values.resolve(template.resources["Bucket"].properties).get("Value", "left out")


PARAMETERS = """
Parameters:
  Name: { Type: String, Default: sales }
  Count: { Type: Number, Default: 2 }
  Zones: { Type: CommaDelimitedList, Default: "a,b,c" }
Mappings:
  Sizes:
    small: { workers: 2 }
Conditions:
  IsSales: !Equals [!Ref Name, sales]
  Many: !Not [!Equals [!Ref Count, "2"]]
  Both: !And [!Condition IsSales, !Condition Many]
  Either: !Or [!Condition IsSales, !Condition Many]
"""


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("!Ref Name", "sales"),
        ("!Ref Count", "2"),
        ("!Ref Zones", ["a", "b", "c"]),
        ("!Ref AWS::Region", "us-east-1"),
        ("!Ref AWS::NoValue", "left out"),
        ('!Sub "${Name}-${AWS::AccountId}-${!Kept}"', "sales-123456789012-${Kept}"),
        ('!Sub ["${a}/${Name}", {a: !Ref Count}]', "2/sales"),
        ("!Sub ${Bucket.Arn}", "Bucket/Arn"),
        ("!GetAtt Bucket.Nested.Arn", "Bucket/Nested.Arn"),
        ("{'Fn::GetAtt': [Bucket, Arn]}", "Bucket/Arn"),
        ('!Join ["-", [x, !Ref Name, 3]]', "x-sales-3"),
        ('!Select [1, !Split [",", "p,q,r"]]', "q"),
        ('!Select ["2", !Ref Zones]', "c"),
        ("!If [IsSales, 1, 2]", 1),
        ("!If [Many, 1, 2]", 2),
        ("!If [Both, 1, !Ref AWS::NoValue]", "left out"),
        ("!If [Either, yes it is, no]", "yes it is"),
        ("[1, !If [Many, 2, !Ref AWS::NoValue], 3]", [1, 3]),
        ("!FindInMap [Sizes, small, workers]", 2),
        ("!Base64 abc", "YWJj"),
        ("2012-10-17", "2012-10-17"),
    ],
)
def test_functions(expression: str, value: Any) -> None:
    assert evaluate(expression, PARAMETERS) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("!Ref Nothing", r"Unresolved resource dependencies \[Nothing\]"),
        ("!Sub ${Nothing.Arn}", r"Unresolved resource dependencies \[Nothing\]"),
        ("!If [Nothing, 1, 2]", "unresolved condition Nothing"),
        ('!Select [9, ["a"]]', "Fn::Select has a wrong argument"),
        ("!ImportValue x", "does not support the function Fn::ImportValue"),
        ("'{{resolve:ssm:name}}'", "does not support the dynamic reference"),
    ],
)
def test_wrong_expressions(expression: str, message: str) -> None:
    with pytest.raises(AwsError, match=message):
        evaluate(expression, PARAMETERS)


@pytest.mark.parametrize(
    ("declared", "value", "message"),
    [
        ("Type: Number", "x", "must be a number"),
        ("Type: Number, MinValue: 3", "2", "must be at least 3"),
        ("Type: Number, MaxValue: 3", "4", "must be at most 3"),
        ("Type: String, AllowedValues: [a, b]", "c", r"AllowedValues: \['a', 'b'\]"),
        ("Type: String, AllowedPattern: '[a-z]+'", "A", "must match pattern"),
        ("Type: String, MinLength: 2", "a", "at least 2 characters"),
        ("Type: String, AllowedPattern: x, ConstraintDescription: only x", "y", "only x"),
    ],
)
def test_parameters_are_checked(declared: str, value: str, message: str) -> None:
    with pytest.raises(AwsError, match=message):
        evaluate("!Ref P", f"Parameters: {{P: {{{declared}}}}}", P=value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("Resources: {}", "At least one Resources member"),
        ("- a", "unsupported structure"),
        ("Resources: {A: {Properties: {}}}", "must contain a Type member"),
        ("Resourcs: {}\nResources: {A: {Type: X}}", r"Invalid template property .*Resourcs"),
        ("Transform: X\nResources: {A: {Type: X}}", "does not support the section Transform"),
        ("Resources: {A: {Type: X, UpdatePolicy: {}}}", "UpdatePolicy of the resource A"),
        ("Resources: {A: {Type: X, DeletionPolicy: Snapshot}}", "DeletionPolicy Snapshot"),
        ("Resources: {A: &a {Type: X}, B: *a}", "YAML aliases are not allowed"),
        ("Resources: {A: {Type: X}, A: {Type: Y}}", "duplicate key A"),
        ("Resources: [", "YAML not well-formed"),
        ("Parameters: {P: {Type: 'AWS::EC2::VPC::Id'}}\nResources: {A: {Type: X}}",
         "the type AWS::EC2::VPC::Id of parameter P"),
        (f"Description: {'x' * 52_000}\nResources: {{A: {{Type: X}}}}", "less than or equal to"),
    ],
)  # fmt: skip
def test_templates_that_are_refused(body: str, message: str) -> None:
    with pytest.raises(AwsError, match=message):
        parse(body)


def test_resources_are_ordered_by_need_and_conditions() -> None:
    template = parse("""
Conditions:
  Never: !Equals [a, b]
Resources:
  First: {Type: X, Properties: {A: !Sub "${Second}"}}
  Second: {Type: X, DependsOn: [Third, Left], Properties: {B: !If [Never, !Ref Left, 1]}}
  Third: {Type: X}
  Left: {Type: X, Condition: Never}
""")
    values = Evaluator(template, {}, {}, str, lambda name, attribute: name)
    assert values.active() == ["Third", "Second", "First"]


def test_a_circle_is_refused() -> None:
    template = parse("""
Resources:
  A: {Type: X, Properties: {P: !Ref B}}
  B: {Type: X, DependsOn: A}
""")
    with pytest.raises(AwsError, match="Circular dependency between resources"):
        Evaluator(template, {}, {}, str, lambda name, attribute: name).active()


# Stacks


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws")), services=SERVICES) as running:
        yield running


@pytest.fixture(scope="module")
def stacks(client: Callable[[str], Any]) -> Any:
    return client("cloudformation")


def apply(
    stacks: Any, name: str, template: str, operation: str = "create_stack", **parameters: str
) -> dict[str, Any]:
    """The stack when it is done."""
    getattr(stacks, operation)(
        StackName=name,
        TemplateBody=template,
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    return stacks.describe_stacks(StackName=name)["Stacks"][0]


def update(stacks: Any, name: str, template: str, **parameters: str) -> dict[str, Any]:
    return apply(stacks, name, template, "update_stack", **parameters)


def statuses(stacks: Any, name: str) -> list[tuple[str, str]]:
    """Resource events, oldest first, without those in progress."""
    events = stacks.describe_stack_events(StackName=name)["StackEvents"]
    return [
        (event["LogicalResourceId"], event["ResourceStatus"])
        for event in reversed(events)
        if not event["ResourceStatus"].endswith("IN_PROGRESS")
    ]


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_stack_makes_what_its_template_says(stacks: Any, client: Callable[[str], Any]) -> None:
    template = f"""
Description: everything at once
Parameters:
  Days: {{ Type: Number, Default: 7 }}
  Secret: {{ Type: String, NoEcho: true, Default: hush }}
Resources:
  Landing:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: whole-landing
      BucketEncryption:
        ServerSideEncryptionConfiguration:
          - ServerSideEncryptionByDefault: {{ SSEAlgorithm: AES256 }}
      PublicAccessBlockConfiguration:
        {{ BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true,
          RestrictPublicBuckets: true }}
      NotificationConfiguration:
        LambdaConfigurations:
          - Event: s3:ObjectCreated:*
            Function: !Select [0, [!GetAtt Function.Arn, !Ref Permission]]
            Filter: {{ S3Key: {{ Rules: [{{ Name: prefix, Value: in/ }}] }} }}
{ROLE}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: whole-function
      Runtime: python3.11
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Timeout: "10"
      Code:
        ZipFile: |
          import boto3
          def handler(event, context):
              record = event["Records"][0]["s3"]
              boto3.client("s3").copy_object(
                  Bucket=record["bucket"]["name"], Key="out/copy",
                  CopySource={{"Bucket": record["bucket"]["name"], "Key": record["object"]["key"]}})
  Permission:
    Type: AWS::Lambda::Permission
    Properties:
      FunctionName: !Ref Function
      Action: lambda:InvokeFunction
      Principal: s3.amazonaws.com
      SourceArn: arn:aws:s3:::whole-landing
      SourceAccount: !Ref AWS::AccountId
  Log:
    Type: AWS::Logs::LogGroup
    Properties: {{ LogGroupName: /whole, RetentionInDays: !Ref Days }}
  Topic:
    Type: AWS::SNS::Topic
    Properties: {{ TopicName: whole-topic }}
  Queue:
    Type: AWS::SQS::Queue
    Properties: {{ QueueName: whole-queue, MessageRetentionPeriod: 3600 }}
  QueuePolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Queue]
      PolicyDocument:
        Version: 2012-10-17
        Statement:
          - Effect: Allow
            Principal: "*"
            Action: sqs:SendMessage
            Resource: !GetAtt Queue.Arn
  Subscription:
    Type: AWS::SNS::Subscription
    Properties: {{ TopicArn: !Ref Topic, Protocol: sqs, Endpoint: !GetAtt Queue.Arn }}
  Database:
    Type: AWS::Glue::Database
    Properties:
      CatalogId: !Ref AWS::AccountId
      DatabaseInput: {{ Name: whole_database }}
Outputs:
  Arn: {{ Value: !GetAtt Function.Arn, Description: the function }}
  Hush: {{ Value: !Ref Landing }}
"""
    stack = apply(stacks, "whole", template)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    outputs = {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}
    assert outputs == {
        "Arn": "arn:aws:lambda:us-east-1:123456789012:function:whole-function",
        "Hush": "whole-landing",
    }
    shown = {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}
    assert shown == {"Days": "7", "Secret": "****"}
    s3 = client("s3")
    s3.put_object(Bucket="whole-landing", Key="in/file", Body=b"delivered")
    s3.get_waiter("object_exists").wait(
        Bucket="whole-landing", Key="out/copy", WaiterConfig={"Delay": 1, "MaxAttempts": 10}
    )
    (group,) = client("logs").describe_log_groups(logGroupNamePrefix="/whole")["logGroups"]
    assert group["retentionInDays"] == 7
    client("sns").publish(TopicArn="arn:aws:sns:us-east-1:123456789012:whole-topic", Message="hi")
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName="whole-queue")["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"])["Message"] == "hi"
    assert client("glue").get_database(Name="whole_database")

    resources = stacks.list_stack_resources(StackName="whole")["StackResourceSummaries"]
    by_name = {item["LogicalResourceId"]: item for item in resources}
    assert by_name["Topic"]["PhysicalResourceId"].endswith(":whole-topic")
    assert {item["ResourceStatus"] for item in resources} == {"CREATE_COMPLETE"}
    for key in ("in/file", "out/copy"):
        s3.delete_object(Bucket="whole-landing", Key=key)
    stacks.delete_stack(StackName="whole")
    stacks.get_waiter("stack_delete_complete").wait(
        StackName="whole", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    assert error_of(s3.head_bucket, Bucket="whole-landing")[0] == "404"
    assert error_of(client("lambda").get_function, FunctionName="whole-function")[0] == (
        "ResourceNotFoundException"
    )


QUEUES = """
Parameters:
  Seconds: { Type: Number, Default: 30 }
  Name: { Type: String, Default: one }
  With: { Type: String, Default: "no" }
Conditions:
  More: !Equals [!Ref With, "yes"]
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "${AWS::StackName}-${Name}"
      VisibilityTimeout: !Ref Seconds
  Second:
    Type: AWS::SQS::Queue
    Condition: More
    Properties:
      QueueName: !Sub "${Queue.QueueName}-second"
"""


def queues(client: Callable[[str], Any], prefix: str) -> list[str]:
    urls = client("sqs").list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])
    return sorted(url.rpartition("/")[2] for url in urls)


def test_updates_change_replace_add_and_remove(stacks: Any, client: Callable[[str], Any]) -> None:
    assert apply(stacks, "moving", QUEUES)["StackStatus"] == "CREATE_COMPLETE"
    assert error_of(update, stacks=stacks, name="moving", template=QUEUES) == (
        "ValidationError",
        "No updates are to be performed.",
    )
    assert update(stacks, "moving", QUEUES, Seconds="45")["StackStatus"] == "UPDATE_COMPLETE"
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName="moving-one")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    assert attributes["Attributes"]["VisibilityTimeout"] == "45"
    update(stacks, "moving", QUEUES, Seconds="45", Name="two", With="yes")
    assert queues(client, "moving") == ["moving-two", "moving-two-second"]
    update(stacks, "moving", QUEUES, Seconds="45", Name="two")
    assert queues(client, "moving") == ["moving-two"]
    assert statuses(stacks, "moving") == [
        ("Queue", "CREATE_COMPLETE"),
        ("moving", "CREATE_COMPLETE"),
        ("Queue", "UPDATE_COMPLETE"),
        ("moving", "UPDATE_COMPLETE"),
        ("Queue", "UPDATE_COMPLETE"),
        ("Second", "CREATE_COMPLETE"),
        ("Queue", "DELETE_COMPLETE"),
        ("moving", "UPDATE_COMPLETE"),
        ("Second", "DELETE_COMPLETE"),
        ("moving", "UPDATE_COMPLETE"),
    ]


def test_a_failed_creation_is_rolled_back(stacks: Any, client: Callable[[str], Any]) -> None:
    template = """
Resources:
  Good: {Type: AWS::SQS::Queue, Properties: {QueueName: failing-good}}
  Bad:
    Type: AWS::Glue::Classifier
    DependsOn: Good
    Properties:
      CsvClassifier: {Name: x, Colour: red}
"""
    stack = apply(stacks, "failing", template)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "[Bad]" in stack["StackStatusReason"]
    assert "AWS::Glue::Classifier" in stack["StackStatusReason"]
    assert "unsupported property CsvClassifier.Colour" in stack["StackStatusReason"]
    assert queues(client, "failing") == []
    code, message = error_of(update, stacks=stacks, name="failing", template=QUEUES)
    assert code == "ValidationError"
    assert "ROLLBACK_COMPLETE state and can not be updated" in message


def test_a_failed_creation_can_be_left_standing(stacks: Any, client: Callable[[str], Any]) -> None:
    stacks.create_stack(
        StackName="standing",
        DisableRollback=True,
        TemplateBody="""
Resources:
  Good: {Type: AWS::SQS::Queue, Properties: {QueueName: standing-good}}
  Bad: {Type: AWS::SQS::Queue, DependsOn: Good, Properties: {Colour: red}}
""",
    )
    stack = stacks.describe_stacks(StackName="standing")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_FAILED"
    assert "does not support the property Colour of AWS::SQS::Queue" in stack["StackStatusReason"]
    assert queues(client, "standing") == ["standing-good"]


def test_a_failed_update_is_rolled_back(stacks: Any, client: Callable[[str], Any]) -> None:
    apply(stacks, "backing", QUEUES)
    broken = (
        QUEUES
        + """
  New: {Type: AWS::SNS::Topic, DependsOn: Queue, Properties: {TopicName: backing-new}}
  Bad: {Type: AWS::S3::Bucket, DependsOn: New, Properties: {BucketName: Not_A_Bucket_Name}}
"""
    )
    stack = update(stacks, "backing", broken, Seconds="99")
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "AWS::S3::Bucket Bad" in stack["StackStatusReason"]
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName="backing-one")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    assert attributes["Attributes"]["VisibilityTimeout"] == "30"
    topics = [item["TopicArn"] for item in client("sns").list_topics()["Topics"]]
    assert not [arn for arn in topics if arn.endswith("backing-new")]
    assert update(stacks, "backing", QUEUES, Name="two")["StackStatus"] == "UPDATE_COMPLETE"
    assert queues(client, "backing") == ["backing-two"]


def test_a_failed_replacement_leaves_the_old_one(stacks: Any, client: Callable[[str], Any]) -> None:
    apply(stacks, "swapped", QUEUES)
    broken = QUEUES + "  Bad: {Type: AWS::SNS::Topic, DependsOn: Queue, Properties: {No: 1}}\n"
    stack = update(stacks, "swapped", broken, Name="two")
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert queues(client, "swapped") == ["swapped-one"]


def test_what_is_refused_before_anything_is_made(stacks: Any) -> None:
    unknown = "Resources: {Machine: {Type: AWS::EC2::Instance}}"
    code, message = error_of(apply, stacks=stacks, name="no", template=unknown)
    assert code == "NotImplemented"
    assert "AWS::EC2::Instance" in message
    code, message = error_of(
        stacks.create_stack, StackName="no", TemplateBody=f"Resources:\n{ROLE}"
    )
    assert (code, message) == (
        "InsufficientCapabilitiesException",
        "Requires capabilities : [CAPABILITY_NAMED_IAM]",
    )
    code, message = error_of(apply, stacks=stacks, name="no", template=QUEUES, Colour="red")
    assert message == "Parameters: [Colour] do not exist in the template"
    code, message = error_of(stacks.describe_stacks, StackName="no")
    assert (code, message) == ("ValidationError", "Stack with id no does not exist")
    apply(stacks, "twice", QUEUES)
    assert error_of(apply, stacks=stacks, name="twice", template=QUEUES)[0] == (
        "AlreadyExistsException"
    )


NOTHING_OF = {
    "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Nothing}}}":
        "Template format error: Unresolved resource dependencies [Nothing] in the Resources block"
        " of the template",
    "Resources: {Q: {Type: AWS::SQS::Queue, DependsOn: [Other, Nothing]}}":
        "Template format error: Unresolved resource dependencies [Nothing, Other] in the Resources"
        " block of the template",
    "Resources: {Q: {Type: AWS::SQS::Queue}}\nOutputs: {O: {Value: !Ref Nothing}}":
        "Template format error: Unresolved resource dependencies [Nothing] in the Outputs block of"
        " the template",
    "Resources: {Q: {Type: AWS::SQS::Queue}}\nOutputs: {O: {Value: !Sub 'x-${Nothing}'}}":
        "Template format error: Unresolved resource dependencies [Nothing] in the Outputs block of"
        " the template",
    "Resources: {Q: {Type: AWS::SQS::Queue}}\nOutputs: {O: {Value: !GetAtt Nothing.Arn}}":
        "Template error: instance of Fn::GetAtt references undefined resource Nothing",
    "Resources: {Q: {Type: AWS::SQS::Queue}}\nOutputs: {O: {Value: !Sub '${Nothing.Arn}'}}":
        "Template error: instance of Fn::Sub references invalid resource attribute Nothing.Arn",
    "Conditions: {C: !Equals [a, b]}\n"
    "Resources: {Q: {Type: AWS::SQS::Queue,"
    " Properties: {QueueName: !If [C, !Sub '${Nothing}', q]}}}":
        "Template format error: Unresolved resource dependencies [Nothing] in the Resources block"
        " of the template",
    "Conditions: {C: !Equals [!Ref Q, b]}\nResources: {Q: {Type: AWS::SQS::Queue}}":
        "Template format error: Unresolved dependencies [Q]. Cannot reference resources in the"
        " Conditions block of the template",
}  # fmt: skip


@pytest.mark.parametrize(("template", "message"), NOTHING_OF.items())
def test_a_reference_to_nothing_is_refused_before_anything_is_made(
    stacks: Any, template: str, message: str
) -> None:
    wanted = ("ValidationError", message)
    assert error_of(stacks.validate_template, TemplateBody=template) == wanted
    assert error_of(apply, stacks=stacks, name="nothing", template=template) == wanted
    assert error_of(stacks.describe_stacks, StackName="nothing")[0] == "ValidationError"


def test_an_output_of_a_resource_whose_condition_fails_is_refused(stacks: Any) -> None:
    template = """
Conditions: {Never: !Equals [a, b]}
Resources:
  Made: {Type: AWS::SQS::Queue}
  Left: {Type: AWS::SQS::Queue, Condition: Never}
Outputs:
  Name: {Value: !GetAtt Left.QueueName}
"""
    stacks.validate_template(TemplateBody=template)
    assert error_of(apply, stacks=stacks, name="nothing", template=template) == (
        "ValidationError",
        "Template format error: Unresolved resource dependencies [Left] in the Outputs block of"
        " the template",
    )


@pytest.mark.parametrize("value", ["!GetAtt Made", "!GetAtt [Made]", "!Sub [1, 2, 3]"])
def test_a_function_without_its_arguments_is_refused(stacks: Any, value: str) -> None:
    template = f"Resources: {{Made: {{Type: AWS::SQS::Queue}}}}\nOutputs: {{O: {{Value: {value}}}}}"
    code, message = error_of(stacks.validate_template, TemplateBody=template)
    assert code == "ValidationError"
    assert message.startswith("Template error: ")


def test_deletion_policies(stacks: Any, client: Callable[[str], Any]) -> None:
    template = """
Resources:
  Kept:
    Type: AWS::S3::Bucket
    DeletionPolicy: RetainExceptOnCreate
    Properties: {BucketName: policies-kept}
  Gone: {Type: AWS::S3::Bucket, Properties: {BucketName: policies-gone}}
"""
    stack = apply(stacks, "policies", template)
    s3 = client("s3")
    s3.put_object(Bucket="policies-gone", Key="a", Body=b"")
    stacks.delete_stack(StackName="policies")
    stack = stacks.describe_stacks(StackName=stack["StackId"])["Stacks"][0]
    assert stack["StackStatus"] == "DELETE_FAILED"
    s3.delete_object(Bucket="policies-gone", Key="a")
    stacks.delete_stack(StackName="policies")
    stack = stacks.describe_stacks(StackName=stack["StackId"])["Stacks"][0]
    assert stack["StackStatus"] == "DELETE_COMPLETE"
    assert [b["Name"] for b in s3.list_buckets()["Buckets"] if "policies" in b["Name"]] == [
        "policies-kept"
    ]
    again = apply(stacks, "policies", template)
    assert again["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "the bucket policies-kept already exists" in again["StackStatusReason"]
    s3.head_bucket(Bucket="policies-kept")


def test_change_sets(stacks: Any, client: Callable[[str], Any]) -> None:
    """The calls of ``aws cloudformation deploy``."""
    fast = {"Delay": 1, "MaxAttempts": 20}

    def prepare(name: str, kind: str, **parameters: str) -> None:
        stacks.create_change_set(
            StackName="changing",
            ChangeSetName=name,
            ChangeSetType=kind,
            TemplateBody=QUEUES,
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
        )

    prepare("first", "CREATE")
    stacks.get_waiter("change_set_create_complete").wait(
        StackName="changing", ChangeSetName="first", WaiterConfig=fast
    )
    assert queues(client, "changing") == []
    stacks.execute_change_set(StackName="changing", ChangeSetName="first")
    stacks.get_waiter("stack_create_complete").wait(StackName="changing", WaiterConfig=fast)
    assert queues(client, "changing") == ["changing-one"]
    prepare("second", "UPDATE", Name="two", With="yes")
    answer = stacks.describe_change_set(StackName="changing", ChangeSetName="second")
    changes = [item["ResourceChange"] for item in answer["Changes"]]
    assert [(c["Action"], c["LogicalResourceId"], c.get("Replacement")) for c in changes] == [
        ("Modify", "Queue", "True"),
        ("Add", "Second", None),
    ]
    stacks.execute_change_set(StackName="changing", ChangeSetName="second")
    stacks.get_waiter("stack_update_complete").wait(StackName="changing", WaiterConfig=fast)
    prepare("third", "UPDATE", Name="two", With="yes")
    answer = stacks.describe_change_set(StackName="changing", ChangeSetName="third")
    assert answer["Status"] == "FAILED"
    assert "didn't contain changes" in answer["StatusReason"]
    stacks.delete_change_set(StackName="changing", ChangeSetName="third")
    assert error_of(stacks.describe_change_set, StackName="changing", ChangeSetName="third")[0] == (
        "ChangeSetNotFound"
    )


def test_templates_can_be_asked_about(stacks: Any) -> None:
    body = f"Description: d\nParameters: {{P: {{Type: String, Default: x}}}}\nResources:\n{ROLE}"
    answer = stacks.validate_template(TemplateBody=body)
    assert answer["Capabilities"] == ["CAPABILITY_NAMED_IAM"]
    assert answer["Parameters"] == [{"ParameterKey": "P", "DefaultValue": "x", "NoEcho": False}]
    summary = stacks.get_template_summary(TemplateBody=body)
    assert summary["ResourceTypes"] == ["AWS::IAM::Role"]
    apply(stacks, "asked", QUEUES)
    assert stacks.get_template(StackName="asked")["TemplateBody"] == QUEUES


SERVE = """
import sys, time
from pathlib import Path
from local_aws.instance import Config
from local_aws.server import Server
services = ["s3", "logs", "sqs", "lambda", "glue", "cloudformation"]
server = Server(Config(state=Path(sys.argv[1])), services=services)
server.start()
print(server.endpoint_url, flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_a_killed_server_finishes_its_stack(tmp_path: Path) -> None:
    """However far it came, and whatever it was making."""

    def serve() -> tuple[subprocess.Popen[str], Callable[[str], Any]]:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        assert process.stdout
        url = process.stdout.readline().strip()
        return process, lambda name: boto3.client(
            name,
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    names = [f"Log{n}" for n in range(60)]
    resources = "".join(
        f"  {name}: {{Type: AWS::Logs::LogGroup, Properties: {{LogGroupName: /killed/{name}}}}}\n"
        for name in names
    )
    template = f"Resources:\n{resources}"
    process, client = serve()
    try:
        client("cloudformation").create_stack(StackName="killed", TemplateBody=template)
        while not client("logs").describe_log_groups()["logGroups"]:
            time.sleep(0.01)
        (summary,) = client("cloudformation").list_stacks()["StackSummaries"]
        assert summary["StackStatus"] == "CREATE_IN_PROGRESS"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    process, client = serve()
    try:
        stack = client("cloudformation").describe_stacks(StackName="killed")["Stacks"][0]
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack.get("StackStatusReason")
        pages = client("logs").get_paginator("describe_log_groups").paginate()
        found = [group["logGroupName"] for page in pages for group in page["logGroups"]]
        assert found == sorted(f"/killed/{name}" for name in names)
        assert error_of(
            client("cloudformation").update_stack, StackName="killed", TemplateBody=template
        ) == ("ValidationError", "No updates are to be performed.")
    finally:
        process.terminate()
        process.wait()
