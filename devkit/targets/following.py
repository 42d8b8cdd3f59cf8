"""Waiting for what SageMaker does: a job's phases and log lines, an endpoint's states."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from devkit.job import Phase
from devkit.progress import Observer
from devkit.targets.clients import CallFailed, Clients, is_gone

JOBS = "/aws/sagemaker/TrainingJobs"
ENDED = ("Completed", "Failed", "Stopped")
_TAIL = 20
_PAGES = 1000


class Lines:
    """The log lines of a job or an endpoint, from CloudWatch, each once and in order.

    Args:
        clients: Asked.
        group: The log group.
        prefix: What the names of its streams begin with.
        on_line: Given the stream's last part, as a host, and the line.
    """

    def __init__(
        self, clients: Clients, group: str, prefix: str, on_line: Callable[[str, str], None]
    ) -> None:
        self._clients = clients
        self._group, self._prefix = group, prefix
        self._on_line = on_line
        self._tokens: dict[str, str | None] = {}
        self.tail: list[str] = []
        """The last lines."""

    def read(self) -> None:
        """Give what has come; nothing where there is no log yet.

        Raises:
            CallFailed: It cannot be read.
        """
        for stream in self._streams():
            for _ in range(_PAGES):
                if not self._page(stream):
                    break

    def _streams(self) -> list[str]:
        request = {"logGroupName": self._group}
        if self._prefix:
            request["logStreamNamePrefix"] = self._prefix
        try:
            found = self._clients.call("logs", "DescribeLogStreams", request)
        except CallFailed as error:
            if is_gone(error):
                return []
            raise
        return sorted(each["logStreamName"] for each in found.get("logStreams", ()))

    def _page(self, stream: str) -> bool:
        """Give the next page; whether there may be another."""
        token = self._tokens.get(stream)
        request = {
            "logGroupName": self._group,
            "logStreamName": stream,
            "startFromHead": True,
            **({"nextToken": token} if token else {}),
        }
        page = self._clients.call("logs", "GetLogEvents", request)
        host = stream.removeprefix(self._prefix).rsplit("-", maxsplit=1)[0]
        for event in page.get("events", ()):
            line = str(event["message"]).rstrip("\n")
            self.tail = [*self.tail[-_TAIL + 1 :], line]
            self._on_line(host or stream, line)
        following = page.get("nextForwardToken")
        self._tokens[stream] = following
        return bool(page.get("events")) and following != token


class JobFollower:
    """Follows a training job to its end.

    Args:
        clients: Asked.
        observer: Is told.
        poll_s: How long to wait between two looks.
        with_logs: Whether its lines are to be had from CloudWatch.
        sleep: Waits.
    """

    def __init__(
        self,
        clients: Clients,
        observer: Observer,
        *,
        poll_s: float,
        with_logs: bool,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clients = clients
        self._observer = observer
        self._poll_s = poll_s
        self._with_logs = with_logs
        self._sleep = sleep

    def follow(self, name: str) -> tuple[Mapping[str, Any], list[str]]:
        """Its last description, and its last lines.

        Raises:
            CallFailed: It cannot be looked at.
        """
        self._lines = Lines(self._clients, JOBS, f"{name}/", self._observer.line)
        told = None
        while True:
            job = self._clients.call("sagemaker", "DescribeTrainingJob", {"TrainingJobName": name})
            self._read()
            secondary = job.get("SecondaryStatus")
            if secondary != told:
                told = secondary
                with suppress(ValueError):  # one that only the cloud has, such as Interrupted
                    self._observer.phase(Phase(secondary))
            if job["TrainingJobStatus"] in ENDED:
                self._read()
                return job, self._lines.tail
            self._sleep(self._poll_s)

    def _read(self) -> None:
        """A log that cannot be read keeps no job from being followed."""
        if not self._with_logs:
            return
        try:
            self._lines.read()
        except CallFailed as error:
            self._with_logs = False
            self._observer.note(f"the log cannot be read: {error.message}")
