"""The endpoint as a server: a thread with an event loop, its sockets, and all that answers.

::

    with LocalAws() as aws:
        boto3.client("sts", endpoint_url=aws.url, …)
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from devkit.engines.base import EngineName
from devkit.errors import PortInUse
from devkit.event_loop import LoopThread, accept_no_more
from devkit.local_aws import identity
from devkit.local_aws.errors import new_request_id
from devkit.local_aws.journal import FORGOTTEN, Journal
from devkit.local_aws.listener import Listener, OnEvent, Services
from devkit.local_aws.models import Models
from devkit.local_aws.moto_app import Moto, Replay
from devkit.local_aws.moto_s3 import MotoS3
from devkit.local_aws.services import Call, Direct, Finishing, Objects, RawService, Service
from devkit.ports import BACKLOG, LOOPBACK, listen

CONTAINER_HOST = "host.docker.internal"
GRACE_S = 5.0
_CLOSE_S = 0.1
_ONE_A_PROCESS = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the endpoint is started with."""

    port: int = 0
    """On 127.0.0.1; 0 takes a free one."""
    bridge: str | None = None
    """An address on which containers reach this machine. Where it is none of this machine's own
    there is no need to listen on it: engines that live in a virtual machine have
    ``host.docker.internal`` instead."""
    journal: Path | None = None
    """Where what moto is told is kept; ``None`` forgets it."""
    s3_folder: Path | None = None
    """Where S3's buckets are folders, and their objects files; ``None`` keeps them in memory."""
    services: Sequence[Service] = ()
    """Live services, besides STS and IAM."""
    direct: Sequence[Direct] = ()
    """Asked before any service is."""
    raw: Mapping[str, RawService] = field(default_factory=dict)
    """By signing name; S3 is moto's where there is no other."""


class LocalAws:
    """The endpoint; a context manager, or :meth:`start` and :meth:`stop`.

    Args:
        options: What it is started with.
        on_event: Called from the endpoint's thread with a line per request.
    """

    def __init__(
        self, options: Options | None = None, *, on_event: OnEvent = lambda _line: None
    ) -> None:
        self._options = options or Options()
        self._on_event = on_event
        self._running: _Running | None = None
        self._thread: LoopThread | None = None

    def __enter__(self) -> LocalAws:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Listen; the first requests are answered while moto is still being imported.

        Raises:
            PortInUse: Another program listens there.
            RuntimeError: There is one in this process: what moto holds is global.
        """
        if not _ONE_A_PROCESS.acquire(blocking=False):
            raise RuntimeError("there is a local AWS in this process already, and moto is only one")
        with ExitStack() as stack:
            stack.callback(_ONE_A_PROCESS.release)
            listening = stack.enter_context(listen(self._options.port))
            bridged = _listen_on_bridge(listening, self._options.bridge)
            if bridged is not None:
                stack.enter_context(bridged)
            thread = LoopThread("local aws")
            stack.callback(thread.end)
            running = _Running(self._options, listening, self._on_event)
            thread.call(running.open(listening, bridged))
            stack.pop_all()
        self._running, self._thread = running, thread

    def stop(self, grace_s: float = GRACE_S) -> None:
        """End everything that was started; requests in flight have this long to finish.

        Stopping twice is not an error.
        """
        running, thread = self._running, self._thread
        self._running = self._thread = None
        if running is not None and thread is not None:
            try:
                thread.call(running.close(grace_s))
            finally:
                thread.end()
                _ONE_A_PROCESS.release()

    def wait_for_moto(self) -> Replay:
        """Wait until moto is there as it was.

        Raises:
            ConfigError: It is not installed.
        """
        running, thread = self._require_running()
        return thread.call(running.backend.ready())

    def make(
        self, service: str, operation: str, parameters: Mapping[str, Any], *, seed: str
    ) -> dict[str, Any]:
        """Make something in moto that is made anew with every start; see ``Moto.make``."""
        running, thread = self._require_running()
        return thread.call(running.backend.make(service, operation, parameters, seed=seed))

    def call(
        self, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Call an operation, as a client does whose parameters are sound.

        Args:
            service: By botocore's name.
            operation: Such as ``CreateModel``.
            parameters: Its parameters.

        Returns:
            The members of the answer.

        Raises:
            AwsError: It is an error.
        """
        running, thread = self._require_running()
        return thread.call(running.call(service, operation, parameters))

    @property
    def not_kept(self) -> list[str]:
        """What is forgotten with every end."""
        return self._require_running()[0].not_kept()

    @property
    def url(self) -> str:
        """For processes of this machine."""
        return self._require_running()[0].url

    def url_for(self, engine: EngineName) -> str:
        """For a container of this engine."""
        return self._require_running()[0].url_for(engine)

    def _require_running(self) -> tuple[_Running, LoopThread]:
        if self._running is None or self._thread is None:
            raise RuntimeError("the local AWS is not started")
        return self._running, self._thread


