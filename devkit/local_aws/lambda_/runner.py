"""Runs functions: finds what is asked for, and has an instance of it do the work."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from devkit.engines.base import Image, Limits
from devkit.errors import DevkitError, EngineError, StoreError
from devkit.lambda_contract import MAX_EVENT_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES, OWN_RUNTIME
from devkit.local_aws.errors import AwsError
from devkit.local_aws.functions import FunctionAnswer
from devkit.local_aws.keys import DUMMY_KEY
from devkit.local_aws.lambda_ import environment, limits, runtime_files
from devkit.local_aws.lambda_.containers import Containers, remove_left, require_docker
from devkit.local_aws.lambda_.definitions import (
    Archive,
    ContainerImage,
    Definition,
    Definitions,
    Reference,
)
from devkit.local_aws.lambda_.events import Event, Events
from devkit.local_aws.lambda_.instances import Instance
from devkit.local_aws.lambda_.invocations import Invocation
from devkit.local_aws.lambda_.logs import Logs, stream_name
from devkit.local_aws.lambda_.pools import Capacity, Pool
from devkit.local_aws.lambda_.processes import Machine, Processes
from devkit.local_aws.lambda_.programs import Host, Starter
from devkit.local_aws.lambda_.unpacking import Unpacked, unpack
from devkit.local_aws.sagemaker.workshop import Workshop
from devkit.local_aws.services import OnSpan, Surroundings, no_span
from devkit.local_aws.threads import DaemonPool
from devkit.local_aws.traces import root_of
from devkit.ports import LOOPBACK
from devkit.progress import Observer

_T = TypeVar("_T")
_PYTHON = "python3."
_THREADS = 32
_MEGABYTE = 1024 * 1024
_SESSION_CHARACTERS = 64


@dataclass(frozen=True, kw_only=True)
class Kit:
    """What functions are run with."""

    folder: Path
    """For their code and the notes on their instances; it is emptied."""
    workshop: Workshop
    """For functions that are images."""
    homes: Iterable[Path]
    """The user's home folders: no function sees what is in their ``.aws``."""
    observer: Observer
    pool: Executor = field(default_factory=lambda: DaemonPool(_THREADS, "lambda"))
    """For what waits."""
    on_span: OnSpan = no_span
    namespaces: bool = True
    """Whether processes are to get some, where this machine gives them."""


