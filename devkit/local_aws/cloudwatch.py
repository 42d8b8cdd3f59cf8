"""Lines and metrics of what runs, on their way to CloudWatch, which is moto's.

Whoever has a line hands it in and goes on; a thread sends what has come, many at a time.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from devkit.local_aws.errors import AwsError
from devkit.local_aws.services import Backend

Tell = Callable[[str, str, Mapping[str, Any]], object]
"""Calls an operation of a service, and waits for its answer."""

# For how long things are gathered; and sending them takes at most this part of the time, as a call
# takes some milliseconds of the process that answers requests.
_GATHER_S = 0.05
_LONGEST_GATHER_S = 1.0
_SENDING_PART = 0.02
_EVENTS = 10_000
_BATCH_BYTES = 1_000_000
_EVENT_BYTES = 250_000
_EVENT_OVERHEAD_BYTES = 26
_METRICS = 1000
_EXISTS = "ResourceAlreadyExistsException"


@dataclass(frozen=True)
class _Line:
    stream: str
    text: str
    at_ms: int


@dataclass(frozen=True)
class _Stream:
    name: str


@dataclass(frozen=True, kw_only=True)
class Datum:
    """A value of a metric."""

    name: str
    value: float
    time: datetime
    namespace: str
    dimensions: Mapping[str, str]

    def parameters(self) -> dict[str, Any]:
        """An entry of PutMetricData."""
        dimensions = [{"Name": name, "Value": value} for name, value in self.dimensions.items()]
        return {
            "MetricName": self.name,
            "Dimensions": dimensions,
            "Value": self.value,
            "Timestamp": self.time,
        }


_Thing: TypeAlias = "_Line | _Stream | Datum"


class CloudWatch:
    """One log group, and metrics; may be told from several threads.

    Args:
        group: The log group; made with its first stream.
        tell: Calls an operation.
        on_problem: Told once where CloudWatch does not take something.
        clock: The time.
    """

    def __init__(
        self,
        group: str,
        tell: Tell,
        on_problem: Callable[[str], None],
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._group = group
        self._tell = tell
        self._on_problem = on_problem
        self._clock = clock
        self._things: SimpleQueue[_Thing] = SimpleQueue()
        self._closing = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, name=f"to {group}", daemon=True)
        self._thread.start()

    def open(self, stream: str) -> None:
        """Make a stream; lines for it come afterwards."""
        self._things.put(_Stream(stream))

    def line(self, stream: str, text: str) -> None:
        """Something wrote a line."""
        self._things.put(_Line(stream, text, int(self._clock().timestamp() * 1000)))

    def datum(self, datum: Datum) -> None:
        """A metric has a value; one that is no number is passed over, as CloudWatch refuses it."""
        if math.isfinite(datum.value):
            self._things.put(datum)

    def close(self) -> None:
        """Send what is left, and wait until it is there; nothing is handed in any more."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        closing, took_s = False, 0.0
        while not closing:
            gather_s = min(max(_GATHER_S, took_s / _SENDING_PART), _LONGEST_GATHER_S)
            closing = self._closing.wait(gather_s)
            begun = time.monotonic()
            things = list(self._waiting())
            for stream in (each for each in things if isinstance(each, _Stream)):
                self._send("logs", "CreateLogGroup", {"logGroupName": self._group})
                names = {"logGroupName": self._group, "logStreamName": stream.name}
                self._send("logs", "CreateLogStream", names)
            self._send_lines([each for each in things if isinstance(each, _Line)])
            self._send_metrics([each for each in things if isinstance(each, Datum)])
            took_s = time.monotonic() - begun

    def _waiting(self) -> Iterator[_Thing]:
        with suppress(Empty):
            while True:
                yield self._things.get_nowait()

    def _send_lines(self, lines: Sequence[_Line]) -> None:
        for stream in dict.fromkeys(line.stream for line in lines):
            for events in batches(line for line in lines if line.stream == stream):
                self._send(
                    "logs",
                    "PutLogEvents",
                    {
                        "logGroupName": self._group,
                        "logStreamName": stream,
                        "logEvents": events,
                    },
                )

    def _send_metrics(self, data: Sequence[Datum]) -> None:
        for namespace in dict.fromkeys(each.namespace for each in data):
            entries = [each.parameters() for each in data if each.namespace == namespace]
            for first in range(0, len(entries), _METRICS):
                self._send(
                    "cloudwatch",
                    "PutMetricData",
                    {"Namespace": namespace, "MetricData": entries[first : first + _METRICS]},
                )

    def _send(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        try:
            self._tell(service, operation, parameters)
        except Exception as error:  # what runs goes on, whatever becomes of its log
            if isinstance(error, AwsError) and error.code == _EXISTS:
                return
            if not self._failed:
                self._failed = True
                self._on_problem(f"{self._group}: {service}.{operation} failed: {error}")


def teller(backend: Backend, loop: asyncio.AbstractEventLoop, region: str) -> Tell:
    """Calls operations of a backend that belongs to an event loop, from threads."""

    def tell(service: str, operation: str, parameters: Mapping[str, Any]) -> object:
        asked = backend.ask(service, operation, parameters, region=region)
        return asyncio.run_coroutine_threadsafe(asked, loop).result()

    return tell


def batches(lines: Iterator[_Line]) -> Iterator[list[dict[str, Any]]]:
    """Log events as PutLogEvents takes them: what is too long for one event becomes several."""
    events: list[dict[str, Any]] = []
    size = 0
    for line in lines:
        for message in _messages(line.text):
            weight = len(message.encode()) + _EVENT_OVERHEAD_BYTES
            if events and (len(events) == _EVENTS or size + weight > _BATCH_BYTES):
                yield events
                events, size = [], 0
            events.append({"timestamp": line.at_ms, "message": message})
            size += weight
    if events:
        yield events


def _messages(text: str) -> Iterator[str]:
    """A line as messages; an empty one, which CloudWatch refuses, is a blank."""
    data = text.encode(errors="replace")
    if len(data) <= _EVENT_BYTES:
        yield text or " "
        return
    while data:
        part = data[:_EVENT_BYTES].decode(errors="ignore")
        yield part
        data = data[len(part.encode()) :]
