"""``.devkit/``: a folder for every job and server, who is at work on it, and an index of them.

::

    .devkit/
      .gitignore               everything here is git-ignored by itself
      jobs/<name>/             a job: run.json, logs/, output/model.tar.gz, outcome.json, …
      servers/<name>/          a server, likewise
      active/<kind>.<name>     present while a run is not finished; locked by the process at work
      index.sqlite             made from the folders

A folder is the truth about its run; the index only repeats it. A process that works on a run holds
a lock on its file in ``active/``, which the kernel releases however that process ends: a file there
that nobody locks is a run whose devkit was killed, and the next command finishes it (``recovery``).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from devkit import contract
from devkit.errors import NotFound, StoreError
from devkit.index import Entry, Index, Kind
from devkit.job import Outcome, Status, Transition

FOLDER_NAME = ".devkit"
_FOLDERS: dict[Kind, str] = {"job": "jobs", "server": "servers"}
_CLAIM_PREFIX = ".claim-"


@dataclass(frozen=True)
class Run:
    """The folder of one job or server. Reading needs no lock; only its owner writes."""

    kind: Kind
    name: str
    folder: Path

    @property
    def logs(self) -> Path:
        """Folder with one log file an instance."""
        return self.folder / "logs"

    def log(self, instance: str) -> Path:
        """Everything that an instance's container wrote: ``algo-1.log``."""
        return self.logs / f"{instance}.log"

    @property
    def metrics(self) -> Path:
        """Folder with one file of metric samples an instance: ``algo-1.jsonl``."""
        return self.folder / "metrics"

    @property
    def opt_ml(self) -> Path:
        """Folder with what becomes each instance's ``/opt/ml``."""
        return self.folder / "opt-ml"

    @property
    def inputs(self) -> Path:
        """Folder for input data that had to be fetched, and for pipes; gone when the run is."""
        return self.folder / "inputs"

    @property
    def engine_notes(self) -> Path:
        """Folder for the engine's own notes: a folder for each instance that may be there."""
        return self.folder / "engine"

    def instances(self) -> list[str]:
        """The instances that may still be there, running or not: ``algo-2`` before ``algo-10``."""
        if not self.engine_notes.is_dir():
            return []
        return sorted((path.name for path in self.engine_notes.iterdir()), key=natural)

    @property
    def model_archive(self) -> Path:
        """``model.tar.gz``, under the ``output/`` that SageMaker puts it in (§1.8)."""
        return self.folder / "output" / "model.tar.gz"

    @property
    def output_archive(self) -> Path:
        """``output.tar.gz``."""
        return self.folder / "output" / "output.tar.gz"

    @property
    def failure(self) -> Path:
        """The whole of ``/opt/ml/output/failure``, where the container wrote it."""
        return self.folder / "output" / "failure"

    def request(self) -> dict[str, Any]:
        """``run.json``: what was asked for; empty where the run died before it was written."""
        return _read_json(self.folder / "run.json") or {}

    def state(self) -> dict[str, Any]:
        """``state.json``: what is known while it runs, such as a server's address."""
        return _read_json(self.folder / "state.json") or {}

    def outcome(self) -> Outcome | None:
        """``outcome.json``, or ``None`` while the run is not finished."""
        data = _read_json(self.folder / "outcome.json")
        return None if data is None else _outcome_from_json(self, data)

    def write(self, file: str, value: Mapping[str, Any]) -> None:
        """Write ``<file>.json`` so that a reader finds the old or the new text, never a part."""
        write_atomically(self.folder / f"{file}.json", json.dumps(value, indent=1) + "\n")

    def write_outcome(self, outcome: Outcome) -> None:
        """Record how the run ended."""
        self.write("outcome", outcome.document())


class Claim:
    """The right to work on a run, held until :meth:`release` or the end of the process."""

    def __init__(self, run: Run, marker: Path, lock: IO[str]) -> None:
        self.run = run
        self._marker = marker
        self._lock = lock

    def release(self, *, finished: bool) -> None:
        """Give the run up; unless it is finished, the next command takes care of it."""
        if finished:
            self._marker.unlink(missing_ok=True)
        self._lock.close()


