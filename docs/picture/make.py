"""Makes ``docs/loop.svg``: what ``devkit run`` looks like in a terminal.

It runs the example project for real, in a terminal of its own, and draws what that terminal shows
at the end. Nothing but the standard library and an installed devkit is needed; with a Docker engine
the picture shows the docker engine. Make it again with::

    python docs/picture/make.py

The project is copied to ``/tmp/iris``, so that no path of whoever makes it is in the picture; the
first run, which builds the image, is not drawn.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURE = REPOSITORY / "docs" / "loop.svg"
PROJECT_FILES = ("devkit.toml", "image", "examples/iris")
FOLDER = Path("/tmp/iris")  # noqa: S108 - it must not exist, and is made by nobody else

# Of the numbers in ESC [ … m.
BOLD, FAINT = 1, 2

PROMPT = "\x1b[1;32m$\x1b[0m \x1b[1m{}\x1b[0m\r\n"
COMMAND = "devkit run"
COLUMNS, ROWS = 104, 60

SVG = "http://www.w3.org/2000/svg"
# Pixels. A row is a line of text; the margin is around all of them; buttons have a radius.
FONT_SIZE, COLUMN, ROW, MARGIN, TITLE_BAR, BUTTON = 14, 8.4, 20, 18, 38, 6
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
BACKGROUND, BORDER, TEXT, DIM = "#0d1117", "#30363d", "#e6edf3", "#8b949e"
COLORS = {31: "#ff7b72", 32: "#3fb950", 33: "#d29922", 34: "#58a6ff", 35: "#bc8cff", 36: "#39c5cf"}
BUTTONS = ("#ff5f57", "#febc2e", "#28c840")


@dataclass(frozen=True)
class Style:
    """How a character is drawn."""

    color: int | None = None
    bold: bool = False
    dim: bool = False

    def after(self, code: int) -> Style:
        """The style after a number of an ``ESC [ … m`` sequence."""
        if code == 0:
            return Style()
        if code == BOLD:
            return replace(self, bold=True)
        if code == FAINT:
            return replace(self, dim=True)
        return replace(self, color=code if code in COLORS else None)

    @property
    def attributes(self) -> str:
        """The same for SVG."""
        fill = DIM if self.dim else TEXT if self.color is None else COLORS[self.color]
        return f'fill="{fill}"' + (' font-weight="bold"' if self.bold else "")


@dataclass(frozen=True)
class Cell:
    """A character on the screen."""

    text: str
    style: Style


BLANK = Cell(" ", Style())


class Screen:
    """As much of a terminal as devkit uses: lines that wrap, colours, one line written over."""

    _TOKEN = re.compile(r"\x1b\[([\d;]*)([A-Za-z])|([^\x1b])", re.DOTALL)

    def __init__(self, columns: int) -> None:
        self.rows: list[list[Cell]] = [[]]
        self._columns = columns
        self._column = 0
        self._style = Style()

    def feed(self, text: str) -> None:
        """What is written to the terminal."""
        for numbers, command, character in self._TOKEN.findall(text):
            if command == "m":
                for code in numbers.split(";"):
                    self._style = self._style.after(int(code or 0))
            elif command == "K":
                del self.rows[-1][self._column :]
            elif character == "\r":
                self._column = 0
            elif character == "\n":
                self.rows.append([])
            elif character:
                self._put(Cell(character, self._style))

    def _put(self, cell: Cell) -> None:
        if self._column == self._columns:
            self.rows.append([])
            self._column = 0
        row = self.rows[-1]
        row.extend([BLANK] * (self._column + 1 - len(row)))
        row[self._column] = cell
        self._column += 1


# --- the recording -----------------------------------------------------------------------------


def record(command: Sequence[str], folder: Path) -> str:
    """What a command writes to its terminal.

    Raises:
        CalledProcessError: It failed.
    """
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(  # noqa: S603
        command, cwd=folder, env=kept, stdin=terminal, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        written = b"".join(_chunks(reader))
    os.close(reader)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, list(command), written)
    return written.decode()


def _chunks(reader: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(reader, 65536)
        except OSError:  # how Linux says that nobody has the terminal open any more
            return
        if not chunk:
            return
        yield chunk


def record_loop(arguments: Sequence[str]) -> str:
    """``devkit run`` in a copy of the example, with everything built."""
    command = [sys.executable, "-m", "devkit", "run", *arguments]
    FOLDER.mkdir()
    try:
        for name in PROJECT_FILES:
            target = FOLDER / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy2
            copy(REPOSITORY / name, target)
        record(command, FOLDER)
        return PROMPT.format(" ".join([COMMAND, *arguments])) + record(command, FOLDER)
    finally:
        shutil.rmtree(FOLDER)


# --- the drawing -------------------------------------------------------------------------------


def draw(rows: Sequence[Sequence[Cell]], title: str) -> str:
    """The rows as an SVG: plain text and shapes, with fonts that machines have."""
    width = round(COLUMNS * COLUMN + 2 * MARGIN)
    height = TITLE_BAR + len(rows) * ROW + MARGIN
    size = f'width="{width}" height="{height}"'
    frame = f'width="{width - 1}" height="{height - 1}" rx="8"'
    lines = [
        f'<svg xmlns="{SVG}" viewBox="0 0 {width} {height}" {size} role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect x="0.5" y="0.5" {frame} fill="{BACKGROUND}" stroke="{BORDER}"/>',
        *_draw_buttons(),
        f'<g font-family="{FONTS}" font-size="{FONT_SIZE}" xml:space="preserve">',
        *(line for number, row in enumerate(rows) for line in _draw_row(row, number)),
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _draw_buttons() -> Iterator[str]:
    for number, color in enumerate(BUTTONS):
        x = MARGIN + BUTTON * (3 * number + 1)
        yield f'<circle cx="{x}" cy="{TITLE_BAR // 2}" r="{BUTTON}" fill="{color}"/>'


def _draw_row(row: Sequence[Cell], number: int) -> Iterator[str]:
    """A text for each style, stretched to its columns whatever the width of the font is."""
    y = TITLE_BAR + number * ROW + FONT_SIZE
    column = 0
    for style, cells in groupby(row, key=lambda cell: cell.style):
        text = "".join(cell.text for cell in cells)
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        if start < end:
            yield (
                f'<text x="{MARGIN + (column + start) * COLUMN:.1f}" y="{y}" '
                f'textLength="{(end - start) * COLUMN:.1f}" lengthAdjust="spacingAndGlyphs" '
                f"{style.attributes}>{escape(text.strip())}</text>"
            )
        column += len(text)


def main() -> None:
    """Record, draw, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=PICTURE, help="the picture")
    parser.add_argument("argument", nargs="*", help="given to devkit run, and shown (after --)")
    arguments = parser.parse_args()
    screen = Screen(COLUMNS)
    screen.feed(record_loop(arguments.argument))
    while not screen.rows[-1]:
        screen.rows.pop()
    title = "devkit run in a terminal: build, train, serve, invoke and stop, then the answer"
    arguments.output.write_text(draw(screen.rows, title), encoding="utf-8")


if __name__ == "__main__":
    main()
