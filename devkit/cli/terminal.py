"""What a command says: to people on standard error, to machines as JSON on standard output."""

from __future__ import annotations

import enum
import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from devkit.cli.live import Live
from devkit.cli.live_block import STEP_WIDTH
from devkit.errors import DevkitError

if TYPE_CHECKING:
    from devkit.job import Phase, Sample


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
        live: Whether ``err`` is a terminal whose last lines can be written over. One status line
            is; with colour and without ``json_output`` also a table and a curve of metrics.
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
        self._host_width = 0
        self._lock = threading.RLock()
        self._live: Live | None = None
        if live and verbosity > Verbosity.QUIET:
            self._live = Live(err, self._lock, tables=color and not json_output)

    def __enter__(self) -> Terminal:
        """Begin to show what is under way."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()

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
        self._host_width = 0
        if self._live is not None:
            self._live.show(step)

    def done(self, step: str, detail: str, seconds: float) -> None:
        """One line for the step."""
        self._end(self._paint("32", "✓"), step, detail, seconds)

    def failed(self, step: str, detail: str, seconds: float) -> None:
        """One line for the step."""
        self._end(self._paint("31", "✗"), step, detail, seconds)

    def phase(self, phase: Phase) -> None:
        """Show the phase; written out where nothing is written over."""
        if self._live is not None:
            self._live.enter(phase.value)
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
        """Show where it is now."""
        if self._live is not None:
            self._live.sample(sample.name, sample.value)

    def build_line(self, line: str) -> None:
        """A line of a build: shown when asked for, or as it is under way."""
        if self._verbosity >= Verbosity.VERBOSE:
            self._write(f"  {self._paint('2', '│')} {line}")
        elif self._live is not None:
            self._live.latest(line)

    def note(self, text: str) -> None:
        """Something to know."""
        if self._verbosity >= Verbosity.NORMAL:
            self._write(self._paint("2", f"  {text}"))

    # --- writing -----------------------------------------------------------------------------

    def _end(self, mark: str, step: str, detail: str, seconds: float) -> None:
        if self._live is not None:
            self._live.hide()
        if self._verbosity >= Verbosity.NORMAL:
            time_taken = self._paint("2", f"{seconds:.1f} s")
            self._write(f"{mark} {step:<{STEP_WIDTH}} {detail}{' ' if detail else ''}{time_taken}")

    def _write(self, line: str) -> None:
        with self._lock, suppress(BrokenPipeError):
            if self._live is not None:
                self._live.write(line + "\n")
                return
            self._err.write(line + "\n")
            self._err.flush()

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text