class Store:
    """The store of one project.

    Raises:
        StoreError: ``.devkit/`` cannot be made or written.
    """

    def __init__(self, project_root: Path) -> None:
        self.root = project_root / FOLDER_NAME
        self._active = self.root / "active"
        self._index = Index(self.root / "index.sqlite")
        with store_errors(self.root):
            self._make()

    def claim(self, kind: Kind, name: str, request: Mapping[str, Any]) -> Claim:
        """Make the folder of a new run, and hold it.

        Raises:
            StoreError: There is a run of this name.
        """
        run = self._run(kind, name)
        with store_errors(self.root):
            self.require_unused(kind, name)
            marker = self._active / f"{kind}.{name}"
            lock = self._lock_new(marker)
            if lock is None:
                raise _taken(kind, name)
            claim = Claim(run, marker, lock)
            try:
                run.folder.mkdir(parents=True)
                run.logs.mkdir()
                run.write("run", request)
                self.index(run)
            except BaseException:
                shutil.rmtree(run.folder, ignore_errors=True)
                claim.release(finished=True)
                raise
            return claim

    def require_unused(self, kind: Kind, name: str) -> None:
        """Make sure that a run of this name can be made.

        Raises:
            StoreError: There is one already.
        """
        if self._run(kind, name).folder.exists():
            raise _taken(kind, name)

    def abandoned(self) -> list[Claim]:
        """The unfinished runs nobody works on any more, now claimed by this process."""
        claims = []
        for marker in sorted(self._active.iterdir()):
            lock = _lock_existing(marker)
            if lock is None:
                continue
            if marker.name.startswith(_CLAIM_PREFIX):
                marker.unlink(missing_ok=True)
                lock.close()
                continue
            kind, _, name = marker.name.partition(".")
            if kind not in _FOLDERS:
                lock.close()
                continue
            claims.append(Claim(self._run(kind, name), marker, lock))
        return claims

    def owner(self, run: Run) -> int | None:
        """The process id of the devkit at work on a run, or ``None`` where there is none."""
        marker = self._active / f"{run.kind}.{run.name}"
        lock = _lock_existing(marker)
        if lock is not None:
            lock.close()
            return None
        with suppress(OSError, ValueError):
            return int(marker.read_text())
        return None

    def find(self, name: str, kind: Kind | None = None) -> Run:
        """A job or server by its name.

        Raises:
            NotFound: There is none.
        """
        for each in _FOLDERS if kind is None else (kind,):
            run = self._run(each, name)
            if contract.JOB_NAME.fullmatch(name) and run.folder.is_dir():
                return run
        raise NotFound(
            f"there is no {kind or 'job or server'} named {name!r} in {self.root}",
            remedy="devkit jobs lists what there is",
        )

    def runs(self, kind: Kind) -> list[Run]:
        """All runs of a kind, oldest first."""
        return [self._run(kind, entry.name) for entry in self.entries(kind)]

    def entries(self, kind: Kind) -> list[Entry]:
        """The index of a kind, oldest first; what was deleted by hand is not in it."""
        with store_errors(self.root):
            if not self._index.usable:
                self._index.rebuild(self._entries_of_folders())
            return [e for e in self._index.entries(kind) if self._run(kind, e.name).folder.is_dir()]

    def index(self, run: Run) -> None:
        """Bring the index up to date with the folder of a run."""
        with store_errors(self.root):
            if self._index.usable:
                self._index.put(_entry(run))
            else:
                self._index.rebuild(self._entries_of_folders())

    def delete(self, run: Run) -> None:
        """Delete the folder of a run and its entry.

        Raises:
            StoreError: A devkit is at work on it.
        """
        if self.owner(run) is not None:
            raise StoreError(
                f"{run.kind} {run.name!r} is running",
                remedy=f"stop it first: devkit stop {run.name}",
            )
        self._delete(run)

    def discard(self, claim: Claim) -> None:
        """Delete a run that this process holds, and that came to nothing."""
        self._delete(claim.run)

    def _delete(self, run: Run) -> None:
        with store_errors(self.root):
            if run.folder.exists():
                shutil.rmtree(run.folder)
            if self._index.usable:
                self._index.remove(run.kind, run.name)

    def _make(self) -> None:
        for folder in (self._active, *(self.root / name for name in _FOLDERS.values())):
            folder.mkdir(parents=True, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            write_atomically(ignore, "*\n")

    def _run(self, kind: Kind, name: str) -> Run:
        return Run(kind, name, self.root / _FOLDERS[kind] / name)

    def _lock_new(self, marker: Path) -> IO[str] | None:
        """Lock a new file, then give it its name: it is never seen there unlocked."""
        while True:
            descriptor, temporary = tempfile.mkstemp(prefix=_CLAIM_PREFIX, dir=self._active)
            lock = os.fdopen(descriptor, "w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if os.fstat(lock.fileno()).st_nlink == 0:  # another devkit swept it away
                    lock.close()
                    continue
                lock.write(str(os.getpid()))
                lock.flush()
                os.link(temporary, marker)
            except FileExistsError:
                lock.close()
                return None
            except BaseException:
                lock.close()
                raise
            finally:
                Path(temporary).unlink(missing_ok=True)
            return lock

    def _entries_of_folders(self) -> Iterator[Entry]:
        for kind, folders in _FOLDERS.items():
            for folder in sorted((self.root / folders).iterdir()):
                if folder.is_dir():
                    yield _entry(self._run(kind, folder.name))


@contextmanager
def store_errors(root: Path) -> Iterator[None]:
    """Turn what the file system refuses below ``root`` into a :class:`StoreError`."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write {error.filename or root}: {error.strerror or error}",
            remedy=f"make {root.parent} writable and see that its disk is not full",
        ) from error


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step that survives a crash of the machine."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _outcome_from_json(run: Run, data: Mapping[str, Any]) -> Outcome:
    """The artifacts are found beside the file: a project folder may have moved since."""
    return Outcome(
        status=Status(data["status"]),
        secondary_status=data["secondary_status"],
        exit_code=data["exit_code"],
        failure_reason=data["failure_reason"],
        started=datetime.fromisoformat(data["started"]),
        ended=datetime.fromisoformat(data["ended"]),
        model=None if data["model"] is None else run.model_archive,
        output=None if data["output"] is None else run.output_archive,
        metrics=data["metrics"],
        transitions=tuple(transition_from_json(row) for row in data.get("transitions", ())),
    )


def transition_from_json(row: Mapping[str, Any]) -> Transition:
    """A transition from its document."""
    return Transition(
        status=row["status"],
        message=row["message"],
        started=datetime.fromisoformat(row["started"]),
        ended=None if row["ended"] is None else datetime.fromisoformat(row["ended"]),
    )


def natural(name: str) -> list[tuple[int, str]]:
    """A key to sort names by, with the numbers in them as numbers."""
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)
    ]


def _taken(kind: Kind, name: str) -> StoreError:
    return StoreError(
        f"there is already a {kind} named {name!r}",
        remedy=f"choose another --name, or remove it: devkit clean {name}",
    )


def _entry(run: Run) -> Entry:
    request, outcome = run.request(), run.outcome()
    running = Status.IN_PROGRESS if run.kind == "job" else Status.IN_SERVICE
    return Entry(
        kind=run.kind,
        name=run.name,
        status=(outcome.status if outcome else running).value,
        engine=request.get("engine", "?"),
        image=request.get("image", "?"),
        started=request.get("started", ""),
        ended=outcome.ended.isoformat() if outcome else None,
        note=outcome.failure_reason if outcome else run.state().get("url"),
    )


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:  # cut off by a crash of the machine: as good as not there
        return None
    return data if isinstance(data, dict) else None


def _lock_existing(marker: Path) -> IO[str] | None:
    """The lock on a file that nobody holds, or ``None`` where somebody does or it is gone."""
    try:
        lock = marker.open("r+")
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock.fileno()).st_ino == marker.stat().st_ino:
            return lock
    except OSError:
        pass
    lock.close()
    return None
