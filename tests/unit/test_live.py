"""The part of a terminal that is written over, on a screen that plays what it is sent."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
import threading
from contextlib import suppress
from datetime import datetime, timezone

import pytest

from devkit.cli.live import Live, size_of
from devkit.cli.terminal import Terminal
from devkit.job import Phase, Sample
from tests.unit.screen import Screen

DEADLINE_S = 10.0
STATUS = "⋯ train   00:00"


def live(screen: Screen, *, tables: bool = True) -> Live:
    made = Live(
        screen, threading.RLock(), tables=tables, size=lambda: screen.size, clock=lambda: 0.0
    )
    made.show("train")
    return made


def test_the_log_scrolls_above_the_block() -> None:
    screen = Screen()
    block = live(screen)
    block.write("first\n")
    block.sample("loss", 2)
    block.draw()
    block.write("second\n")
    block.sample("loss", 1)
    block.write("third\n")
    block.draw()
    assert screen.lines[:6] == [
        "first",
        "second",
        "third",
        STATUS,
        "  metric  last  min  max  count",
        "  loss       1    1    2      2",
    ]
    assert screen.lines.count(STATUS) == 1


def test_lines_and_the_block_below_them_are_one_write() -> None:
    screen = Screen()
    block = live(screen)
    block.sample("loss", 2)
    block.draw()
    before = len(screen.writes)
    for number in range(9):
        block.write(f"line {number}\n")
    block.draw()
    assert len(screen.writes) == before + 1
    assert screen.lines[:9] == [f"line {number}" for number in range(9)]


def test_lines_do_not_wait_where_no_block_is_drawn_or_too_many_wait() -> None:
    screen = Screen()
    block = live(screen)
    block.write("first\n")
    assert screen.lines == ["first", ""]
    block.draw()
    for number in range(3000):
        block.write(f"line {number}\n")
    assert 2000 < len(screen.lines) < 3000
    block.hide()
    assert screen.lines == ["first", *(f"line {number}" for number in range(3000)), ""]


@pytest.mark.parametrize("tables", [True, False])
def test_nothing_of_it_is_left_at_the_end_of_a_step(tables: bool) -> None:
    screen = Screen()
    block = live(screen, tables=tables)
    block.write("first\n")
    block.sample("loss", 2)
    block.draw()
    block.write("x" * 200 + "\n")
    block.hide()
    block.draw()
    block.write("✓ train\n")
    assert screen.lines == ["first", "x" * 80, "x" * 80, "x" * 40, "✓ train", ""]


def test_a_step_begins_with_no_metrics() -> None:
    screen = Screen()
    block = live(screen)
    block.sample("loss", 2)
    block.draw()
    block.show("serve")
    block.draw()
    assert screen.lines == ["⋯ serve   00:00"]


@pytest.mark.parametrize("size", [(120, 40), (60, 24), (25, 24), (79, 8), (33, 3)])
def test_a_terminal_of_another_size_has_no_leftovers(size: tuple[int, int]) -> None:
    screen = Screen()
    block = live(screen)
    for number in range(9):
        block.write(f"line {number}\n")
        block.sample("loss", number)
    block.draw()
    screen.resize(*size)
    block.write("line 9\n")
    block.draw()
    assert screen.lines[:10] == [f"line {number}" for number in range(10)]
    assert screen.lines[10].startswith(STATUS)
    assert sum(line.startswith("⋯") for line in screen.lines) == 1
    block.hide()
    assert screen.lines == [*(f"line {number}" for number in range(10)), ""]


def test_what_is_no_terminal_is_taken_for_one_of_the_usual_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "91")
    monkeypatch.setenv("LINES", "17")
    assert size_of(io.StringIO()) == (91, 17)


def test_on_a_terminal_the_block_is_erased_and_no_line_is_lost() -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 70, 0, 0))
    written, drawn = bytearray(), threading.Event()

    def play() -> None:
        with suppress(OSError):  # Linux says so where nobody has the other end any more
            while chunk := os.read(master, 4096):
                written.extend(chunk)
                if "min 1 ┤".encode() in written:
                    drawn.set()
        os.close(master)

    player = threading.Thread(target=play)
    player.start()
    with (
        os.fdopen(slave, "w", encoding="utf-8") as err,
        Terminal(io.StringIO(), err, color=True, live=True) as terminal,
    ):
        terminal.begin("train")
        terminal.phase(Phase.TRAINING)
        for number in range(1, 100):
            terminal.line("algo-1", f"line {number} " + "x" * number)
            sample = Sample(name="loss", value=number, time=datetime.now(timezone.utc))
            terminal.sample(sample)
        assert drawn.wait(DEADLINE_S)
        terminal.line("algo-1", "the last line")
        terminal.done("train", "job-1", 1.0)
    player.join(DEADLINE_S)
    screen = Screen(70, 20)
    screen.write(written.decode())
    log = "".join(f"  │ line {n} " + "x" * n for n in range(1, 100))
    assert "".join(screen.lines) == f"{log}  │ the last line✓ train   job-1 1.0 s"
