"""One named pipe, written to without ever being stuck in it."""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
from contextlib import suppress
from pathlib import Path

if sys.platform == "linux":
    import fcntl

# How soon a stop is noticed, and a reader.
_POLL_S = 0.01
_ROOM_POLL_MS = 25
# Fewer switches between writer and reader; more than this is not granted without privileges.
_PIPE_BYTES = 1024 * 1024


class ReaderGone(Exception):
    """The reader has closed the pipe, or is dead."""


class Stopped(Exception):
    """Whoever feeds was asked to stop."""


def make(path: Path) -> None:
    """Make a named pipe that any user may read: a container's need not be ours."""
    os.mkfifo(path)
    path.chmod(0o666)


def open_for_reader(path: Path, stop: threading.Event) -> int:
    """Wait until somebody opens the pipe for reading, and open its other end.

    Returns:
        A non-blocking descriptor.

    Raises:
        Stopped: Nobody did until ``stop`` was set.
    """
    while not stop.is_set():
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # "no reader yet"
                raise
            stop.wait(_POLL_S)
        else:
            _widen(descriptor)
            return descriptor
    raise Stopped


def write(descriptor: int, data: bytes, stop: threading.Event) -> None:
    """Write all of it, as fast as the reader takes it.

    Raises:
        ReaderGone: The reader does not want it.
        Stopped: ``stop`` was set before everything was written.
    """
    view = memoryview(data)
    while view:
        if stop.is_set():
            raise Stopped
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            _await_room(descriptor)
        except BrokenPipeError:
            raise ReaderGone from None


def _await_room(descriptor: int) -> None:
    """Wait a little, until the reader has read something or is gone."""
    writable = select.poll()
    writable.register(descriptor, select.POLLOUT)
    writable.poll(_ROOM_POLL_MS)


def _widen(descriptor: int) -> None:
    if sys.platform == "linux":
        with suppress(OSError):  # the user has many pipes already
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
