"""One training job from its start to its last artifact in S3, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from devkit import contract, local_run
from devkit.contract import training_job_arn, training_log_stream
from devkit.engines.base import EngineName, Image
from devkit.errors import BuildError, ConfigError, DevkitError, NotFound, StoreError
from devkit.job import Outcome, Phase, Sample, Status, TrainingJob
from devkit.local_aws import ecr
from devkit.local_aws.cloudwatch import CloudWatch, Datum, Tell
from devkit.local_aws.environment import for_container
from devkit.local_aws.errors import AwsError
from devkit.local_aws.sagemaker import training_request, training_states
from devkit.local_aws.sagemaker.parts import Shared
from devkit.local_aws.sagemaker.records import Record
from devkit.local_aws.sagemaker.training_output import UploadFailed, final_metrics, upload
from devkit.local_aws.sagemaker.training_states import End
from devkit.local_aws.sagemaker.workshop import names_of
from devkit.local_run import StopRequest
from devkit.progress import Silent
from devkit.store import Run

METRICS_NAMESPACE = contract.TRAINING_LOG_GROUP
"""CloudWatch's namespace for metrics of training jobs has the log group's name (§1.11)."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a job needs of the endpoint that it runs in."""

    url_for: Callable[[EngineName], str]
    """Where containers reach the endpoint."""
    tell: Callable[[str], Tell]
    """What calls operations that no live service answers, in a region."""


class TrainingWork:
    """A job at work.

    Args:
        record: What was asked for.
        image: Gives its image; may build it.
        shared: What it is run with.
        place: Where it runs.
    """

    def __init__(
        self, record: Record, image: Callable[[], Image], shared: Shared, place: Place
    ) -> None:
        self._record, self._image, self._shared, self._place = record, image, shared, place
        self._tell = place.tell(record.region)
        self.stop = StopRequest()
        """Stops it."""
        self.done: Future[None] = Future()
        """Ready when nothing more of it will happen."""

    def start(self) -> None:
        """Begin, in a thread; once only."""
        name = f"training job {self._record.name}"
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        end = End(status=Status.FAILED, secondary="Failed", reason="InternalServerError")
        try:
            log = CloudWatch(contract.TRAINING_LOG_GROUP, self._tell, self._shared.observer.note)
            try:
                end = self._train(log)
            finally:
                log.close()
        except Exception as error:  # of devkit's own: the job must not seem to go on
            end = failed(f"InternalServerError: {type(error).__name__}: {error}")
        try:
            conclude(self._shared, self._record.arn, end)
        except StoreError as error:  # the next start finds how it ended
            self._shared.observer.note(f"training job {self._record.name}: {error.message}")
        finally:
            self.done.set_result(None)

    def _train(self, log: CloudWatch) -> End:
        try:
            image = self._image()
            self._register(image)
            if self.stop.made:
                return End(status=Status.STOPPED, secondary="Stopped")
            local_run.train(
                self._job(image),
                engine=self._shared.workshop.engine,
                store=self._shared.workshop.store,
                observer=_Follower(self._shared, self._record, log),
                s3=self._shared.storage.client,
                stop=self.stop,
            )
        except (DevkitError, AwsError) as error:
            return self._failed(error)
        return collected(self._shared, self._record, self._run_folder())

    def _job(self, image: Image) -> TrainingJob:
        shared = self._shared
        return training_request.training_job(
            self._record.members,
            region=self._record.region,
            limits=shared.workshop.train_limits,
            image=image,
            platform_environment=platform_environment(
                self._record, self._place.url_for(shared.workshop.engine.name)
            ),
        )

    def _register(self, image: Image) -> None:
        """Let ECR know the image, as it would have to."""
        name = names_of(training_request.image_uri(self._record.members))[0]
        for operation, parameters in ecr.registration(name, image.id):
            try:
                self._tell(ecr.SERVICE, operation, parameters)
            except AwsError as error:
                if error.code not in ecr.ALREADY_THERE:
                    self._shared.observer.note(f"ECR does not take {name}: {error}")

    def _failed(self, error: Exception) -> End:
        """The job's own end where it has one; else what kept it from that."""
        try:
            run = self._run_folder()
        except NotFound:
            return failed(reason_of(error))
        if run.outcome() is None:  # what it left could not be collected yet
            return failed(reason_of(error))
        return collected(self._shared, self._record, run)

    def _run_folder(self) -> Run:
        return self._shared.workshop.store.find(self._record.name, "job")


