"""Functions as processes of this machine, under AWS's runtime client for Python.

Where this machine gives namespaces (``devkit.engines.sandbox``), a function sees its
code in ``/var/task``, its layers in ``/opt`` and a ``/tmp`` of its own; elsewhere it is told where
they are.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from devkit.engines.process_container import discard
from devkit.engines.process_plan import lay_out
from devkit.engines.process_supervision import OwnSupervisor, StartFailed
from devkit.engines.sandbox.plan import SCRATCH, Bind, Plan
from devkit.errors import EngineError, StoreError
from devkit.local_aws.lambda_ import environment, memory
from devkit.local_aws.lambda_.environment import Places
from devkit.local_aws.lambda_.programs import Host, OnLine, Order
from devkit.local_aws.lambda_.runtime_files import BOOTSTRAP
from devkit.local_aws.lambda_.unpacking import Unpacked

_CHUNK_BYTES = 64 * 1024
_SETTLE_BYTES = 1024 * 1024  # as much as a pipe may hold
_LINE_BYTES = 256 * 1024  # AWS logs longer lines in parts


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What all processes have in common."""

    runtime: Path
    """The folder that is shown at ``/var/runtime``."""
    modules: Sequence[Path]
    """Where what is linked to there is."""
    instances: Path
    """A folder for the notes on each instance."""
    homes: Iterable[Path]
    """The user's home folders: no function sees what is in their ``.aws``."""
    namespaces: bool = True
    """Whether to try."""


class Processes:
    """A :class:`~devkit.local_aws.lambda_.programs.Starter`.

    Args:
        machine: What they have in common.
        unpacked: The function.
        variables: What its environment says to all instances.
        pool: For what waits.
        notes: What the function's log should say.
    """

    host = Host()

    def __init__(
        self,
        machine: Machine,
        unpacked: Unpacked,
        variables: Mapping[str, str],
        pool: Executor,
        notes: Iterable[str] = (),
    ) -> None:
        self._machine = machine
        self._unpacked = unpacked
        self._variables = variables
        self._pool = pool
        self.notes = (
            *notes,
            *(
                f"{name} may not be read by others: in AWS, the function gets a PermissionError"
                for name in unpacked.unreadable
            ),
        )

    async def start(self, order: Order, on_line: OnLine) -> Process:
        """Start one."""
        loop = asyncio.get_running_loop()
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        try:
            plan, supervisor = await loop.run_in_executor(self._pool, self._launch, order, writer)
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        return Process(plan, supervisor, reader, on_line, self._pool)

    async def close(self) -> None:
        """Delete the unpacked code."""
        folder = self._unpacked.task.parent
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, lambda: shutil.rmtree(folder, ignore_errors=True))

    # --- in a thread --------------------------------------------------------------------------

    def _launch(self, order: Order, output: int) -> tuple[Plan, OwnSupervisor]:
        plan = self._plan(order, isolated=self._machine.namespaces)
        try:
            return plan, _started(plan, output)
        except StartFailed as failed:
            if failed.kind != "refused":
                raise EngineError(f"cannot start {order.definition.name}: {failed}") from failed
        plan = self._plan(order, isolated=False)
        try:
            return plan, _started(plan, output)
        except StartFailed as failed:
            raise EngineError(f"cannot start {order.definition.name}: {failed}") from failed

    def _plan(self, order: Order, *, isolated: bool) -> Plan:
        run_folder = self._machine.instances / order.name
        places = Places()
        if not isolated:
            task, layers = str(self._unpacked.task), str(self._unpacked.layers)
            places = Places(task, str(self._machine.runtime), layers)
        scratch = "/tmp" if isolated else str(run_folder / SCRATCH)  # noqa: S108 - its own
        return Plan(
            name=order.name,
            run_folder=str(run_folder),
            command=[_python(), "-S", f"{places.runtime}/{BOOTSTRAP}"],
            environment={
                **environment.of_process(places),
                "HOME": scratch,
                "TMPDIR": scratch,
                **self._variables,
                **environment.of_instance(order),
                **({} if isolated else {"_DEVKIT_LAYERS": places.layers}),
            },
            working_folder=places.task,
            hostname=order.name[:63].rstrip("-"),
            labels={},
            folders={},
            isolated=isolated,
            binds=self._binds() if isolated else (),
            keep=self._keep(),
            masks=[str(home / ".aws") for home in self._machine.homes],
        )

    def _binds(self) -> list[Bind]:
        layers = self._unpacked.layers
        shown = [
            Bind(str(self._unpacked.task), environment.TASK, read_only=True),
            Bind(str(self._machine.runtime), environment.RUNTIME, read_only=True),
        ]
        return shown + [
            Bind(str(entry), f"{environment.LAYERS}/{entry.name}", read_only=True)
            for entry in sorted(layers.iterdir())
            if not entry.is_symlink()
        ]

    def _keep(self) -> list[str]:
        python = Path(_python()).resolve().parent.parent
        paths = {sys.base_prefix, sys.base_exec_prefix, str(python)}
        return sorted({*paths, *map(str, self._machine.modules)})


