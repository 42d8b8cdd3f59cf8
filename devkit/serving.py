"""A server on an engine: what SageMaker does around a hosting container."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from devkit import contract, opt_ml
from devkit.attempt import Attempt, GivenUp
from devkit.channels.s3_reading import S3Client
from devkit.debug_port import DebugPort
from devkit.engines.base import Engine
from devkit.errors import InvocationFailed
from devkit.finishing import Ending
from devkit.fleet import Fleet
from devkit.job import ServeSpec, Status
from devkit.progress import Observer
from devkit.replacement import Edits, Replacement
from devkit.runtime_client import Reply, decode, encode, invoke
from devkit.s3 import no_s3
from devkit.store import Run, Store, store_errors
from devkit.watching import Watch, files_snapshot, folder_snapshot

if TYPE_CHECKING:
    from devkit.front.entrance import Entrance


class Server:
    """A server in service, which devkit keeps so: one that turns bad is replaced (§2.3).

    Its address is the same whichever instance answers.
    """

    def __init__(self, run: Run, entrance: Entrance, keeper: _Keeper) -> None:
        self.run = run
        self.address = entrance.address
        self.url = entrance.url
        """``/invocations`` is below it."""
        self._keeper = keeper

    @property
    def name(self) -> str:
        """The server's name."""
        return self.run.name

    def invoke(
        self, data: Any, *, content_type: str | None = None, accept: str | None = None
    ) -> Any:
        """Ask for a prediction.

        Args:
            data: Bytes or text are sent as they are; anything else as JSON.
            content_type: Of ``data``; ``application/json`` unless said otherwise.
            accept: What the answer should be.

        Returns:
            The answer: decoded where it is JSON, else text where it is text, else bytes.

        Raises:
            InvocationFailed: The server answered with an error, not in time, or not at all.
        """
        return decode(self.reply(data, content_type=content_type, accept=accept))

    def reply(
        self, data: Any, *, content_type: str | None = None, accept: str | None = None
    ) -> Reply:
        """Ask for a prediction, as :meth:`invoke` does; the answer as it comes.

        Raises:
            InvocationFailed: The server answered with an error, not in time, or not at all.
        """
        body = encode(data)
        try:
            return invoke(
                self.address, body, content_type=content_type or "application/json", accept=accept
            )
        except InvocationFailed as error:
            if error.status is None:
                error.log_tail = tuple(self._keeper.tail())
            raise

    def wait(self) -> NoReturn:
        """Keep the server in service until Ctrl-C or SIGTERM (or for ever)."""
        self._keeper.wait()

    @property
    def running(self) -> bool:
        """Whether an instance is in service now; another one may be on its way."""
        return self._keeper.replacement.current is not None

    @property
    def restarts(self) -> int:
        """How often an instance that had turned bad was replaced."""
        return self._keeper.replacement.counts.restarts

    @property
    def reloads(self) -> int:
        """How often an edit of the program went live."""
        return self._keeper.replacement.counts.reloads


@contextmanager
def serve(
    spec: ServeSpec,
    *,
    engine: Engine,
    store: Store,
    observer: Observer,
    s3: Callable[[], S3Client] = no_s3,
    open_entrance: Callable[[ServeSpec], Entrance] | None = None,
    given_up: Callable[[], bool] = lambda: False,
) -> Iterator[Server]:
    """Start a server, wait until its ping is good, and stop it at the end of the block.

    Args:
        spec: The server.
        engine: Runs it.
        store: Keeps it.
        observer: Is told of everything.
        s3: Gives the client for a model in S3.
        open_entrance: Gives what clients talk to; a port of 127.0.0.1 by default.
        given_up: Whether it is not wanted any more; asked from other threads while it comes up.

    Raises:
        GivenUp: It was given up before its ping was good.
        NotFound: Its model is not in S3.
        DevkitError: Its model is none that SageMaker deploys, or could not be fetched.
        ServingFailed: It died, or its ping was not good in time.
        EngineError: The engine could not run it.
        PortInUse: ``spec.host_port`` or ``spec.debug_port`` is taken.
    """
    attempt = Attempt(
        "server",
        spec.name,
        image=spec.image,
        request={
            "model": None if spec.model is None else str(spec.model),
            "environment": dict(spec.environment),
            "local_aws": spec.local_aws,
        },
        grace_s=contract.SERVE_STOP_GRACE_S,
        engine=engine,
        store=store,
        observer=observer,
    )
    hosting = _Hosting(spec, attempt, store, s3, open_entrance or _open_entrance, given_up)
    in_service = False
    try:
        server = hosting.start()
        in_service = True
        yield server
        in_service = False
        hosting.wind_down()
        attempt.stop(attempt.instances.left(), contract.SERVE_STOP_GRACE_S)
        attempt.finish(Ending(Status.STOPPED))
    except BaseException as error:
        try:
            hosting.wind_down()
        finally:
            attempt.unwind(error, in_service=in_service)
        raise
    finally:
        hosting.close()


