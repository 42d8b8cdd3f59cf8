"""Small programs for the process engine, and what is left of them."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from devkit.engines.base import BuildRequest, Container, ContainerSpec, Image, Port
from devkit.engines.process import ProcessEngine

DEADLINE_S = 30.0
MARK = "DEVKIT_TEST_MARK"
PORT = Port(number=8080, variable="SAGEMAKER_BIND_TO_PORT")

_numbers = itertools.count()


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether something becomes true before the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.005)
    return True


def marked(mark: str) -> list[int]:
    """The processes with this mark in their environment."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):  # it ended meanwhile, or is somebody else's
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


class ProcessBench:
    """Writes programs into a folder and runs them."""

    def __init__(self, engine: ProcessEngine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.program = folder / "program"
        self.program.mkdir()
        self.mark = f"{os.getpid()}-{next(_numbers)}"
        self.containers: list[Container] = []

    def image(self) -> Image:
        """The program folder with an environment of nothing but Python."""
        request = BuildRequest(
            tag="test",
            context=self.folder,
            program=self.program,
            program_path="/opt/program",
            requirements=None,
        )
        return self.engine.build(request, lambda _line: None)

    def write(self, text: str, name: str = "train") -> None:
        """Write a program in Python."""
        path = self.program / name
        path.write_text(f"#!/usr/bin/env python\n{text}")
        path.chmod(0o755)

    def spec(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        name: str | None = None,
        **fields: object,
    ) -> ContainerSpec:
        """A container that leaves its mark."""
        name = name or f"test-{self.mark}-{next(_numbers)}"
        known: dict[str, object] = {
            "name": name,
            "image": self.image(),
            "command": command or ("train",),
            "environment": {MARK: self.mark, **(environment or {})},
            "run_folder": self.folder / "runs" / name,
        }
        return ContainerSpec(**(known | fields))  # type: ignore[arg-type]

    def start(self, *command: str, **fields: object) -> Container:
        """Start a program, ``train`` unless told otherwise."""
        container = self.engine.start(self.spec(*command, **fields))  # type: ignore[arg-type]
        self.containers.append(container)
        return container

    def ready(self, *command: str, **fields: object) -> Container:
        """Start a program and wait for its first line."""
        container = self.start(*command, **fields)
        assert next(container.lines()) == "ready"
        return container

    def run(self, text: str, **fields: object) -> list[str]:
        """Run a program in Python to its end; what it printed."""
        self.write(text)
        return list(self.start(**fields).lines())

    def close(self) -> None:
        """Remove what was started; nothing of it is left."""
        for container in self.containers:
            container.remove()
        assert marked(self.mark) == []
