"""Serves devkit: requests on standard input, answers and events on standard output.

First comes ``hello`` (or ``unfit``, with what is missing), then ``ready`` once the SDK is imported.
Standard output is kept for this: what anything else prints goes to standard error. The end of
standard input is the end of the session, however devkit ended.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import sdk, settings, tools, wire
from .folders import session
from .operations import Operations, Refused
from .settings import DriverSettings
from .tools import Unfit

_INTERNAL = "InternalFailure"


class Channel:
    """Standard output, taken from everybody else."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "wb", buffering=0)
        self._lock = threading.Lock()
        os.dup2(2, 1)

    def send(self, **message: Any) -> None:
        """Send a message; nobody may be there any more."""
        line = wire.encode(message)
        with self._lock:
            try:
                while line:
                    line = line[self._file.write(line) or 0 :]
            except OSError:
                return


def main(arguments: Sequence[str]) -> int:
    """Serve until the end of standard input."""
    del arguments
    channel = Channel()
    told = settings.read(os.environ)
    try:
        found = sdk.version()
        compose = tools.find_compose()
        tools.require_engine()
        channel.send(event="hello", sdk=found)
        with session(Path(told.folder)) as own:
            _serve(channel, _adopted(replace(told, compose=compose, session=str(own))), found)
    except Unfit as unfit:
        channel.send(event="unfit", kind=unfit.kind, message=unfit.message, remedy=unfit.remedy)
        return 2
    return 0


def _adopted(own: DriverSettings) -> DriverSettings:
    """Let the SDK, and what it starts, work in the session's folder."""
    os.environ[settings.VARIABLE] = own.text()
    os.environ["TMPDIR"] = str(Path(own.session, "tmp"))
    tempfile.tempdir = None
    return own


def _serve(channel: Channel, told: DriverSettings, found: str) -> None:
    operations = Operations(told, channel.send)
    operations.make_session = sdk.load(
        found, sdk.Hooks(follow=operations.follow, await_ping=operations.await_ping)
    )
    channel.send(event="ready")
    try:
        for line in sys.stdin.buffer:
            request = wire.decode(line)
            threading.Thread(target=_answer, args=(channel, operations, request)).start()
    finally:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # devkit may be gone; nothing may fail by that
        operations.close()


def _answer(channel: Channel, operations: Operations, request: dict[str, Any]) -> None:
    identifier = request["id"]
    try:
        answer = operations.call(request["operation"], request["parameters"])
        channel.send(id=identifier, answer=answer)
    except Refused as refused:
        channel.send(id=identifier, error={"code": refused.code, "message": str(refused)})
    except Exception as error:  # whatever it is, it is the answer
        told = getattr(error, "response", {}).get("Error", {})  # botocore's, and the SDK's own
        code = told.get("Code", _INTERNAL)
        message = told.get("Message") or f"{type(error).__name__}: {error}"
        channel.send(id=identifier, error={"code": code, "message": message})
