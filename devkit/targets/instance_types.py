"""Which instance types SageMaker has, for what, and with which processor (§5).

Training and hosting have lists of their own, which overlap. They stand in botocore's model of the
service, so that a newer boto3 knows newer types.
"""

from __future__ import annotations

import difflib
import re
from typing import Literal

from devkit.errors import ConfigError
from devkit.targets.clients import HOW_TO_INSTALL, NO_BOTO3

Use = Literal["training", "hosting"]
Architecture = Literal["amd64", "arm64"]

_SHAPES: dict[Use, str] = {
    "training": "TrainingInstanceType",
    "hosting": "ProductionVariantInstanceType",
}
_SETTINGS: dict[Use, str] = {"training": "train_instance", "hosting": "serve_instance"}
# Graviton stands behind the generation, as in c7g and m6gd; a family that begins with g has GPUs.
# The Grace of NVIDIA's superchips is an Arm processor, too.
_ARM = re.compile(r"ml\.(?:[a-z]+[0-9]+g[a-z]*|[a-z0-9]+-gb[0-9]+)\.")


def instance_types(use: Use) -> tuple[str, ...]:
    """All of them, as far as the boto3 that is installed knows.

    Raises:
        ConfigError: None is.
    """
    try:
        from botocore.loaders import Loader  # noqa: PLC0415 - boto3 is an extra
    except ImportError:
        raise ConfigError(NO_BOTO3, remedy=HOW_TO_INSTALL) from None
    model = Loader().load_service_model("sagemaker", "service-2")
    return tuple(model["shapes"][_SHAPES[use]]["enum"])


def require_instance_type(instance_type: str, use: Use) -> None:
    """Make sure that SageMaker has it.

    Raises:
        ConfigError: It does not, or not for this use.
    """
    known = instance_types(use)
    if instance_type in known:
        return
    other: Use = "hosting" if use == "training" else "training"
    message = f"[aws] {_SETTINGS[use]} = {instance_type!r} is no instance type for {use}"
    if instance_type in instance_types(other):
        message += f"; it is one for {other}"
    close = difflib.get_close_matches(instance_type, known, n=3)
    raise ConfigError(
        message,
        remedy=f"{'take ' + ' or '.join(close) + '; ' if close else ''}a newer boto3 knows newer "
        "ones",
    )


def architecture(instance_type: str) -> Architecture:
    """The processor it has, as images name it."""
    return "arm64" if _ARM.match(instance_type) else "amd64"
