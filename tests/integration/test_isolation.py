"""Network isolation: a job reaches nothing but its own hosts (§1.12)."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.integration.kit import HEAD, Project, log

TRAIN = (
    HEAD
    + """
import socket

place = json.loads((CONFIG / "hyperparameters.json").read_text())
try:
    with socket.create_connection((place["host"], int(place["port"])), timeout=2) as peer:
        say(peer.makefile().readline().strip())
except OSError:
    say("nobody")
"""
)


@pytest.fixture
def neighbour(project: Project) -> Iterator[tuple[str, int]]:
    """Somebody on this machine whom a job reaches that is not isolated."""
    host = "127.0.0.1"
    if project.engines is not None and project.engine == "docker":
        bridge = project.engines.inspect_network("bridge")
        subnet = ipaddress.ip_network(bridge["IPAM"]["Config"][0]["Subnet"])
        host = str(next(subnet.hosts()))
    with socket.create_server((host, 0)) as listener:
        listener.settimeout(60)

        def greet() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.sendall(b"hello\n")

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield host, listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.contract("1.12-c")
@pytest.mark.parametrize(("isolated", "heard"), [("false", "hello"), ("true", "nobody")])
@pytest.mark.usefixtures("contained")
def test_an_isolated_job_reaches_nobody(
    project: Project, neighbour: tuple[str, int], isolated: str, heard: str
) -> None:
    host, port = neighbour
    project.write(
        train=TRAIN,
        config=f"[train]\nnetwork_isolation = {isolated}\n"
        f'hyperparameters = {{ host = "{host}", port = {port} }}\n',
    )
    project.devkit("train").succeeded()
    assert log(project.job()) == [heard]
