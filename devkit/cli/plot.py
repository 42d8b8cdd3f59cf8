"""devkit plot: draw a job's metrics, in the terminal or to a PNG or SVG file."""

from __future__ import annotations

import argparse
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devkit.cli import options
from devkit.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from devkit.job import Sample
    from devkit.store import Run

_MAX_WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    parser.add_argument("name", metavar="JOB", help="a job, ended or running")
    parser.add_argument(
        "--metric",
        metavar="NAME",
        action="append",
        default=[],
        help="draw this metric only; repeatable (default: all of them)",
    )
    parser.add_argument(
        "--over",
        choices=("sample", "time"),
        default="sample",
        help="what goes from left to right: the number of the sample, or the seconds since the "
        "first one (default: sample)",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="write a .png or .svg file instead (needs devkit[plot])",
    )


def run(arguments: argparse.Namespace) -> None:
    """Draw."""
    from devkit import plotting

    terminal, output = arguments.terminal, arguments.output
    image_format = None if output is None else _image_format(output)
    store = options.project(arguments).store
    job = store.find(arguments.name, "job")
    metrics = _chosen(job, arguments.metric, running=store.owner(job) is not None)
    series = plotting.curves(metrics, arguments.over)
    document = _document(job.name, metrics)
    if image_format is not None:
        _write(output, plotting.image(series, arguments.over, image_format))
        for each in series:
            terminal.note(each.caption)
        terminal.result(document | {"output": str(output)}, str(output))
        return
    width = min(_MAX_WIDTH, shutil.get_terminal_size().columns)
    charts = ["\n".join(plotting.chart(each, arguments.over, width=width)) for each in series]
    terminal.result(document, "\n\n".join(charts))


def _image_format(output: Path) -> str:
    from devkit.plotting import IMAGE_FORMATS

    ending = output.suffix.lower().removeprefix(".")
    if ending not in IMAGE_FORMATS:
        raise ConfigError(
            f"--output {output}: an image ends in .png or .svg",
            remedy=f"--output {output.stem or 'metrics'}.png",
        )
    return ending


def _chosen(job: Run, names: Sequence[str], *, running: bool) -> dict[str, list[Sample]]:
    """The samples of the metrics asked for, or of all.

    Raises:
        NotFound: The job has none, or not these.
    """
    from devkit.plotting import read_samples

    files = sorted(job.metrics.glob("*.jsonl"))
    metrics = read_samples(*(file.read_text(encoding="utf-8", errors="replace") for file in files))
    if not metrics:
        raise NotFound(
            f"job {job.name!r} has no metrics{' yet' if running else ''}",
            remedy="[train] metrics in devkit.toml names what to look for in the log, such as "
            "{ name = \"loss\", regex = 'loss=(\\S+)' }",
        )
    for name in names:
        if name not in metrics:
            raise NotFound(
                f"job {job.name!r} has no metric {name!r}{' yet' if running else ''}",
                remedy=f"it has {', '.join(metrics)}",
            )
    return {name: metrics[name] for name in names or metrics}


def _document(job: str, metrics: Mapping[str, Sequence[Sample]]) -> dict[str, Any]:
    """The samples for machines; ``null`` for a value that is not finite, as JSON has none."""
    return {
        "job": job,
        "metrics": {
            name: [
                {"time": s.time.isoformat(), "value": s.value if math.isfinite(s.value) else None}
                for s in samples
            ]
            for name, samples in metrics.items()
        },
    }


def _write(output: Path, content: bytes) -> None:
    try:
        output.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"--output {output}: {error.strerror or error}") from None
