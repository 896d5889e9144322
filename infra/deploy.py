"""Create or update everything that the pipelines run on.

    python -m infra.deploy --stack madrugada --parameters infra/parameters/local.json

The same on AWS and on the embedded AWS: AWS_ENDPOINT_URL, the credentials and the region come from
the environment. Applying it again changes nothing and is quick. The functions' archives must lie in
a bucket of the same stack, so that the first deployment of all applies the stack twice: without
the functions, and with them once their archives are uploaded.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)

from infra.artifacts import Artifact, contracts_artifact, glue_artifacts, lambda_artifact, upload
from infra.stack import DeploymentError, Stack

HERE = Path(__file__).resolve().parent
CODE_KEYS = {
    "ingest": "LambdaCodeKey",
    "close_day": "CloseDayCodeKey",
    "collect": "CollectCodeKey",
    "tmdb": "TmdbCodeKey",
}
"""Each function's parameter that names its archive."""


def read_parameters(path: Path) -> dict[str, str]:
    """The template's parameters from a JSON object of text values.

    Raises:
        DeploymentError: naming the file and what was expected.
    """
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        raise DeploymentError(f"there is no parameters file {path}") from None
    except ValueError as error:
        raise DeploymentError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise DeploymentError(f'{path}: expected an object of text values, {{"Prefix": "..."}}')
    if "Prefix" not in found:
        raise DeploymentError(f"{path}: the parameter Prefix is missing")
    for name in sorted(found.keys() & set(CODE_KEYS.values())):
        raise DeploymentError(f"{path}: {name} is found by the deployment; take it out")
    return found


def deploy(
    session: Any,
    stack_name: str,
    parameters: Mapping[str, str],
    template: str,
    tell: Callable[[str], None],
) -> dict[str, str]:
    """Bring the stack and its artifacts up to date; the stack's outputs by name.

    Raises:
        DeploymentError: with the reasons.
    """
    stack = Stack(session.client("cloudformation"), stack_name, tell)
    s3 = session.client("s3")
    bucket = f"{parameters['Prefix']}-artifacts"
    functions = {key: lambda_artifact(name) for name, key in CODE_KEYS.items()}
    artifacts: list[Artifact] = [*glue_artifacts(), contracts_artifact(), *functions.values()]
    if not _has_bucket(s3, bucket):
        tell(f"the bucket {bucket} is new: applying {stack_name} without the functions first")
        stack.apply(template, {**parameters, **dict.fromkeys(functions, "")})
    for key in upload(s3, bucket, artifacts):
        tell(f"uploaded s3://{bucket}/{key}")
    code = {parameter: archive.key for parameter, archive in functions.items()}
    if not stack.apply(template, {**parameters, **code}):
        tell(f"{stack_name} is up to date")
    current = stack.describe() or {}
    return {item["OutputKey"]: item["OutputValue"] for item in current.get("Outputs", [])}


def _has_bucket(s3: Any, bucket: str) -> bool:
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 403:
            raise DeploymentError(
                f"the bucket {bucket} belongs to somebody else: choose another Prefix"
            ) from error
        raise
    return True


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.deploy", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--stack", default="madrugada", help="the stack's name")
    parser.add_argument(
        "--parameters", type=Path, default=HERE / "parameters" / "local.json", metavar="FILE"
    )
    parser.add_argument("--template", type=Path, default=HERE / "template.yaml", metavar="FILE")
    options = parser.parse_args(argv)
    started = time.monotonic()
    try:
        parameters = read_parameters(options.parameters)
        template = options.template.read_text()
        outputs = deploy(boto3.Session(), options.stack, parameters, template, print)
    except EndpointConnectionError as error:
        return _fail(f"{error} Is it running, and is AWS_ENDPOINT_URL right?")
    except NoCredentialsError:
        return _fail("no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret")
    except NoRegionError:
        return _fail("no AWS region: set AWS_DEFAULT_REGION")
    except (DeploymentError, ClientError, BotoCoreError, OSError) as error:
        return _fail(str(error))
    for name, value in sorted(outputs.items()):
        print(f"{name:<24} {value}")
    print(f"deployed {options.stack} in {time.monotonic() - started:.1f} s")
    return 0


def _fail(message: str) -> int:
    print(f"deployment failed: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