class Process:
    """A :class:`~devkit.local_aws.lambda_.programs.Program`.

    Args:
        plan: What was started.
        supervisor: The handle on its supervisor.
        output: What it writes to, to be read; not blocking.
        on_line: Told every line.
        pool: For what waits.
    """

    def __init__(
        self, plan: Plan, supervisor: OwnSupervisor, output: int, on_line: OnLine, pool: Executor
    ) -> None:
        self._plan = plan
        self._supervisor = supervisor
        self._output = output
        self._on_line = on_line
        self._pool = pool
        self._unfinished = b""
        self._is_open = True
        self._peak: int | None = None
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(output, self._read)

    async def settle(self) -> None:
        """Have everything told that it has written up to now: it is in the pipe."""
        left = _SETTLE_BYTES
        while left > 0 and self._is_open and (size := self._read()):
            left -= size
        self._tell_unfinished()

    def peak_memory_bytes(self) -> int | None:
        """The most that it has used."""
        found = memory.peak_bytes(self._supervisor.pid)
        self._peak = self._peak if found is None else max(found, self._peak or 0)
        return self._peak

    async def end(self) -> None:
        """Kill it, with all that it started; nothing of it is left."""
        await self._loop.run_in_executor(self._pool, self._supervisor.end)
        await self.exited
        await self._loop.run_in_executor(self._pool, discard, self._plan)

    def _read(self) -> int:
        """Read a part, so that what writes without end keeps nobody waiting; returns its size."""
        try:
            chunk = os.read(self._output, _CHUNK_BYTES)
        except BlockingIOError:
            return 0
        if not chunk:
            self._end_output()
        *lines, self._unfinished = (self._unfinished + chunk).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._unfinished) >= _LINE_BYTES:
            self._tell_unfinished()
        return len(chunk)

    def _end_output(self) -> None:
        self._is_open = False
        self._loop.remove_reader(self._output)
        os.close(self._output)
        self._tell_unfinished()
        waiting = self._loop.run_in_executor(self._pool, self._exit_code)
        waiting.add_done_callback(self._exit)

    def _tell_unfinished(self) -> None:
        unfinished, self._unfinished = self._unfinished, b""
        if unfinished:
            self._tell(unfinished)

    def _tell(self, line: bytes) -> None:
        # AWS's runtime client has the lines of a traceback as one, with these between them.
        self._on_line(line.decode("utf-8", errors="replace").rstrip("\r").replace("\r", "\n"))

    def _exit_code(self) -> int:
        self._supervisor.wait(None)
        code = self._supervisor.exit_code()
        return 0 if code is None else code

    def _exit(self, waiting: asyncio.Future[int]) -> None:
        if not self.exited.done() and not waiting.cancelled():
            self.exited.set_result(waiting.result())


def _started(plan: Plan, output: int) -> OwnSupervisor:
    """Start a process; on any failure nothing of it is left.

    Raises:
        StartFailed: It cannot be started in this way.
        StoreError: What it needs cannot be written.
    """
    try:
        lay_out(plan, home=False)  # in AWS, /tmp is empty
        return OwnSupervisor(plan, output=output)
    except OSError as error:
        _forget(plan)
        raise StoreError(
            f"cannot write {error.filename or plan.run_folder}: {error.strerror}",
            remedy="see that the disk is not full and that you may write there",
        ) from error
    except BaseException:
        _forget(plan)
        raise


def _forget(plan: Plan) -> None:
    with suppress(OSError):
        discard(plan)


def _python() -> str:
    """The interpreter that devkit runs on, without its virtual environment."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)
