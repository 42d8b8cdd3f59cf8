"""The target seam: train, deploy, invoke and delete, wherever that happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol

from devkit.channels.locations import S3Uri
from devkit.engines.base import Image
from devkit.job import ServeSpec, TrainingJob
from devkit.runtime_client import Reply

TargetName = Literal["local", "sagemaker-local", "aws"]
TARGETS: tuple[TargetName, ...] = ("local", "sagemaker-local", "aws")


class Trained(Protocol):
    """A training job that has ended well."""

    @property
    def name(self) -> str:
        """The job's name."""

    @property
    def model(self) -> Path | S3Uri | None:
        """Where its ``model.tar.gz`` is."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """The last value of each metric."""

    def summary(self) -> str:
        """The job in one line."""

    def document(self) -> dict[str, object]:
        """The job for machines."""


class Deployed(Protocol):
    """A model that answers."""

    @property
    def name(self) -> str:
        """The server's, or the endpoint's."""

    @property
    def url(self) -> str | None:
        """Where ``/invocations`` is asked without AWS's API, if that can be."""

    def invoke(
        self, data: Any, *, content_type: str | None = None, accept: str | None = None
    ) -> Any:
        """Ask for a prediction.

        Raises:
            InvocationFailed: The answer is an error.
        """

    def reply(
        self, data: Any, *, content_type: str | None = None, accept: str | None = None
    ) -> Reply:
        """Ask for a prediction; the answer as it comes.

        Raises:
            InvocationFailed: The answer is an error.
        """

    def wait(self) -> NoReturn:
        """Keep it in service until Ctrl-C or SIGTERM."""


class Target(Protocol):
    """Where training jobs and servers live.

    A deployment is a context manager: leaving it deletes what was deployed.
    """

    def image(self, build: Callable[[], Image]) -> Image:
        """The image as this target runs it; ``build`` makes it on this machine."""

    def train(self, job: TrainingJob) -> Trained:
        """Run a training job to its end; see :func:`devkit.local_run.train`."""

    def deploy(self, spec: ServeSpec) -> AbstractContextManager[Deployed]:
        """Deploy a model; it answers until it is deleted."""