class _Hosting:
    """What there is besides the containers of a server: who keeps it, and what leads to it."""

    def __init__(
        self,
        spec: ServeSpec,
        attempt: Attempt,
        store: Store,
        s3: Callable[[], S3Client],
        open_entrance: Callable[[ServeSpec], Entrance],
        given_up: Callable[[], bool],
    ) -> None:
        self._spec, self._attempt, self._store, self._s3 = spec, attempt, store, s3
        self._open_entrance, self._given_up = open_entrance, given_up
        self._debug_port: DebugPort | None = None
        self._fleet: Fleet | None = None
        self._entrance: Entrance | None = None
        self._keeper: _Keeper | None = None

    def start(self) -> Server:
        """Start the first instance, and wait until its ping is good.

        Raises:
            ServingFailed: It died, or its ping was not good in time.
            GivenUp: It is not wanted any more.
        """
        spec, attempt = self._spec, self._attempt
        self._require_wanted()
        with store_errors(self._store.root):
            model = opt_ml.for_serving(attempt.run.opt_ml, spec.model, self._s3)
        self._require_wanted()
        edits = _edits(spec)
        if spec.debug_port is not None:
            self._debug_port = DebugPort(spec.debug_port)
        self._fleet = fleet = Fleet(
            spec, attempt, model, debug_port=self._debug_port, given_up=self._given_up
        )
        first = fleet.start()
        self._entrance = entrance = self._open_entrance(spec)  # while the container comes up
        problem = first.probe.start_up.result()
        self._require_wanted()
        if problem is not None:
            raise fleet.failure(first, problem)
        entrance.switch(first.address)
        if edits is not None:
            fleet.warn_of_another_program(first)
        replacement = Replacement(first, fleet, entrance, observer=attempt.observer, edits=edits)
        self._keeper = _Keeper(replacement, fleet, attempt.observer)
        with store_errors(self._store.root):
            attempt.run.write("state", {"url": entrance.url, "pid": os.getpid()})
        self._store.index(attempt.run)
        return Server(attempt.run, entrance, self._keeper)

    def _require_wanted(self) -> None:
        if self._given_up():
            raise GivenUp

    def wind_down(self) -> None:
        """Replace nothing any more, and take no more requests; those in flight are waited for."""
        if self._keeper is not None:
            self._keeper.stop()
        if self._fleet is not None:
            self._fleet.close()
        if self._entrance is not None:
            self._entrance.stop(contract.SERVE_STOP_GRACE_S)

    def close(self) -> None:
        """Listen no more."""
        for each in (self._entrance, self._debug_port):
            if each is not None:
                each.close()


class _Keeper:
    """The thread that keeps a server in service."""

    def __init__(self, replacement: Replacement, fleet: Fleet, observer: Observer) -> None:
        self.replacement = replacement
        self._fleet, self._observer = fleet, observer
        self._last = replacement.current
        self._stopping = threading.Event()
        self._broken = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def wait(self) -> NoReturn:
        """Wait for ever; what goes wrong in the thread is raised here."""
        while True:
            self._broken.wait()
            if self._error is not None:
                raise self._error

    def stop(self) -> None:
        """Keep it no more."""
        self._stopping.set()
        self._thread.join()

    def tail(self) -> list[str]:
        """The last lines of the instance in service, or of the one that was."""
        last = self.replacement.current or self._last
        return [] if last is None else self._fleet.tail(last)

    def _run(self) -> None:
        try:
            while not self._stopping.wait(self.replacement.step()):
                self._last = self.replacement.current or self._last
        except BaseException as error:
            self._error = error
            self._broken.set()
            self._observer.note(f"the server is not kept in service any more: {error!r}")


def _open_entrance(spec: ServeSpec) -> Entrance:
    """What clients talk to, listening: what SageMaker has before a container, or a mere relay."""
    if spec.profile is None:
        from devkit.front.relay import Relay  # noqa: PLC0415 - as below

        return Relay(spec.host_port)
    from devkit.front.limits import PROFILES  # noqa: PLC0415 - aiohttp takes 0.2 s
    from devkit.front.server import Front  # noqa: PLC0415

    limits = PROFILES[spec.profile]  # type: ignore[index]  # the settings have checked it
    front = Front(name=spec.name, limits=limits, listener_port=spec.host_port)
    front.start(None)
    return front


def _edits(spec: ServeSpec) -> Edits | None:
    """What to watch, as it is before the first instance starts."""
    if not spec.reload or spec.image.program is None:
        return None
    return Edits(
        program=Watch(partial(folder_snapshot, spec.image.program)),
        build=Watch(partial(files_snapshot, spec.build_files)),
    )
