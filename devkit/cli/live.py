"""The part of a terminal that is written over: below the log, until the step ends."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from devkit.cli.live_block import State, Tally, block, width_of

_TICK_S = 0.2
_FRAME_S = 0.05
"""To draw for each line would slow down a program that writes thousands a second."""
_MOST_WAITING = 1000


class Live:
    """Keeps a :func:`~devkit.cli.live_block.block` at the end of what a terminal shows.

    What is erased, said and drawn again goes out in one piece, so that nothing flickers. Lines wait
    a moment for others, so that this is not done too often.

    Args:
        stream: The terminal.
        lock: Held by whoever writes to ``stream``.
        tables: Whether metrics have a table and a curve, or the last of them a place in the
            status line.
        size: Columns and rows of the terminal, asked each time: windows are resized.
        clock: The time in seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        lock: threading.RLock,
        *,
        tables: bool = True,
        size: Callable[[], os.terminal_size] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._lock, self._tables = stream, lock, tables
        self._size = size or (lambda: size_of(stream))
        self._clock = clock
        self._step: str | None = None
        self._phase = self._latest = ""
        self._metrics: dict[str, Tally] = {}
        self._since = 0.0
        self._drawn: list[str] = []
        self._above: list[str] = []
        self._waits = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="live block", daemon=True)

    def start(self) -> None:
        """Begin to draw."""
        self._thread.start()

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._stopped.set()
        self._waits.set()
        self._thread.join()
        self.hide()

    def show(self, step: str) -> None:
        """A step begins; it is drawn if it takes a moment."""
        with self._lock:
            self._step, self._phase, self._latest = step, "", ""
            self._metrics = {}
            self._since = self._clock()

    def enter(self, phase: str) -> None:
        """The step enters a phase."""
        self._phase = phase

    def latest(self, text: str) -> None:
        """The last thing to know."""
        self._latest = text

    def sample(self, name: str, value: float) -> None:
        """A metric has a new value."""
        with self._lock:
            self._latest = f"{name}={value:g}"
            self._metrics.setdefault(name, Tally(name)).add(value)

    def hide(self) -> None:
        """Erase the block until a step begins."""
        with self._lock, suppress(OSError, ValueError):
            self._step = None
            self._put(self._erase(self._size()) + self._waiting())

    def write(self, text: str) -> None:
        """Write whole lines above the block, or soon."""
        with self._lock:
            self._above.append(text)
            if not self._drawn:
                self._put("\r\x1b[K" + self._waiting())
            elif len(self._above) > _MOST_WAITING:
                self.draw()
            else:
                self._waits.set()

    def draw(self) -> None:
        """Write what waits, and the block as things are now."""
        with self._lock:
            if self._step is not None:
                size = self._size()
                text = self._erase(size) + self._waiting()
                self._drawn = self._lines(size)
                self._put(text + "\n".join(self._drawn))

    def _waiting(self) -> str:
        text = "".join(self._above)
        self._above.clear()
        return text

    def _lines(self, size: os.terminal_size) -> list[str]:
        state = State(
            step=self._step or "",
            seconds=self._clock() - self._since,
            phase=self._phase,
            latest=self._latest,
            metrics=tuple(self._metrics.values()),
        )
        return block(state, size.columns, size.lines, tables=self._tables)

    def _erase(self, size: os.terminal_size) -> str:
        """What takes the block away, and the cursor to where it began.

        Terminals that have become narrower have wrapped its lines.
        """
        rows = sum(-(-width_of(line) // size.columns) or 1 for line in self._drawn)
        self._drawn = []
        return f"\r\x1b[{rows - 1}A\x1b[J" if rows > 1 else "\r\x1b[K"

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def _tick(self) -> None:
        while not self._stopped.is_set():
            if self._waits.wait(_TICK_S):
                self._stopped.wait(_FRAME_S)
                self._waits.clear()
            with suppress(OSError, ValueError):
                self.draw()


def size_of(stream: TextIO) -> os.terminal_size:
    """The size of the terminal behind a stream; 80 columns and 24 rows where it does not say."""
    with suppress(OSError, ValueError):
        size = os.get_terminal_size(stream.fileno())
        if size.columns and size.lines:
            return size
    return shutil.get_terminal_size()
