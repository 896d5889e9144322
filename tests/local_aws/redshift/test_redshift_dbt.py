"""dbt, with Redshift's adapter and driver, against the embedded Redshift: a whole small project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.instance import Config
from local_aws.server import Server
from tests.local_aws.redshift.conftest import Warehouse, make_client

PASSWORD = "Small-Hours-1"
SERVICES = ["s3", "glue", "logs", "redshift-data", "redshift-serverless"]
FILES = {
    "profiles.yml": """
        warehouse:
          target: dev
          outputs:
            dev:
              type: redshift
              host: "{{ env_var('REDSHIFT_HOST') }}"
              port: "{{ env_var('REDSHIFT_PORT') | as_number }}"
              user: "{{ env_var('REDSHIFT_USER') }}"
              password: "{{ env_var('REDSHIFT_PASSWORD') }}"
              sslmode: "{{ env_var('REDSHIFT_SSLMODE', 'prefer') }}"
              dbname: dev
              schema: shop
              threads: 4
        """,
    "dbt_project.yml": """
        name: shop
        profile: warehouse
        flags:
          send_anonymous_usage_stats: false
        models:
          +persist_docs: {relation: true, columns: true}
          +grants: {select: [reader]}
        seeds:
          shop: {countries: {+column_types: {rate: "decimal(6,2)"}}}
        """,
    "seeds/countries.csv": "code,name,rate,since,eu\nPT,Portugal,1.23,1986-01-01,true\n"
    "CH,Schweiz,0.90,,false\nES,it's Spain,1.21,1986-01-01,true\n",
    "models/orders.sql": """
        {{ config(materialized='view', bind=false) }}
        select id, country, amount, ordered_at from {{ source('landing', 'orders') }}
        """,
    "models/days.sql": """
        {{ config(materialized='incremental', unique_key='day', dist='day', sort=['day'],
                  incremental_strategy='delete+insert') }}
        select
            cast(ordered_at as date) as day,
            count(*) as orders,
            sum(amount * rate) as amount,
            listagg(distinct country, ',') within group (order by country) as countries
        from {{ ref('orders') }} join {{ ref('countries') }} on code = country
        {% if is_incremental() %}
        where ordered_at >= (select dateadd(day, -1, max(day)) from {{ this }})
        {% endif %}
        group by 1
        """,
    "models/latest.sql": """
        {{ config(materialized='incremental', unique_key='country',
                  incremental_strategy='merge') }}
        select country, max(ordered_at) as ordered_at, md5(country) as id
        from {{ ref('orders') }}
        group by country
        """,
    "models/running.sql": """
        {{ config(materialized='table', dist='even') }}
        select
            day,
            sum(orders) over (order by day rows between unbounded preceding and current row) as n,
            lag(day) over (order by day) as before
        from {{ ref('days') }}
        """,
    "models/last_day.sql": """
        {{ config(materialized='view') }}
        select max(day) as day, max(n) as n from {{ ref('running') }}
        """,
    "models/shop.yml": """
        sources:
          - name: landing
            schema: landing
            config:
              loaded_at_field: ordered_at
              freshness:
                error_after: {count: 36500, period: day}
            tables: [{name: orders}]
        models:
          - name: days
            description: "One row a day; it's \\"so\\""
            columns:
              - name: day
                description: The day, in $UTC$
                data_tests: [unique, not_null]
              - name: countries
                data_tests:
                  - accepted_values: {arguments: {values: ['CH', 'CH,PT', 'PT', 'ES']}}
          - name: latest
            columns:
              - name: country
                data_tests:
                  - relationships: {arguments: {to: ref('countries'), field: code}}
        unit_tests:
          - name: an_order_counts_on_its_day
            model: days
            overrides: {macros: {is_incremental: false}}
            given:
              - input: ref('orders')
                rows:
                  - {id: 1, country: PT, amount: 10.00, ordered_at: '2024-01-01 23:59:59'}
                  - {id: 2, country: CH, amount: 1.00, ordered_at: '2024-01-02 00:00:00'}
              - input: ref('countries')
                rows: [{code: PT, rate: 2.0}, {code: CH, rate: 0.5}]
            expect:
              rows:
                - {day: 2024-01-01, orders: 1, amount: 20.0, countries: PT}
                - {day: 2024-01-02, orders: 1, amount: 0.5, countries: CH}
        """,
}
RUNNER = """
import sys
from dbt.cli.main import dbtRunner
manifest = dbtRunner().invoke(["parse"]).result
for line in sys.stdin:
    result = dbtRunner(manifest=manifest).invoke(line.split())
    print(result.exception or "")
    print("==>", "well" if result.success else "failed", flush=True)
