"""A pool of threads that nobody waits for at the end of the process.

The standard library's pool keeps a process from ending until its threads are idle: one of moto's,
in a long poll on a queue, would do so for 20 seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

_T = TypeVar("_T")
_P = ParamSpec("_P")
_Work = Callable[[], None]


class DaemonPool(Executor):
    """At most ``threads`` threads, made as they are needed.

    Args:
        threads: How many.
        name: What they are called.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._most = threads
        self._name = name
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._made = 0
        self._idle = 0
        self._closed = False

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Have a function called in one of the threads."""
        future: Future[_T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is shut down")
            self._work.put(work)
            if self._idle:
                self._idle -= 1
            elif self._made < self._most:
                self._made += 1
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Take no more work; what runs ends when it ends."""
        with self._lock:
            self._closed = True
            for _ in range(self._made):
                self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            with self._lock:
                self._idle += 1


def started(work: Callable[[], Any], name: str) -> threading.Thread:
    """A daemon thread that does one thing."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread
