"""The endpoint of a project: its newest model, deployed; one is trained where there is none."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from devkit.errors import DevkitError
from devkit.local_aws.environment import DEFAULT_BUCKET
from devkit.local_aws.errors import AwsError
from devkit.local_aws.identity import ROLE_ARN

MADE_HERE = "devkit-"
"""How the names of endpoint configurations begin that are made here."""
_NAME_CHARACTERS = 63
_DIGEST_CHARACTERS = 8
_INSTANCE_TYPE = "ml.m5.large"  # one that a client may name again
_POLL_S = 0.05


class Call(Protocol):
    """Calls an operation; see ``LocalAws.call``."""

    def __call__(
        self, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """What it answers."""


Upload = Callable[[Path, str, str], None]
"""Uploads a file to a bucket, under a key."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """What an endpoint is to serve."""

    job: str
    """The name of the job that has made it."""
    archive: Path
    """Its ``model.tar.gz``."""
    image: str
    """The project's, by name."""
    environment: Mapping[str, str]
    """The variables of ``serve``."""

    @property
    def config_name(self) -> str:
        """Of the endpoint configuration: another one for every difference."""
        written_ns = self.archive.stat().st_mtime_ns  # a job's name can be taken again
        parts = json.dumps([self.job, written_ns, self.image, sorted(self.environment.items())])
        digest = hashlib.sha256(parts.encode()).hexdigest()[:_DIGEST_CHARACTERS]
        room = _NAME_CHARACTERS - len(MADE_HERE) - _DIGEST_CHARACTERS - 1
        return f"{MADE_HERE}{self.job[:room].rstrip('-')}-{digest}"


def deploy(name: str, model: Model, *, call: Call, upload: Upload) -> bool:
    """Have an endpoint serve a model; it is not waited for.

    An endpoint of that name that somebody else has made is left as it is.

    Args:
        name: The endpoint's.
        model: What it is to serve.
        call: Calls an operation.
        upload: Uploads the model.

    Returns:
        Whether the endpoint is one of devkit's.

    Raises:
        AwsError: SageMaker refuses.
    """
    wanted = model.config_name
    endpoint = _described(name, call)
    if endpoint is not None and not endpoint["EndpointConfigName"].startswith(MADE_HERE):
        return False
    if endpoint is not None and endpoint["EndpointStatus"] == "Failed":
        call("sagemaker", "DeleteEndpoint", {"EndpointName": name})
        _await_end(name, call)
        endpoint = None
    if endpoint is not None and endpoint["EndpointConfigName"] == wanted:
        return True
    _make_config(wanted, model, call, upload)
    operation = "CreateEndpoint" if endpoint is None else "UpdateEndpoint"
    call("sagemaker", operation, {"EndpointName": name, "EndpointConfigName": wanted})
    return True


def wait(name: str, call: Call, ended: Callable[[], bool]) -> None:
    """Wait until an endpoint is in service.

    Args:
        name: The endpoint's.
        call: Calls an operation.
        ended: Whether nobody waits any more.

    Raises:
        DevkitError: It does not come up.
    """
    while not ended():
        endpoint = _described(name, call)
        status = "deleted" if endpoint is None else endpoint["EndpointStatus"]
        if endpoint is not None and status == "InService":
            reason = endpoint.get("FailureReason")
            if reason:  # of an update that went back to what there was
                raise DevkitError(f"the endpoint {name} serves an older model: {reason}")
            return
        if endpoint is None or status in ("Failed", "Deleting"):
            reason = (endpoint or {}).get("FailureReason")
            detail = f": {reason}" if reason else ""
            raise DevkitError(f"the endpoint {name} is {status}{detail}")
        time.sleep(_POLL_S)


def _make_config(name: str, model: Model, call: Call, upload: Upload) -> None:
    """A model and an endpoint configuration, both of this name."""
    key = f"devkit/{name}/model.tar.gz"
    if _exists("DescribeEndpointConfig", {"EndpointConfigName": name}, call):
        call("sagemaker", "DeleteEndpointConfig", {"EndpointConfigName": name})
    if _exists("DescribeModel", {"ModelName": name}, call):
        call("sagemaker", "DeleteModel", {"ModelName": name})
    upload(model.archive, DEFAULT_BUCKET, key)
    container = {
        "Image": model.image,
        "ModelDataUrl": f"s3://{DEFAULT_BUCKET}/{key}",
        "Environment": dict(model.environment),
    }
    created = {"ModelName": name, "ExecutionRoleArn": ROLE_ARN, "PrimaryContainer": container}
    call("sagemaker", "CreateModel", created)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InitialInstanceCount": 1,
        "InstanceType": _INSTANCE_TYPE,
    }
    config = {"EndpointConfigName": name, "ProductionVariants": [variant]}
    call("sagemaker", "CreateEndpointConfig", config)


def _described(name: str, call: Call) -> Mapping[str, Any] | None:
    try:
        return call("sagemaker", "DescribeEndpoint", {"EndpointName": name})
    except AwsError:
        return None


def _await_end(name: str, call: Call) -> None:
    while _described(name, call) is not None:
        time.sleep(_POLL_S)


def _exists(operation: str, parameters: Mapping[str, Any], call: Call) -> bool:
    try:
        call("sagemaker", operation, parameters)
    except AwsError:
        return False
    return True
