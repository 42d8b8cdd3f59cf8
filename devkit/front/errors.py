"""The errors of the runtime API, as its clients see them (§2.6)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from devkit import contract
from devkit.front import limits as texts
from devkit.front.limits import Limits
from devkit.front.messages import Answer

REQUEST_ID = "x-amzn-RequestId"
_ERROR_TYPE = "x-amzn-ErrorType"


def new_request_id() -> str:
    """What a request is called in its answer."""
    return str(uuid.uuid4())


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Whom the front speaks for."""

    name: str
    variant: str = "AllTraffic"
    region: str = contract.LOCAL_REGION
    account: str = contract.LOCAL_ACCOUNT

    @property
    def log_group(self) -> str:
        """Where its containers' output is (§2.13)."""
        return contract.endpoint_log_group(self.name)

    @property
    def log_stream_arn(self) -> str:
        """``LogStreamArn`` of a ModelError; as seen in public logs, it names the group."""
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.log_group}"

    @property
    def see(self) -> str:
        """The end of every ModelError's message (§2.6)."""
        return (
            f"See https://{self.region}.console.aws.amazon.com/cloudwatch/home?"
            f"region={self.region}#logEventViewer:group={self.log_group} "
            f"in account {self.account} for more information."
        )


@dataclass
class Refused(Exception):
    """A request that is answered with an error.

    ``code`` is the name of the error in AWS's model; without one, clients call the error by its
    status.
    """

    status: int
    code: str | None
    message: str
    members: Mapping[str, object] = field(default_factory=dict)

    def answer(self, request_id: str) -> Answer:
        """The error on the wire, as AWS's REST JSON protocol has it."""
        document = {**self.members, "Message": self.message}
        headers = {"Content-Type": "application/json", REQUEST_ID: request_id}
        if self.code is not None:
            headers[_ERROR_TYPE] = self.code
        return Answer(status=self.status, headers=headers, body=json.dumps(document).encode())


def validation_error(message: str) -> Refused:
    """The request is at fault."""
    return Refused(HTTPStatus.BAD_REQUEST, "ValidationError", message)


def forbidden(message: str) -> Refused:
    """The request may come from a page in the developer's browser (not of the contract)."""
    return Refused(HTTPStatus.FORBIDDEN, "AccessDeniedException", message)


def unknown_endpoint(name: str, account: str = contract.LOCAL_ACCOUNT) -> Refused:
    """There is no endpoint of this name (§2.6)."""
    return validation_error(f"Endpoint {name} of account {account} not found.")


def unknown_variant(endpoint: Endpoint, variant: str) -> Refused:
    """The endpoint has no such variant (§2.4; the text is undocumented)."""
    return validation_error(f"Variant {variant} of endpoint {endpoint.name} not found.")


def unknown_operation(method: str, path: str) -> Refused:
    """The path is none of the runtime API's, or not with this method (text undocumented)."""
    return Refused(
        HTTPStatus.NOT_FOUND,
        "UnknownOperationException",
        f"{method} {path} is no operation: POST /invocations, POST /endpoints/NAME/invocations, "
        "POST /endpoints/NAME/invocations-response-stream and GET /ping are.",
    )


def too_large(limits: Limits, request_id: str) -> Refused:
    """The request's body is over the limit (§2.3, §2.9).

    Real-time endpoints answer with a plain 413, serverless ones with a ValidationError.
    """
    message = texts.too_large_message(limits, request_id)
    if limits.profile == "serverless":
        return validation_error(message)
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, None, message)


def no_container() -> Refused:
    """No container is there to answer (§2.6 ServiceUnavailable; the text is undocumented)."""
    return Refused(
        HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", "No container is in service."
    )


def internal_failure() -> Refused:
    """The front itself failed (§2.6)."""
    return Refused(
        HTTPStatus.INTERNAL_SERVER_ERROR, "InternalFailure", "An internal failure occurred."
    )


def model_error(endpoint: Endpoint, status: int, text: str) -> Refused:
    """The container answered with an error, or not at all: ``status`` 0 (§2.6).

    ``text`` is shortened in the message so that the message keeps its end and its limit.
    """
    frame = len(contract.model_error_message(status, "")) + 2 + len(endpoint.see)
    shown = text[: max(0, texts.MESSAGE_CHARS - frame)]
    is_client = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return Refused(
        HTTPStatus.FAILED_DEPENDENCY,
        "ModelError",
        f"{contract.model_error_message(status, shown)}. {endpoint.see}",
        {
            "ErrorCode": texts.CLIENT_ERROR_CODE if is_client else texts.SERVER_ERROR_CODE,
            "OriginalStatusCode": status,
            "OriginalMessage": text[: texts.MESSAGE_CHARS],
            "LogStreamArn": endpoint.log_stream_arn,
        },
    )


def timed_out(endpoint: Endpoint) -> Refused:
    """The container did not answer in time (§2.6)."""
    return model_error(endpoint, 0, texts.TIMED_OUT)


def broken(endpoint: Endpoint) -> Refused:
    """The container refused the connection or broke it (§2.6)."""
    return model_error(endpoint, 0, texts.BROKEN)


def response_too_large(endpoint: Endpoint, limits: Limits) -> Refused:
    """The container's response is over the limit (§2.9; the text is undocumented)."""
    return model_error(
        endpoint, 0, f"The response of container primary exceeds {limits.response_bytes} bytes."
    )
