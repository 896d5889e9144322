"""What a task's process need not do, because the scheduler that it was forked from has done it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ops.settings import ROOT

HOOK = """
import os
import sys
import airflow_local_settings

resolved = []
realpath = os.path.realpath
os.path.realpath = lambda path, **how: resolved.append(path) or realpath(path, **how)
imported = set(sys.modules)
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
print(len(set(sys.modules) - imported))
assert "Caller/" in S3Hook()._generate_user_agent_extra_field("")
print(len(resolved))
"""


def test_a_task_s_first_hook_imports_nothing_and_looks_for_no_module_s_file(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", HOOK, "scheduler"],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "ops" / "airflow"),
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    modules, files = map(int, found.stdout.split()[-2:])
    assert modules == 0
    assert files < 20
