"""The targets that speak SageMaker's API: AWS, the local AWS in its place, the SDK's local mode.

One implementation, over :class:`~devkit.targets.clients.Clients`: the flag swaps the clients, never
what is done. Whatever is made is in the ledger before the call that makes it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, cast

from devkit.channels.locations import Location, S3Uri
from devkit.engines.base import Image
from devkit.errors import (
    ConfigError,
    InvocationFailed,
    NotFound,
    ServingFailed,
    TrainingFailed,
)
from devkit.job import ServeSpec, TrainingJob
from devkit.progress import Observer
from devkit.runtime_client import Reply, decode, encode
from devkit.targets import requests
from devkit.targets.base import TargetName
from devkit.targets.clients import CallFailed, Clients, is_gone
from devkit.targets.following import ENDED, JOBS, JobFollower, Lines
from devkit.targets.ledger import Kind, Ledger, Resource
from devkit.targets.plan import Plan, Step, execute
from devkit.targets.plan import Resource as Made
from devkit.targets.requests import Cloud
from devkit.targets.teardown import Teardown
from devkit.targets.uploads import UploadFiles, upload

ENDPOINTS = "/aws/sagemaker/Endpoints"
_OK = 200


@dataclass(frozen=True, kw_only=True)
class CloudTraining:
    """A training job that has ended well; :class:`~devkit.targets.base.Trained`."""

    name: str
    status: str
    model: S3Uri | None
    metrics: Mapping[str, float]
    description: Mapping[str, Any] = field(repr=False)

    def summary(self) -> str:
        """The job in one line."""
        metrics = "".join(f" {name}={value:g}" for name, value in self.metrics.items())
        return f"{self.name} {self.status}{metrics}"

    def document(self) -> dict[str, object]:
        """The job for machines."""
        return {
            "job": self.name,
            "status": self.status,
            "secondary_status": self.description.get("SecondaryStatus"),
            "failure_reason": self.description.get("FailureReason"),
            "model": None if self.model is None else str(self.model),
            "metrics": dict(self.metrics),
        }


class CloudServer:
    """An endpoint in service; :class:`~devkit.targets.base.Deployed`.

    Args:
        name: The endpoint's.
        clients: Invoke it.
    """

    url: str | None = None

    def __init__(self, name: str, clients: Clients) -> None:
        self.name = name
        self._clients = clients

    def invoke(
        self, data: Any, *, content_type: str | None = None, accept: str | None = None
    ) -> Any:
        """Ask for a prediction; decoded where it is JSON.

        Raises:
            InvocationFailed: The answer is an error.
        """
        return decode(self.reply(data, content_type=content_type, accept=accept))

    def wait(self) -> NoReturn:
        """Until Ctrl-C or SIGTERM: SageMaker keeps it in service."""
        while True:
            signal.pause()

    def reply(
        self, data: Any, *, content_type: str | None = None, accept: str | None = None
    ) -> Reply:
        """Ask for a prediction; the answer as it comes.

        Raises:
            InvocationFailed: The answer is an error.
        """
        try:
            answer = self._clients.call(
                "sagemaker-runtime",
                "InvokeEndpoint",
                {
                    "EndpointName": self.name,
                    "Body": encode(data),
                    "ContentType": content_type or "application/json",
                    **({"Accept": accept} if accept else {}),
                },
            )
        except CallFailed as error:
            raise InvocationFailed(error.message, remedy=error.remedy) from error
        return Reply(_OK, answer.get("ContentType", "application/octet-stream"), answer["Body"])


@dataclass(frozen=True, kw_only=True)
class SageMakerTarget:
    """A :class:`~devkit.targets.base.Target`."""

    name: TargetName
    clients: Clients
    cloud: Cloud
    ledger: Ledger
    observer: Observer
    uri: str
    """What SageMaker is to call the image."""
    publish: Callable[[Callable[[], Image]], str]
    """Has the image where SageMaker finds it; returns its URI, perhaps with a digest."""
    poll_s: float = 1.0
    with_logs: bool = True
    """Whether log lines are read from CloudWatch."""
    ttl_s: float | None = None
    """After what time a deployment is to be deleted."""
    sleep: Callable[[float], None] = time.sleep
    is_paid: bool = False
    """Whether it is an account of AWS, where things cost money."""
    costs: Callable[[Plan], Sequence[str]] = lambda _plan: ()
    """What the things of a plan cost, in words."""

    @property
    def image_to_be(self) -> Image:
        """The image, before it is there."""
        return Image(reference=self.uri, id=self.uri)

    def model_to_be(self, job: str) -> S3Uri:
        """Where the model of a job will be."""
        return self.cloud.place("jobs", job, "output", "model.tar.gz")

    def image(self, build: Callable[[], Image]) -> Image:
        """The image, where SageMaker finds it."""
        uri = self.publish(build)
        return Image(reference=uri, id=uri)

    # --- training -----------------------------------------------------------------------------

    def plan_training(self, job: TrainingJob) -> Plan:
        """What is made for a training job.

        Raises:
            ConfigError: It has what only the local target has.
        """
        _require_cloudy(job)
        located = {each.name: self._located(each.name, each.location) for each in job.channels}
        places = {name: place for name, (place, _) in located.items()}
        parameters = requests.training_job(job, job.image.reference, places, self.cloud)
        step = self._step(
            "training-job",
            job.name,
            "CreateTrainingJob",
            parameters,
            runs=self.cloud.train_instance,
            instances=job.host_count,
        )
        return _plan((each for _, each in located.values()), step)

    def train(self, job: TrainingJob) -> CloudTraining:
        """Run a training job to its end.

        Raises:
            ConfigError: It has what only the local target has.
            TrainingFailed: It failed, with its reason and its last lines.
            CallFailed: SageMaker refuses it.
            KeyboardInterrupt: After it was stopped.
        """
        self._carry_out(self.plan_training(job))
        follower = JobFollower(
            self.clients,
            self.observer,
            poll_s=self.poll_s,
            with_logs=self.with_logs,
            sleep=self.sleep,
        )
        try:
            description, tail = follower.follow(job.name)
        except KeyboardInterrupt:
            self.clients.call("sagemaker", "StopTrainingJob", {"TrainingJobName": job.name})
            follower.follow(job.name)
            self._forget("training-job", job.name)
            raise
        self._forget("training-job", job.name)  # nothing runs because of it any more
        return _result(job.name, description, tail)

    # --- hosting ------------------------------------------------------------------------------

    def plan_deployment(self, spec: ServeSpec) -> Plan:
        """What is made for a deployment."""
        located = None if spec.model is None else self._located("models", spec.model)
        archive, uploading = (None, None) if located is None else located
        model = requests.model(spec, spec.image.reference, archive, self.cloud)
        config = requests.endpoint_config(spec, self.cloud)
        serverless = spec.profile == "serverless"
        return _plan(
            [uploading],
            self._step("model", spec.name, "CreateModel", model),
            self._step("endpoint-config", spec.name, "CreateEndpointConfig", config),
            self._step(
                "endpoint",
                spec.name,
                "CreateEndpoint",
                requests.endpoint(spec, self.cloud),
                runs=None if serverless else self.cloud.serve_instance,
            ),
        )

    @contextmanager
    def deploy(self, spec: ServeSpec) -> Iterator[CloudServer]:
        """Deploy a model until the end of the block.

        Raises:
            ServingFailed: The endpoint does not come up, with its reason.
            CallFailed: SageMaker refuses it.
        """
        try:
            yield self.create(spec)
        finally:
            self.delete(spec.name)

    def create(self, spec: ServeSpec) -> CloudServer:
        """Deploy a model; it stays until it is deleted.

        Raises:
            ServingFailed: The endpoint does not come up, with its reason.
            CallFailed: SageMaker refuses it.
        """
        self._carry_out(self.plan_deployment(spec))
        self._await_endpoint(spec.name)
        return CloudServer(spec.name, self.clients)

    def server(self, name: str) -> CloudServer:
        """An endpoint that is there."""
        return CloudServer(name, self.clients)

    def logs(self, name: str, on_line: Callable[[str, str], None], *, follow: bool) -> str | None:
        """Give the log lines of a training job or an endpoint.

        Args:
            name: Its name.
            on_line: Given the host, or the container, and a line.
            follow: Whether to go on until it ends.

        Returns:
            Why it failed, if it has.

        Raises:
            NotFound: There is neither.
        """
        lines, describe = self._log_of(name, on_line)
        while True:
            description = describe()
            lines.read()
            status = description.get("TrainingJobStatus") or description.get("EndpointStatus")
            over = status in (*ENDED, "Failed")
            if over or not follow:
                return description.get("FailureReason")
            self.sleep(self.poll_s)

    def _log_of(
        self, name: str, on_line: Callable[[str, str], None]
    ) -> tuple[Lines, Callable[[], Mapping[str, Any]]]:
        ways = (
            ("DescribeTrainingJob", "TrainingJobName", JOBS, f"{name}/"),
            ("DescribeEndpoint", "EndpointName", f"{ENDPOINTS}/{name}", ""),
        )
        for operation, parameter, group, prefix in ways:
            describe = partial(self.clients.call, "sagemaker", operation, {parameter: name})
            try:
                describe()
            except CallFailed as error:
                if is_gone(error):
                    continue
                raise
            return Lines(self.clients, group, prefix, on_line), describe
        raise NotFound(
            f"there is no training job and no endpoint {name} in {self.clients.region}",
            remedy="devkit status --target aws lists what this project has made",
        )

    def delete(self, name: str) -> None:
        """Delete what was made for a deployment, as far as it can be deleted now."""
        those = [
            each
            for each in self.ledger.resources(self.name)
            if each.name == name and each.kind in ("endpoint", "endpoint-config", "model")
        ]
        teardown = Teardown(self.clients, self.ledger, sleep=self.sleep, poll_s=self.poll_s)
        for left in teardown.delete(those):
            self.observer.note(f"{left.resource.kind} {name} is left: {left.why}")

    def _await_endpoint(self, name: str) -> None:
        while True:
            endpoint = self.clients.call("sagemaker", "DescribeEndpoint", {"EndpointName": name})
            status = endpoint["EndpointStatus"]
            if status == "InService":
                return
            if status != "Creating":
                raise self._not_served(name, status, endpoint.get("FailureReason"))
            self.sleep(self.poll_s)

    def _not_served(self, name: str, status: str, reason: str | None) -> ServingFailed:
        lines = Lines(self.clients, f"{ENDPOINTS}/{name}", "", lambda _host, _line: None)
        if self.with_logs:
            with suppress(CallFailed):  # the reason is told in any case
                lines.read()
        return ServingFailed(
            f"endpoint {name} is {status}: {reason or 'no reason is given'}",
            log_tail=lines.tail,
            remedy="mend what its log says, then deploy again; devkit down deletes what is left",
        )

    # --- what both need -----------------------------------------------------------------------

    def _located(self, name: str, location: Location) -> tuple[S3Uri, UploadFiles | None]:
        """Where data is in S3, and what brings it there."""
        if isinstance(location, S3Uri):
            return location, None
        return upload(self.clients, self.cloud.place("data", ""), name, Path(location))

    def _step(
        self,
        kind: Kind,
        name: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        runs: str | None = None,
        instances: int = 1,
    ) -> Step:
        """The making of something of SageMaker's."""
        place = f"{self.clients.region}:{self.clients.account}"
        made = Made(
            kind=kind,
            name=name,
            arn=f"arn:aws:sagemaker:{place}:{kind}/{name.lower()}",
            hourly_cost_of=runs,
            instances=instances,
            use="training" if kind == "training-job" else "hosting",
        )
        return Step(
            service="sagemaker",
            operation=operation,
            parameters=parameters,
            creates=made,
            says=f"create the {kind.replace('-', ' ')} {name}",
        )

    def _carry_out(self, plan: Plan) -> None:
        """Carry a plan out; what it makes is in the ledger before it is made.

        Raises:
            CallFailed: A step is refused.
        """
        execute(plan, self.clients, before=self._write_down, pause=self.sleep)

    def _write_down(self, step: Step) -> None:
        made = step.creates
        if made is None:
            return
        now = datetime.now(timezone.utc)
        ttl = None if self.ttl_s is None else timedelta(seconds=self.ttl_s)
        self.ledger.add(
            Resource(
                kind=cast("Kind", made.kind),
                name=made.name,
                target=self.name,
                account=self.clients.account,
                region=self.clients.region,
                made=now.isoformat(timespec="seconds"),
                instance_type=made.hourly_cost_of,
                instances=made.instances if made.hourly_cost_of else 0,
                until=None if ttl is None else (now + ttl).isoformat(timespec="seconds"),
            )
        )

    def _forget(self, kind: Kind, name: str) -> None:
        """Take something out of the ledger that costs nothing any more."""
        for each in self.ledger.resources(self.name):
            if (each.kind, each.name) == (kind, name):
                self.ledger.remove(each)


