"""
# campaign_days

Joins what the stores sold with what the web shop's campaigns brought, day by day, whenever both of
these pipelines have published.

**What it does.** It has no time of its own: it starts when `sales_nightly` and
`clickstream_nightly` have both published since it ran last. It builds `sales_schema.campaign_days`
anew from the warehouse's `wide_vendas` and `conversions`, in one transaction, and then checks that
no sale and no conversion is missing.

**What a re-run does.** The same, from what the warehouse has then. Clear `build_campaign_days`.

**When it fails.** The alarm names the task and the reason.

- `build_campaign_days`: Redshift's error is in the task's log; the table is as it was before.
- `audit_campaign_days`: the check that is named differs. The table is built already: look at it,
  and clear `build_campaign_days` when the cause is mended.
"""

from __future__ import annotations

from airflow.providers.amazon.aws.operators.redshift_data import RedshiftDataOperator
from airflow.sdk import DAG, task

from madrugada import defaults
from madrugada.assets import PUBLISHED_CLICKSTREAM, PUBLISHED_SALES
from madrugada.notifications import alarm_of_the_silent
from madrugada.settings import settings

AWS = settings()

with DAG(
    dag_id="campaign_days",
    description="Stores' sales beside the web shop's conversions, by day and campaign",
    doc_md=__doc__,
    schedule=PUBLISHED_SALES & PUBLISHED_CLICKSTREAM,
    catchup=False,
    max_active_runs=1,
    tags=["sales", "clickstream", "by assets"],
    default_args=defaults.default_args(),
    on_failure_callback=alarm_of_the_silent,
    template_searchpath=defaults.SQL_FOLDER,
) as dag:
    # A batch is one transaction: readers see the table of before or this one.
    build_campaign_days = RedshiftDataOperator(
        task_id="build_campaign_days",
        sql=[
            "redshift/campaign_days/create.sql",
            "redshift/campaign_days/clear.sql",
            "redshift/campaign_days/fill.sql",
        ],
        **AWS.redshift,
    )

    ask_redshift = RedshiftDataOperator(
        task_id="ask_redshift",
        sql="redshift/campaign_days/audit.sql",
        **AWS.redshift,
    )

    @task
    def audit_campaign_days(statements: list[str]) -> None:
        """Fail when a check of the table does not hold, naming each that differs."""
        from madrugada.audit import hold
        from madrugada.reconciliation import redshift_answer

        (statement,) = statements
        hold(redshift_answer("Redshift", statement).rows)

    build_campaign_days >> ask_redshift
    audit_campaign_days(ask_redshift.output)
