"""What a command says: to people on standard error, to machines as JSON on standard output."""

from __future__ import annotations

import enum
import json
import shutil
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from devkit.errors import DevkitError

if TYPE_CHECKING:
    from devkit.job import Phase, Sample

_TICK_S = 0.2
_BUILD_LINES_KEPT = 20
_STEP_WIDTH = 7


class Verbosity(enum.IntEnum):
    """How much is said."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


class Terminal:
    """An :class:`~devkit.progress.Observer` that writes for people; results go to ``out``.

    Args:
        out: Standard output: the result alone.
        err: Standard error: everything else.
        verbosity: How much of it.
        json_output: Whether the result is one JSON document.
        color: Whether ``err`` shows colour.
        live: Whether ``err`` is a terminal whose last line can be written over.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        *,
        verbosity: Verbosity = Verbosity.NORMAL,
        json_output: bool = False,
        color: bool = False,
        live: bool = False,
    ) -> None:
        self.json_output = json_output
        self._out, self._err = out, err
        self._verbosity, self._color = verbosity, color
        self._status = _StatusLine(err) if live and verbosity > Verbosity.QUIET else None
        self._host_width = 0
        self._lock = threading.RLock()
        self._build_lines: deque[str] = deque(maxlen=_BUILD_LINES_KEPT)

    def __enter__(self) -> Terminal:
        """Begin to show what is under way."""
        if self._status is not None:
            self._status.start(self._lock)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        if self._status is not None:
            self._status.stop()

    # --- results -----------------------------------------------------------------------------

    def result(self, document: Mapping[str, Any], text: str | None) -> None:
        """The result: ``document`` for machines, ``text`` for people (``None`` says nothing)."""
        with self._lock:
            if self.json_output:
                self._out.write(json.dumps(document) + "\n")
            elif text is not None:
                self._out.write(text if text.endswith("\n") else text + "\n")
            self._out.flush()

    def raw(self, body: bytes) -> None:
        """A result that is bytes, as it is."""
        self._out.flush()
        self._out.buffer.write(body)
        self._out.flush()

    def error(self, error: DevkitError) -> None:
        """Why the command fails."""
        if self.json_output:
            self.result({"error": error.document()}, None)
        message, *rest = str(error).split("\n")
        self._write(f"{self._paint('31;1', 'error:')} {message}")
        for line in rest:
            self._write(self._paint("36", line) if line.startswith("→") else line)

    def message(self, text: str) -> None:
        """Something to say whatever the verbosity."""
        self._write(text)

    # --- the observer ------------------------------------------------------------------------

    def begin(self, step: str) -> None:
        """Show that a step is under way."""
        self._build_lines.clear()
        if self._status is not None:
            self._status.show(step)

    def done(self, step: str, detail: str, seconds: float) -> None:
        """One line for the step."""
        self._end(self._paint("32", "✓"), step, detail, seconds)

    def failed(self, step: str, detail: str, seconds: float) -> None:
        """One line for the step."""
        self._end(self._paint("31", "✗"), step, detail, seconds)

    def phase(self, phase: Phase) -> None:
        """Show the phase; written out where nothing is written over."""
        if self._status is not None:
            self._status.enter(phase.value)
        elif self._verbosity >= Verbosity.VERBOSE:
            self._write(self._paint("2", f"  {phase.value}"))

    def hosts(self, names: Sequence[str]) -> None:
        """Show where a line comes from, where there is more than one place."""
        self._host_width = max(map(len, names)) if len(names) > 1 else 0

    def line(self, host: str, line: str) -> None:
        """A container's line."""
        if self._verbosity >= Verbosity.NORMAL:
            whose = f"{host:<{self._host_width}} " if self._host_width else ""
            self._write(f"  {self._paint('2', f'{whose}│')} {line}")

    def sample(self, sample: Sample) -> None:
        """Show the last value."""
        if self._status is not None:
            self._status.latest(f"{sample.name}={sample.value:g}")

    def build_line(self, line: str) -> None:
        """A line of a build: shown when asked for, or as it is under way."""
        if self._verbosity >= Verbosity.VERBOSE:
            self._write(f"  {self._paint('2', '│')} {line}")
        elif self._status is not None:
            self._status.latest(line)

    def note(self, text: str) -> None:
        """Something to know."""
        if self._verbosity >= Verbosity.NORMAL:
            self._write(self._paint("2", f"  {text}"))

    # --- writing -----------------------------------------------------------------------------

    def _end(self, mark: str, step: str, detail: str, seconds: float) -> None:
        if self._status is not None:
            self._status.hide()
        if self._verbosity >= Verbosity.NORMAL:
            time_taken = self._paint("2", f"{seconds:.1f} s")
            self._write(f"{mark} {step:<{_STEP_WIDTH}} {detail}{' ' if detail else ''}{time_taken}")

    def _write(self, line: str) -> None:
        with self._lock, suppress(BrokenPipeError):
            if self._status is not None:
                self._status.clear()
            self._err.write(line + "\n")
            self._err.flush()

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text


class _StatusLine:
    """The last line of a terminal: what is under way, for how long, and the latest of it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text: str | None = None
        self._phase = ""
        self._extra = ""
        self._since = 0.0
        self._stopped = threading.Event()
        self._lock: threading.RLock | None = None
        self._thread = threading.Thread(target=self._tick, name="status line", daemon=True)

    def start(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self.clear()

    def show(self, text: str) -> None:
        self._text, self._phase, self._extra = text, "", ""
        self._since = time.monotonic()

    def enter(self, phase: str) -> None:
        self._phase = phase

    def latest(self, text: str) -> None:
        self._extra = text

    def hide(self) -> None:
        self._text = None

    def clear(self) -> None:
        self._stream.write("\r\x1b[K")
        self._stream.flush()

    def _tick(self) -> None:
        while not self._stopped.wait(_TICK_S):
            text = self._text
            if text is None or self._lock is None:
                continue
            minutes, seconds = divmod(int(time.monotonic() - self._since), 60)
            line = f"⋯ {text:<{_STEP_WIDTH}} {minutes:02}:{seconds:02} {self._phase} {self._extra}"
            with self._lock, suppress(OSError, ValueError):
                self._stream.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
                self._stream.flush()