"""


class Dbt:
    """dbt's command line in one process, which starts and reads the project once."""

    def __init__(self, project: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUNNER],
            cwd=project,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, command: str) -> tuple[bool, str]:
        """Whether a command went well, and what it said."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        said = ""
        for line in self.process.stdout:
            if line.startswith("==> "):
                return line.split()[1] == "well", said
            said += line
        raise AssertionError(f"dbt ended: {said}")

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    config = Config(state=tmp_path / "aws", redshift_port=0)
    with Server(config, services=SERVICES) as running:
        yield running


@pytest.fixture
def dbt(server: Server, tmp_path: Path) -> Iterator[Dbt]:
    """dbt in a small project, whose profile takes the address from the environment."""
    api = make_client(server, "redshift-serverless")
    api.create_namespace(namespaceName="madrugada", adminUserPassword=PASSWORD)
    made = api.create_workgroup(workgroupName="madrugada", namespaceName="madrugada")
    endpoint = made["workgroup"]["endpoint"]
    project = tmp_path / "project"
    for name, content in FILES.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content).lstrip())
    environment = {
        **os.environ,
        "REDSHIFT_HOST": endpoint["address"],
        "REDSHIFT_PORT": str(endpoint["port"]),
        "REDSHIFT_USER": "admin",
        "REDSHIFT_PASSWORD": PASSWORD,
        "REDSHIFT_SSLMODE": "disable",
    }

    running = Dbt(project, environment)
    yield running
    running.end()


@pytest.mark.slow
def test_a_project_is_built_tested_and_documented(server: Server, dbt: Dbt, tmp_path: Path) -> None:
    warehouse = Warehouse(server)
    warehouse.ok("create schema landing")
    warehouse.ok(
        "create table landing.orders (id int, country char(2), amount decimal(12,2),"
        " ordered_at timestamp)"
    )
    warehouse.ok(
        "insert into landing.orders values (1, 'PT', 10, '2024-01-01 10:00'),"
        " (2, 'CH', 20, '2024-01-01 11:00'), (3, 'PT', 5, '2024-01-02 00:00')"
    )
    for command in ("build", "source freshness", "docs generate --no-compile"):
        well, said = dbt(command)
        assert well, said

    days = "select day, orders, amount, countries from shop.days order by day"
    assert warehouse.rows(days) == [
        ("2024-01-01", 2, "30.3000", "CH,PT"), ("2024-01-02", 1, "6.1500", "PT"),
    ]  # fmt: skip
    assert warehouse.rows("select * from shop.countries where code <> 'PT' order by code") == [
        ("CH", "Schweiz", "0.90", None, False), ("ES", "it's Spain", "1.21", "1986-01-01", True),
    ]  # fmt: skip
    assert warehouse.rows("select day, n from shop.last_day") == [("2024-01-02", "3")]
    catalog = json.loads((tmp_path / "project/target/catalog.json").read_text())
    nodes = {key.rpartition(".")[2]: node for key, node in catalog["nodes"].items()}
    assert set(nodes) == {"countries", "days", "last_day", "latest", "orders", "running"}
    assert nodes["days"]["metadata"]["comment"] == 'One row a day; it\'s "so"'
    assert nodes["days"]["columns"]["day"] == {
        "type": "date", "index": 1, "name": "day", "comment": "The day, in $UTC$",
    }  # fmt: skip
    assert nodes["days"]["stats"]["diststyle"]["value"] == "KEY(day)"
    assert nodes["orders"]["metadata"]["type"] == "LATE BINDING VIEW"
    assert nodes["orders"]["columns"]["amount"]["type"] == "numeric(12,2)"

    warehouse.ok("insert into landing.orders values (4, 'ES', 1, '2024-01-03 08:00'),"
                 " (5, 'PT', 1, '2024-01-02 08:00')")  # fmt: skip
    well, said = dbt("run --select days latest running last_day")
    assert well, said
    assert warehouse.rows(days) == [
        ("2024-01-01", 2, "30.3000", "CH,PT"), ("2024-01-02", 2, "7.3800", "PT"),
        ("2024-01-03", 1, "1.2100", "ES"),
    ]  # fmt: skip
    assert warehouse.rows("select country, ordered_at from shop.latest order by 1") == [
        ("CH", "2024-01-01 11:00:00"), ("ES", "2024-01-03 08:00:00"), ("PT", "2024-01-02 08:00:00"),
    ]  # fmt: skip
    assert warehouse.rows("select day, n from shop.last_day") == [("2024-01-03", "5")]
    left = "select table_name from svv_tables where table_schema = 'shop' order by 1"
    assert [name for (name,) in warehouse.rows(left)] == sorted(nodes)

    warehouse.ok("insert into landing.orders values (6, 'XX', 1, '2024-01-03 09:00')")
    well, said = dbt("build --select latest")
    assert not well
    assert "relationships_latest_country__code__ref_countries_" in said
