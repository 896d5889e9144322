"""What holds for every test: an Airflow home of its own, and nothing of the machine's AWS."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Airflow reads these when it is first imported. No test needs its database.
_HOME = tempfile.mkdtemp(prefix="madrugada-airflow-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ.update(
    AIRFLOW_HOME=_HOME,
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
)

# `make` exports what .env sets, and a developer's shell may point at a real account.
for _name in list(os.environ):
    if _name.startswith(("MADRUGADA_", "AWS_", "LOCAL_AWS_")) or _name in ("PORT", "AWS_PORT"):
        del os.environ[_name]
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
