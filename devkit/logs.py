"""What containers write: kept line by line, searched for metrics, shown as it comes."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime, timezone

from devkit.engines.base import Container
from devkit.job import MetricDefinition
from devkit.metrics import MetricScanner
from devkit.progress import Observer, Silent
from devkit.store import Run

TAIL_LINES = 20
_POLL_S = 0.02


class LogRecord:
    """Keeps one host's lines in ``logs/<host>.log`` and its metrics in ``metrics.jsonl``."""

    def __init__(self, run: Run, host: str, metrics: Iterable[MetricDefinition] = ()) -> None:
        self.host = host
        self.scanner = MetricScanner(metrics)
        self._log = run.logs / f"{host}.log"
        self._metrics = run.folder / "metrics.jsonl"

    def keep(self, lines: Iterable[str], observer: Observer) -> None:
        """Write all lines, from the first one on, and tell the observer of each.

        What an earlier, broken-off call wrote is replaced.
        """
        self.scanner.last.clear()
        with ExitStack() as stack:
            log = stack.enter_context(self._log.open("w", encoding="utf-8"))
            metrics = stack.enter_context(self._metrics.open("w", encoding="utf-8"))
            for line in lines:
                log.write(f"{line}\n")
                log.flush()
                observer.line(self.host, line)
                for sample in self.scanner.scan(line, datetime.now(timezone.utc)):
                    row = {"name": sample.name, "value": sample.value}
                    metrics.write(json.dumps(row | {"time": sample.time.isoformat()}) + "\n")
                    metrics.flush()
                    observer.sample(sample)


class LogPump:
    """A thread that keeps a container's lines while others wait for its end."""

    def __init__(self, container: Container, record: LogRecord, observer: Observer) -> None:
        self.record = record
        self._container = container
        self._observer = observer
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"log of {record.host}", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the container has ended and all its lines are kept (or could not be)."""
        return not self._thread.is_alive()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until :attr:`ended`; whether it is."""
        self._thread.join(timeout_s)
        return self.ended

    def complete(self) -> None:
        """Make sure that every line is kept, once the container has ended.

        Where the thread broke off (a full disk, an engine that went away), all lines are read from
        the engine again.

        Raises:
            OSError: The log cannot be written.
            EngineError: The engine cannot give it.
        """
        self._thread.join()
        if self._error is not None:
            self._error = None
            self.record.keep(self._container.lines(), Silent())

    def _run(self) -> None:
        try:
            self.record.keep(self._container.lines(), self._observer)
        except BaseException as error:
            self._error = error


def tail(run: Run, count: int = TAIL_LINES) -> list[str]:
    """The last lines of a run, of all hosts together."""
    lines: list[str] = []
    for path in sorted(run.logs.glob("*.log")):
        with path.open(encoding="utf-8", errors="replace") as file:
            lines.extend(line.rstrip("\n") for line in deque(file, maxlen=count))
    return lines[-count:]


def follow(
    run: Run, running: Callable[[], bool], *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """The lines of a run from the first one on, live until it is not ``running`` any more."""
    with ExitStack() as stack:
        files = {}
        while True:
            last_round = not running()
            for path in sorted(run.logs.glob("*.log")):
                if path not in files:
                    files[path] = stack.enter_context(path.open(encoding="utf-8", errors="replace"))
                for line in files[path]:
                    yield line.rstrip("\n")
            if last_round:
                return
            sleep(_POLL_S)
