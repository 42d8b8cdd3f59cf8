"""Metrics are read as they are written, and drawn as they went."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from devkit.__main__ import main
from devkit.errors import ConfigError, StoreError
from devkit.job import Sample
from devkit.plotting import Series, chart, curves, image, read_samples, scale, thin
from devkit.store import Store

REQUEST = {"engine": "process", "image": "i", "started": "2026-01-01T00:00:00+00:00"}
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def rows(name: str, values: Sequence[float], step_s: float = 1.0) -> str:
    """Lines of a file of samples, one every ``step_s``."""
    times = [(START + timedelta(seconds=step_s * n)).isoformat() for n in range(len(values))]
    return "".join(
        json.dumps({"name": name, "value": value, "time": time}) + "\n"
        for value, time in zip(values, times, strict=True)
    )


def drawn(values: Sequence[float], *, width: int = 60, rows: int = 12) -> list[str]:
    """The chart of a series without its caption, axis labels and margins: the dots alone."""
    series = Series("m", tuple((float(n), value) for n, value in enumerate(values, start=1)))
    lines = chart(series, "sample", width=width, rows=rows)[1:-2]
    return [line.partition("┤" if "┤" in line else "│")[2].partition(" last ")[0] for line in lines]


def heights(dots: Sequence[str]) -> list[int]:
    """For each column, the first row from the top that has a dot."""
    width = max(len(line) for line in dots)
    padded = [line.ljust(width) for line in dots]
    return [next(r for r, line in enumerate(padded) if line[c] != " ") for c in range(width)]


# --- reading ---------------------------------------------------------------------------------


def test_samples_are_read_by_metric_in_the_order_of_appearance() -> None:
    metrics = read_samples(rows("loss", [2, 1]) + rows("accuracy", [0.5]))
    assert {name: [s.value for s in samples] for name, samples in metrics.items()} == {
        "loss": [2.0, 1.0],
        "accuracy": [0.5],
    }
    assert list(metrics) == ["loss", "accuracy"]
    assert metrics["loss"][1].time == START + timedelta(seconds=1)


def test_samples_of_several_instances_are_in_order_of_time() -> None:
    first, second = rows("loss", [4, 2], step_s=10), rows("loss", [5, 3, 1], step_s=6)
    assert [s.value for s in read_samples(first, second)["loss"]] == [4, 5, 3, 2, 1]


@pytest.mark.parametrize("cut", range(1, 70))
def test_a_last_line_that_is_cut_off_is_not_there_yet(cut: int) -> None:
    whole, last = rows("loss", [2]), rows("loss", [1.25]).rstrip("\n")
    metrics = read_samples(whole + last[: min(cut, len(last) - 1)])
    assert [s.value for s in metrics["loss"]] == [2.0]


def test_a_damaged_line_further_up_is_told() -> None:
    with pytest.raises(StoreError, match=r"line 1 of the job's metrics"):
        read_samples('{"name": "lo\n' + rows("loss", [1]))


def test_no_text_has_no_metrics() -> None:
    assert read_samples("") == {}


# --- curves ----------------------------------------------------------------------------------


def test_a_curve_goes_over_the_number_of_the_sample() -> None:
    (series,) = curves(read_samples(rows("loss", [3, 2])), "sample")
    assert series.points == ((1, 3.0), (2, 2.0))


def test_time_counts_from_the_first_sample_of_the_job() -> None:
    late = Sample(name="accuracy", value=1.0, time=START + timedelta(seconds=7.5))
    metrics = read_samples(rows("loss", [3, 2], step_s=0.5)) | {"accuracy": [late]}
    loss, accuracy = curves(metrics, "time")
    assert loss.points == ((0.0, 3.0), (0.5, 2.0))
    assert accuracy.points == ((7.5, 1.0),)


def test_values_that_are_not_finite_are_left_out_and_counted() -> None:
    values = [1, float("nan"), float("inf"), float("-inf"), 2]
    (series,) = curves(read_samples(rows("loss", values)), "sample")
    assert series.points == ((1, 1.0), (5, 2.0))
    assert series.caption == "loss: 2 samples, 3 not finite and left out"


# --- scaling and thinning --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "low", "high", "step"),
    [
        (0, 0, 10, 0),
        (10, 0, 10, 10),
        (5, 0, 10, 5),
        (-1, -2, 0, 5),
        (4, 4, 4, 5),
        (1.7e308, -1.7e308, 1.7e308, 10),
        (5e-324, 0, 5e-324, 5),
    ],
)
def test_a_value_is_on_one_of_the_steps(value: float, low: float, high: float, step: int) -> None:
    assert scale(value, low, high, 11) == step


def test_thousands_of_samples_become_few_and_keep_their_extremes() -> None:
    values = [n % 7 / 10 for n in range(50_000)]
    values[12_345], values[33_333] = 99.0, -99.0
    points = [(float(n), value) for n, value in enumerate(values)]
    kept = thin(points, 80)
    assert len(kept) <= 4 * 80
    assert {(12_345.0, 99.0), (33_333.0, -99.0), points[0], points[-1]} <= set(kept)
    assert kept == sorted(kept)


def test_few_samples_are_all_kept() -> None:
    points = [(float(n), float(-n)) for n in range(10)]
    assert thin(points, 80) == points


# --- charts ----------------------------------------------------------------------------------


def test_a_falling_curve_falls_from_the_top_left_to_the_bottom_right() -> None:
    dots = drawn([10 - n for n in range(10)])
    assert len(dots) == 12
    assert heights(dots) == sorted(heights(dots))
    assert heights(dots)[0] == 0
    assert heights(dots)[-1] == 11


def test_a_curve_has_no_gap_between_samples() -> None:
    dots = drawn([0, 100, 0])
    assert min(heights(dots)) == 0
    assert all(line.strip() for line in dots)


def test_a_small_chart_is_this_one() -> None:
    series = Series("loss", ((1.0, 4.0), (2.0, 2.0), (3.0, 1.0)))
    assert chart(series, "sample", width=34, rows=4) == [
        "loss: 3 samples",
        "max 4 ┤⠉⠢⠤⡀",
        "      │   ⠈⠉⠢⠤⡀",
        "      │       ⠈⠉⠢⠤⣀⣀",
        "min 1 ┤             ⠉⠉⠒⠒⠤⠤⣀ last 1",
        "      └────────────────────",
        "       1      sample      3",
    ]


def test_a_constant_series_is_a_line_in_the_middle() -> None:
    lines = chart(Series("m", ((1.0, 3.0), (2.0, 3.0))), "sample", width=60)
    marked = [line for line in lines[1:-2] if line.strip(" │")]
    assert len(marked) == 1
    assert marked[0].startswith("min = max 3 ┤")
    assert marked[0].endswith(" last 3")


def test_one_sample_is_one_dot() -> None:
    assert sum(len(line.strip()) for line in drawn([0.25])) == 1


def test_negative_values_are_below_positive_ones() -> None:
    assert heights(drawn([-5, 5]))[0] == 11
    assert heights(drawn([-5, 5]))[-1] == 0
    lines = chart(Series("m", ((1.0, -5.0), (2.0, -7.5))), "sample", width=60)
    assert lines[1].startswith("  max -5 ┤")
    assert lines[12].startswith("min -7.5 ┤")


@pytest.mark.parametrize("width", [40, 80, 100])
@pytest.mark.parametrize("value", [1.0, -0.00123456789])
def test_a_chart_is_as_wide_as_it_may_be(width: int, value: float) -> None:
    points = tuple((float(n), value * n) for n in range(5000))
    lines = chart(Series("m", points), "sample", width=width)
    assert max(len(line) for line in lines) == width


def test_nothing_finite_is_said() -> None:
    assert chart(Series("m", (), skipped=2), "sample", width=60) == [
        "m: 0 samples, 2 not finite and left out",
        "  nothing to draw",
    ]


# --- images ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("image_format", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_an_image_is_what_its_format_says(image_format: str, start: bytes) -> None:
    pytest.importorskip("matplotlib")
    series = [Series("a$b$^", ((1.0, 3.0), (2.0, -1.0))), Series("empty", (), skipped=1)]
    assert image(series, "time", image_format).startswith(start)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError) as caught:
        image([Series("m", ((1.0, 1.0),))], "sample", "png")
    assert caught.value.remedy == "pip install 'devkit[plot]'"


# --- the command -----------------------------------------------------------------------------


@pytest.fixture
def project(store: Store, tmp_path: Path) -> Path:
    """A project with the jobs ``fit``, which has metrics, and ``mute``, which has none."""
    (tmp_path / "devkit.toml").write_text("")
    for name, text in (
        ("fit", rows("loss", [2, float("nan"), 1]) + rows("f1", [0.5])),
        ("mute", ""),
    ):
        claim = store.claim("job", name, REQUEST)
        claim.run.metrics.mkdir()
        (claim.run.metrics / "algo-1.jsonl").write_text(text)
        claim.release(finished=True)
    return tmp_path


def plot(project: Path, *arguments: str) -> int:
    return main(["plot", "--project", str(project), *arguments])


def test_every_metric_is_drawn(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plot(project, "fit") == 0
    shown = capsys.readouterr().out
    assert "loss: 2 samples, 1 not finite and left out" in shown
    assert "f1: 1 sample\n" in shown


def test_the_document_has_the_samples(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plot(project, "fit", "--metric", "loss", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["job"] == "fit"
    assert list(document["metrics"]) == ["loss"]
    assert [sample["value"] for sample in document["metrics"]["loss"]] == [2.0, None, 1.0]
    assert document["metrics"]["loss"][0]["time"] == START.isoformat()


def test_an_unknown_metric_names_those_there_are(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plot(project, "fit", "--metric", "recall") == 10
    assert "it has loss, f1" in capsys.readouterr().err


def test_a_job_without_metrics_says_where_they_are_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plot(project, "mute") == 10
    assert "[train] metrics in devkit.toml" in capsys.readouterr().err


def test_an_unknown_ending_names_the_two(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plot(project, "fit", "--output", "curve.pdf") == 2
    assert ".png or .svg" in capsys.readouterr().err


def test_an_image_is_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    output = project / "curve.PNG"
    assert plot(project, "fit", "--output", str(output), "--json") == 0
    assert json.loads(capsys.readouterr().out)["output"] == str(output)
    assert output.read_bytes().startswith(b"\x89PNG")
    assert plot(project, "fit", "--output", str(project / "missing" / "curve.svg")) == 2
