"""A job's metrics as curves: read from ``metrics/``, drawn as text or as an image (§1.11)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from io import BytesIO
from itertools import groupby, pairwise
from typing import Literal

from devkit.errors import ConfigError, StoreError
from devkit.job import Sample

Over = Literal["sample", "time"]
Point = tuple[float, float]

IMAGE_FORMATS = ("png", "svg")
CHART_ROWS = 12

_AXIS = {"sample": "sample", "time": "seconds since the first sample"}
_MIN_COLUMNS = 10
_BLANK = 0x2800
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bits of a braille character, by column and then by row."""
_DOTS_ACROSS, _DOTS_DOWN = len(_DOTS), len(_DOTS[0])
_FIGURE_WIDTH_IN, _PLOT_HEIGHT_IN = 8.0, 3.0
_MARKED_SAMPLES = 100
"""With more of them than that, an image has the curve alone."""


@dataclass(frozen=True)
class Series:
    """One metric's curve.

    Attributes:
        name: The metric.
        points: Position and value of each sample whose value is finite.
        skipped: How many samples are left out because theirs is not.
    """

    name: str
    points: tuple[Point, ...]
    skipped: int = 0

    @property
    def caption(self) -> str:
        """The name, and how much there is to see."""
        count = len(self.points)
        left_out = f", {self.skipped} not finite and left out" if self.skipped else ""
        return f"{self.name}: {count} sample{'' if count == 1 else 's'}{left_out}"


def read_samples(*texts: str) -> dict[str, list[Sample]]:
    """The samples of a job by metric, in the order of their first appearance.

    A last line that is cut off is not there yet: the job is still writing it.

    Args:
        texts: The content of each instance's file of samples; theirs are put in order of time.

    Raises:
        StoreError: A line before the last one is no sample.
    """
    metrics: dict[str, list[Sample]] = {}
    for text in texts:
        for sample in _samples(text):
            metrics.setdefault(sample.name, []).append(sample)
    if len(texts) > 1:
        for samples in metrics.values():
            samples.sort(key=lambda sample: sample.time)
    return metrics


def _samples(text: str) -> Iterator[Sample]:
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            sample = Sample(
                name=str(row["name"]),
                value=float(row["value"]),
                time=datetime.fromisoformat(row["time"]),
            )
        except (ValueError, TypeError, KeyError):
            if number == len(lines):
                return
            raise StoreError(
                f"line {number} of the job's metrics is no sample of a metric: {line[:80]!r}",
                remedy="remove that line; devkit logs JOB has what the container wrote",
            ) from None
        yield sample


def curves(metrics: Mapping[str, Sequence[Sample]], over: Over) -> list[Series]:
    """A curve for each metric; times count from the first sample of them all."""
    start = min((s.time for samples in metrics.values() for s in samples), default=None)
    series = []
    for name, samples in metrics.items():
        points = tuple(
            (
                number if start is None or over == "sample" else (s.time - start).total_seconds(),
                s.value,
            )
            for number, s in enumerate(samples, start=1)
            if math.isfinite(s.value)
        )
        series.append(Series(name, points, skipped=len(samples) - len(points)))
    return series


def scale(value: float, low: float, high: float, steps: int) -> int:
    """Which of ``steps`` equal steps from ``low`` to ``high`` a value is on; the middle of none."""
    half_span = high / 2 - low / 2  # halves: the span of -1e308 to 1e308 is no float
    if half_span == 0:
        return (steps - 1) // 2
    return round((value / 2 - low / 2) / half_span * (steps - 1))


def thin(points: Iterable[Point], columns: int) -> list[Point]:
    """At most four points a column: the first, the lowest, the highest and the last one."""
    points = list(points)
    low, high = _bounds(x for x, _ in points)
    kept: list[Point] = []
    for _, group in groupby(points, key=lambda point: scale(point[0], low, high, columns)):
        column = list(group)
        order = range(len(column))
        lowest = min(order, key=lambda index: column[index][1])
        highest = max(order, key=lambda index: column[index][1])
        kept.extend(column[index] for index in sorted({0, lowest, highest, order[-1]}))
    return kept


