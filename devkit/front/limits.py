"""What SageMaker allows a request to an endpoint, per kind of endpoint, and its texts.

Numbers in comments (``§2.3``) are sections of ``docs/contract.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from devkit import contract

Profile = Literal["realtime", "serverless", "async"]

# §2.3 says MB. The one message that is known counts in units of 1024 * 1024: a limit of 5 MB was
# "HTTP content length exceeded 5246976 bytes" (amazon-sagemaker-examples#245).
MB = 1024 * 1024
GB = 1024 * MB

# §2.5, §2.6, RT
MESSAGE_CHARS = 2048
# §2.6: the message of "the container" where it did not answer in time. Seen.
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)
# §2.6 has no text for a container that refuses or breaks the connection. This one is seen in
# public logs of such endpoints.
BROKEN = "An error occurred while handling request as the model process exited."
# §2.6: the ``ErrorCode`` of a ModelError is in no model; for 4xx it is seen in public logs, for
# the rest it is undocumented.
CLIENT_ERROR_CODE = "CLIENT_ERROR_FROM_MODEL"
SERVER_ERROR_CODE = "INTERNAL_FAILURE_FROM_MODEL"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request may weigh and how long it may take; ``None`` is unlimited."""

    profile: Profile = "realtime"
    """Decides the error for a request that is too large: the two kinds differ."""
    request_bytes: int = 25 * MB
    response_bytes: int | None = None
    """§2.9 limits serverless responses; for the other kinds no document gives a number."""
    invocation_s: float = contract.INVOCATION_TIMEOUT_S
    """From the last byte of the request to the last byte of the response, or to the first one of
    a response that is streamed."""
    stream_s: float = 480.0
    """From the last byte of the request to the last byte of a streamed response (§2.7)."""
    startup_s: float = contract.STARTUP_TIMEOUT_S
    """From the start of a container to its first good ping (§2.3, §2.9)."""
    connect_s: float = 0.25
    """How soon a container accepts a connection (§2.3)."""
    ping_s: float = contract.PING_TIMEOUT_S
    client_s: float = 60.0
    """How long a client may send nothing in the middle of its request (undocumented)."""


PROFILES: Mapping[Profile, Limits] = MappingProxyType(
    {
        "realtime": Limits(),
        # §2.9
        "serverless": Limits(
            profile="serverless",
            request_bytes=4 * MB,
            response_bytes=4 * MB,
            startup_s=180.0,
        ),
        # §2.8: the default of InvocationTimeoutSeconds
        "async": Limits(profile="async", request_bytes=1 * GB, invocation_s=900.0),
    }
)


def too_large_message(limits: Limits, request_id: str) -> str:
    """What a caller is told whose request is too large; both texts are seen, neither documented.

    Real-time: amazon-sagemaker-examples#245. Serverless: sagemaker-python-sdk#4271.
    """
    if limits.profile == "serverless":
        return f"Request {request_id} has oversize body."
    return f"HTTP content length exceeded {limits.request_bytes} bytes."
