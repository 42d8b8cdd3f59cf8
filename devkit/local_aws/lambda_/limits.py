"""Limits of invocations besides those of ``devkit.lambda_contract``, and what exceeds them."""

from __future__ import annotations

from http import HTTPStatus

from devkit.lambda_contract import MAX_PAYLOAD_BYTES
from devkit.local_aws.errors import AwsError

RESPONSE_BYTES = MAX_PAYLOAD_BYTES + 100
"""As AWS's own message has it: 6 MB, and room for what is around them."""
INIT_S = 10.0
"""What AWS gives a function to be imported in, before that counts against its time-out."""


def too_large(limit_bytes: int) -> AwsError:
    """The payload of an invocation is too large."""
    return AwsError(
        "RequestTooLargeException",
        f"Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        {"Type": "User"},
    )


def throttled() -> AwsError:
    """As many invocations of a function are under way as it has reserved."""
    return AwsError(
        "TooManyRequestsException",
        "Rate Exceeded.",
        HTTPStatus.TOO_MANY_REQUESTS,
        {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "Type": "User"},
    )
