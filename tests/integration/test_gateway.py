"""APIs defined by boto3 and called over HTTP: devkit's gateway, with functions that are fake."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError

from devkit.local_aws.errors import AwsError
from devkit.local_aws.gateway.service import gateway
from devkit.local_aws.server import LocalAws, Options
from tests.integration.gateway_support import (
    FakeFunctions,
    HandlerFailed,
    Http,
    Rest,
    arn,
    call,
    client,
    invocation_uri,
)

OTHER_PAGE = "https://app.example.com"


@pytest.fixture(scope="module")
def functions() -> FakeFunctions:
    return FakeFunctions()


@pytest.fixture(scope="module")
def spans() -> list[tuple[str, str, float]]:
    return []


@pytest.fixture(scope="module")
def url(functions: FakeFunctions, spans: list[tuple[str, str, float]]) -> Iterator[str]:
    functions.handlers |= {
        "echo": lambda event: {"statusCode": 200, "body": json.dumps(event)},
        "fails": _fails,
        "never": lambda _event: asyncio.Event().wait(),
        "plain": lambda _event: {"ok": True},
        "garbage": lambda _event: b"<html>",
    }
    api = gateway(functions, on_span=lambda *span: spans.append(span))
    with LocalAws(Options(direct=[api], services=[api])) as aws:
        yield aws.url


def _fails(_event: Any) -> Any:
    raise HandlerFailed("[BadInput] no")


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size).decode()
        said = {"path": self.path, "headers": dict(self.headers), "body": body}
        content = json.dumps(said).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-From", "server")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


# --- HTTP APIs ----------------------------------------------------------------------------------


def test_a_quick_create_makes_an_api_that_answers(url: str) -> None:
    control = client(url, "apigatewayv2")

    api = control.create_api(Name="quick", ProtocolType="HTTP", Target=arn("plain"))

    answer = call(f"{api['ApiEndpoint']}/any/where")
    assert (answer.status, answer.json) == (200, {"ok": True})
    assert answer.header("content-type") == "application/json"
    assert answer.header("apigw-requestid")
    assert api["ApiEndpoint"] == f"{url}/_gateway/{api['ApiId']}"
    assert control.get_api(ApiId=api["ApiId"])["ApiEndpoint"] == api["ApiEndpoint"]
    assert api["ApiEndpoint"] in [each["ApiEndpoint"] for each in control.get_apis()["Items"]]
    assert control.update_api(ApiId=api["ApiId"], Name="x")["ApiEndpoint"] == api["ApiEndpoint"]
    (stage,) = control.get_stages(ApiId=api["ApiId"])["Items"]
    assert (stage["StageName"], stage["AutoDeploy"]) == ("$default", True)


def test_an_event_of_format_2_tells_everything(url: str, functions: FakeFunctions) -> None:
    api = Http.create(url, stage=None)
    api.gateway.create_stage(ApiId=api.id, StageName="dev", StageVariables={"fn": "echo"})
    api.route("POST /pets/{id}", arn("${stageVariables.fn}"))

    answer = call(
        f"{api.url}/dev/pets/a%20b?x=1&x=2",
        "POST",
        headers={
            "Content-Type": "application/json",
            "Cookie": "a=1; b=2",
            "X-Thing": "Y",
            "X-Amzn-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
        },
        body=b'{"n": 1}',
    )

    event = answer.json
    assert event["routeKey"] == "POST /pets/{id}"
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == "/dev/pets/a b"
    assert event["pathParameters"] == {"id": "a b"}
    assert event["queryStringParameters"] == {"x": "1,2"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-thing"] == "Y"
    assert "cookie" not in event["headers"]
    assert event["stageVariables"] == {"fn": "echo"}
    assert (event["body"], event["isBase64Encoded"]) == ('{"n": 1}', False)
    assert event["requestContext"]["stage"] == "dev"
    assert event["requestContext"]["domainName"] == (
        f"{api.id}.execute-api.us-east-1.amazonaws.com"
    )
    assert functions.traces[-1] == "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"


def test_every_address_of_an_api_leads_to_it(url: str) -> None:
    api = Http.create(url)
    api.route("GET /x", arn("echo"))
    port = url.rpartition(":")[2]
    names = (
        f"{api.id}.execute-api.localhost.localstack.cloud",
        f"{api.id}.execute-api.localhost:{port}",
        f"{api.id}.execute-api.eu-west-1.localhost",
    )

    assert call(f"{url}/_aws/execute-api/{api.id}/$default/x").json["rawPath"] == "/x"
    for name in names:
        event = call(f"{url}/x", headers={"Host": name}).json
        assert event["rawPath"] == "/x"
        assert event["requestContext"]["domainName"] == name.partition(":")[0]
        assert event["requestContext"]["domainPrefix"] == api.id


def test_what_is_not_there_is_not_found(url: str) -> None:
    api = Http.create(url)
    api.route("GET /x", arn("echo"))
    staged = Http.create(url, stage="dev")

    for address in (f"{api.url}/y", f"{url}/_gateway/nowhere/x", f"{staged.url}/x"):
        answer = call(address)
        assert (answer.status, answer.json) == (404, {"message": "Not Found"})
    assert call(f"{api.url}/x", "POST").status == 404


def test_what_fails_behind_an_http_api_is_told_in_awss_words(
    url: str, functions: FakeFunctions
) -> None:
    def throttled(_event: Any) -> Any:
        raise AwsError("TooManyRequestsException", "Rate Exceeded.", 429)

    def too_large(_event: Any) -> Any:
        raise AwsError("RequestTooLargeException", "more than 6 MB", 413)

    def broken(_event: Any) -> Any:
        raise RuntimeError("a bug")

    functions.handlers |= {"throttled": throttled, "too-large": too_large, "broken": broken}
    functions.handlers["not-base64"] = lambda _event: {
        "statusCode": 200,
        "body": "é",
        "isBase64Encoded": True,
    }
    api = Http.create(url)
    for name in ("fails", "garbage", "missing", "throttled", "too-large", "broken", "not-base64"):
        api.route(f"GET /{name}", arn(name))
    api.route("GET /never", arn("never"), TimeoutInMillis=50)

    failed = {"message": "Internal Server Error"}
    for name in ("fails", "garbage", "missing", "broken", "not-base64"):
        answer = call(f"{api.url}/{name}")
        assert (answer.status, answer.json) == (500, failed), name
    for name in ("throttled", "never"):
        answer = call(f"{api.url}/{name}")
        assert (answer.status, answer.json) == (503, {"message": "Service Unavailable"})
    assert call(f"{api.url}/too-large").status == 413


def test_a_function_answers_with_headers_cookies_and_bytes(
    url: str, functions: FakeFunctions
) -> None:
    functions.handlers["rich"] = lambda _event: {
        "statusCode": "201",
        "headers": {"X-Number": 7, "Content-Type": "image/png"},
        "cookies": ["a=1", "b=2; Path=/"],
        "body": "iVBORw==",
        "isBase64Encoded": True,
    }
    api = Http.create(url)
    api.route("GET /", arn("rich"))

    answer = call(f"{api.url}/")

    assert (answer.status, answer.body) == (201, b"\x89PNG")
    assert answer.header("x-number") == "7"
    assert answer.header("content-type") == "image/png"
    assert [v for n, v in answer.headers if n == "Set-Cookie"] == ["a=1", "b=2; Path=/"]


def test_format_1_is_as_rests(url: str, functions: FakeFunctions) -> None:
    functions.handlers["several"] = lambda event: {
        "statusCode": 200,
        "multiValueHeaders": {"X-A": ["1", "2"]},
        "body": json.dumps(event),
    }
    api = Http.create(url)
    api.route("GET /a/{proxy+}", arn("several"), PayloadFormatVersion="1.0")

    answer = call(f"{api.url}/a/b/c?x=1&x=2")

    event = answer.json
    assert (event["version"], event["resource"], event["path"]) == ("1.0", "/a/{proxy+}", "/a/b/c")
    assert event["queryStringParameters"] == {"x": "2"}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"]}
    assert event["pathParameters"] == {"proxy": "b/c"}
    assert event["body"] is None
    assert answer.header("X-A") == "1,2"


def test_http_proxies_reach_this_machine_and_no_other(url: str, server: str) -> None:
    api = Http.create(url)
    api.route(
        "ANY /up/{proxy+}",
        f"{server}/base/{{proxy}}",
        RequestParameters={
            "append:header.x-who": "$context.apiId",
            "overwrite:querystring.q": "$request.querystring.p",
            "remove:querystring.p": "''",
        },
        ResponseParameters={
            "201": {"overwrite:header.x-from": "gateway", "overwrite:statuscode": "202"}
        },
    )
    api.route("GET /away", "https://example.com/")
    api.route("GET /down", "http://127.0.0.1:1/")

    answer = call(f"{api.url}/up/a%20b/c?p=1", "POST", body=b"data")

    assert (answer.status, answer.header("x-from")) == (202, "gateway")
    assert answer.json["path"] == "/base/a%20b/c?q=1"
    assert answer.json["body"] == "data"
    assert answer.json["headers"]["x-who"] == api.id
    refused = call(f"{api.url}/away")
    assert refused.status == 403
    assert "example.com" in refused.json["message"]
    assert call(f"{api.url}/down").status == 503


def test_pages_may_ask_what_cors_lets_them(url: str) -> None:
    api = Http.create(
        url,
        CorsConfiguration={
            "AllowOrigins": [OTHER_PAGE],
            "AllowMethods": ["POST"],
            "AllowHeaders": ["x-a"],
            "MaxAge": 10,
        },
    )
    api.route("POST /x", arn("plain"))
    asks = {"Access-Control-Request-Method": "POST"}

    preflight = call(f"{api.url}/x", "OPTIONS", headers={"Origin": OTHER_PAGE, **asks})
    answer = call(f"{api.url}/x", "POST", headers={"Origin": OTHER_PAGE})
    refused = call(f"{api.url}/x", "POST", headers={"Origin": "https://evil.example.com"})

    assert (preflight.status, preflight.body) == (204, b"")
    assert preflight.header("access-control-allow-origin") == OTHER_PAGE
    assert preflight.header("access-control-allow-methods") == "POST"
    assert preflight.header("access-control-max-age") == "10"
    assert answer.header("access-control-allow-origin") == OTHER_PAGE
    assert refused.status == 403
    assert "CorsConfiguration" in refused.json["message"]


def test_a_lambda_authorizer_says_who_may_ask(
    url: str, functions: FakeFunctions, spans: list[tuple[str, str, float]]
) -> None:
    functions.handlers["door"] = lambda event: {
        "isAuthorized": event["identitySource"] == ["sesame"],
        "context": {"name": "Ali", "n": 40},
    }
    functions.handlers["policies"] = lambda event: {
        "principalId": "me",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow" if event["authorizationToken"] == "yes" else "Deny",
                    "Resource": event["methodArn"],
                }
            ],
        },
    }
    api = Http.create(url)
    simple = _authorizer(api, "door", "2.0", AuthorizerResultTtlInSeconds=60)
    policy = _authorizer(api, "policies", "1.0")
    api.route("GET /simple", arn("echo"), route=simple)
    api.route("GET /policy", arn("echo"), route=policy)

    def status(path: str, token: str) -> int:
        return call(f"{api.url}/{path}", headers={"Authorization": token}).status

    allowed = call(f"{api.url}/simple", headers={"Authorization": "sesame"})
    assert allowed.json["requestContext"]["authorizer"] == {"lambda": {"name": "Ali", "n": 40}}
    asked = len([event for event in functions.events if event.get("identitySource")])
    assert status("simple", "sesame") == 200
    assert len([event for event in functions.events if event.get("identitySource")]) == asked
    assert status("simple", "wrong") == 403
    assert call(f"{api.url}/simple").json == {"message": "Unauthorized"}
    assert (status("policy", "yes"), status("policy", "no")) == (200, 403)
    assert "authorizer" in [hop for _, hop, _ in spans]


def _authorizer(api: Http, function: str, version: str, **more: Any) -> dict[str, str]:
    made = api.gateway.create_authorizer(
        ApiId=api.id,
        Name=function,
        AuthorizerType="REQUEST",
        AuthorizerUri=invocation_uri(function),
        IdentitySource=["$request.header.Authorization"],
        AuthorizerPayloadFormatVersion=version,
        EnableSimpleResponses=version == "2.0",
        **more,
    )
    return {"AuthorizationType": "CUSTOM", "AuthorizerId": made["AuthorizerId"]}


def test_what_devkit_does_not_do_is_refused_by_name(url: str) -> None:
    api = Http.create(url)
    made = api.gateway.create_authorizer(
        ApiId=api.id,
        Name="jwt",
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Audience": ["a"], "Issuer": "https://issuer.example.com"},
    )
    api.route(
        "GET /jwt",
        arn("echo"),
        route={"AuthorizationType": "JWT", "AuthorizerId": made["AuthorizerId"]},
    )
    sockets = api.gateway.create_api(Name="ws", ProtocolType="WEBSOCKET")

    jwt = call(f"{api.url}/jwt", headers={"Authorization": "Bearer x"})
    socket_call = call(f"{url}/_gateway/{sockets['ApiId']}/x")

    assert jwt.status == 403
    assert "JWT" in jwt.json["message"]
    assert socket_call.status == 400
    assert "WebSocket" in socket_call.json["message"]
    assert "_gateway" not in sockets["ApiEndpoint"]
    with pytest.raises(ClientError, match="UpdateIntegration"):
        api.gateway.update_api(ApiId=api.id, Target=arn("echo"))


def test_a_body_over_10_mb_is_refused_before_it_is_read(url: str) -> None:
    api = Http.create(url)
    api.route("POST /", arn("plain"))
    host, port = url.removeprefix("http://").split(":")
    head = f"POST /_gateway/{api.id}/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {11 << 20}\r\n"

    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"{head}\r\n".encode())
        first = connection.makefile("rb").readline()

    assert first.startswith(b"HTTP/1.1 413")


def test_headers_over_10_kb_are_refused(url: str) -> None:
    api = Http.create(url)
    api.route("GET /", arn("plain"))
    rest = _echoing(url)
    headers = {"X-A": "a" * 6000, "X-B": "b" * 6000}

    assert call(f"{api.url}/", headers=headers).status == 431
    assert call(f"{rest.url()}/x", headers=headers).status == 431


def test_two_hundred_calls_at_once_get_their_own_answers(
    url: str, functions: FakeFunctions
) -> None:
    async def own(event: Any) -> Any:
        for _ in range(event["rawPath"].count("1") + 1):
            await asyncio.sleep(0)
        return {"statusCode": 200, "body": event["rawPath"]}

    functions.handlers["own"] = own
    api = Http.create(url)
    api.route("$default", arn("own"))

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda n: call(f"{api.url}/{n}").body.decode(), range(200)))

    assert answers == [f"/{n}" for n in range(200)]


def test_every_request_has_a_trace(
    url: str, functions: FakeFunctions, spans: list[tuple[str, str, float]]
) -> None:
    api = Http.create(url)
    api.route("GET /", arn("echo"))

    event = call(f"{api.url}/").json

    header = event["headers"]["x-amzn-trace-id"]
    assert functions.traces[-1] == header
    root, hop, seconds = spans[-1]
    assert (header, hop) == (f"Root={root}", "gateway")
    assert seconds > 0


@pytest.mark.parametrize(
    "path", ["//", "/..", "/%", "/%zz", "/%ff", "/a/../b", "/%C3%A9", "/?%&=&a"]
)
def test_odd_paths_reach_the_function(url: str, path: str) -> None:
    api = Http.create(url)
    api.route("$default", arn("echo"))

    assert call(f"{api.url}{path}").status == 200


# --- REST APIs ----------------------------------------------------------------------------------


def _echoing(url: str) -> Rest:
    api = Rest.create(url)
    api.proxy("ANY", "/{proxy+}", "echo")
    api.deploy()
    return api


def test_a_rest_proxys_event_tells_everything(url: str) -> None:
    api = Rest.create(url)
    api.proxy("GET", "/pets/{id}", "echo")
    api.deploy(variables={"v": "1"})

    answer = call(
        f"{url}/restapis/{api.id}/dev/_user_request_/pets/a%20b/?x=1&x=2", headers={"X-Thing": "Y"}
    )

    event = answer.json
    assert (event["resource"], event["path"]) == ("/pets/{id}", "/pets/a%20b/")
    assert event["requestContext"]["path"] == "/dev/pets/a%20b/"
    assert event["pathParameters"] == {"id": "a b"}
    assert event["queryStringParameters"] == {"x": "2"}
    assert event["multiValueHeaders"]["X-Thing"] == ["Y"]
    assert event["stageVariables"] == {"v": "1"}
    assert event["body"] is None
    for name in ("x-amzn-RequestId", "x-amz-apigw-id", "X-Amzn-Trace-Id"):
        assert answer.header(name)


def test_a_rest_api_says_what_is_not_there(url: str) -> None:
    api = Rest.create(url)
    api.proxy("GET", "/x", "echo")
    api.deploy()

    unknown = call(f"{api.url()}/y")
    stage = call(f"{api.url('prod')}/x")

    assert (unknown.status, unknown.json) == (403, {"message": "Missing Authentication Token"})
    assert unknown.header("x-amzn-ErrorType") == "MissingAuthenticationTokenException"
    assert call(f"{api.url()}/x", "POST").status == 403
    assert (stage.status, stage.json) == (403, {"message": "Forbidden"})


def test_what_changes_after_a_deployment_waits_for_the_next(url: str) -> None:
    api = Rest.create(url)
    api.proxy("GET", "/x", "plain")
    first = api.deploy()
    api.proxy("GET", "/x", "echo")
    api.proxy("GET", "/y", "echo")

    before = call(f"{api.url()}/x")
    second = api.deploy()
    after = call(f"{api.url()}/x")
    change = {"op": "replace", "path": "/deploymentId", "value": first}
    api.gateway.update_stage(restApiId=api.id, stageName="dev", patchOperations=[change])

    assert before.status == 502  # {"ok": true} is no answer of a REST proxy
    assert after.status == 200
    assert call(f"{api.url()}/x").status == 502
    assert first != second
    assert call(f"{api.url()}/y").status == 403


def test_what_fails_behind_a_rest_api_is_told_in_awss_words(url: str) -> None:
    api = Rest.create(url)
    for name in ("fails", "garbage", "missing", "plain", "throttled", "too-large", "not-base64"):
        api.proxy("GET", f"/{name}", name)
    never = {"type": "AWS_PROXY", "uri": invocation_uri("never"), "timeoutInMillis": 50}
    api.method("GET", "/never", integration=never)
    api.deploy()

    statuses = {name: call(f"{api.url()}{name}") for name in api.resources if name != "/"}

    assert {name: answer.status for name, answer in statuses.items()} == {
        "/fails": 502,
        "/garbage": 502,
        "/missing": 500,
        "/plain": 502,
        "/throttled": 500,
        "/too-large": 413,
        "/not-base64": 200,  # stays as it is: the client accepts no binary type
        "/never": 504,
    }
    assert statuses["/never"].json == {"message": "Endpoint request timed out"}
    assert statuses["/fails"].json == {"message": "Internal server error"}


def test_binary_types_go_both_ways_as_bytes(url: str, functions: FakeFunctions) -> None:
    functions.handlers["bytes"] = lambda event: {
        "statusCode": 200,
        "headers": {"Content-Type": "image/png"},
        "body": event["body"],
        "isBase64Encoded": event["isBase64Encoded"],
    }
    api = Rest.create(url, binaryMediaTypes=["image/*"])
    api.proxy("POST", "/", "bytes")
    api.deploy()
    image = bytes(range(256))
    headers = {"Content-Type": "image/png", "Accept": "image/png"}

    as_bytes = call(f"{api.url()}/", "POST", headers=headers, body=image)
    as_text = call(f"{api.url()}/", "POST", headers={**headers, "Accept": "text/html"}, body=image)

    assert as_bytes.body == image
    assert as_text.body.startswith(b"AAECAw")


def test_a_mock_answers_by_its_templates(url: str) -> None:
    api = Rest.create(url)
    api.method(
        "POST",
        "/mock",
        integration={
            "type": "MOCK",
            "requestTemplates": {
                "application/json": "#set($bad = $input.params('bad'))"
                '{"statusCode": #if($bad == "1")400#{else}200#end}'
            },
            "passthroughBehavior": "NEVER",
        },
        responses=[
            {
                "statusCode": "200",
                "responseParameters": {"method.response.header.X-A": "'static'"},
                "responseTemplates": {
                    "application/json": '{"id": "$context.requestId", "v": "$stageVariables.v"}'
                },
            },
            {"statusCode": "400", "selectionPattern": "4\\d\\d"},
        ],
    )
    api.deploy(variables={"v": "one"})

    good = call(f"{api.url()}/mock", "POST")
    bad = call(f"{api.url()}/mock?bad=1", "POST")
    other = call(f"{api.url()}/mock", "POST", headers={"Content-Type": "text/plain"})

    assert (good.status, good.json["v"], good.header("X-A")) == (200, "one", "static")
    assert good.json["id"] == good.header("x-amzn-RequestId")
    assert bad.status == 400
    assert (other.status, other.json) == (415, {"message": "Unsupported Media Type"})


def test_a_function_behind_templates_gets_and_gives_what_they_make(
    url: str, functions: FakeFunctions
) -> None:
    def judge(event: Any) -> Any:
        if event["who"] == "nobody":
            raise HandlerFailed("[NotFound] nobody")
        return {"hello": event["who"], "all": [1, 2]}

    functions.handlers["judge"] = judge
    api = Rest.create(url)
    api.method(
        "POST",
        "/judge/{who}",
        integration={
            "type": "AWS",
            "uri": invocation_uri("judge"),
            "requestTemplates": {"application/json": '{"who": "$input.params(\'who\')"}'},
        },
        responses=[
            {
                "statusCode": "200",
                "responseTemplates": {"application/json": "$input.json('$.hello')"},
                "responseParameters": {
                    "method.response.header.X-Who": "integration.response.body.hello"
                },
            },
            {
                "statusCode": "404",
                "selectionPattern": "\\[NotFound\\].*",
                "responseTemplates": {
                    "application/json": "#set($m = $input.path('$.errorMessage'))"
                    '{"m": "$util.escapeJavaScript($m)"}'
                },
            },
        ],
    )
    api.deploy()

    found = call(f"{api.url()}/judge/Ada", "POST", body=b"{}")
    lost = call(f"{api.url()}/judge/nobody", "POST", body=b"{}")

    assert (found.status, found.body, found.header("X-Who")) == (200, b'"Ada"', "Ada")
    assert (lost.status, lost.json) == (404, {"m": "[NotFound] nobody"})


def test_rest_reaches_servers_of_this_machine(url: str, server: str) -> None:
    api = Rest.create(url)
    parameters = {"integration.request.path.rest": "method.request.path.proxy"}
    api.method(
        "ANY",
        "/proxy/{proxy+}",
        integration={
            "type": "HTTP_PROXY",
            "integrationHttpMethod": "ANY",
            "uri": f"{server}/base/{{rest}}",
            "requestParameters": parameters,
        },
    )
    api.method(
        "POST",
        "/mapped",
        integration={
            "type": "HTTP",
            "uri": f"{server}/mapped",
            "requestParameters": {"integration.request.header.X-Q": "method.request.querystring.q"},
        },
        responses=[
            {
                "statusCode": "200",
                "selectionPattern": "2..",
                "responseParameters": {
                    "method.response.header.X-F": "integration.response.header.X-From"
                },
            }
        ],
    )
    api.deploy()

    proxied = call(f"{api.url()}/proxy/a/b?c=d", "POST", body=b"x")
    mapped = call(f"{api.url()}/mapped?q=7", "POST", body=b'"y"')

    assert (proxied.status, proxied.json["path"]) == (201, "/base/a/b?c=d")
    assert (mapped.status, mapped.header("X-F")) == (200, "server")
    assert (mapped.json["headers"]["X-Q"], mapped.json["body"]) == ("7", '"y"')


def test_api_keys_are_asked_for(url: str) -> None:
    api = Rest.create(url)
    api.proxy("GET", "/x", "echo", apiKeyRequired=True)
    api.deploy()
    key = api.gateway.create_api_key(name="k", value="k" * 20, enabled=True)
    plan = api.gateway.create_usage_plan(name="p", apiStages=[{"apiId": api.id, "stage": "dev"}])

    def ask(value: str) -> Any:
        return call(f"{api.url()}/x", headers={"x-api-key": value})

    assert ask("k" * 20).status == 403  # in no usage plan yet
    api.gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
    assert ask("wrong").json == {"message": "Forbidden"}
    answer = ask("k" * 20)
    assert answer.status == 200
    assert answer.json["requestContext"]["identity"]["apiKeyId"] == key["id"]


def test_validators_look_at_parameters_and_bodies(url: str) -> None:
    api = Rest.create(url)
    api.gateway.create_model(
        restApiId=api.id,
        name="Pet",
        contentType="application/json",
        schema=json.dumps({"type": "object", "required": ["name"]}),
    )
    validator = api.gateway.create_request_validator(
        restApiId=api.id, name="all", validateRequestBody=True, validateRequestParameters=True
    )
    api.proxy(
        "POST",
        "/pets",
        "echo",
        requestValidatorId=validator["id"],
        requestParameters={"method.request.querystring.kind": True},
        requestModels={"application/json": "Pet"},
    )
    api.deploy()
    address = f"{api.url()}/pets"

    missing = call(address, "POST", body=b'{"name": "x"}')
    invalid = call(f"{address}?kind=dog", "POST", body=b'{"nom": "x"}')

    assert missing.json == {"message": "Missing required request parameters: [kind]"}
    assert (invalid.status, invalid.json) == (400, {"message": "Invalid request body"})
    assert call(f"{address}?kind=dog", "POST", body=b'{"name": "x"}').status == 200


def test_gateway_responses_are_their_owners(url: str) -> None:
    api = Rest.create(url)
    api.proxy("GET", "/x", "fails")
    api.gateway.put_gateway_response(
        restApiId=api.id,
        responseType="MISSING_AUTHENTICATION_TOKEN",
        statusCode="404",
        responseParameters={"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"},
        responseTemplates={
            "application/json": '{"error": $context.error.messageString, '
            '"of": "$context.error.responseType"}'
        },
    )
    api.gateway.put_gateway_response(
        restApiId=api.id,
        responseType="DEFAULT_5XX",
        responseParameters={"gatewayresponse.header.X-Down": "'yes'"},
    )
    api.deploy()

    lost = call(f"{api.url()}/nowhere")
    failed = call(f"{api.url()}/x")

    assert (lost.status, lost.header("Access-Control-Allow-Origin")) == (404, "*")
    assert lost.json == {
        "error": "Missing Authentication Token",
        "of": "MISSING_AUTHENTICATION_TOKEN",
    }
    assert (failed.status, failed.header("X-Down")) == (502, "yes")


def test_rest_authorizers_answer_with_policies(url: str, functions: FakeFunctions) -> None:
    def judge(event: Any) -> Any:
        token = event.get("authorizationToken") or event["headers"]["X-Who"]
        if token == "unknown":
            raise HandlerFailed("Unauthorized")
        if token == "broken":
            raise HandlerFailed("a bug")
        effect = {"Effect": "Allow" if token == "yes" else "Deny"}
        statement = {"Action": "execute-api:*", "Resource": "*", **effect}
        return {
            "principalId": "me",
            "policyDocument": {"Statement": [statement]},
            "context": {"admin": True},
        }

    functions.handlers["judge-token"] = judge
    api = Rest.create(url)
    for kind, source in (("TOKEN", "Authorization"), ("REQUEST", "X-Who")):
        made = api.gateway.create_authorizer(
            restApiId=api.id,
            name=kind,
            type=kind,
            authorizerUri=invocation_uri("judge-token"),
            identitySource=f"method.request.header.{source}",
            identityValidationExpression="[a-z]+",
        )
        more = {"authorizationType": "CUSTOM", "authorizerId": made["id"]}
        api.proxy("GET", f"/{kind.lower()}", "echo", **more)
    api.deploy()

    def ask(token: str) -> Any:
        return call(f"{api.url()}/token", headers={"Authorization": token})

    authorizer = ask("yes").json["requestContext"]["authorizer"]
    assert (authorizer["principalId"], authorizer["admin"]) == ("me", "true")
    assert ask("no").json == {
        "Message": "User is not authorized to access this resource with an explicit deny"
    }
    assert (ask("no").status, ask("unknown").status, ask("broken").status) == (403, 401, 500)
    assert call(f"{api.url()}/token").json == {"message": "Unauthorized"}
    assert ask("YES").status == 401  # which nobody is asked about
    assert call(f"{api.url()}/request", headers={"X-Who": "yes"}).status == 200
    assert call(f"{api.url()}/request").status == 401


def test_pages_may_ask_resources_with_an_options_method(url: str) -> None:
    api = Rest.create(url)
    api.proxy("GET", "/open", "echo")
    api.proxy("OPTIONS", "/open", "echo")
    api.proxy("GET", "/shut", "echo")
    api.deploy()

    assert call(f"{api.url()}/open", headers={"Origin": OTHER_PAGE}).status == 200
    refused = call(f"{api.url()}/shut", headers={"Origin": OTHER_PAGE})
    assert refused.status == 403
    assert "OPTIONS" in refused.json["message"]


def test_an_api_of_a_cloudformation_stack_answers(url: str) -> None:
    template = {
        "Resources": {
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "stack"}},
            "Pets": {
                "Type": "AWS::ApiGateway::Resource",
                "Properties": {
                    "RestApiId": {"Ref": "Api"},
                    "ParentId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
                    "PathPart": "pets",
                },
            },
            "Get": {
                "Type": "AWS::ApiGateway::Method",
                "Properties": {
                    "RestApiId": {"Ref": "Api"},
                    "ResourceId": {"Ref": "Pets"},
                    "HttpMethod": "GET",
                    "AuthorizationType": "NONE",
                    "Integration": {
                        "Type": "AWS_PROXY",
                        "IntegrationHttpMethod": "POST",
                        "Uri": invocation_uri("echo"),
                    },
                },
            },
            "Deployment": {
                "Type": "AWS::ApiGateway::Deployment",
                "DependsOn": "Get",
                "Properties": {"RestApiId": {"Ref": "Api"}, "StageName": "live"},
            },
        },
        "Outputs": {"Api": {"Value": {"Ref": "Api"}}},
    }
    stacks = client(url, "cloudformation")
    stacks.create_stack(StackName="gateway", TemplateBody=json.dumps(template))

    (stack,) = stacks.describe_stacks(StackName="gateway")["Stacks"]
    api_id = stack["Outputs"][0]["OutputValue"]

    assert call(f"{url}/_gateway/{api_id}/live/pets").json["resource"] == "/pets"


def test_an_api_of_an_openapi_document_answers(url: str) -> None:
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": invocation_uri("echo")}
    document = {
        "openapi": "3.0.1",
        "info": {"title": "pets", "description": "", "version": "1"},
        "paths": {
            "/pets/{id}": {
                "x-amazon-apigateway-any-method": {
                    "responses": {},
                    "x-amazon-apigateway-integration": integration,
                }
            }
        },
    }
    control = client(url, "apigateway")

    api_id = control.import_rest_api(body=json.dumps(document))["id"]
    control.create_deployment(restApiId=api_id, stageName="live")

    event = call(f"{url}/_gateway/{api_id}/live/pets/7", "PUT").json
    assert (event["pathParameters"], event["httpMethod"]) == ({"id": "7"}, "PUT")
