"""The instances of a run: each one container, with its log and the engine's notes on it.

SageMaker's word for a machine. The name of an instance names its log, its metrics, its ``/opt/ml``
and its container; a host that is started again (spot, an unhealthy server) is another instance.
The engine's notes on an instance are there from before its start until after its removal: they say
what may be left of a run whose devkit was killed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from devkit.engines.base import Container, ContainerSpec, Engine, Network
from devkit.job import MetricDefinition
from devkit.logs import LogPump, LogRecord
from devkit.progress import Observer
from devkit.store import Run, Store, store_errors


@dataclass(frozen=True)
class Instance:
    """A started instance."""

    name: str
    container: Container
    log: LogPump

    @property
    def ended(self) -> bool:
        """Whether its container has ended and all its lines are kept."""
        return self.log.ended

    def complete_log(self) -> LogRecord:
        """Its log, with every line its ended container wrote."""
        self.log.complete()
        return self.log.record


@dataclass(frozen=True)
class FoundInstance:
    """An instance that another devkit started, or whose start was broken off."""

    name: str
    container: Container
    record: LogRecord

    def complete_log(self) -> LogRecord:
        """Its log, with every line its ended container wrote."""
        self.record.complete(self.container)
        return self.record


AnyInstance = Instance | FoundInstance


class Instances:
    """What runs of a run: started here, or found again.

    Args:
        run: The job or server.
        store: Where it is.
        engine: Runs the containers.
        observer: Is told of every line.
        metrics: What to look for in the lines.
    """

    def __init__(
        self,
        run: Run,
        *,
        store: Store,
        engine: Engine,
        observer: Observer,
        metrics: Iterable[MetricDefinition] = (),
    ) -> None:
        self._run, self._store, self._engine, self._observer = run, store, engine, observer
        self._metrics = tuple(metrics)
        self.network: Network | None = None
        """The run's network, once it is made."""
        self._started: dict[str, Instance] = {}
        self._ended: SimpleQueue[Instance | None] = SimpleQueue()

    def container_name(self, instance: str) -> str:
        """The name of an instance's container: of this store, run and instance, and no other."""
        return f"{_prefix(self._store, self._run)}-{instance}"

    def notes(self, instance: str) -> Path:
        """Where the engine keeps its notes on an instance's container."""
        return self._run.engine_notes / instance

    @property
    def labels(self) -> dict[str, str]:
        """What tells people whose container or network it is."""
        return {
            "devkit.store": str(self._store.root),
            f"devkit.{self._run.kind}": self._run.name,
            "devkit.pid": str(os.getpid()),
        }

    def connect(self, hosts: Sequence[str], *, isolated: bool) -> None:
        """Make a network of its own for the run's hosts; ``run.json`` says that it has one.

        Raises:
            EngineError: The engine refused.
        """
        self.network = self._engine.create_network(
            _prefix(self._store, self._run), hosts, self.labels, isolated=isolated
        )

    def disconnect(self) -> None:
        """Remove the run's network, if it has one, once all its instances are removed."""
        if self._run.request().get("network"):
            self._engine.remove_network(_prefix(self._store, self._run))

    def start(self, name: str, spec: ContainerSpec) -> Instance:
        """Start the container of an instance, and follow its output.

        Raises:
            EngineError: The engine refused.
            StoreError: There is no room for its notes.
        """
        with store_errors(self._store.root):
            spec.run_folder.mkdir(parents=True)
        container = self._engine.start(spec)
        record = LogRecord(self._run, name, self._metrics)
        pump = LogPump(container, record, self._observer, lambda: self._ended.put(instance))
        instance = Instance(name, container, pump)
        pump.start()
        self._started[name] = instance
        return instance

    def next_ended(self, timeout_s: float | None) -> Instance | None:
        """Wait until one more instance has ended; ``None`` where the time ran out, or on a wake.

        Instances that were removed meanwhile do not count.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                ended = self._ended.get(timeout=left_s)
            except Empty:
                return None
            if ended is None or self._started.get(ended.name) is ended:
                return ended

    def wake(self) -> None:
        """Have whoever waits for an end go on, from whatever thread."""
        self._ended.put(None)

    def left(self) -> list[AnyInstance]:
        """Every instance that is not removed, whoever started it; hosts in their order."""
        return [each for name in self._run.instances() if (each := self._find(name)) is not None]

    def remove(self, instance: AnyInstance) -> None:
        """Remove an ended instance whose log and artifacts are kept, with the engine's notes."""
        instance.container.remove()
        self._started.pop(instance.name, None)
        shutil.rmtree(self.notes(instance.name), ignore_errors=True)

    def _find(self, name: str) -> AnyInstance | None:
        if name in self._started:
            return self._started[name]
        container = self._engine.reopen(self.container_name(name), self.notes(name))
        if container is None:
            return None
        return FoundInstance(name, container, LogRecord(self._run, name, self._metrics))


def stop(instances: Sequence[AnyInstance], grace_s: float) -> None:
    """SIGTERM to all that run, SIGKILL after the grace; a Ctrl-C meanwhile kills at once.

    Raises:
        EngineError: The engine could not stop one of them.
    """
    running = [each.container for each in instances if each.container.exit_code() is None]
    errors: list[BaseException] = []

    def stop_one(container: Container) -> None:
        try:
            container.stop(grace_s)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=stop_one, args=(each,), daemon=True) for each in running]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        for container in running:
            container.stop(0)
    if errors:
        raise errors[0]


def _prefix(store: Store, run: Run) -> str:
    digest = hashlib.sha256(str(store.root).encode()).hexdigest()[:8]
    return f"devkit-{digest}-{run.kind}-{run.name}"
