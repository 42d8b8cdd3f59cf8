"""A handle on a container's supervisor: one this devkit started, or one found in a run folder."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal, Protocol

from devkit.engines import sandbox
from devkit.engines.sandbox.plan import EXIT, OUTPUT, PASSED_ON, RUNNING, TROUBLE, Plan
from devkit.errors import EngineError

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from sandbox.supervisor import main; main(*sys.argv[2:])"
)
_KILLED = 128 + signal.SIGKILL
# Killing takes milliseconds; a supervisor that takes this long is itself stuck.
_PATIENCE_S = 10.0
_TROUBLE_CHARACTERS = 2000

FailureKind = Literal["refused", "setup", "exec"]


class StartFailed(Exception):
    """The supervisor could not start the program.

    ``kind`` is ``refused`` where this machine gives no namespaces, ``exec`` where the program is
    to blame, and ``setup`` for anything else.
    """

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class Supervision(Protocol):
    """What a container needs of its supervisor."""

    def exit_code(self) -> int | None:
        """The program's exit code, or ``None`` while it runs."""

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until the program has ended and all its output is written; whether it has."""

    def send(self, signum: int) -> None:
        """Signal the program; nothing where it has ended."""

    def end(self) -> None:
        """Kill whatever still runs, the supervisor included, and wait until it is gone."""


class OwnSupervisor:
    """The supervisor of a container that this process started.

    Args:
        plan: The container; laid out in its run folder.
        listeners: The sockets its ports are published on, where the supervisor forwards them.
        output: What the program's output is written to, a file descriptor; by default a file in
            the run folder.

    Raises:
        StartFailed: Nothing was started, and nothing is left running.
    """

    def __init__(
        self, plan: Plan, listeners: Sequence[socket.socket] = (), output: int | None = None
    ) -> None:
        self._run_folder = Path(plan.run_folder)
        self._output = output
        self._ended = threading.Event()
        self._gone = threading.Event()
        self._exit_code: int | None = None
        self._lock = threading.Lock()
        self._lifeline: int | None = None
        self._status: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        try:
            self._spawn(listeners)
            self._await_start()
            self._thread = threading.Thread(target=self._follow, name=f"{plan.name}", daemon=True)
            self._thread.start()
        except BaseException:
            self._abort()
            raise

    @property
    def pid(self) -> int:
        """Its process id; the program is a child of it."""
        assert self._process is not None  # noqa: S101 - set by _spawn
        return self._process.pid

    def exit_code(self) -> int | None:
        """The program's exit code, or ``None`` while it runs."""
        return self._exit_code

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until the program has ended and all its output is written; whether it has."""
        return self._ended.wait(timeout_s)

    def send(self, signum: int) -> None:
        """Signal the program; nothing where it has ended."""
        with self._lock, suppress(BrokenPipeError):
            if self._lifeline is not None:
                os.write(self._lifeline, bytes([signum]))

    def end(self) -> None:
        """Kill whatever still runs, the supervisor included, and wait until it is gone."""
        self._cut_lifeline()
        if not self._gone.wait(_PATIENCE_S) and self._process is not None:
            self._process.kill()
            self._gone.wait()

    def _spawn(self, listeners: Sequence[socket.socket]) -> None:
        lifeline, self._lifeline = os.pipe()
        status, writer = os.pipe()
        self._status = os.fdopen(status, "rb")
        inherited = [lifeline, writer, *(each.fileno() for each in listeners)]
        package = Path(sandbox.__path__[0])
        output = self._run_folder / OUTPUT if self._output is None else os.dup(self._output)
        trouble = self._run_folder / TROUBLE
        try:
            with open(output, "ab") as log, trouble.open("ab") as errors:  # noqa: PTH123 - or a descriptor
                self._process = subprocess.Popen(  # noqa: S603 - our own program
                    [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, str(package.parent),
                     str(self._run_folder), *map(str, inherited)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=errors,
                    pass_fds=inherited,
                    start_new_session=True,
                    env={},
                    cwd="/",
                )  # fmt: skip
        finally:
            os.close(lifeline)
            os.close(writer)

    def _await_start(self) -> None:
        assert self._status is not None  # noqa: S101 - set by _spawn
        said = self._status.readline()
        if not said:
            raise StartFailed("setup", f"its supervisor died: {self._trouble()}")
        failed = json.loads(said).get("failed")
        if failed is not None:
            raise StartFailed(failed["kind"], failed["detail"])

    def _trouble(self) -> str:
        text = (self._run_folder / TROUBLE).read_text(encoding="utf-8", errors="replace")
        return text[-_TROUBLE_CHARACTERS:].strip() or "it was killed"

    def _follow(self) -> None:
        """Wait for the end of the program, then for that of its supervisor."""
        assert self._status is not None  # noqa: S101 - set by _spawn
        assert self._process is not None  # noqa: S101 - likewise
        with self._status:
            for said in self._status:
                event = json.loads(said)
                if "exited" in event:
                    self._finish(event["exited"])
        self._process.wait()
        if self._exit_code is None:  # somebody killed the supervisor; its program died with it
            self._finish(_recorded_exit(self._run_folder))
        self._cut_lifeline()
        self._gone.set()

    def _finish(self, exit_code: int) -> None:
        self._exit_code = exit_code
        self._ended.set()

    def _cut_lifeline(self) -> None:
        with self._lock:
            if self._lifeline is not None:
                os.close(self._lifeline)
                self._lifeline = None

    def _abort(self) -> None:
        """Leave nothing of a start that did not succeed."""
        self._cut_lifeline()
        if self._thread is not None and self._gone.wait(_PATIENCE_S):
            return
        if self._process is not None:
            try:
                self._process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._status is not None:
            self._status.read()  # to its end, which is that of a supervisor we do not know of yet
            self._status.close()


class FoundSupervisor:
    """The supervisor that an earlier or another devkit started, by what it wrote in its run folder.

    Whether it lives is told by the lock it holds: a process id may be somebody else's by now.
    """

    def __init__(self, run_folder: Path) -> None:
        self._run_folder = run_folder
        self._gone = threading.Event()
        if self._alive():
            threading.Thread(target=self._await_end, daemon=True).start()
        else:
            self._gone.set()

    def exit_code(self) -> int | None:
        """The program's exit code, or ``None`` while it runs."""
        if self._gone.is_set() or (self._run_folder / EXIT).exists():
            return _recorded_exit(self._run_folder)
        return None

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until the program has ended and all its output is written; whether it has."""
        return self.exit_code() is not None or self._gone.wait(timeout_s)

    def send(self, signum: int) -> None:
        """Signal the program, by way of its supervisor; nothing where it has ended.

        Raises:
            EngineError: The supervisor does not pass this signal on.
        """
        if signum == signal.SIGKILL:
            self._signal(signal.SIGQUIT)
        elif signum in PASSED_ON:
            self._signal(signum)
        else:
            raise EngineError(f"signal {signum} can only be sent by the devkit that started it")

    def end(self) -> None:
        """Kill whatever still runs, the supervisor included, and wait until it is gone."""
        self.send(signal.SIGKILL)
        if not self._gone.wait(_PATIENCE_S):
            self._signal(signal.SIGKILL)
            self._gone.wait()

    def _alive(self) -> bool:
        try:
            with (self._run_folder / RUNNING).open("rb") as claim:
                fcntl.flock(claim, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def _await_end(self) -> None:
        with suppress(FileNotFoundError), (self._run_folder / RUNNING).open("rb") as claim:
            fcntl.flock(claim, fcntl.LOCK_SH)
        self._gone.set()

    def _signal(self, signum: int) -> None:
        if self._alive():
            with suppress(OSError, ValueError, KeyError):
                noted = json.loads((self._run_folder / RUNNING).read_text(encoding="ascii"))
                os.kill(noted["supervisor"], signum)


def _recorded_exit(run_folder: Path) -> int:
    """The exit code the supervisor wrote down; without one it was killed, and all with it."""
    with suppress(OSError, ValueError, KeyError):
        return int(json.loads((run_folder / EXIT).read_text(encoding="ascii"))["exit_code"])
    return _KILLED
