"""Days of films through the scheduler: backfilled, run again, counted against plain Python."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from include.sample_data.catalogue import generate
from tests.e2e.conftest import Stack
from tests.include.movies import reference

DAG = "movies_nightly"
JOBS = ("madrugada-movies-to-silver", "madrugada-movies-silver-to-gold")
FIRST, SECOND = date(2026, 4, 1), date(2026, 4, 2)
STAR = ("dim_nome_filme", "dim_tempo", "fact_popularidade", "joined_df", "aggregated_order_df")


def star(stack: Stack) -> dict[str, list[list[str]]]:
    return {table: sorted(stack.athena(f"select * from madrugada_gold.{table}")) for table in STAR}


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_days_that_are_backfilled_and_run_again_have_the_rows_and_votes_of_plain_python(
    stack: Stack, tmp_path: Path
) -> None:
    # The second catalogue has the first one's films and more.
    for day, rows in ((FIRST, 400), (SECOND, 600)):
        folder = tmp_path / day.isoformat()
        generate(folder, rows)
        sent = stack.ops("catalogue", "--from", str(folder), "--date", day.isoformat())
        assert sent.returncode == 0, sent.stderr

    done = stack.ops("nightly", "--dag", DAG, "--start", str(FIRST), "--end", str(SECOND))
    assert done.returncode == 0, done.stdout + done.stderr
    body = stack.client("s3").get_object(
        Bucket=stack.settings.bucket("bronze"), Key=f"RAW/TMDB/JSON/{SECOND:%Y/%m/%d}/movies.json"
    )["Body"]
    expected = reference.star(tmp_path / SECOND.isoformat() / "movies.csv", body.read())
    assert expected["joined_df"]
    found = star(stack)
    assert {table: len(rows) for table, rows in found.items()} == {
        table: len(rows) for table, rows in expected.items()
    }
    votes = sum(row[5] or 0 for row in expected["joined_df"])
    for schema, ask in (("madrugada_gold", stack.athena), ("spectrum", stack.redshift)):
        assert ask(f"select sum(numerovotos) from {schema}.joined_df") == [[str(votes)]]

    # The older day once more: its work is done again, and the newer day's films stay.
    submitted = {job: stack.glue_runs(job) for job in JOBS}
    assert stack.night(FIRST.isoformat(), DAG)[1]
    assert {job: stack.glue_runs(job) for job in JOBS} == {
        job: count + 1 for job, count in submitted.items()
    }
    assert star(stack) == found
