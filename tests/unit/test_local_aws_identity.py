"""Who the caller is, and what it may do, with a backend that holds what a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from devkit.local_aws.errors import AwsError
from devkit.local_aws.identity import ROLE_NAME, CallerIdentity, PolicySimulator
from devkit.local_aws.services import Call, Result

ROLE_ARN = f"arn:aws:iam::123456789012:role/{ROLE_NAME}"


def policy(*actions: str, effect: str = "Allow") -> str:
    statement = {"Effect": effect, "Action": list(actions), "Resource": "*"}
    return json.dumps({"Statement": [statement]})


class Iam:
    """A backend whose answers are functions of the parameters."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {
            "GetRole": {"Role": {"RoleName": ROLE_NAME, "RoleId": "AROAX"}},
            "ListRolePolicies": {"PolicyNames": ["inline"]},
            "GetRolePolicy": {"PolicyDocument": quote(policy("s3:*"))},
            "ListAttachedRolePolicies": {"AttachedPolicies": []},
            **answers,
        }
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    async def ask(
        self,
        service: str,  # noqa: ARG002
        operation: str,
        parameters: Mapping[str, Any],
        *,
        access_key: str | None = None,  # noqa: ARG002
        region: str = "us-east-1",  # noqa: ARG002
    ) -> dict[str, Any]:
        self.asked.append((operation, parameters))
        if operation not in self.answers:
            raise AwsError("NoSuchEntity", f"no answer to {operation}", 404)
        answer = self.answers[operation]
        found: dict[str, Any] = answer(parameters) if isinstance(answer, Callable) else answer  # type: ignore[arg-type]
        return found


def call(backend: Iam, operation: str, **parameters: Any) -> Mapping[str, Any]:
    service = CallerIdentity() if operation == "GetCallerIdentity" else PolicySimulator()
    handler = service.operations[operation]

    async def answer() -> Result:
        return await handler(
            Call(
                service=service.name,
                operation=operation,
                parameters=parameters,
                backend=backend,
                request_id="id",
                access_key="AKIA",
            )
        )

    return asyncio.run(answer()).members


def simulate(backend: Iam, *actions: str, **more: Any) -> list[Mapping[str, Any]]:
    parameters = {"PolicySourceArn": ROLE_ARN, "ActionNames": list(actions), **more}
    found: list[Mapping[str, Any]] = call(backend, "SimulatePrincipalPolicy", **parameters)[
        "EvaluationResults"
    ]
    return found


def decisions(results: list[Mapping[str, Any]]) -> list[str]:
    return [result["EvalDecision"] for result in results]


def test_an_unknown_caller_is_in_a_session_of_the_execution_role() -> None:
    nobody = {"UserId": "X", "Account": "1", "Arn": "arn:aws:sts::123456789012:user/moto"}

    assert call(Iam(GetCallerIdentity=nobody), "GetCallerIdentity") == {
        "UserId": "AROAX:devkit",
        "Account": "123456789012",
        "Arn": f"arn:aws:sts::123456789012:assumed-role/{ROLE_NAME}/devkit",
    }


def test_a_caller_that_iam_knows_is_itself() -> None:
    ann = {"UserId": "A", "Account": "1", "Arn": "arn:aws:iam::123456789012:user/ann"}

    assert call(Iam(GetCallerIdentity=ann), "GetCallerIdentity") == ann


def test_a_role_may_what_its_inline_policy_allows() -> None:
    results = simulate(Iam(), "s3:PutObject", "ec2:RunInstances")

    assert decisions(results) == ["allowed", "implicitDeny"]
    assert results[0]["MatchedStatements"] == [
        {"SourcePolicyId": f"role_{ROLE_NAME}_inline", "SourcePolicyType": "role"}
    ]


