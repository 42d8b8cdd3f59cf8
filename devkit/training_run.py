"""The hosts of a training job from their start to their end, spot interruptions between them."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

from devkit import contract, opt_ml
from devkit.attempt import Attempt, diagnose
from devkit.channels.plan import InputMode
from devkit.channels.s3_reading import S3Client
from devkit.checkpoints import of_request
from devkit.engines.base import ContainerSpec, Mount
from devkit.finishing import Ending, blame
from devkit.inputs import Inputs
from devkit.instances import Instance
from devkit.job import Phase, Status, TrainingJob
from devkit.store import Store, store_errors


class StopRequest:
    """A way to stop a job from another thread, as StopTrainingJob does (§1.10)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: list[Callable[[], None]] = []
        self.made = False
        """Whether it was made."""
        self.grace_s = contract.TRAIN_STOP_GRACE_S
        """Seconds between SIGTERM and SIGKILL."""

    def make(self, grace_s: float = contract.TRAIN_STOP_GRACE_S) -> None:
        """Stop the job: SIGTERM, then SIGKILL after the grace; its model is kept.

        Twice is not an error: a second time may shorten the grace, and then waits for its end.
        """
        with self._lock:
            if self.made and grace_s >= self.grace_s:
                return
            self.made = True
            self.grace_s = grace_s
            told = tuple(self._told)
        for tell in told:
            tell()

    def tell(self, listener: Callable[[], None]) -> None:
        """Call this each time it is made, from that thread; at once where it was made before."""
        with self._lock:
            self._told.append(listener)
            made = self.made
        if made:
            listener()


@dataclass(frozen=True)
class _Limit:
    """A moment at which something happens to a job that still trains."""

    at: float
    """On the monotonic clock."""
    what: Literal["max_run", "max_wait", "interruption", "stop"]


