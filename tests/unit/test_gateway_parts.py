"""CORS, parameter mapping, which function, which server, who may ask."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from devkit.local_aws.functions import FunctionAnswer
from devkit.local_aws.gateway import cors
from devkit.local_aws.gateway.authorizing import (
    AuthorizerFailed,
    Authorizers,
    identity_of,
    method_arn,
    said,
)
from devkit.local_aws.gateway.bodies import is_binary
from devkit.local_aws.gateway.invoking import Invoker, NoFunction, TimedOut, function_of
from devkit.local_aws.gateway.mapping import mapped_answer, mapped_request
from devkit.local_aws.gateway.messages import Answer, DevkitRefusal, Headers
from devkit.local_aws.gateway.outbound import require_local
from devkit.local_aws.gateway.values import Authorizer, Cors
from tests.unit.gateway_requests import asked, at

PAGE = "https://app.example.com"


def _answer(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    pairs = ((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status=status, headers=Headers(pairs), body=body)


# --- CORS ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [
        (("*",), True),
        (("https://*",), True),
        (("http://*",), False),
        ((PAGE,), True),
        (("https://APP.example.com",), True),
        (("https://other.example.com", PAGE), True),
        (("https://app.example.com.evil.com",), False),
        ((), False),
    ],
)
def test_an_origin_is_allowed_as_the_api_says(origins: tuple[str, ...], allowed: bool) -> None:
    assert cors.allows(Cors(origins=origins), PAGE) is allowed


def test_the_backends_own_cors_headers_give_way() -> None:
    answer = _answer(Access_Control_Allow_Origin="https://mine", X_A="1")

    sent = cors.with_cors(Cors(origins=("*",), expose=("x-a",)), asked(Origin=PAGE), answer)

    assert list(sent.headers.all("access-control-allow-origin")) == ["*"]
    assert sent.headers.get("access-control-expose-headers") == "x-a"
    assert sent.headers.get("x-a") == "1"
    assert cors.with_cors(None, asked(Origin=PAGE), answer) is answer


def test_credentials_are_for_a_named_origin() -> None:
    sent = cors.with_cors(Cors(origins=("*",), credentials=True), asked(Origin=PAGE), _answer())

    assert sent.headers.get("access-control-allow-origin") == PAGE
    assert sent.headers.get("access-control-allow-credentials") == "true"


# --- parameter mapping --------------------------------------------------------------------------


def test_a_requests_parameters_are_mapped() -> None:
    request = asked("POST", "/a/1", query="p=1&q=2", body=b'{"n": {"m": 3}}', X_A="a", X_B="b")
    wanted = {
        "append:header.x-a": "$request.querystring.p",
        "overwrite:header.x-b": "${request.path.b}-$context.stage-${stageVariables.v}",
        "remove:header.x-a": "''",
        "overwrite:header.x-c": "$request.body.n.m",
        "overwrite:header.x-none": "$request.header.none",
        "remove:querystring.q": "''",
        "append:querystring.p": "static",
        "overwrite:path": "/b/$x y",
    }

    mapped = mapped_request(wanted, request, at(parameters={"b": "1"}, variables={"v": "w"}))

    assert mapped.headers.get("x-a") is None
    assert mapped.headers.get("x-b") == "1-$context.stage-w"
    assert mapped.headers.get("x-c") == "3"
    assert mapped.headers.get("x-none") is None
    assert mapped.query == "p=1&p=static"
    assert mapped.path == "/b/$x%20y"


def test_an_answer_is_mapped_by_its_status() -> None:
    wanted = {
        "404": {
            "overwrite:statuscode": "410",
            "append:header.x-why": "$response.body.why",
            "overwrite:header.x-from": "$response.header.x-a",
            "overwrite:header.x-stage": "$context.stage",
        }
    }
    answer = _answer(404, b'{"why": "gone"}', X_A="a")

    mapped = mapped_answer(wanted, answer, asked(), at())

    assert mapped.status == 410
    assert mapped.headers.get("x-why") == "gone"
    assert mapped.headers.get("x-from") == "a"
    assert mapped.headers.get("x-stage") == "dev"
    other = _answer()
    assert mapped_answer(wanted, other, asked(), at()) is other


# --- functions and servers ----------------------------------------------------------------------

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:f"


@pytest.mark.parametrize(
    ("uri", "function"),
    [
        (ARN, ARN),
        (f"{ARN}:live", f"{ARN}:live"),
        (f"arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{ARN}/invocations", ARN),
        ("arn:aws:lambda:eu-west-1:123456789012:function:${stageVariables.fn}", ARN),
    ],
)
def test_a_uri_names_a_function(uri: str, function: str) -> None:
    assert function_of(uri, {"fn": "f"}, "us-east-1") == (function, "eu-west-1")


@pytest.mark.parametrize(
    "uri", ["", "http://localhost", "arn:aws:apigateway:us-east-1:dynamodb:action/PutItem"]
)
def test_other_uris_name_none(uri: str) -> None:
    with pytest.raises(NoFunction):
        function_of(uri, {}, "us-east-1")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080/x", "http://[::1]/", "https://localhost", "http://a.localhost:1/"],
)
def test_servers_of_this_machine_are_called(url: str) -> None:
    require_local(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://10.0.0.1",
        "http://[",
        "file:///etc/passwd",
        "http://",
        "x",
        "http://localhost@example.com",
        "http://localhost.example.com",
        "http://169.254.169.254/",
    ],
)
def test_servers_of_other_machines_are_not(url: str) -> None:
    with pytest.raises(DevkitRefusal, match="devkit"):
        require_local(url)


@pytest.mark.parametrize(
    ("kind", "types", "binary"),
    [
        ("image/png", ("image/*",), True),
        ("image/png; q=1", ("image/png",), True),
        ("text/html", ("image/*",), False),
        ("", ("*/*",), True),
        (None, (), False),
    ],
)
def test_binary_types_have_wildcards(
    kind: str | None, types: tuple[str, ...], binary: bool
) -> None:
    assert is_binary(kind, types) is binary


# --- authorizers --------------------------------------------------------------------------------


class _Lambda:
    """Functions that count, and answer one thing after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.finished: list[str] = []

    async def invoke(
        self, function: str, payload: bytes, *, region: str = "", trace_id: str | None = None
    ) -> FunctionAnswer:
        assert all((payload, region, trace_id))
        answer = self.answers.pop(0)
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            answer = {}
        self.finished.append(function)
        return FunctionAnswer(payload=json.dumps(answer).encode())


