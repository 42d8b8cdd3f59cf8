"""Whether the size of a channel matters: how late a container starts, and what devkit needs for it.

A job with a channel of one kilobyte and a job with one of ten gigabytes (a sparse file) take turns
on each engine. Measured is the time from the command to the first line of the program, and the peak
of devkit's resident memory. Run it with the Python that devkit is installed in::

    python benchmarks/large_channel.py [--engine docker|process] [--rounds 7]

Exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

DEVKIT = (sys.executable, "-m", "devkit")
SIZES = {"1 KB": 1024, "10 GB": 10 * 1024**3}
LATER_TARGET_S = 0.2
MEMORY_TARGET_BYTES = 150 * 10**6

DOCKERFILE = """
FROM python:3.11-slim-bookworm
COPY program /opt/program
ENV PATH=/opt/program:$PATH
WORKDIR /opt/program
"""
TRAIN = """#!/usr/bin/env python3
from pathlib import Path
data = Path("/opt/ml/input/data/training")
print("started", sum(path.stat().st_size for path in data.iterdir()), flush=True)
"""


def main() -> int:
    """Measure, print, and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--engine", choices=("docker", "process"), action="append")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    met = True
    with TemporaryDirectory(prefix="devkit-benchmark-") as folder:
        project = make_project(Path(folder))
        say("| engine | 1 KB: first line after | 10 GB | later by | peak memory | met |")
        say("|---|---|---|---|---|---|")
        for engine in arguments.engine or ("docker", "process"):
            met &= measure(project, engine, arguments.rounds)
    return 0 if met else 1


def say(line: str) -> None:
    """Print a line of the table as soon as it is known."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def make_project(folder: Path) -> Path:
    """A project whose job says when it starts."""
    program = folder / "image" / "program"
    program.mkdir(parents=True)
    (folder / "devkit.toml").touch()
    (folder / "image" / "Dockerfile").write_text(DOCKERFILE)
    (program / "train").write_text(TRAIN)
    (program / "train").chmod(0o755)
    for name, size in SIZES.items():
        (folder / name).mkdir()
        with (folder / name / "data").open("wb") as file:
            file.truncate(size)
    return folder


def measure(project: Path, engine: str, rounds: int) -> bool:
    """Print one engine's row; whether its targets are met."""
    seconds: dict[str, list[float]] = {name: [] for name in SIZES}
    peak_bytes = 0
    for number in range(rounds + 1):
        for name, size in SIZES.items():
            took, peak = train(project, engine, name, size)
            if number:  # the first round builds
                seconds[name].append(took)
                peak_bytes = max(peak_bytes, peak)
    small, large = (median(seconds[name]) for name in SIZES)
    met = large - small <= LATER_TARGET_S and peak_bytes <= MEMORY_TARGET_BYTES
    say(
        f"| {engine} | {small:.2f} s | {large:.2f} s | {large - small:+.2f} s "
        f"(at most {LATER_TARGET_S}) | {peak_bytes / 1e6:.0f} MB "
        f"(at most {MEMORY_TARGET_BYTES / 1e6:.0f}) | {'yes' if met else '**no**'} |"
    )
    return met


def train(project: Path, engine: str, channel: str, size: int) -> tuple[float, int]:
    """Run a job; the seconds until its first line, and devkit's peak resident memory in bytes."""
    begun = time.monotonic()
    process = subprocess.Popen(
        [*DEVKIT, "train", "--engine", engine, "--channel", f"training={project / channel}"],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    took, said = 0.0, []
    for line in process.stderr:
        said.append(line)
        if f"started {size}" in line:
            took = time.monotonic() - begun
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not took:
        sys.exit("".join(said))
    return took, usage.ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
