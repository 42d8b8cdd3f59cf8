"""The engine seam: what it takes to run an image, whatever runs it.

An :class:`Engine` builds an image and starts containers from a frozen :class:`ContainerSpec`; a
:class:`Container` gives its output as it comes, its address and its exit code, and can be stopped,
read from and removed. ``docker.py`` and ``process.py`` implement it; ``tests/contract`` holds both
to one suite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, Protocol, TypeAlias

from devkit.errors import EngineError

EngineName = Literal["docker", "process"]
Gpus: TypeAlias = "int | Literal['all']"
OnLine = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A host file or folder that a container sees in place, read-only; never copied."""

    target: str
    """Absolute path in the container."""
    source: Path
    """Absolute path on the host; must exist."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A writable folder of the container's own, which starts with the content of ``source``.

    What the program leaves there is read with :meth:`Container.read_folder`. Whether the program
    writes to ``source`` itself (process engine) or to storage of the engine (docker engine) is the
    engine's affair; files on the host always belong to the user.
    """

    target: str
    """Absolute path in the container."""
    source: Path
    """Absolute path of an existing host folder, for this container alone."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network of their own for the containers of one run: :meth:`Engine.create_network`."""

    name: str
    addresses: Mapping[str, str]
    """The IP address of each host by its name. Both are known in every container of the network
    from its start, whether that host has started, runs or has ended."""


@dataclass(frozen=True, kw_only=True)
class Port:
    """A TCP port that a program listens on; it is published on a free port of 127.0.0.1."""

    number: int
    """As the program has it: on all interfaces of the container."""
    variable: str
    """What tells the program another number, where it shares the host's ports with others."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a container may use; ``None`` leaves the engine's own default."""

    memory_bytes: int | None = None
    cpus: float | None = None
    shm_bytes: int | None = None
    """The size of ``/dev/shm``."""
    gpus: Gpus | None = None
    """How many GPUs it sees; ``None``: none but what the engine gives to all."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """Something an engine can run: an image of a registry or of a build.

    ``reference`` is what a user calls it (``iris:dev``, or the program folder for the process
    engine); ``id`` is what pins it: a later build under the same name does not change a job.
    """

    reference: str
    id: str
    program: Path | None = None
    """Host folder with ``train`` and ``serve``. A container has it, read-only, in place of the
    image's own; to a process it is all there is of the image."""
    program_path: str | None = None
    """Where that folder stands in the container; a process has it as its working directory."""
    environment: Path | None = None
    """Virtual environment the program runs in (process engine)."""
    platform: str | None = None


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """What to build an image from. Paths are absolute."""

    tag: str
    context: Path
    program: Path
    program_path: str
    """Where the image has its program folder, such as ``/opt/program``."""
    requirements: Path | None
    platform: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """One container to start, complete: nothing is looked up later."""

    name: str
    """Unique on the machine; letters, digits and dashes."""
    image: Image
    command: tuple[str, ...] = ()
    """Arguments, as after ``docker run IMAGE``: ``("train",)``, ``("serve",)``."""
    entrypoint: tuple[str, ...] | None = None
    """Overrides the image's ENTRYPOINT, as ``docker run --entrypoint``; ``None`` keeps it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    folders: tuple[Folder, ...] = ()
    hostname: str | None = None
    network: Network | None = None
    """The network it is in, as the host ``hostname`` of it; ``None`` is the engine's own."""
    ports: tuple[Port, ...] = ()
    limits: Limits = Limits()
    labels: Mapping[str, str] = field(default_factory=dict)
    run_folder: Path
    """Host folder for the engine's own notes on this container (state, raw output)."""


@dataclass(frozen=True)
class Address:
    """Where a container's port is reached from the host."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The root URL, without a trailing slash."""
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class ProgramFile:
    """The file behind ``train`` or ``serve``, as far as it helps to explain a failed start."""

    path: str
    """Its path in the container."""
    mode: int
    """Its permission bits."""
    head: bytes
    """Its first bytes, up to 4096."""


class StartRefused(EngineError):
    """The container was made, but its program could not be executed.

    ``detail`` is what the engine said; ``program`` the file that PATH led to, if any.
    """

    def __init__(self, detail: str, program: ProgramFile | None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.program = program


class Container(Protocol):
    """A started container (or one found again after a crash)."""

    @property
    def name(self) -> str:
        """The name it was started under."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels it was started with."""

    def address(self, port: int) -> Address | None:
        """Where one of its ports is reached, or ``None`` where it is not published (any more)."""

    def lines(self) -> Iterator[str]:
        """All its output from the first line on, live, without line ends.

        Standard output and standard error together. Ends when the container has ended and
        everything it wrote has been given; what it wrote last is never lost. Bytes that are not
        UTF-8 come as U+FFFD; a last line without line end is a line.
        """

    def exit_code(self) -> int | None:
        """Its exit code (128 + n where signal n ended it), or ``None`` while it runs."""

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait until it ends, and return its exit code; ``None`` where the time ran out."""

    def signal(self, signum: int) -> None:
        """Send a signal to its main process; nothing where it has already ended."""

    def stop(self, grace_s: float) -> int:
        """SIGTERM, and SIGKILL ``grace_s`` seconds later; returns the exit code.

        A second call from another thread while the first one waits may shorten the grace.
        """

    def read_folder(self, target: str) -> AbstractContextManager[IO[bytes]]:
        """One of its folders as an uncompressed tar stream, members relative to the folder.

        The stream is read once, forwards (``tarfile.open(mode="r|")``). Works after the container
        has ended and until it is removed.

        Raises:
            EngineError: The container has no such folder, or the engine cannot give it.
        """

    def read_program(self, program: str) -> ProgramFile | None:
        """What the container's PATH has under this name, to explain why it did not start."""

    def remove(self) -> None:
        """Kill it if it runs, and remove it with everything the engine kept for it.

        Removing it twice is not an error. Files below a :class:`Folder`'s ``source`` stay.
        """


class Engine(Protocol):
    """Builds images and runs them."""

    @property
    def name(self) -> EngineName:
        """``docker`` or ``process``."""

    def describe(self) -> str:
        """The engine in one phrase for people: what answers, where, which version."""

    def build(self, request: BuildRequest, on_line: OnLine) -> Image:
        """Make an image; every line of progress goes to ``on_line`` as it comes.

        Raises:
            BuildError: With the last lines of the build.
        """

    def image(self, reference: str) -> Image:
        """An image that exists already, by its name or id.

        Raises:
            NotFound: The engine has no such image.
        """

    def start(self, spec: ContainerSpec) -> Container:
        """Create and start a container; on any failure nothing of it is left.

        Raises:
            EngineError: The engine refused; ``StartRefused`` where the program is to blame.
        """

    def require_hosts(self, count: int) -> None:
        """Make sure that it can run this many containers that reach each other by host name.

        Raises:
            EngineError: It cannot.
        """

    def create_network(
        self, name: str, hosts: Sequence[str], labels: Mapping[str, str], *, isolated: bool
    ) -> Network:
        """Make a network of its own for the containers of one run.

        Args:
            name: Unique on the machine.
            hosts: The host names in it.
            labels: What tells people whose it is.
            isolated: Whether nothing but these hosts can be reached from it.

        Raises:
            EngineError: The engine refused.
        """

    def remove_network(self, name: str) -> None:
        """Remove a network whose containers are removed; nothing where there is none."""

    def reopen(self, name: str, run_folder: Path) -> Container | None:
        """A container that an earlier devkit started under this name and did not remove.

        ``run_folder`` is that of its spec. ``None`` where nothing of it is left.
        """
