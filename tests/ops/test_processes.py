"""Processes of a stack are started, found and ended, and no others."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops import processes
from ops.settings import OpsError

SLEEP = ["sleep", "60"]


def eventually(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    processes.stop(tmp_path, patience=0)


@pytest.fixture
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("other")
    yield folder
    processes.stop(folder, patience=0)


def test_stop_ends_what_was_started_and_nothing_else(state: Path, other: Path) -> None:
    mine = processes.start("mine", SLEEP, state, {})
    theirs = processes.start("theirs", SLEEP, other, {})
    with subprocess.Popen(SLEEP) as nobodys:
        assert processes.of_stack(state) == {mine}
        assert processes.stop(state) == 1
        assert not processes.is_alive(mine)
        assert processes.is_alive(theirs)
        assert nobodys.poll() is None
        nobodys.kill()
    assert processes.of_stack(state) == set()


def test_stop_of_nothing(state: Path) -> None:
    assert processes.stop(state) == 0


def test_children_end_too_also_those_that_left_the_session(state: Path) -> None:
    made = state / "child"
    script = (
        "import subprocess, time, pathlib;"
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True, env={});"
        f"pathlib.Path({str(made)!r}).write_text(str(child.pid)); time.sleep(60)"
    )
    parent = processes.start("parent", [sys.executable, "-c", script], state, {})
    eventually(lambda: made.exists() and made.read_text() != "")
    child = int(made.read_text())
    assert processes.of_stack(state) == {parent, child}
    processes.stop(state)
    assert not processes.is_alive(child)


def test_heirs_that_pay_no_heed_do_not_keep_the_one_that_waits_for_them(state: Path) -> None:
    """As Airflow's scheduler waits for its workers: it ends by itself, not by SIGKILL."""
    ready, ended = state / "ready", state / "ended"
    child = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    script = (
        "import pathlib, signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "child.wait()\n"
        f"pathlib.Path({str(ended)!r}).touch()\n"
    )
    parent = processes.start("scheduler", [sys.executable, "-c", script], state, {})
    eventually(ready.exists)
    assert processes.stop(state, patience=30, without_heirs={"scheduler"}) == 2
    assert not processes.is_alive(parent)
    assert ended.exists()


def test_an_orphan_of_a_started_process_ends_too(state: Path) -> None:
    """Its parent is gone, and its environment says nothing: its session tells."""
    made = state / "orphan"
    script = f"env -i sleep 60 & echo $! > {made}"
    leader = processes.start("leader", ["bash", "-c", script], state, {})
    eventually(lambda: not processes.is_alive(leader))
    orphan = int(made.read_text())
    assert processes.of_stack(state) == {orphan}
    processes.stop(state)
    assert not processes.is_alive(orphan)


def test_a_process_that_ignores_a_polite_word_is_killed(state: Path) -> None:
    ready = state / "ready"
    script = f"trap '' TERM; touch {ready}; while true; do sleep 0.1; done"
    stubborn = processes.start("stubborn", ["bash", "-c", script], state, {})
    eventually(ready.exists)
    processes.stop(state, patience=0.3)
    assert not processes.is_alive(stubborn)


def test_a_number_that_another_program_got_meanwhile_is_left_alone(state: Path) -> None:
    with subprocess.Popen(SLEEP, start_new_session=True) as stranger:
        (state / "processes").write_text(f"{stranger.pid} 1\n")
        assert processes.of_stack(state) == set()
        assert processes.stop(state) == 0
        assert stranger.poll() is None
        stranger.kill()


def test_what_it_says_is_in_its_log_and_its_environment_is_its_own(state: Path) -> None:
    command = ["bash", "-c", "echo said $WORD; echo wrong >&2"]
    pid = processes.start("speaker", command, state, {"WORD": "this"})
    eventually(lambda: not processes.is_alive(pid))
    assert processes.last_lines(state / "logs" / "speaker.log") == "said this\nwrong"
    assert processes.last_lines(state / "logs" / "speaker.log", 1) == "wrong"
    assert processes.last_lines(state / "logs" / "silent.log") == "(no output)"


def test_a_log_that_has_become_long_is_put_aside_at_the_next_start(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LOG_BYTES", len("first\n"))
    logs = state / "logs"
    for word in ("first", "second", "third", "fourth", "fifth"):
        pid = processes.start("speaker", ["echo", word], state, {})
        eventually(lambda: not processes.is_alive(pid))  # noqa: B023
    assert (logs / "speaker.log").read_text() == "fifth\n"
    assert (logs / "speaker.log.1").read_text() == "third\nfourth\n"
    assert len(list(logs.iterdir())) == 2


def test_waiting_for_what_dies_says_its_last_words(state: Path) -> None:
    pid = processes.start("broken", ["bash", "-c", "echo no licence; exit 3"], state, {})
    log = state / "logs" / "broken.log"
    with pytest.raises(OpsError, match=r"The thing stopped while starting[^$]*no licence"):
        processes.wait_until("The thing", pid, log, lambda: False, 20)


def test_waiting_for_what_is_too_slow_names_the_log(state: Path) -> None:
    pid = processes.start("slow", SLEEP, state, {})
    log = state / "logs" / "slow.log"
    with pytest.raises(OpsError, match=rf"did not answer within 0 s\. Last lines of {log}"):
        processes.wait_until("The thing", pid, log, lambda: False, 0.2)


def test_waiting_ends_when_it_is_ready(state: Path) -> None:
    answers = iter([False, False, True])
    pid = processes.start("good", SLEEP, state, {})
    processes.wait_until("The thing", pid, state / "logs" / "good.log", lambda: next(answers), 20)
    assert next(answers, None) is None


def test_a_dead_process_is_not_alive() -> None:
    with subprocess.Popen(SLEEP) as child:
        assert processes.is_alive(child.pid)
        child.send_signal(signal.SIGKILL)
        # Not yet waited for: a zombie is not alive either.
        eventually(lambda: not processes.is_alive(child.pid))
    assert not processes.is_alive(child.pid)


def test_a_port_is_free_until_somebody_listens() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        server.listen()
        assert not processes.is_free(port)
    assert processes.is_free(port)


def test_what_a_dead_part_left_is_cleared_away(state: Path) -> None:
    """Its children end at once and without a word; those of the other parts go on."""
    made = state / "child"
    script = f"sleep 60 & echo $! > {made}; wait"
    kept = processes.start("kept", ["bash", "-c", script], state, {})
    eventually(lambda: made.exists() and made.read_text() != "")
    child = int(made.read_text())
    orphans = state / "orphans"
    told = state / "told"
    child_of_dead = f"trap 'touch {told}' TERM; while true; do sleep 0.1; done"
    dead = processes.start(
        "dead", ["bash", "-c", f"({child_of_dead}) & echo $! > {orphans}"], state, {}
    )
    eventually(lambda: not processes.is_alive(dead))
    assert processes.running(state) == {"kept": kept}
    assert processes.clear_away(state, keep={kept}) >= 1
    assert not told.exists()
    assert processes.of_stack(state) == {kept, child}
    assert not processes.is_alive(int(orphans.read_text()))
    assert processes.running(state) == {"kept": kept}
