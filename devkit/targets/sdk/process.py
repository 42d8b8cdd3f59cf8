"""The driver as a process: requests to it, answers and events from it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from queue import Empty, SimpleQueue
from typing import IO, Any

from devkit.errors import ConfigError, DevkitError, EngineError
from devkit.targets.sdk.driver import wire

_TAIL = 20
_FOREVER = None
_READING_S = 5.0


class NoAnswer(DevkitError):
    """The driver gave no answer: it has ended, or it takes too long."""


class TooSlow(NoAnswer):
    """It takes too long."""


class Driver:
    """A driver, from its start to its end.

    Args:
        command: Starts it.
        environment: Its whole environment.
        on_event: Told what it tells unasked, from a thread.
        on_text: Told every other line that it or the SDK writes, from threads.
        hello_s: How long it may take to say whether it can work here.
        ready_s: How long the SDK's import may take.
        ending_s: How long it may take to stop what runs.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        on_event: Callable[[Mapping[str, Any]], None],
        on_text: Callable[[str], None],
        hello_s: float = 60.0,
        ready_s: float = 180.0,
        ending_s: float = 60.0,
    ) -> None:
        self._command, self._environment = list(command), dict(environment)
        self._on_event, self._on_text = on_event, on_text
        self._hello_s, self._ready_s, self._ending_s = hello_s, ready_s, ending_s
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, SimpleQueue[Mapping[str, Any] | None]] = {}
        self._greetings: SimpleQueue[Mapping[str, Any] | None] = SimpleQueue()
        self._becoming_ready = threading.Lock()
        self._is_ready = False
        self._tail: list[str] = []
        self._over = False
        self.sdk = ""
        """The version of the SDK."""

    def start(self) -> None:
        """Start it, and hear whether it can work here; the SDK is imported meanwhile.

        Raises:
            ConfigError: The SDK, or a program that it needs, is missing.
            EngineError: No Docker engine answers.
            NoAnswer: It says neither.
        """
        try:
            self._process = subprocess.Popen(  # noqa: S603 - devkit's own program
                self._command,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is devkit's affair: the driver is told its end
            )
        except OSError as error:
            raise ConfigError(
                f"cannot run {self._command[0]}: {error.strerror or error}",
                remedy="name a Python that has the SageMaker SDK",
            ) from None
        assert self._process.stdout is not None  # noqa: S101 - they are pipes
        assert self._process.stderr is not None  # noqa: S101
        self._threads = [
            threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._tell, args=(self._process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        try:
            self._greeted(self._hello_s)
        except BaseException:
            self.close()
            raise

    def call(
        self, operation: str, parameters: Mapping[str, Any], *, timeout_s: float | None = _FOREVER
    ) -> Mapping[str, Any]:
        """Ask it; its message, with ``answer`` or ``error``.

        Raises:
            NoAnswer: It has ended, or does not answer in time.
        """
        self._await_ready()
        mine: SimpleQueue[Mapping[str, Any] | None] = SimpleQueue()
        number = next(self._numbers)
        with self._lock:
            if self._over:
                raise self._ended()
            self._waiting[number] = mine
        self._send({"id": number, "operation": operation, "parameters": dict(parameters)})
        try:
            message = mine.get(timeout=timeout_s)
        except Empty:
            raise TooSlow(
                f"the SDK's local mode has not answered {operation} within {timeout_s:g} s"
            ) from None
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        if message is None:
            raise self._ended()
        return message

    def close(self) -> None:
        """Have it stop what runs, and wait for its end."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(self._ending_s)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its compose programs see that, and end their containers
            self._process.wait()
        for thread in self._threads:
            thread.join(_READING_S)

    def _await_ready(self) -> None:
        with self._becoming_ready:
            if not self._is_ready:
                self._greeted(self._ready_s)
                self._is_ready = True

    def _greeted(self, timeout_s: float) -> None:
        try:
            message = self._greetings.get(timeout=timeout_s)
        except Empty:
            raise TooSlow(
                f"the SageMaker SDK's local mode has not started within {timeout_s:g} s",
                log_tail=self._tail,
            ) from None
        if message is None:
            self._greetings.put(None)  # for who asks next
            raise self._ended()
        if message["event"] == "unfit":
            kind = EngineError if message["kind"] == "engine" else ConfigError
            raise kind(message["message"], remedy=message["remedy"])
        self.sdk = message.get("sdk", self.sdk)

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        line = wire.encode(message)
        with self._lock, suppress(OSError, ValueError):  # that it has ended is told by its output
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _read(self, stream: IO[bytes]) -> None:
        try:
            with stream:
                for line in stream:
                    self._hear(line)
        finally:  # whatever became of it: nobody may wait for ever
            with self._lock:
                self._over = True
                waiting = list(self._waiting.values())
            for each in (self._greetings, *waiting):
                each.put(None)

    def _hear(self, line: bytes) -> None:
        try:
            message = wire.decode(line)
        except ValueError:
            self._say(line)
        else:
            self._take(message)

    def _take(self, message: Mapping[str, Any]) -> None:
        event = message.get("event")
        if event in ("hello", "ready", "unfit"):
            self._greetings.put(message)
        elif event is not None:
            self._on_event(message)
        else:
            with self._lock:
                mine = self._waiting.get(message.get("id", 0))
            if mine is not None:
                mine.put(message)

    def _tell(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._say(line)

    def _say(self, line: bytes) -> None:
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        self._tail = [*self._tail[-_TAIL + 1 :], text]
        self._on_text(text)

    def _ended(self) -> NoAnswer:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        return NoAnswer(
            f"the process of the SageMaker SDK's local mode has ended: exit code "
            f"{self._process.returncode}",
            remedy="what it ran is stopped; start again",
            log_tail=self._tail,
        )


def python_command(python: str, program: os.PathLike[str]) -> list[str]:
    """What starts the driver under an interpreter."""
    return [python, str(program), "serve"]
