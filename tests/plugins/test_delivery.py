"""A verdict on a delivery is final; an accident of the call is tried again."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from airflow.providers.amazon.aws.operators.lambda_function import LambdaInvokeFunctionOperator
from airflow.sdk.exceptions import AirflowFailException

from madrugada.delivery import CheckDeliveryOperator


class Hook:
    """A function that answers with `payload`; an error when `failed`."""

    def __init__(self, payload: Any, failed: bool) -> None:
        self.answer: dict[str, Any] = {"StatusCode": 200} | (
            {"FunctionError": "Unhandled"} if failed else {}
        )
        self.answer["Payload"] = io.BytesIO(json.dumps(payload).encode())

    def invoke_lambda(self, **request: Any) -> Any:
        assert request["function_name"] == "madrugada-ingest"
        return self.answer


def check(monkeypatch: pytest.MonkeyPatch, payload: Any, failed: bool = True) -> str:
    monkeypatch.setattr(LambdaInvokeFunctionOperator, "hook", Hook(payload, failed))
    operator = CheckDeliveryOperator(
        task_id="check", function_name="madrugada-ingest", verdicts=["DeliveryError"]
    )
    return operator.execute({})  # type: ignore[typeddict-item]


def test_a_good_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(monkeypatch, {"files": 7}, failed=False) == '{"files": 7}'


def test_a_function_is_called_once_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given up after a minute and made again, two would be at work on one delivery."""
    operator = CheckDeliveryOperator(task_id="check", function_name="f", verdicts=[])
    config = operator.hook.config
    assert config.read_timeout > 300
    assert config.retries == {"total_max_attempts": 1}


def test_a_verdict_fails_at_once_in_the_functions_words(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"errorType": "DeliveryError", "errorMessage": "lojas.csv: expected id;cidade"}
    with pytest.raises(AirflowFailException, match=r"^lojas\.csv: expected id;cidade$"):
        check(monkeypatch, refused)


@pytest.mark.parametrize(
    "accident",
    [
        {"errorType": "Sandbox.Timedout", "errorMessage": "timed out after 60 seconds"},
        {"errorType": "ClientError", "errorMessage": "SlowDown"},
        {"errorMessage": "exited"},
        "no document",
    ],
)
def test_an_accident_may_be_tried_again(monkeypatch: pytest.MonkeyPatch, accident: Any) -> None:
    with pytest.raises(ValueError, match="resulted in error"):
        check(monkeypatch, accident)
