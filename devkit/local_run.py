"""Train and serve in terms of an engine: what SageMaker does around a container."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from devkit import contract, opt_ml
from devkit.attempt import HOST, Attempt, diagnose, diagnose_refusal, engine_notes
from devkit.channels.plan import InputMode
from devkit.channels.s3_reading import S3Client
from devkit.engines.base import Address, Container, ContainerSpec, Engine, StartRefused
from devkit.errors import InvocationFailed, ServingFailed, TrainingFailed
from devkit.finishing import Ending
from devkit.inputs import Inputs, require_pipes
from devkit.job import Outcome, Phase, ServeSpec, Status, TrainingJob
from devkit.logs import LogPump, tail
from devkit.progress import Observer
from devkit.runtime_client import await_ping, decode, encode, invoke
from devkit.s3 import no_s3
from devkit.store import Run, Store, store_errors

_DEATH_TIMEOUT_S = 5
if TYPE_CHECKING:
    from devkit.front.server import Front

_SECONDARY_MAX_RUNTIME = "MaxRuntimeExceeded"


@dataclass(frozen=True)
class TrainingResult:
    """A training job that has ended, and where everything of it is."""

    run: Run
    outcome: Outcome

    @property
    def name(self) -> str:
        """The job's name."""
        return self.run.name

    @property
    def model(self) -> Path | None:
        """The job's ``model.tar.gz``."""
        return self.outcome.model

    @property
    def metrics(self) -> Mapping[str, float]:
        """The last value of each metric."""
        return self.outcome.metrics

    def summary(self) -> str:
        """The job in one line: name, status, metrics, model."""
        metrics = "".join(f" {name}={value:g}" for name, value in self.metrics.items())
        return f"{self.name} {self.outcome.status.value}{metrics}"

    @property
    def log(self) -> str:
        """Everything the container wrote."""
        return (self.run.logs / f"{HOST}.log").read_text("utf-8")


def train(
    job: TrainingJob,
    *,
    engine: Engine,
    store: Store,
    observer: Observer,
    s3: Callable[[], S3Client] = no_s3,
) -> TrainingResult:
    """Run a training job to its end.

    Args:
        job: The job.
        engine: Runs it.
        store: Keeps it.
        observer: Is told of everything.
        s3: Gives the client for channels in S3.

    Raises:
        ConfigError: A channel's data is not there, or not what the channel says.
        TrainingFailed: The job ended as Failed; its folder and its log are kept.
        EngineError: The engine could not run it.
        StoreError: An artifact could not be written; the next command tries again.
        KeyboardInterrupt: After the job was stopped, and recorded as Stopped.
    """
    require_pipes(job.channels, engine.name)
    attempt = Attempt(
        "job",
        job.name,
        image=job.image,
        request={
            "hyperparameters": dict(job.hyperparameters),
            "channels": {channel.name: str(channel.location) for channel in job.channels},
            "environment": dict(job.environment),
            "entrypoint": job.entrypoint,
            "arguments": job.arguments,
            "metrics": [asdict(metric) for metric in job.metrics],
            "max_run_s": job.max_run_s,
        },
        metrics=job.metrics,
        grace_s=contract.TRAIN_STOP_GRACE_S,
        engine=engine,
        store=store,
        observer=observer,
    )
    try:
        attempt.enter(Phase.STARTING)
        with store_errors(store.root):
            inputs = _inputs(job, attempt, s3)
            spec = _training_container(job, attempt, inputs)
        with inputs.feeding(lambda _error: attempt.kill()):
            container, log = attempt.start(spec)
            attempt.enter(Phase.TRAINING)
            ending = _await_end(job, container, log, attempt)
        attempt.enter(Phase.UPLOADING)
        outcome = attempt.finish(container, ending)
    except StartRefused as refused:
        diagnosis = diagnose_refusal(_program(job), refused)
        error = TrainingFailed(
            f"training job {job.name} did not start: {diagnosis.reason}", remedy=diagnosis.remedy
        )
        attempt.unwind(error, reason=diagnosis.reason)
        raise error from None
    except BaseException as error:
        attempt.unwind(error)
        raise
    if outcome.status is Status.FAILED:
        raise _training_failed(attempt.run, outcome, ending)
    return TrainingResult(attempt.run, outcome)


