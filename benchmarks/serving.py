"""How soon an edit is live, and what a relay costs.

- reload: the example project is served with ``--reload``, its ``wsgi.py`` is edited, and requests
  are made until the answer is the edit's;
- relay: the same requests to a container's own port and through the relay that stands before it
  with ``--direct``, by turns.

``README.md`` beside this file says more. Run it with the Python that devkit is installed in::

    python benchmarks/serving.py [--engine docker|process] [--rounds 7]

Exits with 1 where an edit takes too long, with 2 where something failed.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from devkit import Project
from devkit.contract import PORT_VARIABLE, SERVE_PORT
from devkit.engines.base import Address, ContainerSpec, Port
from devkit.errors import DevkitError
from devkit.front.relay import Relay
from devkit.runtime_client import await_ping

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT_FILES = ("devkit.toml", "image", "examples/iris")

RELOAD_TARGET_S = 2.0
TIMEOUT_S = 30.0
POLL_S = 0.01

ANSWER = (
    'return Response(_answer(model, body, request.content_type or "", accept), mimetype=accept)'
)
SMALL_REQUESTS = 200
LARGE_BYTES = 25 * 1024 * 1024

ECHO = f"""#!/usr/bin/env python3
import http.server, os
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self): self.answer(b"")
    def do_POST(self): self.answer(self.rfile.read(int(self.headers["Content-Length"])))
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
port = int(os.environ.get("{PORT_VARIABLE}", {SERVE_PORT}))
http.server.ThreadingHTTPServer(("0.0.0.0", port), Echo).serve_forever()
"""


class BenchmarkFailed(Exception):
    """A step failed."""


# --- an edit -----------------------------------------------------------------------------------


def reload_times(project: Project, rounds: int) -> list[float]:
    """The seconds from the end of each edit to its first answer."""
    source = project.settings.image.program / "wsgi.py"
    original = source.read_text(encoding="utf-8")
    if ANSWER not in original:
        raise BenchmarkFailed(f"{source} has no line {ANSWER}")
    times = []
    with project.serve(port=0, reload=True) as server:
        for number in range(rounds):
            answer = f"edit {number}"
            edited = original.replace(ANSWER, f"return Response({answer!r})")
            begun = time.perf_counter()
            source.write_text(edited, encoding="utf-8")
            while server.invoke(project.settings.invoke.data) != answer:
                if time.perf_counter() - begun > TIMEOUT_S:
                    raise BenchmarkFailed(f"the edit is not live after {TIMEOUT_S:g} s")
                time.sleep(POLL_S)
            times.append(time.perf_counter() - begun)
    return times


# --- the relay ---------------------------------------------------------------------------------


@contextmanager
def echo_server(project: Project, folder: Path) -> Iterator[Address]:
    """The address of a container that answers with what it is sent."""
    program = project.settings.image.program
    (program / "serve").write_text(ECHO, encoding="ascii")
    container = project.engine.start(
        ContainerSpec(
            name=f"devkit-benchmark-{os.getpid()}",
            image=project.build(),
            command=("serve",),
            ports=(Port(number=SERVE_PORT, variable=PORT_VARIABLE),),
            run_folder=folder / "notes",
        )
    )
    try:
        address = container.address(SERVE_PORT)
        if address is None or await_ping(address, TIMEOUT_S, lambda: False, lambda _: None):
            raise BenchmarkFailed("the echo server did not come up")
        yield address
    finally:
        container.remove()


def small_requests(address: Address) -> float:
    """The median seconds of requests without a body over one connection."""
    times = []
    with closing(connect(address)) as connection:
        for _ in range(SMALL_REQUESTS):
            begun = time.perf_counter()
            connection.request("GET", "/ping")
            connection.getresponse().read()
            times.append(time.perf_counter() - begun)
    return median(times)


def new_connections(address: Address) -> float:
    """The median seconds of requests without a body, each over a connection of its own."""
    times = []
    for _ in range(SMALL_REQUESTS):
        begun = time.perf_counter()
        with closing(connect(address)) as connection:
            connection.request("GET", "/ping")
            connection.getresponse().read()
        times.append(time.perf_counter() - begun)
    return median(times)


def large_request(address: Address) -> float:
    """The seconds of a request that is as large as SageMaker takes, and its equal answer."""
    body = os.urandom(1024) * (LARGE_BYTES // 1024)
    begun = time.perf_counter()
    with closing(connect(address)) as connection:
        connection.request("POST", "/invocations", body)
        received = connection.getresponse().read()
    seconds = time.perf_counter() - begun
    if received != body:
        raise BenchmarkFailed("the answer is not what was sent")
    return seconds


def connect(address: Address) -> http.client.HTTPConnection:
    """A connection for requests."""
    return http.client.HTTPConnection(address.host, address.port, timeout=TIMEOUT_S)


def relay_rows(engine: str, own: Address, rounds: int) -> Iterator[str]:
    """A row of the table for each kind of request."""
    requests: dict[str, Callable[[Address], float]] = {
        "small, one connection": small_requests,
        "small, a connection each": new_connections,
        "25 MB there and back": large_request,
    }
    with closing(Relay(0)) as relay:
        relay.switch(own)
        for what, ask in requests.items():
            times: dict[Address, list[float]] = {own: [], relay.address: []}
            for address in (own, relay.address):
                ask(address)
            for _ in range(rounds):
                for address, seconds in times.items():
                    seconds.append(ask(address))
            before, after = median(times[own]), median(times[relay.address])
            yield (
                f"| {engine} | {what} | {before * 1000:.2f} ms | {after * 1000:.2f} ms "
                f"| **{after / before:.2f}** |"
            )


# --- the command -------------------------------------------------------------------------------


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--engine", choices=("docker", "process"), action="append")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    reloads: list[str] = []
    relays: list[str] = []
    met = True
    try:
        for engine in arguments.engine or ("docker", "process"):
            with TemporaryDirectory(prefix="devkit-benchmark-") as folder:
                project = example_project(Path(folder), engine)
                project.train()
                times = reload_times(project, arguments.rounds)
                met = met and median(times) <= RELOAD_TARGET_S
                reloads.append(
                    f"| {engine} | {median(times):.2f} s ({min(times):.2f} to {max(times):.2f}) "
                    f"| at most {RELOAD_TARGET_S:g} s |"
                )
                with echo_server(project, Path(folder)) as own:
                    relays += relay_rows(engine, own, arguments.rounds)
    except (DevkitError, BenchmarkFailed, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("| engine | from an edit to its first answer | target |\n|---|---|---|\n")
    sys.stdout.write("\n".join(reloads))
    sys.stdout.write("\n\n| engine | request | own port | relay | ratio |\n|---|---|---|---|---|\n")
    sys.stdout.write("\n".join(relays) + "\n")
    return 0 if met else 1


def example_project(folder: Path, engine: str) -> Project:
    """A copy of the example project, so that no edit of it stays."""
    for name in PROJECT_FILES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy(source, folder / name)
    overrides = {"project.engine": engine, "image.tag": "devkit-benchmark:dev"}
    return Project.load(folder, overrides=overrides)


if __name__ == "__main__":
    sys.exit(main())
