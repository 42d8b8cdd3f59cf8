"""devkit, or what it runs, is killed at random moments: nothing is left, and nothing is lost.

A few kills an engine here; ``tox -e soak`` makes it fifty (or as many as DEVKIT_SOAK_KILLS says).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from docker.errors import APIError

from tests.integration.kit import HEAD, SERVE, Project, Running, eventually, model, outcome

KILLS = int(os.environ.get("DEVKIT_SOAK_KILLS", "5"))

TRAIN = (
    HEAD
    + """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
(MODEL / "weights").write_text("42")
say("saved")
(OUTPUT / "data" / "report").write_text("of this job")
CHECKPOINTS = Path("/opt/ml/checkpoints")
if CHECKPOINTS.exists():
    (CHECKPOINTS / "latest").write_text("1")
signal.setitimer(signal.ITIMER_REAL, 0.3)
signal.signal(signal.SIGALRM, lambda *_: None)
signal.pause()
"""
)
"""Saves a model, says so, and goes on for a little."""

LONGEST_S = {"docker": 3.0, "process": 1.6}
"""About as long as a command takes here."""

COMMANDS = (
    ("run",),
    ("train",),
    ("train", "--checkpoints", "kept", "--spot-interrupt-after", "0.1"),
    ("serve", "--model", "first"),
)
ON_SEVERAL_HOSTS = ("train", "--instances", "2")


@pytest.mark.parametrize("number", range(KILLS))
@pytest.mark.usefixtures("contained")
def test_a_kill_at_a_random_moment_leaves_nothing_and_loses_nothing(
    project: Project, number: int, tmp_path: Path
) -> None:
    draw = random.Random(f"{project.engine} {number}")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    project.environment["TMPDIR"] = str(scratch)
    project.write(train=TRAIN, serve=SERVE, config="[invoke]\ndata = '1'\n")
    project.devkit("train", "--name", "first").succeeded()
    commands = [*COMMANDS, *([ON_SEVERAL_HOSTS] if project.engine == "docker" else [])]
    command = draw.choice(commands)
    victims: list[signal.Signals | str] = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, "program"]
    victim = draw.choice(victims)
    moment_s = draw.uniform(0.0, LONGEST_S[project.engine])
    told = f"{command} {victim} after {moment_s:.2f} s"

    with project.start(*command) as running:
        with suppress(subprocess.TimeoutExpired):
            running.process.wait(moment_s)
        kill(project, running, victim)
        if victim == "program" and command[0] == "serve":
            running.send(signal.SIGTERM)
        running.finish()

    listed = project.devkit("jobs", "--json").succeeded()

    eventually(lambda: not project.leftovers(), lambda: f"{told}: {project.leftovers()}")
    assert "is still not finished" not in listed.err, told
    assert str(project.root) not in Path("/proc/mounts").read_text(), told
    assert [path.name for path in scratch.iterdir()] == [], told
    assert list(unfinished(project.store)) == [], told
    for job in (project.store / "jobs").iterdir():
        saved = any("saved" in log.read_text() for log in (job / "logs").iterdir())
        how = outcome(job)
        if saved and "Interrupted" not in [each["status"] for each in how["transitions"]]:
            assert model(job) == {"weights": b"42"}, (told, how)
        if how["status"] == "Completed":
            assert how["model"] is not None, (told, how)
            assert model(job) == {"weights": b"42"}, (told, how)


def kill(project: Project, running: Running, victim: signal.Signals | str) -> None:
    """Kill devkit, or the programs that run for it, as somebody else would."""
    if isinstance(victim, signal.Signals):
        with suppress(ProcessLookupError):
            running.process.send_signal(victim)
        return
    for container in project.containers() if project.engine == "docker" else ():
        with suppress(APIError):  # it does not run now
            assert project.engines is not None
            project.engines.kill(container)
    for process in programs(project) if project.engine == "process" else ():
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def programs(project: Project) -> Iterator[int]:
    """The processes of ``train`` and ``serve``."""
    for process in project.processes():
        with suppress(OSError):
            words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
            if any(word.startswith(b"/opt/program/") for word in words):
                yield process


def unfinished(store: Path) -> Iterator[str]:
    """What no store has once everything is finished: temporary files, inputs, engines' notes."""
    for path in store.rglob("*"):
        name = path.relative_to(store).as_posix()
        temporary = path.name.startswith(".") and path.name != ".gitignore"
        if temporary or path.name in {"inputs", "engine"}:
            yield name
    for run in (*(store / "jobs").iterdir(), *(store / "servers").iterdir()):
        try:
            json.loads((run / "outcome.json").read_text())
        except (OSError, ValueError):
            yield f"{run.name} without an outcome at {time.time()}"
