"""A job's report as a table that a person can read in the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints one line, so that no other writer of the log comes between its rows' parts."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(headings), *cells]) for i in range(len(headings))]
    numeric = [
        all(isinstance(row[i], int | float) for row in rows) if rows else False
        for i in range(len(headings))
    ]
    lines = []
    for line in [list(headings), ["-" * width for width in widths], *cells]:
        parts = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    print("\n".join(lines), flush=True)


def counted(counts: Mapping[str, int]) -> str:
    """`price_required 2, duplicate_key 1`, or `-` for none."""
    return ", ".join(f"{rule} {count:,}" for rule, count in sorted(counts.items())) or "-"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
