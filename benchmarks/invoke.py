"""What InvokeEndpoint adds to a request that goes straight to the container behind it.

The example project's model is hosted behind ``devkit up``. Then the same request goes, by turns and
over connections that are kept, to the endpoint and to the very container behind it::

    python benchmarks/invoke.py [--engine docker|process] [--rounds 5] [--json FILE]

Both sides are asked by the same few lines over sockets, with no SDK in between; everything shares
the cores of this machine. Exits with 1 where a target is missed, with 2 where it could not be run.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from devkit import Project
from devkit.errors import DevkitError

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT_FILES = ("devkit.toml", "image", "examples")
DEVKIT = (sys.executable, "-m", "devkit")

MOST_ADDED_MS = 2.0
LEAST_RATIO = 0.5
REQUESTS = 300
CONNECTIONS = 16
SECONDS = 3.0
WARM_UP = 50
TIMEOUT_S = 120.0

SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, "
    "SignedHeaders=content-type;host;x-amz-date, Signature=" + "0" * 64
)
"""As long as that of a real client; nobody checks more of it than whom it is for."""


class BenchmarkFailed(Exception):
    """Something could not be set up, or answered with an error."""


@dataclass(frozen=True)
class Place:
    """Where requests go."""

    port: int
    path: str
    service: str = "sagemaker"

    def request(self, body: bytes, content_type: str) -> bytes:
        """The bytes of a request."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Content-Type: {content_type}\r\nUser-Agent: benchmark\r\n"
            f"X-Amz-Date: 20260101T000000Z\r\n"
            f"Authorization: {SIGNATURE.format(service=self.service)}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def connect(self) -> socket.socket:
        """A connection."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One engine's numbers, round by round."""

    engine: str
    direct_ms: Sequence[float]
    endpoint_ms: Sequence[float]
    direct_per_s: Sequence[float]
    endpoint_per_s: Sequence[float]

    @property
    def added_ms(self) -> float:
        """What the endpoint adds at the median."""
        return median(self.endpoint_ms) - median(self.direct_ms)

    @property
    def ratio(self) -> float:
        """The endpoint's throughput over the container's."""
        return median(self.endpoint_per_s) / median(self.direct_per_s)

    @property
    def met(self) -> bool:
        """Whether no target is missed."""
        return self.added_ms <= MOST_ADDED_MS and self.ratio >= LEAST_RATIO

    def row(self) -> str:
        """A row of the table."""
        cells = (
            self.engine,
            f"{median(self.direct_ms):.2f} ms",
            f"{median(self.endpoint_ms):.2f} ms",
            f"**{self.added_ms:.2f} ms** (at most {MOST_ADDED_MS:g})",
            f"{median(self.direct_per_s):.0f}",
            f"{median(self.endpoint_per_s):.0f}",
            f"**{self.ratio:.2f}** (at least {LEAST_RATIO:g})",
            "yes" if self.met else "**no**",
        )
        return f"| {' | '.join(cells)} |"

    def document(self) -> dict[str, object]:
        """The same for machines."""
        return {
            "engine": self.engine,
            "direct_ms": list(self.direct_ms),
            "endpoint_ms": list(self.endpoint_ms),
            "added_ms": self.added_ms,
            "direct_per_s": list(self.direct_per_s),
            "endpoint_per_s": list(self.endpoint_per_s),
            "ratio": self.ratio,
            "met": self.met,
        }


# --- requests ------------------------------------------------------------------------------------


class Answers:
    """Reads answers off a connection, one after the other."""

    def __init__(self) -> None:
        self._data = b""

    def take(self, data: bytes) -> bytes | None:
        """The body of the answer that is complete with these bytes, if one is."""
        if not data:
            raise BenchmarkFailed("the connection was closed")
        self._data += data
        head, separator, rest = self._data.partition(b"\r\n\r\n")
        if not separator:
            return None
        if not head.startswith(b"HTTP/1.1 200"):
            raise BenchmarkFailed(self._data.decode(errors="replace"))
        start = head.lower().index(b"content-length:") + len(b"content-length:")
        size = int(head[start:].split(b"\r\n", 1)[0])
        if len(rest) < size:
            return None
        self._data = rest[size:]
        return rest[:size]


def asker(place: Place, request: bytes) -> Callable[[], bytes]:
    """What sends a request over one connection, and gives the answer's body."""
    connection, answers = place.connect(), Answers()

    def ask() -> bytes:
        connection.sendall(request)
        while (answer := answers.take(connection.recv(65536))) is None:
            pass
        return answer

    return ask


def latencies(places: Sequence[Place], body: bytes, content_type: str) -> list[list[float]]:
    """Of many requests to each place, in milliseconds; they take turns."""
    askers = [asker(place, place.request(body, content_type)) for place in places]
    if len({ask() for _ in range(WARM_UP) for ask in askers}) != 1:
        raise BenchmarkFailed("the answers differ")
    took: list[list[float]] = [[] for _ in places]
    for _ in range(REQUESTS):
        for ask, times in zip(askers, took, strict=True):
            begun = time.perf_counter()
            ask()
            times.append((time.perf_counter() - begun) * 1000)
    return took


