"""Ports of the host."""

from __future__ import annotations

import errno
import socket

from devkit.errors import PortInUse

LOOPBACK = "127.0.0.1"


def require_free_port(port: int) -> None:
    """Make sure that a port of 127.0.0.1 can be listened on; 0 always can.

    Raises:
        PortInUse: Somebody listens on it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(port) from None
            raise
