"""Checkpoints: copied in before a job starts, kept in step with it while it trains (§1.10).

SageMaker copies what is in S3 to the container at its start and uploads what the program writes as
it is written; what the program deletes is deleted in S3. Here a pass over the container's folder
does that every second or so, and once more when the container has ended. Nothing but that folder
itself says what has changed, so a pass reads all of it; passes pause so long that they take a
twentieth of the time at most.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from devkit import archives
from devkit.channels.locations import parse_location
from devkit.channels.s3_reading import S3Client
from devkit.checkpoint_storage import CheckpointStorage, storage_at
from devkit.errors import DevkitError, EngineError
from devkit.job import CheckpointPlan
from devkit.store import Run, write_atomically

_PAUSE_S = 1.0
_PAUSE_FACTOR = 19
# Archives tell times in seconds: a file that was written this recently may change once more and
# look the same.
_SETTLED_S = 2

Stamp = tuple[int, int]
"""Size in bytes, and time of the last change in whole seconds."""


def for_request(plan: CheckpointPlan | None) -> dict[str, str] | None:
    """What ``run.json`` keeps of a job's checkpoints, for :func:`of_request`."""
    return None if plan is None else {"location": str(plan.location), "path": plan.path}


def of_request(
    run: Run, request: Mapping[str, Any], s3: Callable[[], S3Client]
) -> Checkpoints | None:
    """The checkpoints of a job, by its ``run.json``; ``None`` where it has none."""
    kept = request.get("checkpoints")
    if kept is None:
        return None
    storage = storage_at(parse_location(kept["location"], Path("/")), s3)
    return Checkpoints(storage, kept["path"], run.folder / "checkpoints")


class _Stopped(Exception):
    """A pass was asked to end early."""


class _HasFolders(Protocol):
    """As much of a container as checkpoints take."""

    def read_folder(self, target: str) -> AbstractContextManager[IO[bytes]]:
        """See :meth:`devkit.engines.base.Container.read_folder`."""


class Instance(Protocol):
    """As much of an instance as checkpoints take."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def container(self) -> _HasFolders:
        """Its container."""


class Checkpoints:
    """The checkpoints of one job.

    Every instance has its own copy, and all share one storage: what an instance was given or has
    written is its own to change and delete there.

    Args:
        storage: Where they are kept.
        path: Where programs find them.
        notes: Folder for what is known of each instance's checkpoints.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        storage: CheckpointStorage,
        path: str,
        notes: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._storage = storage
        self._notes = notes
        self._clock = clock

    def fetch(self, instance: str, folder: Path) -> None:
        """Copy what there is into a new folder, for an instance to start with.

        Raises:
            DevkitError: It cannot be read or written.
        """
        self._storage.fetch(folder)
        known: dict[str, Stamp | None] = {}
        for file in folder.rglob("*"):
            if file.is_file():
                stamp = (file.stat().st_size, int(file.stat().st_mtime))
                known[file.relative_to(folder).as_posix()] = self._settled(stamp)
        self._save(instance, known)

    def sync(self, instance: Instance, stop: threading.Event | None = None) -> None:
        """Bring the storage up to date with an instance, running or ended.

        Raises:
            DevkitError: The storage cannot be written.
            EngineError: The engine cannot give the folder.
            OSError: The disk is full.
        """
        known = self._load(instance.name)
        seen = set()
        try:
            with instance.container.read_folder(self.path) as stream:
                for member, name, content in archives.members(stream):
                    if stop is not None and stop.is_set():
                        raise _Stopped
                    stamp = (member.size, int(member.mtime))
                    seen.add(name)
                    if content is None or known.get(name) == stamp:
                        continue
                    known[name] = None  # until all of it is there
                    self._storage.put(name, content)
                    known[name] = self._settled(stamp)
            for name in sorted(known.keys() - seen):
                self._storage.delete(name)
                del known[name]
        finally:
            self._save(instance.name, known)

    @contextmanager
    def following(
        self, instances: Sequence[Instance], on_problem: Callable[[str], None]
    ) -> Iterator[None]:
        """Keep the storage in step with running instances for the length of the block.

        What is written after the last pass is left to a last :meth:`sync`. A pass that fails is
        told once, and tried again.
        """
        stop = threading.Event()
        thread = threading.Thread(
            target=self._follow, args=(instances, stop, on_problem), name="checkpoints", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()  # before anything stops a container, which waits for a pass over it
            thread.join()

    def _follow(
        self,
        instances: Sequence[Instance],
        stop: threading.Event,
        on_problem: Callable[[str], None],
    ) -> None:
        pause_s = _PAUSE_S
        told: str | None = None
        while not stop.wait(pause_s):
            begun = time.monotonic()
            for instance in instances:
                try:
                    self.sync(instance, stop)
                except _Stopped:
                    return
                except EngineError:  # the container has ended; what it left is collected then
                    continue
                except (DevkitError, OSError) as error:
                    problem = str(error).splitlines()[0]
                    if problem != told:
                        on_problem(f"checkpoints: {problem} (tried again)")
                        told = problem
            pause_s = max(_PAUSE_S, _PAUSE_FACTOR * (time.monotonic() - begun))

    def _settled(self, stamp: Stamp) -> Stamp | None:
        return stamp if stamp[1] < self._clock() - _SETTLED_S else None

    def _load(self, instance: str) -> dict[str, Stamp | None]:
        try:
            rows = json.loads((self._notes / f"{instance}.json").read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return {name: None if row is None else (row[0], row[1]) for name, row in rows.items()}

    def _save(self, instance: str, known: Mapping[str, Stamp | None]) -> None:
        self._notes.mkdir(parents=True, exist_ok=True)
        write_atomically(self._notes / f"{instance}.json", json.dumps(known))
