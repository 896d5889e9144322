"""``python -m tests.crashes``: nights in which something is killed, one for each seed.

Each seed puts a stack of its own back to the end of a first night, starts the second one, and at a
moment of its own kills, with SIGKILL, a task, the process that watches over it, a Glue job's
Python process, its JVM, the embedded AWS or the scheduler. What dies for good is started again
with ``make up``; everything else is left to Airflow. Afterwards every table of lake and warehouse
must be, row for row, that of an undisturbed night, nothing may be left going on, and the third
night must work. A run that fails is cleared once, as an operator would, and counted: the aim is
none. Some more nights meet no crash, but throttling, 5xx and lost answers in a share of all
requests.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from ops import stack
from tests.crashes.harness import Harness
from tests.e2e.conftest import free_ports


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crashes", description=__doc__)
    parser.add_argument("--seeds", type=int, default=50, help="how many (50)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--kills", type=int, default=1, help="how many in each night (1)")
    parser.add_argument(
        "--fault-nights", type=int, default=3, help="how many nights with faults in requests (3)"
    )
    parser.add_argument("--rate", type=float, default=0.05, help="their share of requests (0.05)")
    args = parser.parse_args(argv)
    seeds = range(args.first, args.first + args.seeds)
    with tempfile.TemporaryDirectory(prefix="madrugada-crashes-") as folder:
        harness = Harness(Path(folder), *free_ports(2))
        try:
            harness.prepare()
            results = []
            for seed in seeds:
                results.append(harness.run(seed, args.kills))
                print(results[-1], flush=True)
            for seed in range(args.first, args.first + args.fault_nights):
                results.append(harness.run_with_faults(seed, args.rate))
                print(results[-1], flush=True)
        finally:
            stack.stop(harness.settings)
    bad = [result for result in results if result.problems]
    by_hand = [result for result in results if result.cleared]
    print(
        f"{len(results)} nights: {len(results) - len(bad)} as an undisturbed night, {len(bad)} not;"
        f" {len(by_hand)} needed a task cleared by hand"
        + (f" ({', '.join(one.name for one in by_hand)})" if by_hand else "")
    )
    return 1 if bad or not results else 0


if __name__ == "__main__":
    sys.exit(main())