def platform_environment(record: Record, url: str) -> dict[str, str]:
    """What tells a job's code where AWS is; what the request says of that has precedence."""
    given: Mapping[str, str] = record.members.get("Environment", {})
    return {
        **for_container(url, given, record.region),
        "TRAINING_JOB_ARN": training_job_arn(record.name, region=record.region),
    }


def collected(shared: Shared, record: Record, run: Run) -> End:
    """Put a job's artifacts into S3, and say how it ended."""
    outcome = run.outcome()
    if outcome is None:
        return failed("InternalServerError: the job has not ended")
    try:
        upload(shared.storage.uploader(), training_request.artifacts(record.members), outcome)
    except UploadFailed as error:
        return failed(f"ClientError: {error.message}", run)
    return end_of(outcome, run)


def end_of(outcome: Outcome, run: Run) -> End:
    """How a job ended, by its outcome."""
    return End(
        status=outcome.status,
        secondary=outcome.secondary_status,
        reason=outcome.failure_reason,
        metrics=final_metrics(run),
    )


def failed(reason: str, run: Run | None = None) -> End:
    """A job that has failed, for this reason."""
    metrics = () if run is None else final_metrics(run)
    return End(status=Status.FAILED, secondary="Failed", reason=reason, metrics=metrics)


def conclude(shared: Shared, arn: str, end: End) -> None:
    """Record how a job ended; nothing where its record is gone."""
    moment = shared.clock()
    shared.records.change(arn, lambda record: training_states.ended(record, end, moment))


def reason_of(error: Exception) -> str:
    """Why a job failed before its program could; the words before the colon are §1.9's."""
    text = error.message if isinstance(error, (DevkitError, AwsError)) else str(error)
    clients = (AwsError, BuildError, ConfigError, NotFound)
    return f"{'ClientError' if isinstance(error, clients) else 'InternalServerError'}: {text}"


class _Follower(Silent):
    """Tells the record and CloudWatch what a job tells."""

    def __init__(self, shared: Shared, record: Record, log: CloudWatch) -> None:
        self._shared, self._record, self._log = shared, record, log
        self._streams: dict[str, str] = {}

    def phase(self, phase: Phase) -> None:
        """It enters a phase."""
        moment = self._shared.clock()
        self._shared.records.change(
            self._record.arn,
            lambda record: training_states.entered(record, phase.value, moment),
        )

    def hosts(self, names: Sequence[str]) -> None:
        """Each host has its stream, whether it says something or not."""
        for name in names:
            self._stream(name)

    def line(self, host: str, line: str) -> None:
        """A container wrote a line."""
        self._log.line(self._stream(host), line)

    def sample(self, sample: Sample) -> None:
        """A metric was read from a line."""
        self._log.datum(
            Datum(
                name=sample.name,
                value=sample.value,
                time=sample.time,
                namespace=METRICS_NAMESPACE,
                dimensions={"TrainingJobName": self._record.name},
            )
        )

    def note(self, text: str) -> None:
        """What its user should know."""
        self._shared.observer.note(f"training job {self._record.name}: {text}")

    def _stream(self, instance: str) -> str:
        """The stream of an instance; a host that is started again has another one."""
        if instance not in self._streams:
            host = instance.partition("-restart-")[0]
            moment_ms = int(self._shared.clock().timestamp() * 1000)
            stream = training_log_stream(self._record.name, host, moment_ms)
            self._log.open(stream)
            self._streams[instance] = stream
        return self._streams[instance]