def test_a_role_may_what_an_attached_policy_allows() -> None:
    arn = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
    iam = Iam(
        ListAttachedRolePolicies={"AttachedPolicies": [{"PolicyArn": arn}]},
        GetPolicy={"Policy": {"DefaultVersionId": "v3"}},
        GetPolicyVersion=lambda parameters: {
            "PolicyVersion": {
                "Document": json.loads(
                    policy("sagemaker:*" if parameters["VersionId"] == "v3" else "x:*")
                )
            }
        },
    )

    (result,) = simulate(iam, "sagemaker:CreateModel")

    assert result["EvalDecision"] == "allowed"
    assert result["MatchedStatements"][0]["SourcePolicyType"] == "aws-managed"


def test_a_session_is_its_role() -> None:
    arn = f"arn:aws:sts::123456789012:assumed-role/{ROLE_NAME}/devkit"

    assert decisions(simulate(Iam(), "s3:PutObject", PolicySourceArn=arn)) == ["allowed"]


def test_a_user_may_what_its_groups_may() -> None:
    iam = Iam(
        GetUser={"User": {"UserName": "ann"}},
        ListUserPolicies={"PolicyNames": []},
        ListAttachedUserPolicies={"AttachedPolicies": []},
        ListGroupsForUser={"Groups": [{"GroupName": "g"}]},
        ListGroupPolicies={"PolicyNames": ["p"]},
        GetGroupPolicy={"PolicyDocument": policy("sqs:*")},
        ListAttachedGroupPolicies={"AttachedPolicies": []},
    )

    results = simulate(
        iam, "sqs:SendMessage", PolicySourceArn="arn:aws:iam::123456789012:user/path/ann"
    )

    assert decisions(results) == ["allowed"]


def test_a_permissions_boundary_limits_a_role() -> None:
    boundary = "arn:aws:iam::123456789012:policy/B"
    iam = Iam(
        GetRole={"Role": {"PermissionsBoundary": {"PermissionsBoundaryArn": boundary}}},
        GetPolicy={"Policy": {"DefaultVersionId": "v1"}},
        GetPolicyVersion={"PolicyVersion": {"Document": json.loads(policy("s3:Get*"))}},
    )

    get, put = simulate(iam, "s3:GetObject", "s3:PutObject")

    assert (get["EvalDecision"], put["EvalDecision"]) == ("allowed", "implicitDeny")
    assert put["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}


def test_given_policies_are_added_and_a_denial_wins() -> None:
    denial = policy("s3:Delete*", effect="Deny")

    results = simulate(Iam(), "s3:DeleteObject", PolicyInputList=[denial])

    assert decisions(results) == ["explicitDeny"]


def test_every_action_is_tried_on_every_resource() -> None:
    results = simulate(Iam(), "s3:A", "s3:B", ResourceArns=["arn:a", "arn:b"])

    assert [(r["EvalActionName"], r["EvalResourceName"]) for r in results] == [
        ("s3:A", "arn:a"),
        ("s3:A", "arn:b"),
        ("s3:B", "arn:a"),
        ("s3:B", "arn:b"),
    ]


def test_policies_can_be_tried_without_a_principal() -> None:
    found = call(
        Iam(),
        "SimulateCustomPolicy",
        PolicyInputList=[policy("s3:*")],
        ActionNames=["s3:A", "x:B"],
    )

    assert decisions(found["EvaluationResults"]) == ["allowed", "implicitDeny"]
    assert found["IsTruncated"] is False


def test_a_role_that_is_not_there_is_told_as_iam_tells_it() -> None:
    iam = Iam()
    del iam.answers["ListRolePolicies"]

    with pytest.raises(AwsError, match="NoSuchEntity"):
        simulate(iam, "s3:A")


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"PolicySourceArn": "arn:aws:s3:::bucket"}, "does not name a principal"),
        ({"PolicyInputList": ["{"]}, "not JSON"),
        ({"ResourcePolicy": "{}"}, "ResourcePolicy"),
    ],
)
def test_what_is_not_evaluated_is_refused(parameters: dict[str, Any], text: str) -> None:
    with pytest.raises(AwsError, match=text) as refused:
        simulate(Iam(), "s3:A", **parameters)
    assert refused.value.code == "InvalidInput"
