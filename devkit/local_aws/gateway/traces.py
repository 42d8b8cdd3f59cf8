"""X-Ray's trace header: taken from the client, or begun here."""

from __future__ import annotations

import re

from devkit.local_aws.gateway.messages import Trace

HEADER = "X-Amzn-Trace-Id"

_ROOT = re.compile(r"(?:^|;)\s*Root=([0-9A-Za-z-]{1,64})", re.ASCII)


def trace_of(header: str | None, *, now_s: float, number: int) -> Trace:
    """The trace of a request.

    Args:
        header: What the client sent, if it did.
        now_s: The time.
        number: 96 random bits.
    """
    match = _ROOT.search(header or "")
    if header is not None and match is not None:
        return Trace(root=match[1], header=header)
    root = f"1-{int(now_s):08x}-{number:024x}"
    return Trace(root=root, header=f"Root={root}")
