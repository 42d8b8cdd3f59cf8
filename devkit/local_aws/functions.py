"""The seam between Lambda and what invokes its functions: API Gateway, the project, moto."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from devkit.contract import LOCAL_REGION


@dataclass(frozen=True, kw_only=True)
class FunctionAnswer:
    """What an invocation that was waited for came to."""

    payload: bytes
    """What the handler returned, as JSON; or the error envelope (contract, section 4)."""
    error: str | None = None
    """``Unhandled`` where the function failed."""
    executed_version: str = "$LATEST"
    log_tail: bytes = b""
    """The last 4 KB of the invocation's log."""


class Functions(Protocol):
    """Lambda, as others use it; for the endpoint's event loop."""

    async def invoke(
        self,
        function: str,
        payload: bytes,
        *,
        region: str = LOCAL_REGION,
        trace_id: str | None = None,
    ) -> FunctionAnswer:
        """Invoke a function, and wait for its answer.

        Args:
            function: A name or an ARN, with or without a version or alias, as ``Invoke`` takes it.
            payload: The event, as JSON; up to 6 MB.
            region: Where the function is, if it is given by name.
            trace_id: Of the trace that this is part of (``X-Amzn-Trace-Id``).

        Raises:
            AwsError: It cannot be invoked: there is no such function
                (``ResourceNotFoundException``), it is throttled (``TooManyRequestsException``), or
                the payload is too large or no JSON.
        """
