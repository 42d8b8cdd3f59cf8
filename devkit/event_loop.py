"""A thread with an event loop in which a server lives, and the sockets it listens on."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

# More than it takes from a connection or a request that is there to one that is dealt with.
_TURNS = 5

_T = TypeVar("_T")


class LoopThread:
    """The thread; it ends with :meth:`end`, or with the process.

    Args:
        name: What the thread is called.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do something in the thread, and wait for it."""
        future: Future[_T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result()

    def end(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._clear())
            self._loop.close()

    async def _clear(self) -> None:
        """Leave no task, generator or socket behind, not even those of the last moment."""
        loop = asyncio.get_running_loop()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await loop.shutdown_asyncgens()
        await _turn()


async def accept_no_more(server: asyncio.Server, listening: socket.socket) -> None:
    """Stop listening; what has been accepted goes on.

    asyncio leaks a connection that it has accepted when the server is closed (the assertion in
    ``Server._attach``): accept no more, let those be made, and only then close.
    """
    asyncio.get_running_loop().remove_reader(listening.fileno())
    await _turn()
    server.close()


async def _turn() -> None:
    """Let the event loop do what is about to be done."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