class Runner:
    """All functions; belongs to one event loop.

    Args:
        kit: What they are run with.
        surroundings: The endpoint.
    """

    def __init__(self, kit: Kit, surroundings: Surroundings) -> None:
        self._kit = kit
        self._surroundings = surroundings
        self._definitions = Definitions(surroundings.objects)
        self._capacity = Capacity()
        self._pools: dict[tuple[str, str, str], Pool] = {}
        self._retired: list[Pool] = []
        self._under_way: Counter[tuple[str, str]] = Counter()
        self._logs = Logs(surroundings.backend, kit.observer.note)
        self._events = Events(self._do_event, surroundings.backend, kit.observer.note)
        self._modules: asyncio.Task[list[Path]] | None = None
        self._closed = False

    async def open(self) -> None:
        """Remove what an endpoint that was killed has left."""
        await self._blocking(self._clear)

    async def find(self, reference: Reference) -> Definition:
        """A version of a function.

        Raises:
            AwsError: There is none.
        """
        return await self._definitions.find(reference)

    async def invoke(
        self,
        reference: Reference,
        payload: bytes,
        *,
        request_id: str,
        trace_id: str | None = None,
        client_context: str | None = None,
    ) -> FunctionAnswer:
        """Invoke a function, and wait for its answer; it is not broken off with who waits.

        Raises:
            AwsError: It cannot be invoked.
        """
        definition = await self.find(reference)
        invocation = Invocation(
            request_id=request_id,
            payload=_event(payload, MAX_PAYLOAD_BYTES),
            arn=reference.arn,
            trace_id=trace_id or new_trace_id(),
            client_context=client_context,
        )
        return await asyncio.shield(asyncio.ensure_future(self._done(definition, invocation)))

    async def take(self, reference: Reference, payload: bytes, *, request_id: str) -> None:
        """Take an asynchronous invocation.

        Raises:
            AwsError: It cannot be invoked.
        """
        definition = await self.find(reference)
        self._events.take(
            Event(
                request_id=request_id,
                arn=reference.arn,
                payload=_event(payload, MAX_EVENT_PAYLOAD_BYTES),
                definition=definition,
            )
        )

    def retire(self, reference: Reference) -> None:
        """A function, or a version of it, is no more: end its instances when they are done."""
        function = (reference.region, reference.name)
        for key in [key for key in self._pools if key[:2] == function]:
            if reference.qualifier in (None, key[2]):
                self._retire(self._pools.pop(key))

    async def reset(self) -> None:
        """End everything; there are no functions any more."""
        await self._events.close()
        pools = [*self._pools.values(), *self._retired]
        self._pools.clear()
        self._retired.clear()
        await asyncio.gather(*(pool.close() for pool in pools))

    async def close(self) -> None:
        """End everything, and send what was logged."""
        self._closed = True
        await self.reset()
        await self._logs.close()
        await self._blocking(lambda: shutil.rmtree(self._kit.folder, ignore_errors=True))

    # --- an invocation ------------------------------------------------------------------------

    async def _done(self, definition: Definition, invocation: Invocation) -> FunctionAnswer:
        begun = time.perf_counter()
        function = (definition.region, definition.name)
        reserved = definition.reserved_concurrency
        if reserved is not None and self._under_way[function] >= reserved:
            raise limits.throttled()
        self._under_way[function] += 1
        try:
            answer = await self._pool_of(definition).invoke(invocation)
        except DevkitError as error:
            raise _not_run(definition, error) from error
        finally:
            self._under_way[function] -= 1
        self._tell(definition, invocation, answer, time.perf_counter() - begun)
        return answer

    async def _do_event(self, event: Event) -> FunctionAnswer:
        invocation = Invocation(
            request_id=event.request_id,
            payload=event.payload,
            arn=event.arn,
            trace_id=new_trace_id(),
        )
        return await self._done(event.definition, invocation)

    def _tell(
        self,
        definition: Definition,
        invocation: Invocation,
        answer: FunctionAnswer,
        seconds: float,
    ) -> None:
        if invocation.trace_id is not None:
            self._kit.on_span(root_of(invocation.trace_id), f"lambda {definition.name}", seconds)
        if answer.error is not None:
            self._kit.observer.note(f"lambda {definition.name}: {_summary(answer.payload)}")

    # --- its instances ------------------------------------------------------------------------

    def _pool_of(self, definition: Definition) -> Pool:
        if self._closed:
            raise EngineError("the local AWS is about to end")
        key = (definition.region, definition.name, definition.version)
        pool = self._pools.get(key)
        if pool is not None and pool.definition == definition:
            return pool
        if pool is not None:  # it has been changed
            self._retire(pool)
        pool = self._pools[key] = Pool(
            definition,
            lambda: self._starter(definition),
            lambda starter: self._instance(definition, starter),
            self._capacity,
        )
        return pool

    def _retire(self, pool: Pool) -> None:
        pool.retire()
        self._retired = [each for each in self._retired if not each.is_over]
        self._retired.append(pool)

    def _instance(self, definition: Definition, starter: Starter) -> Instance:
        stream = stream_name(definition, datetime.now(timezone.utc))
        keep = self._logs.open(definition, stream)

        def log(line: str) -> None:
            keep(line)
            self._kit.observer.build_line(f"lambda {definition.name}: {line}")

        return Instance(
            definition,
            name=f"lambda-{definition.name[:30]}-{secrets.token_hex(5)}".lower().replace("_", "-"),
            log_stream=stream,
            log=log,
            starter=starter,
        )

    async def _starter(self, definition: Definition) -> Starter:
        if isinstance(definition.code, ContainerImage):
            return await self._containers(definition, definition.code)
        return await self._processes(definition, definition.code)

    async def _processes(self, definition: Definition, code: Archive) -> Starter:
        _require_python(definition)
        kit = self._kit
        modules = await self._runtime()
        folder = kit.folder / "code" / secrets.token_hex(8)
        unpacked = await self._blocking(_unpack, folder, definition, code)
        variables = environment.of_function(
            definition, url=self._surroundings.url, credentials=await self._credentials(definition)
        )
        machine = Machine(
            runtime=self._runtime_folder,
            modules=modules,
            instances=kit.folder / "instances",
            homes=kit.homes,
            namespaces=kit.namespaces,
        )
        note = version_note(definition.runtime)
        notes = [note] if note else []
        return Processes(machine, unpacked, variables, kit.pool, notes)

    async def _containers(self, definition: Definition, code: ContainerImage) -> Starter:
        kit = self._kit
        image = await self._blocking(self._find_image, code.uri)
        url = self._surroundings.url_for("docker")
        name = str(urlsplit(url).hostname)
        # An engine in a virtual machine reaches this one's loopback by a name of its own.
        bridged = name.replace(".", "").isdigit()
        variables = environment.of_function(
            definition, url=url, credentials=await self._credentials(definition)
        )
        return Containers(
            await self._blocking(lambda: kit.workshop.engine),
            image,
            code,
            limits=Limits(memory_bytes=definition.memory_mb * _MEGABYTE),
            variables=variables,
            host=Host(name if bridged else LOOPBACK, name),
            folder=kit.folder / "containers",
            pool=kit.pool,
        )

    def _find_image(self, uri: str) -> Image:
        require_docker(self._kit.workshop.engine, uri)
        return self._kit.workshop.find(uri)()

    async def _credentials(self, definition: Definition) -> Mapping[str, str]:
        """A session of the function's role, so that ``GetCallerIdentity`` says who it is."""
        try:
            session = await self._surroundings.backend.ask(
                "sts",
                "AssumeRole",
                {
                    "RoleArn": definition.role,
                    "RoleSessionName": definition.name[:_SESSION_CHARACTERS],
                },
                region=definition.region,
            )
            given = session["Credentials"]
        except AwsError:
            return dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), DUMMY_KEY)
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }

    # --- what they share ----------------------------------------------------------------------

    @property
    def _runtime_folder(self) -> Path:
        return self._kit.folder / "runtime"

    async def _runtime(self) -> list[Path]:
        """Make ``/var/runtime`` once; returns where its modules are."""
        if self._modules is None or (self._modules.done() and self._modules.exception()):
            make = self._blocking(_lay_out, self._runtime_folder)
            self._modules = asyncio.ensure_future(make)
        return await asyncio.shield(self._modules)

    def _clear(self) -> None:
        left = self._kit.folder / "containers"
        if left.is_dir() and any(left.iterdir()):
            try:
                remove_left(self._kit.workshop.engine, left)
            except DevkitError as error:
                self._kit.observer.note(f"containers of functions are left: {error.message}")
                return
        shutil.rmtree(self._kit.folder, ignore_errors=True)

    async def _blocking(self, work: Callable[..., _T], *arguments: object) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._kit.pool, work, *arguments)


