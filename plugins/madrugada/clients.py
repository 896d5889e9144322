"""AWS clients by Airflow's connection, each made once in a process.

A hook makes a session of its own: it asks Airflow for the connection and parses botocore's models.
A task that asks many things of several services would spend most of its time on that.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook


@cache
def client(service: str) -> Any:
    """The process's client of a service, by boto3's name of it, as `aws_default` says."""
    return AwsBaseHook(client_type=service).conn
