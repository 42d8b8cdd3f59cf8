"""The lines of jobs and endpoints as CloudWatch Logs gives them: for whom asks ``logs``.

The same code that reads a job's lines in AWS reads them here: two operations, and as much of them
as that takes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devkit.targets.clients import CallFailed

GROUPS = {"job": "/aws/sagemaker/TrainingJobs", "endpoint": "/aws/sagemaker/Endpoints/{name}"}
_PAGE = 10_000
_FORWARD = "f/"


@dataclass
class _Stream:
    name: str
    events: list[dict[str, Any]] = field(default_factory=list)


class Logs:
    """Lines, by log group and stream."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[str, dict[tuple[str, str], _Stream]] = {}

    def add(self, kind: str, name: str, host: str, line: str) -> None:
        """A container wrote a line."""
        now_ms = int(time.time() * 1000)
        group = GROUPS[kind].format(name=name)
        with self._lock:
            streams = self._groups.setdefault(group, {})
            stream = streams.get((name, host))
            if stream is None:
                stream = streams[name, host] = _Stream(f"{name}/{host}-{now_ms}")
            stream.events.append({"timestamp": now_ms, "message": line, "ingestionTime": now_ms})

    def knows(self, group: str) -> bool:
        """Whether there is such a log group here."""
        return group in self._groups

    def call(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """``DescribeLogStreams`` or ``GetLogEvents``.

        Raises:
            CallFailed: There is no such stream.
        """
        with self._lock:
            streams = list(self._groups[parameters["logGroupName"]].values())
            if operation == "DescribeLogStreams":
                return {"logStreams": _described(streams, parameters)}
            for stream in streams:
                if stream.name == parameters["logStreamName"]:
                    return _page(stream, parameters)
        raise CallFailed(
            operation, "ResourceNotFoundException", "The specified log stream does not exist."
        )


def _described(streams: list[_Stream], parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    prefix = parameters.get("logStreamNamePrefix", "")
    names = sorted(stream.name for stream in streams if stream.name.startswith(prefix))
    return [{"logStreamName": name} for name in names]


def _page(stream: _Stream, parameters: Mapping[str, Any]) -> dict[str, Any]:
    token = parameters.get("nextToken")
    limit = parameters.get("limit", _PAGE)
    if token is None and not parameters.get("startFromHead"):
        begin = max(0, len(stream.events) - limit)
    else:
        begin = int(token.removeprefix(_FORWARD)) if token else 0
    events = stream.events[begin : begin + limit]
    return {"events": events, "nextForwardToken": f"{_FORWARD}{begin + len(events)}"}
