"""Everything that no live service answers for: moto, in this process.

moto is imported when this begins, in a thread of its own: the endpoint answers meanwhile, and only
what is meant for moto waits. Then it is told what it was told before the last end (``journal``).
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import parse_qs

from devkit.contract import LOCAL_REGION
from devkit.errors import ConfigError
from devkit.local_aws import errors, moto_calls, validation, wire, wsgi
from devkit.local_aws.errors import AwsError, UnknownToMoto, WireAnswer
from devkit.local_aws.journal import Entry, Journal, is_kept
from devkit.local_aws.keys import DUMMY_KEY
from devkit.local_aws.models import Identified, Models
from devkit.local_aws.network import LeavesTheMachine, confined
from devkit.local_aws.routing import Head, Route, is_form, route
from devkit.local_aws.threads import DaemonPool

if TYPE_CHECKING:
    from devkit.local_aws.moto_dispatch import Application

_THREADS = 32
_HTML = b"<!doctype html"
_P = ParamSpec("_P")
_T = TypeVar("_T")
# Answered by moto with a container from an image of another registry, or with a canned text.
_NOT_FROM_MOTO = {("lambda", "Invoke"), ("lambda", "InvokeAsync")}

# Of devkit's own calls. Each instance of a function has a log stream, and no event of it is kept.
_MADE_WHEN_NEEDED = {("logs", "CreateLogStream")}


@dataclass(frozen=True)
class Replay:
    """What came of telling moto again what it was told before."""

    calls: int = 0
    failed: tuple[str, ...] = ()
    """What did not go as it went then."""
    seconds: float = 0.0


Seed = Callable[["Moto"], None]
"""What there is from the start; called in moto's thread, when it is empty."""


