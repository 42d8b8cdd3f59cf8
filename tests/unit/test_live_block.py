"""What a live terminal shows below the log, for every size it may have (contract 1.11)."""

from __future__ import annotations

import math

import pytest

from devkit.cli.live_block import State, Tally, block, fit, width_of


def tally(name: str, *values: float) -> Tally:
    made = Tally(name)
    for value in values:
        made.add(value)
    return made


def state(*metrics: Tally, latest: str = "loss=0.5") -> State:
    return State(step="train", seconds=83.9, phase="Training", latest=latest, metrics=metrics)


def test_a_table_and_a_curve_stand_below_the_status_line() -> None:
    lines = block(state(tally("loss", 3, 1, 2), tally("accuracy", 0.5)), 80, 24)
    assert lines[:5] == [
        "⋯ train   01:23 Training",
        "  metric    last  min  max  count",
        "  loss         2    1    3      3",
        "  accuracy   0.5  0.5  0.5      1",
        "  loss",
    ]
    assert lines[5].startswith("  max 3 ┤")
    assert lines[-1].startswith("  min 1 ┤")
    assert any(line.endswith("last 2") for line in lines[5:])
    assert len(lines) == 11


def test_without_metrics_there_is_one_line_with_the_last_thing_to_know() -> None:
    assert block(state(latest="Step 1/2"), 80, 24) == ["⋯ train   01:23 Training Step 1/2"]


def test_without_tables_the_last_metric_stands_in_the_status_line() -> None:
    lines = block(state(tally("loss", 1, 0.5)), 80, 24, tables=False)
    assert lines == ["⋯ train   01:23 Training loss=0.5"]


@pytest.mark.parametrize(("columns", "rows"), [(30, 24), (80, 5), (80, 1), (1, 1)])
def test_a_narrow_or_tiny_terminal_has_the_status_line_alone(columns: int, rows: int) -> None:
    lines = block(state(tally("loss", 1, 0.5)), columns, rows)
    assert lines == ["⋯ train   01:23 Training loss=0.5"[: columns - 1]]


@pytest.mark.parametrize("rows", [1, 2, 5, 6, 7, 9, 12, 24, 40, 200])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_it_takes_half_of_the_rows_at_most_and_wraps_nowhere(rows: int, count: int) -> None:
    metrics = [tally(f"指標 number {n}", -1.23456e-300, 1.23456e300) for n in range(count)]
    for columns in range(1, 130):
        lines = block(state(*metrics), columns, rows)
        assert 1 <= len(lines) <= max(1, rows // 2)
        assert all(width_of(line) < columns for line in lines)


def test_metrics_that_do_not_fit_are_counted() -> None:
    lines = block(state(*(tally(f"m{n}", n) for n in range(9))), 80, 14)
    assert [line.split()[0] for line in lines[2:-1]] == ["m0", "m1", "m2", "m3"]
    assert lines[-1] == "  … and 5 more"
    assert len(lines) == 7


def test_the_curve_goes_before_the_table_does() -> None:
    metrics = [tally("a", 1, 2), tally("b", 1, 2)]
    assert len(block(state(*metrics), 80, 16)) == 8  # status, head, 2 metrics, name, 3 rows
    assert len(block(state(*metrics), 80, 15)) == 4


def test_the_curve_is_that_of_the_first_metric_with_a_finite_value() -> None:
    lines = block(state(tally("nothing", math.nan), tally("loss", 1, 2)), 80, 24)
    assert lines[2].split() == ["nothing", "nan", "-", "-", "1"]
    assert lines[4] == "  loss"


def test_values_that_are_not_finite_are_counted_but_are_no_extremes() -> None:
    each = tally("loss", 2, math.inf, -1, math.nan)
    assert (each.count, each.low, each.high) == (4, -1, 2)
    assert math.isnan(each.last)
    assert each.points == [(1, 2), (3, -1)]


def test_a_million_samples_are_not_kept_but_their_extremes_are_drawn() -> None:
    each = tally("loss", *(number % 100 for number in range(20_000)), 1e6)
    assert len(each.points) < 2_000
    assert each.points[0] == (1, 0)
    assert each.points[-1] == (20_001, 1e6)
    assert {value for _, value in each.points} >= {0, 99, 1e6}
    assert each.count == 20_001


def test_what_would_move_the_cursor_is_not_shown() -> None:
    assert fit("a\tb\x1b[2Jc\r\n", 80) == "a b [2Jc  "
    lines = block(state(tally("\x1b[2J\n", 1)), 80, 24)
    assert not any("\x1b" in line or "\n" in line for line in lines)


def test_wide_characters_take_two_cells() -> None:
    assert fit("損失loss", 5) == "損失l"
    assert fit("損失loss", 3) == "損"
    assert width_of("損e\u0301") == 3
