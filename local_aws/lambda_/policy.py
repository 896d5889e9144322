"""A function's resource policy: its statements, and what they allow."""

from __future__ import annotations

import fnmatch
from typing import Any

from local_aws.service import AwsError

INVOKE = ("lambda:InvokeFunction", "lambda:*", "*")


def statement_of(request: dict[str, Any], function_arn: str, account: str) -> dict[str, Any]:
    """The statement that AddPermission's request stands for."""
    action = request["Action"]
    if not action.startswith("lambda:") and action != "*":
        raise AwsError(
            "InvalidParameterValueException", f"{action} is no action of Lambda.", Type="User"
        )
    principal = request["Principal"]
    if principal.endswith(".amazonaws.com"):
        named: Any = {"Service": principal}
    elif principal == "*":
        named = "*"
    elif principal.isdigit():
        named = {"AWS": f"arn:aws:iam::{principal}:root"}
    else:
        named = {"AWS": principal}
    statement = {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": named,
        "Action": action,
        "Resource": function_arn,
    }
    conditions: dict[str, Any] = {}
    if request.get("SourceAccount"):
        conditions["StringEquals"] = {"AWS:SourceAccount": request["SourceAccount"]}
    if request.get("SourceArn"):
        conditions["ArnLike"] = {"AWS:SourceArn": request["SourceArn"]}
    if conditions:
        statement["Condition"] = conditions
    return statement


def allows(
    statements: list[dict[str, Any]], principal: str, source_arn: str, source_account: str
) -> bool:
    """Whether a service may invoke the function on behalf of a source."""
    for statement in statements:
        named = statement["Principal"]
        conditions = statement.get("Condition", {})
        account = conditions.get("StringEquals", {}).get("AWS:SourceAccount", source_account)
        arn = conditions.get("ArnLike", {}).get("AWS:SourceArn", source_arn)
        if (
            statement["Action"] in INVOKE
            and (named == "*" or named.get("Service") == principal)
            and account == source_account
            and fnmatch.fnmatchcase(source_arn, arn)
        ):
            return True
    return False
