"""What things in an account are called: decided before the first call, from what is set.

ARNs follow from names, account and region. So a plan is whole before anything is made, and each of
its steps can name what an earlier one will make.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from devkit.config import Settings

# A bucket has at most 63 characters: devkit-, this, -, account, -, region.
_MAX_BUCKET_PART_CHARS = 28
_ROLE_ARN = re.compile(r"arn:[^:]+:iam::(?P<account>[0-9]{12}):role/(?:.*/)?(?P<name>[^/]+)")
# By the beginning of a region: its partition, and the end of its host names.
_PARTITIONS = {
    "cn-": ("aws-cn", "amazonaws.com.cn"),
    "us-gov-": ("aws-us-gov", "amazonaws.com"),
    "eusc-": ("aws-eusc", "amazonaws.eu"),
}
_AWS = ("aws", "amazonaws.com")


@dataclass(frozen=True, kw_only=True)
class Names:
    """The names of a project's things in an account and region."""

    project: str
    account: str
    region: str
    partition: str
    """``aws``, or another beginning of ARNs."""
    role_arn: str
    bucket: str
    repository: str
    registry: str
    """The host of ECR, or what stands for it."""

    @property
    def role(self) -> str:
        """The execution role, without its path."""
        return self.role_arn.rpartition("/")[2]

    @property
    def bucket_arn(self) -> str:
        """The bucket."""
        return f"arn:{self.partition}:s3:::{self.bucket}"

    @property
    def repository_arn(self) -> str:
        """The repository in ECR."""
        return self.arn("ecr", f"repository/{self.repository}")

    @property
    def image_repository(self) -> str:
        """Where images are pushed to, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def names_of(
    settings: Settings, *, account: str, region: str, partition: str | None = None
) -> Names:
    """The names that the settings say, and those that follow from the project's.

    Args:
        settings: The project's.
        account: Whose they are.
        region: Where they are.
        partition: Which begins ARNs; by default the region's.
    """
    aws = settings.aws
    found, suffix = partition_of(region)
    partition = partition or found
    role = aws.role or f"devkit-{settings.name}"
    is_arn = _ROLE_ARN.fullmatch(role) is not None
    return Names(
        project=settings.name,
        account=account,
        region=region,
        partition=partition,
        role_arn=role if is_arn else f"arn:{partition}:iam::{account}:role/{role}",
        bucket=aws.bucket or f"devkit-{_bucket_part(settings.name)}-{account}-{region}",
        repository=aws.repository or repository_name(settings.name),
        registry=aws.registry or f"{account}.dkr.ecr.{region}.{suffix}",
    )


def partition_of(region: str) -> tuple[str, str]:
    """A region's partition, and the end of its host names."""
    return next(
        (found for beginning, found in _PARTITIONS.items() if region.startswith(beginning)), _AWS
    )


def repository_name(project: str) -> str:
    """A project's name as ECR takes it: lower case, two characters at least."""
    name = project.lower()
    return name if len(name) > 1 else f"devkit-{name}"


def _bucket_part(project: str) -> str:
    return project.lower()[:_MAX_BUCKET_PART_CHARS].rstrip("-")
