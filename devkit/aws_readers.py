"""Readers of what stands in ``[aws]``, and what of it has to fit together.

Patterns and limits are those of AWS's own models (§5). Instance types are not checked here: their
lists are in botocore, which only who goes to AWS has to load (``targets/instance_types.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from devkit.channels.locations import S3Uri, parse_s3_uri
from devkit.errors import ConfigError
from devkit.readers import Raw, text, words

DEFAULT_TRAIN_INSTANCE = "ml.m5.large"
DEFAULT_SERVE_INSTANCE = "ml.m5.xlarge"
DEFAULT_VOLUME_GB = 30
MAX_VOLUME_GB = 16_384

_REGION = re.compile(r"[a-z]{2,5}(-[a-z]+)+-[0-9]")
_ROLE = re.compile(r"[\w+=,.@-]{1,64}|arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+")
_BUCKET = re.compile(r"(?!xn--|[0-9.]+$)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_REPOSITORY_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?=.{{2,256}}$){_REPOSITORY_PART}(?:/{_REPOSITORY_PART})*")
_REGISTRY = re.compile(r"[a-zA-Z0-9.-]+(?::[0-9]{1,5})?")
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")
_KMS_KEY = re.compile(r"[a-zA-Z0-9:/_-]{1,2048}")
_SUBNET = re.compile(r"subnet-[0-9a-zA-Z]{1,25}")
_SECURITY_GROUP = re.compile(r"sg-[0-9a-zA-Z]{1,29}")
_TAG = re.compile(r"[\w\s.:/=+\-@]*")
_MAX_SUBNETS = 16
_MAX_SECURITY_GROUPS = 5
_MAX_TAG_VALUE_CHARS = 256
_MAX_TAG_KEY_CHARS = 128
MAX_TAGS = 45
"""AWS takes 50; five are left for devkit's own."""


def region(raw: Raw) -> str:
    """A region of AWS."""
    return _matching(raw, _REGION, "a region, such as us-east-1")


def role(raw: Raw) -> str:
    """An IAM role, by name or ARN."""
    return _matching(raw, _ROLE, "the name or the ARN of an IAM role")


def bucket(raw: Raw) -> str:
    """A bucket of S3."""
    return _matching(
        raw, _BUCKET, "the name of a bucket: 3 to 63 lower-case letters, digits, - and ."
    )


def repository(raw: Raw) -> str:
    """A repository of ECR."""
    return _matching(
        raw, _REPOSITORY, "the name of a repository: 2 to 256 lower-case letters, digits, -, _, /"
    )


def registry(raw: Raw) -> str:
    """A registry of images."""
    return _matching(raw, _REGISTRY, "a registry without a scheme, such as localhost:5000")


def instance_type(raw: Raw) -> str:
    """The shape of an instance type."""
    return _matching(raw, _INSTANCE_TYPE, "an instance type, such as ml.m5.large")


def kms_key(raw: Raw) -> str:
    """A key of KMS."""
    return _matching(raw, _KMS_KEY, "the id, the ARN or the alias (alias/NAME) of a KMS key")


def subnets(raw: Raw) -> tuple[str, ...]:
    """The subnets of a VPC."""
    return _several(
        raw, _SUBNET, _MAX_SUBNETS, f'up to {_MAX_SUBNETS} subnets: ["subnet-…", "subnet-…"]'
    )


def security_groups(raw: Raw) -> tuple[str, ...]:
    """The security groups of a VPC."""
    return _several(
        raw,
        _SECURITY_GROUP,
        _MAX_SECURITY_GROUPS,
        f'up to {_MAX_SECURITY_GROUPS} security groups: ["sg-…"]',
    )


def tag_value(raw: Raw) -> str:
    """The value of a tag."""
    value = raw.value
    if not isinstance(value, str) or len(value) > _MAX_TAG_VALUE_CHARS or not _TAG.fullmatch(value):
        raise ValueError(f"text of at most {_MAX_TAG_VALUE_CHARS} letters, digits and _.:/=+-@")
    return value


def s3_uri(raw: Raw) -> S3Uri:
    """A place in S3."""
    value = text(raw)
    try:
        return parse_s3_uri(value)
    except ConfigError:
        raise ValueError("a place in S3: s3://bucket/prefix") from None


def problems(values: Mapping[str, Any]) -> list[str]:
    """What does not fit together; ``values`` by their dotted keys, as ``schema`` has read them."""
    found = [
        f"aws.tags: {key!r} is no key of a tag: 1 to {_MAX_TAG_KEY_CHARS} letters, digits and "
        "_.:/=+-@, not beginning with aws: or devkit:"
        for key in values["aws.tags"]
        if not _is_tag_key(key)
    ]
    if len(values["aws.tags"]) > MAX_TAGS:
        found.append(f"aws.tags: there may be {MAX_TAGS}")
    if bool(values["aws.vpc_subnets"]) != bool(values["aws.vpc_security_groups"]):
        found.append("aws.vpc_subnets and aws.vpc_security_groups: a VPC needs both")
    wait = values["aws.max_wait_s"]
    if wait is not None and not values["aws.spot"]:
        found.append("aws.max_wait_s: only spot capacity is waited for: spot = true")
    if wait is not None and wait < values["train.max_run_s"]:
        found.append(
            f"aws.max_wait_s = {wait}: must be at least train.max_run_s "
            f"({values['train.max_run_s']}), which is a part of it"
        )
    return found


def _is_tag_key(key: str) -> bool:
    reserved = key.lower().startswith(("aws:", "devkit:"))
    return 0 < len(key) <= _MAX_TAG_KEY_CHARS and bool(_TAG.fullmatch(key)) and not reserved


def _matching(raw: Raw, pattern: re.Pattern[str], allowed: str) -> str:
    if not isinstance(raw.value, str) or not pattern.fullmatch(raw.value):
        raise ValueError(allowed)
    return raw.value


def _several(raw: Raw, pattern: re.Pattern[str], most: int, allowed: str) -> tuple[str, ...]:
    try:
        values = words(raw)
    except ValueError:
        raise ValueError(allowed) from None
    if len(values) > most or not all(pattern.fullmatch(each) for each in values):
        raise ValueError(allowed)
    return values