def _plan(uploads: Iterable[UploadFiles | None], *steps: Step) -> Plan:
    return Plan((*(each for each in uploads if each is not None), *steps))


def _require_cloudy(job: TrainingJob) -> None:
    """Make sure that a job has nothing that only an engine of this machine can do.

    Raises:
        ConfigError: It has.
    """
    if job.interrupt_after_s:
        raise ConfigError(
            "--spot-interrupt-after is for --target local: elsewhere AWS decides when",
            remedy="[aws] spot = true asks for spot capacity",
        )
    checkpoints = job.checkpoints
    if checkpoints is not None and not isinstance(checkpoints.location, S3Uri):
        raise ConfigError(
            f"the checkpoints are in {checkpoints.location}, which SageMaker cannot reach",
            remedy="name a prefix in S3: --checkpoints s3://bucket/prefix",
        )


def _result(name: str, description: Mapping[str, Any], tail: list[str]) -> CloudTraining:
    status = description["TrainingJobStatus"]
    if status == "Failed":
        reason = description.get("FailureReason", "no reason is given")
        raise TrainingFailed(
            f"training job {name} failed: {reason}",
            log_tail=tail,
            remedy=f"the whole log: devkit logs {name}",
        )
    artifacts = description.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    bucket, _, key = (artifacts or "").removeprefix("s3://").partition("/")
    return CloudTraining(
        name=name,
        status=status,
        model=S3Uri(bucket, key) if artifacts else None,
        metrics={
            each["MetricName"]: each["Value"] for each in description.get("FinalMetricDataList", ())
        },
        description=description,
    )
