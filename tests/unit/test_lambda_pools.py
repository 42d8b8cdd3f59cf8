"""The instances of a function: used again, waited for, ended when idle."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar, cast

import pytest

from devkit.errors import EngineError
from devkit.local_aws.functions import FunctionAnswer
from devkit.local_aws.lambda_.instances import InitFailed, Instance, NotTaken
from devkit.local_aws.lambda_.invocations import Invocation, failure
from devkit.local_aws.lambda_.pools import Capacity, Pool
from devkit.local_aws.lambda_.programs import Starter
from tests.unit.lambda_support import definition, invocation

_T = TypeVar("_T")


class FakeInstance:
    """An instance that answers with its number, when it may."""

    def __init__(self, world: World) -> None:
        self.number = len(world.made)
        self.usable = False
        self.ended = False
        self._world = world
        world.made.append(self)

    async def start(self) -> None:
        await self._world.may_start.wait()
        if self._world.failures:
            raise self._world.failures.pop(0)
        self.usable = True

    async def invoke(self, invocation: Invocation) -> FunctionAnswer:
        if invocation.request_id == "gone" and self.number == 0:
            self.usable = False
            raise NotTaken
        if invocation.request_id == "slow":
            await self._world.may_end.wait()
        if invocation.request_id == "dies":
            self.usable = False
        return FunctionAnswer(payload=str(self.number).encode())

    async def end(self) -> None:
        self.usable = False
        self.ended = True


class World:
    """A pool of such instances, and what they wait for."""

    def __init__(self, *, most: int = 100, starts: int = 2, idle_s: float = 300.0) -> None:
        self.made: list[FakeInstance] = []
        self.failures: list[Exception] = []
        self.prepared = 0
        self.closed = 0
        self.may_start, self.may_end = asyncio.Event(), asyncio.Event()
        self.may_start.set()
        self.pool = Pool(
            definition(),
            self._prepare,
            lambda _starter: cast(Instance, FakeInstance(self)),
            Capacity(most, starts),
            idle_s=idle_s,
        )

    async def _prepare(self) -> Starter:
        self.prepared += 1
        return cast(Starter, self)

    async def close(self) -> None:
        """As a starter."""
        self.closed += 1

    async def ask(self, request_id: str = "r") -> bytes:
        return (await self.pool.invoke(invocation(request_id))).payload

    def begin(self, *request_ids: str) -> list[asyncio.Task[bytes]]:
        return [asyncio.ensure_future(self.ask(each)) for each in request_ids]


def run(work: Coroutine[Any, Any, _T]) -> _T:
    async def bounded() -> _T:
        return await asyncio.wait_for(work, 20)

    return asyncio.run(bounded())


async def turns(count: int = 20) -> None:
    """Let everything happen that can."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_an_instance_is_used_again() -> None:
    async def scene() -> None:
        world = World()
        assert [await world.ask() for _ in range(3)] == [b"0"] * 3
        assert world.prepared == 1

    run(scene())


def test_there_are_as_many_as_there_is_to_do_and_a_few_started_at_a_time() -> None:
    async def scene() -> None:
        world = World(starts=2)
        world.may_start.clear()
        asked = world.begin(*["slow"] * 5)
        await turns()
        assert len(world.made) == 2

        world.may_start.set()
        await turns(100)
        assert len(world.made) == 5
        world.may_end.set()
        assert sorted(await asyncio.gather(*asked)) == [b"0", b"1", b"2", b"3", b"4"]

    run(scene())


def test_who_waits_gets_the_first_that_is_free() -> None:
    async def scene() -> None:
        world = World(most=1)
        asked = world.begin("slow", "r", "r")
        await turns()
        world.may_end.set()
        assert await asyncio.gather(*asked) == [b"0"] * 3

    run(scene())


def test_a_full_machine_still_has_one_for_every_function() -> None:
    async def scene() -> None:
        world = World(most=0)
        assert await world.ask() == b"0"

    run(scene())


def test_an_instance_that_failed_is_replaced() -> None:
    async def scene() -> None:
        world = World()
        assert await world.ask("dies") == b"0"
        assert await world.ask() == b"1"
        assert world.made[0].ended

    run(scene())


def test_one_that_had_ended_meanwhile_is_nobodys_failure() -> None:
    async def scene() -> None:
        world = World()
        assert await world.ask("gone") == b"1"

    run(scene())


def test_a_start_that_fails_is_told_to_all_who_wait() -> None:
    async def scene() -> None:
        world = World(starts=1)
        world.failures = [EngineError("no room")]
        asked: Iterable[Any] = await asyncio.gather(
            *world.begin("a", "b", "c"), return_exceptions=True
        )
        assert [str(each) for each in asked] == ["no room"] * 3
        assert await world.ask() == b"1"

    run(scene())


def test_a_function_that_cannot_be_loaded_is_an_answer_with_its_own_request_id() -> None:
    async def scene() -> None:
        world = World()
        world.failures = [InitFailed(lambda request_id: failure(request_id, "Kind", "why"))]
        answer = await world.pool.invoke(invocation("mine"))
        assert answer.error == "Unhandled"
        assert b"RequestId: mine Error: why" in answer.payload

    run(scene())


def test_an_idle_instance_is_ended() -> None:
    async def scene() -> None:
        world = World(idle_s=0.0)
        assert await world.ask() == b"0"
        while not world.made[0].ended:
            await asyncio.sleep(0)
        assert await world.ask() == b"1"

    run(scene())


def test_a_retired_pool_ends_when_its_work_is_done() -> None:
    async def scene() -> None:
        world = World()
        await world.ask()
        (slow,) = world.begin("slow")
        await turns()
        world.pool.retire()
        await turns()
        assert not world.pool.is_over
        assert world.closed == 0

        world.may_end.set()
        assert await slow == b"0"
        await turns()
        assert world.pool.is_over
        assert (world.made[0].ended, world.closed) == (True, 1)

    run(scene())


def test_closing_ends_what_runs_what_is_started_and_who_waits() -> None:
    async def scene() -> None:
        world = World(starts=1)
        await world.ask()
        running, starting, waiting = world.begin("slow", "slow", "r")
        world.may_start.clear()
        await turns()
        closing = asyncio.ensure_future(world.pool.close())
        await turns()
        world.may_start.set()
        world.may_end.set()
        await closing
        assert all(each.ended for each in world.made)
        assert world.closed == 1
        for asked in (starting, waiting):
            with pytest.raises(EngineError, match="was ended"):
                await asked
        assert await running == b"0"

    run(scene())
