"""What policies allow."""

from __future__ import annotations

from typing import Any

import pytest

from devkit.local_aws.policies import Evaluation, Policy, Unsupported, evaluate, parse


def decide(
    *statements: dict[str, Any],
    action: str = "s3:PutObject",
    resource: str = "arn:aws:s3:::bucket/key",
    **context: list[str],
) -> Evaluation:
    policy = Policy("P", "role", {"Statement": list(statements)})
    given = {name.replace("_", ":"): values for name, values in context.items()}
    return evaluate([policy], action, resource, given)


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    "action", ["*", "s3:*", "s3:Put*", "S3:putobject", "s3:Pu?Object", ["ec2:*", "s3:*"]]
)
def test_an_action_is_allowed_by_its_name_and_by_wildcards(action: Any) -> None:
    assert decide(allow(action)).decision == "allowed"


@pytest.mark.parametrize("action", ["s3:Get*", "ec2:*", "s3", [], "s3:PutObjectAcl"])
def test_what_nothing_allows_is_denied(action: Any) -> None:
    assert decide(allow(action)).decision == "implicitDeny"


def test_a_denial_wins() -> None:
    found = decide(allow(), deny("s3:Put*"))

    assert found.decision == "explicitDeny"
    assert [policy.name for policy in found.matched] == ["P"]


@pytest.mark.parametrize(
    ("resource", "decision"),
    [
        ("arn:aws:s3:::bucket/*", "allowed"),
        ("arn:aws:s3:::*", "allowed"),
        ("arn:aws:s3:::bucket", "implicitDeny"),
        ("arn:aws:s3:::other/*", "implicitDeny"),
    ],
)
def test_a_resource_is_matched_with_wildcards(resource: str, decision: str) -> None:
    assert decide(allow(resource=resource)).decision == decision


def test_everything_but_can_be_said() -> None:
    but_iam = {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}
    but_other = {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::other/*"}

    assert decide(but_iam).decision == "allowed"
    assert decide(but_iam, action="iam:PassRole").decision == "implicitDeny"
    assert decide(but_other).decision == "allowed"
    assert decide(but_other, resource="arn:aws:s3:::other/k").decision == "implicitDeny"


@pytest.mark.parametrize(
    ("condition", "value", "decision"),
    [
        ({"StringEquals": {"aws:x": ["a", "b"]}}, "b", "allowed"),
        ({"StringEquals": {"aws:x": "a"}}, "b", "implicitDeny"),
        ({"StringLike": {"aws:x": "a*"}}, "abc", "allowed"),
        ({"StringNotEquals": {"aws:x": "a"}}, "b", "allowed"),
        ({"StringNotEquals": {"aws:x": "a"}}, "a", "implicitDeny"),
        ({"Bool": {"AWS:X": "true"}}, "True", "allowed"),
        ({"Null": {"aws:x": "false"}}, "here", "allowed"),
        ({"ForAllValues:StringEquals": {"aws:x": ["a"]}}, "a", "allowed"),
        ({"ForAnyValue:StringLike": {"aws:x": ["a?"]}}, "ab", "allowed"),
    ],
)
def test_conditions_are_evaluated(condition: dict[str, Any], value: str, decision: str) -> None:
    assert decide(allow(Condition=condition), aws_x=[value]).decision == decision


def test_a_condition_without_a_value_does_not_hold_and_names_its_key() -> None:
    found = decide(allow(Condition={"StringEquals": {"aws:x": "a"}}))

    assert found.decision == "implicitDeny"
    assert found.missing == ("aws:x",)


@pytest.mark.parametrize("operator", ["StringEqualsIfExists", "Null"])
def test_a_condition_may_hold_without_a_value(operator: str) -> None:
    assert decide(allow(Condition={operator: {"aws:x": "true"}})).decision == "allowed"


def test_an_operator_that_is_not_evaluated_is_said_to_be() -> None:
    with pytest.raises(Unsupported, match="DateGreaterThan"):
        decide(allow(Condition={"DateGreaterThan": {"aws:x": "2026"}}), aws_x=["2027"])


@pytest.mark.parametrize("condition", ["x", {"StringEquals": "x"}])
def test_a_condition_that_is_none_is_refused(condition: Any) -> None:
    with pytest.raises(Unsupported, match="condition"):
        decide(allow(Condition=condition))


def test_variables_are_filled_in() -> None:
    statement = allow(resource="arn:aws:s3:::bucket/${aws:username}/*")

    found = decide(statement, resource="arn:aws:s3:::bucket/ann/k", aws_username=["ann"])

    assert found.decision == "allowed"


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(Unsupported):
        parse(text)


def test_a_pattern_of_many_wildcards_takes_no_time() -> None:
    assert decide(allow("*" * 5000 + "x"), action="s3:" + "y" * 5000).decision == "implicitDeny"
