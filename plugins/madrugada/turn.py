"""One run at a time between building silver and the end of the reconciliation.

Airflow's limits do not hold that long: a pool's slot is given back after every task, and a backfill
has a limit of active runs of its own beside the DAG's. So a run takes a turn, an object in the
silver bucket that S3 itself gives to one writer only
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html), and passes it on
when it is done. As setup and teardown they come along when a task between them is cleared.

A turn is never lost: one whose run has ended or is no longer there is taken over.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.sensors.base_aws import AwsBaseSensor
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from botocore.exceptions import ClientError

from madrugada import defaults
from madrugada.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

# The last two are what S3 says to a condition on an object that has just been deleted.
LOST_THE_RACE = {
    "PreconditionFailed", "ConditionalRequestConflict", "412", "409", "NoSuchKey", "404",
}  # fmt: skip


def turn_key(name: str) -> str:
    return f"_turns/{name}.json"


class TakeTurnSensor(AwsBaseSensor[S3Hook]):
    """Wait until no other run has the turn, and take it; a run that has it goes on at once.

    Of several turns each is taken as soon as it is free, in the order given.

    Whoever waits gives the pool's slot back now and then: the run that has the turn needs one too
    when its own task is tried again or cleared, and would else wait for those that wait for it.

    :param turns: what the runs take turns at; DAGs that write the same tables name the same turn.
    :param bucket: where the turns' objects are.
    :param at_a_time: how long it looks before it gives its slot back; with none it looks once.
    """

    aws_hook_class = S3Hook
    template_fields: Sequence[str] = aws_template_fields("turns", "bucket")

    def __init__(
        self,
        *,
        turns: Sequence[str],
        bucket: str,
        at_a_time: timedelta = timedelta(0),
        **kwargs: Any,
    ) -> None:
        super().__init__(mode="reschedule", **kwargs)
        self.turns = turns
        self.bucket = bucket
        self.at_a_time = at_a_time

    def poke(self, context: Context) -> bool:
        until = time.monotonic() + self.at_a_time.total_seconds()
        while not all(self._take(turn, context) for turn in self.turns):
            if time.monotonic() >= until:
                return False
            time.sleep(self.poke_interval)
        return True

    def _take(self, turn: str, context: Context) -> bool:
        me = holder(context)
        found = read_turn(self.hook.conn, self.bucket, turn)
        if found is None:
            return self._put(turn, me, IfNoneMatch="*")
        other, etag = found
        if other == me:
            return True
        if self._goes_on(context, other):
            said = "%s %s has the turn at %s; waiting"
            self.log.info(said, other["dag_id"], other["run_id"], turn)
            return False
        self.log.info("%s %s has ended and left its turn; taking it", *other.values())
        return self._put(turn, me, IfMatch=etag)

    def _goes_on(self, context: Context, other: dict[str, str]) -> bool:
        ti: Any = context["ti"]
        count = ti.get_dr_count(
            dag_id=other["dag_id"], run_ids=[other["run_id"]], states=["running", "queued"]
        )
        return bool(count)

    def _put(self, turn: str, me: dict[str, str], **condition: str) -> bool:
        try:
            self.hook.conn.put_object(
                Bucket=self.bucket,
                Key=turn_key(turn),
                Body=json.dumps(me).encode(),
                ContentType="application/json",
                **condition,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in LOST_THE_RACE:
                self.log.info("another run was quicker to take the turn; waiting")
                return False
            raise
        return True


class PassTurnOperator(AwsBaseOperator[S3Hook]):
    """Pass the turns on; nothing happens to one that this run does not have (any more)."""

    aws_hook_class = S3Hook
    template_fields: Sequence[str] = aws_template_fields("turns", "bucket")

    def __init__(self, *, turns: Sequence[str], bucket: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.turns = turns
        self.bucket = bucket

    def execute(self, context: Context) -> None:
        for turn in self.turns:
            self._pass(turn, context)

    def _pass(self, turn: str, context: Context) -> None:
        found = read_turn(self.hook.conn, self.bucket, turn)
        if found is None or found[0] != holder(context):
            self.log.info("the turn at %s is not this run's; nothing to pass on", turn)
            return
        try:
            self.hook.conn.delete_object(Bucket=self.bucket, Key=turn_key(turn), IfMatch=found[1])
        except ClientError as error:
            if error.response["Error"]["Code"] not in LOST_THE_RACE:
                raise


def turn_at(*names: str, urgent: bool = False) -> tuple[TakeTurnSensor, PassTurnOperator]:
    """`take_turn` and `pass_turn` of a DAG; it wires the second as the first's teardown.

    Several turns are one task's, so that a run which has one of them never waits for a slot.

    Args:
        urgent: look before the others that wait.
    """
    aws = settings()
    bucket = aws.bucket("silver")
    take = TakeTurnSensor(
        task_id="take_turn",
        turns=names,
        bucket=bucket,
        poke_interval=aws.turn_poke_seconds,
        # A process begun for each look would cost more than the look.
        at_a_time=timedelta(minutes=1),
        timeout=defaults.LONGEST_NIGHT.total_seconds(),
        execution_timeout=defaults.LONGEST_NIGHT,
        pool=defaults.TURN_POOL,
        # Else whoever has the most tasks after it would always look first.
        weight_rule="absolute",
        priority_weight=2 if urgent else 1,
    )
    return take, PassTurnOperator(task_id="pass_turn", turns=names, bucket=bucket)


def holder(context: Context) -> dict[str, str]:
    """Which run this is, as a turn's object says it."""
    run: Any = context["dag_run"]
    return {"dag_id": run.dag_id, "run_id": run.run_id}


def read_turn(s3: Any, bucket: str, turn: str) -> tuple[dict[str, str], str] | None:
    """The run that has the turn and the object's ETag; None when nobody has it."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=turn_key(turn))
    except s3.exceptions.NoSuchKey:
        return None
    return json.loads(answer["Body"].read()), answer["ETag"]