def _listen_on_bridge(listening: socket.socket, bridge: str | None) -> socket.socket | None:
    """The same port of the bridge; ``None`` where this machine does not have that address.

    Raises:
        PortInUse: Another program listens there.
    """
    if bridge is None:
        return None
    try:
        return listen(listening.getsockname()[1], bridge)
    except PortInUse:
        raise
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            return None
        raise


class _Running:
    """What lives in the thread."""

    backend: Moto
    _listener: Listener

    def __init__(self, options: Options, listening: socket.socket, on_event: OnEvent) -> None:
        self._options = options
        self._on_event = on_event
        self._started = time.monotonic()
        self._stack = AsyncExitStack()
        self._listening: list[tuple[asyncio.Server, socket.socket]] = []
        self._bridges: list[str] = []
        self.port: int = listening.getsockname()[1]
        self.url = f"http://{LOOPBACK}:{self.port}"

    def url_for(self, engine: EngineName) -> str:
        if engine != "docker":  # its programs are on this machine's network, or on none
            return self.url
        return f"http://{self._bridges[0] if self._bridges else CONTAINER_HOST}:{self.port}"

    @property
    def objects(self) -> Objects:
        return self.backend

    async def open(self, listening: socket.socket, bridged: socket.socket | None) -> None:
        if bridged is not None:  # before anything runs that could be told where this is
            self._bridges.append(bridged.getsockname()[0])
        async with AsyncExitStack() as stack:
            services = await self._begin(stack)
            self._listener = Listener(services, self._bridges, self._status, self._on_event)
            for each in (listening, bridged):
                if each is not None:
                    await self._listen(each)
            self._stack = stack.pop_all()

    async def _listen(self, listening: socket.socket) -> None:
        server = await asyncio.get_running_loop().create_server(
            self._listener, sock=listening, backlog=BACKLOG
        )
        self._listening.append((server, listening))

    async def _begin(self, stack: AsyncExitStack) -> Services:
        models = Models()
        journal = Journal(self._options.journal)
        self.backend = Moto(models, journal, identity.make_role, self._options.s3_folder)
        stack.push_async_callback(self.backend.stop)
        self.backend.begin()
        raw: dict[str, RawService] = {"s3": MotoS3(self.backend, models), **self._options.raw}
        for each in raw.values():
            stack.push_async_callback(each.stop)
        own: tuple[Service, ...] = (
            identity.CallerIdentity(),
            identity.PolicySimulator(),
            *self._options.services,
        )
        self._live = {each.name: each for each in own}
        for service in self._live.values():
            await service.start(self)
            stack.push_async_callback(service.stop)
        return Services(
            direct=self._options.direct,
            live=self._live,
            raw=raw,
            moto=self.backend,
            models=models,
        )

    async def close(self, grace_s: float) -> None:
        for service in self._live.values():
            if isinstance(service, Finishing):
                await service.finish()
        for server, listening in self._listening:
            await accept_no_more(server, listening)
        self._listener.pre_shutdown()
        await self._listener.finished(grace_s)
        await self._listener.shutdown(_CLOSE_S)
        await self._stack.aclose()

    async def call(
        self, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        live = self._live.get(service)
        if live is None or operation not in live.operations:
            return await self.backend.ask(service, operation, parameters)
        call = Call(
            service=service,
            operation=operation,
            parameters=parameters,
            backend=self.backend,
            request_id=new_request_id(),
        )
        return (await live.operations[operation](call)).members

    def not_kept(self) -> list[str]:
        durable = self._options.s3_folder is not None or "s3" in self._options.raw
        s3 = () if durable else ("buckets and objects in S3",)
        return sorted((*FORGOTTEN.values(), *s3))

    def _status(self) -> Mapping[str, Any]:
        return {
            "url": self.url,
            "container_url": self.url_for("docker"),
            "uptime_s": round(time.monotonic() - self._started, 1),
            "services": {name: sorted(each.operations) for name, each in self._live.items()},
            "not_kept": self.not_kept(),
        }
