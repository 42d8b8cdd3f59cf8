"""An invocation and its answer, as values that know no server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass


class ClientBroken(Exception):
    """The client's request ended early or is not HTTP; raised by :attr:`Invocation.body`."""


class AnswerCut(Exception):
    """An answer cannot be finished; raised by :attr:`Answer.body`.

    The status is with the client already. It must find out by a broken connection: what it has is
    not all.
    """


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """A request to the runtime API."""

    headers: Mapping[str, str]
    """Looked up by lower-case names: a plain mapping must have these, or ignore case."""
    body: AsyncIterator[bytes]
    """The body as it comes. Raises :class:`ClientBroken`. Not touched where a request is refused
    for its headers, so that what an ``Expect: 100-continue`` asks can wait for the first read."""
    content_length: int | None
    """Its size where the client told it; ``None`` where it is sent in chunks."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the client is to be sent.

    A body of bytes is complete. One that is a generator comes as the container gives it, may raise
    :class:`AnswerCut`, and must be closed (``aclose``) wherever reading it ends.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | AsyncGenerator[bytes, None]
    content_length: int | None = None
    """The size of a generator's body where the container told it."""
