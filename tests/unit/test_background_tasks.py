"""What an event loop gets done while nobody waits for it."""

from __future__ import annotations

import asyncio

from devkit.background_tasks import BackgroundTasks


async def _nothing() -> None:
    """Is over at once."""


def test_tasks_that_are_over_already_are_waited_for() -> None:
    """On Python 3.12 and later, this went round for ever."""

    async def scene() -> None:
        tasks = BackgroundTasks()
        tasks.begin(_nothing())

        def end() -> None:
            ended.append(asyncio.ensure_future(tasks.finished()))

        ended: list[asyncio.Future[None]] = []
        asyncio.get_running_loop().call_soon(end)
        await asyncio.sleep(0)
        await asyncio.wait_for(ended[0], 5)

    asyncio.run(scene())


def test_what_is_begun_meanwhile_is_waited_for_too() -> None:
    async def scene() -> list[str]:
        tasks, done = BackgroundTasks(), []

        async def second() -> None:
            done.append("second")

        async def first() -> None:
            tasks.begin(second())
            done.append("first")

        tasks.begin(first())
        await tasks.finished()
        return done

    assert asyncio.run(scene()) == ["first", "second"]


def test_what_a_task_raised_is_told() -> None:
    told: list[BaseException] = []

    async def failing() -> None:
        raise ValueError("no")

    async def scene() -> None:
        tasks = BackgroundTasks(told.append)
        tasks.begin(failing())
        await tasks.finished()

    asyncio.run(scene())

    assert [str(error) for error in told] == ["no"]
