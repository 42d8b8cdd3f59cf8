"""moto speaks to this machine and to no other.

Some of what it does sends requests to addresses it is given: SNS and Firehose to HTTP subscribers,
API Gateway to HTTP integrations. Python tells its audit hooks of every connection before it is
made; while moto is at work in a thread, one that leaves the machine is refused there.
"""

from __future__ import annotations

import ipaddress
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LOCAL_NAMES = ("localhost", "", None)


class LeavesTheMachine(OSError):
    """A connection that was refused."""

    def __init__(self, host: object) -> None:
        super().__init__(f"devkit's local AWS does not contact {host}: it is another machine")


class _State(threading.local):
    confined = False


_STATE = _State()
_INSTALLING = threading.Lock()
_installed: list[bool] = []


@contextmanager
def confined() -> Iterator[None]:
    """Refuse what this thread sends to other machines, until the end of the block."""
    with _INSTALLING:
        if not _installed:
            sys.addaudithook(_audit)
            _installed.append(True)
    before, _STATE.confined = _STATE.confined, True
    try:
        yield
    finally:
        _STATE.confined = before


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket.") or not _STATE.confined:
        return
    if event == "socket.getaddrinfo":
        _require_here(arguments[0])
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        _require_here(arguments[1][0])


def _require_here(host: object) -> None:
    name = host.decode(errors="replace") if isinstance(host, bytes) else host
    if name in _LOCAL_NAMES or (isinstance(name, str) and _is_local(name)):
        return
    raise LeavesTheMachine(name)


def _is_local(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
