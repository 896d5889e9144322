"""A function that judges a delivery, and a task that knows its verdict from an accident."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.lambda_function import LambdaInvokeFunctionOperator
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context

# The functions may take five minutes; whoever asks again before that has two of them at work.
ONE_LONG_CALL = {"read_timeout": 320, "retries": {"total_max_attempts": 1}}


class CheckDeliveryOperator(LambdaInvokeFunctionOperator):
    """Call the function; a verdict against the delivery fails the task at once, with its words.

    The same files would be as wrong again, so there is no retry. Everything else that can go wrong
    with a call (the function timed out, was killed or could not read S3) is tried again, by the
    task: a call is made once and waited for.

    :param verdicts: the function's own error types that are its verdict.
    """

    def __init__(self, *, verdicts: Collection[str], **kwargs: Any) -> None:
        super().__init__(botocore_config=ONE_LONG_CALL, **kwargs)
        self.verdicts = tuple(verdicts)

    def execute(self, context: Context) -> str:
        try:
            return super().execute(context)
        except ValueError as error:
            said = _function_error(error)
            if said.get("errorType") in self.verdicts:
                raise AirflowFailException(said.get("errorMessage", "")) from error
            raise


def _function_error(error: ValueError) -> dict[str, Any]:
    """What the function raised, as Lambda puts it in the answer's payload; else nothing."""
    detail = error.args[1] if len(error.args) > 1 else None
    if not isinstance(detail, dict):
        return {}
    said = json.loads(detail["Payload"])
    return said if isinstance(said, dict) else {}
