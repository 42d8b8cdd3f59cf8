"""Function URLs in the local AWS: made by boto3, asked over HTTP, as anybody asks a server."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.functions_kit import Functions, functions
from tests.integration.gateway_support import Reply, call

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"
EVENT = "def handler(event, context):\n    return event\n"
FAILED = b"Internal Server Error"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Functions]:
    with functions(tmp_path_factory.mktemp("lambda")) as live:
        yield live


def url_of(live: Functions, code: str, *, cors: dict[str, Any] | None = None, **more: Any) -> str:
    """The URL of a new function."""
    name = live.create(code, **more)
    wanted = {} if cors is None else {"Cors": cors}
    made = live.client("lambda").create_function_url_config(
        FunctionName=name, AuthType="NONE", **wanted
    )
    return str(made["FunctionUrl"])


def returning(value: str) -> str:
    return f"def handler(event, context):\n    return {value}\n"


# --- what is told of them -------------------------------------------------------------------------


def test_a_url_is_made_told_changed_and_deleted(live: Functions) -> None:
    client = live.client("lambda")
    name = live.create(EVENT)
    assert client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"] == []
    made = client.create_function_url_config(
        FunctionName=name, AuthType="NONE", Cors={"AllowOrigins": ["*"], "MaxAge": 5}
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["FunctionUrl"].startswith(f"{live.aws.url}/_function-url/")
    assert made["FunctionUrl"].endswith("/")
    assert made["FunctionArn"] == ARN + name
    assert (made["AuthType"], made["InvokeMode"]) == ("NONE", "BUFFERED")

    for function in (name, ARN + name):
        found = client.get_function_url_config(FunctionName=function)
        assert found["FunctionUrl"] == made["FunctionUrl"]
        assert found["Cors"] == {"AllowOrigins": ["*"], "MaxAge": 5}
    (listed,) = client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]
    assert listed["FunctionUrl"] == made["FunctionUrl"]

    updated = client.update_function_url_config(
        FunctionName=name, AuthType="AWS_IAM", Cors={"AllowOrigins": ["http://a.example"]}
    )
    assert (updated["FunctionUrl"], updated["AuthType"]) == (made["FunctionUrl"], "AWS_IAM")
    assert call(made["FunctionUrl"]).json["requestContext"]["accountId"] == "123456789012"

    assert call(made["FunctionUrl"]).status == 200
    deleted = client.delete_function_url_config(FunctionName=name)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert call(made["FunctionUrl"]).status == 404


def test_what_cannot_be_is_refused_in_awss_words(live: Functions) -> None:
    client = live.client("lambda")
    name = live.create(EVENT)
    missing = (404, "ResourceNotFoundException")
    for ask in (
        client.get_function_url_config,
        client.delete_function_url_config,
        client.update_function_url_config,
    ):
        assert live.refused(lambda ask=ask: ask(FunctionName=name))[:2] == missing  # type: ignore[misc]
        assert live.refused(lambda ask=ask: ask(FunctionName="none"))[:2] == missing  # type: ignore[misc]

    def create(**more: Any) -> object:
        wanted = {"FunctionName": name, "AuthType": "NONE", **more}
        return client.create_function_url_config(**wanted)

    assert live.refused(lambda: create(FunctionName="none"))[:2] == missing
    assert live.refused(lambda: create(AuthType="BASIC"))[0] == 400
    alias = live.refused(lambda: create(Qualifier="prod"))
    assert alias[1] == "UnsupportedOperationException"
    create()
    assert live.refused(create)[:2] == (409, "ResourceConflictException")


def test_a_url_goes_with_its_function(live: Functions) -> None:
    name = live.create(EVENT)
    client = live.client("lambda")
    made = client.create_function_url_config(FunctionName=name, AuthType="NONE")
    client.delete_function(FunctionName=name)
    assert call(made["FunctionUrl"]).status == 404


# --- what the function is given -------------------------------------------------------------------


@pytest.mark.contract("4-i")
def test_the_event_is_payload_format_2(live: Functions) -> None:
    url = url_of(live, EVENT)
    identifier = url.rstrip("/").rpartition("/")[2]
    reply = call(
        f"{url}a%20b/c?x=1&x=2&y=%26",
        "PUT",
        headers={
            "Content-Type": "application/json",
            "Cookie": "one=1; two=2",
            "User-Agent": "me",
            "X-Amzn-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793",
        },
        body=b'{"a": 1}',
    )
    assert reply.status == 200
    assert reply.header("content-type") == "application/json"
    event = reply.json
    assert event["version"] == "2.0"
    assert event["routeKey"] == "$default"
    assert event["rawPath"] == "/a b/c"
    assert event["rawQueryString"] == "x=1&x=2&y=%26"
    assert event["queryStringParameters"] == {"x": "1,2", "y": "&"}
    assert event["cookies"] == ["one=1", "two=2"]
    assert (event["body"], event["isBase64Encoded"]) == ('{"a": 1}', False)
    assert event["headers"]["x-forwarded-proto"] == "http"
    assert event["headers"]["x-amzn-trace-id"] == "Root=1-5759e988-bd862e3fe1be46a994272793"
    assert "pathParameters" not in event
    context = event["requestContext"]
    assert context["accountId"] == "anonymous"
    assert context["apiId"] == context["domainPrefix"] == identifier
    assert context["domainName"] == f"{identifier}.lambda-url.us-east-1.on.aws"
    assert (context["stage"], context["routeKey"]) == ("$default", "$default")
    assert context["http"] == {
        "method": "PUT",
        "path": "/a b/c",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "me",
    }
    assert context["requestId"] == reply.header("x-amzn-requestid")
    assert reply.header("x-amzn-trace-id") == "root=1-5759e988-bd862e3fe1be46a994272793"


def test_a_body_that_is_no_text_is_in_base64(live: Functions) -> None:
    event = call(url_of(live, EVENT), "POST", body=b"\x00\xff").json
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == b"\x00\xff"


def test_a_url_has_a_name_of_its_own_too(live: Functions) -> None:
    url = url_of(live, EVENT)
    identifier = url.rstrip("/").rpartition("/")[2]
    for name in (
        f"{identifier}.lambda-url.us-east-1.localhost.localstack.cloud:4566",
        f"{identifier.upper()}.lambda-url.us-east-1.localhost",
        f"{identifier}.lambda-url.localhost:80",
    ):
        event = call(f"{live.aws.url}/x", headers={"Host": name}).json
        assert event["rawPath"] == "/x"
        assert event["requestContext"]["domainName"] == name.partition(":")[0]
    other = call(f"{live.aws.url}/x", headers={"Host": f"{identifier}.lambda-url.x.example"})
    assert other.status == 403


# --- what becomes of what it returns --------------------------------------------------------------


@pytest.mark.contract("4-j")
@pytest.mark.parametrize(
    ("value", "status", "kind", "body"),
    [
        ('{"a": 1}', 200, "application/json", b'{"a": 1}'),
        ('"text"', 200, "application/json", b"text"),
        ('{"statusCode": 404, "body": "no"}', 404, "text/plain;charset=UTF-8", b"no"),
        (
            '{"statusCode": 200, "body": "AP8=", "isBase64Encoded": True, "headers": {"X": 1}}',
            200,
            "text/plain;charset=UTF-8",
            b"\x00\xff",
        ),
    ],
)
def test_what_is_returned_is_the_answer(
    live: Functions, value: str, status: int, kind: str, body: bytes
) -> None:
    reply = call(url_of(live, returning(value)))
    assert (reply.status, reply.header("content-type"), reply.body) == (status, kind, body)


def test_cookies_are_headers_of_their_own(live: Functions) -> None:
    reply = call(url_of(live, returning('{"statusCode": 200, "cookies": ["a=1", "b=2; Secure"]}')))
    cookies = [value for name, value in reply.headers if name.lower() == "set-cookie"]
    assert cookies == ["a=1", "b=2; Secure"]


@pytest.mark.contract("4-m")
@pytest.mark.parametrize(
    "code",
    [
        "def handler(event, context):\n    raise ValueError('no')\n",
        "import os\ndef handler(event, context):\n    os._exit(3)\n",
        "def handler(event, context)\n",
        returning('"x" * 7 * 1024 * 1024'),
        returning('{"statusCode": "many"}'),
        returning('{"statusCode": 200, "body": {}}'),
    ],
)
def test_what_fails_is_a_502(live: Functions, code: str) -> None:
    reply = call(url_of(live, code))
    assert (reply.status, reply.body) == (502, FAILED)


def test_a_function_that_takes_too_long_is_a_502(live: Functions) -> None:
    late = "import time\ndef handler(event, context):\n    time.sleep(60)\n"
    assert call(url_of(live, late, Timeout=1)).status == 502


@pytest.mark.contract("4-l")
def test_requests_may_have_6_mb(live: Functions) -> None:
    url = url_of(live, 'def handler(event, context):\n    return len(event["body"])\n')
    text = {"Content-Type": "text/plain"}
    assert call(url, "POST", headers=text, body=b"x" * 6_000_000).json == 6_000_000
    for size in (6 * 1024 * 1024 - 10, 6 * 1024 * 1024 + 1, 50 * 1024 * 1024):
        try:
            refused: Reply | None = call(url, "POST", headers=text, body=b"x" * size)
        except ConnectionError:  # it was told before it had sent all
            refused = None
        assert refused is None or refused.status == 413, size
    assert call(url, "POST", headers=text, body=b"x").json == 1


def test_what_is_reserved_throttles(live: Functions) -> None:
    name = live.create(EVENT)
    client = live.client("lambda")
    made = client.create_function_url_config(FunctionName=name, AuthType="NONE")
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    throttled = call(made["FunctionUrl"])
    assert throttled.status == 429
    assert throttled.json == {
        "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
        "Type": "User",
        "message": "Rate Exceeded.",
    }


def test_what_devkit_cannot_run_is_said(live: Functions) -> None:
    refused = call(url_of(live, EVENT, Runtime="nodejs20.x"))
    assert refused.status == 400
    assert "not in nodejs20.x" in refused.json["message"]


# --- pages ----------------------------------------------------------------------------------------

PAGE = {"Origin": "http://pages.example"}
ASKS = {**PAGE, "Access-Control-Request-Method": "POST"}


def test_pages_may_ask_as_the_configuration_says(live: Functions) -> None:
    cors = {
        "AllowOrigins": ["http://pages.example"],
        "AllowMethods": ["POST"],
        "AllowHeaders": ["x-mine"],
        "ExposeHeaders": ["x-told"],
        "AllowCredentials": True,
        "MaxAge": 60,
    }
    url = url_of(live, returning("1"), cors=cors)
    asked = call(url, "OPTIONS", headers=ASKS)
    assert (asked.status, asked.body) == (200, b"")
    told = {name: asked.header(f"access-control-{name}") for name in ("allow-origin", "max-age")}
    assert told == {"allow-origin": "http://pages.example", "max-age": "60"}
    assert asked.header("access-control-allow-methods") == "POST"
    assert asked.header("access-control-allow-headers") == "x-mine"
    assert asked.header("access-control-allow-credentials") == "true"

    answered = call(url, "POST", headers=PAGE)
    assert (answered.status, answered.body) == (200, b"1")
    assert answered.header("access-control-allow-origin") == "http://pages.example"
    assert answered.header("access-control-expose-headers") == "x-told"
    assert call(url, "POST", headers={"Origin": "http://other.example"}).status == 403


def test_without_cors_only_pages_of_this_machine_may_ask(live: Functions) -> None:
    url = url_of(live, returning('event["requestContext"]["http"]["method"]'))
    refused = call(url, headers=PAGE)
    assert refused.status == 403
    assert "add the origin to Cors" in refused.json["message"]
    assert call(url, headers={"Origin": "http://localhost:3000"}).body == b"GET"
    own = {**ASKS, "Origin": "http://localhost:3000"}
    assert call(url, "OPTIONS", headers=own).body == b"OPTIONS"


# --- many, and odd ones ---------------------------------------------------------------------------


def test_many_at_once_get_their_own_answers(live: Functions) -> None:
    url = url_of(live, returning('event["rawPath"]'))
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda number: call(f"{url}{number}"), range(100)))
    assert [answer.body for answer in answers] == [f"/{number}".encode() for number in range(100)]


@pytest.mark.parametrize("path", ["", "none", "none/", "../x", "%00/", "none//x?y"])
def test_what_is_no_url_is_an_error(live: Functions, path: str) -> None:
    assert call(f"{live.aws.url}/_function-url/{path}").status in (400, 403, 404, 405)
