"""A disk that is full, at the start or while a model is collected."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.kit import HEAD, SERVE, TRAIN, Project, model, outcome

DISK_BYTES = 8 * 1024 * 1024
MODEL_BYTES = 5 * 1024 * 1024

TRAIN_BIG = HEAD + (
    f'(MODEL / "weights").write_bytes(os.urandom({MODEL_BYTES}))\n'
    '(OUTPUT / "data" / "report").write_text("well done")\nsay("done")\n'
)


@pytest.fixture
def small_disk(project: Project) -> Iterator[Project]:
    """The project on a disk of its own, which is soon full."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = mount(project, "size=8m")
    if mounted.returncode != 0:
        pytest.skip(mounted.stderr)
    yield project
    shutil.rmtree(project.store, ignore_errors=True)
    subprocess.run(["umount", "--lazy", project.root], check=True)


def mount(project: Project, options: str) -> subprocess.CompletedProcess[str]:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(project.root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def fill(folder: Path) -> Path:
    """Take all the space there is; returns the file to delete."""
    path = folder / "filling"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    assert shutil.disk_usage(folder).free == 0
    return path


def test_a_full_disk_is_named_before_anything_runs(small_disk: Project) -> None:
    small_disk.write(train=TRAIN)
    filling = fill(small_disk.root)

    refused = small_disk.devkit("train", "--name", "first")

    refused.failed(8, "No space left on device", str(small_disk.store), "disk is not full")
    filling.unlink()
    small_disk.devkit("train", "--name", "first").succeeded()


def test_a_disk_that_is_full_later_is_named_too(small_disk: Project) -> None:
    small_disk.write(train=TRAIN, serve=SERVE).devkit("train", "--name", "first").succeeded()
    filling = fill(small_disk.root)

    for command in (("train", "--name", "second"), ("serve",), ("run", "--data", "1")):
        refused = small_disk.devkit(*command)
        assert refused.code == 8, refused
        refused.failed(8, "No space left on device")
    assert "first" in small_disk.devkit("jobs").succeeded().out
    assert model(small_disk.job("first")) == {"weights": b"42"}
    filling.unlink()
    small_disk.devkit("train", "--name", "second").succeeded()


@pytest.mark.parametrize("pages", [3, 7, 11, 15, 19])
def test_nothing_is_left_however_little_room_there_is(small_disk: Project, pages: int) -> None:
    small_disk.write(train=TRAIN).devkit("train", "--name", "first").succeeded()
    filling = fill(small_disk.root)
    os.truncate(filling, filling.stat().st_size - pages * 4096)

    tried = small_disk.devkit("train", "--name", "second")

    assert tried.code == 0 or "No space left" in tried.err or "disk is full" in tried.err, tried
    assert "Traceback" not in tried.err
    filling.unlink()
    listed = small_disk.devkit("jobs", "--json").succeeded().document["runs"]
    assert all(run["status"] != "InProgress" for run in listed), listed
    assert small_disk.leftovers() == []


def test_a_model_for_which_there_is_no_room_is_collected_later(small_disk: Project) -> None:
    small_disk.write(train=TRAIN_BIG)
    # A process's model is on this disk already, before it is collected; a container's is not.
    free = MODEL_BYTES * 3 // 2 if small_disk.engine == "process" else MODEL_BYTES // 2
    (small_disk.root / "something").write_bytes(b"x" * (DISK_BYTES - free))

    failed = small_disk.devkit("train", "--name", "big")

    failed.failed(8, "No space left on device", "disk is not full")
    assert "the next devkit command does that" in failed.err
    still = small_disk.devkit("jobs").succeeded()
    assert "job big is still not finished: " in still.err
    assert not (small_disk.job("big") / "outcome.json").exists()

    assert mount(small_disk, "remount,size=32m").returncode == 0
    small_disk.devkit("jobs").succeeded()

    ended = outcome(small_disk.job("big"))
    assert (ended["status"], ended["exit_code"]) == ("Completed", 0)
    assert len(model(small_disk.job("big"))["weights"]) == MODEL_BYTES
    assert small_disk.devkit("logs", "big").succeeded().out == "done\n"


def test_a_log_that_fills_the_disk_is_kept_from_its_container(small_disk: Project) -> None:
    if small_disk.engine != "docker":
        pytest.skip("a process writes its log to this very disk")
    small_disk.write(train=HEAD + 'for n in range(3000):\n    print(n, "x" * 2000)\n')
    (small_disk.root / "something").write_bytes(b"x" * (DISK_BYTES - 4 * 1024 * 1024))

    small_disk.devkit("train", "--name", "chatty", "-q").failed(8, "No space left on device")

    assert mount(small_disk, "remount,size=32m").returncode == 0
    lines = small_disk.devkit("logs", "chatty").succeeded().out.splitlines()
    assert [line.split()[0] for line in lines] == [str(n) for n in range(3000)]
    assert outcome(small_disk.job("chatty"))["status"] == "Completed"
