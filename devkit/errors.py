"""Every error a user can meet, with the exit code of its kind.

::

    DevkitError               1
    ├── ConfigError           2   a flag, a variable or devkit.toml is wrong (argparse's 2)
    ├── EngineError           3   no engine answers, or it failed at its own work
    │   └── PortInUse         9   the port to serve on belongs to somebody else
    ├── BuildError            4   the image or the program's environment could not be made
    ├── TrainingFailed        5   the job ended, and not with exit code 0
    ├── ServingFailed         6   the server never answered its ping, or died
    ├── InvocationFailed      7   the server answered the request with an error, or not at all
    ├── StoreError            8   .devkit/ cannot be read or written
    └── NotFound             10   no such job, server, model, image or metric

An interrupted command exits with 130 (Ctrl-C) or 143 (SIGTERM), as shells expect.
"""

from __future__ import annotations

from collections.abc import Sequence


class DevkitError(Exception):
    """A foreseeable failure: what happened and why, what to do, and who said so last.

    Args:
        message: What happened and why, in one or two sentences.
        remedy: What the user can do about it.
        log_tail: The last log lines of the container or the build that is to blame.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, remedy: str | None = None, log_tail: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.log_tail = tuple(log_tail)

    def document(self) -> dict[str, object]:
        """The error for machines."""
        return {
            "type": type(self).__name__,
            "message": self.message,
            "remedy": self.remedy,
            "log_tail": list(self.log_tail),
            "exit_code": self.exit_code,
        }

    def __str__(self) -> str:
        """The whole story, as it is shown to a user."""
        parts = [self.message]
        if self.log_tail:
            parts.append("last log lines:")
            parts.extend(f"  | {line}" for line in self.log_tail)
        if self.remedy:
            parts.append(f"→ {self.remedy}")
        return "\n".join(parts)


class ConfigError(DevkitError):
    """A setting is missing, misspelt or out of bounds."""

    exit_code = 2


class EngineError(DevkitError):
    """No engine answers, or the engine could not do what it was asked."""

    exit_code = 3


class PortInUse(EngineError):
    """A port of this machine that a server is to be reached at is taken."""

    exit_code = 9

    def __init__(self, port: int, *, other: str = "--port 0 takes a free one") -> None:
        super().__init__(
            f"port {port} on 127.0.0.1 is in use by another program",
            remedy=f"stop that program, or choose another port: {other}",
        )
        self.port = port


class BuildError(DevkitError):
    """The image, or the environment the process engine runs in, could not be made."""

    exit_code = 4


class TrainingFailed(DevkitError):
    """A training job ended as Failed."""

    exit_code = 5


class ServingFailed(DevkitError):
    """A server did not come up, or died."""

    exit_code = 6


class InvocationFailed(DevkitError):
    """A request to a server was answered with an error status, or not at all.

    ``status`` is the HTTP status of the answer (``None`` where there was no answer) and ``body``
    its text.
    """

    exit_code = 7

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        body: str = "",
        remedy: str | None = None,
        log_tail: Sequence[str] = (),
    ) -> None:
        super().__init__(message, remedy=remedy, log_tail=log_tail)
        self.status = status
        self.body = body


class StoreError(DevkitError):
    """``.devkit/`` cannot be read or written."""

    exit_code = 8


class Declined(DevkitError):
    """Something would be made in an account, and nobody has said that it may."""

    exit_code = 12


class DryRun(Exception):
    """What would be done has been shown, and nothing of it is done."""


class NotFound(DevkitError):
    """No job, server, model, image or metric of that name."""

    exit_code = 10
