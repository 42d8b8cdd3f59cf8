"""The instances of a version of a function: kept warm, as many as there is to do, ended when idle.

Whoever has something to do takes an instance that waits, or waits for the first that is free or has
been started for it. AWS starts one at once for every invocation that finds none; a laptop is slower
at that than instances are at working off what waits, so a few are started at a time.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from devkit.background_tasks import BackgroundTasks
from devkit.errors import EngineError
from devkit.local_aws.functions import FunctionAnswer
from devkit.local_aws.lambda_.instances import InitFailed, Instance, NotTaken
from devkit.local_aws.lambda_.invocations import UNHANDLED, Ended, Invocation, exited
from devkit.local_aws.lambda_.programs import Starter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from devkit.local_aws.lambda_.definitions import Definition

IDLE_S = 300.0
"""How long an instance is kept that has nothing to do; AWS does not promise any time."""
_MOST_INSTANCES = 100
_LEAST_STARTS = 2
_TRIES = 3


class Capacity:
    """What this machine can run of instances, of all functions together."""

    def __init__(self, most: int = _MOST_INSTANCES, starts: int | None = None) -> None:
        self._most = most
        self._count = 0
        self._starts = asyncio.Semaphore(starts or max(_LEAST_STARTS, os.cpu_count() or 1))

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another instance."""
        return self._count >= self._most

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[None]:
        """Wait until another instance may be started."""
        async with self._starts:
            yield

    def add(self) -> None:
        """There is another instance."""
        self._count += 1

    def remove(self) -> None:
        """One has ended."""
        self._count -= 1


class Pool:
    """The instances; belongs to one event loop.

    Args:
        definition: The function.
        prepare: Gives what starts them; called once.
        make: Makes an instance, for what starts it.
        capacity: Of the machine.
        idle_s: How long an instance is kept that has nothing to do.
    """

    def __init__(
        self,
        definition: Definition,
        prepare: Callable[[], Awaitable[Starter]],
        make: Callable[[Starter], Instance],
        capacity: Capacity,
        *,
        idle_s: float = IDLE_S,
    ) -> None:
        self.definition = definition
        self._prepare = prepare
        self._make = make
        self._capacity = capacity
        self._idle_s = idle_s
        self._starter: asyncio.Task[Starter] | None = None
        self._idle: list[Instance] = []
        self._instances: set[Instance] = set()
        self._waiting: deque[asyncio.Future[Instance]] = deque()
        self._starting = 0
        self._retired = False
        self._closed = False
        self._tasks = BackgroundTasks()
        self._reapers: dict[Instance, asyncio.TimerHandle] = {}

    async def invoke(self, invocation: Invocation) -> FunctionAnswer:
        """Have an instance do something.

        Raises:
            DevkitError: None can be started.
        """
        for _ in range(_TRIES):
            try:
                instance = await self._take()
            except InitFailed as failed:
                return self._failed(failed.ended(invocation.request_id))
            try:
                return await instance.invoke(invocation)
            except NotTaken:  # it ended by itself, with nothing to do
                continue
            finally:
                self._give_back(instance)
        return self._failed(exited(invocation.request_id, 1))

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs any more."""
        return self._retired and not (self._instances or self._waiting or self._starting)

    def retire(self) -> None:
        """Start no more, and end every instance as soon as it has nothing to do."""
        self._retired = True
        for instance in self._idle:
            self._discard(instance)
        self._idle.clear()
        self._close_if_over()

    async def close(self) -> None:
        """End all instances at once, whatever they do."""
        self._retired = True
        for reaper in self._reapers.values():
            reaper.cancel()
        self._closed = True
        while (waiting := self._first_waiting()) is not None:
            waiting.set_exception(_ended(self.definition))
        await asyncio.gather(*(each.end() for each in self._instances), return_exceptions=True)
        await self._tasks.finished()
        await self._close_starter()

    def _failed(self, ended: Ended) -> FunctionAnswer:
        return FunctionAnswer(
            payload=ended.payload, error=UNHANDLED, executed_version=self.definition.version
        )

    # --- who gets which -----------------------------------------------------------------------

    async def _take(self) -> Instance:
        while self._idle:
            instance = self._idle.pop()  # the one that was busy last
            self._reapers.pop(instance).cancel()
            if instance.usable:
                return instance
            self._discard(instance)
        waiting: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._start_for_waiting()
        return await waiting

    def _give_back(self, instance: Instance) -> None:
        if not instance.usable or (self._retired and not self._waiting):
            self._discard(instance)
            self._start_for_waiting()
            return
        waiting = self._first_waiting()
        if waiting is not None:
            waiting.set_result(instance)
            return
        self._idle.append(instance)
        loop = asyncio.get_running_loop()
        self._reapers[instance] = loop.call_later(self._idle_s, self._reap, instance)

    def _first_waiting(self) -> asyncio.Future[Instance] | None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                return waiting
        return None

    def _start_for_waiting(self) -> None:
        """Nobody waits for ever: where none is free, one is started for each who waits."""
        if self._starting < len(self._waiting) and not self._is_full:
            self._starting += 1
            self._tasks.begin(self._start())

    async def _start(self) -> None:
        """Start an instance for whoever waits first, if then anybody still does."""
        try:
            async with self._capacity.starting():
                if self._waiting and not self._is_full:
                    await self._start_one()
        finally:
            self._starting -= 1
            self._start_for_waiting()
            self._close_if_over()

    async def _start_one(self) -> None:
        try:
            instance = await self._started()
        except Exception as error:  # who waits is told, and decides
            while (waiting := self._first_waiting()) is not None:
                waiting.set_exception(error)
        else:
            if instance is not None:
                self._give_back(instance)

    @property
    def _is_full(self) -> bool:
        """Whether there is no room for another one; every function may have one."""
        return self._capacity.is_full and bool(self._instances)

    async def _started(self) -> Instance | None:
        starter = await self._prepared()
        if self._closed:
            raise _ended(self.definition)
        if self._is_full:  # by one that was started meanwhile
            return None
        instance = self._make(starter)
        self._add(instance)
        try:
            await instance.start()
        except BaseException:
            self._remove(instance)
            raise
        return instance

    async def _prepared(self) -> Starter:
        if self._starter is None:
            self._starter = asyncio.ensure_future(self._prepare())
        try:
            return await asyncio.shield(self._starter)
        except BaseException:
            self._starter = None  # the next one tries again
            raise

    # --- their end ----------------------------------------------------------------------------

    def _add(self, instance: Instance) -> None:
        self._instances.add(instance)
        self._capacity.add()

    def _remove(self, instance: Instance) -> None:
        if instance in self._instances:
            self._instances.remove(instance)
            self._capacity.remove()

    def _reap(self, instance: Instance) -> None:
        self._reapers.pop(instance, None)
        if instance in self._idle:
            self._idle.remove(instance)
            self._discard(instance)

    def _discard(self, instance: Instance) -> None:
        reaper = self._reapers.pop(instance, None)
        if reaper is not None:
            reaper.cancel()
        self._remove(instance)
        self._tasks.begin(self._end(instance))

    async def _end(self, instance: Instance) -> None:
        await instance.end()
        self._close_if_over()

    def _close_if_over(self) -> None:
        if self.is_over:
            self._tasks.begin(self._close_starter())

    async def _close_starter(self) -> None:
        starter, self._starter = self._starter, None
        if starter is not None and starter.done() and not starter.cancelled():
            await starter.result().close()


def _ended(definition: Definition) -> EngineError:
    return EngineError(f"{definition.name} was ended: the local AWS was reset, or has ended")
