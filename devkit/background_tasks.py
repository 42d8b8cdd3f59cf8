"""What an event loop is to get done while nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class BackgroundTasks:
    """Tasks, kept from being collected until they are over; belongs to one event loop.

    Args:
        on_error: Told of what a task raised.
    """

    def __init__(self, on_error: Callable[[BaseException], None] = lambda _error: None) -> None:
        self._on_error = on_error
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def cancel(self) -> None:
        """Ask all to end; see :meth:`finished`."""
        for task in self._tasks:
            task.cancel()

    async def finished(self) -> None:
        """Wait until all are over, those too that are begun meanwhile."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
            # Since Python 3.12, waiting for what is over already lets nothing else happen.
            await asyncio.sleep(0)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_error(error)
