"""What SageMaker's resources are called (contract, section 5)."""

from __future__ import annotations

from devkit.contract import LOCAL_ACCOUNT, LOCAL_REGION


def arn(kind: str, name: str, region: str = LOCAL_REGION, account: str = LOCAL_ACCOUNT) -> str:
    """The ARN of a resource; its name is lower-cased in it.

    Args:
        kind: As ARNs have it: ``training-job``, ``endpoint-config``.
        name: Its name; of what is part of something else, that one's name and a slash before it.
        region: Where it is.
        account: Whose it is.
    """
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name.lower()}"


def kind_of(resource_arn: str) -> str:
    """The kind of resource that an ARN names."""
    return resource_arn.split(":", 5)[-1].partition("/")[0]
