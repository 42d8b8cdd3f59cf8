"""An instance of a function: it is initialised once, and then does one invocation after another."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from devkit.local_aws.functions import FunctionAnswer
from devkit.local_aws.lambda_.definitions import Definition
from devkit.local_aws.lambda_.invocations import (
    UNHANDLED,
    Ended,
    Invocation,
    Stopwatch,
    Tail,
    exited,
    timed_out,
)
from devkit.local_aws.lambda_.limits import INIT_S
from devkit.local_aws.lambda_.programs import Order, Program, Starter
from devkit.local_aws.lambda_.runtime_api import RuntimeApi, Work

OnLine = Callable[[str], None]
_KILLED = 137
_MEGABYTE = 1024 * 1024
_WATCH_S = 0.1
_LAST_LINES_S = 1.0
_TAKE_S = 2.0  # what waits for work takes it in milliseconds


class InitFailed(Exception):
    """A function could not be loaded.

    Args:
        ended: What an invocation of that request id came to.
    """

    def __init__(self, ended: Callable[[str], Ended]) -> None:
        super().__init__("a function could not be loaded")
        self.ended = ended


class NotTaken(Exception):
    """An instance ended before it took what it was given; another one may."""


class Instance:
    """An instance; belongs to one event loop.

    Args:
        definition: The function.
        name: What the instance is called; unique on this machine.
        log_stream: Where its lines go.
        log: Takes a line of its log.
        starter: Starts its program.
    """

    def __init__(
        self, definition: Definition, *, name: str, log_stream: str, log: OnLine, starter: Starter
    ) -> None:
        self.definition = definition
        self._name = name
        self._log_stream = log_stream
        self._log = log
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = loop.create_future()
        self._init_error: asyncio.Future[bytes] = loop.create_future()
        self._over: asyncio.Future[None] = loop.create_future()
        self._ending = asyncio.Lock()
        self._starter = starter
        self._api = RuntimeApi(starter.host, self._on_ready, self._on_init_error)
        self._program: Program | None = None
        self._tail: Tail | None = None
        self._init_s: float | None = None
        """Of an instance that has not done anything yet."""
        self._peak_bytes: int | None = None
        self.usable = False
        """Whether it can be given something to do."""

    async def start(self) -> None:
        """Start its program, and wait until the function is loaded.

        Raises:
            InitFailed: The function cannot be loaded.
            DevkitError: The program cannot be started.
        """
        watch = Stopwatch()
        api = await self._api.open()
        self._say(_init_line(self.definition), self._starter.notes)
        order = Order(
            name=self._name,
            definition=self.definition,
            log_stream=self._log_stream,
            runtime_api=api,
        )
        try:
            self._program = await self._starter.start(order, self._on_line)
            await self._loaded(self._program)
        except BaseException:
            await self.end()
            raise
        self._init_s = watch.seconds()
        self.usable = True

    async def invoke(self, invocation: Invocation) -> FunctionAnswer:
        """Have the function do something.

        Raises:
            NotTaken: The instance is of no use any more, and has not begun.
        """
        program = self._program
        if program is None:  # it has been ended just now
            raise NotTaken
        self._tail = Tail()
        work = await self._taken(program, invocation)
        watch = Stopwatch()
        ended = await self._done(program, work)
        duration_s = watch.seconds()
        await program.settle()
        ended = self._within_memory(program, invocation, ended)
        self._report(invocation, duration_s)
        tail, self._tail = self._tail, None
        return FunctionAnswer(
            payload=ended.payload,
            error=UNHANDLED if ended.failed else None,
            executed_version=self.definition.version,
            log_tail=tail.content,
        )

    async def end(self) -> None:
        """Kill it, whatever it does; nothing of it is left."""
        self.usable = False
        if not self._over.done():
            self._over.set_result(None)
        async with self._ending:
            program, self._program = self._program, None
            if program is not None:
                await program.end()
            await self._api.close()
        for future in (self._ready, self._init_error):
            future.cancel()

    # --- its beginning ------------------------------------------------------------------------

    async def _loaded(self, program: Program) -> None:
        timeout_s = self.definition.timeout_s
        waited: set[asyncio.Future[Any]] = {
            self._ready,
            self._init_error,
            self._over,
            program.exited,
        }
        await asyncio.wait(waited, timeout=INIT_S + timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if self._over.done():
            raise InitFailed(lambda request_id: exited(request_id, _KILLED))
        if self._init_error.done():
            error = self._init_error.result()
            with suppress(asyncio.TimeoutError):  # its last lines
                await asyncio.wait_for(asyncio.shield(program.exited), _LAST_LINES_S)
            raise InitFailed(lambda _: Ended(error, failed=True))
        if program.exited.done():
            code = program.exited.result()
            raise InitFailed(lambda request_id: exited(request_id, code))
        if not self._ready.done():
            self._log(f"Task timed out after {INIT_S + timeout_s:.2f} seconds, Phase: init")
            raise InitFailed(lambda request_id: timed_out(request_id, timeout_s))

    def _on_ready(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)

    def _on_init_error(self, content: bytes) -> None:
        if not self._init_error.done():
            self._init_error.set_result(content)

    # --- its work -----------------------------------------------------------------------------

    async def _taken(self, program: Program, invocation: Invocation) -> Work:
        """Hand over what is to be done."""
        timeout_s = self.definition.timeout_s
        work = self._api.hand(invocation, timeout_s, lambda: self._on_start(invocation))
        waited: set[asyncio.Future[Any]] = {work.taken, program.exited}
        await asyncio.wait(waited, timeout=_TAKE_S, return_when=asyncio.FIRST_COMPLETED)
        if not work.taken.done():
            work.withdraw()
            self.usable = False
            self._tail = None
            raise NotTaken
        return work

    async def _done(self, program: Program, work: Work) -> Ended:
        timeout_s = self.definition.timeout_s
        request_id = work.invocation.request_id
        watch = Stopwatch()
        waited: set[asyncio.Future[Any]] = {work.ended, program.exited}
        while True:
            left_s = timeout_s - watch.seconds()
            if left_s <= 0:
                break
            await asyncio.wait(
                waited, timeout=min(left_s, _WATCH_S), return_when=asyncio.FIRST_COMPLETED
            )
            if work.ended.done():
                return work.ended.result()
            if program.exited.done():
                self.usable = False
                return exited(request_id, program.exited.result())
            if self._uses_too_much(program):
                self.usable = False
                await program.end()
        self.usable = False
        ended = timed_out(request_id, timeout_s)
        await program.end()
        moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")[:-6]
        self._on_line(f"{moment}Z {request_id} Task timed out after {timeout_s:.2f} seconds")
        return ended

    def _on_start(self, invocation: Invocation) -> None:
        self._on_line(
            f"START RequestId: {invocation.request_id} Version: {self.definition.version}"
        )

    def _uses_too_much(self, program: Program) -> bool:
        self._peak_bytes = program.peak_memory_bytes()
        limit = self.definition.memory_mb * _MEGABYTE
        return self._peak_bytes is not None and self._peak_bytes > limit

    def _within_memory(self, program: Program, invocation: Invocation, ended: Ended) -> Ended:
        """In AWS, what has used too much for a moment only is killed as well."""
        if not self.usable or not self._uses_too_much(program):
            return ended
        self.usable = False
        return exited(invocation.request_id, _KILLED)

    # --- its log ------------------------------------------------------------------------------

    def _on_line(self, line: str) -> None:
        if self._tail is not None:
            self._tail.add(line)
        self._log(line)

    def _say(self, line: str, notes: tuple[str, ...]) -> None:
        self._log(line)
        for note in notes:
            self._log(f"devkit: {note}")

    def _report(self, invocation: Invocation, duration_s: float) -> None:
        """AWS's last lines of an invocation."""
        duration_ms = duration_s * 1000
        self._on_line(f"END RequestId: {invocation.request_id}")
        parts = [
            f"REPORT RequestId: {invocation.request_id}",
            f"Duration: {duration_ms:.2f} ms",
            f"Billed Duration: {math.ceil(duration_ms)} ms",
            f"Memory Size: {self.definition.memory_mb} MB",
        ]
        if self._peak_bytes is not None:
            used = min(math.ceil(self._peak_bytes / _MEGABYTE), self.definition.memory_mb)
            parts.append(f"Max Memory Used: {used} MB")
        if self._init_s is not None:
            parts.append(f"Init Duration: {self._init_s * 1000:.2f} ms")
            self._init_s = None
        self._on_line("\t".join([*parts, ""]))


def _init_line(definition: Definition) -> str:
    runtime = definition.runtime.replace("python", "python:") or "of the image"
    return f"INIT_START Runtime Version: {runtime}"
