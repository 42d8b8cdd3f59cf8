"""From a fresh child process to the program: what runs between fork and exec."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from . import linux
from .filesystem import NotShown, present
from .namespaces import Refused
from .plan import Plan

_ENDED_BY_OURSELVES = 125  # as `docker run` says of itself


def become_program(plan: Plan, report: int, *, linux_host: bool) -> None:
    """Turn this child into the program; never returns.

    A failure is written to the pipe ``report`` as JSON; exec closes it with nothing said.
    """
    try:
        _settle(report, linux_host=linux_host)
        if plan.isolated:
            present(plan)
        if not plan.probe:
            _exec(plan)
    except Refused as refused:
        _say(report, "refused", str(refused))
    except NotShown as failure:
        _say(report, "setup", str(failure))
    except ProgramRefused as refused:
        _say(report, "exec", str(refused))
    except Exception as failure:  # whatever it is, the engine must be told
        _say(report, "setup", f"{type(failure).__name__}: {failure}")
    finally:
        os._exit(0 if plan.probe else _ENDED_BY_OURSELVES)


class ProgramRefused(Exception):
    """The program cannot be executed; the message is what ``docker run`` would say."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f'exec: "{name}": {reason}')


def candidates(name: str, search_path: str, folder: str) -> Iterator[str]:
    """The paths a program of this name may have, the one that wins first."""
    if "/" in name:
        yield os.path.normpath(PurePosixPath(folder, name))
        return
    for entry in search_path.split(":"):
        yield str(PurePosixPath(folder, entry, name))


def _settle(report: int, *, linux_host: bool) -> None:
    """Standard streams, session, signals and file mode mask as a container has them."""
    os.setsid()
    if linux_host:
        linux.die_with_parent(signal.SIGKILL)
        _die_if_orphaned(report)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(1, 2)
    signal.set_wakeup_fd(-1)
    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)


def _die_if_orphaned(report: int) -> None:
    """The supervisor may have died before it could take us with it: then nobody reads."""
    poll = select.poll()
    poll.register(report, 0)
    if poll.poll(0):
        os._exit(_ENDED_BY_OURSELVES)


def _exec(plan: Plan) -> None:
    os.chdir(plan.working_folder)
    name = plan.command[0]
    path = _find(name, plan)
    try:
        os.execve(path, plan.command, plan.environment)  # noqa: S606 - the program, and no shell
    except OSError as cause:
        raise ProgramRefused(path, _reason(cause)) from cause


def _find(name: str, plan: Plan) -> str:
    refused: ProgramRefused | None = None
    paths = candidates(name, plan.environment.get("PATH", ""), plan.working_folder)
    for path in paths:
        if Path(path).is_file():
            if os.access(path, os.X_OK):
                return path
            refused = refused or ProgramRefused(name, "permission denied")
    raise refused or _missing(name)


def _missing(name: str) -> ProgramRefused:
    if "/" in name:
        return ProgramRefused(name, "no such file or directory")
    return ProgramRefused(name, "executable file not found in $PATH")


def _reason(cause: OSError) -> str:
    if cause.errno == errno.ENOEXEC:
        return "exec format error"
    return (cause.strerror or str(cause)).lower()


def _say(report: int, kind: str, detail: str) -> None:
    os.write(report, json.dumps({"kind": kind, "detail": detail}).encode())
