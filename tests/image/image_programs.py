"""Runs the image's two programs as processes, the way an engine without containers does."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROGRAM = Path(__file__).resolve().parents[2] / "image" / "program"
IRIS = Path(__file__).resolve().parents[2] / "examples" / "iris" / "data"
NEEDS_NGINX = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
PATIENCE_S = 15.0
POLL_S = 0.01


@dataclass(frozen=True)
class TrainRun:
    """A training run that has ended."""

    code: int
    output: str
    log: str
    folder: Path

    @property
    def model(self) -> Path:
        """The folder that becomes model.tar.gz."""
        return self.folder / "model"

    @property
    def failure(self) -> str:
        """The reason the run gave for its failure."""
        return (self.folder / "output" / "failure").read_text()


def train_environment(folder: Path, hyperparameters: Mapping[str, str]) -> dict[str, str]:
    """Lay out a job below ``folder``; give the variables that name its places."""
    config = folder / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    return {
        "PATH": program_path(nginx=False),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SM_INPUT_DIR": str(folder / "input"),
        "SM_MODEL_DIR": str(folder / "model"),
        "SM_OUTPUT_DIR": str(folder / "output"),
    }


def run_train(folder: Path, **hyperparameters: str) -> TrainRun:
    """Run ``train`` to its end; a channel is what the caller put below ``folder/channel``."""
    environment = train_environment(folder, hyperparameters)
    if (folder / "channel").exists():
        environment["SM_CHANNEL_TRAINING"] = str(folder / "channel")
    ended = subprocess.run(
        [PROGRAM / "train"], env=environment, capture_output=True, text=True, check=False
    )
    return TrainRun(ended.returncode, ended.stdout, ended.stderr, folder)


def program_path(*, nginx: bool) -> str:
    """A PATH with this Python first, and with or without nginx on it."""
    python = str(Path(sys.executable).parent)
    folders = [python, *os.environ["PATH"].split(os.pathsep)]
    without = [folder for folder in folders if not Path(folder, "nginx").exists()]
    installed = shutil.which("nginx")
    return os.pathsep.join(
        [*without, str(Path(installed).parent)] if nginx and installed else without
    )


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"gave up waiting: {what}"
        time.sleep(POLL_S)  # a poll: nothing outside the process tells when


class Server:
    """A running ``serve`` with a port and a temporary folder of its own."""

    def __init__(self, folder: Path, *, nginx: bool, environment: Mapping[str, str]) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        self._log = folder / "log"
        self.port = free_port()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM / "serve"],
                env={
                    "PATH": program_path(nginx=nginx),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "TMPDIR": str(self.temporary),
                    "SAGEMAKER_BIND_TO_PORT": str(self.port),
                    **environment,
                },
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        """All lines so far."""
        return self._log.read_text()

    def ready(self) -> Server:
        """Wait until something listens and answers the ping, whatever the answer is."""
        until(self._answers, f"an answer to /ping; the log is {self.log}")
        return self

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, str]:
        """Make a request; underscores of header names stand for dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, names)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def refuses_connections(self) -> bool:
        """Whether nobody listens any more."""
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return True
        return False

    def connect(self) -> socket.socket:
        """Open a bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def gunicorn_pid(self) -> int:
        """The process id of gunicorn's master."""
        match = re.search(r"\[(\d+)\] \[INFO\] Starting gunicorn", self.log)
        assert match, self.log
        return int(match[1])

    def nginx_pid(self) -> int:
        """The process id of nginx's master."""
        (file,) = self.temporary.glob("serve-*/nginx.pid")
        return int(file.read_text())

    def ended(self) -> int:
        """Wait for the end; give the exit code."""
        return self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        """Stop it as Docker does; give the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def close(self) -> None:
        """Stop it if it still runs."""
        if self.process.poll() is None:
            self.stop()

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            self.request("GET", "/ping")
        except OSError:
            return False
        return True


class ServerFactory(Protocol):
    """Starts a server."""

    def __call__(self, *, nginx: bool, **environment: str) -> Server:
        """Start it with or without nginx on its PATH, and with these variables."""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
