"""A night's report in words: as tables for the task's log, and in a few lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from madrugada.reconciliation import PLACES, Figure


def counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items())


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows under headings; columns of numbers to the right, no value is a dash."""
    cells = [["-" if value in (None, "") else str(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    right = [
        all(isinstance(row[i], int | float) or row[i] in (None, "") for row in rows)
        for i in range(len(headings))
    ]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [list(headings), *cells]
    )


def tables_text(report: Mapping[str, Any], figures: Sequence[Figure]) -> str:
    """The whole report for the task's log, as tables."""
    datasets = table(
        ("dataset", "delivered", "kept", "duplicates", "superseded", "quarantined", "inserted",
         "updated", "restored", "published", "bytes", "seconds", "why"),
        [
            (
                name,
                one.get("delivered"),
                one.get("kept"),
                one.get("duplicates"),
                one.get("superseded"),
                _together(one["quarantined"]),
                one.get("inserted"),
                one.get("updated"),
                one.get("restored"),
                one["published_rows"],
                one["published_bytes"],
                one["seconds"],
                _why(one),
            )
            for name, one in report["datasets"].items()
        ],
    )  # fmt: skip
    gold = table(
        ("gold table", "rows", "files", "bytes", "seconds"),
        [(name, *one.values()) for name, one in report["gold"].items()],
    )
    rows = [
        (figure.name, *(figure.values.get(place) for place in PLACES), figure.verdict)
        for figure in figures
    ]
    compared = [table(("figure", *PLACES, "verdict"), rows)] if rows else []
    tasks = table(
        ("task", "state", "seconds"),
        [
            (one["task"], one["state"], one["seconds"])
            for one in report["durations"]["tasks"]
            if one["state"] != "upstream_failed"
        ],
    )
    title = f"{report['pipeline']} {report['delivery_date']}, run {report['run_id']}"
    said = [*_since(report), *report["differences"]]
    written = [datasets, gold] if report["gold"] else [datasets]
    parts = [title, *_stop(report), *written, *compared, *said, tasks, _cost_table(report)]
    return "\n\n".join(parts)


def _together(counts: Mapping[str, int] | None) -> int | None:
    return None if counts is None else sum(counts.values())


def _why(one: Mapping[str, Any]) -> str:
    said = [
        counted(one["quarantined"] or {}),
        f"flagged: {counted(one['warned'])}" if one["warned"] else "",
        f"new columns: {', '.join(map(str, one['new_columns']))}" if one["new_columns"] else "",
        f"missing columns: {', '.join(map(str, one['missing_columns']))}"
        if one["missing_columns"] else "",
    ]  # fmt: skip
    return " | ".join(part for part in said if part)


def _cost_table(report: Mapping[str, Any]) -> str:
    cost = report["cost"]
    if "error" in cost:
        return _cost_sentence(cost)
    lines = table(
        ("cost on AWS", "quantity", "unit", "dollars", "measured", "minimum applied"),
        [
            (
                one["what"] + (" (estimate)" if one["estimate"] else ""),
                f"{one['quantity']:,.6g}" if one["quantity"] < 1 else f"{one['quantity']:,.0f}",
                one["unit"],
                f"{one['dollars']:.7f}",
                one["measured"],
                one["minimum_applied"],
            )
            for one in cost["lines"]
        ],
    )
    return f"{lines}\n{_cost_sentence(cost)} Left out: {cost['left_out']}."


def _cost_sentence(cost: Mapping[str, Any]) -> str:
    if "error" in cost:
        return f"Cost on AWS: not worked out. {cost['error']}"
    return (
        f"Cost on AWS: ${cost['total']:.4f}"
        f" (prices of {cost['prices_of']}, {cost['region']})."
    )  # fmt: skip


def _stop(report: Mapping[str, Any]) -> list[str]:
    """Why a night stopped and how far it came; nothing of one that did not."""
    if "stopped" not in report:
        return []
    under_way = ", ".join(report["under_way"])
    return [
        "STOPPED",
        *(f"{one['task']}: {one['reason']}" for one in report["stopped"]),
        *([f"Still under way: {under_way}"] if under_way else []),
        *(
            f"{layer} {version}: "
            + (f"published {', '.join(names)}" if names else "nothing of it is published")
            for layer, version in report["versions"].items()
            for names in [report["published"][layer]]
        ),
    ]


def _since(report: Mapping[str, Any]) -> list[str]:
    if not report.get("published_since"):
        return []
    versions = ", ".join(sorted(set(report["published_since"].values())))
    return [f"Published since by another run, and compared as it is now: gold {versions}."]


def short_text(report: Mapping[str, Any]) -> str:
    """The report in a few lines, for people: datasets, gold, the verdict, the cost."""
    datasets = table(
        ("dataset", "delivered", "kept", "quarantined", "published", "why"),
        [
            (
                name,
                one.get("delivered"),
                one.get("kept"),
                _together(one["quarantined"]),
                one["published_rows"],
                _why(one) or " ",
            )
            for name, one in report["datasets"].items()
        ],
    )
    rows = [(name, one["rows"]) for name, one in report["gold"].items()]
    gold = [table(("gold table", "rows"), rows), ""] if rows else []
    equal = sum(1 for figure in report["figures"] if figure["verdict"] == "equal")
    places = [p for p in PLACES if any(figure[p.lower()] for figure in report["figures"])]
    verdict = f"{equal} of {len(report['figures'])} figures are equal in {', '.join(places)}."
    stop = _stop(report)
    return "\n".join(
        [
            f"{report['pipeline']} {report['delivery_date']}",
            "",
            *([*stop, ""] if stop else []),
            datasets,
            "",
            *gold,
            *([] if stop else [verdict]),
            *_since(report),
            *report["differences"],
            _cost_sentence(report["cost"]),
        ]
    )