def _inputs(job: TrainingJob, attempt: Attempt, s3: Callable[[], S3Client]) -> Inputs:
    if any(channel.input_mode is not InputMode.PIPE for channel in job.channels):
        attempt.enter(Phase.DOWNLOADING)
    inputs = Inputs(job.channels, attempt.run.inputs / HOST, s3)
    for note in inputs.notes:
        attempt.observer.note(note)
    return inputs


def _training_container(job: TrainingJob, attempt: Attempt, inputs: Inputs) -> ContainerSpec:
    entrypoint, command = contract.training_start(job.entrypoint, job.arguments)
    prepared = opt_ml.for_training(attempt.run.opt_ml / HOST, job, HOST, (HOST,), inputs.mounts)
    return ContainerSpec(
        name=attempt.container_name,
        image=job.image,
        entrypoint=entrypoint,
        command=command,
        environment=contract.training_environment(job.name, job.environment),
        mounts=prepared.mounts,
        folders=prepared.folders,
        hostname=HOST,
        limits=job.limits,
        labels=attempt.labels,
        run_folder=engine_notes(attempt.run),
    )


def _program(job: TrainingJob) -> str:
    """What is executed, as far as the request tells."""
    entrypoint, command = contract.training_start(job.entrypoint, job.arguments)
    return (entrypoint or command)[0]


def _await_end(
    job: TrainingJob, container: Container, log: LogPump, attempt: Attempt
) -> Ending | None:
    """Wait for the container's end; the ending where its exit code does not say it all."""
    if not log.wait(job.max_run_s):
        attempt.observer.note(f"the job has run for its max_run_s = {job.max_run_s} s")
        attempt.stop(container, contract.TRAIN_STOP_GRACE_S)
        return Ending(Status.STOPPED, secondary=_SECONDARY_MAX_RUNTIME)
    container.wait()
    diagnosis = diagnose(container, _program(job), attempt.run)
    if diagnosis is None:
        return None
    return Ending(Status.FAILED, diagnosis.reason, remedy=diagnosis.remedy)


def _training_failed(run: Run, outcome: Outcome, ending: Ending | None) -> TrainingFailed:
    return TrainingFailed(
        f"training job {run.name} failed: {outcome.failure_reason}",
        log_tail=tail(run),
        remedy=(ending and ending.remedy) or f"the whole log: devkit logs {run.name}",
    )


class Server:
    """A server whose ping is good."""

    def __init__(self, run: Run, address: Address, container: Container, log: LogPump) -> None:
        self.run = run
        self.address = address
        self._container = container
        self._log = log

    @property
    def name(self) -> str:
        """The server's name."""
        return self.run.name

    @property
    def url(self) -> str:
        """Its root URL: ``/ping`` and ``/invocations`` are below it."""
        return self.address.url

    def invoke(
        self, data: Any, *, content_type: str | None = None, accept: str | None = None
    ) -> Any:
        """Ask for a prediction.

        Args:
            data: Bytes or text are sent as they are; anything else as JSON.
            content_type: Of ``data``; ``application/json`` unless said otherwise.
            accept: What the answer should be.

        Returns:
            The answer: decoded where it is JSON, else text where it is text, else bytes.

        Raises:
            InvocationFailed: The server answered with an error, not in time, or not at all.
        """
        body = encode(data)
        try:
            reply = invoke(
                self.address, body, content_type=content_type or "application/json", accept=accept
            )
        except InvocationFailed as error:
            if error.status is None:
                error.log_tail = tuple(tail(self.run))
            raise
        return decode(reply)

    def wait(self) -> NoReturn:
        """Wait until the server ends, which it does by itself only when something is wrong.

        Raises:
            ServingFailed: It ended.
        """
        self._log.wait()
        raise ServingFailed(
            f"server {self.name} ended by itself, with exit code {self._container.wait()}",
            log_tail=tail(self.run),
            remedy=f"the whole log: devkit logs {self.name}",
        )

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return not self._log.ended