def test_an_authorizers_answer_holds_for_its_time() -> None:
    now = [0.0]
    functions = _Lambda({"isAuthorized": True}, {"isAuthorized": False}, {"isAuthorized": True})
    authorizer = Authorizer(id="a", kind="REQUEST", uri=ARN, ttl_s=10, simple=True)

    async def ask(authorizers: Authorizers, who: str) -> bool:
        answer = await authorizers.ask(
            authorizer, {}, region="us-east-1", place=at(), trace="t", identity=[who]
        )
        return answer.yes

    async def scenario() -> list[bool]:
        authorizers = Authorizers(Invoker(functions), clock=lambda: now[0])
        first = [await ask(authorizers, "me"), await ask(authorizers, "me")]
        other = await ask(authorizers, "you")
        now[0] = 11
        return [*first, other, await ask(authorizers, "me")]

    assert asyncio.run(scenario()) == [True, True, False, True]
    assert functions.answers == []


def test_a_policy_is_for_the_methods_that_it_names() -> None:
    statement = {
        "Effect": "Allow",
        "Action": "execute-api:Invoke",
        "Resource": "arn:aws:execute-api:us-east-1:*:abc/dev/GET/pets/*",
    }
    document = {"principalId": "me", "policyDocument": {"Statement": [statement]}}

    answer = said(json.dumps(document).encode(), simple=False)

    def verdict(method: str, path: str) -> str:
        return answer.verdict(method_arn("us-east-1", at(), asked(method), path))

    assert verdict("GET", "/pets/1") == "allowed"
    assert verdict("POST", "/pets/1") == "implicitDeny"


@pytest.mark.parametrize(
    ("payload", "simple"),
    [
        (b"", True),
        (b"[]", True),
        (b'{"isAuthorized": "yes"}', True),
        (b'{"principalId": "x"}', False),
        (b'{"policyDocument": "{}"}', False),
        (b'{"isAuthorized": true, "context": []  , "policyDocument": 1}', False),
    ],
)
def test_an_authorizer_that_says_nothing_has_failed(payload: bytes, simple: bool) -> None:
    with pytest.raises(AuthorizerFailed):
        said(payload, simple=simple)


def test_identities_come_from_everywhere_in_the_request() -> None:
    sources = (
        "$request.header.X-A",
        "method.request.querystring.q",
        "$context.stage",
        "$stageVariables.v",
    )
    authorizer = Authorizer(id="a", kind="REQUEST", identity=sources)
    place = at(variables={"v": "w"})

    assert identity_of(authorizer, asked(query="q=1", X_A="h"), place) == ["h", "1", "dev", "w"]
    assert identity_of(authorizer, asked(query="q=1"), place) is None


def test_a_function_that_takes_too_long_goes_on() -> None:
    async def scenario() -> list[str]:
        release = asyncio.Event()
        functions = _Lambda(release)
        invoker = Invoker(functions)
        with pytest.raises(TimedOut):
            await invoker.invoke(
                ARN, b"{}", variables={}, region="us-east-1", trace="t", timeout_s=0.01
            )
        release.set()
        while not functions.finished:
            await asyncio.sleep(0)
        await invoker.stop()
        return functions.finished

    assert asyncio.run(scenario()) == [ARN]
