"""
# sales_rollback

Puts every published table of sales in silver or gold back to an earlier version, from the form of
this page; tables of the clickstream and of films stay.

**What it does.** Waits for its turn, so that no night publishes meanwhile. `plan_rollback` looks up
what was published when, and checks for every table of sales in the layer that the files of then are
still there; if those of one are not, nothing is changed. `repoint_tables` then points each table at
its version, one catalog call a table. After gold, the warehouse is loaded again and pruned, so that
it says the same as the lake. After silver nothing is loaded: gold follows with the next night, or
with a rollback of its own. `campaign_days` follows when both of its pipelines have published next,
or when it is triggered by hand.

*previous* is the state before the last one with other rows: the night before the last, or, after a
rollback, one further back. The next night builds on what is published then.

**What a re-run does.** The same: *previous* is worked out from when the run was started.

**When it fails.** Either all tables were repointed or it is enough to clear the task.

- `take_turn`: a night has been building for very long; it is named in the log.
- `plan_rollback`: the version was never published, or its files are gone; the tables are named, and
  nothing was changed. Choose another: `make rollback LAYER=gold` lists them.
- `repoint_tables`: something else was published since the plan. Look, and trigger it again.
- `load_warehouse`, `prune_warehouse`: the lake is rolled back and the warehouse not yet. Clear it.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.amazon.aws.hooks.glue_catalog import GlueCatalogHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import DAG, Param, get_current_context, task

from madrugada import defaults
from madrugada.notifications import alarm_of_the_silent
from madrugada.sales import SALES, TURN
from madrugada.settings import settings
from madrugada.turn import turn_at
from madrugada.warehouse import LOAD_MACROS

AWS = settings()

with DAG(
    dag_id="sales_rollback",
    description="Published tables of sales in silver or gold back to an earlier version",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["sales", "on demand"],
    default_args=defaults.default_args(),
    on_failure_callback=alarm_of_the_silent,
    template_searchpath=defaults.SQL_FOLDER,
    user_defined_macros=LOAD_MACROS,
    params={
        "layer": Param(
            "gold",
            type="string",
            enum=["silver", "gold"],
            title="Layer",
            description="Whose tables go back. The warehouse follows gold.",
        ),
        "version": Param(
            "previous",
            type="string",
            minLength=1,
            title="Version",
            description="A Glue job run id that was published, or previous.",
        ),
    },
) as dag:
    take_turn, pass_turn = turn_at(TURN, urgent=True)

    @task
    def plan_rollback(params: dict[str, Any]) -> dict[str, Any]:
        """Check every table of the layer, and say which version each will have."""
        from madrugada.contracts import deployed_contracts
        from madrugada.rollback import plan_rollback
        from madrugada.sales import tables

        return plan_rollback(
            GlueCatalogHook().conn,
            S3Hook().conn,
            AWS.database(params["layer"]),
            params["version"],
            tables=tables(params["layer"], deployed_contracts()["datasets"]),
            asked_at=get_current_context()["dag_run"].run_after,
        )

    @task
    def repoint_tables(plan: dict[str, Any], params: dict[str, Any]) -> list[dict[str, Any]]:
        """Point each table at its version; what the warehouse must load again."""
        from madrugada.rollback import repoint

        published = repoint(GlueCatalogHook().conn, AWS.database(params["layer"]), plan)
        return published if params["layer"] == "gold" else []

    planned = plan_rollback()
    repointed = repoint_tables(planned)
    load_warehouse = SALES.load(repointed)
    prune_warehouse = SALES.prune()

    take_turn >> planned
    # A load that failed does not end those beside it: the turn is kept until all have ended.
    load_warehouse >> prune_warehouse
    [load_warehouse, prune_warehouse] >> pass_turn.as_teardown(setups=take_turn)
