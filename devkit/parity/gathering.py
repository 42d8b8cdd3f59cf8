"""Runs a project's image in a place, as it is and with the probe, and gathers what is seen."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from devkit.channels.locations import S3Uri
from devkit.engines.base import Image
from devkit.errors import ConfigError, ServingFailed, TrainingFailed
from devkit.parity import artifacts, asking, inside
from devkit.parity.facts import Kind, Observed
from devkit.progress import Observer, Silent, step
from devkit.project import Project
from devkit.targets.base import Trained
from devkit.targets.clients import CallFailed

_MODEL = "model.tar.gz"
_OUTPUT = "output.tar.gz"
_FAILED = " failed: "


class Recorder(Silent):
    """Keeps the lines of containers; passes on what a user should know.

    Args:
        observer: Is told that.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.lines: list[str] = []

    def line(self, host: str, line: str) -> None:  # noqa: ARG002 - there is one
        """Keep it."""
        self.lines.append(line)

    def build_line(self, line: str) -> None:
        """Pass it on."""
        self._observer.build_line(line)

    def note(self, text: str) -> None:
        """Pass it on."""
        self._observer.note(text)


class Gathering:
    """What is done in a place.

    Args:
        kind: The place.
        project: The project, there.
        recorder: The project's observer.
        observer: Is told of each step.
    """

    def __init__(
        self, kind: Kind, project: Project, recorder: Recorder, observer: Observer
    ) -> None:
        self._kind = kind
        self._project = project
        self._recorder = recorder
        self._observer = observer
        self._facts: dict[str, Mapping[str, str]] = {}
        self._timings_s: dict[str, float] = {}

    def observe(self, failing: Mapping[str, object]) -> Observed:
        """Train, deploy, ask; train with the probe; train so that it fails.

        Args:
            failing: Hyperparameters that the image's own ``train`` fails with; none: not tried.

        Raises:
            DevkitError: The place itself fails.
        """
        with self._step("build"):
            image = self._project.prepare()
        self._train_and_ask(image)
        with self._step("probe"):
            self._probe(image)
        if failing:
            with self._step("failing"):
                self._facts["failing job"] = self._failure(
                    lambda: self._project.train(image=image, hyperparameters=failing)
                )
        return Observed(place=self._kind, facts=self._facts, timings_s=self._timings_s)

    def _train_and_ask(self, image: Image) -> None:
        try:
            with self._step("train"):
                trained = self._project.train(image=image)
        except TrainingFailed as error:
            self._facts["job"] = _reason(error)
            return
        self._facts["job"] = {"status": "Completed", "exit code": "0"}
        self._facts["metrics"] = {name: f"{value:g}" for name, value in trained.metrics.items()}
        with tempfile.TemporaryDirectory() as folder:
            model, output = self._archives(trained, Path(folder))
            self._facts["model"] = artifacts.members(model, root="/opt/ml/model/")
            self._facts["output"] = artifacts.members(output, root=self._output_root(output))
        self._ask(image, trained)

    def _ask(self, image: Image, trained: Trained) -> None:
        invoke = self._project.settings.invoke
        body = invoke.data.encode() if isinstance(invoke.data, str) else invoke.data or b""
        asked = asking.requests(body, invoke.content_type)
        begun = time.monotonic()
        try:
            with self._project.serve(image=image, model=trained.model, port=0) as server:
                self._tell("serve", begun)
                self._facts["server"] = {"status": "InService"}
                with self._step("requests"):
                    self._facts["answers"] = asking.answers(server, asked)
                begun = time.monotonic()
            self._tell("stop", begun)
        except ServingFailed:
            self._facts["server"] = {"status": "Failed"}

    def _probe(self, image: Image) -> None:
        name = f"parity-{secrets.token_hex(4)}"
        self._recorder.lines.clear()
        reason = self._failure(
            lambda: self._project.train(
                name=name,
                image=image,
                channels={inside.CHANNEL: inside.FOLDER},
                entrypoint=inside.ENTRYPOINT,
            )
        )
        seen = inside.facts_of(self._recorder.lines, {name: "<job>"})
        if seen:
            given = self._project.settings.train.environment
            self._facts.update(_apart(seen, given))
            self._facts["job that fails on purpose"] = reason

    def _failure(self, train: Callable[[], Trained]) -> dict[str, str]:
        try:
            train()
        except TrainingFailed as error:
            return _reason(error)
        return {"status": "Completed", "exit code": "0"}

    def _archives(self, trained: Trained, folder: Path) -> tuple[Path | None, Path | None]:
        model = trained.model
        if isinstance(model, S3Uri):
            output = S3Uri(model.bucket, model.prefix.removesuffix(_MODEL) + _OUTPUT)
            return self._download(model, folder / _MODEL), self._download(output, folder / _OUTPUT)
        if model is None:
            return None, None
        beside = model.parent / _OUTPUT
        return model, beside if beside.exists() else None

    def _download(self, place: S3Uri, target: Path) -> Path | None:
        try:
            self._project.cloud.clients.download(place, target)
        except CallFailed:
            return None
        return target

    def _output_root(self, output: Path | None) -> str:
        """What folder ``output.tar.gz`` is of: the SDK packs the one above SageMaker's."""
        is_above = self._kind == "sagemaker-local" and artifacts.has(output, "data")
        return "/opt/ml/output/" if is_above else "/opt/ml/output/data/"

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        with step(self._observer, self._kind) as under_way:
            under_way.detail = name
            yield
        self._timings_s[name] = time.monotonic() - begun

    def _tell(self, name: str, begun: float) -> None:
        seconds = self._timings_s[name] = time.monotonic() - begun
        self._observer.done(self._kind, name, seconds)


def require_data(project: Project) -> None:
    """Make sure that there is something to ask an endpoint.

    Raises:
        ConfigError: There is not.
    """
    if project.settings.invoke.data is None:
        raise ConfigError("there is nothing to invoke with", remedy="set [invoke] data")


def _apart(
    seen: Mapping[str, Mapping[str, str]], given: Iterable[str]
) -> dict[str, Mapping[str, str]]:
    """The variables of the request apart from all others: they have to be there everywhere."""
    environment = seen["environment"]
    own = {name: environment[name] for name in given if name in environment}
    others = {name: value for name, value in environment.items() if name not in own}
    return {**seen, "environment": others, "environment of the request": own}


def _reason(error: TrainingFailed) -> dict[str, str]:
    """SageMaker's FailureReason, and the exit code that stands at its end (§1.9)."""
    reason = error.message.partition(_FAILED)[2] or error.message
    _, found, code = reason.rpartition(", exit code: ")
    return {"status": "Failed", "exit code": code if found else "none", "reason": reason}
