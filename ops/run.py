"""The first night of a newcomer: the stack up, a pipeline's sample through it, figures shown."""

from __future__ import annotations

import argparse
import sys

from ops import run_clickstream, run_movies, run_sales
from ops.command import command
from ops.settings import OpsError, Settings
from ops.stack import say, up

PIPELINES = {
    "sales": run_sales.first_night,
    "clickstream": run_clickstream.first_night,
    "movies": run_movies.first_night,
}
ALL = "all"


def run(pipelines: list[str], rows: int) -> int:
    settings = Settings.load()
    up(settings)
    good = True
    for name in pipelines:
        good &= PIPELINES[name](settings, rows)
    say(f"Any AWS client: AWS_ENDPOINT_URL={settings.aws_url}\nIt stays up; end it with: make stop")
    return 0 if good else 1


@command
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.run", description=__doc__)
    parser.add_argument("--rows", default="1000")
    parser.add_argument("--pipeline", default="sales")
    args = parser.parse_args(argv)
    if not args.rows.isdigit() or not int(args.rows):
        raise OpsError(f"ROWS={args.rows!r}: expected a whole number above 0.")
    if args.pipeline not in (*PIPELINES, ALL):
        raise OpsError(
            f"PIPELINE={args.pipeline!r}: expected one of {', '.join((*PIPELINES, ALL))}."
        )
    chosen = list(PIPELINES) if args.pipeline == ALL else [args.pipeline]
    return run(chosen, int(args.rows))


if __name__ == "__main__":
    sys.exit(main())