def chart(series: Series, over: Over, *, width: int, rows: int = CHART_ROWS) -> list[str]:
    """The lines of a chart for a terminal, at most ``width`` wide where that leaves it room.

    The highest and the lowest value stand left of the curve, the last one right of it.
    """
    if not series.points:
        return [series.caption, "  nothing to draw"]
    low, high = _bounds(y for _, y in series.points)
    last = series.points[-1][1]
    last_row = (rows * _DOTS_DOWN - 1 - scale(last, low, high, rows * _DOTS_DOWN)) // _DOTS_DOWN
    labels = {0: f"max {high:.6g}", rows - 1: f"min {low:.6g}"}
    if low == high:
        labels = {last_row: f"min = max {low:.6g}"}
    right = f" last {last:.6g}"
    margin = max(len(label) for label in labels.values())
    columns = max(_MIN_COLUMNS, width - margin - len(" ┤") - len(right))
    lines = [series.caption]
    for row, drawn in enumerate(_draw(series.points, columns, rows)):
        edge = f"{labels.get(row, ''):>{margin}} {'┤' if row in labels else '│'}"
        lines.append(f"{edge}{drawn}{right if row == last_row else ''}".rstrip())
    indent = " " * (margin + 1)
    lines.append(f"{indent}└{'─' * columns}")
    lines.append(f"{indent} {_x_axis(series.points, over, columns)}")
    return lines


def image(series: Sequence[Series], over: Over, image_format: str) -> bytes:
    """The curves below one another, as a PNG or SVG file.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        figure_class = import_module("matplotlib.figure").Figure
        agg_canvas = import_module("matplotlib.backends.backend_agg").FigureCanvasAgg
    except ImportError as error:
        raise ConfigError(
            f"--output needs matplotlib, which cannot be imported: {error}",
            remedy="pip install 'devkit[plot]'",
        ) from None
    size = (_FIGURE_WIDTH_IN, _PLOT_HEIGHT_IN * len(series))
    figure = figure_class(figsize=size, layout="constrained")
    agg_canvas(figure)
    axes = figure.subplots(len(series), 1, squeeze=False)[:, 0]
    for axis, each in zip(axes, series, strict=True):
        marker = "." if len(each.points) <= _MARKED_SAMPLES else ""
        axis.plot([x for x, _ in each.points], [y for _, y in each.points], marker=marker)
        axis.set_title(each.caption, parse_math=False)  # a name with $ is no formula
        axis.set_xlabel(_AXIS[over])
        axis.grid(visible=True, alpha=0.3)
    buffer = BytesIO()
    figure.savefig(buffer, format=image_format, dpi=120)
    return buffer.getvalue()


def _draw(points: Sequence[Point], columns: int, rows: int) -> list[str]:
    """The curve as lines of braille characters, from one point to the next."""
    across, down = columns * _DOTS_ACROSS, rows * _DOTS_DOWN
    left, right = _bounds(x for x, _ in points)
    low, high = _bounds(y for _, y in points)
    dots = [
        (scale(x, left, right, across), down - 1 - scale(y, low, high, down))
        for x, y in thin(points, across)
    ]
    cells = [[_BLANK] * columns for _ in range(rows)]
    for start, end in pairwise([dots[0], *dots]):
        for x, y in _segment(start, end):
            cells[y // _DOTS_DOWN][x // _DOTS_ACROSS] |= _DOTS[x % _DOTS_ACROSS][y % _DOTS_DOWN]
    return ["".join(" " if cell == _BLANK else chr(cell) for cell in line) for line in cells]


def _segment(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """The dots of a straight line, both ends included."""
    (x, y), (width, height) = start, (end[0] - start[0], end[1] - start[1])
    steps = max(abs(width), abs(height), 1)
    for step in range(steps + 1):
        yield x + round(width * step / steps), y + round(height * step / steps)


def _x_axis(points: Sequence[Point], over: Over, columns: int) -> str:
    """The first and the last position, and what they count, as far as there is room."""
    left, right = (f"{x:.6g}" for x in _bounds(x for x, _ in points))
    if left == right:
        return f"{_AXIS[over]} {left}".center(columns).rstrip()
    room = columns - len(left) - len(right)
    name = _AXIS[over] if len(_AXIS[over]) + 1 < room else ""
    return f"{left}{name.center(room)}{right}"


def _bounds(values: Iterable[float]) -> Point:
    """The lowest and the highest value."""
    values = list(values)
    return min(values), max(values)
