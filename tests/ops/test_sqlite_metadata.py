"""Two that write to Airflow's SQLite at once: the second waits, whatever it has read before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ops.settings import ROOT

TWO_WRITERS = """
import sys, threading, time
from sqlalchemy import create_engine, text
{imported}
engine = create_engine("sqlite:///" + sys.argv[1] + "?timeout=20")
with engine.begin() as connection:
    connection.execute(text("create table run (id int)"))
reading = threading.Event()

def other():
    reading.wait()
    with engine.begin() as connection:
        connection.execute(text("insert into run values (1)"))

thread = threading.Thread(target=other)
thread.start()
with engine.connect() as connection, connection.begin():
    with connection.begin_nested():
        connection.execute(text("select count(*) from run")).scalar()
        reading.set()
        time.sleep(0.5)
        connection.execute(text("insert into run values (2)"))
thread.join()
with engine.connect() as connection:
    print(connection.execute(text("select group_concat(id) from run")).scalar())
    print(connection.execute(text("pragma journal_mode")).scalar())
"""


def run(folder: Path, imported: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", TWO_WRITERS.format(imported=imported), str(folder / "x.db")],
        env={"PYTHONPATH": str(ROOT / "ops" / "airflow")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_who_reads_before_it_writes_waits_too(tmp_path: Path) -> None:
    found = run(tmp_path, "import sqlite_metadata")
    assert found.stdout.split() == ["2,1", "wal"], found.stderr


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_without_it_somebody_is_refused(tmp_path: Path, journal: str) -> None:
    """What the module is for; when this no longer holds, the module can go."""
    import sqlite3

    with sqlite3.connect(tmp_path / "x.db") as made:
        made.execute(f"pragma journal_mode={journal}")
    found = run(tmp_path, "")
    assert "database is locked" in found.stderr
