"""``python benchmarks/dag_parse.py``: how long Airflow takes to parse the DAG files.

Prints the time of each file and of all, in a process that has imported Airflow already, as the
DAG processor has. The first parse imports the providers that the files use, the Redshift driver
among them; the local DAG processor has imported those when it started, so that its parses, each in
a fork of it, do not. Both are shown, and the processor's own time beside the clock's, because the
clock's depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import platform
import runpy
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def first_parse(files: list[Path]) -> tuple[float, float]:
    """Wall and processor seconds of the first parse of all files, in a fork of this process."""
    ours, theirs = os.pipe()
    if pid := os.fork():
        os.close(theirs)
        with os.fdopen(ours) as answer:
            text = answer.read()
        if os.waitpid(pid, 0)[1]:
            raise SystemExit("the DAG files were not parsed")
        wall, processor = text.split()
        return float(wall), float(processor)
    began, worked = time.perf_counter(), time.process_time()
    parse_all(files)
    with os.fdopen(theirs, "w") as answer:
        answer.write(f"{time.perf_counter() - began} {time.process_time() - worked}")
    os._exit(0)


def import_as_the_dag_processor() -> None:
    """What the local DAG processor imports once, when it starts."""
    given, sys.argv = sys.argv, ["airflow", "dag-processor"]
    runpy.run_path(str(ROOT / "ops" / "airflow" / "airflow_local_settings.py"))
    sys.argv = given


def parse_all(files: list[Path]) -> dict[str, float]:
    """Seconds of each file, parsed from nothing."""
    from airflow.dag_processing.dagbag import DagBag

    seconds = {}
    for file in files:
        for name in [n for n in sys.modules if n.startswith("unusual_prefix")]:
            del sys.modules[name]
        began = time.perf_counter()
        bag = DagBag(file)
        seconds[file.name] = time.perf_counter() - began
        if bag.import_errors or not bag.dags:
            raise SystemExit(f"{file}: {bag.import_errors or 'no DAG in it'}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    files = sorted((ROOT / "dags").glob("*.py"))
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(
            AIRFLOW_HOME=home,
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
            AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
        )
        began = time.perf_counter()
        import airflow.dag_processing.dagbag  # noqa: F401

        print(f"Python {platform.python_version()}, {os.cpu_count()} cores")
        print(f"import of Airflow             {time.perf_counter() - began:8.3f} s")
        cold = first_parse(files)
        began = time.perf_counter()
        import_as_the_dag_processor()
        imports = time.perf_counter() - began
        processor = first_parse(files)
        first = parse_all(files)
        runs = [parse_all(files) for _ in range(times)]
    for what, (wall, worked) in {
        f"first parse of all {len(files)} files": cold,
        "the same in the DAG processor": processor,
    }.items():
        print(f"{what:<30}{wall:8.3f} s, {worked:.3f} s of a processor")
    print(f"its imports when it starts    {imports:8.3f} s")
    totals = [sum(run.values()) for run in runs]
    print(f"every further one, median     {statistics.median(totals):8.3f} s of {times}")
    for file in files:
        later = statistics.median(run[file.name] for run in runs)
        print(f"  {file.name:<28}{first[file.name]:8.3f} s first {later:8.3f} s then")


if __name__ == "__main__":
    main()
