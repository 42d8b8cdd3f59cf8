"""A server on an engine: what SageMaker does around a hosting container."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from devkit import contract, opt_ml
from devkit.attempt import Attempt, diagnose, diagnose_refusal
from devkit.channels.s3_reading import S3Client
from devkit.engines.base import Address, ContainerSpec, Engine, StartRefused
from devkit.errors import InvocationFailed, ServingFailed
from devkit.finishing import Ending
from devkit.instances import Instance
from devkit.job import ServeSpec, Status
from devkit.logs import tail
from devkit.progress import Observer
from devkit.runtime_client import await_ping, decode, encode, invoke
from devkit.s3 import no_s3
from devkit.store import Run, Store, store_errors

if TYPE_CHECKING:
    from devkit.front.server import Front

_DEATH_TIMEOUT_S = 5
_INSTANCE = "instance-1"


class Server:
    """A server whose ping is good."""

    def __init__(self, run: Run, address: Address, instance: Instance) -> None:
        self.run = run
        self.address = address
        self._instance = instance

    @property
    def name(self) -> str:
        """The server's name."""
        return self.run.name

    @property
    def url(self) -> str:
        """Its root URL: ``/ping`` and ``/invocations`` are below it."""
        return self.address.url

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
        body = encode(data)
        try:
            reply = invoke(
                self.address, body, content_type=content_type or "application/json", accept=accept
            )
        except InvocationFailed as error:
            if error.status is None:
                error.log_tail = tuple(tail(self.run))
            raise
        return decode(reply)

    def wait(self) -> NoReturn:
        """Wait until the server ends, which it does by itself only when something is wrong.

        Raises:
            ServingFailed: It ended.
        """
        self._instance.log.wait()
        raise ServingFailed(
            f"server {self.name} ended by itself, with exit code {self._instance.container.wait()}",
            log_tail=tail(self.run),
            remedy=f"the whole log: devkit logs {self.name}",
        )

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return not self._instance.ended


@contextmanager
def serve(
    spec: ServeSpec,
    *,
    engine: Engine,
    store: Store,
    observer: Observer,
    s3: Callable[[], S3Client] = no_s3,
) -> Iterator[Server]:
    """Start a server, wait until its ping is good, and stop it at the end of the block.

    Raises:
        NotFound: Its model is not in S3.
        DevkitError: Its model is none that SageMaker deploys, or could not be fetched.
        ServingFailed: It died, or its ping was not good in time.
        EngineError: The engine could not run it.
        PortInUse: ``spec.host_port`` is taken.
    """
    attempt = Attempt(
        "server",
        spec.name,
        image=spec.image,
        request={
            "model": None if spec.model is None else str(spec.model),
            "environment": dict(spec.environment),
        },
        grace_s=contract.SERVE_STOP_GRACE_S,
        engine=engine,
        store=store,
        observer=observer,
    )
    in_service = False
    try:
        with store_errors(store.root):
            container_spec = _serving_container(spec, attempt, s3)
        instance = attempt.instances.start(_INSTANCE, container_spec)
        with _fronted(spec) as front:
            server = _await_service(spec, instance, attempt, front)
            with store_errors(store.root):
                attempt.run.write("state", {"url": server.url, "pid": os.getpid()})
            store.index(attempt.run)
            in_service = True
            yield server
            in_service = False
        attempt.stop([instance], contract.SERVE_STOP_GRACE_S)
        attempt.finish(Ending(Status.STOPPED))
    except StartRefused as refused:
        diagnosis = diagnose_refusal(contract.SERVE_ARGUMENT, refused)
        error = ServingFailed(
            f"server {spec.name} did not start: {diagnosis.reason}", remedy=diagnosis.remedy
        )
        attempt.unwind(error, reason=diagnosis.reason)
        raise error from None
    except BaseException as error:
        attempt.unwind(error, in_service=in_service)
        raise


@contextmanager
def _fronted(spec: ServeSpec) -> Iterator[_Fronted | None]:
    """What SageMaker has before a container, listening; it answers 503 until there is one."""
    if spec.profile is None:
        yield None
        return
    from devkit.front.limits import PROFILES  # noqa: PLC0415 - aiohttp takes 0.2 s
    from devkit.front.server import Front  # noqa: PLC0415

    limits = PROFILES[spec.profile]  # type: ignore[index]  # the settings have checked it
    front = Front(name=spec.name, limits=limits, listener_port=spec.host_port)
    address = front.start(None)
    try:
        yield _Fronted(front, address)
    finally:
        front.stop(contract.SERVE_STOP_GRACE_S)


@dataclass(frozen=True)
class _Fronted:
    """A front, and where it listens."""

    front: Front
    address: Address


def _serving_container(
    spec: ServeSpec, attempt: Attempt, s3: Callable[[], S3Client]
) -> ContainerSpec:
    prepared = opt_ml.for_serving(attempt.run.opt_ml / _INSTANCE, spec.model, s3)
    return ContainerSpec(
        name=attempt.instances.container_name(_INSTANCE),
        image=spec.image,
        command=(contract.SERVE_ARGUMENT,),
        environment={
            **contract.hosting_environment(spec.environment),
            **spec.platform_environment,
        },
        mounts=prepared.mounts,
        folders=prepared.folders,
        container_port=contract.SERVE_PORT,
        host_port=spec.host_port if spec.profile is None else 0,
        limits=spec.limits,
        labels=attempt.instances.labels,
        run_folder=attempt.instances.notes(_INSTANCE),
    )


def _await_service(
    spec: ServeSpec, instance: Instance, attempt: Attempt, fronted: _Fronted | None
) -> Server:
    address = instance.container.address()
    if address is None:
        instance.log.wait(_DEATH_TIMEOUT_S)  # an ended container has no address: tell why it ended
        raise _died(spec, instance, attempt.run)
    problem = await_ping(
        address,
        spec.startup_timeout_s,
        ended=lambda: instance.ended,
        on_problem=lambda what: attempt.observer.note(f"ping: {what}"),
    )
    if problem is None and fronted is None:
        return Server(attempt.run, address, instance)
    if problem is None and fronted is not None:
        fronted.front.switch(address)
        return Server(attempt.run, fronted.address, instance)
    if instance.ended:
        raise _died(spec, instance, attempt.run)
    raise ServingFailed(
        f"server {spec.name} did not pass the ping health check within "
        f"{spec.startup_timeout_s:g} s: GET /ping: {problem}",
        log_tail=tail(attempt.run, instance.name),
        remedy=f"serve must listen on 0.0.0.0:{contract.SERVE_PORT} and answer GET /ping with 200 "
        f"within {contract.PING_TIMEOUT_S:g} s",
    )


def _died(spec: ServeSpec, instance: Instance, run: Run) -> ServingFailed:
    diagnosis = diagnose(instance.container, contract.SERVE_ARGUMENT, run, instance.name)
    log_tail = tail(run, instance.name)
    if diagnosis is not None:
        return ServingFailed(
            f"server {spec.name} did not start: {diagnosis.reason}",
            remedy=diagnosis.remedy,
            log_tail=log_tail,
        )
    code = instance.container.exit_code()
    return ServingFailed(
        f"server {spec.name} ended with exit code {code} before its ping was good",
        log_tail=log_tail,
        remedy=f"the whole log: devkit logs {run.name}",
    )
