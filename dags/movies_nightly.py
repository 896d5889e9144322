"""
# movies_nightly

Joins the films of a catalogue with those of TMDB's API into a small star, every night at 03:00 in
São Paulo.

**What it does.** The catalogue's two files are delivered to landing, and the `ingest` Lambda has
put them in bronze; the `tmdb` Lambda, which the night calls itself, asks the API for horror films
and writes the day's file. Both are read by their contracts into silver, where the views `tb_csv`
and `tb_json` have the horror films alone; what breaks a contract goes to
`madrugada_silver.movies_quarantine`. Gold is the star, `joined_df` and `aggregated_order_df`
(`docs/star.md`), for films whose titles are the same. Each layer is written aside, audited, and
then published as in `sales_nightly`; Athena and Spectrum are asked the same question at the end.

**What a re-run does.** The same. A day that was fetched from the API stays as it is, unless the
form says to ask again; TMDB tells of today alone, so a day that is past gets what it says now.

**When it fails.** The alarm names the task and the reason. A failed build or audit publishes
nothing of its layer; what was published before it stays. `report_stopped` says how far it came.

- `fetch_films`: the API refuses the key (put a valid one into the secret that the error names), or
  does not answer. What pages are there is kept: clear the task, and it goes on.
- `wait_for_catalogue`, `check_catalogue`: a file is missing, or is not as its contract says.
  Deliver the file that the error names, then clear both.
- `build_silver`: too much was quarantined, or a required column is gone. Read the job's log (it is
  in the task's log too), have the file delivered again, then clear.
- `audit_silver`, `audit_gold`: the check that is named differs. The candidate tables are still in
  `madrugada_staging`, to be queried.
- `publish_silver`, `publish_gold`: another night published meanwhile. Clear the `build_*` task.
- `take_turn`: another run has been building for very long; it is named in the log.
- `reconcile`: the engines differ; the error has the rows. Clear `ask_athena` and `ask_spectrum`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.operators.athena import AthenaOperator
from airflow.providers.amazon.aws.operators.redshift_data import RedshiftDataOperator
from airflow.providers.amazon.aws.operators.sns import SnsPublishOperator
from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.sdk import DAG, CronTriggerTimetable, Param, get_current_context, task

from madrugada import defaults
from madrugada.assets import PUBLISHED_MOVIES
from madrugada.deadline import delivery_deadline
from madrugada.delivery import CheckDeliveryOperator
from madrugada.layers import MACROS, build_audit_publish
from madrugada.movies import CATALOGUE, QUARANTINE, TMDB, TURN
from madrugada.notifications import alarm_of_the_silent
from madrugada.report import Used
from madrugada.settings import settings
from madrugada.stopped import report_stopped
from madrugada.turn import turn_at
from madrugada.warehouse import create_external_schema

AWS = settings()
USED = Used(
    jobs={"silver": AWS.movies_to_silver_job, "gold": AWS.movies_silver_to_gold_job},
    crawler=None,
    function=AWS.tmdb_function,
    calls_by_events=False,
    left_out="the function that took the catalogue in",
)

DATASETS = {CATALOGUE: ["movies", "series"], TMDB: ["tmdb_movies"]}
DELIVERED = ["movies", "series", "tmdb_movies"]
QUESTIONS = ["movies_totals"]
# Which check of gold's audit has a figure of the answers as silver and gold have it.
LAYERS = {
    "joined_df: rows": "joined_df: rows, joined on both ids",
    "joined_df: votes": "joined_df: votes",
}
DAY = "{{ ti.xcom_pull(task_ids='plan_night')['delivery_date'] }}"
BUCKETS = {"bronze_bucket": AWS.bucket("bronze"), "gold_bucket": AWS.bucket("gold")}
STATEMENT = timedelta(minutes=10)


with DAG(
    dag_id="movies_nightly",
    description="Films of a catalogue and of TMDB: bronze, silver, a star in gold",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 3 * * *", timezone=defaults.TIMEZONE),
    # No start_date: a new deployment waits for its next 03:00 instead of running the last one.
    catchup=False,
    # Nights wait for their files side by side; from then on they take turns.
    max_active_runs=4,
    deadline=delivery_deadline([CATALOGUE]),
    tags=["movies", "nightly"],
    default_args=defaults.default_args(),
    on_failure_callback=alarm_of_the_silent,
    template_searchpath=defaults.SQL_FOLDER,
    user_defined_macros=MACROS,
    params={
        "delivery_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Delivery date",
            description="Which delivery to run. Empty: the day on which the run is due.",
        ),
        "ask_again": Param(
            False,
            type="boolean",
            title="Ask TMDB again",
            description="Fetch the day's films anew, also when they have been fetched.",
        ),
    },
) as dag:

    @task
    def plan_night(params: dict[str, Any]) -> dict[str, Any]:
        """Say which delivery this is, of which datasets, and where its manifests will be."""
        from madrugada.night import plan

        dag_run = get_current_context()["dag_run"]
        return plan({**params, "sources": list(DATASETS)}, dag_run, DATASETS)

    night = plan_night()

    fetch_films = CheckDeliveryOperator(
        task_id="fetch_films",
        function_name=AWS.tmdb_function,
        payload=(
            "{{ {'delivery_date': ti.xcom_pull(task_ids='plan_night')['delivery_date'],"
            " 'again': params.ask_again} | tojson }}"
        ),
        verdicts=["DeliveryError"],
    )

    wait_for_catalogue = S3KeySensor(
        task_id="wait_for_catalogue",
        bucket_name=AWS.bucket("bronze"),
        bucket_key=f"_manifests/{CATALOGUE}/{DAY}.json",
        mode="reschedule",
        poke_interval=AWS.delivery_poke_seconds,
        # Its patience: this timeout is not tried again, while a task that vanished is.
        timeout=AWS.delivery_patience.total_seconds(),
    )

    # After a wait in vain too: it names the files that are missing or wrong.
    check_catalogue = CheckDeliveryOperator(
        task_id="check_catalogue",
        function_name=AWS.ingest_function,
        payload=f'{{"delivery_date": "{DAY}", "sources": ["{CATALOGUE}"]}}',
        verdicts=["DeliveryError"],
        trigger_rule="all_done",
    )

    take_turn, pass_turn = turn_at(TURN)

    # Tables of bronze, and gold's that would not be there before their first night.
    create_tables = AthenaOperator.partial(
        task_id="create_tables",
        workgroup=AWS.athena_workgroup,
        params=BUCKETS,
        execution_timeout=STATEMENT,
    ).expand(
        query=[
            *[f"athena/bronze/{dataset}.sql" for dataset in DELIVERED],
            "athena/schema/joined_df.sql",
            "athena/schema/aggregated_order_df.sql",
        ]
    )

    # What a crawler would find; these folders are not named as it wants them.
    add_day = AthenaOperator.partial(
        task_id="add_day",
        workgroup=AWS.athena_workgroup,
        params=BUCKETS,
        execution_timeout=STATEMENT,
    ).expand(query=[f"athena/bronze/{dataset}_day.sql" for dataset in DELIVERED])

    silver = build_audit_publish(
        "silver",
        job=AWS.movies_to_silver_job,
        arguments={"--delivery_date": night["delivery_date"], "--sources": night["sources"]},
        query="athena/audit/silver.sql",
        params={"quarantine": QUARANTINE},
    )

    # A view follows the table that it is of, whichever version is published.
    create_views = AthenaOperator.partial(
        task_id="create_views",
        workgroup=AWS.athena_workgroup,
        execution_timeout=STATEMENT,
    ).expand(query=["athena/schema/tb_csv.sql", "athena/schema/tb_json.sql"])

    gold = build_audit_publish(
        "gold",
        job=AWS.movies_silver_to_gold_job,
        arguments={"--delivery_date": night["delivery_date"], "--sources": night["sources"]},
        query="athena/audit/movies_gold.sql",
    )

    external_schema = create_external_schema("spectrum", "gold")

    ask_athena = AthenaOperator.partial(
        task_id="ask_athena",
        workgroup=AWS.athena_workgroup,
        execution_timeout=STATEMENT,
    ).expand(query=[f"athena/validation/{question}.sql" for question in QUESTIONS])

    ask_spectrum = RedshiftDataOperator(
        task_id="ask_spectrum",
        sql=[f"redshift/validation/{question}.sql" for question in QUESTIONS],
        params={"schema": "spectrum"},
        **AWS.redshift,
    )

    @task(outlets=[PUBLISHED_MOVIES])
    def reconcile(
        night: dict[str, Any],
        versions: dict[str, str],
        audits: dict[str, str],
        athena: list[str],
        spectrum: list[str],
    ) -> str:
        """Compare the engines' answers and the layers' counts, and write the night's report."""
        from madrugada.publishing import published_versions
        from madrugada.report import reconcile_night, this_run

        return reconcile_night(
            run=this_run(),
            night=night,
            versions=versions,
            used=USED,
            audits=audits,
            questions=QUESTIONS,
            answers={"Athena": list(athena), "Spectrum": spectrum},
            layers=LAYERS,
            published=published_versions("gold"),
        )

    report = reconcile(
        night,
        {"silver": silver.build.output, "gold": gold.build.output},
        {"silver": silver.audit.output, "gold": gold.audit.output},
        ask_athena.output,
        ask_spectrum.output,
    )

    send_report = SnsPublishOperator(
        task_id="send_report",
        target_arn=AWS.topic("reports"),
        subject=f"movies_nightly {DAY}",
        message=report,
    )

    # Skipped when all is well; else it says how far the night came, and why no further.
    report >> report_stopped(night, USED)

    # The night, from left to right; each layer is built, audited and published.
    night >> wait_for_catalogue >> check_catalogue >> take_turn
    night >> fetch_films >> take_turn
    take_turn >> silver.build
    silver.publish >> [create_views, gold.build]

    # Silver's audit counts in bronze's tables, gold's in silver's views.
    take_turn >> create_tables >> add_day >> silver.audit
    create_views >> gold.audit

    take_turn >> external_schema
    [gold.publish, external_schema] >> ask_spectrum
    gold.publish >> ask_athena
    [ask_athena, ask_spectrum] >> report >> send_report

    # Whatever is cleared between these two takes them along. A task that failed does not end those
    # beside it: the turn is kept until all that writes has ended.
    beside = [create_tables, add_day, create_views, external_schema]
    layers = [silver.build, silver.publish, gold.build, gold.publish]
    [*beside, *layers, report] >> pass_turn.as_teardown(setups=take_turn)
