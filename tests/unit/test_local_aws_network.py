"""What is confined speaks to this machine alone."""

from __future__ import annotations

import socket
import threading

import pytest

from devkit.local_aws.network import LeavesTheMachine, confined


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "sts.amazonaws.com"])
def test_another_machine_is_not_even_looked_up(address: str) -> None:
    with confined(), pytest.raises(LeavesTheMachine, match="does not contact"):
        socket.create_connection((address, 9), timeout=1)


def test_a_datagram_does_not_leave_either() -> None:
    with (
        confined(),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        pytest.raises(LeavesTheMachine),
    ):
        sender.sendto(b"x", ("192.0.2.1", 9))


def test_this_machine_can_be_spoken_to() -> None:
    with confined(), socket.create_server(("127.0.0.1", 0)) as server:
        for name in ("127.0.0.1", "localhost"):
            socket.create_connection((name, server.getsockname()[1]), timeout=10).close()


def test_other_threads_and_what_comes_after_are_not_confined() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        # Connecting a datagram socket sends nothing.
        with confined():
            other = threading.Thread(target=sender.connect, args=(("192.0.2.2", 9),))
            other.start()
            other.join()
            with confined():
                pass
            with pytest.raises(LeavesTheMachine):
                sender.connect(("192.0.2.1", 9))
        sender.connect(("192.0.2.1", 9))
