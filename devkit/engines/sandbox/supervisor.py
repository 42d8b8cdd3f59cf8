"""The supervisor of one container: starts its program, ends it, and outlives nobody.

It holds four lines to the outside, all inherited:

- the *lifeline*, a pipe that devkit holds the other end of. Each byte on it is a signal for the
  program; its end means that devkit is gone, and then everything is killed at once;
- the *status* pipe, on which it reports to devkit, one JSON object a line: ``started``, or
  ``failed`` with a kind (``refused``, ``setup``, ``exec``) and a detail; then ``exited``;
- standard output, which is the container's log file;
- the sockets that listen on the container's published ports, where it has ports to forward.

Some signals (``PASSED_ON``) sent to the supervisor itself go on to the program; SIGQUIT kills it.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from . import linux
from .execution import become_program
from .forwarder import Forwarder
from .links import make_links, remove_links
from .namespaces import Refused, connect_from_outside, enter
from .plan import EXIT, PASSED_ON, RUNNING, Plan, load
from .processes import end_descendants, exit_code, reap

_DELIVERY_S = 1.0
"""How long a client may take to read what the ended program had sent."""

_ON_LINUX = sys.platform == "linux"


def main(run_folder: str, *inherited: str) -> None:
    """Supervise the container whose plan stands in ``run_folder``, from start to end.

    Args:
        run_folder: The engine's notes on the container.
        inherited: File descriptors: lifeline, status pipe and, to forward its ports, the listeners
            of ``plan.ports``.
    """
    lifeline, status, *listeners = map(int, inherited)
    for handle in (lifeline, status, *listeners):
        os.set_inheritable(handle, False)
    plan = load(Path(run_folder))
    with _claimed(Path(run_folder)):
        supervisor = _Supervisor(plan, lifeline, status)
        try:
            supervisor.start()
            supervisor.forward(listeners)
            supervisor.follow()
        except Refused as refused:
            supervisor.report({"failed": {"kind": "refused", "detail": str(refused)}})
        except OSError as failure:
            supervisor.report({"failed": {"kind": "setup", "detail": str(failure)}})
        finally:
            remove_links(plan.links)


def _claimed(run_folder: Path) -> IO[str]:
    """Say who supervises, and keep that locked: the lock, unlike a process id, ends with us."""
    claim = (run_folder / RUNNING).open("w", encoding="ascii")
    fcntl.flock(claim, fcntl.LOCK_EX)
    claim.write(json.dumps({"supervisor": os.getpid()}))
    claim.flush()
    return claim


class _Supervisor:
    """The program's process, and everything there is to react to."""

    def __init__(self, plan: Plan, lifeline: int, status: int) -> None:
        self._plan = plan
        self._status = status
        self._selector = selectors.DefaultSelector()
        self._program = 0
        self._starting: int | None = None
        self._exit_code: int | None = None
        self._deadline = 0.0
        self._forwarders: list[Forwarder] = []
        self._watch(lifeline, lambda: self._hear_devkit(lifeline))
        self._watch_parent()

    def report(self, event: object) -> None:
        """Tell devkit, if it is still there."""
        with suppress(BrokenPipeError):
            os.write(self._status, json.dumps(event).encode() + b"\n")

    def start(self) -> None:
        """Start the program's process; what becomes of it arrives as events."""
        make_links(self._plan.links)
        if self._plan.isolated:
            enter(self._plan.hostname, own_network=self._plan.own_network)
        elif _ON_LINUX:
            linux.adopt_orphans()
        self._catch_signals()
        self._starting, writer = os.pipe()
        self._program = os.fork()
        if self._program == 0:
            become_program(self._plan, writer, linux_host=_ON_LINUX)
        os.close(writer)
        self._watch(self._starting, self._hear_start)

    def forward(self, listeners: Sequence[int]) -> None:
        """Carry connections to the program's ports for as long as it runs."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        for listener, port in zip(listeners, self._plan.ports, strict=False):
            connect = partial(connect_from_outside, port.container)
            published = socket.socket(fileno=listener)
            self._forwarders.append(Forwarder(self._selector, published, connect))

    def follow(self) -> None:
        """React until the program has ended and what it had sent is delivered."""
        while self._exit_code is None:
            self._react(None)
        while any(each.busy for each in self._forwarders):
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                return
            self._react(left_s)

    def _react(self, timeout_s: float | None) -> None:
        for key, _ in self._selector.select(timeout_s):
            key.data()

    def _watch(self, handle: int, react: Callable[[], None]) -> None:
        self._selector.register(handle, selectors.EVENT_READ, react)

    def _watch_parent(self) -> None:
        """Notice devkit's death even where a forked child of it still holds the lifeline."""
        if sys.platform == "linux":
            with suppress(OSError):  # a kernel before 5.3: the lifeline alone has to do
                self._watch(os.pidfd_open(os.getppid()), self._die)

    def _catch_signals(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for signum in (signal.SIGCHLD, signal.SIGQUIT, *PASSED_ON):
            signal.signal(signum, lambda *_: None)
        self._watch(reader, lambda: self._hear_signals(reader))

    def _hear_devkit(self, lifeline: int) -> None:
        received = os.read(lifeline, 64)
        for signum in received:
            self._send(signum)
        if not received:
            self._die()

    def _hear_signals(self, wakeup: int) -> None:
        for signum in os.read(wakeup, 64):
            if signum == signal.SIGCHLD:
                self._reap()
            else:
                self._send(signal.SIGKILL if signum == signal.SIGQUIT else signum)

    def _hear_start(self) -> None:
        """The pipe that exec closes: whether the process became the program."""
        if self._starting is None:
            return
        said = b""
        while chunk := os.read(self._starting, 4096):
            said += chunk
        self._selector.unregister(self._starting)
        os.close(self._starting)
        self._starting = None
        self.report({"failed": json.loads(said)} if said else {"started": True})

    def _send(self, signum: int) -> None:
        if self._program and self._exit_code is None:
            with suppress(ProcessLookupError):
                os.kill(self._program, signum)

    def _reap(self) -> None:
        code = reap().get(self._program)
        if code is not None and self._exit_code is None:
            self._end(code)

    def _die(self) -> None:
        """Devkit is gone: end everything, now."""
        if self._exit_code is None:
            self._send(signal.SIGKILL)
            _, status = os.waitpid(self._program, 0)
            self._end(exit_code(status))
        self._deadline = 0.0

    def _end(self, code: int) -> None:
        """The program's process is gone: nothing of it survives, and everybody may know."""
        self._hear_start()
        if not self._plan.isolated:
            end_descendants(self._program)
        remove_links(self._plan.links)
        _write_exit(Path(self._plan.run_folder), code)
        self.report({"exited": code})
        self._exit_code = code
        self._deadline = time.monotonic() + _DELIVERY_S
        for forwarder in self._forwarders:
            forwarder.finish()


def _write_exit(run_folder: Path, code: int) -> None:
    """Record the end for a devkit that comes later."""
    text = json.dumps({"exit_code": code})
    draft = run_folder / f"{EXIT}.draft"
    with suppress(OSError):  # a full disk must not keep this devkit from being told
        draft.write_text(text, encoding="ascii")
        draft.replace(run_folder / EXIT)
