"""
# sales_reprocess

Runs a range of past nights of `sales_nightly` again, from the form of this page.

**What it does.** Looks up which dates of the range have a delivery in bronze, says in the log of
`say_what_will_happen` what it is going to do, and then runs those nights, two at a time at most;
they take turns where they write. With *Only say* it stops after saying. Use it when a contract or a
job has changed and old deliveries are to be read by the new one.

**What a re-run does.** The same again. Clear one `run_night` to run that night alone again.

**When it fails.** The nights that succeeded stay; the others are as if they had not been run.

- `say_what_will_happen`: the form has no range, or one that is backwards or too long, or no date
  of it has a complete delivery; nothing was run.
- `run_night`: the night of that date failed. Its run is linked in the task ("Triggered DAG"), its
  alarm names the reason. When that is mended, clear this task.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task

from madrugada import defaults
from madrugada.notifications import alarm_of_the_silent
from madrugada.reprocessing import RunNightOperator
from madrugada.sales import SOURCES

with DAG(
    dag_id="sales_reprocess",
    description="Run a range of past sales nights again",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["sales", "on demand"],
    default_args=defaults.default_args(),
    on_failure_callback=alarm_of_the_silent,
    params={
        "first_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="First delivery date",
            description="The first night to run again.",
        ),
        "last_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Last delivery date",
            description="The last one, included. Dates without a delivery are left out.",
        ),
        "only_say": Param(
            False,
            type="boolean",
            title="Only say",
            description="Write into the log what would be run, and run nothing.",
        ),
    },
) as dag:

    @task
    def say_what_will_happen(params: dict[str, Any]) -> list[dict[str, Any]]:
        """List the nights of the range, with what will be done about each."""
        from madrugada.reprocessing import plan_reprocessing

        return plan_reprocessing(params, SOURCES, get_current_context()["dag_run"].run_id)

    RunNightOperator.partial(
        task_id="run_night",
        map_index_template="{{ task.conf['delivery_date'] }}",
        trigger_dag_id="sales_nightly",
        logical_date=None,
        reset_dag_run=True,
        wait_for_completion=True,
        poke_interval=defaults.NIGHT_POKE_SECONDS,
        retries=1,
        execution_timeout=defaults.LONGEST_NIGHT,
        pool=defaults.REPROCESS_POOL,
    ).expand_kwargs(say_what_will_happen())
