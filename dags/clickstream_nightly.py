"""
# clickstream_nightly

Turns a day of the web shop's events into sessions and conversions in the warehouse, every night at
03:00 in São Paulo.

**What it does.** Events arrive in bronze all day, by Firehose and by the `collect` Lambda. The
night takes the day (in UTC) that was over last: the `close_day` Lambda lists its objects in a
manifest, and the events are read by their contract into silver, each once; what breaks the contract
goes to `madrugada_silver.clickstream_quarantine`. Silver is written aside, audited and published as
in `sales_nightly`. Then dbt builds sessions, conversions and the funnel in Redshift, from silver
where it lies (Spectrum), and Athena, Spectrum and the models are asked the same question.

**What a re-run does.** The same. Clear any task, or trigger a date with the form, in any order: an
event that came on several days is kept once, from the newest, and dbt builds anew the sessions of
every cookie of which something is new.

**When it fails.** The alarm names the task and the reason. A failed build or audit publishes
nothing of its layer; what was published before it stays. `report_stopped` says how far it came.

- `close_day`: the day has no object, or is not over; the error says which and until when. Look at
  the stream (`docs/runbook.md`), or trigger with *Take a day that is not over*.
- `build_silver`: too much was quarantined, or a required column is gone. Read the job's log (it is
  in the task's log too), then clear.
- `audit_silver`: the check that is named differs. The candidate tables are still in
  `madrugada_staging`, to be queried.
- `publish_silver`: another run published meanwhile. Clear `build_silver`.
- `take_turn`: another run has been building for very long; it is named in the log.
- `build_stg_events`, `build_sessions`, `build_conversions`, `build_funnel_by_day`: dbt's error, or
  the test that does not hold, is in the task's log. What is built from that model is as it was.
- `reconcile`: the engines differ; the error has the rows. Clear `build_sessions`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.operators.athena import AthenaOperator
from airflow.providers.amazon.aws.operators.redshift_data import RedshiftDataOperator
from airflow.providers.amazon.aws.operators.sns import SnsPublishOperator
from airflow.providers.standard.sensors.date_time import DateTimeSensor
from airflow.sdk import DAG, CronTriggerTimetable, Param, get_current_context, task

from madrugada import defaults
from madrugada.assets import PUBLISHED_CLICKSTREAM
from madrugada.clickstream import QUARANTINE, SOURCE, TURN
from madrugada.crawler import crawl
from madrugada.dbt import dbt_models
from madrugada.deadline import delivery_deadline
from madrugada.delivery import CheckDeliveryOperator
from madrugada.layers import MACROS, build_audit_publish
from madrugada.notifications import alarm_of_the_silent
from madrugada.report import Used
from madrugada.settings import settings
from madrugada.stopped import report_stopped
from madrugada.turn import turn_at
from madrugada.warehouse import create_external_schema

AWS = settings()
USED = Used(
    jobs={"silver": AWS.clickstream_to_silver_job},
    crawler=AWS.clickstream_crawler,
    function=AWS.close_day_function,
    calls_by_events=False,
    left_out="the stream, its delivery, the queue and its function",
)

DATASETS = ["events"]
QUESTIONS = ["clickstream_totals"]


with DAG(
    dag_id="clickstream_nightly",
    description="Web-shop events: bronze, silver, sessions and conversions in Redshift",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 3 * * *", timezone=defaults.TIMEZONE),
    # No start_date: a new deployment waits for its next 03:00 instead of running the last one.
    catchup=False,
    # Nights crawl side by side; from build_silver on they take turns.
    max_active_runs=4,
    deadline=delivery_deadline([SOURCE], streamed=True),
    tags=["clickstream", "nightly"],
    default_args=defaults.default_args(),
    on_failure_callback=alarm_of_the_silent,
    template_searchpath=defaults.SQL_FOLDER,
    user_defined_macros=MACROS,
    params={
        "delivery_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Day of arrival",
            description="Which day in UTC to run. Empty: the day before the run is due.",
        ),
        "take_open_day": Param(
            False,
            type="boolean",
            title="Take a day that is not over",
            description="Do not wait for the day to be over: take the events that are there.",
        ),
    },
) as dag:

    @task
    def plan_night(params: dict[str, Any]) -> dict[str, Any]:
        """Say which day this is, when it is over, and where its manifest will be."""
        from madrugada.night import plan_day

        return plan_day(params, get_current_context()["dag_run"], SOURCE, DATASETS)

    night = plan_night()

    wait_for_the_day = DateTimeSensor(
        task_id="wait_for_the_day",
        target_time="{{ ti.xcom_pull(task_ids='plan_night')['over_at'] }}",
        mode="reschedule",
        timeout=timedelta(hours=26).total_seconds(),
    )

    close_day = CheckDeliveryOperator(
        task_id="close_day",
        function_name=AWS.close_day_function,
        payload="{{ ti.xcom_pull(task_ids='plan_night')['delivery'] | tojson }}",
        verdicts=["DeliveryError"],
    )

    crawl_bronze = crawl(
        AWS.clickstream_crawler, task_id="crawl_bronze", pool=defaults.CRAWLER_POOL
    )

    take_turn, pass_turn = turn_at(TURN)

    silver = build_audit_publish(
        "silver",
        job=AWS.clickstream_to_silver_job,
        arguments={"--delivery_date": night["delivery_date"], "--sources": night["sources"]},
        query="athena/audit/silver.sql",
        params={"quarantine": QUARANTINE},
    )

    external_schema = create_external_schema("spectrum_silver", "silver")

    # Staging, sessions, conversions and the funnel: a task for each, with its tests.
    models = dbt_models("clickstream", group_id="models", pool=defaults.WAREHOUSE_POOL)

    ask_athena = AthenaOperator.partial(
        task_id="ask_athena",
        workgroup=AWS.athena_workgroup,
        execution_timeout=timedelta(minutes=10),
    ).expand(query=[f"athena/validation/{question}.sql" for question in QUESTIONS])

    ask_redshift = RedshiftDataOperator(
        task_id="ask_redshift",
        sql=[f"redshift/validation/{question}.sql" for question in QUESTIONS],
        **AWS.redshift,
    )

    ask_spectrum = RedshiftDataOperator(
        task_id="ask_spectrum",
        sql=[f"redshift/spectrum/{question}.sql" for question in QUESTIONS],
        **AWS.redshift,
    )

    @task(outlets=[PUBLISHED_CLICKSTREAM])
    def reconcile(
        night: dict[str, Any],
        versions: dict[str, str],
        audits: dict[str, str],
        athena: list[str],
        redshift: list[str],
        spectrum: list[str],
    ) -> str:
        """Compare the engines' answers and the layers' counts, and write the night's report."""
        from madrugada.report import reconcile_night, this_run

        return reconcile_night(
            run=this_run(),
            night=night,
            versions=versions,
            used=USED,
            audits=audits,
            questions=QUESTIONS,
            answers={"Athena": list(athena), "Redshift": redshift, "Spectrum": spectrum},
        )

    report = reconcile(
        night,
        {"silver": silver.build.output},
        {"silver": silver.audit.output},
        ask_athena.output,
        ask_redshift.output,
        ask_spectrum.output,
    )

    send_report = SnsPublishOperator(
        task_id="send_report",
        target_arn=AWS.topic("reports"),
        subject="clickstream_nightly {{ ti.xcom_pull(task_ids='plan_night')['delivery_date'] }}",
        message=report,
    )

    # Skipped when all is well; else it says how far the night came, and why no further.
    report >> report_stopped(night, USED)

    # The night, from left to right; each layer is built, audited and published.
    night >> wait_for_the_day >> close_day >> crawl_bronze >> take_turn
    take_turn >> [silver.build, external_schema]
    [silver.publish, external_schema] >> models
    models >> [ask_athena, ask_redshift, ask_spectrum]
    [ask_athena, ask_redshift, ask_spectrum] >> report >> send_report

    # Whatever is cleared between these two takes them along. A task that failed does not end those
    # beside it: the turn is kept until all that writes has ended.
    [external_schema, silver.publish, models, report] >> pass_turn.as_teardown(setups=take_turn)
