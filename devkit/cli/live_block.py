"""What a live terminal shows below the log: a status line, a table of metrics, a curve (§1.11).

A function from what is known and the terminal's size to lines; :mod:`devkit.cli.live` writes them.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

STEP_WIDTH = 7

_MOST_LINES = 20
_MIN_TABLE_LINES = 2  # the head and one metric
_MIN_CURVE_ROWS, _MAX_CURVE_ROWS = 3, 6
_MAX_WIDTH = 79
"""More would help nobody, and a wider terminal that is made narrower would wrap the lines."""
_MIN_NAME_WIDTH, _MAX_NAME_WIDTH = 8, 32
_INDENT, _GAP = "  ", "  "
_HEAD = ("metric", "last", "min", "max", "count")
_CURVE_COLUMNS = 2 * _MAX_WIDTH  # the dots of a line of braille
_POINTS_KEPT = 8 * _CURVE_COLUMNS


@dataclass
class Tally:
    """What is known of one metric; its memory does not grow with the number of samples."""

    name: str
    last: float = math.nan
    low: float | None = None
    """Of the values that are finite."""
    high: float | None = None
    count: int = 0
    points: list[tuple[float, float]] = field(default_factory=list)
    """Number and value of the samples that are finite, as many as a curve can show."""

    def add(self, value: float) -> None:
        """Count one more sample."""
        self.count += 1
        self.last = value
        if not math.isfinite(value):
            return
        self.low = value if self.low is None else min(self.low, value)
        self.high = value if self.high is None else max(self.high, value)
        self.points.append((self.count, value))
        if len(self.points) > _POINTS_KEPT:
            from devkit.plotting import thin

            self.points = thin(self.points, _CURVE_COLUMNS)


@dataclass(frozen=True, kw_only=True)
class State:
    """A step under way."""

    step: str
    seconds: float
    phase: str = ""
    latest: str = ""
    """The last thing to know where there is no table: a line of a build, a metric's value."""
    metrics: Sequence[Tally] = ()


def block(state: State, columns: int, rows: int, *, tables: bool = True) -> list[str]:
    """The lines for a terminal of this size: at most half of its rows, and none that would wrap.

    Where a table does not fit, or is not wanted (``tables``), the status line is all.
    """
    most = min(rows // 2, _MOST_LINES) - 1
    width = min(columns - 1, _MAX_WIDTH)
    table = _table(state.metrics, width, most) if tables and state.metrics else []
    if not table:
        return [fit(_status(state, state.latest), columns - 1)]
    curve = _curve(state.metrics, width, most - len(table))
    return [fit(line, width) for line in (_status(state, ""), *table, *curve)]


def fit(text: str, width: int) -> str:
    """As much of a text as ``width`` cells of a terminal hold; what cannot be shown is a space."""
    kept, used = [], 0
    for character in text:
        shown = character if character.isprintable() else " "
        used += _cells(shown)
        if used > width:
            break
        kept.append(shown)
    return "".join(kept)


def width_of(text: str) -> int:
    """How many cells of a terminal a text takes."""
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _status(state: State, latest: str) -> str:
    minutes, seconds = divmod(int(state.seconds), 60)
    return f"⋯ {state.step:<{STEP_WIDTH}} {minutes:02}:{seconds:02} {state.phase} {latest}".rstrip()


def _table(metrics: Sequence[Tally], width: int, most: int) -> list[str]:
    """The last values, in at most ``most`` lines; none where that is too few, or too narrow."""
    if most < _MIN_TABLE_LINES:
        return []
    shown = metrics[: most - 1]
    if len(shown) < len(metrics):
        shown = metrics[: most - 2]  # and a line that counts the others
    if not shown:
        return []
    numbers = [_HEAD[1:], *(_numbers(metric) for metric in shown)]
    widths = [max(map(len, column)) for column in zip(*numbers, strict=True)]
    room = width - len(_INDENT) - sum(len(_GAP) + each for each in widths)
    if room < _MIN_NAME_WIDTH:
        return []
    names = [_HEAD[0], *(fit(metric.name, min(room, _MAX_NAME_WIDTH)) for metric in shown)]
    longest = max(width_of(name) for name in names)
    lines = []
    for name, row in zip(names, numbers, strict=True):
        padded = name + " " * (longest - width_of(name))
        cells = [f"{number:>{w}}" for number, w in zip(row, widths, strict=True)]
        lines.append(_INDENT + _GAP.join([padded, *cells]))
    if len(shown) < len(metrics):
        lines.append(f"{_INDENT}… and {len(metrics) - len(shown)} more")
    return lines


def _numbers(metric: Tally) -> tuple[str, ...]:
    low, high = ("-" if each is None else f"{each:.6g}" for each in (metric.low, metric.high))
    return f"{metric.last:.6g}", low, high, str(metric.count)


def _curve(metrics: Sequence[Tally], width: int, most: int) -> list[str]:
    """The curve of the first metric that has one, where there is room for it."""
    rows = min(most - 1, _MAX_CURVE_ROWS)
    metric = next((each for each in metrics if each.points), None)
    if metric is None or rows < _MIN_CURVE_ROWS:
        return []
    from devkit.plotting import Series, chart

    series = Series(metric.name, tuple(metric.points))
    _, *drawn = chart(series, "sample", width=width - len(_INDENT), rows=rows)
    return [_INDENT + line for line in (metric.name, *drawn[:rows])]