@contextmanager
def serve(spec: ServeSpec, *, engine: Engine, store: Store, observer: Observer) -> Iterator[Server]:
    """Start a server, wait until its ping is good, and stop it at the end of the block.

    Raises:
        ServingFailed: It died, or its ping was not good in time.
        EngineError: The engine could not run it.
        PortInUse: ``spec.host_port`` is taken.
    """
    attempt = Attempt(
        "server",
        spec.name,
        image=spec.image,
        request={
            "model": None if spec.model is None else str(spec.model),
            "environment": dict(spec.environment),
        },
        grace_s=contract.SERVE_STOP_GRACE_S,
        engine=engine,
        store=store,
        observer=observer,
    )
    in_service = False
    try:
        with store_errors(store.root):
            container_spec = _serving_container(spec, attempt)
        container, log = attempt.start(container_spec)
        with _fronted(spec) as front:
            server = _await_service(spec, container, log, attempt, front)
            with store_errors(store.root):
                attempt.run.write("state", {"url": server.url, "pid": os.getpid()})
            store.index(attempt.run)
            in_service = True
            yield server
            in_service = False
        attempt.stop(container, contract.SERVE_STOP_GRACE_S)
        attempt.finish(container, Ending(Status.STOPPED))
    except StartRefused as refused:
        diagnosis = diagnose_refusal(contract.SERVE_ARGUMENT, refused)
        error = ServingFailed(
            f"server {spec.name} did not start: {diagnosis.reason}", remedy=diagnosis.remedy
        )
        attempt.unwind(error, reason=diagnosis.reason)
        raise error from None
    except BaseException as error:
        attempt.unwind(error, in_service=in_service)
        raise


@contextmanager
def _fronted(spec: ServeSpec) -> Iterator[_Fronted | None]:
    """What SageMaker has before a container, listening; it answers 503 until there is one."""
    if spec.profile is None:
        yield None
        return
    from devkit.front.limits import PROFILES  # noqa: PLC0415 - aiohttp takes 0.2 s
    from devkit.front.server import Front  # noqa: PLC0415

    limits = PROFILES[spec.profile]  # type: ignore[index]  # the settings have checked it
    front = Front(name=spec.name, limits=limits, listener_port=spec.host_port)
    address = front.start(None)
    try:
        yield _Fronted(front, address)
    finally:
        front.stop(contract.SERVE_STOP_GRACE_S)


@dataclass(frozen=True)
class _Fronted:
    """A front, and where it listens."""

    front: Front
    address: Address


def _serving_container(spec: ServeSpec, attempt: Attempt) -> ContainerSpec:
    prepared = opt_ml.for_serving(attempt.run.opt_ml / HOST, spec.model)
    return ContainerSpec(
        name=attempt.container_name,
        image=spec.image,
        command=(contract.SERVE_ARGUMENT,),
        environment=contract.hosting_environment(spec.environment),
        mounts=prepared.mounts,
        folders=prepared.folders,
        container_port=contract.SERVE_PORT,
        host_port=spec.host_port if spec.profile is None else 0,
        limits=spec.limits,
        labels=attempt.labels,
        run_folder=engine_notes(attempt.run),
    )


def _await_service(
    spec: ServeSpec,
    container: Container,
    log: LogPump,
    attempt: Attempt,
    fronted: _Fronted | None,
) -> Server:
    address = container.address()
    if address is None:
        log.wait(_DEATH_TIMEOUT_S)  # an ended container has no address: tell why it ended
        raise _died(spec, container, attempt.run)
    problem = await_ping(
        address,
        spec.startup_timeout_s,
        ended=lambda: log.ended,
        on_problem=lambda what: attempt.observer.note(f"ping: {what}"),
    )
    if problem is None and fronted is None:
        return Server(attempt.run, address, container, log)
    if problem is None and fronted is not None:
        fronted.front.switch(address)
        return Server(attempt.run, fronted.address, container, log)
    if log.ended:
        raise _died(spec, container, attempt.run)
    raise ServingFailed(
        f"server {spec.name} did not pass the ping health check within "
        f"{spec.startup_timeout_s:g} s: GET /ping: {problem}",
        log_tail=tail(attempt.run),
        remedy=f"serve must listen on 0.0.0.0:{contract.SERVE_PORT} and answer GET /ping with 200 "
        f"within {contract.PING_TIMEOUT_S:g} s",
    )


def _died(spec: ServeSpec, container: Container, run: Run) -> ServingFailed:
    diagnosis = diagnose(container, contract.SERVE_ARGUMENT, run)
    if diagnosis is not None:
        return ServingFailed(
            f"server {spec.name} did not start: {diagnosis.reason}",
            remedy=diagnosis.remedy,
            log_tail=tail(run),
        )
    return ServingFailed(
        f"server {spec.name} ended with exit code {container.exit_code()} before its ping was good",
        log_tail=tail(run),
        remedy=f"the whole log: devkit logs {run.name}",
    )
