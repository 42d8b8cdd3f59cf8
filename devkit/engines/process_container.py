"""A container of the process engine: a program under its supervisor."""

from __future__ import annotations

import shutil
import signal
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import IO

from devkit.engines.base import Address, ProgramFile
from devkit.engines.process_plan import host_path
from devkit.engines.process_supervision import Supervision
from devkit.engines.sandbox.execution import candidates
from devkit.engines.sandbox.links import remove_links
from devkit.engines.sandbox.plan import ENTRIES, OUTPUT, PLAN, Plan
from devkit.engines.tar_stream import tar_stream
from devkit.errors import EngineError
from devkit.ports import LOOPBACK

_HEAD_BYTES = 4096
_CHUNK_BYTES = 256 * 1024
_FOLLOW_S = 0.01


class ProcessContainer:
    """An :class:`~devkit.engines.base.Container` without a container engine.

    Args:
        plan: What was started.
        supervision: The handle on its supervisor.
    """

    def __init__(self, plan: Plan, supervision: Supervision) -> None:
        self._plan = plan
        self._supervision = supervision
        self._run_folder = Path(plan.run_folder)

    @property
    def name(self) -> str:
        """The name it was started under."""
        return self._plan.name

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels it was started with."""
        return self._plan.labels

    def address(self, port: int) -> Address | None:
        """Where one of its ports is reached, or ``None`` where it is not published."""
        for published in self._plan.ports:
            if published.container == port:
                return Address(LOOPBACK, published.host)
        return None

    def lines(self) -> Iterator[str]:
        """All its output from the first line on, live, without line ends."""
        try:
            log = (self._run_folder / OUTPUT).open("rb", buffering=0)
        except FileNotFoundError:
            if (self._run_folder / PLAN).exists():  # devkit was killed just before it started it
                return
            raise EngineError(f"{self.name} has been removed, and its output with it") from None
        with log:
            yield from _lines(_chunks(log, self._supervision))

    def exit_code(self) -> int | None:
        """Its exit code, or ``None`` while it runs."""
        return self._supervision.exit_code()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait until it ends, and return its exit code; ``None`` where the time ran out."""
        return self.exit_code() if self._supervision.wait(timeout_s) else None

    def signal(self, signum: int) -> None:
        """Send a signal to its main process; nothing where it has already ended."""
        self._supervision.send(signum)

    def stop(self, grace_s: float) -> int:
        """SIGTERM, and SIGKILL ``grace_s`` seconds later; returns the exit code."""
        self.signal(signal.SIGTERM)
        code = self.wait(grace_s)
        if code is None:
            self.signal(signal.SIGKILL)
            code = self.wait()
        assert code is not None  # noqa: S101 - wait() without a limit returns at the end
        return code

    def read_folder(self, target: str) -> AbstractContextManager[IO[bytes]]:
        """One of its folders as an uncompressed tar stream, members relative to the folder."""
        source = self._plan.folders.get(target)
        if source is None:
            raise EngineError(f"{self.name} has no folder {target}")
        if not Path(source).is_dir():
            raise EngineError(f"the folder {target} of {self.name} is gone: there is no {source}")
        return closing(tar_stream(Path(source)))

    def read_program(self, program: str) -> ProgramFile | None:
        """What its PATH has under this name, to explain why it did not start."""
        return find_program(self._plan, program)

    def remove(self) -> None:
        """Kill it if it runs, and delete its run folder."""
        self._supervision.end()
        discard(self._plan)


def discard(plan: Plan) -> None:
    """Delete everything an engine and a supervisor made for a container that has ended."""
    remove_links(plan.links)
    run_folder = Path(plan.run_folder)
    for name in ENTRIES:
        entry = run_folder / name
        if entry.is_dir():
            _delete_folder(entry)
        else:
            entry.unlink(missing_ok=True)
    with suppress(OSError):  # somebody else keeps something there
        run_folder.rmdir()


def find_program(plan: Plan, program: str) -> ProgramFile | None:
    """What the container's PATH has under this name; one that can be executed is preferred."""
    found: ProgramFile | None = None
    search_path = plan.environment.get("PATH", "")
    for path in candidates(program, search_path, plan.working_folder):
        file = _program_file(path, host_path(plan, path))
        if file is not None and file.mode & 0o111:
            return file
        found = found or file
    return found


def _delete_folder(folder: Path) -> None:
    """Delete a folder whose program may have left parts of it locked."""

    def unlock(delete: Callable[..., object], path: str, _error: object) -> None:
        for locked in (Path(path).parent, Path(path)):
            if locked.is_relative_to(folder) and not locked.is_symlink():
                with suppress(OSError):
                    locked.chmod(stat.S_IRWXU)
        if Path(path).is_dir() and not Path(path).is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                delete(path)

    shutil.rmtree(folder, onerror=unlock)


def _program_file(path: str, host: Path) -> ProgramFile | None:
    try:
        if not host.is_file():
            return None
        mode = stat.S_IMODE(host.stat().st_mode)
        with host.open("rb") as file:
            return ProgramFile(path, mode, file.read(_HEAD_BYTES))
    except OSError:
        return None


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    unfinished: list[bytes] = []
    for chunk in chunks:
        *complete, rest = chunk.split(b"\n")
        for line in complete:
            unfinished.append(line)
            yield _text(b"".join(unfinished))
            unfinished.clear()
        unfinished.append(rest)
    last = b"".join(unfinished)
    if last:
        yield _text(last)


def _chunks(log: IO[bytes], supervision: Supervision) -> Iterator[bytes]:
    """What is written to the log, until its writers are gone and all of it is read."""
    ended = False
    while True:
        while chunk := log.read(_CHUNK_BYTES):
            yield chunk
        if ended:
            return
        ended = supervision.wait(_FOLLOW_S)


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", errors="replace")
