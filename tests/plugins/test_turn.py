"""One run has the turn; it comes back whatever became of that run."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from madrugada.settings import Settings
from madrugada.turn import PassTurnOperator, TakeTurnSensor, read_turn, turn_at


@pytest.fixture
def bucket(aws: Any, names: Settings) -> str:
    name = names.bucket("silver")
    aws("s3").create_bucket(Bucket=name)
    return name


class Run:
    """A run of a DAG, as its tasks see it; `alive` are the runs that Airflow still knows."""

    def __init__(
        self, run_id: str, bucket: str, alive: set[str], turns: tuple[str, ...] = ("sales",)
    ) -> None:
        self.context: Any = {
            "dag_run": SimpleNamespace(dag_id="nightly", run_id=run_id),
            "ti": SimpleNamespace(
                get_dr_count=lambda dag_id, run_ids, states: len(alive & set(run_ids))
            ),
        }
        self.sensor = TakeTurnSensor(task_id="take", turns=turns, bucket=bucket)
        self.operator = PassTurnOperator(task_id="pass", turns=turns, bucket=bucket)

    def take(self) -> bool:
        return self.sensor.poke(self.context)

    def passes(self) -> None:
        self.operator.execute(self.context)


def test_a_second_run_waits_until_the_first_passes_the_turn(bucket: str) -> None:
    alive = {"one", "two"}
    one, two = Run("one", bucket, alive), Run("two", bucket, alive)
    assert one.take()
    assert not two.take()
    one.passes()
    assert two.take()
    assert not one.take()


def test_a_run_that_has_the_turn_goes_on_when_tried_again(bucket: str) -> None:
    one = Run("one", bucket, {"one"})
    assert one.take()
    assert one.take()


def test_the_turn_of_a_run_that_is_no_more_is_taken_over(bucket: str) -> None:
    alive = {"one", "two"}
    one, two = Run("one", bucket, alive), Run("two", bucket, alive)
    assert one.take()
    alive.remove("one")
    assert two.take()


def test_only_the_holder_passes_the_turn_on(bucket: str, aws: Any) -> None:
    alive = {"one", "two"}
    one, two = Run("one", bucket, alive), Run("two", bucket, alive)
    assert one.take()
    two.passes()
    assert not two.take()
    found = read_turn(aws("s3"), bucket, "sales")
    assert found is not None
    assert found[0] == {"dag_id": "nightly", "run_id": "one"}


def test_of_two_that_find_it_free_at_once_one_gets_it(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = {"one", "two"}
    one, two = Run("one", bucket, alive), Run("two", bucket, alive)
    assert one.take()
    with monkeypatch.context() as blind:
        blind.setattr("madrugada.turn.read_turn", lambda *_: None)
        assert not two.take()


def test_of_two_that_take_over_at_once_one_gets_it(
    bucket: str, aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = {"gone", "two", "three"}
    gone, two, three = (Run(name, bucket, alive) for name in ("gone", "two", "three"))
    assert gone.take()
    alive.remove("gone")
    seen = read_turn(aws("s3"), bucket, "sales")
    assert two.take()
    with monkeypatch.context() as late:
        late.setattr("madrugada.turn.read_turn", lambda *_: seen)
        assert not three.take()


def test_a_turn_that_is_passed_on_while_it_is_taken_over_is_waited_for(
    bucket: str, aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Run("one", bucket, {"one"}), Run("two", bucket, set())
    assert one.take()
    seen = read_turn(aws("s3"), bucket, "sales")
    one.passes()
    with monkeypatch.context() as late:
        late.setattr("madrugada.turn.read_turn", lambda *_: seen)
        assert not two.take()
    assert two.take()


def test_several_turns_are_had_when_each_of_them_is(bucket: str) -> None:
    alive = {"night", "maintenance", "another"}
    night = Run("night", bucket, alive, ("clickstream",))
    both = Run("maintenance", bucket, alive, ("sales", "clickstream"))
    another = Run("another", bucket, alive, ("sales",))
    assert night.take()
    assert not both.take()
    assert not another.take(), "the first of the two turns is taken already"
    night.passes()
    assert both.take()
    assert not night.take()
    both.passes()
    assert night.take()
    assert another.take()


class Clock:
    """Time that goes by while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.then: dict[float, Any] = {}

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for moment in [moment for moment in self.then if moment <= self.now]:
            self.then.pop(moment)()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("madrugada.turn.time", clock)
    return clock


def test_who_waits_gives_the_slot_back_so_that_the_holder_can_be_tried_again(
    bucket: str, clock: Clock
) -> None:
    alive = {"one", "two"}
    one, two = Run("one", bucket, alive), Run("two", bucket, alive)
    assert one.take()
    two.sensor, _ = turn_at("sales")
    two.sensor.poke_interval = 2
    # Airflow frees the slot between two pokes, and only in this mode.
    assert two.sensor.reschedule
    assert not two.take()
    assert 60 <= clock.now < 120
    assert timedelta(seconds=two.sensor.timeout) == two.sensor.execution_timeout


def test_a_turn_that_is_passed_on_is_taken_without_giving_the_slot_back(
    bucket: str, clock: Clock
) -> None:
    alive = {"one", "two"}
    one, two = Run("one", bucket, alive), Run("two", bucket, alive)
    assert one.take()
    two.sensor, _ = turn_at("sales")
    two.sensor.poke_interval = 2
    clock.then[10] = one.passes
    assert two.take()
    assert clock.now == 10
