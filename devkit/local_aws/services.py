"""The seam for what answers for real: live services, operation by operation.

A :class:`Service` answers some operations of one AWS service; what it does not have is left to
moto. It is given parameters that AWS's description of the API allows, and gives members of that
description's output. A :class:`RawService` answers every request to a service itself, as HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from devkit.contract import LOCAL_ACCOUNT, LOCAL_REGION
from devkit.engines.base import EngineName
from devkit.local_aws.errors import AwsError

if TYPE_CHECKING:
    from aiohttp import web

_TOO_LARGE = "RequestEntityTooLargeException"
_T = TypeVar("_T")


class Backend(Protocol):
    """Everything that no live service answers for, to be asked from here: moto."""

    async def ask(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        access_key: str | None = None,
        region: str = LOCAL_REGION,
    ) -> dict[str, Any]:
        """What it answers.

        Raises:
            AwsError: It answers with an error.
        """


class Objects(Protocol):
    """What moto holds, for what no operation answers."""

    @property
    def revision(self) -> int:
        """Grows with every request that may have changed something: look again then."""

    async def look(self, reading: Callable[[], _T]) -> _T:
        """Have a function called in one of moto's threads.

        Args:
            reading: Reads moto's own objects; it may import moto.
        """


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request for one operation."""

    service: str
    """By botocore's name: ``sagemaker-runtime``."""
    operation: str
    parameters: Mapping[str, Any]
    """By the description's names, checked against it; no payload of bytes is among them."""
    backend: Backend
    """For what this service does not keep itself."""
    request_id: str
    account: str = LOCAL_ACCOUNT
    region: str = LOCAL_REGION
    access_key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name."""
    body: AsyncIterator[bytes] = field(default_factory=_nothing)
    """The payload, where that is bytes, as it comes. Can be read once."""

    async def read(self, limit_bytes: int) -> bytes:
        """The whole payload.

        Raises:
            AwsError: It is larger than that.
        """
        content = bytearray()
        async for chunk in self.body:
            content += chunk
            if len(content) > limit_bytes:
                raise AwsError(
                    _TOO_LARGE,
                    f"Request must be smaller than {limit_bytes} bytes for the {self.operation} "
                    "operation",
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                )
        return bytes(content)


@dataclass(frozen=True, kw_only=True)
class Result:
    """The answer to a call."""

    members: Mapping[str, Any] = field(default_factory=dict)
    """Of the operation's output; datetimes for timestamps, bytes for blobs."""
    status: int | None = None
    """By default the description's."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Besides those that the description has members for."""
    stream: AsyncGenerator[bytes, None] | None = None
    """The body, instead of what the members would make it; sent as it comes, closed in any case."""


Handler = Callable[[Call], Awaitable[Result]]


Answering = Callable[["web.BaseRequest"], Awaitable["web.StreamResponse"]]


class Direct(Protocol):
    """Answers some requests by their path alone, as HTTP, before anything else looks at them.

    For what has to be fast, or is no operation of AWS's. Errors are for it to write; what it raises
    ends the connection.
    """

    @property
    def answers_pages(self) -> bool:
        """Whether it says itself which pages of a browser may ask; else only this machine's may."""

    def takes(self, request: web.BaseRequest) -> Answering | None:
        """What answers a request; ``None`` where it is none of these."""


class Surroundings(Protocol):
    """The endpoint, as a service sees it; what is asked for is as it is at that moment."""

    @property
    def url(self) -> str:
        """For processes of this machine."""

    def url_for(self, engine: EngineName) -> str:
        """For a container of this engine."""

    @property
    def backend(self) -> Backend:
        """Whom to ask for what no live service answers."""

    @property
    def objects(self) -> Objects:
        """What the backend holds."""


class Service(Protocol):
    """A live service. Its handlers run in the endpoint's event loop, and must not block it."""

    @property
    def name(self) -> str:
        """Botocore's name."""

    @property
    def operations(self) -> Mapping[str, Handler]:
        """What it answers, by operation."""

    async def start(self, surroundings: Surroundings) -> None:
        """Begin; requests come from now on."""

    async def reset(self) -> None:
        """Forget everything, as after ``POST /moto-api/reset``."""

    async def stop(self) -> None:
        """End everything that was started; no request comes any more."""


@runtime_checkable
class Finishing(Protocol):
    """A live service that needs other services, S3 for one, to end in good order."""

    async def finish(self) -> None:
        """End what runs; requests are still answered, and :meth:`Service.stop` comes next."""


class RawService(Protocol):
    """Answers every request to one service as it is, such as S3."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request; the body has not been read."""

    async def reset(self) -> None:
        """Forget everything."""

    async def stop(self) -> None:
        """End; no request comes any more."""


OnSpan = Callable[[str, str, float], None]
"""Told of a part of a trace: its root, what it was, and how long it took, in seconds."""


def no_span(root: str, hop: str, seconds: float) -> None:
    """Nobody is told."""


class StatelessService:
    """A live service that keeps nothing of its own; a base for such."""

    async def start(self, surroundings: Surroundings) -> None:
        """Nothing is to be begun."""

    async def reset(self) -> None:
        """Nothing is to be forgotten."""

    async def stop(self) -> None:
        """Nothing is to be ended."""
