"""A layer's tables written, audited and published: the same three tasks in every DAG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from madrugada import defaults
from madrugada.audit import AthenaAuditOperator
from madrugada.costs import RUN_ARGUMENT
from madrugada.jobs import ReattachingGlueJobOperator
from madrugada.publishing import PublishTablesOperator
from madrugada.report import job_report
from madrugada.settings import settings
from madrugada.staging import candidate

MACROS = {"candidate": candidate, "job_report": job_report}
"""What the audits' templates call; the DAG must have them among its `user_defined_macros`."""

NAMES = ("build_{}", "audit_{}", "publish_{}")


@dataclass(frozen=True)
class Layer:
    """The three tasks, one after the other; nothing is published that its audit has not seen.

    Attributes:
        build: the Glue job that writes candidates aside; its output is their version.
        audit: the Athena query over those candidates.
        publish: readers see the candidates; its output is the published tables.
    """

    build: ReattachingGlueJobOperator
    audit: AthenaAuditOperator
    publish: PublishTablesOperator


def build_audit_publish(
    layer: str,
    *,
    job: str,
    arguments: Mapping[str, Any],
    query: str,
    params: Mapping[str, Any] | None = None,
    names: tuple[str, str, str] = NAMES,
    run: str = "{{ run_id }}",
) -> Layer:
    """The tasks that write a layer's tables aside, audit them there, and publish them.

    Args:
        layer: ``silver`` or ``gold``.
        job: the Glue job.
        arguments: its script arguments, but for the one that names the DAG run.
        query: the audit's SQL file; `params` are its own.
        names: the task ids, with a place for the layer.
        run: how the Glue run is known as this DAG run's; two tasks that run one job differ in it.
    """
    aws = settings()
    build_id, audit_id, publish_id = (name.format(layer) for name in names)
    build = ReattachingGlueJobOperator(
        task_id=build_id,
        job_name=job,
        script_args={**arguments, RUN_ARGUMENT: run},
        run_argument=RUN_ARGUMENT,
        stop_job_run_on_kill=True,
        verbose=True,
        pool=defaults.GLUE_POOL,
        # Glue ends a job that takes too long, and says so; stopped from here it would be no more
        # than stopped.
        execution_timeout=aws.glue_timeout + timedelta(minutes=10),
    )
    audit = AthenaAuditOperator(
        task_id=audit_id,
        query=query,
        params=dict(params or {}),
        workgroup=aws.athena_workgroup,
    )
    version: Any = build.output
    publish = PublishTablesOperator(
        task_id=publish_id,
        layer=layer,
        database=aws.database(layer),
        staging_database=aws.staging_database,
        version=version,
    )
    build >> audit >> publish
    return Layer(build, audit, publish)
