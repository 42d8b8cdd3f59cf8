"""What these tests share: a project in a temporary folder, and devkit at work in it.

Programs are a few lines of standard-library Python. They find ``/opt/ml`` and their port as any
image may: spelled out where they have one of their own, by variables in plain processes.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import docker
import pytest

import devkit

DEADLINE_S = 60.0
"""Nothing here takes a tenth of it."""

DOCKERFILE = """
FROM python:3.11-slim-bookworm
COPY program /opt/program
ENV PATH=/opt/program:$PATH PYTHONUNBUFFERED=1
WORKDIR /opt/program
"""

HEAD = """#!/usr/bin/env python3
import json, os, signal, sys
from pathlib import Path

MODEL = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
OUTPUT = Path(os.environ.get("SM_OUTPUT_DIR", "/opt/ml/output"))
DATA = Path(os.environ.get("SM_INPUT_DIR", "/opt/ml/input")) / "data"
CONFIG = Path(os.environ.get("SM_INPUT_CONFIG_DIR", "/opt/ml/input/config"))
PORT = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))


def say(text):
    print(text, flush=True)


def wait_for_ever():
    while True:
        signal.pause()

"""

TRAIN = HEAD + '(MODEL / "weights").write_text("42")\n'
"""A job that succeeds at once."""

MODEL = ("--model", "model.tar.gz")
"""Serves the archive of :meth:`Project.with_model`."""

TRAIN_UNTIL_STOPPED = (
    HEAD
    + """
def stop(*_):
    say("saving")
    (MODEL / "weights").write_text("saved")
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
(MODEL / "checkpoint").write_text("half way")
say("training begins")
wait_for_ever()
"""
)
"""A job that runs until SIGTERM, and then saves its model."""

SERVER = (
    HEAD
    + """
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"", "text/plain")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(body, self.headers["Content-Type"])

    def answer(self, body, content_type, status=200):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(handler=Handler, address="0.0.0.0"):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with HTTPServer((address, PORT), handler) as server:
        say("listening")
        server.serve_forever()

"""
)
"""The head of a server; the handler echoes."""

SERVE = SERVER + "serve()\n"
"""A server that answers with what it is sent."""


@dataclass(frozen=True)
class Finished:
    """A devkit command that has ended."""

    code: int
    out: str
    err: str
    out_bytes: bytes = b""

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document that is the whole of standard output."""
        document = json.loads(self.out)
        assert isinstance(document, dict), self
        return document

    def succeeded(self) -> Finished:
        """Make sure that it went well."""
        assert self.code == 0, self
        assert "error:" not in self.err, self
        return self

    def failed(self, code: int, *texts: str) -> Finished:
        """Make sure that it failed as users should see it: one message, which holds ``texts``."""
        assert self.code == code, self
        assert "Traceback" not in self.out + self.err, self
        assert f"\n{self.err}".count("\nerror: ") == 1, self
        message = f"\n{self.err}".partition("\nerror: ")[2]
        for text in texts:
            assert text in message, (text, self)
        return self

    def interrupted(self, code: int = 130) -> Finished:
        """Make sure that it ended by a signal, and said no more of it than it must."""
        assert self.code == code, self
        assert "Traceback" not in self.out + self.err, self
        assert "\nerror: " not in f"\n{self.err}", self
        return self


