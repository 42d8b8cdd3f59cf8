"""One invocation of a function: what is asked, and what becomes of it."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass, field

from devkit.lambda_contract import LOG_TAIL_BYTES

UNHANDLED = "Unhandled"
_MOST_SIGNALS = 64


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """What an instance is given."""

    request_id: str
    payload: bytes
    """The event, as JSON."""
    arn: str
    """As the function was invoked: with its version or alias, if it was by one."""
    trace_id: str | None = None
    client_context: str | None = None
    """JSON."""


@dataclass(frozen=True)
class Ended:
    """What an invocation came to."""

    payload: bytes
    failed: bool = False


def failure(request_id: str, kind: str, message: str) -> Ended:
    """A failure that is none of the function's own code; the same in AWS's words."""
    document = {"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {message}"}
    return Ended(json.dumps(document).encode(), failed=True)


def timed_out(request_id: str, timeout_s: float) -> Ended:
    """The function took longer than it has."""
    return failure(request_id, "Sandbox.Timedout", f"Task timed out after {timeout_s:.2f} seconds")


def exited(request_id: str, exit_code: int) -> Ended:
    """The function's process ended instead of answering."""
    return failure(request_id, "Runtime.ExitError", exit_reason(exit_code))


def exit_reason(exit_code: int) -> str:
    """Why a process ended, as AWS says it."""
    if exit_code == 0:
        return "Runtime exited without providing a reason"
    signalled = exit_code - 128
    if 0 < signalled <= _MOST_SIGNALS:
        names = {9: "killed", 15: "terminated", 11: "segmentation fault", 6: "aborted"}
        return f"Runtime exited with error: signal: {names.get(signalled, signalled)}"
    return f"Runtime exited with error: exit status {exit_code}"


def response_too_large(limit_bytes: int) -> Ended:
    """The function answered with more than Lambda passes on."""
    document = {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size "
        f"({limit_bytes} bytes).",
    }
    return Ended(json.dumps(document).encode(), failed=True)


@dataclass
class Tail:
    """The last 4 KB of what an invocation has logged."""

    lines: deque[bytes] = field(default_factory=deque)
    size: int = 0

    def add(self, text: str) -> None:
        """Another line."""
        line = text.encode(errors="replace") + b"\n"
        self.lines.append(line)
        self.size += len(line)
        while self.size - len(self.lines[0]) >= LOG_TAIL_BYTES:
            self.size -= len(self.lines.popleft())

    @property
    def content(self) -> bytes:
        """As ``LogResult`` has it."""
        return b"".join(self.lines)[-LOG_TAIL_BYTES:]


class Stopwatch:
    """Time from its making on, in seconds."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def seconds(self) -> float:
        """How much there is up to now."""
        return time.monotonic() - self._begun
