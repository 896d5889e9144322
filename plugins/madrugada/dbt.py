"""A dbt project's models as tasks of Airflow, each with its tests (astronomer-cosmos).

What tasks there are is read from the project's `graph.json`, which `make docs` writes from dbt's
manifest: no DAG file has to ask dbt. In the warehouse dbt speaks PostgreSQL's protocol, as whoever
the AWS credentials are: each task asks GetCredentials for a login of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk.log import mask_secret
from cosmos import (
    DbtTaskGroup,
    ExecutionConfig,
    ExecutionMode,
    InvocationMode,
    LoadMode,
    ProfileConfig,
    ProjectConfig,
    RenderConfig,
)
from cosmos.constants import TestBehavior, TestIndirectSelection

from madrugada.clients import client
from madrugada.settings import settings

PROJECTS = Path(__file__).resolve().parents[2] / "include" / "dbt"
LOGIN_SECONDS = 3600
"""The longest that GetCredentials gives a login for."""


def dbt_models(project: str, group_id: str, **defaults: Any) -> DbtTaskGroup:
    """A task for each model of a project in `include/dbt/`, which builds and then tests it.

    A test that fails fails its model's task, and what is built from it is not built.

    :param defaults: arguments of every task.
    """
    folder = PROJECTS / project
    config = ProjectConfig(
        dbt_project_path=folder, manifest_path=folder / "graph.json", install_dbt_deps=False
    )
    # A plain path: opening Airflow's own kind of path loads every plugin, at every parse.
    config.manifest_path = folder / "graph.json"
    return DbtTaskGroup(
        group_id=group_id,
        project_config=config,
        profile_config=ProfileConfig(
            profile_name=project,
            target_name="redshift",
            profiles_yml_filepath=folder / "profiles.yml",
        ),
        execution_config=ExecutionConfig(
            execution_mode=ExecutionMode.LOCAL,
            invocation_mode=InvocationMode.DBT_RUNNER,
            # A test of several models waits until all of them are built.
            test_indirect_selection=TestIndirectSelection.BUILDABLE,
        ),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            test_behavior=TestBehavior.BUILD,
            emit_datasets=False,
            normalize_task_id=lambda node: f"build_{node.name}",
        ),
        prefix_group_id=False,
        operator_args={
            "pre_execute": log_in,
            # Unit tests need no night: they are the test suite's.
            "dbt_cmd_flags": ["--exclude-resource-type", "unit_test"],
            **defaults,
        },
    )


def log_in(context: Any) -> None:
    """Put the warehouse's address and a login into this task's environment, for `profiles.yml`."""
    aws = settings()
    conn = client("redshift-serverless")
    endpoint = conn.get_workgroup(workgroupName=aws.redshift_workgroup)["workgroup"]["endpoint"]
    login = conn.get_credentials(
        workgroupName=aws.redshift_workgroup,
        dbName=aws.redshift_database,
        durationSeconds=LOGIN_SECONDS,
    )
    mask_secret(login["dbPassword"])
    os.environ.update(
        REDSHIFT_HOST=endpoint["address"],
        REDSHIFT_PORT=str(endpoint["port"]),
        REDSHIFT_USER=login["dbUser"],
        REDSHIFT_PASSWORD=login["dbPassword"],
        REDSHIFT_DATABASE=aws.redshift_database,
        REDSHIFT_SSLMODE=aws.redshift_sslmode,
    )
