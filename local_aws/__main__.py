"""``python -m local_aws``: run the embedded AWS in the foreground until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from local_aws.faults import BadPlan, Plan
from local_aws.instance import Config
from local_aws.server import Server
from local_aws.snapshots import UnreadableSnapshot


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local_aws", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder that holds everything")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 is every one"
    )
    parser.add_argument("--port", type=int, default=4566)
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument(
        "--wait-seconds", type=float, default=20.0, help="how long a Get or Describe may wait"
    )
    parser.add_argument(
        "--redshift-port",
        type=int,
        default=os.environ.get("LOCAL_AWS_REDSHIFT_PORT") or None,
        help="where PostgreSQL clients (dbt, psql) reach Redshift; not at all without",
    )
    parser.add_argument(
        "--faults",
        default=os.environ.get("LOCAL_AWS_FAULTS", ""),
        help='faults on purpose, such as "seed=7 rate=0.05 kinds=throttle,error,lost"',
    )
    args = parser.parse_args(argv)
    try:
        faults = Plan.parse(args.faults) if args.faults.strip() else None
    except BadPlan as error:
        print(f"--faults (LOCAL_AWS_FAULTS): {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s %(message)s")
    config = Config(
        state=args.state.resolve(),
        host=args.host,
        port=args.port,
        region=args.region,
        wait_seconds=args.wait_seconds,
        redshift_port=args.redshift_port,
        faults=faults,
    )
    try:
        server = Server(config)
    except UnreadableSnapshot as error:
        print(f"The embedded AWS does not start: {error}", file=sys.stderr)
        return 1
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    try:
        server.start()
    except OSError as error:
        print(f"The embedded AWS cannot listen: {error}.", file=sys.stderr)
        server.stop()
        return 1
    print(f"The embedded AWS listens on {server.endpoint_url}, state in {args.state}", flush=True)
    done.wait()
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
