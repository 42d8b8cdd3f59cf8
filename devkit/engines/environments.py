"""Virtual environments for programs, made from a requirements file and kept by its content."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from devkit.engines.base import OnLine
from devkit.errors import BuildError

_COMPLETE = ".complete"
_KEY_CHARACTERS = 24
_TAIL_LINES = 30
_END_S = 5.0
_INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)(?:\s+|=)?([^\s#]+)", re.MULTILINE)
_PIP = ("install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off", "-r")
# Settings of the developer's own Python that would have pip install elsewhere, or nothing at all.
_MISLEADING = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")


class Environments:
    """A folder of virtual environments, one for each content of a requirements file.

    Any number of processes may use it at once. An environment exists once its marker file does;
    the marker's modification time is when the environment was last asked for.

    Args:
        folder: Where they are kept.
        build_environment: The environment variables that pip runs with.
    """

    def __init__(self, folder: Path, build_environment: Mapping[str, str]) -> None:
        self._folder = folder.absolute()
        self._build_environment = dict(build_environment)

    def make(self, requirements: Path | None, context: Path, on_line: OnLine) -> Path:
        """The environment for a requirements file, made if there is none yet.

        Args:
            requirements: The file; ``None`` gives an environment with nothing but pip.
            context: The folder that pip runs in, for relative paths in the file.
            on_line: Is given every line of progress as it comes.

        Raises:
            BuildError: With the last lines of pip; nothing half made is left.
        """
        path = self._folder / _key(requirements)
        if _is_complete(path):
            return path
        self._folder.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock"), on_line) as lock:
            if not _is_complete(path):
                self._make(path, requirements, context, _Build(on_line, lock))
        return path

    def _make(self, path: Path, requirements: Path | None, context: Path, build: _Build) -> None:
        shutil.rmtree(path, ignore_errors=True)  # what a killed devkit had begun
        try:
            self._create(path, build)
            if requirements is not None:
                self._install(path, requirements, context, build)
            (path / _COMPLETE).touch()
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise

    def _create(self, path: Path, build: _Build) -> None:
        build.on_line(f"making a virtual environment for Python {platform.python_version()}")
        settings = {
            name: value
            for name, value in self._build_environment.items()
            if not name.startswith("VIRTUALENV_")
        }
        app_data = str(self._folder / "virtualenv")
        command = [sys.executable, "-m", "virtualenv", "--quiet", "--app-data", app_data]
        code = build.run([*command, "--no-periodic-update", str(path)], settings, self._folder)
        if code != 0:
            raise BuildError(
                f"virtualenv could not make an environment (exit code {code})",
                remedy="see its last lines; it runs on the Python that devkit is installed in: "
                f"{sys.executable}",
                log_tail=build.tail,
            )

    def _install(self, path: Path, requirements: Path, context: Path, build: _Build) -> None:
        settings = {
            name: value
            for name, value in self._build_environment.items()
            if name not in _MISLEADING
        }
        settings |= {"PYTHONUNBUFFERED": "1", "PIP_USER": "0"}
        python = str(path / "bin" / "python")
        code = build.run([python, "-m", "pip", *_PIP, str(requirements)], settings, context)
        if code != 0:
            raise BuildError(
                f"pip could not install {requirements} (exit code {code})",
                remedy=f"see pip's last lines; what {requirements.name} names must be available "
                f"for Python {platform.python_version()} on this machine",
                log_tail=build.tail,
            )


class _Build:
    """Runs the commands of one build and remembers their last lines."""

    def __init__(self, on_line: OnLine, lock: int) -> None:
        self.on_line = on_line
        self._lock = lock
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    @property
    def tail(self) -> Sequence[str]:
        """The last lines of the commands so far."""
        return tuple(self._tail)

    def run(self, command: list[str], environment: Mapping[str, str], folder: Path) -> int:
        """Run a command, hand on its lines as they come, and return its exit code."""
        with _child(command, environment, folder, self._lock) as process:
            assert process.stdout is not None  # noqa: S101 - asked for in _child
            for line in process.stdout:
                text = line.rstrip("\r\n")
                self._tail.append(text)
                self.on_line(text)
            return process.wait()


@contextmanager
def _child(
    command: list[str], environment: Mapping[str, str], folder: Path, lock: int
) -> Iterator[subprocess.Popen[str]]:
    """A child process, and everything it started, that does not outlive the block.

    It holds the build's lock with us: where devkit is killed, no other build begins under its feet.
    """
    with subprocess.Popen(  # noqa: S603 - our own commands
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=folder,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        pass_fds=[lock],
    ) as process:
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    for signum in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)


@contextmanager
def _locked(path: Path, on_line: OnLine) -> Iterator[int]:
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_line("waiting for another devkit that makes the same environment")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _is_complete(path: Path) -> bool:
    try:
        os.utime(path / _COMPLETE)
    except FileNotFoundError:
        return False
    return True


def _key(requirements: Path | None) -> str:
    """What an environment depends on, as the name of its folder."""
    facts = (
        platform.python_implementation(),
        platform.python_version(),
        sysconfig.get_platform(),
        sys.base_prefix,
    )
    digest = hashlib.sha256(repr(facts).encode())
    for content in () if requirements is None else _contents(requirements, set()):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:_KEY_CHARACTERS]


def _contents(requirements: Path, seen: set[Path]) -> Iterator[bytes]:
    """A requirements file and the local files it includes, each once."""
    if requirements in seen:
        return
    seen.add(requirements)
    try:
        content = requirements.read_bytes()
    except OSError as error:
        raise BuildError(
            f"cannot read the requirements file {requirements}: {error.strerror}",
            remedy="set [image] requirements in devkit.toml to the file, or make it",
        ) from error
    yield content
    for included in _INCLUDE.findall(content.decode("utf-8", "replace")):
        if "://" not in included:
            yield from _contents((requirements.parent / included).resolve(), seen)
