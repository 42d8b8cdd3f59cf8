"""What containers write: kept line by line, searched for metrics, shown as it comes."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

from devkit.engines.base import Container
from devkit.job import MetricDefinition
from devkit.metrics import MetricScanner
from devkit.progress import Observer, Silent
from devkit.store import Run, natural

TAIL_LINES = 20
_POLL_S = 0.02


class LogRecord:
    """Keeps one instance's lines in ``logs/`` and its metric samples in ``metrics/``."""

    def __init__(self, run: Run, instance: str, metrics: Iterable[MetricDefinition] = ()) -> None:
        self.instance = instance
        self.scanner = MetricScanner(metrics)
        self._log = run.log(instance)
        self._metrics = run.metrics / f"{instance}.jsonl"

    def keep(self, lines: Iterable[str], observer: Observer) -> None:
        """Write all lines, from the first one on, and tell the observer of each.

        What an earlier, broken-off call wrote is replaced.
        """
        self.scanner.last.clear()
        self._metrics.parent.mkdir(exist_ok=True)
        with ExitStack() as stack:
            log = stack.enter_context(self._log.open("w", encoding="utf-8"))
            metrics = stack.enter_context(self._metrics.open("w", encoding="utf-8"))
            for line in lines:
                log.write(f"{line}\n")
                log.flush()
                observer.line(self.instance, line)
                for sample in self.scanner.scan(line, datetime.now(timezone.utc)):
                    row = {"name": sample.name, "value": sample.value}
                    metrics.write(json.dumps(row | {"time": sample.time.isoformat()}) + "\n")
                    metrics.flush()
                    observer.sample(sample)

    def complete(self, container: Container) -> None:
        """Keep everything that an ended container wrote.

        Raises:
            OSError: The log cannot be written.
            EngineError: The engine cannot give it.
        """
        self.keep(container.lines(), Silent())


class LogPump:
    """A thread that keeps a container's lines while others wait for its end.

    ``on_end`` is called from that thread when the container has ended and all its lines are kept,
    or could not be.
    """

    def __init__(
        self,
        container: Container,
        record: LogRecord,
        observer: Observer,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.record = record
        self._container = container
        self._observer = observer
        self._on_end = on_end
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"log of {record.instance}", daemon=True
        )

    def start(self) -> None:
        """Begin; once only."""
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
            self.record.complete(self._container)

    def _run(self) -> None:
        try:
            self.record.keep(self._container.lines(), self._observer)
        except BaseException as error:
            self._error = error
        finally:
            self._on_end()


def tail(run: Run, instance: str | None = None, *, count: int = TAIL_LINES) -> list[str]:
    """The last lines of an instance of a run; of the one that wrote last by default."""
    logs = [run.log(instance)] if instance else sorted(run.logs.glob("*.log"), key=_written)
    for path in logs[-1:]:
        with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=count)]
    return []


def follow(
    run: Run,
    running: Callable[[], bool],
    *,
    named: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """The lines of a run from the first one on, live until it is not ``running`` any more.

    ``named`` puts the instance before each line.
    """
    with ExitStack() as stack:
        files: dict[Path, IO[str]] = {}
        while True:
            last_round = not running()
            for path in sorted(run.logs.glob("*.log"), key=lambda log: natural(log.stem)):
                if path not in files:
                    files[path] = stack.enter_context(path.open(encoding="utf-8", errors="replace"))
                for line in files[path]:
                    yield f"{path.stem} │ {line.rstrip()}" if named else line.rstrip("\n")
            if last_round:
                return
            sleep(_POLL_S)


def _written(log: Path) -> int:
    return log.stat().st_mtime_ns
