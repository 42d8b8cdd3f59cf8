"""The seam to SageMaker's APIs, whoever answers them: AWS, the local AWS, the SDK's local mode.

One way to call an operation, with the parameters and the answers of AWS's own API, and one error.
``aws.py`` makes such clients with boto3 (for AWS, and for the local AWS where ``AWS_ENDPOINT_URL``
names it), ``sdk/`` with the SageMaker Python SDK's ``LocalSession``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from devkit.channels.locations import S3Uri
from devkit.errors import DevkitError

NO_BOTO3 = "AWS needs boto3, which is not installed"
HOW_TO_INSTALL = "pip install 'devkit[aws]'"

_GONE = (
    "could not find",
    "not found",
    "does not exist",
    "cannot find",
    "nosuchbucket",
    "nosuchentity",
    "repositorynotfound",
    "no such",
)


class CallFailed(DevkitError):
    """An operation was answered with an error.

    ``code`` is its name in AWS's model, such as ``ValidationException``; ``None`` where nobody
    answered.
    """

    exit_code = 11

    def __init__(
        self, operation: str, code: str | None, message: str, *, remedy: str | None = None
    ) -> None:
        said = f"{code}: {message}" if code else message
        super().__init__(f"{operation} failed: {said}", remedy=remedy)
        self.operation = operation
        self.code = code
        self.reason = message


class Clients(Protocol):
    """Calls the operations of AWS's APIs."""

    @property
    def region(self) -> str:
        """Where things are made."""

    @property
    def account(self) -> str:
        """Whose they are: twelve digits."""

    def call(
        self, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Call an operation.

        Args:
            service: By botocore's name: ``sagemaker``, ``sagemaker-runtime``, ``s3``, ``logs`` …
            operation: By AWS's name: ``CreateTrainingJob``.
            parameters: As AWS's API has them. A stream of an answer (``Body``) comes as bytes.

        Returns:
            The members of the answer.

        Raises:
            CallFailed: It is an error.
        """

    def upload(self, source: Path, place: S3Uri) -> None:
        """Upload a file, as a stream.

        Raises:
            CallFailed: S3 does not take it.
        """

    def download(self, place: S3Uri, target: Path) -> None:
        """Download an object into a file, as a stream.

        Raises:
            CallFailed: S3 does not give it.
        """


def is_gone(error: CallFailed) -> bool:
    """Whether an error says that there is no such thing."""
    said = f"{error.code} {error.reason}".lower()
    return any(words in said for words in _GONE)
