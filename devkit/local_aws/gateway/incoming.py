"""Requests as values and answers as responses: between aiohttp and all that is pure here."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from devkit import guard
from devkit.front.exchange import invocation_of
from devkit.local_aws.gateway import cors
from devkit.local_aws.gateway.messages import (
    Answer,
    DevkitRefusal,
    Headers,
    Request,
    can_be_sent,
)
from devkit.local_aws.gateway.outbound import HOP_BY_HOP
from devkit.local_aws.gateway.traces import HEADER, trace_of
from devkit.local_aws.gateway.values import Cors

if TYPE_CHECKING:
    from aiohttp import web

_EXTENDED_ID_BYTES = 11
_TRACE_BITS = 96


def path_of(request: web.BaseRequest) -> str:
    """A request's path, still encoded, without the query."""
    path = request.raw_path.partition("?")[0]
    if path.startswith("/"):
        return path
    return "/" + path.partition("://")[2].partition("/")[2]  # a whole URL, as a proxy is sent


def head_of(asked: web.BaseRequest, *, path: str, domain_name: str) -> Request:
    """A request without its body, which may be too large.

    Args:
        asked: The request.
        path: Of it, what is below the address it came to.
        domain_name: The name it was asked by, where that says whom.
    """
    headers = Headers(asked.headers.items())
    client = asked.transport.get_extra_info("peername") if asked.transport is not None else None
    now = datetime.now(timezone.utc)
    return Request(
        method=asked.method,
        path=path,
        query=asked.raw_path.partition("?")[2].partition("#")[0],
        headers=headers,
        body=b"",
        source_ip=str(client[0]) if client else "127.0.0.1",
        domain_name=domain_name,
        received=now,
        request_id=str(uuid.uuid4()),
        extended_request_id=_extended_id(),
        trace=trace_of(
            headers.get(HEADER), now_s=now.timestamp(), number=secrets.randbits(_TRACE_BITS)
        ),
        protocol=f"HTTP/{asked.version.major}.{asked.version.minor}",
    )


def _extended_id() -> str:
    """Such as ``JKJaXmPLvHcESHA=``."""
    return base64.urlsafe_b64encode(secrets.token_bytes(_EXTENDED_ID_BYTES)).decode()


def head_bytes(head: Request) -> int:
    """How large the head is, as its limit counts."""
    return sum(len(name) + len(value) for name, value in head.headers.pairs) + len(head.path)


async def with_body(
    head: Request, asked: web.BaseRequest, *, limit_bytes: int, domain_name: str
) -> Request | None:
    """The request with its body, and with what proxies add to the headers.

    ``None`` where the body is larger than the limit; never more than that is read.
    """
    body = await _body(asked, limit_bytes)
    if body is None:
        return None
    host = asked.headers.get("Host", "")
    forwarded = [*head.headers.all("X-Forwarded-For"), head.source_ip]
    headers = head.headers.without(*HOP_BY_HOP).replacing(
        ("X-Forwarded-For", ", ".join(forwarded)),
        ("X-Forwarded-Port", host.rpartition(":")[2] if ":" in host else "80"),
        ("X-Forwarded-Proto", "http"),
        (HEADER, head.trace.header),
    )
    return replace(head, headers=headers, body=body, domain_name=domain_name)


async def _body(asked: web.BaseRequest, limit_bytes: int) -> bytes | None:
    invocation = invocation_of(asked)
    if invocation.content_length is not None and invocation.content_length > limit_bytes:
        return None
    content = bytearray()
    async for chunk in invocation.body:
        content += chunk
        if len(content) > limit_bytes:
            return None
    return bytes(content)


def foreign_pages(head: Request) -> Collection[str]:
    """The origins of a request that are pages of other machines."""
    origins = head.headers.all("Origin")
    return () if guard.refusal(("127.0.0.1",), origins) is None else origins


def require_allowed(allowed: Cors | None, origins: Collection[str], what: str, remedy: str) -> None:
    """Make sure that all these pages may ask.

    Raises:
        DevkitRefusal: One may not.
    """
    if allowed is None or not all(cors.allows(allowed, each) for each in origins):
        raise page_refused(origins, what, remedy)


def page_refused(origins: Collection[str], what: str, remedy: str) -> DevkitRefusal:
    """Pages of another machine ask what is not there for pages."""
    listed = ", ".join(repr(each) for each in origins)
    return DevkitRefusal(
        f"Pages of {listed} may not call this {what} on a developer's machine: {remedy}."
    )


def response_of(answer: Answer, asked: web.BaseRequest, *, broken: bool = False) -> web.Response:
    """An answer for the client.

    Args:
        answer: It.
        asked: To what.
        broken: Whether the request could not be read to its end.
    """
    from aiohttp import web  # noqa: PLC0415
    from multidict import CIMultiDict  # noqa: PLC0415

    # Mapping may have made headers of anything in the request.
    headers = CIMultiDict(pair for pair in answer.headers.pairs if can_be_sent(*pair))
    headers.setdefault("Server", "devkit")
    response = web.Response(status=answer.status, headers=headers, body=answer.body)
    if broken or (asked.headers.get("Expect") and not asked.content.is_eof()):
        response.force_close()  # whether the body will still come, nobody can know
    return response
