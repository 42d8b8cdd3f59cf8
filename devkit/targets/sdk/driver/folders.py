"""The folders of sessions, and that nothing of a session is left: containers, networks, files.

::

    .devkit/sagemaker-local/
      lock                while a session is begun or swept
      <session>/
        lock              locked by the driver for as long as it lives
        tmp/              TMPDIR
        <number>/         a run, a training job or an endpoint: what the SDK writes for it
          compose.json    what Docker Compose was given

The kernel releases a lock however its process ends: a session whose lock can be had is over. What
containers wrote belongs to their user, mostly root; a container of their own image gives it back.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .settings import SESSION_LABEL
from .tools import docker

COMPOSE_FILE = "compose.json"
_LOCK = "lock"


@contextmanager
def session(folder: Path) -> Iterator[Path]:
    """A new session's folder, until the end of the block; those that are over are swept before."""
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / _LOCK):
        for left in _sessions(folder):
            _sweep(left)
        own = Path(tempfile.mkdtemp(dir=folder, prefix=""))
        (own / "tmp").mkdir()
        lock = (own / _LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        try:
            yield own
        finally:
            remove(own)


def remove_labelled(label: str, value: str) -> None:
    """Remove containers, with their volumes, and networks."""
    wanted = f"label={label}={value}"
    containers = docker("ps", "--all", "--quiet", "--filter", wanted).stdout.split()
    if containers:
        docker("rm", "--force", "--volumes", *containers, check=False)
    networks = docker("network", "ls", "--quiet", "--filter", wanted).stdout.split()
    if networks:
        docker("network", "rm", *networks, check=False)


def take_over(folder: Path, image: str) -> None:
    """Have everything in a folder belong to this user, by a container of an image at hand."""
    owner = f"{os.getuid()}:{os.getgid()}"
    if all(path.lstat().st_uid == os.getuid() for path in [folder, *_everything(folder)]):
        return
    done = docker(
        "run", "--rm", "--network", "none", "--user", "0:0", "--volume", f"{folder}:/devkit",
        "--entrypoint", "chown", image, "-R", owner, "/devkit",
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        _say(f"what containers wrote in {folder} stays theirs: {done.stdout.strip()}")


def remove(folder: Path) -> None:
    """Remove a folder of a session or a run with all that is in it, whoever owns it."""
    runs = list(_images(folder))  # before what tells of them is removed itself
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError:
        for run, image in runs:
            take_over(run, image)
        shutil.rmtree(folder, onerror=lambda _call, path, info: _say(f"left: {path}: {info[1]}"))


def _sessions(folder: Path) -> list[Path]:
    return [each for each in folder.iterdir() if each.is_dir()]


def _sweep(left: Path) -> None:
    """Remove what is left of a session, where it is over."""
    with (left / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        try:
            remove_labelled(SESSION_LABEL, left.name)
        except (OSError, subprocess.SubprocessError) as error:
            _say(f"the containers of {left} could not be removed: {error}")
            return
        remove(left)


def _images(folder: Path) -> Iterator[tuple[Path, str]]:
    """The runs in a folder, which may be one itself, with an image of each."""
    for file in (folder / COMPOSE_FILE, *folder.glob(f"*/{COMPOSE_FILE}")):
        try:
            services = json.loads(file.read_text(encoding="utf-8"))["services"]
        except (OSError, ValueError, KeyError):
            continue
        yield file.parent, next(iter(services.values()))["image"]


def _everything(folder: Path) -> Iterator[Path]:
    """All that is in a folder, as far as this user may look."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(parent, name)


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - goes to devkit line by line
