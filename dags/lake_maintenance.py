"""
# lake_maintenance

Tidies silver and gold, every Sunday at 13:00 in São Paulo, when no night is due.

**What it does.** Waits for its turn at every pipeline, so that no night publishes meanwhile.
`remove_unreferenced` deletes versions of tables that nothing points at any more: neither the
present one, nor one of the last few that were published before it (`MADRUGADA_KEEP_VERSIONS`), nor
one younger than the retention (`MADRUGADA_RETENTION_DAYS`), nor one that any table of the catalog
names. With them go old candidates, the jobs' reports and Glue's former definitions of the tables.
Its log says what, why and how much, before anything is deleted; with *Dry run* it stops there.

Then tables with files far from the target size, two or more small ones in one folder or a very
large one, are written anew by a Glue job, row for row, compared with what is published by Athena,
and published as a night's are: readers see the old files or the new ones.

**What a re-run does.** Finds less to do, or nothing.

**When it fails.** Nothing that is published has changed, and no night depends on it.

- `take_turn`: a night has been building for very long; it is named in the log.
- `remove_unreferenced`: AWS refused to delete something, which is named. Clear it; it plans anew.
- `find_uneven_silver`, `find_uneven_gold`: the catalog or a bucket cannot be read. Clear it.
- `compact_silver`, `compact_gold`: its log says why. What it wrote is deleted by a later run.
- `audit_compacted_silver`, `audit_compacted_gold`: rows differ. Publish nothing; call the owner.
- `publish_compacted_silver`, `publish_compacted_gold`: something else was published meanwhile.
  Trigger it again.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.amazon.aws.hooks.glue_catalog import GlueCatalogHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import DAG, CronTriggerTimetable, Param, task

from madrugada import clickstream, defaults, movies, sales
from madrugada.layers import MACROS, build_audit_publish
from madrugada.notifications import alarm_of_the_silent
from madrugada.settings import settings
from madrugada.turn import turn_at

AWS = settings()
LAYERS = ["silver", "gold"]

with DAG(
    dag_id="lake_maintenance",
    description="Old versions deleted, small files put together and large ones cut",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 13 * * 0", timezone=defaults.TIMEZONE),
    catchup=False,
    max_active_runs=1,
    tags=["maintenance", "weekly"],
    default_args=defaults.default_args(),
    on_failure_callback=alarm_of_the_silent,
    template_searchpath=defaults.SQL_FOLDER,
    user_defined_macros=MACROS,
    params={
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            description="Say in the logs what would be deleted and compacted, and do nothing.",
        ),
    },
) as dag:
    take_turn, pass_turn = turn_at(sales.TURN, clickstream.TURN, movies.TURN)

    @task
    def remove_unreferenced(params: dict[str, Any]) -> dict[str, int]:
        """Delete what no reader, no rollback and no night needs; how much it was."""
        from madrugada.retention import Layer, remove_unreferenced

        return remove_unreferenced(
            GlueCatalogHook().conn,
            S3Hook().conn,
            [Layer(name, AWS.bucket(name), AWS.database(name)) for name in LAYERS],
            AWS.staging_database,
            keep_versions=AWS.keep_versions,
            retention=AWS.retention,
            dry_run=params["dry_run"],
        )

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def find_uneven_files(layer: str, params: dict[str, Any]) -> str:
        """The layer's tables that are worth compacting, with commas; none skips the rest."""
        from madrugada.compaction import uneven_files

        found = uneven_files(
            GlueCatalogHook().conn, S3Hook().conn, AWS.database(layer), AWS.target_file_bytes
        )
        return "" if params["dry_run"] else ",".join(found)

    removed = remove_unreferenced()
    take_turn >> removed

    for layer in LAYERS:
        uneven = find_uneven_files.override(task_id=f"find_uneven_{layer}")(layer)

        compacted = build_audit_publish(
            layer,
            job=AWS.compact_table_job,
            arguments={
                "--layer": layer,
                "--tables": uneven,
                "--target_bytes": str(AWS.target_file_bytes),
            },
            query="athena/audit/compacted.sql",
            params={"layer": layer},
            names=("compact_{}", "audit_compacted_{}", "publish_compacted_{}"),
            # The layer too: it is the same job, and its other layer's run is not this task's.
            run=f"{{{{ run_id }}}} {layer}",
        )

        removed >> uneven >> compacted.build
        compacted.publish >> pass_turn

    pass_turn.as_teardown(setups=take_turn)
