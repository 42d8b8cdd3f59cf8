"""Fakes of the seams: an engine whose containers are functions, an observer that remembers."""

from __future__ import annotations

import io
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from devkit.engines.base import (
    Address,
    BuildRequest,
    Container,
    ContainerSpec,
    EngineName,
    Image,
    Network,
    OnLine,
    ProgramFile,
)
from devkit.errors import EngineError, NotFound
from devkit.progress import Silent

IMAGE = Image(reference="fake:dev", id="sha256:fake")


class Inside:
    """What a fake program can do: write lines and files, and wait to be stopped."""

    def __init__(self, spec: ContainerSpec) -> None:
        self.spec = spec
        self.output: SimpleQueue[str | None] = SimpleQueue()
        self.stopped = threading.Event()
        self.killed = threading.Event()

    def print(self, line: str) -> None:
        self.output.put(line)

    def path(self, target: str) -> Path:
        """The host path of a path in the container."""
        places = [(mount.target, mount.source) for mount in self.spec.mounts]
        places += [(folder.target, folder.source) for folder in self.spec.folders]
        for place, source in places:
            if target == place or target.startswith(f"{place}/"):
                return source / target[len(place) :].lstrip("/")
        raise FileNotFoundError(target)


Program = Callable[[Inside], int]


class FakeContainer:
    """A container whose program is a function in a thread."""

    def __init__(self, inside: Inside, program: Program, address: Address | None = None) -> None:
        self._inside = inside
        self._address = address
        self._exit_code: int | None = None
        self._own_end: int | None = None
        self._ended = threading.Event()
        self.removed = False
        self.graces: list[float] = []
        self.file: ProgramFile | None = None
        threading.Thread(target=self._run, args=(program,), daemon=True).start()

    @property
    def name(self) -> str:
        return self._inside.spec.name

    @property
    def labels(self) -> Mapping[str, str]:
        return self._inside.spec.labels

    def address(self, port: int) -> Address | None:  # noqa: ARG002
        return self._address

    def lines(self) -> Iterator[str]:
        while (line := self._inside.output.get()) is not None:
            yield line
        self._inside.output.put(None)

    def exit_code(self) -> int | None:
        return self._exit_code

    def wait(self, timeout_s: float | None = None) -> int | None:
        self._ended.wait(timeout_s)
        return self._exit_code

    def signal(self, signum: int) -> None:
        raise EngineError(f"no signal {signum} in fakes")

    def stop(self, grace_s: float) -> int:
        self.graces.append(grace_s)
        self._inside.stopped.set()
        if not self._ended.wait(min(grace_s, 1)):
            self._inside.killed.set()
            self._ended.wait()
        return self._exit_code or 0

    @contextmanager
    def read_folder(self, target: str) -> Iterator[IO[bytes]]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(self._inside.path(target), arcname=".")
        buffer.seek(0)
        yield buffer

    def read_program(self, program: str) -> ProgramFile | None:  # noqa: ARG002
        return self.file

    def remove(self) -> None:
        self.removed = True
        shutil.rmtree(self._inside.spec.run_folder, ignore_errors=True)

    def end(self, code: int) -> None:
        """Let it end by itself, as far as anybody can tell."""
        self._own_end = code
        self._inside.stopped.set()

    def _run(self, program: Program) -> None:
        try:
            code = program(self._inside)
            self._exit_code = code if self._own_end is None else self._own_end
        finally:
            self._inside.output.put(None)
            self._ended.set()


class FakeEngine:
    """An engine for one program."""

    name: EngineName = "process"

    def __init__(self, program: Program, address: Address | None = None) -> None:
        self._program = program
        self._address = address
        self.containers: list[FakeContainer] = []
        self.specs: list[ContainerSpec] = []
        self.start_error: BaseException | None = None
        self.networks: list[str] = []

    def describe(self) -> str:
        return "a fake"

    def build(self, request: BuildRequest, on_line: OnLine) -> Image:  # noqa: ARG002
        return IMAGE

    def image(self, reference: str) -> Image:
        raise NotFound(f"no image {reference}")

    def start(self, spec: ContainerSpec) -> Container:
        self.specs.append(spec)
        if self.start_error is not None:
            raise self.start_error
        container = FakeContainer(Inside(spec), self._program, self._address)
        self.containers.append(container)
        return container

    def require_hosts(self, count: int) -> None:
        """Any number."""

    def create_network(
        self,
        name: str,
        hosts: Sequence[str],
        labels: Mapping[str, str],  # noqa: ARG002
        *,
        isolated: bool,  # noqa: ARG002
    ) -> Network:
        self.networks.append(name)
        return Network(name=name, addresses={host: f"10.0.0.{n}" for n, host in enumerate(hosts)})

    def remove_network(self, name: str) -> None:
        assert all(each.removed for each in self.containers), "somebody is in it"
        if name in self.networks:
            self.networks.remove(name)

    def reopen(self, name: str, run_folder: Path) -> Container | None:  # noqa: ARG002
        for container in self.containers:
            if container.name == name and not container.removed:
                return container
        return None


class Notes(Silent):
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.phases: list[str] = []

    def line(self, host: str, line: str) -> None:  # noqa: ARG002
        self.lines.append(line)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def phase(self, phase: object) -> None:
        self.phases.append(str(getattr(phase, "value", phase)))
