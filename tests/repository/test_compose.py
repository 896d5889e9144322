"""docker-compose.yaml against the compose specification and against the rest of the project.

No Docker engine is needed, and none is asked.
"""

from __future__ import annotations

import importlib.resources
import io
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
import yaml
from botocore.awsrequest import AWSResponse
from urllib3 import HTTPResponse

from local_aws.instance import Config
from ops import stack
from ops.settings import AIRFLOW_PORT, AWS_PORT, REDSHIFT_PORT, Settings
from tests.conftest import ROOT
from tests.repository.dotenv import EXAMPLE, read

AIRFLOW_SERVICES = {"init", "api-server", "scheduler", "dag-processor", "triggerer"}
ROOMS = {"dags", "plugins", "include", "infra", "local_aws"}

ELSEWHERE = {
    "AWS_ENDPOINT_URL": "the host is the service's name",
    "AIRFLOW_HOME": "a folder of the container",
    "AIRFLOW__CORE__DAGS_FOLDER": "a folder of the container",
    "AIRFLOW__CORE__PLUGINS_FOLDER": "a folder of the container",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "the host is the service's name",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "PostgreSQL instead of SQLite",
    "AIRFLOW__API__HOST": "the container's port is published by Compose",
    "AIRFLOW__API__BASE_URL": "the same address by the host's other name",
    "AIRFLOW__API__SECRET_KEY": "from .env instead of the state folder",
    "AIRFLOW__API_AUTH__JWT_SECRET": "from .env instead of the state folder",
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "the service's health check asks it",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": "a folder of the container",
    "AIRFLOW__COSMOS__CACHE_DIR": "a folder of the container",
    "AIRFLOW__COSMOS__DBT_DOCS_PROJECTS": "a folder of the container",
    "NO_PROXY": "the services' names too",
    "no_proxy": "the services' names too",
}
"""Variables of ops.settings whose value differs in containers, each with the reason."""

