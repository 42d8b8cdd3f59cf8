"""Who the caller is, and what a role may do.

The SageMaker SDK takes its execution role from STS: whoever has not made a user or role of their
own is in a session of one that exists in IAM from the start, as in SageMaker Studio. IAM and STS
themselves are moto's; GetCallerIdentity is put right here, and the policy simulator, which moto
does not have, is added.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from devkit.contract import LOCAL_ACCOUNT
from devkit.local_aws import policies
from devkit.local_aws.errors import AwsError
from devkit.local_aws.keys import DUMMY_KEY
from devkit.local_aws.policies import Policy
from devkit.local_aws.services import Backend, Call, Handler, Result, StatelessService

if TYPE_CHECKING:
    from devkit.local_aws.moto_app import Moto

ROLE_NAME = "SageMakerExecutionRole"
ROLE_ARN = f"arn:aws:iam::{LOCAL_ACCOUNT}:role/{ROLE_NAME}"
SESSION_NAME = "devkit"

_EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
# What moto says of a caller whose key it does not know.
_NOBODY = re.compile(r"arn:aws[^:]*:sts::\d+:user/moto")
_PRINCIPAL = re.compile(
    r"arn:aws[^:]*:(?:iam|sts)::\d{12}:(user|group|role|assumed-role)/(?:.*/)?([^/]+)"
)
_SESSION = re.compile(r"arn:aws[^:]*:sts::\d{12}:assumed-role/([^/]+)/[^/]+")
_ALL_RESOURCES = ("*",)


def trust(service: str) -> str:
    """The document of a role that a service may assume."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def make_role(moto: Moto) -> None:
    """Make the execution role; called whenever moto is empty."""
    parameters = {
        "RoleName": ROLE_NAME,
        "AssumeRolePolicyDocument": trust("sagemaker"),
        "Description": "The execution role of devkit's local AWS",
        "MaxSessionDuration": 43200,
    }
    moto.tell("iam", "CreateRole", parameters, keep=False)
    policy = {
        "RoleName": ROLE_NAME,
        "PolicyName": "Everything",
        "PolicyDocument": json.dumps(_EVERYTHING),
    }
    moto.tell("iam", "PutRolePolicy", policy, keep=False)


class CallerIdentity(StatelessService):
    """STS: who asks."""

    name = "sts"

    @property
    def operations(self) -> Mapping[str, Handler]:
        """What is answered here; the rest of STS is moto's."""
        return {"GetCallerIdentity": self._get_caller_identity}

    async def _get_caller_identity(self, call: Call) -> Result:
        if call.access_key != DUMMY_KEY:
            caller = await call.backend.ask(
                "sts", "GetCallerIdentity", {}, access_key=call.access_key, region=call.region
            )
            if not _NOBODY.fullmatch(str(caller["Arn"])):
                return Result(members=caller)
        role = await call.backend.ask("iam", "GetRole", {"RoleName": ROLE_NAME})
        return Result(
            members={
                "UserId": f"{role['Role']['RoleId']}:{SESSION_NAME}",
                "Account": call.account,
                "Arn": f"arn:aws:sts::{call.account}:assumed-role/{ROLE_NAME}/{SESSION_NAME}",
            }
        )


class PolicySimulator(StatelessService):
    """IAM: what policies allow."""

    name = "iam"

    @property
    def operations(self) -> Mapping[str, Handler]:
        """What is answered here; the rest of IAM is moto's."""
        return {
            "SimulatePrincipalPolicy": self._simulate_principal_policy,
            "SimulateCustomPolicy": self._simulate_custom_policy,
        }

    async def _simulate_principal_policy(self, call: Call) -> Result:
        kind, name = _principal(call.parameters["PolicySourceArn"])
        attached, boundary = await _policies_of(call.backend, kind, name)
        return _simulate(call.parameters, attached, boundary)

    async def _simulate_custom_policy(self, call: Call) -> Result:
        return _simulate(call.parameters, [], [])


def _principal(arn: str) -> tuple[str, str]:
    session = _SESSION.fullmatch(arn)
    if session:
        return "role", session[1]
    match = _PRINCIPAL.fullmatch(arn)
    if match is None:
        raise AwsError("InvalidInput", f"Invalid Entity Arn: {arn} does not name a principal.")
    return match[1], match[2]


