"""Ports of the host."""

from __future__ import annotations

import errno
import socket

from devkit.errors import ConfigError, PortInUse

LOOPBACK = "127.0.0.1"
BACKLOG = 1024
MAX_PORT = 65_535


def require_free_port(port: int, *, other: str = "--port 0 takes a free one") -> None:
    """Make sure that a port of 127.0.0.1 can be listened on; 0 always can.

    Args:
        port: The port.
        other: How the user chooses another one.

    Raises:
        ConfigError: There is no such port, or this user may not have it.
        PortInUse: Somebody listens on it.
    """
    if not 0 <= port <= MAX_PORT:
        raise ConfigError(f"there is no port {port}", remedy=f"0 to {MAX_PORT}; 0 takes a free one")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(port, other=other) from None
            raise ConfigError(
                f"port {port} on {LOOPBACK} cannot be listened on: {error.strerror}",
                remedy=f"choose another port: {other}",
            ) from error


def listen(port: int, address: str = LOOPBACK) -> socket.socket:
    """A socket that listens on a port, so that it is taken from now on.

    Args:
        port: 0 takes a free one.
        address: One of this machine's.

    Raises:
        PortInUse: Somebody listens on it.
    """
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(port) from None
        raise
    return listening
