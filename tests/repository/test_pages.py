"""What the handwritten pages name is there: files, make targets, tasks, tables."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.dags.conftest import DAGS, parse
from tests.dags.test_integrity import EXPECTED

PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("local_aws/*.md")]
    if not path.name.startswith(".")
)
HANDWRITTEN = [p for p in PAGES if p.name not in ("dags.md", "contracts.md", "FIDELITY.md")]
TASKS = EXPECTED["sales_nightly.py"]["sales_nightly"]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def heading_anchors(page: Path) -> set[str]:
    """https://docs.github.com/en/get-started/writing-on-github, section links"""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in heading_anchors(file), target


@pytest.mark.parametrize("page", HANDWRITTEN, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_make_target_exists(page: Path) -> None:
    code = re.findall(r"`([^`]+)`", page.read_text().replace("```", "\x00"))
    code += re.findall(r"\x00sh\n(.*?)\x00", page.read_text().replace("```", "\x00"), re.DOTALL)
    named = {t for text in code for t in re.findall(r"(?:^|[\n(])make ([a-z-]+)", text)}
    assert named <= targets()


def test_the_runbook_tells_of_every_task() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    told = {
        name
        for entry in re.findall(r"^\*\*([a-z_, ]+)\.\*\*", text, re.MULTILINE)
        for name in entry.split(", ")
    }
    assert told == TASKS


def test_the_picture_of_a_night_has_every_task_and_only_its_order() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    (picture,) = re.findall(r"subgraph sales_nightly\n(.*?)\n    end", text, re.DOTALL)
    chains = [re.findall(r"\w+", line) for line in picture.splitlines()]
    assert {task for chain in chains for task in chain} == TASKS
    dag = parse(DAGS).dags["sales_nightly"]
    for chain in chains:
        for before, after in pairwise(chain):
            assert before in dag.task_dict[after].upstream_task_ids, f"{before} --> {after}"


def test_contributing_and_licence_are_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:300]
    assert "make test" in (ROOT / "CONTRIBUTING.md").read_text()


def test_pre_commit_runs_the_locked_tools_as_make_lint_does() -> None:
    import yaml

    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"
    makefile = (ROOT / "Makefile").read_text()
    (lint,) = re.findall(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    tools = {tuple(line.split()[:2]) for line in re.findall(r"\$\(VENV\)/bin/(.*)", lint)}
    hooks = {hook["id"]: hook["entry"].removeprefix(".venv/bin/") for hook in repo["hooks"]}
    assert all(entry.startswith(".venv/bin/") for entry in (h["entry"] for h in repo["hooks"]))
    for tool, *rest in tools:
        expected = f"{tool} {rest[0]}" if tool == "ruff" else tool
        assert any(entry.startswith(expected) for entry in hooks.values()), expected


def test_text_files_end_their_lines_as_git_is_told() -> None:
    """`.gitattributes` keeps CSV files as they are delivered, and everything else with LF."""
    listed = subprocess.run(
        ["git", "ls-files", "--eol"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    wrong = [
        line.split("\t")[1]
        for line in listed.splitlines()
        if "i/crlf" in line and not line.endswith(".csv")
    ]
    assert wrong == []