async def _policies_of(backend: Backend, kind: str, name: str) -> tuple[list[Policy], list[Policy]]:
    """The policies of a user, group or role, and its permissions boundary."""
    found = [policy async for policy in _of_one(backend, kind, name)]
    if kind == "group":
        return found, []
    noun = kind.capitalize()
    entity = (await backend.ask("iam", f"Get{noun}", {f"{noun}Name": name}))[noun]
    if kind == "user":
        groups = await backend.ask("iam", "ListGroupsForUser", {"UserName": name})
        for group in groups["Groups"]:
            found += [each async for each in _of_one(backend, "group", group["GroupName"])]
    arn = entity.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return found, [] if arn is None else [await _managed(backend, arn)]


async def _of_one(backend: Backend, kind: str, name: str) -> AsyncIterator[Policy]:
    noun = kind.capitalize()
    who = {f"{noun}Name": name}
    inline = await backend.ask("iam", f"List{noun}Policies", who)
    for each in inline["PolicyNames"]:
        policy = await backend.ask("iam", f"Get{noun}Policy", {**who, "PolicyName": each})
        document = policy["PolicyDocument"]
        yield Policy(f"{kind}_{name}_{each}", kind, _document(document))
    attached = await backend.ask("iam", f"ListAttached{noun}Policies", who)
    for each in attached["AttachedPolicies"]:
        yield await _managed(backend, each["PolicyArn"])


async def _managed(backend: Backend, arn: str) -> Policy:
    policy = (await backend.ask("iam", "GetPolicy", {"PolicyArn": arn}))["Policy"]
    version = await backend.ask(
        "iam", "GetPolicyVersion", {"PolicyArn": arn, "VersionId": policy["DefaultVersionId"]}
    )
    kind = "aws-managed" if ":aws:policy/" in arn else "user-managed"
    return Policy(arn.rpartition("/")[2], kind, _document(version["PolicyVersion"]["Document"]))


def _document(document: Any) -> Mapping[str, Any]:
    """IAM gives documents URL-encoded, and some clients' parsers decode them."""
    return document if isinstance(document, Mapping) else policies.parse(unquote(str(document)))


def _simulate(
    parameters: Mapping[str, Any], attached: Sequence[Policy], boundary: Sequence[Policy]
) -> Result:
    if "ResourcePolicy" in parameters:
        raise AwsError("InvalidInput", "devkit's local AWS does not evaluate a ResourcePolicy.")
    try:
        given = _given(parameters.get("PolicyInputList", ()), "PolicyInputList")
        limits = [
            *boundary,
            *_given(parameters.get("PermissionsBoundaryPolicyInputList", ()), "Boundary"),
        ]
        context = {
            entry["ContextKeyName"].lower(): entry.get("ContextKeyValues", [])
            for entry in parameters.get("ContextEntries", ())
        }
        decide = _decider([*attached, *given], limits, context)
        results = [
            decide(action, resource)
            for action in parameters["ActionNames"]
            for resource in parameters.get("ResourceArns", _ALL_RESOURCES)
        ]
    except policies.Unsupported as error:
        raise AwsError("InvalidInput", f"{error}.") from error
    return Result(members={"EvaluationResults": results, "IsTruncated": False})


def _given(documents: Sequence[str], name: str) -> list[Policy]:
    return [
        Policy(f"{name}.{number}", "none", policies.parse(text))
        for number, text in enumerate(documents, start=1)
    ]


def _decider(
    own: Sequence[Policy], limits: Sequence[Policy], context: Mapping[str, Sequence[str]]
) -> Callable[[str, str], dict[str, Any]]:
    def decide(action: str, resource: str) -> dict[str, Any]:
        found = policies.evaluate(own, action, resource, context)
        decision = found.decision
        details: dict[str, Any] = {}
        if limits:
            within = policies.evaluate(limits, action, resource, context).decision
            details["PermissionsBoundaryDecisionDetail"] = {
                "AllowedByPermissionsBoundary": within == "allowed"
            }
            if within != "allowed" and decision == "allowed":
                decision = within
        return {
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": decision,
            "MatchedStatements": [
                {"SourcePolicyId": policy.name, "SourcePolicyType": policy.kind}
                for policy in found.matched
            ],
            "MissingContextValues": list(found.missing),
            **details,
        }

    return decide
