"""What SageMaker may do in the project's name: the trust and the policy of the execution role.

The permissions are those that AWS's guide lists for CreateTrainingJob and CreateModel ("How to use
SageMaker AI execution roles"), each for this project's own bucket, repository, log groups and
namespace only, and for what ``devkit.toml`` names besides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from devkit.channels.locations import S3Uri
from devkit.config import Settings
from devkit.targets.names import Names

POLICY_NAME = "devkit"
VERSION = "2012-10-17"
SERVICE = "sagemaker.amazonaws.com"

Statement = dict[str, Any]

# Whose values may stand alone or in a list, in any order.
_LISTS = frozenset({"Action", "Resource", "Service"})
_OF_CONDITION = ("cloudwatch:", "kms:")  # the keys of the conditions that are used here

_READ_OBJECTS = ("s3:GetObject",)
_WRITE_OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
_READ_BUCKET = ("s3:ListBucket", "s3:GetBucketLocation")
_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_LOG = (
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
)
# AWS's guide: these may not be limited to resources, or the check of a new job fails.
_VPC = (
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)
_KMS = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
)


def trust_policy() -> dict[str, Any]:
    """Who may assume the role: SageMaker."""
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": SERVICE},
                "Action": "sts:AssumeRole",
            }
        ],
    }


def is_trusting(policy: Mapping[str, Any]) -> bool:
    """Whether a trust policy lets SageMaker assume the role."""
    return any(
        statement.get("Effect") == "Allow"
        and SERVICE in _several(statement.get("Principal", {}), "Service")
        and "sts:AssumeRole" in _several(statement, "Action")
        for statement in _several(policy, "Statement")
    )


def execution_policy(names: Names, settings: Settings) -> dict[str, Any]:
    """What the role may do."""
    return {
        "Version": VERSION,
        "Statement": [
            _allow("Bucket", _READ_BUCKET, [names.bucket_arn]),
            _allow("Objects", _WRITE_OBJECTS, [f"{names.bucket_arn}/*"]),
            *_other_places(names, settings),
            *_image(names, settings),
            _allow("Logs", _LOG, [names.arn("logs", "log-group:/aws/sagemaker/*")]),
            {
                **_allow("Metrics", ["cloudwatch:PutMetricData"], ["*"]),
                "Condition": {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
            },
            *_network(settings),
            *_keys(names, settings),
        ],
    }


def is_same(policy: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two policies say the same; Terraform writes a list of one without the list."""
    return bool(_canonical(policy) == _canonical(other))


def _canonical(value: Any, key: str = "") -> Any:
    if key in _LISTS or key.startswith(_OF_CONDITION):
        return sorted(_several({key: value}, key))
    if isinstance(value, Mapping):
        return {name: _canonical(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_canonical(each) for each in value]
    return value


def _image(names: Names, settings: Settings) -> list[Statement]:
    if settings.aws.registry is not None:
        return []
    return [
        _allow("Image", _PULL, [names.repository_arn]),
        _allow("RegistryToken", ["ecr:GetAuthorizationToken"], ["*"]),  # knows no resources
    ]


def _other_places(names: Names, settings: Settings) -> list[Statement]:
    """What ``devkit.toml`` names in other buckets: channels are read, checkpoints written."""
    read = [each.location for each in settings.train.channels]
    write = [settings.aws.checkpoint_uri, settings.train.checkpoints]
    places = {
        kind: sorted(
            {
                (each.bucket, each.prefix)
                for each in found
                if isinstance(each, S3Uri) and each.bucket != names.bucket
            }
        )
        for kind, found in (("read", read), ("write", write))
    }
    buckets = sorted({bucket for found in places.values() for bucket, _ in found})
    statements = []
    if buckets:
        statements.append(
            _allow("OtherBuckets", _READ_BUCKET, [_s3(names, bucket) for bucket in buckets])
        )
    for kind, sid, actions in (
        ("read", "Channels", _READ_OBJECTS),
        ("write", "Checkpoints", _WRITE_OBJECTS),
    ):
        if places[kind]:
            resources = [f"{_s3(names, bucket)}/{prefix}*" for bucket, prefix in places[kind]]
            statements.append(_allow(sid, actions, resources))
    return statements


def _network(settings: Settings) -> list[Statement]:
    return [_allow("Network", _VPC, ["*"])] if settings.aws.vpc_subnets else []


def _keys(names: Names, settings: Settings) -> list[Statement]:
    """The key by its ARN; an alias is a condition on the keys of the account."""
    key = settings.aws.kms_key
    if key is None:
        return []
    alias = key.rpartition(":")[2]
    if alias.startswith("alias/"):
        condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}
        return [{**_allow("Key", _KMS, [names.arn("kms", "key/*")]), "Condition": condition}]
    return [_allow("Key", _KMS, [key if ":" in key else names.arn("kms", f"key/{key}")])]


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def _s3(names: Names, bucket: str) -> str:
    return f"arn:{names.partition}:s3:::{bucket}"


def _several(holder: Any, key: str) -> list[Any]:
    """What IAM lets stand alone or in a list."""
    value = holder.get(key, []) if isinstance(holder, Mapping) else []
    return value if isinstance(value, list) else [value]
