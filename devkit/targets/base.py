"""The target seam: train, deploy, invoke and delete, wherever that happens."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from devkit.job import ServeSpec, TrainingJob
from devkit.local_run import Server, TrainingResult


class Target(Protocol):
    """Where training jobs and servers live.

    A deployment is a context manager: leaving it deletes what was deployed.
    """

    def train(self, job: TrainingJob) -> TrainingResult:
        """Run a training job to its end; see :func:`devkit.local_run.train`."""

    def deploy(self, spec: ServeSpec) -> AbstractContextManager[Server]:
        """Deploy a model; the server answers ``invoke`` until it is deleted."""
