"""The template: valid, named as the pipelines expect, complete, and nothing open to everybody."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import lint_file

from include.contracts.compile import load_contracts
from infra.stack import without_comments
from madrugada.settings import Settings, settings

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infra" / "template.yaml"


class _Loader(yaml.SafeLoader):
    """Functions become one-member maps: ``!Ref X`` is ``{"!Ref": "X"}``."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {f"!{suffix}": loader.construct_scalar(node)}
    assert isinstance(node, yaml.SequenceNode)
    return {f"!{suffix}": loader.construct_sequence(node, deep=True)}


_Loader.add_multi_constructor("!", _function)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return yaml.load(TEMPLATE.read_text(), Loader=_Loader)  # noqa: S506


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: item["Properties"]
        for name, item in template["Resources"].items()
        if item["Type"] == kind
    }


def statements(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement
    for name, policy in of_type(template, "AWS::IAM::ManagedPolicy").items():
        for statement in policy["PolicyDocument"]["Statement"]:
            yield name, statement


def test_cfn_lint_finds_nothing() -> None:
    assert [str(match) for match in lint_file(TEMPLATE)] == []


def test_it_fits_into_one_request() -> None:
    text = TEMPLATE.read_text()
    sent = without_comments(text)
    assert len(sent.encode()) <= 51_200
    assert yaml.load(sent, Loader=_Loader) == yaml.load(text, Loader=_Loader)  # noqa: S506


def test_buckets_are_private_and_encrypted(template: dict[str, Any]) -> None:
    buckets = of_type(template, "AWS::S3::Bucket")
    names = {bucket["BucketName"]["!Sub"] for bucket in buckets.values()}
    layers = ("landing", "bronze", "silver", "gold", "artifacts", "query-results")
    assert names == {f"${{Prefix}}-{layer}" for layer in layers}
    for name, bucket in buckets.items():
        assert all(bucket["PublicAccessBlockConfiguration"].values()), name
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4, name
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256", name
        assert template["Resources"][name]["DeletionPolicy"] == "RetainExceptOnCreate", name


def test_the_table_of_events_has_the_fields_of_their_contract(template: dict[str, Any]) -> None:
    (table,) = of_type(template, "AWS::Glue::Table").values()
    storage = table["TableInput"]["StorageDescriptor"]
    contract = load_contracts()["events"]
    fields = [column.header for column in contract.columns if column.header is not None]
    assert [column["Name"] for column in storage["Columns"]] == fields
    assert {column["Type"] for column in storage["Columns"]} == {"string"}
    assert storage["Location"]["!Sub"] == f"s3://${{BronzeBucket}}/{contract.source}/events/"


def test_spectrum_may_read_the_layers_that_have_external_schemas(
    template: dict[str, Any],
) -> None:
    (policy,) = template["Resources"]["RedshiftRole"]["Properties"]["Policies"]
    granted = json.dumps(policy["PolicyDocument"]["Statement"])
    for layer in ("silver", "gold"):
        for place in (f"${{Prefix}}-{layer}/*", f"${{Prefix}}-{layer}\"",
                      f"database/madrugada_{layer}", f"table/madrugada_{layer}/*"):  # fmt: skip
            assert place in granted, place
    assert "-bronze" not in granted


def test_names_are_those_of_the_pipelines(template: dict[str, Any]) -> None:
    def named(kind: str, member: str) -> set[str]:
        return {item[member] for item in of_type(template, kind).values()}

    databases = of_type(template, "AWS::Glue::Database").values()
    assert {item["DatabaseInput"]["Name"] for item in databases} == {
        f"madrugada_{layer}" for layer in ("bronze", "silver", "gold", "staging")
    }
    assert named("AWS::Glue::Crawler", "Name") == {
        "madrugada-bronze",
        "madrugada-clickstream",
    }
    assert named("AWS::Glue::Job", "Name") == {
        "madrugada-bronze-to-silver",
        "madrugada-clickstream-to-silver",
        "madrugada-sales-silver-to-gold",
        "madrugada-movies-to-silver",
        "madrugada-movies-silver-to-gold",
        "madrugada-compact-table",
    }
    assert named("AWS::Lambda::Function", "FunctionName") == {
        "madrugada-ingest",
        "madrugada-close-day",
        "madrugada-collect",
        "madrugada-tmdb",
    }
    assert named("AWS::Kinesis::Stream", "Name") == {"madrugada-clickstream"}
    assert named("AWS::KinesisFirehose::DeliveryStream", "DeliveryStreamName") == {
        "madrugada-clickstream"
    }
    assert named("AWS::SQS::Queue", "QueueName") == {
        "madrugada-messages",
        "madrugada-clickstream",
        "madrugada-clickstream-dead-letters",
    }
    assert named("AWS::SNS::Topic", "TopicName") == {"madrugada-reports", "madrugada-alarms"}
    assert named("AWS::Athena::WorkGroup", "Name") == {"madrugada"}
    assert named("AWS::RedshiftServerless::Namespace", "NamespaceName") == {"madrugada"}
    assert named("AWS::RedshiftServerless::Workgroup", "WorkgroupName") == {"madrugada"}
    roles = {item["RoleName"]["!Sub"] for item in of_type(template, "AWS::IAM::Role").values()}
    assert roles == {
        f"${{Prefix}}-{name}"
        for name in ("glue", "lambda", "redshift", "delivery", "collect", "close-day", "tmdb")
    }


def test_jobs_run_scripts_that_are_there(template: dict[str, Any]) -> None:
    for name, job in of_type(template, "AWS::Glue::Job").items():
        assert job["GlueVersion"] == "5.1", name
        location = job["Command"]["ScriptLocation"]["!Sub"]
        script = location.removeprefix("s3://${ArtifactsBucket}/")
        assert (ROOT / "include" / script).is_file(), f"{name}: {script}"
        library = job["DefaultArguments"]["--extra-py-files"]["!Sub"]
        package = library.removeprefix("s3://${ArtifactsBucket}/").removesuffix(".zip")
        assert (ROOT / "include" / package / "__init__.py").is_file(), f"{name}: {package}"


def test_jobs_have_every_argument_that_no_task_gives(template: dict[str, Any]) -> None:
    """The night gives delivery_date and, to the first job, sources; the maintenance the others."""
    given_by_tasks = {"delivery_date", "layer", "tables", "target_bytes"}
    for name, job in of_type(template, "AWS::Glue::Job").items():
        script = job["Command"]["ScriptLocation"]["!Sub"].rpartition("/")[2]
        source = (ROOT / "include" / "glue_scripts" / script).read_text()
        if "import GoldRun" in source:
            source = (ROOT / "include/glue_scripts/madrugada_spark/gold.py").read_text()
        block = re.search(r"^OPTIONS = \((.*?)\)", source, re.DOTALL | re.MULTILINE)
        assert block, script
        wanted = set(re.findall(r'"(\w+)"', block[1])) - given_by_tasks
        given = {key.removeprefix("--") for key in job["DefaultArguments"]}
        assert wanted <= given, name


def test_every_default_source_has_contracts(template: dict[str, Any]) -> None:
    from include.contracts.compile import compile_contracts

    contracts = compile_contracts()
    given = sorted(
        job["DefaultArguments"]["--sources"].split(",")
        for job in of_type(template, "AWS::Glue::Job").values()
        if "--sources" in job["DefaultArguments"]
    )
    movies = ["catalogue", *contracts["fetched"]]
    files = [source for source in contracts["sources"] if source not in movies]
    assert given == [movies, movies, list(contracts["streams"]), files, files]


def test_no_two_pipelines_write_one_quarantine(template: dict[str, Any]) -> None:
    given = [
        job["DefaultArguments"]["--quarantine"]
        for job in of_type(template, "AWS::Glue::Job").values()
        if "--quarantine" in job["DefaultArguments"]
    ]
    assert len(given) == len(set(given)) == 3


def test_no_policy_allows_everything(template: dict[str, Any]) -> None:
    found = list(statements(template))
    assert len(found) > 15
    for where, statement in found:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            assert "*" not in action, f"{where}: {action}"
        if statement["Resource"] == "*":
            open_to_all = ("ReadClassifiers", "WriteMetrics", "StatementsAndMetrics")
            assert statement["Sid"] in open_to_all, where


def test_parameter_files_fit_the_template(template: dict[str, Any]) -> None:
    files = sorted((ROOT / "infra" / "parameters").glob("*.json"))
    assert [path.name for path in files] == ["aws.example.json", "local.json"]
    for path in files:
        for name, value in json.loads(path.read_text()).items():
            declared = template["Parameters"][name]
            assert re.fullmatch(declared.get("AllowedPattern", ".*"), value), f"{path}: {name}"
            allowed = [str(item) for item in declared.get("AllowedValues", [value])]
            assert value in allowed, f"{path}: {name}"


def test_the_night_waits_for_a_day_as_long_as_the_template_says(template: dict[str, Any]) -> None:
    seconds = template["Parameters"]["SettleSeconds"]["Default"]
    assert Settings.__dataclass_fields__["stream_settles"].default == timedelta(seconds=seconds)
    settings.cache_clear()
    assert settings().stream_settles == timedelta(seconds=seconds)
