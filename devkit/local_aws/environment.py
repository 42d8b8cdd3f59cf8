"""The environment of a command that runs against the local AWS, and of the endpoint itself.

Every AWS SDK reads the address of its services and its credentials from ``AWS_*`` variables before
it looks anywhere else, and the two files that it would look into next are named there too: so
nothing of the developer's account is seen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devkit.config import without_aws
from devkit.contract import LOCAL_ACCOUNT, LOCAL_REGION
from devkit.local_aws.keys import DUMMY_KEY
from devkit.store import write_atomically

HOOK = Path(__file__).parent / "hook"
DEFAULT_BUCKET = f"sagemaker-{LOCAL_REGION}-{LOCAL_ACCOUNT}"
"""What the SageMaker SDK calls its bucket, and would ask STS for."""

_NOT_PROXIED = "127.0.0.1,localhost"
_AWS_CONFIG = f"""[default]
region = {LOCAL_REGION}
"""
_SAGEMAKER_CONFIG = f"""SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
      Session:
        DefaultS3Bucket: {DEFAULT_BUCKET}
"""


@dataclass(frozen=True)
class ClientFiles:
    """The configuration files that commands are given.

    Args:
        folder: Where they are, or are to be.
    """

    folder: Path

    @property
    def aws_config(self) -> Path:
        """Instead of ``~/.aws/config``."""
        return self.folder / "aws-config"

    @property
    def aws_credentials(self) -> Path:
        """Instead of ``~/.aws/credentials``."""
        return self.folder / "aws-credentials"

    @property
    def sagemaker_config(self) -> Path:
        """The SageMaker SDK's defaults."""
        return self.folder / "sagemaker-config.yaml"

    def write(self) -> None:
        """Make them, or bring them up to date."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path, text in (
            (self.aws_config, _AWS_CONFIG),
            (self.aws_credentials, ""),
            (self.sagemaker_config, _SAGEMAKER_CONFIG),
        ):
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                write_atomically(path, text)


def for_command(environ: Mapping[str, str], url: str, files: ClientFiles) -> dict[str, str]:
    """The environment of a command: the given one, with the local AWS for AWS.

    Args:
        environ: What devkit was started with.
        url: The endpoint's. With an address for a host, S3 clients put buckets into the path.
        files: They have been written.
    """
    return {
        **without_aws(environ),
        **_aws(files),
        **_not_proxied(environ),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": DUMMY_KEY,
        "AWS_SECRET_ACCESS_KEY": DUMMY_KEY,
        "AWS_REGION": LOCAL_REGION,
        "AWS_DEFAULT_REGION": LOCAL_REGION,
        "AWS_PAGER": "",
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(files.sagemaker_config),
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(files.sagemaker_config),
        "PYTHONPATH": _before(str(HOOK), environ.get("PYTHONPATH")),
    }


def for_container(url: str, given: Mapping[str, str], region: str) -> dict[str, str]:
    """What a container finds the local AWS by.

    Args:
        url: The endpoint's, as the container reaches it.
        given: What the request says of the environment; it has precedence, and is not in the
            answer.
        region: Where the container is.
    """
    aws = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": DUMMY_KEY,
        "AWS_SECRET_ACCESS_KEY": DUMMY_KEY,
        "AWS_DEFAULT_REGION": region,
    }
    own = {name: value for name, value in aws.items() if name not in given}
    return {**own, "AWS_REGION": region}


def for_endpoint(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the endpoint: nothing of the developer's AWS, and no settings of moto."""
    kept = {name: v for name, v in without_aws(environ).items() if not name.startswith("MOTO_")}
    empty = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return {**kept, **empty, "AWS_EC2_METADATA_DISABLED": "true"}


def _aws(files: ClientFiles) -> dict[str, str]:
    return {
        "AWS_CONFIG_FILE": str(files.aws_config),
        "AWS_SHARED_CREDENTIALS_FILE": str(files.aws_credentials),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _not_proxied(environ: Mapping[str, str]) -> dict[str, str]:
    """A proxy is for other machines."""
    given = environ.get("NO_PROXY") or environ.get("no_proxy")
    names = _NOT_PROXIED if not given else f"{given},{_NOT_PROXIED}"
    return {"NO_PROXY": names, "no_proxy": names}


def _before(first: str, others: str | None) -> str:
    return f"{first}{os.pathsep}{others}" if others else first
