"""
# sales_nightly

Carries one delivery of sales from bronze to the warehouse, every night at 03:00 in São Paulo.

**What it does.** Two sources deliver files: `orders` (one CSV) and `stores` (six CSVs). The
`ingest` Lambda has put them in bronze, unchanged, with a manifest. The night reads them by their
contracts into silver, sends what breaks a contract to `madrugada_silver.quarantine`, builds gold,
loads the warehouse, and asks Athena, Spectrum and Redshift the same questions. Each layer is
written aside, audited, and then published one table at a time, so a reader sees the last night or
this one, never half of one.

**What a re-run does.** The same. Clear any task, or trigger the date again with the form: the
result is the same tables. Silver keeps the newest delivery's row for each key, so running an old
night again does not bring old values back.

**When it fails.** The alarm names the task and the reason. A failed build or audit publishes
nothing of its layer; what was published before it stays. `report_stopped` says how far it came.

- `wait_for_delivery`, `check_delivery`: a file is missing, or is not as its contract says. Deliver
  the file that the error names, then clear both.
- `build_silver`: too much was quarantined, or a required column is gone. Read the job's log (it is
  in the task's log too), have the file delivered again, then clear.
- `audit_silver`, `audit_gold`: the check that is named differs. The candidate tables are still in
  `madrugada_staging`, to be queried.
- `publish_silver`, `publish_gold`: another night published meanwhile. Clear the `build_*` task.
- `take_turn`: another run has been building for very long; it is named in the log.
- `reconcile`: the engines differ; the error has the rows. Clear `load_warehouse`.
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
from madrugada.assets import PUBLISHED_SALES
from madrugada.crawler import crawl
from madrugada.deadline import delivery_deadline
from madrugada.delivery import CheckDeliveryOperator
from madrugada.layers import MACROS, build_audit_publish
from madrugada.notifications import alarm_of_the_silent
from madrugada.report import Used
from madrugada.sales import QUARANTINE, SALES, TURN
from madrugada.settings import settings
from madrugada.stopped import report_stopped
from madrugada.turn import turn_at
from madrugada.warehouse import LOAD_MACROS, create_external_schema

AWS = settings()
USED = Used(
    jobs={"silver": AWS.bronze_to_silver_job, "gold": AWS.sales_silver_to_gold_job},
    crawler=AWS.bronze_crawler,
    function=AWS.ingest_function,
)

DATASETS = {
    "orders": ["sales_data"],
    "stores": ["clientes", "lojas", "produtos", "vendas", "pagamentos", "promocao"],
}
QUESTIONS = ["rows_by_table", "total_by_product", "vendas_by_product", "vendas_by_month"]
# Which check of gold's audit has a figure of the answers as silver and gold have it.
LAYERS = {
    "processed_sales: rows": "processed_sales: rows",
    "wide_vendas: rows": "wide_vendas: rows",
    "total_by_product: total_value": "processed_sales: total value",
    "vendas_by_product: vendas": "wide_vendas: rows",
    "vendas_by_product: valor_total": "wide_vendas: total value",
    "vendas_by_month: vendas": "wide_vendas: rows",
    "vendas_by_month: valor_total": "wide_vendas: total value",
}


with DAG(
    dag_id="sales_nightly",
    description="Orders and store sales: bronze, silver, gold, Redshift",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 3 * * *", timezone=defaults.TIMEZONE),
    # No start_date: a new deployment waits for its next 03:00 instead of running the last one.
    catchup=False,
    # Nights wait for their files and crawl side by side; from build_silver on they take turns.
    max_active_runs=4,
    deadline=delivery_deadline(list(DATASETS)),
    tags=["sales", "nightly"],
    default_args=defaults.default_args(),
    on_failure_callback=alarm_of_the_silent,
    template_searchpath=defaults.SQL_FOLDER,
    user_defined_macros={**MACROS, **LOAD_MACROS},
    params={
        "delivery_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Delivery date",
            description="Which delivery to run. Empty: the day on which the run is due.",
        ),
        "sources": Param(
            list(DATASETS),
            type="array",
            items={"type": "string", "enum": list(DATASETS)},
            examples=list(DATASETS),
            minItems=1,
            title="Sources",
            description="Whose files to take in. Gold and the warehouse are always built whole.",
        ),
    },
) as dag:

    @task
    def plan_night(params: dict[str, Any]) -> dict[str, Any]:
        """Say which delivery this is, of which datasets, and where its manifests will be."""
        from madrugada.night import plan

        dag_run = get_current_context()["dag_run"]
        return plan(params, dag_run, DATASETS)

    night = plan_night()

    wait_for_delivery = S3KeySensor(
        task_id="wait_for_delivery",
        bucket_name=AWS.bucket("bronze"),
        bucket_key=night["manifest_keys"],
        mode="reschedule",
        poke_interval=AWS.delivery_poke_seconds,
        # Its patience: this timeout is not tried again, while a task that vanished is.
        timeout=AWS.delivery_patience.total_seconds(),
    )

    # After a wait in vain too: it names the files that are missing or wrong.
    check_delivery = CheckDeliveryOperator(
        task_id="check_delivery",
        function_name=AWS.ingest_function,
        payload="{{ ti.xcom_pull(task_ids='plan_night')['delivery'] | tojson }}",
        verdicts=["DeliveryError"],
        trigger_rule="all_done",
    )

    crawl_bronze = crawl(AWS.bronze_crawler, task_id="crawl_bronze", pool=defaults.CRAWLER_POOL)

    take_turn, pass_turn = turn_at(TURN)

    silver = build_audit_publish(
        "silver",
        job=AWS.bronze_to_silver_job,
        arguments={"--delivery_date": night["delivery_date"], "--sources": night["sources"]},
        query="athena/audit/silver.sql",
        params={"quarantine": QUARANTINE},
    )

    gold = build_audit_publish(
        "gold",
        job=AWS.sales_silver_to_gold_job,
        # Gold is always built whole, from whatever silver has of every source.
        arguments={"--delivery_date": night["delivery_date"], "--sources": ",".join(DATASETS)},
        query="athena/audit/gold.sql",
    )

    create_tables = RedshiftDataOperator(
        task_id="create_tables",
        sql=[
            "redshift/schema/create_schema.sql",
            *[f"redshift/schema/{table}.sql" for table in SALES.tables],
        ],
        **AWS.redshift,
    )

    external_schema = create_external_schema("spectrum", "gold")

    # Facts by key and marts whole; then what gold no longer has goes from the facts too.
    load_warehouse = SALES.load(gold.publish.output)
    prune_warehouse = SALES.prune()

    ask_athena = AthenaOperator.partial(
        task_id="ask_athena",
        workgroup=AWS.athena_workgroup,
        execution_timeout=timedelta(minutes=10),
    ).expand(query=[f"athena/validation/{question}.sql" for question in QUESTIONS])

    ask_redshift = RedshiftDataOperator(
        task_id="ask_redshift",
        sql=[f"redshift/validation/{question}.sql" for question in QUESTIONS],
        params={"schema": SALES.schema},
        **AWS.redshift,
    )

    ask_spectrum = RedshiftDataOperator(
        task_id="ask_spectrum",
        sql=[f"redshift/validation/{question}.sql" for question in QUESTIONS],
        params={"schema": "spectrum"},
        **AWS.redshift,
    )

    @task(outlets=[PUBLISHED_SALES])
    def reconcile(
        night: dict[str, Any],
        versions: dict[str, str],
        audits: dict[str, str],
        athena: list[str],
        redshift: list[str],
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
            answers={"Athena": list(athena), "Redshift": redshift, "Spectrum": spectrum},
            layers=LAYERS,
            published=published_versions("gold"),
        )

    report = reconcile(
        night,
        {"silver": silver.build.output, "gold": gold.build.output},
        {"silver": silver.audit.output, "gold": gold.audit.output},
        ask_athena.output,
        ask_redshift.output,
        ask_spectrum.output,
    )

    send_report = SnsPublishOperator(
        task_id="send_report",
        target_arn=AWS.topic("reports"),
        subject="sales_nightly {{ ti.xcom_pull(task_ids='plan_night')['delivery_date'] }}",
        message=report,
    )

    # Skipped when all is well; else it says how far the night came, and why no further.
    report >> report_stopped(night, USED)

    # The night, from left to right; each layer is built, audited and published.
    night >> wait_for_delivery >> check_delivery >> crawl_bronze >> take_turn
    take_turn >> silver.build
    silver.publish >> gold.build

    # The warehouse is made ready while the lake is built.
    take_turn >> [create_tables, external_schema]
    [gold.publish, create_tables] >> load_warehouse

    # All three are asked once all is loaded, and again when the load is cleared.
    [load_warehouse, external_schema] >> prune_warehouse
    prune_warehouse >> [ask_athena, ask_redshift, ask_spectrum]
    [ask_athena, ask_redshift, ask_spectrum] >> report >> send_report

    # Whatever is cleared between these two takes them along. A task that failed does not end those
    # beside it: the turn is kept until all that writes has ended.
    writers = [create_tables, external_schema, gold.publish, load_warehouse]
    [*writers, report] >> pass_turn.as_teardown(setups=take_turn)