def new_trace_id() -> str:
    """The trace of a request that comes without one."""
    return f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0"


def _event(payload: bytes, limit_bytes: int) -> bytes:
    """The event that a payload is.

    Raises:
        AwsError: It is none.
    """
    if len(payload) > limit_bytes:
        raise limits.too_large(limit_bytes)
    if not payload:
        return b"{}"
    try:
        json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise AwsError(
            "InvalidRequestContentException",
            f"Could not parse request body into json: {error}",
            HTTPStatus.BAD_REQUEST,
            {"Type": "User"},
        ) from None
    return payload


def _require_python(definition: Definition) -> None:
    """Make sure that a function can be run here.

    Raises:
        AwsError: It is written in another language.
    """
    if not definition.runtime.startswith(_PYTHON):
        raise AwsError(
            "InvalidRuntimeException",
            f"devkit's local AWS runs functions in Python from zip archives, and not in "
            f"{definition.runtime or 'a runtime of their own'}: make an image of it "
            "(PackageType Image), which can be in any language.",
        )


def _unpack(folder: Path, definition: Definition, code: Archive) -> Unpacked:
    try:
        return unpack(folder, code, definition.layers)
    except OSError as error:
        raise _full(folder, error) from error


def _lay_out(folder: Path) -> list[Path]:
    try:
        return runtime_files.lay_out(folder)
    except OSError as error:
        raise _full(folder, error) from error


def _full(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot write {error.filename or folder}: {error.strerror}",
        remedy="see that the disk is not full and that you may write there",
    )


def _not_run(definition: Definition, error: DevkitError) -> AwsError:
    """Not a 5xx: clients would ask again, and the answer would be the same."""
    remedy = f"; {error.remedy}" if error.remedy else ""
    return AwsError(
        "UnsupportedOperationException",
        f"devkit's local AWS cannot run {definition.name}: {error.message}{remedy}",
    )


def _summary(payload: bytes) -> str:
    """An error envelope in a line."""
    try:
        document = json.loads(payload)
        return f"{document.get('errorType')}: {document.get('errorMessage')}"
    except (ValueError, AttributeError):
        return "failed"


def version_note(runtime: str) -> str | None:
    """What a function's log should say where it is run by another Python than it asks for."""
    if runtime == OWN_RUNTIME:
        return None
    return f"this function is for {runtime}, and runs on devkit's own Python, {OWN_RUNTIME}"
