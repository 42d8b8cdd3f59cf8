"""The two requests SageMaker makes to a hosting container: ``GET /ping``, ``POST /invocations``."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devkit import contract
from devkit.engines.base import Address
from devkit.errors import InvocationFailed

_POLL_S = 0.02
_SEE_LOGS = "devkit logs shows what the server wrote"
# A server may take this long before anybody is told what its ping says.
_PATIENCE_S = 2.0
_BODY_SHOWN_CHARS = 200


@dataclass(frozen=True)
class Reply:
    """A container's answer."""

    status: int
    content_type: str
    body: bytes
    error_type: str | None = None
    """What SageMaker's front calls the error; a container has no such header."""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", errors="replace")


def ping(address: Address, timeout_s: float = contract.PING_TIMEOUT_S) -> str | None:
    """Probe a container once, as SageMaker does (§2.3).

    Returns:
        ``None`` where it answers 200 in time, else what is wrong, in a few words.
    """
    begun = time.monotonic()
    try:
        reply = _request(address, "GET", contract.PING_PATH, timeout_s=timeout_s)
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except (OSError, http.client.HTTPException):
        return "nothing answers HTTP"
    if reply.status != http.HTTPStatus.OK:
        return f"HTTP {reply.status} {reply.text[:_BODY_SHOWN_CHARS]}".strip()
    if time.monotonic() - begun > timeout_s:
        return f"an answer later than {timeout_s:g} s"
    return None


def await_ping(
    address: Address,
    timeout_s: float,
    ended: Callable[[], bool],
    on_problem: Callable[[str], None],
) -> str | None:
    """Probe until the ping is good, the container has ended, or the time has run out.

    Args:
        address: The container's.
        timeout_s: The start-up window, in seconds.
        ended: Whether the container has ended.
        on_problem: Called when the ping is not good after a while, and when what is wrong changes.

    Returns:
        ``None`` when the ping is good, else what was wrong last.
    """
    begun = time.monotonic()
    told: str | None = None
    while True:
        problem = ping(address)
        if problem is None:
            return None
        waited = time.monotonic() - begun
        if ended() or waited >= timeout_s:
            return problem
        if waited >= _PATIENCE_S and problem != told:
            on_problem(problem)
            told = problem
        time.sleep(_POLL_S)


def invoke(
    address: Address,
    body: bytes,
    *,
    path: str = contract.INVOCATIONS_PATH,
    content_type: str,
    accept: str | None = None,
    timeout_s: float = contract.INVOCATION_TIMEOUT_S,
) -> Reply:
    """Ask a container for a prediction.

    Raises:
        InvocationFailed: It answers with a status that is not 2xx, not in time, or not at all.
    """
    headers = {"Content-Type": content_type} | ({"Accept": accept} if accept else {})
    try:
        reply = _request(
            address,
            "POST",
            path,
            timeout_s=timeout_s,
            body=body,
            headers=headers,
        )
    except TimeoutError:
        raise InvocationFailed(
            contract.invocation_timeout_message(),
            remedy=f"SageMaker waits {timeout_s:g} s for an answer: make the model faster",
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise InvocationFailed(
            f"the server at {address.url} broke the connection: {error or type(error).__name__}",
            remedy=_SEE_LOGS,
        ) from error
    if not 200 <= reply.status < 300:  # noqa: PLR2004 - HTTP's own classes
        raise _failed(reply)
    return reply


def _failed(reply: Reply) -> InvocationFailed:
    """What an error says: the container's own, or SageMaker's front's (§2.6)."""
    if reply.error_type is None:
        message = contract.model_error_message(reply.status, reply.text)
        return InvocationFailed(message, status=reply.status, body=reply.text)
    document = json.loads(reply.body)
    message = document.get("Message") or document.get("message") or reply.text
    if reply.error_type.partition(":")[0] != "ModelError":
        return InvocationFailed(
            f"{reply.error_type}: {message}", status=reply.status, body=reply.text
        )
    status = document["OriginalStatusCode"] or None  # 0 says that there was no answer
    return InvocationFailed(
        message,
        status=status,
        body=document.get("OriginalMessage", ""),
        remedy=_SEE_LOGS if status is None else None,
    )


def encode(data: Any) -> bytes:
    """A request body: bytes and text as they are, anything else as JSON."""
    if isinstance(data, bytes):
        return data
    return (data if isinstance(data, str) else json.dumps(data)).encode()


def decode(reply: Reply) -> Any:
    """An answer: decoded where it is JSON, else text where it is text, else bytes.

    What is called JSON and is not comes as it is.
    """
    media_type = reply.content_type.partition(";")[0].strip().lower()
    if media_type == "application/json":
        try:
            return json.loads(reply.body)
        except UnicodeDecodeError:
            return reply.body
        except ValueError:
            return reply.text
    return reply.text if media_type.startswith("text/") else reply.body


def _request(
    address: Address,
    method: str,
    path: str,
    *,
    timeout_s: float,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        content_type = response.getheader("Content-Type", "application/octet-stream")
        error_type = response.getheader("x-amzn-ErrorType")
        return Reply(response.status, content_type, response.read(), error_type)
    finally:
        connection.close()