class Moto:
    """moto as a backend of the endpoint; belongs to one event loop.

    What moto holds is global in a process: there can be one at a time.

    Args:
        models: The descriptions of the APIs.
        journal: Where what changes moto is kept.
        seed: Makes what there is from the start.
        s3_folder: Where S3's buckets are folders; ``None`` keeps them in memory.
    """

    def __init__(
        self, models: Models, journal: Journal, seed: Seed, s3_folder: Path | None = None
    ) -> None:
        self._s3_folder = s3_folder
        self._s3 = ExitStack()
        self._models = models
        self._journal = journal
        self._seed = seed
        self._pool = DaemonPool(_THREADS, "moto")
        self._application: Application | None = None
        self._ready: asyncio.Future[Replay] | None = None
        self._ending = False
        self.revision = 0
        """Grows with every request that may have changed something."""

    def begin(self) -> None:
        """Import moto, and bring it to where it was; whoever needs it waits for that."""
        loop = asyncio.get_running_loop()
        self._ready = loop.run_in_executor(self._pool, self._load)
        self._ready.add_done_callback(_retrieved)

    async def ready(self) -> Replay:
        """Wait until it is there.

        Raises:
            ConfigError: moto is not installed.
        """
        assert self._ready is not None, "begin() comes first"  # noqa: S101
        return await asyncio.shield(self._ready)

    async def handle(self, head: Head, body: bytes, at: Route, what: Identified) -> WireAnswer:
        """Moto's answer; where it has none, an error in AWS's form.

        Raises:
            AwsError: moto cannot answer.
        """
        await self.ready()
        return await self._in_thread(self._answer, head, body, at, what)

    async def ask(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        access_key: str | None = None,
        region: str = LOCAL_REGION,
    ) -> dict[str, Any]:
        """What moto answers to a call made here; see ``services.Backend``."""
        await self.ready()
        return await self._in_thread(
            self.tell,
            service,
            operation,
            parameters,
            access_key,
            region,
            keep=(service, operation) not in _MADE_WHEN_NEEDED,
        )

    async def make(
        self, service: str, operation: str, parameters: Mapping[str, Any], *, seed: str
    ) -> dict[str, Any]:
        """Make something that is made anew with every start, and so is not kept.

        Args:
            service: By botocore's name.
            operation: Such as ``CreateApi``.
            parameters: Its parameters.
            seed: The same gives the same identifiers.

        Raises:
            AwsError: It cannot be made.
        """
        await self.ready()
        return await self._in_thread(self._make, service, operation, parameters, seed)

    def _make(
        self, service: str, operation: str, parameters: Mapping[str, Any], seed: str
    ) -> dict[str, Any]:
        assert self._application is not None  # noqa: S101
        with self._application.drawing(zlib.crc32(seed.encode())):
            return self.tell(service, operation, parameters, keep=False)

    async def look(self, reading: Callable[[], _T]) -> _T:
        """Have a function read moto's own objects; see ``services.Objects``."""
        await self.ready()
        return await self._in_thread(reading)

    async def reset(self) -> None:
        """Forget everything but what there is from the start."""
        await self.ready()
        await self._in_thread(self._reset)
        self._journal.clear()
        self.revision += 1

    async def stop(self) -> None:
        """Leave nothing in moto: the next one in this process begins empty."""
        self._ending = True
        if self._ready is not None:  # a thread that still begins would fill moto after this
            await asyncio.wait({self._ready})
        if self._application is not None:
            await self._in_thread(self._leave)
        self._pool.shutdown(wait=False)
        self._journal.close()

    @property
    def application(self) -> wsgi.Application:
        """moto's, for what takes and gives bodies as streams."""

        def call(environ: wsgi.Environ, start: wsgi.StartResponse) -> Any:
            assert self._application is not None  # noqa: S101 - awaited by who calls
            with confined():
                return self._application.call(environ, start)

        return call

    def failed(self, error: BaseException, what: Identified, detail: str | None = None) -> AwsError:
        """What a client is told where moto raised this."""
        if isinstance(error, (NotImplementedError, UnknownToMoto)):
            return errors.not_implemented(what.service, what.operation, what.protocol)
        if isinstance(error, AwsError):
            return error
        reason = detail or f"{type(error).__name__}: {error}"
        return AwsError(
            "UnsupportedOperationException",
            f"moto, which answers {what.service}.{what.operation or '?'} for devkit's local AWS, "
            f"failed at this request ({reason}); asking again will not help.",
        )

    # --- in a thread --------------------------------------------------------------------------

    async def _in_thread(
        self, work: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs
    ) -> _T:
        return await asyncio.wrap_future(self._pool.submit(work, *arguments, **named))

    def _load(self) -> Replay:
        begun = time.perf_counter()
        self._application = _import_moto()
        if self._s3_folder is not None:
            from devkit.fake_s3.installing import durable_s3  # noqa: PLC0415 - imports moto

            self._s3.enter_context(durable_s3(self._s3_folder))
        self._make_first()
        calls, failed = 0, []
        for entry in self._journal.entries():
            if self._ending:
                break
            calls += 1
            with self._application.drawing(entry.seed):
                status = self._try(entry)
            if status != entry.status:
                failed.append(f"{_told(entry)} answers {status} and not {entry.status}")
        return Replay(calls, tuple(failed), time.perf_counter() - begun)

    def _leave(self) -> None:
        assert self._application is not None  # noqa: S101
        self._s3.close()  # before moto is emptied: what is on the disk stays
        self._application.leave()

    def _try(self, entry: Entry) -> int:
        try:
            return self._call(entry.head, entry.body).status
        except Exception:
            return int(HTTPStatus.BAD_REQUEST)

    def _reset(self) -> None:
        assert self._application is not None  # noqa: S101
        self._application.reset()
        self._make_first()

    def _make_first(self) -> None:
        """What there is from the start has the same identifiers every time."""
        assert self._application is not None  # noqa: S101
        with self._application.drawing(0):
            self._seed(self)

    def _call(self, head: Head, body: bytes) -> WireAnswer:
        assert self._application is not None  # noqa: S101
        with confined():
            return wsgi.call(self._application.call, head, body)

    def _answer(self, head: Head, body: bytes, at: Route, what: Identified) -> WireAnswer:
        if (what.service, what.operation) in _NOT_FROM_MOTO:
            raise errors.not_implemented(what.service, what.operation, what.protocol)
        if what.protocol == "json":
            wire.require_document(body)  # moto reads it where an operation has use for it
        try:
            kept = is_kept(at.signing_name, what.operation, head.method)
            answer = self._kept(head, body) if kept else self._call(head, body)
        except LeavesTheMachine as error:
            raise self.failed(error, what) from None
        except Exception as error:
            raise self._blame(error, head, body, what) from error
        if _is_no_answer(answer, head):
            if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
                raise self.failed(UnknownToMoto(), what)
            raise self._blame(UnknownToMoto(), head, body, what, f"status {answer.status}")
        return answer

    def _kept(self, head: Head, body: bytes) -> WireAnswer:
        assert self._application is not None  # noqa: S101
        seed = self._application.new_seed()
        with self._application.drawing(seed):
            answer = self._call(head, body)
        self.revision += 1
        if answer.status < HTTPStatus.BAD_REQUEST:
            try:
                self._journal.add(Entry(seed=seed, head=head, body=body, status=answer.status))
            except OSError as error:
                raise AwsError(
                    "UnsupportedOperationException",
                    "This has been done, but it will be forgotten when devkit's local AWS ends: "
                    f"it cannot be kept ({error}). See that the disk is not full.",
                ) from error
        return answer

    def _blame(
        self,
        error: BaseException,
        head: Head,
        body: bytes,
        what: Identified,
        detail: str | None = None,
    ) -> AwsError:
        """Moto trips over what AWS refuses: say what AWS says where the request is at fault."""
        unknown = what.api is not None and what.operation and not what.known_operation
        if isinstance(error, NotImplementedError) or unknown:
            return self.failed(UnknownToMoto(), what)
        if isinstance(error, UnicodeDecodeError):
            return errors.serialization("The request is not in UTF-8.")
        try:
            _require_sound(head, body, what)
        except AwsError as fault:
            return fault
        if detail is not None:
            return self.failed(RuntimeError(), what, detail)
        return self.failed(error, what)

    # --- calls made here ----------------------------------------------------------------------

    def tell(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        access_key: str | None = None,
        region: str = LOCAL_REGION,
        *,
        keep: bool = True,
    ) -> dict[str, Any]:
        """Call an operation of moto's from its own thread.

        Args:
            service: By botocore's name.
            operation: Such as ``CreateRole``.
            parameters: Its parameters.
            access_key: Who asks.
            region: Where.
            keep: Whether a change is kept; what is made at every start need not be.

        Raises:
            AwsError: It answers with an error.
        """
        api = self._models.api(service)
        assert api is not None, f"botocore has no service {service}"  # noqa: S101
        head, body = moto_calls.request(api, operation, parameters, access_key or DUMMY_KEY, region)
        at = route(head, _form(head, body))
        what = self._models.identify(at, head)
        answer = self._answer(head, body, at, what) if keep else self._unkept(head, body)
        return moto_calls.parsed(api, operation, answer)

    def _unkept(self, head: Head, body: bytes) -> WireAnswer:
        answer = self._call(head, body)
        self.revision += 1
        return answer


