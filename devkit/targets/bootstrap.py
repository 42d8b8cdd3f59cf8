"""What a project needs in an account before its first job: a bucket, a repository, a role.

What there is is looked at first, and the plan has only what is missing or has come to differ. What
somebody else made under a name that the settings give is used as it is, and never changed: devkit's
own has its tag, or a name that only devkit derives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from devkit.config import Settings
from devkit.errors import ConfigError
from devkit.targets.clients import CallFailed, Clients
from devkit.targets.names import Names
from devkit.targets.plan import Plan, Resource, Step
from devkit.targets.role_policy import (
    POLICY_NAME,
    execution_policy,
    is_same,
    is_trusting,
    trust_policy,
)

State = Literal["missing", "there", "differs", "used as it is"]

TAG = "devkit:project"
_PUBLIC_ACCESS = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_FIRST_REGION = "us-east-1"  # whose buckets have no location


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One of the things, as it is in the account."""

    resource: Resource
    state: State
    steps: tuple[Step, ...] = ()
    """What would put it right."""
    warning: str | None = None
    """What devkit does not put right."""

    def document(self) -> dict[str, Any]:
        """It for machines."""
        return {**self.resource.document(), "state": self.state, "warning": self.warning}


def look(clients: Clients, names: Names, settings: Settings) -> tuple[Finding, ...]:
    """What there is of what the project needs.

    Raises:
        CallFailed: AWS does not say.
        ConfigError: The bucket's name is somebody else's.
    """
    findings = [_bucket(clients, names, settings)]
    if settings.aws.registry is None:
        findings.append(_repository(clients, names, settings))
    return (*findings, _role(clients, names, settings))


def plan_of(findings: tuple[Finding, ...]) -> Plan:
    """All that is to be done."""
    return Plan(tuple(step for finding in findings for step in finding.steps))


def tags_of(settings: Settings) -> list[dict[str, str]]:
    """What everything is tagged with that devkit makes."""
    tags = {**settings.aws.tags, TAG: settings.name}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# --- the bucket ------------------------------------------------------------------------------


def _bucket(clients: Clients, names: Names, settings: Settings) -> Finding:
    bucket = Resource(kind="bucket", name=names.bucket, arn=names.bucket_arn)
    its = {"Bucket": names.bucket, "ExpectedBucketOwner": names.account}
    access = _step_for_access(its, names)
    encryption = _step_for_encryption(its, names, settings)
    try:
        clients.call("s3", "HeadBucket", its)
    except CallFailed as error:
        if error.code not in ("404", "NoSuchBucket"):
            raise _not_yours(error, names) from error
        made = (_step_to_create_bucket(bucket, names), _step_for_tags(its, names, settings))
        return Finding(resource=bucket, state="missing", steps=(*made, access, encryption))
    tagged = _asked(clients, "s3", "GetBucketTagging", its, missing="NoSuchTagSet")
    if not _is_ours(settings.aws.bucket, (tagged or {}).get("TagSet", ()), settings):
        return Finding(resource=bucket, state="used as it is")
    steps = []
    if not _is_private(clients, its):
        steps.append(access)
    if not _is_encrypted(clients, its, settings):
        steps.append(encryption)
    return _finding(bucket, steps)


def _step_to_create_bucket(bucket: Resource, names: Names) -> Step:
    parameters: dict[str, Any] = {"Bucket": names.bucket}
    if names.region != _FIRST_REGION:
        parameters["CreateBucketConfiguration"] = {"LocationConstraint": names.region}
    return Step(
        service="s3",
        operation="CreateBucket",
        parameters=parameters,
        creates=bucket,
        says=f"create the bucket {names.bucket}",
    )


def _step_for_tags(its: Mapping[str, str], names: Names, settings: Settings) -> Step:
    return Step(
        service="s3",
        operation="PutBucketTagging",
        parameters={**its, "Tagging": {"TagSet": tags_of(settings)}},
        says=f"tag {names.bucket} as this project's",
    )


def _step_for_access(its: Mapping[str, str], names: Names) -> Step:
    return Step(
        service="s3",
        operation="PutPublicAccessBlock",
        parameters={**its, "PublicAccessBlockConfiguration": _PUBLIC_ACCESS},
        says=f"block public access to {names.bucket}",
    )


