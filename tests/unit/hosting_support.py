"""Hosting behind the endpoint's own HTTP, with fake engines, S3 and moto. It has no tests."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, cast

from botocore.exceptions import ClientError

from devkit.engines.base import Address, Container, ContainerSpec
from devkit.event_loop import LoopThread
from devkit.front.messages import Answer
from devkit.local_aws.listener import Listener, Services
from devkit.local_aws.models import Models
from devkit.local_aws.moto_app import Moto as RealMoto
from devkit.local_aws.sagemaker.hosted import Variant
from devkit.local_aws.sagemaker.hosting import Hosting
from devkit.local_aws.sagemaker.parts import Shared
from devkit.local_aws.sagemaker.records import Records
from devkit.local_aws.sagemaker.runtime import Runtime
from devkit.local_aws.sagemaker.service import SageMaker, all_parts
from devkit.local_aws.sagemaker.storage import Storage
from devkit.local_aws.sagemaker.workshop import Workshop
from devkit.local_aws.services import Call, Direct, Result, Service
from devkit.ports import listen
from devkit.store import Store
from tests.unit.fakes import IMAGE, FakeContainer, FakeEngine, Inside, Notes, Program
from tests.unit.sagemaker_fakes import Bucket, Moto, NoObjects
from tests.unit.test_front_support import PATIENCE_S, Got, ask

IMAGE_URI = "123456789012.dkr.ecr.us-east-1.amazonaws.com/fake:dev"


def until_stopped(inside: Inside) -> int:
    """A server that says that it listens, and ends when it is told to."""
    inside.print("listening")
    inside.stopped.wait()
    return 0


class Machines(FakeEngine):
    """An engine whose containers answer at the port that their environment has as ``AT``."""

    def __init__(self, program: Program = until_stopped) -> None:
        super().__init__(program)
        self.name = "docker"

    def image(self, reference: str) -> Any:
        if reference != "fake:dev":
            return super().image(reference)
        return IMAGE

    def start(self, spec: ContainerSpec) -> Container:
        port = spec.environment.get("AT")
        self._address = None if port is None else Address("127.0.0.1", int(port))
        return super().start(spec)

    @property
    def running(self) -> list[FakeContainer]:
        """Those that have not ended."""
        return [each for each in self.containers if each.exit_code() is None]


class Objects(Bucket):
    """An S3 with a bucket ``data``, whose objects can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def get_object(self, **request: Any) -> Mapping[str, Any]:
        if request["Key"] not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return super().get_object(**request)

    def upload_fileobj(
        self,
        Fileobj: IO[bytes],  # noqa: N803
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        ExtraArgs: Mapping[str, str] | None = None,  # noqa: ARG002, N803
    ) -> None:
        with self._changed:
            super().upload_fileobj(Fileobj, Bucket, Key)
            self._changed.notify_all()

    def wait_for(self, key: str) -> bytes:
        """The object, once it is there."""
        with self._changed:
            assert self._changed.wait_for(lambda: key in self.objects, PATIENCE_S), self.objects
            return self.objects[key]


class Asked(Moto):
    """A backend whose calls can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    async def ask(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        access_key: str | None = None,
        region: str = "us-east-1",
    ) -> dict[str, Any]:
        with self._changed:
            self._changed.notify_all()
            return await super().ask(
                service, operation, parameters, access_key=access_key, region=region
            )

    def wait_for(self, operation: str, count: int = 1) -> list[Mapping[str, Any]]:
        """The first calls of an operation, once there are so many."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.of(operation)) >= count, PATIENCE_S)
            assert enough, self.asked
            return self.of(operation)[:count]


class Nowhere:
    """Surroundings of services: the endpoint's address, and a backend."""

    objects = NoObjects()

    def __init__(self, url: str, backend: Asked) -> None:
        self.url, self.backend = url, backend

    def url_for(self, engine: str) -> str:
        return f"http://{engine}.example"


class NoMeter:
    """Counts nothing."""

    def count(self, variant: Variant, answer: Answer, *, model_s: float, total_s: float) -> None:
        """Nothing."""


