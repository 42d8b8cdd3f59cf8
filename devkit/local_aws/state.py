"""Where the endpoint of a project is, and who runs it: ``.devkit/local-aws/``.

::

    .devkit/local-aws/
      lock              locked by the process that runs the endpoint, for as long as it lives
      endpoint.json     where it is, while it is up
      users             locked, shared, by every command that runs against it
      journal.jsonl     what moto was told (``journal``)
      sagemaker/        what was made in SageMaker (``sagemaker/records``)
      client/           what commands are given: configuration files, and the hook for Python

The kernel releases a lock however its process ends (docs/adr/0004): a lock that can be had means
that nobody runs an endpoint, whatever ``endpoint.json`` says.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

from devkit.errors import DevkitError
from devkit.store import FOLDER_NAME, store_errors, write_atomically

_FOLDER = "local-aws"
_POLL_S = 0.01
# A command that only looks holds the lock for microseconds.
_GLANCE_S = 0.5
Kind = Literal["up", "exec"]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An endpoint that is up."""

    url: str
    """For processes of this machine."""
    container_url: str
    """For containers."""
    pid: int
    started: str
    """ISO 8601, in UTC."""
    kind: Kind
    """``exec`` is one that ends with its command."""
    gateway: str | None = None
    """The URL of the project's API."""

    def document(self) -> dict[str, Any]:
        """The endpoint for machines."""
        return asdict(self)


class AlreadyUp(DevkitError):
    """There is an endpoint in this project already."""

    def __init__(self, endpoint: Endpoint | None) -> None:
        where = f" at {endpoint.url}, by process {endpoint.pid}" if endpoint else ""
        ends = endpoint is not None and endpoint.kind == "exec"
        super().__init__(
            f"the local AWS of this project is up already{where}",
            remedy="it ends with the devkit exec that started it"
            if ends
            else "use that one, or stop it first: devkit down",
        )
        self.endpoint = endpoint


def is_made(project_root: Path) -> bool:
    """Whether a project has ever had an endpoint: nobody makes the folder only to look."""
    return (project_root / FOLDER_NAME / _FOLDER).is_dir()


class State:
    """The folder.

    Args:
        project_root: The folder with ``devkit.toml``.

    Raises:
        StoreError: It cannot be made.
    """

    def __init__(self, project_root: Path) -> None:
        store = project_root / FOLDER_NAME
        self.folder = store / _FOLDER
        with store_errors(store):
            self.folder.mkdir(parents=True, exist_ok=True)
            ignore = store / ".gitignore"
            if not ignore.exists():
                write_atomically(ignore, "*\n")

    @property
    def journal(self) -> Path:
        """What moto was told."""
        return self.folder / "journal.jsonl"

    @property
    def s3_folder(self) -> Path:
        """Where S3's buckets are folders: ``.devkit/s3/<bucket>/<key>``."""
        return self.folder.parent / "s3"

    @property
    def sagemaker(self) -> Path:
        """What was made in SageMaker."""
        return self.folder / "sagemaker"

    @property
    def functions(self) -> Path:
        """Code of functions and notes on their instances, for as long as the endpoint runs."""
        return self.folder / "lambda"

    @property
    def client(self) -> Path:
        """What commands are given."""
        return self.folder / "client"

    def forget(self) -> None:
        """Forget what AWS services were told before; nobody runs an endpoint."""
        with store_errors(self.folder):
            self.journal.unlink(missing_ok=True)
            shutil.rmtree(self.sagemaker, ignore_errors=True)

    @property
    def _document(self) -> Path:
        return self.folder / "endpoint.json"

    def endpoint(self) -> Endpoint | None:
        """The endpoint that is up, if one is."""
        with self._open("lock") as lock:
            if _try_lock(lock, fcntl.LOCK_SH):
                return None
        return self._read()

    def is_held(self) -> bool:
        """Whether a process runs an endpoint, or is about to."""
        with self._open("lock") as lock:
            return not _try_lock(lock, fcntl.LOCK_SH)

    @contextmanager
    def held(self) -> Iterator[Held]:
        """Hold the right to run the endpoint, until the end of the block.

        Raises:
            AlreadyUp: Another process has it.
        """
        with self._open("lock") as lock:
            deadline = time.monotonic() + _GLANCE_S
            while not _try_lock(lock, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise AlreadyUp(self._read())
                time.sleep(_POLL_S)
            self._document.unlink(missing_ok=True)  # of one that was killed
            try:
                yield Held(self._document)
            finally:
                self._document.unlink(missing_ok=True)

    @contextmanager
    def used(self) -> Iterator[bool]:
        """Keep an endpoint that ends with its command from ending; false where it does already."""
        with self._open("users") as lock:
            yield _try_lock(lock, fcntl.LOCK_SH)

    @contextmanager
    def unused(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Wait until no command uses the endpoint; none can begin to until the end of the block.

        Args:
            waiting: Called where there is one to wait for.
        """
        with self._open("users") as lock:
            if not _try_lock(lock, fcntl.LOCK_EX):
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _open(self, name: str) -> IO[str]:
        with store_errors(self.folder):
            return (self.folder / name).open("a+")

    def _read(self) -> Endpoint | None:
        with suppress(OSError, ValueError, TypeError):
            document: Mapping[str, Any] = json.loads(self._document.read_text(encoding="utf-8"))
            return Endpoint(**document)
        return None


class Held:
    """The right to run the endpoint."""

    def __init__(self, document: Path) -> None:
        self._document = document

    def announce(self, endpoint: Endpoint) -> None:
        """Say where it is, now that it is up."""
        write_atomically(self._document, json.dumps(endpoint.document(), indent=1) + "\n")

    def withdraw(self) -> None:
        """Say so no more."""
        self._document.unlink(missing_ok=True)


def this_process() -> int:
    """Whom ``devkit down`` signals."""
    return os.getpid()


def _try_lock(lock: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
