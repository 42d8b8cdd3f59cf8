"""A terminal's screen, as far as devkit writes to one."""

from __future__ import annotations

import io
import os
import re

_PIECES = re.compile(r"\x1b\[(?P<count>[\d;]*)(?P<command>[A-Za-z])|(?P<text>[^\x1b])", re.DOTALL)


class Screen(io.StringIO):
    """Plays what is written to it, on lines that wrap; nothing ever scrolls away.

    As in most terminals, lines that a narrower window wraps are wrapped anew.
    """

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        super().__init__()
        self.size = os.terminal_size((columns, rows))
        self.writes: list[str] = []
        self._cells: list[list[str]] = [[]]
        self._row = self._column = 0

    @property
    def lines(self) -> list[str]:
        """What stands on it."""
        return ["".join(row).rstrip() for row in self._cells]

    def resize(self, columns: int, rows: int) -> None:
        """Give it another size; the cursor is at the end of the last line."""
        self.size = os.terminal_size((columns, rows))
        wrapped = [
            row[start : start + columns]
            for row in self._cells
            for start in range(0, max(1, len(row)), columns)
        ]
        self._cells, self._row, self._column = wrapped, len(wrapped) - 1, len(wrapped[-1])

    def write(self, text: str) -> int:
        self.writes.append(text)
        for piece in _PIECES.finditer(text):
            if piece["command"] == "A":
                self._row -= int(piece["count"] or 1)
                assert self._row >= 0, "the cursor went above the top"
            elif piece["command"] == "K":
                del self._cells[self._row][self._column :]
            elif piece["command"] == "J":
                del self._cells[self._row][self._column :]
                del self._cells[self._row + 1 :]
            elif piece["command"] is None:
                self._type(piece["text"])
        return len(text)

    def _type(self, character: str) -> None:
        if character == "\r":
            self._column = 0
            return
        if character == "\n" or self._column == self.size.columns:
            self._row, self._column = self._row + 1, 0
            if self._row == len(self._cells):
                self._cells.append([])
        if character == "\n":
            return
        row = self._cells[self._row]
        row.extend(" " * (self._column - len(row)))
        row[self._column : self._column + 1] = character
        self._column += 1
