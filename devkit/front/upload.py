"""A request's body on its way from the client to the container."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from devkit.front.errors import Refused
from devkit.front.messages import ClientBroken, Invocation

# Up to this size a body is complete before the container hears of the request: one packet to send,
# and a client that breaks off disturbs nobody.
_WHOLE_BYTES = 64 * 1024


class Upload:
    """Passes a body on, counts it, and remembers when the client was last heard.

    Args:
        invocation: The request.
        max_bytes: How much of it is passed on.
        too_large: What to raise when it is more.
    """

    def __init__(self, invocation: Invocation, max_bytes: int, too_large: Refused) -> None:
        self._body = invocation.body
        self._max_bytes = max_bytes
        self._too_large = too_large
        self._sender: asyncio.Task[object] | None = None
        self.content_length = invocation.content_length
        self.heard_s = time.monotonic()
        """When the client last sent something, on the monotonic clock."""
        self.waiting = False
        """Whether it is the client's turn, not the container's."""
        self.finished = False
        """Whether everything is passed on."""
        self.problem: Refused | ClientBroken | None = None
        """Why the body ended early."""

    @property
    def is_small(self) -> bool:
        """Whether to send it in one piece."""
        return self.content_length is not None and self.content_length <= _WHOLE_BYTES

    async def whole(self) -> bytes:
        """All of it.

        Raises:
            ClientBroken: The client broke off.
            Refused: It is too large.
        """
        return b"".join([chunk async for chunk in self._checked()])

    async def chunks(self) -> AsyncIterator[bytes]:
        """Piece by piece, in the task of whoever sends it."""
        self._sender = asyncio.current_task()
        async for chunk in self._checked():
            yield chunk

    async def _checked(self) -> AsyncIterator[bytes]:
        passed_bytes = 0
        try:
            self.waiting = True
            async for chunk in self._body:
                self.waiting = False
                self.heard_s = time.monotonic()
                passed_bytes += len(chunk)
                if passed_bytes > self._max_bytes:
                    raise self._too_large
                yield chunk
                self.waiting = True
        except (Refused, ClientBroken) as problem:
            self.problem = problem
            raise
        self.waiting = False
        self.finished = True

    async def stop(self) -> None:
        """Read no more of it, whatever is left: from now on the body is the caller's again."""
        sender = self._sender
        if sender is None or self.finished or sender.done() or sender is asyncio.current_task():
            return
        sender.cancel()
        await asyncio.wait({sender})