class Running:
    """A devkit command under way; what it writes is collected as it comes."""

    def __init__(self, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._changed = threading.Condition()
        self._text = {"out": b"", "err": b""}
        self._open = {"out", "err"}
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._threads = [
            threading.Thread(target=self._collect, args=("out", self.process.stdout)),
            threading.Thread(target=self._collect, args=("err", self.process.stderr)),
        ]
        for thread in self._threads:
            thread.start()

    def wait_for(self, text: str, stream: str = "err") -> None:
        """Wait until ``text`` has been written."""

        def written() -> bool:
            return text.encode() in self._text[stream] or not self._open

        with self._changed:
            self._changed.wait_for(written, DEADLINE_S)
            assert text.encode() in self._text[stream], (text, self._text, self.process.poll())

    def ctrl_c(self) -> None:
        """What a terminal does: SIGINT to everything of this command that it knows of."""
        os.killpg(self.process.pid, signal.SIGINT)

    def send(self, signum: int) -> None:
        """Signal the command itself."""
        self.process.send_signal(signum)

    def finish(self, timeout_s: float = DEADLINE_S) -> Finished:
        """Wait for its end."""
        code = self.process.wait(timeout_s)
        for thread in self._threads:
            thread.join()
        out, err = self._text["out"], self._text["err"]
        return Finished(code, out.decode(errors="replace"), err.decode(errors="replace"), out)

    def close(self) -> None:
        """Leave nothing of it, whatever the test came to."""
        if self.process.poll() is None:
            self.process.kill()
        self.finish()

    def _collect(self, name: str, stream: IO[bytes]) -> None:
        with stream:
            while chunk := os.read(stream.fileno(), 65536):
                with self._changed:
                    self._text[name] += chunk
                    self._changed.notify_all()
        with self._changed:
            self._open.remove(name)
            self._changed.notify_all()


@dataclass
class Project:
    """A project folder, and the commands that are given in it."""

    root: Path
    environment: dict[str, str]
    """What its commands run in."""
    engine: str
    engines: docker.APIClient | None = None
    """Where containers are looked for, where a Docker engine answers."""
    prefix: tuple[str, ...] = ()
    """What the commands are run by, such as ``setpriv``."""
    python: str = sys.executable
    name: str = field(default_factory=lambda: f"it-{secrets.token_hex(4)}")
    """Unique; it stands in the environment of all that runs, and in no other."""

    def write(self, *, config: str = "", **programs: str | bytes) -> Project:
        """Write ``devkit.toml``, the Dockerfile and programs, which can be executed."""
        folder = self.root / "image" / "program"
        folder.mkdir(parents=True, exist_ok=True)
        (self.root / "image" / "Dockerfile").write_text(
            f"{DOCKERFILE}LABEL devkit.test={self.name}\n"
        )
        for name, text in programs.items():
            (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
            (folder / name).chmod(0o755)
        self.configure(config)
        return self

    def configure(self, config: str) -> None:
        """Write ``devkit.toml``; everything that runs has the project's name in its environment."""
        (self.root / "devkit.toml").write_text(
            f'[project]\nname = "{self.name}"\n'
            f'[train.environment]\nMARKER = "{self.name}"\n'
            f'[serve.environment]\nMARKER = "{self.name}"\n{config}'
        )

    def with_model(self) -> Project:
        """Write a job that succeeds, and a ``model.tar.gz`` as if it had run: see ``MODEL``."""
        self.write(train=TRAIN)
        content = b"42"
        member = tarfile.TarInfo("weights")
        member.size = len(content)
        with tarfile.open(self.root / MODEL[1], "w:gz") as tar:
            tar.addfile(member, io.BytesIO(content))
        return self

    def devkit(
        self,
        *arguments: str,
        stdin: bytes = b"",
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = DEADLINE_S,
    ) -> Finished:
        """Run a command to its end."""
        done = subprocess.run(
            self._command(arguments),
            cwd=cwd or self.root,
            env={**self.environment, "MARKER": self.name, **(environment or {})},
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        return Finished(done.returncode, out, err, done.stdout)

    @contextmanager
    def start(self, *arguments: str) -> Iterator[Running]:
        """Run a command in the background."""
        environment = {**self.environment, "MARKER": self.name}
        running = Running(self._command(arguments), self.root, environment)
        try:
            yield running
        finally:
            running.close()

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [*self.prefix, self.python, "-m", "devkit", *arguments]

    # --- what there is afterwards -------------------------------------------------------------

    @property
    def store(self) -> Path:
        """``.devkit``."""
        return self.root / ".devkit"

    def job(self, name: str | None = None) -> Path:
        """The folder of a job: the only one, or by name."""
        return _run_folder(self.store / "jobs", name)

    def server(self, name: str | None = None) -> Path:
        """The folder of a server, likewise."""
        return _run_folder(self.store / "servers", name)

    def leftovers(self) -> list[str]:
        """What still runs, or is not finished, of this project."""
        active = self.store / "active"
        unfinished = [path.name for path in active.iterdir()] if active.is_dir() else []
        return [
            *(f"container {identifier}" for identifier in self.containers()),
            *(f"network {identifier}" for identifier in self.networks()),
            *(f"volume {name}" for name in self.volumes()),
            *(f"process {process}" for process in self.processes()),
            *(f"active/{name}" for name in unfinished),
        ]

    def containers(self) -> list[str]:
        """The ids of its containers, running or not."""
        if self.engines is None:
            return []
        wanted = {"label": f"devkit.store={self.store}"}
        return [found["Id"] for found in self.engines.containers(all=True, filters=wanted)]

    def networks(self) -> list[str]:
        """The ids of its networks."""
        if self.engines is None:
            return []
        wanted = {"label": f"devkit.store={self.store}"}
        return [found["Id"] for found in self.engines.networks(filters=wanted)]

    def volumes(self) -> list[str]:
        """The names of its volumes."""
        if self.engines is None:
            return []
        wanted = {"label": f"devkit.store={self.store}"}
        return [found["Name"] for found in self.engines.volumes(filters=wanted)["Volumes"] or ()]

    def processes(self) -> list[int]:
        """Its processes: devkit's own, and all that it started."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
                if self.name.encode() in text or f"{self.store}/".encode() in text:
                    found.append(int(folder.name))
        return found

    def clean_up(self) -> None:
        """Remove whatever a test left, its images included."""
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self.engines is None:
            return
        for container in self.containers():
            self.engines.remove_container(container, force=True, v=True)
        for network in self.networks():
            self.engines.remove_network(network)
        for image in self.engines.images(filters={"label": f"devkit.test={self.name}"}):
            self.engines.remove_image(image["Id"], force=True)


def _run_folder(folder: Path, name: str | None) -> Path:
    if name is not None:
        return folder / name
    (only,) = folder.iterdir()
    return only


def outcome(run: Path) -> dict[str, Any]:
    """How a run ended."""
    document = json.loads((run / "outcome.json").read_text())
    assert isinstance(document, dict)
    return document


def log(run: Path) -> list[str]:
    """The lines that a run's only container wrote."""
    (only,) = (run / "logs").iterdir()
    return only.read_text().splitlines()


def archive(path: Path) -> dict[str, bytes]:
    """The files of a ``.tar.gz`` by name."""
    with tarfile.open(path, "r:gz") as tar:
        members = [(member.name, tar.extractfile(member)) for member in tar if member.isfile()]
        return {name: content.read() for name, content in members if content is not None}


def model(run: Path) -> dict[str, bytes]:
    """The files of a job's model."""
    return archive(run / "output" / "model.tar.gz")


def eventually(condition: Callable[[], bool], what: Callable[[], object] | str) -> None:
    """Wait until a condition holds, and say what is the case where it does not in time."""
    deadline = time.monotonic() + DEADLINE_S / 6
    while not condition():
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(0.01)


def base_environment(cache: Path) -> dict[str, str]:
    """The environment of the tests without what would change what devkit does."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DEVKIT_", "AWS_")) and name != "PYTHONPATH"
    }
    source = Path(devkit.__file__).parent.parent
    return {
        **kept,
        "PYTHONPATH": str(source),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DEVKIT_CACHE_DIR": str(cache),
        "DEVKIT_SERVE_PORT": "0",
    }


def require_docker(engine: docker.APIClient | str) -> None:
    """Skip without a Docker engine, or fail where there has to be one."""
    if isinstance(engine, str):
        if os.environ.get("DEVKIT_REQUIRE_DOCKER") == "1":
            pytest.fail(engine)
        pytest.skip(engine)
