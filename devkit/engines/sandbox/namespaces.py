"""Namespaces of its own for one program, entered by the supervisor as any ordinary user can.

The mount namespace is not made here but by the program's own process (:mod:`.filesystem`): the
supervisor keeps the host's view of files.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from pathlib import Path

from . import linux
from .forwarder import connect_to
from .plan import CONTAINER_IP, PROBE_IP

_SIOCSIFFLAGS = 0x8914
_SIOCSIFADDR = 0x8916
_SIOCSIFNETMASK = 0x891C
_IFF_UP = 0x1
_BIND_ADDRESS_NO_PORT = 24
_CAP_NET_ADMIN = 12
_CAP_SYS_ADMIN = 21
_NEEDED = 1 << _CAP_NET_ADMIN | 1 << _CAP_SYS_ADMIN


class Refused(Exception):
    """This machine gives no namespaces, or not all of them."""

    def __init__(self, step: str, cause: OSError) -> None:
        super().__init__(f"{step}: {cause.strerror}")
        self.step = step


def enter(hostname: str, *, own_network: bool) -> None:
    """Leave the user, process, IPC, host name and perhaps network namespace for new ones.

    Children of the caller live in them; the first one is process 1 there.

    Raises:
        Refused: The kernel, a security module or a container around us does not allow it.
    """
    flags = linux.CLONE_NEWPID | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
    if own_network:
        flags |= linux.CLONE_NEWNET
    try:
        _unshare(flags)
    except OSError as cause:
        raise Refused("new namespaces", cause) from cause
    try:
        linux.set_hostname(hostname)
        if own_network:
            _bring_up_loopback()
    except OSError as cause:
        raise Refused("setting up the new namespaces", cause) from cause


def connect_from_outside(port: int) -> socket.socket:
    """Open a connection to a program in a network of its own, as if from another machine.

    Raises:
        OSError: It cannot be opened.
    """

    def from_probe(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        connection.bind((PROBE_IP, 0))

    return connect_to(CONTAINER_IP, port, from_probe)


def _unshare(flags: int) -> None:
    if _has_all_it_takes():
        linux.unshare(flags)
        return
    uid, gid = os.geteuid(), os.getegid()
    linux.unshare(flags | linux.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")


def _has_all_it_takes() -> bool:
    """Whether this is real root, or the root of a container that has kept what is needed here."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    return effective & _NEEDED == _NEEDED


def _bring_up_loopback() -> None:
    """Give the new network its loopback device, and addresses beside 127.0.0.1 to forward over.

    What listens on 127.0.0.1 alone is then out of the forwarder's reach, just as in a container.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        up = struct.pack("16sh", b"lo", _IFF_UP)
        fcntl.ioctl(control, _SIOCSIFFLAGS, up.ljust(40, b"\0"))
        for alias, address in ((b"lo:1", PROBE_IP), (b"lo:2", CONTAINER_IP)):
            fcntl.ioctl(control, _SIOCSIFADDR, _interface_address(alias, address))
            fcntl.ioctl(control, _SIOCSIFNETMASK, _interface_address(alias, "255.255.255.255"))


def _interface_address(interface: bytes, address: str) -> bytes:
    """A ``struct ifreq`` with an IPv4 address."""
    packed = struct.pack("16sHH4s", interface, socket.AF_INET, 0, socket.inet_aton(address))
    return packed.ljust(40, b"\0")
