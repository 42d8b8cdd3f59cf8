"""What the SDK runs where it would run Docker Compose: ``compose -f FILE up …``.

It runs Compose on the SDK's file, but detached, and follows each container by itself: Compose
mixes the lines of containers with its own, and the SDK stops reading when the process has ended,
not when all is read. What is written to standard output is JSON, a line a message: ``host`` and
``line``, ``said`` (Compose's own words where it fails), and ``ended`` at last.

Containers are ended and removed whatever happens: on SIGTERM with SageMaker's grace, on SIGINT
with a short one, and where nobody reads standard output any more, because the driver is gone.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from . import tools
from .folders import COMPOSE_FILE, remove_labelled, take_over
from .settings import RUN_LABEL, DriverSettings, labels, project_name, read

# §1.10 of the contract; hosting containers get 30 s.
_GRACE_S = {"train": 120, "serve": 30}
_SHORT_GRACE_S = 10
_KILLED = 128 + signal.SIGKILL
_OUT = 1


def main(arguments: Sequence[str]) -> int:
    """Do what was asked; the exit code is the containers'."""
    os.dup2(_OUT, 2)  # the SDK does not read standard error
    file = Path(arguments[arguments.index("-f") + 1])
    settings = read(os.environ)
    document = importlib.import_module("yaml").safe_load(file.read_text(encoding="utf-8"))
    composition = Composition(file, amended(document, settings, file.parent.parent), settings)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, composition.on_signal)
    threading.Thread(target=composition.watch_reader, daemon=True).start()
    return composition.run()


def amended(document: Mapping[str, Any], settings: DriverSettings, run: Path) -> dict[str, Any]:
    """The SDK's file for Compose as devkit has it.

    Labels and a network of the run's own; ports on loopback only; the local AWS as containers reach
    it; and values as they were given, for Compose replaces what begins with a dollar sign.
    """
    project = project_name(settings, run)
    own = labels(settings, project)
    services = {
        host: _service(service, settings, own) for host, service in document["services"].items()
    }
    networks = {name: {"name": project, "labels": own} for name in document.get("networks", {})}
    return {"services": services, "networks": networks}


class Composition:
    """The containers of a run.

    Args:
        file: The SDK's file for Compose; it is in a folder of the run's folder.
        document: What Compose is given instead.
        settings: What devkit told.
    """

    def __init__(self, file: Path, document: Mapping[str, Any], settings: DriverSettings) -> None:
        self._root = file.parent
        self._run = file.parent.parent
        self._document = document
        self._compose = settings.compose
        self._project = project_name(settings, self._run)
        self._hosts = {each["container_name"]: host for host, each in document["services"].items()}
        self._grace_s: int | None = None
        self._is_up = False
        self._writing = threading.Lock()

    def run(self) -> int:
        """From the first container's start to the last one's removal."""
        file = self._run / COMPOSE_FILE
        file.write_text(json.dumps(self._document), encoding="utf-8")
        command = [*self._compose, "-p", self._project, "-f", str(file), "up", "--detach"]
        try:
            done = tools.run_compose(command)
            if done.returncode != 0:
                self._write({"said": done.stdout.splitlines()})
                return done.returncode
            return self._follow()
        finally:
            remove_labelled(RUN_LABEL, self._project)

    def on_signal(self, signum: int, _frame: object) -> None:
        """Stop the containers."""
        kind = "serve" if any("ports" in each for each in self._services) else "train"
        self._stop(_GRACE_S[kind] if signum == signal.SIGTERM else _SHORT_GRACE_S)

    def watch_reader(self) -> None:
        """Stop the containers as soon as nobody reads what is written here."""
        reader = select.poll()
        reader.register(_OUT, 0)  # that it is gone is told unasked
        reader.poll()
        self._stop(_SHORT_GRACE_S)

    @property
    def _services(self) -> list[Mapping[str, Any]]:
        return list(self._document["services"].values())

    def _stop(self, grace_s: int) -> None:
        self._grace_s = grace_s
        if self._is_up:
            self._stop_containers(self._hosts, grace_s)

    def _stop_containers(self, containers: Iterator[str] | Mapping[str, str], grace_s: int) -> None:
        command = ("stop", "-t", str(grace_s), *containers)
        threading.Thread(target=tools.docker, args=command, kwargs={"check": False}).start()

    def _follow(self) -> int:
        self._is_up = True
        followers = [
            threading.Thread(target=self._tell_lines, args=(name,)) for name in self._hosts
        ]
        for follower in followers:
            follower.start()
        if self._grace_s is not None:  # told while Compose was at work
            self._stop_containers(self._hosts, self._grace_s)
        container, code = self._await_end()
        for follower in followers:
            follower.join()
        take_over(self._run, str(self._services[0]["image"]))
        host = self._hosts[container]
        self._write(
            {
                "ended": {
                    "code": code,
                    "host": host,
                    "failure": _failure(self._root / host / "output" / "failure"),
                    "out_of_memory": code == _KILLED and _is_out_of_memory(container),
                }
            }
        )
        return code

    def _await_end(self) -> tuple[str, int]:
        """Wait for all; whose end it was: the first that failed, which ends the others too."""
        ended: SimpleQueue[tuple[str, int]] = SimpleQueue()
        for name in self._hosts:
            threading.Thread(target=lambda name=name: ended.put((name, _exit_code(name)))).start()
        running = set(self._hosts)
        blamed: tuple[str, int] | None = None
        last = ("", 0)
        while running:
            last = ended.get()
            running.discard(last[0])
            if last[1] != 0 and blamed is None:
                blamed = last
                if running:
                    self._stop_containers(iter(running), _SHORT_GRACE_S)
        return blamed or last

    def _tell_lines(self, container: str) -> None:
        command = ["docker", "logs", "--follow", container]
        with subprocess.Popen(  # noqa: S603 - this command
            command,
            env=tools.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            for line in process.stdout:
                text = line.decode("utf-8", errors="replace").rstrip("\r\n")
                self._write({"host": self._hosts[container], "line": text})

    def _write(self, message: Mapping[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._writing:
            while data:
                try:
                    data = data[os.write(_OUT, data) :]
                except OSError:  # the driver is gone
                    return


def _service(
    service: Mapping[str, Any], settings: DriverSettings, own: Mapping[str, str]
) -> dict[str, Any]:
    given = dict(each.split("=", 1) for each in service.get("environment", ()))
    found = {
        name: settings.container_url if value.rstrip("/") == settings.url else value
        for name, value in given.items()
    }
    amended = {
        **service,
        "environment": {**settings.container_environment, **found},
        "labels": {**service.get("labels", {}), **own},
        "logging": {"driver": "json-file"},  # it can be read back, whatever the engine's own is
    }
    for name in ("environment", "command", "entrypoint"):
        if name in amended:
            amended[name] = _literal(amended[name])
    if "ports" in service:
        amended["ports"] = [f"127.0.0.1:{port}" for port in service["ports"]]
    return amended


def _literal(value: Any) -> Any:
    """A value for Compose to take as it is."""
    if isinstance(value, dict):
        return {name: _literal(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_literal(each) for each in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def _exit_code(container: str) -> int:
    done = tools.docker_for_ever("wait", container)
    try:
        return int(done.split()[-1])
    except (ValueError, IndexError):
        return _KILLED  # it was removed by somebody else


def _is_out_of_memory(container: str) -> bool:
    done = tools.docker("inspect", "--format", "{{.State.OOMKilled}}", container, check=False)
    return done.stdout.strip() == "true"


def _failure(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