@contextmanager
def listening(
    runtime: Runtime, backend: Asked | None = None, *, direct: bool = True
) -> Iterator[tuple[LoopThread, Address]]:
    """The endpoint's HTTP with a runtime, in an event loop; nothing else answers."""
    thread = LoopThread("test")
    socket_ = listen(0)
    services = Services(
        direct=cast("list[Direct]", [runtime] if direct else []),
        live={runtime.name: cast("Service", runtime)},
        raw={},
        moto=cast("RealMoto", backend),
        models=Models(),
    )

    async def open_() -> tuple[Listener, asyncio.Server]:
        listener = Listener(services, [], dict, lambda _line: None)
        server = await asyncio.get_running_loop().create_server(listener, sock=socket_)
        return listener, server

    async def close() -> None:
        server.close()
        listener.pre_shutdown()
        await listener.shutdown(0.05)

    listener, server = thread.call(open_())
    try:
        yield thread, Address(*socket_.getsockname())
    finally:
        thread.call(close())
        thread.end()


class Aws:
    """SageMaker as clients see it, on a fake engine."""

    def __init__(self, store: Store, engine: FakeEngine, records: Records | None = None) -> None:
        self.engine, self.store = engine, store
        self.s3, self.backend, self.notes = Objects(), Asked(), Notes()
        self.shared = Shared(
            workshop=Workshop(
                store=lambda: store, engine=lambda: engine, build=lambda: IMAGE, tag="fake:dev"
            ),
            records=records or Records(),
            storage=Storage(lambda _settings: self.s3),
            observer=self.notes,
        )
        self.hosting = Hosting(self.shared)
        self.sagemaker = SageMaker(self.shared, [*all_parts(self.shared), self.hosting])
        self.thread: LoopThread
        self.address: Address

    @contextmanager
    def up(self) -> Iterator[Aws]:
        """Start it, and end it in good order."""
        with listening(self.hosting.runtime, self.backend) as (self.thread, self.address):
            self.thread.call(self.sagemaker.start(Nowhere(self.address.url, self.backend)))
            try:
                yield self
            finally:
                self.thread.call(self.sagemaker.finish())
                self.thread.call(self.sagemaker.stop())

    def __getattr__(self, operation: str) -> Callable[..., Mapping[str, Any]]:
        handler = self.sagemaker.operations[operation]

        def answer(**parameters: Any) -> Mapping[str, Any]:
            call = Call(
                service="sagemaker",
                operation=operation,
                parameters=parameters,
                backend=self.backend,
                request_id="1",
            )

            async def work() -> Result:
                return await handler(call)

            return self.thread.call(work()).members

        return answer

    def configure(
        self, name: str, *variants: Mapping[str, Any], at: Mapping[str, int], **config: Any
    ) -> str:
        """Make an endpoint configuration, and a model for each of its variants.

        Args:
            name: Its name.
            variants: More about the variants than their names.
            at: The port at which the container of each variant answers.
            config: More parameters of CreateEndpointConfig.
        """
        extra = {each["VariantName"]: each for each in variants}
        for variant, port in at.items():
            container = {"Image": IMAGE_URI, "Environment": {"AT": str(port)}}
            self.CreateModel(ModelName=f"{name}-{variant}", PrimaryContainer=container)
        production = [
            {
                "VariantName": variant,
                "ModelName": f"{name}-{variant}",
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
                **extra.get(variant, {}),
            }
            for variant in at
        ]
        self.CreateEndpointConfig(EndpointConfigName=name, ProductionVariants=production, **config)
        return name

    def create(self, name: str, config: str) -> Mapping[str, Any]:
        """Make an endpoint, and wait for it."""
        self.CreateEndpoint(EndpointName=name, EndpointConfigName=config)
        return self.settled(name)

    def settled(self, name: str) -> Mapping[str, Any]:
        """An endpoint, once nothing is done with it any more."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            described = self.DescribeEndpoint(EndpointName=name)
            if described["EndpointStatus"] in ("InService", "Failed"):
                return described
            assert time.monotonic() < deadline, described
            time.sleep(0.005)

    def gone(self, name: str) -> None:
        """Wait until there is no such endpoint."""
        deadline = time.monotonic() + PATIENCE_S
        while self.shared.records.find("endpoint", name, "us-east-1") is not None:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def invoke(self, name: str, body: bytes = b"{}", **headers: str) -> Got:
        """InvokeEndpoint; underscores in headers stand for dashes."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return ask(self.address, body, path=f"/endpoints/{name}/invocations", headers=named)
