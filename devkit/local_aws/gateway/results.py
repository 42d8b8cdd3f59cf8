"""What functions return, as answers: payload 2.0 and 1.0, REST's proxy (contract, section 4)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from devkit.local_aws.gateway.bodies import from_base64
from devkit.local_aws.gateway.messages import JSON, Answer, Headers, can_be_sent

_LOWEST, _HIGHEST = 200, 599
_CONTENT_TYPE = "Content-Type"
_TEXT = "text/plain;charset=UTF-8"
# What belongs to the connection, and is the gateway's to say.
_OF_THE_CONNECTION = ("Connection", "Transfer-Encoding", "Content-Length", "Keep-Alive")


class Malformed(Exception):
    """A function returned what is no answer."""


class NotBase64(Malformed):
    """It said that its body is base64, and it is not."""


def answer_2(payload: bytes) -> Answer:
    """The answer that a result of payload format 2.0 stands for.

    What has no ``statusCode`` is the body itself; of a string, its text.

    Raises:
        Malformed: It stands for none.
    """
    result = _parsed(payload)
    if not isinstance(result, dict) or "statusCode" not in result:
        body = result.encode(errors="replace") if isinstance(result, str) else payload
        return Answer(status=HTTPStatus.OK, headers=Headers([(_CONTENT_TYPE, JSON)]), body=body)
    cookies = result.get("cookies") or []
    if not isinstance(cookies, list) or not all(isinstance(each, str) for each in cookies):
        raise Malformed("cookies is no list of strings")
    pairs = [*_pairs(result.get("headers")), *(("Set-Cookie", each) for each in cookies)]
    return _answer(result, pairs, decode=True, content_type=_TEXT)


def answer_1(payload: bytes) -> Answer:
    """The answer that a result of an HTTP API's payload format 1.0 stands for.

    Raises:
        Malformed: It stands for none.
    """
    return _proxy(payload, decode=True, content_type=_TEXT)


def rest_answer(payload: bytes, *, accepts_binary: bool) -> Answer:
    """The answer that a result of REST's proxy integration stands for.

    Args:
        payload: The result.
        accepts_binary: Whether what the client accepts is one of the API's binary media types:
            else a body in base64 stays that.

    Raises:
        Malformed: It stands for none.
    """
    return _proxy(payload, decode=accepts_binary, content_type=JSON)


def _proxy(payload: bytes, *, decode: bool, content_type: str) -> Answer:
    result = _parsed(payload)
    if not isinstance(result, dict):
        raise Malformed("the result is no object")
    several = list(_several(result.get("multiValueHeaders")))
    named = {name.lower() for name, _ in several}
    pairs = [pair for pair in _pairs(result.get("headers")) if pair[0].lower() not in named]
    return _answer(result, [*pairs, *several], decode=decode, content_type=content_type)


def _answer(
    result: Mapping[str, Any], pairs: list[tuple[str, str]], *, decode: bool, content_type: str
) -> Answer:
    headers = Headers(pairs).without(*_OF_THE_CONNECTION)
    if headers.get(_CONTENT_TYPE) is None:
        headers = headers.plus((_CONTENT_TYPE, content_type))
    return Answer(
        status=_status(result.get("statusCode")), headers=headers, body=_body(result, decode)
    )


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        raise Malformed("the result is not JSON") from None


def _status(value: Any) -> int:
    try:
        status = int(value) if isinstance(value, (int, str)) else 0
    except ValueError:
        status = 0
    if not _LOWEST <= status <= _HIGHEST:
        raise Malformed(f"statusCode is {value!r}")
    return status


def _body(result: Mapping[str, Any], decode: bool) -> bytes:
    body = result.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise Malformed("body is no string")
    if result.get("isBase64Encoded") is True and decode:
        try:
            return from_base64(body)
        except ValueError:
            raise NotBase64("isBase64Encoded is true, and body is not base64") from None
    return body.encode(errors="replace")


def _pairs(headers: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(headers, (dict, type(None))):
        raise Malformed("headers is no object")
    for name, value in (headers or {}).items():
        yield _header(name, value)


def _several(headers: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(headers, (dict, type(None))):
        raise Malformed("multiValueHeaders is no object")
    for name, values in (headers or {}).items():
        if not isinstance(values, list):
            raise Malformed(f"multiValueHeaders has no list for {name}")
        for value in values:
            yield _header(name, value)


def _header(name: str, value: Any) -> tuple[str, str]:
    text = json.dumps(value) if isinstance(value, (bool, type(None))) else str(value)
    if not isinstance(value, (str, int, float, bool)) or not can_be_sent(name, text):
        raise Malformed(f"header {name!r} has no value that can be sent")
    return name, text