def _import_moto() -> Application:
    """moto, set up.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        from devkit.local_aws.moto_dispatch import Application  # noqa: PLC0415 - takes 0.4 s
    except ImportError as error:
        raise ConfigError(
            f"the local AWS needs moto and what it needs, and {error.name} is not installed",
            remedy="pip install 'devkit[local-aws]'",
        ) from None
    return Application()


def _require_sound(head: Head, body: bytes, what: Identified) -> None:
    """Make sure that a request is what the operation's description allows.

    Raises:
        AwsError: It is not.
    """
    operation = what.known_operation
    if what.api is None or operation is None or what.protocol not in wire.PROTOCOLS:
        return
    model = what.api.operation(operation)
    arguments = parse_qs(head.query, keep_blank_values=True)
    if is_form(head):
        arguments |= parse_qs(body.decode("latin-1"), keep_blank_values=True)
    parameters = wire.parameters_of(
        model,
        what.protocol,
        headers=head.headers,
        labels=what.labels,
        arguments=arguments,
        body=body,
    )
    validation.require_valid(model.input_shape, parameters, what.protocol)


def _is_no_answer(answer: WireAnswer, head: Head) -> bool:
    """Whether this is a page of moto's web framework: a request that moto has no place for."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return False
    if head.method == "HEAD":
        return False
    nowhere = answer.status == HTTPStatus.NOT_FOUND and not answer.body
    return nowhere or answer.body[: len(_HTML)].lower() == _HTML


def _form(head: Head, body: bytes) -> dict[str, str]:
    return dict(_pairs(body)) if is_form(head) else {}


def _pairs(body: bytes) -> Iterator[tuple[str, str]]:
    for name, values in parse_qs(body.decode("latin-1"), keep_blank_values=True).items():
        yield name, values[-1]


def _told(entry: Entry) -> str:
    at = route(entry.head, _form(entry.head, entry.body))
    return f"{at.signing_name} {at.operation or f'{entry.head.method} {entry.head.path}'}"


def _retrieved(future: asyncio.Future[Any]) -> None:
    """Whoever needs moto is told why it is not there; nobody else has to be."""
    if not future.cancelled():
        future.exception()
