"""Pipe mode: named pipes ``<channel>_0``, ``<channel>_1``, … fed epoch by epoch (§1.6)."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from devkit.channels import fifo, selection, streaming
from devkit.channels.items import Item
from devkit.channels.plan import ChannelPlan, Host, InputMode
from devkit.errors import ConfigError, DevkitError

OnError = Callable[[DevkitError], None]

# How long a stop waits for the thread, which looks for it every few milliseconds unless S3 keeps
# it waiting; then it ends by itself later.
_JOIN_S = 0.08


class PipeFeeder:
    """Feeds one channel to one host, from a thread of its own, as often as its program asks.

    The pipe of an epoch waits for its reader without end. As soon as it is opened, the next
    epoch's pipe is there: a program that has read one to its end, or closed it early, finds the
    next one at once (SageMaker may let it wait; programs have to retry). The pipe of an epoch that
    was read or given up is removed.

    Args:
        folder: An existing host folder, which the container sees as ``/opt/ml/input/data``. It
            must be mounted, not copied.
        plan: A channel with InputMode Pipe.
        items: What :func:`devkit.channels.selection.select` found for it.
        host: Whose pipes; the only host's where it is left out.
        on_error: Told at once, from the feeder's thread and before the reader sees the end of the
            data, when an epoch could not be fed whole. The caller's moment to kill the program.
        platform: As ``sys.platform``.

    Raises:
        ConfigError: There are no named pipes here.
    """

    def __init__(
        self,
        folder: Path,
        plan: ChannelPlan,
        items: Sequence[Item],
        *,
        host: Host | None = None,
        on_error: OnError | None = None,
        platform: str = sys.platform,
    ) -> None:
        if platform == "win32":
            raise ConfigError(
                f"channel {plan.name!r}: InputMode Pipe needs named pipes, which Windows lacks",
                remedy="use InputMode File or FastFile, or run devkit on Linux, macOS or WSL",
            )
        if plan.input_mode is not InputMode.PIPE:
            raise ValueError(f"channel {plan.name!r} has InputMode {plan.input_mode.value}")
        self._folder = folder
        self._plan = plan
        self._items = items
        self._host = host or Host()
        self._on_error = on_error
        self._error: DevkitError | None = None
        self._stop = threading.Event()
        self._pipes: set[Path] = set()
        self._making = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"pipe {plan.name}", daemon=True)

    def start(self) -> None:
        """Make the first pipe and begin to wait for its reader; once only.

        Raises:
            DevkitError: The pipe cannot be made.
        """
        try:
            self._make(0)
        except OSError as error:
            raise self._explained(error) from error
        self._thread.start()

    def check(self) -> None:
        """Raise what has gone wrong so far, if anything has.

        Raises:
            DevkitError: An epoch could not be fed whole: what the program read is not its data.
        """
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End within a tenth of a second, wherever the feeding is, and remove the pipes.

        Raises:
            DevkitError: As :meth:`check`.
        """
        with self._making:
            self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)
        for pipe in tuple(self._pipes):
            pipe.unlink(missing_ok=True)
        self.check()

    def __enter__(self) -> PipeFeeder:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; what has gone wrong in the feeding does not hide another error."""
        try:
            self.stop()
        except DevkitError:
            if error is None:
                raise

    def _run(self) -> None:
        try:
            for epoch in itertools.count():
                self._serve(epoch)
        except fifo.Stopped:
            pass
        except Exception as error:  # nobody else sees this thread's errors
            self._fail(error)

    def _serve(self, epoch: int) -> None:
        pipe = self._pipe(epoch)
        descriptor = fifo.open_for_reader(pipe, self._stop)
        try:
            self._make(epoch + 1)
            self._feed(descriptor, epoch)
        except fifo.ReaderGone:
            pass
        except fifo.Stopped:
            raise
        except Exception as error:
            self._fail(error)
            raise fifo.Stopped from error
        finally:
            # In this order, so that at the end of its data a program finds the next pipe only.
            pipe.unlink(missing_ok=True)
            self._pipes.discard(pipe)
            os.close(descriptor)

    def _feed(self, descriptor: int, epoch: int) -> None:
        for item in selection.arrange(self._plan, self._items, self._host, epoch):
            for data in streaming.chunks(self._plan, item):
                fifo.write(descriptor, data, self._stop)

    def _pipe(self, epoch: int) -> Path:
        return self._folder / f"{self._plan.name}_{epoch}"

    def _make(self, epoch: int) -> None:
        with self._making:
            if self._stop.is_set():
                raise fifo.Stopped
            pipe = self._pipe(epoch)
            fifo.make(pipe)
            self._pipes.add(pipe)

    def _fail(self, error: Exception) -> None:
        self._error = self._explained(error)
        if self._on_error is not None:
            self._on_error(self._error)

    def _explained(self, error: Exception) -> DevkitError:
        kind = ConfigError if isinstance(error, ConfigError) else DevkitError
        said = error.message if isinstance(error, DevkitError) else str(error)
        explained = kind(
            f"channel {self._plan.name!r} could not be fed to its pipe: {said}",
            remedy=error.remedy if isinstance(error, DevkitError) else None,
        )
        explained.__cause__ = error
        return explained