ADDED = {
    "AIRFLOW__CORE__FERNET_KEY": "one key for all containers, instead of one for each home",
}
"""Variables that only containers need, each with the reason."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yaml").read_text())


@pytest.fixture(scope="module")
def compose(document: dict[str, Any]) -> dict[str, Any]:
    """The file as Compose sees it with an .env made from the example and the secrets filled in."""
    values = {**read(EXAMPLE), **{name: f"{name.lower()}-value" for name in secrets()}}
    return interpolate(document, values)


def secrets() -> set[str]:
    return {name for name, value in read(EXAMPLE).items() if not value}


VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<text>[^}]*))?\}")


def interpolate(node: Any, values: dict[str, str]) -> Any:
    """https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md"""
    if isinstance(node, dict):
        return {key: interpolate(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolate(value, values) for value in node]
    if not isinstance(node, str):
        return node

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        found = values.get(match["name"], "")
        if found or match["how"] is None:
            return found
        if match["how"] == "?":
            raise KeyError(match["name"])
        return match["text"]

    return VARIABLE.sub(value, node)


def locked(package: str) -> str:
    found = re.findall(
        rf"^{re.escape(package)}==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE
    )
    assert len(found) == 1, package
    return found[0]


def test_it_follows_the_compose_specification(document: dict[str, Any]) -> None:
    schema = importlib.resources.files("check_jsonschema") / (
        "builtin_schemas/vendor/compose-spec.json"
    )
    jsonschema.validate(document, json.loads(schema.read_text()))
    broken = {**document, "services": {"x": {"image": "y", "port": ["1:1"]}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, json.loads(schema.read_text()))


def test_the_services_are_airflow_s_usual_ones_and_the_embedded_aws(
    compose: dict[str, Any],
) -> None:
    expected = AIRFLOW_SERVICES | {"aws", "postgres", "producer", "tmdb"}
    assert set(compose["services"]) == expected
    on_demand = {n for n, service in compose["services"].items() if service.get("profiles")}
    assert on_demand == {"producer"}


def test_airflow_s_parts_run_as_make_up_runs_them(compose: dict[str, Any]) -> None:
    for name, command in stack.AIRFLOW_PARTS.items():
        assert compose["services"][name]["command"].split() == ["airflow", *command[1:]]
    assert compose["services"]["api-server"]["command"] == "airflow api-server --apps all"


def test_one_image_of_the_locked_airflow(compose: dict[str, Any]) -> None:
    images = {n: s["image"] for n, s in compose["services"].items() if n != "postgres"}
    assert set(images.values()) == {f"madrugada:airflow-{locked('apache-airflow')}"}
    builders = {n for n, s in compose["services"].items() if "build" in s}
    assert builders == {"aws"}
    for name in images.keys() - builders:
        assert compose["services"][name]["pull_policy"] == "never", name
    build = compose["services"]["aws"]["build"]
    assert (ROOT / build["context"] / build["dockerfile"]).is_file()


def test_every_image_has_a_fixed_version(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        tag = service["image"].partition(":")[2]
        assert re.search(r"\d", tag), name


def test_the_image_has_the_project_s_python_and_lock() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (version,) = re.findall(r"^FROM python:(\d+\.\d+)-slim", dockerfile, re.MULTILINE)
    assert project["requires-python"].startswith(f">={version},")
    assert "COPY requirements.txt " in dockerfile
    assert "COPY docker/requirements.txt " in dockerfile
    assert "--require-hashes" in dockerfile
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {"*", "!requirements.txt", "!docker/requirements.txt"} <= set(ignored)


def test_the_dockerfile_finds_the_lock_s_uv() -> None:
    """The pattern of the Dockerfile, run on the lock as the build would run it."""
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    (command,) = re.findall(r"\$\((sed [^)]*\\\)[^)]*\\1/p' requirements.txt)\)", dockerfile)
    found = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == f"uv=={locked('uv')}"


def test_the_containers_own_lock_agrees_with_the_lock() -> None:
    def versions(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.MULTILINE))

    own = versions(ROOT / "docker" / "requirements.txt")
    asked = {
        line.strip()
        for line in (ROOT / "docker" / "requirements.in").read_text().splitlines()
        if line.strip() and not line.startswith("#")
    }
    assert asked <= own.keys()
    everything = versions(ROOT / "requirements.txt")
    assert {n: v for n, v in own.items() if everything.get(n, v) != v} == {}


def test_ports_are_those_of_the_settings_and_of_this_machine_alone(
    document: dict[str, Any],
) -> None:
    published = {
        name: service["ports"]
        for name, service in document["services"].items()
        if "ports" in service
    }
    assert published == {
        "api-server": [f"127.0.0.1:${{PORT:-{AIRFLOW_PORT}}}:{AIRFLOW_PORT}"],
        "aws": [
            f"127.0.0.1:${{AWS_PORT:-{AWS_PORT}}}:{AWS_PORT}",
            f"127.0.0.1:${{REDSHIFT_PORT:-{REDSHIFT_PORT}}}:{REDSHIFT_PORT}",
        ],
    }


def test_the_embedded_aws_listens_where_the_others_look_for_it(compose: dict[str, Any]) -> None:
    command = compose["services"]["aws"]["command"].split()
    assert command[:3] == ["python", "-m", "local_aws"]
    given = dict(zip(command[3::2], command[4::2], strict=True))
    assert given["--host"] == "0.0.0.0"  # noqa: S104
    assert given["--redshift-port"] == str(REDSHIFT_PORT)
    assert compose["services"]["aws"]["hostname"] == "aws"
    assert given["--region"] == Config(state=Path()).region
    state = [v for v in compose["services"]["aws"]["volumes"] if v.endswith(given["--state"])]
    assert state == [f"aws-state:{given['--state']}"]
    endpoint = compose["services"]["scheduler"]["environment"]["AWS_ENDPOINT_URL"]
    assert endpoint == f"http://aws:{given['--port']}"
    options = subprocess.run(
        [sys.executable, "-m", "local_aws", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert all(option in options for option in given)


def test_the_stand_in_of_tmdb_is_where_the_function_asks(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker" / "initialise.py").read_text()
    (url,) = re.findall(r'"(http://tmdb:\d+/3)"', text)
    service = compose["services"]["tmdb"]
    command = service["command"].split()
    assert command[:3] == ["python", "-m", "include.sample_data.tmdb_api"]
    assert command[3:] == ["--host", "0.0.0.0", "--port", url.rpartition(":")[2][:-2]]  # noqa: S104
    assert f'"{service["environment"]["TMDB_API_KEY"]}"' in text


def test_variables_are_those_of_make_up(compose: dict[str, Any], tmp_path: Path) -> None:
    settings = Settings(tmp_path, AIRFLOW_PORT, AWS_PORT, read(EXAMPLE)["MADRUGADA_PREFIX"])
    local = settings.airflow_environment()
    for name in AIRFLOW_SERVICES:
        environment = compose["services"][name]["environment"]
        assert environment.keys() == local.keys() | ADDED.keys(), name
        differing = {n for n, value in local.items() if environment[n] != value}
        assert differing == ELSEWHERE.keys(), name


def test_variables_are_quoted_where_yaml_would_read_them_otherwise(
    compose: dict[str, Any],
) -> None:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            assert isinstance(value, str), f"{name}: {variable}"


def test_the_connections_are_documents(compose: dict[str, Any]) -> None:
    for name, value in compose["services"]["scheduler"]["environment"].items():
        if name.startswith("AIRFLOW_CONN_"):
            assert json.loads(value)["conn_type"] == "aws"


def test_no_secret_is_in_the_file(document: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yaml").read_text()
    required = set(re.findall(r"\$\{(\w+):\?", text))
    assert required == secrets()
    for node in required:
        assert not re.search(rf"\$\{{{node}(:?-|\}})", text), f"{node} has a default, or none"
    for service in document["services"].values():
        for variable, value in service.get("environment", {}).items():
            if variable == "AWS_SECRET_ACCESS_KEY":  # the embedded AWS checks none
                assert value == "local"
            elif re.search("PASSWORD|SECRET_KEY|JWT|FERNET|SQL_ALCHEMY", variable):
                assert "${STACK_" in value, variable


def test_it_refuses_to_start_without_the_secrets(document: dict[str, Any]) -> None:
    with pytest.raises(KeyError, match="STACK_"):
        interpolate(document, read(EXAMPLE))


def test_the_rooms_are_mounted_where_airflow_looks(compose: dict[str, Any]) -> None:
    for name in AIRFLOW_SERVICES:
        service = compose["services"][name]
        mounted = dict(v.split(":")[:2] for v in service["volumes"] if v.startswith("./"))
        assert {f"./{room}" for room in ROOMS} <= mounted.keys(), name
        for source, target in mounted.items():
            assert (ROOT / source).is_dir(), source
            assert target == f"/opt/madrugada/{source.removeprefix('./')}"
        environment = service["environment"]
        assert environment["AIRFLOW__CORE__DAGS_FOLDER"] == mounted["./dags"]
        assert environment["AIRFLOW__CORE__PLUGINS_FOLDER"] == mounted["./plugins"]
        assert f"{environment['AIRFLOW_HOME']}/logs" in {
            v.split(":")[1] for v in service["volumes"] if v.startswith("airflow-logs:")
        }
    assert "WORKDIR /opt/madrugada" in (ROOT / "docker" / "Dockerfile").read_text()


def test_named_volumes_are_declared_and_used(compose: dict[str, Any]) -> None:
    used = {
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if not volume.startswith("./")
    }
    assert used == compose["volumes"].keys()
    made = re.search(r"mkdir -p (.*?) \\", (ROOT / "docker" / "Dockerfile").read_text())
    assert made
    for service in ("aws", "scheduler"):
        for volume in compose["services"][service]["volumes"]:
            if not volume.startswith("./"):
                assert volume.split(":")[1] in made[1].split(), volume


def test_each_service_waits_for_what_it_needs(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name in AIRFLOW_SERVICES - {"init"}:
        needs = {n: how["condition"] for n, how in services[name]["depends_on"].items()}
        assert needs["postgres"] == needs["aws"] == "service_healthy", name
        assert needs["init"] == "service_completed_successfully", name
    assert services["scheduler"]["depends_on"]["api-server"] == {"condition": "service_healthy"}
    assert services["init"]["restart"] == "no"
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} -> {other}"
            else:
                assert services[other]["restart"] == "no", f"{name} -> {other}"


def test_everything_that_stays_up_has_a_health_check(compose: dict[str, Any]) -> None:
    staying = {n for n, s in compose["services"].items() if s.get("restart") == "unless-stopped"}
    assert staying == (AIRFLOW_SERVICES - {"init"}) | {"aws", "postgres", "tmdb"}
    for name in staying:
        check = compose["services"][name]["healthcheck"]
        assert check["test"][0] == "CMD", name
        if check["test"][1] == "python":
            compile(check["test"][3], name, "exec")


def test_s3_addresses_need_no_name_but_the_service_s(compose: dict[str, Any]) -> None:
    """A client that put the bucket before the host would ask ``<bucket>.aws``."""
    environment = compose["services"]["scheduler"]["environment"]
    asked = []

    def note(request: Any, **_: Any) -> AWSResponse:
        asked.append(request.url)
        return AWSResponse(request.url, 200, {}, HTTPResponse(io.BytesIO(), preload_content=False))

    with pytest.MonkeyPatch.context() as patched:
        for name in ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID",
                     "AWS_SECRET_ACCESS_KEY"):  # fmt: skip
            patched.setenv(name, environment[name])
        client = boto3.Session().client("s3")
        client.meta.events.register("before-send.s3", note)
        client.head_bucket(Bucket="a-bucket")
    assert asked == ["http://aws:4566/a-bucket"]
