"""What holds for every test: an Airflow home of its own, and nothing of the machine's AWS.

Under ``pytest -n``, who runs what is decided here too: files stay whole, folders whose files share
something dear (a stack, a Spark session) stay whole, and what takes longest begins first, so that
no worker is left alone with it at the end.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent

# Airflow reads these when it is first imported. No test needs its database.
_HOME = tempfile.mkdtemp(prefix="madrugada-airflow-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ.update(
    AIRFLOW_HOME=_HOME,
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS="True",
)

# `make` exports what .env sets, and a developer's shell may point at a real account.
for _name in list(os.environ):
    if _name.startswith(("MADRUGADA_", "AWS_", "LOCAL_AWS_")) or _name in (
        "PORT",
        "AWS_PORT",
        "REDSHIFT_PORT",
        "TMDB_PORT",
    ):
        del os.environ[_name]
# A test's Spark lives for seconds: what its thorough compiler would gain costs more than it gives.
os.environ["JDK_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull

SHARING = ("tests/e2e/", "tests/include/")
"""Folders whose files share a fixture of the whole session that takes long to make."""

FIRST_NIGHT = "tests/e2e/test_sales_nightly.py"
"""Has figures of its own delivery; the other files there deliver newer ones on the same stack."""

LONGEST_FIRST = (
    FIRST_NIGHT, "tests/e2e/", "tests/local_aws/test_glue_jobs.py", "tests/include/"
)  # fmt: skip


class WholeFiles(LoadScopeScheduling):
    """Gives a worker a whole file at a time, or a whole folder of those that share."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return next((folder for folder in SHARING if file.startswith(folder)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> WholeFiles | None:
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # by the number of tests; the order below is by time
    return WholeFiles(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):
        # One process: the quick ones first, as they come.
        items.sort(
            key=lambda item: (
                item.nodeid.startswith("tests/e2e/"),
                not item.nodeid.startswith(FIRST_NIGHT),
            )
        )
        return

    def place(item: pytest.Item) -> int:
        for number, beginning in enumerate(LONGEST_FIRST):
            if item.nodeid.startswith(beginning):
                return number
        return len(LONGEST_FIRST)

    items.sort(key=place)