def _step_for_encryption(its: Mapping[str, str], names: Names, settings: Settings) -> Step:
    key = settings.aws.kms_key
    default = (
        {"SSEAlgorithm": "AES256"}
        if key is None
        else {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    )
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": key is not None}
    return Step(
        service="s3",
        operation="PutBucketEncryption",
        parameters={**its, "ServerSideEncryptionConfiguration": {"Rules": [rule]}},
        says=f"encrypt {names.bucket} with {f'the key {key}' if key else 'keys of S3'}",
    )


def _is_private(clients: Clients, its: Mapping[str, str]) -> bool:
    missing = "NoSuchPublicAccessBlockConfiguration"
    found = _asked(clients, "s3", "GetPublicAccessBlock", its, missing=missing) or {}
    return dict(found.get("PublicAccessBlockConfiguration", {})) == _PUBLIC_ACCESS


def _is_encrypted(clients: Clients, its: Mapping[str, str], settings: Settings) -> bool:
    missing = "ServerSideEncryptionConfigurationNotFoundError"
    found = _asked(clients, "s3", "GetBucketEncryption", its, missing=missing) or {}
    rules = found.get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
    defaults = [each.get("ApplyServerSideEncryptionByDefault", {}) for each in rules]
    key = settings.aws.kms_key
    return any(key is None or default.get("KMSMasterKeyID") == key for default in defaults)


def _not_yours(error: CallFailed, names: Names) -> Exception:
    if error.code not in ("403", "AccessDenied"):
        return error
    return ConfigError(
        f"the bucket {names.bucket} is another account's, or closed to you",
        remedy="name another one: [aws] bucket in devkit.toml",
    )


# --- the repository --------------------------------------------------------------------------


def _repository(clients: Clients, names: Names, settings: Settings) -> Finding:
    resource = Resource(kind="repository", name=names.image_repository, arn=names.repository_arn)
    scanning = {"scanOnPush": True}
    wanted = {"repositoryNames": [names.repository], "registryId": names.account}
    found = _asked(
        clients, "ecr", "DescribeRepositories", wanted, missing="RepositoryNotFoundException"
    )
    if found is None:
        parameters: dict[str, Any] = {
            "repositoryName": names.repository,
            "imageScanningConfiguration": scanning,
            "tags": tags_of(settings),
        }
        if settings.aws.kms_key is not None:
            parameters["encryptionConfiguration"] = {
                "encryptionType": "KMS",
                "kmsKey": settings.aws.kms_key,
            }
        step = Step(
            service="ecr",
            operation="CreateRepository",
            parameters=parameters,
            creates=resource,
            says=f"create the repository {names.repository}, scanned on push",
        )
        return Finding(resource=resource, state="missing", steps=(step,))
    (repository,) = found["repositories"]
    tags = clients.call("ecr", "ListTagsForResource", {"resourceArn": names.repository_arn})
    if not _is_ours(settings.aws.repository, tags.get("tags", ()), settings):
        return Finding(resource=resource, state="used as it is")
    if repository.get("imageScanningConfiguration", {}).get("scanOnPush"):
        return Finding(resource=resource, state="there")
    step = Step(
        service="ecr",
        operation="PutImageScanningConfiguration",
        parameters={
            "repositoryName": names.repository,
            "imageScanningConfiguration": scanning,
        },
        says=f"scan images that are pushed to {names.repository}",
    )
    return _finding(resource, [step])


# --- the role --------------------------------------------------------------------------------


def _role(clients: Clients, names: Names, settings: Settings) -> Finding:
    resource = Resource(kind="role", name=names.role, arn=names.role_arn)
    if f"::{names.account}:" not in names.role_arn:
        return Finding(
            resource=resource,
            state="used as it is",
            warning=f"{names.role_arn} is in another account, where it cannot be looked at",
        )
    its = {"RoleName": names.role}
    found = _asked(clients, "iam", "GetRole", its, missing="NoSuchEntity")
    policy = _step_for_policy(names, settings)
    if found is None:
        create = _step_to_create_role(resource, names, settings)
        return Finding(resource=resource, state="missing", steps=(create, policy))
    role = found["Role"]
    trusting = is_trusting(_document(role["AssumeRolePolicyDocument"]))
    if not _is_ours(settings.aws.role, role.get("Tags", ()), settings):
        warning = None if trusting else f"{names.role} does not trust sagemaker.amazonaws.com"
        return Finding(resource=resource, state="used as it is", warning=warning)
    steps = [] if trusting else [_step_for_trust(names)]
    its_policy = {**its, "PolicyName": POLICY_NAME}
    granted = _asked(clients, "iam", "GetRolePolicy", its_policy, missing="NoSuchEntity")
    wanted = execution_policy(names, settings)
    if granted is None or not is_same(_document(granted["PolicyDocument"]), wanted):
        steps.append(policy)
    return _finding(resource, steps)


def _step_to_create_role(resource: Resource, names: Names, settings: Settings) -> Step:
    path = names.role_arn.partition(":role/")[2].removesuffix(names.role)
    return Step(
        service="iam",
        operation="CreateRole",
        parameters={
            "RoleName": names.role,
            "Path": f"/{path}",
            "AssumeRolePolicyDocument": json.dumps(trust_policy()),
            "Description": f"What SageMaker may do for the devkit project {settings.name}",
            "Tags": tags_of(settings),
        },
        creates=resource,
        says=f"create the execution role {names.role}, for SageMaker",
    )


def _step_for_policy(names: Names, settings: Settings) -> Step:
    return Step(
        service="iam",
        operation="PutRolePolicy",
        parameters={
            "RoleName": names.role,
            "PolicyName": POLICY_NAME,
            "PolicyDocument": json.dumps(execution_policy(names, settings)),
        },
        says=f"let {names.role} use this bucket, this repository, its logs and metrics",
    )


def _step_for_trust(names: Names) -> Step:
    return Step(
        service="iam",
        operation="UpdateAssumeRolePolicy",
        parameters={"RoleName": names.role, "PolicyDocument": json.dumps(trust_policy())},
        says=f"let SageMaker assume {names.role}",
    )


# --- what all have in common -----------------------------------------------------------------


def _finding(resource: Resource, steps: list[Step]) -> Finding:
    return Finding(resource=resource, state="differs" if steps else "there", steps=tuple(steps))


def _is_ours(named: str | None, tags: Any, settings: Settings) -> bool:
    """Whether devkit made it: under a name that nobody set, or with its tag."""
    return named is None or {"Key": TAG, "Value": settings.name} in [dict(each) for each in tags]


def _asked(
    clients: Clients, service: str, operation: str, parameters: Mapping[str, Any], *, missing: str
) -> Mapping[str, Any] | None:
    """The answer; ``None`` where there is no such thing."""
    try:
        return clients.call(service, operation, parameters)
    except CallFailed as error:
        if error.code != missing:
            raise
        return None


def _document(policy: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """A policy: boto3 decodes it, the API has it as text."""
    found: Mapping[str, Any] = json.loads(policy) if isinstance(policy, str) else policy
    return found
