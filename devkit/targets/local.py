"""The ``local`` target: an engine on this machine, and no AWS API at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from devkit import local_run
from devkit.engines.base import Engine, Image
from devkit.job import ServeSpec, TrainingJob
from devkit.local_run import Server, TrainingResult
from devkit.progress import Observer
from devkit.s3 import S3Settings, s3_client
from devkit.store import Store


@dataclass(frozen=True)
class LocalTarget:
    """A :class:`~devkit.targets.base.Target` over an engine and a store."""

    engine: Engine
    store: Store
    observer: Observer
    s3: S3Settings

    def image(self, build: Callable[[], Image]) -> Image:
        """The image, as the engine has it."""
        return build()

    def train(self, job: TrainingJob) -> TrainingResult:
        """Run a training job on the engine."""
        return local_run.train(
            job,
            engine=self.engine,
            store=self.store,
            observer=self.observer,
            s3=partial(s3_client, self.s3),
        )

    def deploy(self, spec: ServeSpec) -> AbstractContextManager[Server]:
        """Run a server on the engine."""
        return local_run.serve(
            spec,
            engine=self.engine,
            store=self.store,
            observer=self.observer,
            s3=partial(s3_client, self.s3),
        )
