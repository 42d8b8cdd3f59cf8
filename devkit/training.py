"""A training job on an engine: what SageMaker does around its containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from devkit import contract
from devkit.attempt import Attempt, diagnose_refusal
from devkit.channels.s3_reading import S3Client
from devkit.checkpoints import for_request
from devkit.engines.base import Engine, StartRefused
from devkit.errors import TrainingFailed
from devkit.finishing import Ending, blamed
from devkit.inputs import require_pipes
from devkit.job import Outcome, Phase, Status, TrainingJob
from devkit.logs import tail
from devkit.progress import Observer
from devkit.s3 import no_s3
from devkit.store import Run, Store, natural
from devkit.training_run import StopRequest, TrainingRun, has_network, program


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

    def document(self) -> dict[str, object]:
        """The job for machines."""
        return {"job": self.name, **self.outcome.document()}

    def summary(self) -> str:
        """The job in one line: name, status, metrics, model."""
        metrics = "".join(f" {name}={value:g}" for name, value in self.metrics.items())
        return f"{self.name} {self.outcome.status.value}{metrics}"

    @property
    def log(self) -> str:
        """Everything the containers wrote, host by host."""
        logs = sorted(self.run.logs.glob("*.log"), key=lambda path: natural(path.stem))
        return "".join(path.read_text("utf-8") for path in logs)


def train(
    job: TrainingJob,
    *,
    engine: Engine,
    store: Store,
    observer: Observer,
    s3: Callable[[], S3Client] = no_s3,
    stop: StopRequest | None = None,
) -> TrainingResult:
    """Run a training job to its end.

    Args:
        job: The job.
        engine: Runs it.
        store: Keeps it.
        observer: Is told of everything.
        s3: Gives the client for channels in S3.
        stop: Stops it before its end.

    Raises:
        ConfigError: A channel's data is not there, or not what the channel says.
        TrainingFailed: The job ended as Failed; its folder and its log are kept.
        EngineError: The engine could not run it.
        StoreError: An artifact could not be written; the next command tries again.
        KeyboardInterrupt: After the job was stopped, and recorded as Stopped.
    """
    require_pipes(job.channels, engine.name)
    engine.require_hosts(job.host_count)
    attempt = Attempt(
        "job",
        job.name,
        image=job.image,
        request=_request(job),
        metrics=job.metrics,
        grace_s=contract.TRAIN_STOP_GRACE_S,
        engine=engine,
        store=store,
        observer=observer,
    )
    try:
        ending = TrainingRun(job, attempt, store, s3, stop or StopRequest()).run()
        if not attempt.stopping:
            attempt.enter(Phase.UPLOADING)
        outcome = attempt.finish(ending)
    except StartRefused as refused:
        diagnosis = diagnose_refusal(program(job), refused)
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


def _request(job: TrainingJob) -> dict[str, object]:
    """What was asked for, as ``run.json`` keeps it."""
    return {
        "hyperparameters": dict(job.hyperparameters),
        "channels": {channel.name: str(channel.location) for channel in job.channels},
        "environment": dict(job.environment),
        "entrypoint": job.entrypoint,
        "arguments": job.arguments,
        "metrics": [asdict(metric) for metric in job.metrics],
        "instances": job.host_count,
        "network": has_network(job),
        "checkpoints": for_request(job.checkpoints),
        "interrupt_after_s": job.interrupt_after_s,
        "max_run_s": job.max_run_s,
        "max_wait_s": job.max_wait_s,
        "local_aws": job.local_aws,
    }


def _training_failed(run: Run, outcome: Outcome, ending: Ending | None) -> TrainingFailed:
    return TrainingFailed(
        f"training job {run.name} failed: {outcome.failure_reason}",
        log_tail=tail(run, blamed(run)),
        remedy=(ending and ending.remedy) or f"the whole log: devkit logs {run.name}",
    )