def throughput(place: Place, body: bytes, content_type: str) -> float:
    """Requests a second over so many connections, each of which always waits for one answer."""
    request = place.request(body, content_type)
    selector = selectors.DefaultSelector()
    connections = [place.connect() for _ in range(CONNECTIONS)]
    for connection in connections:
        selector.register(connection, selectors.EVENT_READ, (connection, Answers()))
        connection.sendall(request)
    answered = 0
    begun = time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        for key, _ in selector.select(TIMEOUT_S):
            connection, answers = key.data
            if answers.take(connection.recv(65536)) is not None:
                answered += 1
                connection.sendall(request)
    took_s = time.perf_counter() - begun
    selector.close()
    for connection in connections:
        connection.close()
    return answered / took_s


# --- what is asked -------------------------------------------------------------------------------


@contextmanager
def local_aws(root: Path, engine: str) -> Iterator[str]:
    """``devkit up`` for the length of the block, with the example's chain; its API's address."""
    environment = {**os.environ, "DEVKIT_ENGINE": engine}
    flags = ("--detach", "--json", "--port", "0")
    try:
        told = output(*DEVKIT, "up", *flags, "--project", str(root), environment=environment)
        yield str(json.loads(told)["gateway"])
    finally:
        output(*DEVKIT, "down", "--project", str(root), environment=environment)


@dataclass(frozen=True, kw_only=True)
class Hosted:
    """The example's model behind its endpoint, function and API, and what they are asked."""

    container: Place
    endpoint: Place
    function: Place
    gateway: Place
    body: bytes
    content_type: str


@contextmanager
def hosted(engine: str) -> Iterator[Hosted]:
    """The example project, trained and up for the length of the block."""
    with TemporaryDirectory(prefix="devkit-benchmark-") as folder:
        root = Path(folder).resolve()
        for name in PROJECT_FILES:
            source, copy = REPOSITORY / name, root / name
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, copy)
        project = Project.load(root, overrides={"project.engine": engine})
        project.train()
        asked = project.settings.invoke
        if asked.data is None:
            raise BenchmarkFailed("the example has nothing to ask")
        with local_aws(root, engine) as address:
            at = urlsplit(address)
            port = at.port or 0
            yield Hosted(
                container=Place(container_port(root, engine), "/invocations"),
                endpoint=Place(port, "/endpoints/iris/invocations"),
                function=Place(port, "/2015-03-31/functions/iris/invocations", "lambda"),
                gateway=Place(port, f"{at.path}/predict"),
                body=asked.data.encode(),
                content_type=asked.content_type,
            )


def container_port(project: Path, engine: str) -> int:
    """Where the container behind the endpoint is published."""
    (notes,) = (project / ".devkit" / "servers").glob("iris-*/engine/instance-1")
    if engine == "process":
        ((_, port),) = json.loads((notes / "plan.json").read_text())["ports"]
        return int(port)
    found = output("docker", "ps", "--quiet", "--filter", f"label=devkit.store={project}/.devkit")
    return int(output("docker", "port", found.decode().strip(), "8080").rpartition(b":")[2])


def measure(engine: str, rounds: int) -> Measured:
    """Host the example's model on an engine, and ask it both ways."""
    with hosted(engine) as it:
        places = (it.container, it.endpoint)
        took = [
            [median(each) for each in latencies(places, it.body, it.content_type)]
            for _ in range(rounds)
        ]
        rates = [[throughput(each, it.body, it.content_type) for each in places] for _ in took]
    return Measured(
        engine=engine,
        direct_ms=[each[0] for each in took],
        endpoint_ms=[each[1] for each in took],
        direct_per_s=[each[0] for each in rates],
        endpoint_per_s=[each[1] for each in rates],
    )


def output(*command: str, environment: Mapping[str, str] | None = None) -> bytes:
    """Run a command; what it writes."""
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    if done.returncode != 0:
        raise BenchmarkFailed(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def write(line: str) -> None:
    """A line of the table."""
    sys.stdout.write(f"{line}\n")


def main() -> int:
    """Measure, and print the table; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--engine", choices=("docker", "process"), action="append")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    engines = arguments.engine or ("docker", "process")
    try:
        found = [measure(engine, arguments.rounds) for engine in engines]
    except (BenchmarkFailed, DevkitError, OSError) as error:
        sys.stderr.write(f"could not be measured: {error}\n")
        return 2
    write(
        "| engine | container | endpoint | adds | container: requests/s | endpoint | ratio | met |"
    )
    write("|---|---|---|---|---|---|---|---|")
    for each in found:
        write(each.row())
    if arguments.json is not None:
        text = json.dumps([each.document() for each in found], indent=1)
        arguments.json.write_text(f"{text}\n", encoding="utf-8")
    return 0 if all(each.met for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