class TrainingRun:
    """The instances of a job from their start to their end, spot interruptions between them."""

    def __init__(
        self,
        job: TrainingJob,
        attempt: Attempt,
        store: Store,
        s3: Callable[[], S3Client],
        stop: StopRequest,
    ) -> None:
        self._job, self._attempt, self._store, self._s3 = job, attempt, store, s3
        self._stop = stop
        stop.tell(attempt.instances.wake)
        self._hosts = contract.host_names(job.host_count)
        self._begun = time.monotonic()
        self._trained_s = 0.0
        attempt.checkpoints = of_request(attempt.run, attempt.run.request(), s3)

    def run(self) -> Ending | None:
        """Train until the job ends.

        Returns:
            How the job ends, where the exit codes do not say it all.
        """
        self._attempt.observer.hosts(self._hosts)
        for warning in contract.hyperparameter_warnings(self._job.hyperparameters):
            self._attempt.observer.note(warning)
        if has_network(self._job):
            isolated = self._job.network_isolation
            self._attempt.instances.connect(self._hosts, isolated=isolated)
        for start in itertools.count():
            ended, ending = self._train(start)
            if ended:
                return ending
            self._interrupt()
        raise AssertionError("the loop has no end of its own")

    def _train(self, start: int) -> tuple[bool, Ending | None]:
        """Start all hosts and wait until the job ends, or is interrupted.

        Args:
            start: How often it was started before.
        """
        attempt = self._attempt
        attempt.enter(Phase.STARTING)
        names = {host: _instance(host, start) for host in self._hosts}
        with store_errors(self._store.root):
            inputs = self._inputs()
            specs = {
                host: self._container(host, names[host], inputs[host].mounts)
                for host in self._hosts
            }
        with _feeding(inputs.values(), attempt):
            started = [attempt.instances.start(names[host], specs[host]) for host in self._hosts]
            attempt.enter(Phase.TRAINING)
            begun = time.monotonic()
            with self._checkpointing(started):
                limit, failed = self._await_end(self._limit(start, begun))
            self._trained_s += time.monotonic() - begun
            if failed is not None:
                return True, self._failed(failed)
            if limit is None:
                return True, None
            if limit.what == "interruption":
                return False, None
            return True, self._stopped() if limit.what == "stop" else self._out_of_time(limit)

    def _limit(self, start: int, now: float) -> _Limit:
        """What comes first if the job does not end."""
        job = self._job
        limits = [_Limit(now + job.max_run_s - self._trained_s, "max_run")]
        if job.max_wait_s is not None:
            limits.append(_Limit(self._begun + job.max_wait_s, "max_wait"))
        if start < len(job.interrupt_after_s):
            limits.append(_Limit(now + job.interrupt_after_s[start], "interruption"))
        return min(limits, key=lambda limit: limit.at)

    @contextmanager
    def _checkpointing(self, instances: Sequence[Instance]) -> Iterator[None]:
        """Keep the checkpoints in step for the length of the block."""
        checkpoints, observer = self._attempt.checkpoints, self._attempt.observer
        with (
            nullcontext()
            if checkpoints is None
            else checkpoints.following(instances, observer.note)
        ):
            yield

    def _interrupt(self) -> None:
        """Take all hosts away, as spot capacity is; their checkpoints alone remain (§1.10)."""
        attempt, run = self._attempt, self._attempt.run
        attempt.enter(Phase.INTERRUPTED)
        grace_s = contract.SPOT_STOP_GRACE_S
        attempt.observer.note(
            f"spot interruption: SIGTERM, SIGKILL after {grace_s:g} s; then it starts again"
            + ("" if attempt.checkpoints else " from the beginning: it has no checkpoints")
        )
        attempt.stop(attempt.instances.left(), grace_s)
        with store_errors(self._store.root):
            for instance in attempt.instances.left():
                instance.complete_log()
                if attempt.checkpoints is not None:
                    attempt.checkpoints.sync(instance)
                attempt.instances.remove(instance)
            for folder in (run.opt_ml, run.inputs):
                shutil.rmtree(folder, ignore_errors=True)
        attempt.start_again()

    def _inputs(self) -> dict[str, Inputs]:
        """The input data of each host."""
        job, attempt = self._job, self._attempt
        if any(channel.input_mode is not InputMode.PIPE for channel in job.channels):
            attempt.enter(Phase.DOWNLOADING)
        inputs = {}
        for host in self._hosts:
            shares = [(channel, job.share(channel, host)) for channel in job.channels]
            own = [(channel, share) for channel, share in shares if share is not None]
            inputs[host] = Inputs(own, attempt.run.inputs / host, self._s3)
        for note in dict.fromkeys(note for each in inputs.values() for note in each.notes):
            attempt.observer.note(note)
        return inputs

    def _container(self, host: str, instance: str, data: Sequence[Mount]) -> ContainerSpec:
        job, instances = self._job, self._attempt.instances
        root = self._attempt.run.opt_ml / host
        if self._attempt.checkpoints is not None:
            self._attempt.checkpoints.fetch(instance, opt_ml.checkpoint_folder(root))
        entrypoint, command = contract.training_start(job.entrypoint, job.arguments)
        prepared = opt_ml.for_training(root, job, host, data)
        return ContainerSpec(
            name=instances.container_name(instance),
            image=job.image,
            entrypoint=entrypoint,
            command=command,
            environment={
                **contract.training_environment(job.name, job.environment),
                **job.platform_environment,
            },
            mounts=prepared.mounts,
            folders=prepared.folders,
            hostname=host,
            network=instances.network,
            limits=job.limits,
            labels=instances.labels,
            run_folder=instances.notes(instance),
        )

    def _await_end(self, limit: _Limit) -> tuple[_Limit | None, Instance | None]:
        """Wait until every host has ended well, one has failed, or a limit is reached.

        Returns:
            The limit if it was reached, and the host that failed if one has.
        """
        for _ in self._hosts:
            ended = self._attempt.instances.next_ended(limit.at - time.monotonic())
            if ended is None and self._stop.made:
                return _Limit(time.monotonic(), "stop"), None
            if ended is None:
                return limit, None
            if ended.container.wait() != 0:
                return None, ended
        return None, None

    def _stopped(self) -> Ending:
        """Somebody has asked for it."""
        self._attempt.enter_stopping()
        left = self._attempt.instances.left()
        self._stop.tell(lambda: self._attempt.stop(left, self._stop.grace_s))
        return Ending(Status.STOPPED)

    def _out_of_time(self, limit: _Limit) -> Ending:
        """The job has had all the time it may have (§1.10)."""
        job = self._job
        allowed, secondary = (
            (f"max_run_s = {job.max_run_s}", "MaxRuntimeExceeded")
            if limit.what == "max_run"
            else (f"max_wait_s = {job.max_wait_s}", "MaxWaitTimeExceeded")
        )
        self._attempt.observer.note(f"the job has run for its {allowed} s")
        self._attempt.stop(self._attempt.instances.left(), contract.TRAIN_STOP_GRACE_S)
        return Ending(Status.STOPPED, secondary=secondary)

    def _failed(self, failed: Instance) -> Ending | None:
        """One host has failed: the job has, and the others are stopped (§1.9)."""
        run, instances = self._attempt.run, self._attempt.instances
        with store_errors(self._store.root):
            blame(run, failed)
        others = [each for each in instances.left() if each.container.exit_code() is None]
        if others:
            self._attempt.observer.note(
                f"{failed.name} has failed: stopping the other hosts "
                f"(SIGTERM, SIGKILL after {contract.PEER_STOP_GRACE_S:g} s)"
            )
            self._attempt.stop(others, contract.PEER_STOP_GRACE_S)
        diagnosis = diagnose(failed.container, program(self._job), run, failed.name)
        if diagnosis is None:
            return None
        return Ending(Status.FAILED, diagnosis.reason, remedy=diagnosis.remedy)


def _instance(host: str, start: int) -> str:
    """The name of a host's instance; ``start`` counts those before it."""
    return host if start == 0 else f"{host}-restart-{start}"


@contextmanager
def _feeding(inputs: Iterable[Inputs], attempt: Attempt) -> Iterator[None]:
    """Feed the pipes of all hosts for the length of the block."""
    with ExitStack() as stack:
        for each in inputs:
            stack.enter_context(each.feeding(lambda _error: attempt.kill()))
        yield


def has_network(job: TrainingJob) -> bool:
    """Whether its hosts are in a network of their own."""
    return job.host_count > 1 or job.network_isolation


def program(job: TrainingJob) -> str:
    """What is executed, as far as the request tells."""
    entrypoint, command = contract.training_start(job.entrypoint, job.arguments)
    return (entrypoint or command)[0]
