"""Requests as events, and results as answers (contract, section 4)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from devkit.local_aws.gateway.events import http_place, payload_1, payload_2, rest_proxy
from devkit.local_aws.gateway.results import Malformed, NotBase64, answer_1, answer_2, rest_answer
from tests.unit.gateway_requests import asked, at

REST_CONTEXT = {
    *("accountId", "apiId", "domainName", "domainPrefix", "extendedRequestId", "httpMethod"),
    *("identity", "path", "protocol", "requestId", "requestTime", "requestTimeEpoch"),
    *("resourceId", "resourcePath", "stage"),
}
REST = {
    *("resource", "path", "httpMethod", "headers", "multiValueHeaders", "queryStringParameters"),
    *("multiValueQueryStringParameters", "pathParameters", "stageVariables", "requestContext"),
    *("body", "isBase64Encoded"),
}


def test_format_2_has_no_member_that_would_be_empty() -> None:
    event = payload_2(asked(), at())

    assert set(event) == {
        *("version", "routeKey", "rawPath", "rawQueryString", "headers", "requestContext"),
        "isBase64Encoded",
    }
    assert set(event["requestContext"]) == {
        *("accountId", "apiId", "domainName", "domainPrefix", "http", "requestId", "routeKey"),
        *("stage", "time", "timeEpoch"),
    }
    assert set(event["requestContext"]["http"]) == {
        *("method", "path", "protocol", "sourceIp", "userAgent")
    }
    assert event["requestContext"]["time"] == "12/Mar/2020:19:03:58 +0000"
    assert event["requestContext"]["timeEpoch"] == 1584039838390


def test_format_1_and_rest_have_null_for_what_would_be_empty() -> None:
    one, rest = payload_1(asked(), at()), rest_proxy(asked(), at())

    assert set(one) == {"version", *REST}
    assert set(rest) == REST
    assert set(rest["requestContext"]) == REST_CONTEXT
    assert set(one["requestContext"]) == {*REST_CONTEXT, "authorizer"}
    for event in (one, rest):
        for name in ("headers", "queryStringParameters", "pathParameters", "stageVariables"):
            assert event[name] is None
        assert event["body"] is None


def test_header_names_are_lower_case_for_http_apis_and_as_they_came_for_rest() -> None:
    request = asked(X_Thing="a")

    assert payload_2(request, at())["headers"] == {"x-thing": "a"}
    assert payload_1(request, at())["multiValueHeaders"] == {"x-thing": ["a"]}
    assert rest_proxy(request, at())["headers"] == {"X-Thing": "a"}


def test_http_apis_decode_the_path() -> None:
    place = http_place("abc", "dev", "/dev/a%20b%2Fc", "GET /{x}")

    assert (place.path, place.resource_path) == ("/dev/a b/c", "/{x}")


@pytest.mark.parametrize(
    ("kind", "body", "event"),
    [
        ("application/json; charset=utf-8", b'"\xc3\xa9"', ('"é"', False)),
        ("text/csv", b"a,b", ("a,b", False)),
        ("application/x-www-form-urlencoded", b"a=b", ("YT1i", True)),
        ("image/png", b"\x89", ("iQ==", True)),
        ("application/json", b"\xff", ("/w==", True)),
    ],
)
def test_bodies_that_are_no_text_are_in_base64(
    kind: str, body: bytes, event: tuple[str, bool]
) -> None:
    request = asked("POST", body=body, Content_Type=kind)

    for made in (payload_2(request, at()), payload_1(request, at())):
        assert (made["body"], made["isBase64Encoded"]) == event


def test_rest_has_base64_for_its_binary_types_only() -> None:
    request = asked("POST", body=b"\x89", Content_Type="image/png")

    binary = rest_proxy(request, at(), binary_types=("image/*",))
    text = rest_proxy(request, at())

    assert (binary["body"], binary["isBase64Encoded"]) == ("iQ==", True)
    assert (text["body"], text["isBase64Encoded"]) == ("\ufffd", False)


# --- results ------------------------------------------------------------------------------------


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("result", "body"),
    [
        (b'{"a": 1}', b'{"a": 1}'),
        (b'"text"', b"text"),
        (b"[1]", b"[1]"),
        (b"null", b"null"),
        (b'{"status": 200}', b'{"status": 200}'),
    ],
)
def test_what_has_no_status_code_is_the_body(result: bytes, body: bytes) -> None:
    answer = answer_2(result)

    assert (answer.status, answer.body) == (200, body)
    assert answer.headers.get("content-type") == "application/json"


def test_a_result_without_a_content_type_has_one_by_default() -> None:
    result = _json({"statusCode": 200, "body": "x"})

    assert answer_2(result).headers.get("content-type") == "text/plain;charset=UTF-8"
    assert answer_1(result).headers.get("content-type") == "text/plain;charset=UTF-8"
    rest = rest_answer(result, accepts_binary=False)
    assert rest.headers.get("content-type") == "application/json"


def test_several_values_go_over_one() -> None:
    result = _json(
        {"statusCode": 200, "headers": {"a": "0", "b": "1"}, "multiValueHeaders": {"A": ["2", "3"]}}
    )

    headers = rest_answer(result, accepts_binary=False).headers

    assert (list(headers.all("a")), headers.get("b")) == (["2", "3"], "1")


def test_what_belongs_to_the_connection_is_the_gateways_to_say() -> None:
    headers = {"Content-Length": "99", "Transfer-Encoding": "chunked", "Connection": "close"}

    answer = answer_2(_json({"statusCode": 200, "headers": headers}))

    assert [name for name, _ in answer.headers.pairs] == ["Content-Type"]


@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": "many"},
        {"statusCode": None},
        {"statusCode": 99},
        {"statusCode": 1000},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "headers": {"a": "b\r\nc: d"}},
        {"statusCode": 200, "headers": {"a": {"b": 1}}},
        {"statusCode": 200, "headers": {"a b": "c"}},
        {"statusCode": 200, "headers": {"": "c"}},
        {"statusCode": 200, "headers": {"a": "\ud800"}},
        {"statusCode": 200, "cookies": "a=b"},
        {"statusCode": 200, "isBase64Encoded": True, "body": "!"},
    ],
)
def test_what_is_no_answer_is_malformed(result: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        answer_2(_json(result))


@pytest.mark.parametrize("result", [b"", b"<html>", b"[" * 100_000, b"1", b'{"a": 1}', b'"x"'])
def test_a_rest_proxy_wants_an_object_with_a_status(result: bytes) -> None:
    with pytest.raises(Malformed):
        rest_answer(result, accepts_binary=False)


def test_rest_decodes_base64_for_who_accepts_it() -> None:
    result = _json({"statusCode": 200, "isBase64Encoded": True, "body": "aGk="})
    wrong = _json({"statusCode": 200, "isBase64Encoded": True, "body": "a"})

    assert rest_answer(result, accepts_binary=True).body == b"hi"
    assert rest_answer(result, accepts_binary=False).body == b"aGk="
    with pytest.raises(NotBase64):
        rest_answer(wrong, accepts_binary=True)
