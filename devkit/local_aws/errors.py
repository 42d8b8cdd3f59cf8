"""AWS's errors, and how each of AWS's protocols writes them."""

from __future__ import annotations

import json
import re
import struct
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal
from xml.sax.saxutils import escape

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

Protocol = Literal["json", "query", "ec2", "rest-json", "rest-xml", "s3", "smithy-rpc-v2-cbor"]
"""AWS's protocols by botocore's names, and S3, whose errors are like no other's."""


@dataclass
class AwsError(Exception):
    """A request that is answered with an error.

    ``code`` is the error's name in AWS's model, ``members`` are its further fields. No status is in
    AWS's 5xx range: clients repeat such requests, for minutes, and the answer stays the same.
    """

    code: str
    message: str
    status: int = HTTPStatus.BAD_REQUEST
    members: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        """The error in a line."""
        return f"{self.code}: {self.message}"


class UnknownToMoto(Exception):
    """moto does not have what was asked for; never leaves the endpoint."""


@dataclass(frozen=True, kw_only=True)
class WireAnswer:
    """An answer on the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def new_request_id() -> str:
    """What a request is called in its answer."""
    return str(uuid.uuid4())


def not_implemented(service: str, operation: str | None, protocol: Protocol) -> AwsError:
    """Nobody here answers this; not a 5xx, so that nobody asks again."""
    codes: dict[Protocol, tuple[str, int]] = {
        "query": ("InvalidAction", HTTPStatus.BAD_REQUEST),
        "ec2": ("InvalidAction", HTTPStatus.BAD_REQUEST),
        "s3": ("MethodNotAllowed", HTTPStatus.METHOD_NOT_ALLOWED),
    }
    code, status = codes.get(protocol, ("UnknownOperationException", HTTPStatus.BAD_REQUEST))
    name = f"{service}.{operation}" if operation else f"This request to {service}"
    return AwsError(
        code,
        f"{name} is not implemented by devkit's local AWS; asking again will not help.",
        status,
    )


def serialization(message: str) -> AwsError:
    """The request is not what its protocol has it to be."""
    return AwsError("SerializationException", message)


def validation(message: str) -> AwsError:
    """The request is well-formed, and wrong."""
    return AwsError("ValidationException", message)


def access_denied(message: str) -> AwsError:
    """The request may come from a page in the developer's browser."""
    return AwsError("AccessDeniedException", message, HTTPStatus.FORBIDDEN)


def render(
    error: AwsError, protocol: Protocol, request_id: str, *, json_version: str = "1.1"
) -> WireAnswer:
    """An error as a protocol writes it."""
    headers, body = _WRITERS[protocol](error, request_id)
    if protocol == "json":
        headers["Content-Type"] = f"application/x-amz-json-{json_version}"
    return WireAnswer(
        status=error.status, headers={**headers, "x-amzn-RequestId": request_id}, body=body
    )


def _json(error: AwsError, _request_id: str) -> tuple[dict[str, str], bytes]:
    document = {"__type": error.code, "message": error.message, **error.members}
    # Clients of a service that once spoke the query protocol look for its codes here.
    headers = {"x-amzn-query-error": f"{error.code};Sender"}
    return headers, json.dumps(document).encode()


def _rest_json(error: AwsError, _request_id: str) -> tuple[dict[str, str], bytes]:
    document = {"message": error.message, **error.members}
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": error.code}
    return headers, json.dumps(document).encode()


def _query(error: AwsError, request_id: str) -> tuple[dict[str, str], bytes]:
    return _xml(
        f"<ErrorResponse><Error><Type>Sender</Type>{_code_and_message(error)}</Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )


def _ec2(error: AwsError, request_id: str) -> tuple[dict[str, str], bytes]:
    return _xml(
        f"<Response><Errors><Error>{_code_and_message(error)}</Error></Errors>"
        f"<RequestID>{request_id}</RequestID></Response>"
    )


def _s3(error: AwsError, request_id: str) -> tuple[dict[str, str], bytes]:
    return _xml(f"<Error>{_code_and_message(error)}<RequestId>{request_id}</RequestId></Error>")


def _cbor(error: AwsError, _request_id: str) -> tuple[dict[str, str], bytes]:
    headers = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
    texts = (_cbor_text(t) for t in ("__type", error.code, "message", error.message))
    return headers, b"\xa2" + b"".join(texts)  # a map of two


def _cbor_text(text: str) -> bytes:
    """RFC 8949, 3.1: major type 3, its length in four bytes."""
    data = text.encode(errors="replace")
    return struct.pack(">BI", 0x7A, len(data)) + data


def _code_and_message(error: AwsError) -> str:
    return f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"


def _xml(text: str) -> tuple[dict[str, str], bytes]:
    declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return {"Content-Type": "text/xml"}, (declaration + _printable(text)).encode()


def _printable(text: str) -> str:
    """Without the characters that no XML document can hold."""
    return _UNPRINTABLE.sub("\ufffd", text)


_Writer = Callable[[AwsError, str], tuple[dict[str, str], bytes]]
_WRITERS: Mapping[Protocol, _Writer] = {
    "json": _json,
    "query": _query,
    "ec2": _ec2,
    "rest-json": _rest_json,
    "rest-xml": _query,
    "s3": _s3,
    "smithy-rpc-v2-cbor": _cbor,
}
