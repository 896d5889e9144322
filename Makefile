# Madrugada: `make` alone lists what it can do.
SHELL := /bin/bash
.DEFAULT_GOAL := help
-include .env
export

VENV := .venv
PY := $(VENV)/bin/python
ROWS ?= 1000
PIPELINE ?= sales
ENGINE ?= athena
FORMAT ?= table
FROM ?=
DATE ?=
START ?=
END ?=
Q ?=
LOG ?=
LAYER ?=
VERSION ?=
SEEDS ?= 50
FIRST ?= 1
KILLS ?= 1
COUNT ?=
RATE ?=
DOOR ?= kinesis
SOURCE ?= sample
DAYS ?= 90

.PHONY: help setup run test up stop clean clean-history deliver catalogue events nightly backfill rollback sql logs lint format lock docs dbt-docs test-engines test-pipelines test-nights test-crashes test-fuzz

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'

setup: ## install the locked packages into .venv
	@bash ops/setup.sh $(VENV)

run: setup ## stack up, sample delivered, night run, figures shown (ROWS=1000 PIPELINE=sales|clickstream|movies|all)
	@$(PY) -m ops.run --rows "$(ROWS)" --pipeline "$(PIPELINE)"

up: setup ## start the embedded AWS and Airflow (PORT=8080 AWS_PORT=4566)
	@$(PY) -m ops.stack up

stop: ## end every process that up or run started, and only those
	@if [ -x $(PY) ]; then $(PY) -m ops.stack stop; else echo "Nothing was running."; fi

clean: ## stop, and remove all tables, objects, logs and run history
	@if [ -x $(PY) ]; then $(PY) -m ops.stack clean; fi

clean-history: setup ## remove what Airflow keeps of runs that are older: rows and logs (DAYS=90)
	@$(PY) -m ops.history --days "$(DAYS)"

deliver: setup ## make a folder of CSV files a date's delivery: FROM=<folder> DATE=YYYY-MM-DD
	@$(PY) -m ops.deliver --from "$(FROM)" --date "$(DATE)"

catalogue: setup ## deliver a day's catalogue of films: DATE=YYYY-MM-DD (FROM=<folder> or ROWS=1000)
	@$(PY) -m ops.catalogue --from "$(FROM)" --date "$(DATE)" --rows "$(ROWS)"

events: setup ## send events: COUNT=1000 or FROM=<file.jsonl> (RATE=500 DOOR=kinesis|sqs SOURCE=sample|fake)
	@$(PY) -m ops.events --count "$(COUNT)" --from "$(FROM)" --rate "$(RATE)" --door "$(DOOR)" --source "$(SOURCE)"

nightly: setup ## run one night and wait, the exit code tells: DATE=YYYY-MM-DD (PIPELINE=sales)
	@$(PY) -m ops.nightly --dag "$(PIPELINE)_nightly" --date "$(DATE)"

backfill: setup ## run a range of nights again: START=YYYY-MM-DD END=YYYY-MM-DD (PIPELINE=sales)
	@$(PY) -m ops.nightly --dag "$(PIPELINE)_nightly" --start "$(START)" --end "$(END)"

rollback: setup ## sales' tables of a layer back to an earlier version: LAYER=gold VERSION=previous (none lists them)
	@$(PY) -m ops.rollback --layer "$(LAYER)" --version "$(VERSION)"

sql: setup ## ask: ENGINE=athena|redshift Q="select ..." (FORMAT=csv)
	@$(PY) -m ops.sql --engine "$(ENGINE)" --query "$$Q" --format "$(FORMAT)"

logs: setup ## the last lines of every process (LOG=scheduler follows one)
	@$(PY) -m ops.logs "$(LOG)"

test: setup ## the tests; slower ones are test-engines, -pipelines, -nights, -crashes and -fuzz
	@$(VENV)/bin/pytest -q -n 2 --dist loadfile

test-engines: setup ## the embedded AWS killed while it works, Spark's deaths, a whole dbt project (minutes)
	@$(VENV)/bin/pytest -q -n 2 --dist loadfile -m slow tests/local_aws tests/crashes/test_embedded_aws.py

test-pipelines: setup ## events to sessions and films to the star, whole, against plain Python (minutes)
	@$(VENV)/bin/pytest -q -n 2 --dist loadfile -m slow tests/include/clickstream tests/include/movies tests/include/test_events.py tests/plugins/lake

test-nights: setup ## nights at once, cleared, corrected, reprocessed, rolled back, late (20 minutes)
	@$(VENV)/bin/pytest -q -m slow tests/include tests/e2e --ignore tests/include/clickstream --ignore tests/include/movies --ignore tests/include/test_events.py

test-fuzz: setup ## 2,000 mangled files, 20 nights of jobs and 20 whole nights on such files (half an hour)
	@FUZZ_FILES=2000 FUZZ_NIGHTS=20 $(VENV)/bin/pytest tests/include/fuzz -q -n 2 --dist load -m "slow or not slow" -rP --show-capture=stdout
	@FUZZ_WHOLE_NIGHTS=20 $(VENV)/bin/pytest tests/e2e/test_mangled_nights.py -q -m slow -rP --show-capture=stdout

test-crashes: setup ## nights in which something is killed: SEEDS=50 FIRST=1 KILLS=1 (two minutes each)
	@CRASH_SEEDS=10 $(VENV)/bin/pytest -q -m "slow or not slow" tests/crashes
	@$(PY) -m tests.crashes --seeds "$(SEEDS)" --first "$(FIRST)" --kills "$(KILLS)"

lint: setup ## formatter, linter, types and template, in check mode
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/cfn-lint infra/template.yaml

format: setup ## format the code and fix what can be fixed
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

docs: setup ## write the generated documents anew
	@$(PY) -m ops.documents
	@$(PY) -m ops.dbt_graph

dbt-docs: setup ## dbt's documentation of the clickstream models, as one page
	@$(PY) -m ops.dbt_docs

lock: setup ## lock requirements.in into requirements.txt
	@$(VENV)/bin/uv pip compile requirements.in -o requirements.txt --python-version 3.11 --generate-hashes --no-header -q
	@echo "requirements.txt is locked; run make setup"
