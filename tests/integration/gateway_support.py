"""APIs in a local AWS in this process, with functions that are Python's, called over HTTP."""

from __future__ import annotations

import http.client
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from devkit.local_aws.errors import AwsError
from devkit.local_aws.functions import FunctionAnswer

REGION = "us-east-1"
ONCE = Config(retries={"total_max_attempts": 1})


class HandlerFailed(Exception):
    """A handler raised an error with this text."""


class FakeFunctions:
    """Lambda whose functions are Python's, by name; a coroutine may take its time."""

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[[Any], Any]] = {}
        self.traces: list[str | None] = []
        self.events: list[Any] = []

    async def invoke(
        self, function: str, payload: bytes, *, region: str = REGION, trace_id: str | None = None
    ) -> FunctionAnswer:
        assert region == REGION
        name = function.partition(":function:")[2] or function
        self.traces.append(trace_id)
        if name not in self.handlers:
            raise AwsError("ResourceNotFoundException", f"Function not found: {name}", 404)
        event = json.loads(payload)
        self.events.append(event)
        try:
            result = self.handlers[name](event)
            if inspect.isawaitable(result):
                result = await result
        except HandlerFailed as failed:
            envelope = {"errorMessage": str(failed), "errorType": "Exception"}
            return FunctionAnswer(payload=json.dumps(envelope).encode(), error="Unhandled")
        content = result if isinstance(result, bytes) else json.dumps(result).encode()
        return FunctionAnswer(payload=content)


def arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:123456789012:function:{name}"


def invocation_uri(name: str) -> str:
    """A function as REST APIs name it."""
    return f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn(name)}/invocations"


def client(url: str, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=ONCE,
    )


@dataclass(frozen=True)
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        values = [value for each, value in self.headers if each.lower() == name.lower()]
        return ",".join(values) if values else None


def call(
    url: str,
    method: str = "GET",
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Reply:
    """What an address answers; nothing of the URL is made nicer on the way."""
    parts = urlsplit(url)
    path = url.partition(parts.netloc)[2] or "/"
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Reply(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


@dataclass
class Http:
    """An HTTP API to which routes are added."""

    url: str
    gateway: Any
    id: str = ""
    made: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, url: str, *, stage: str | None = "$default", **more: Any) -> Http:
        gateway = client(url, "apigatewayv2")
        made = gateway.create_api(Name="api", ProtocolType="HTTP", **more)
        api = cls(made["ApiEndpoint"], gateway, made["ApiId"])
        if stage is not None:
            gateway.create_stage(ApiId=api.id, StageName=stage, AutoDeploy=True)
        return api

    def route(
        self,
        key: str,
        uri: str,
        *,
        route: Mapping[str, Any] | None = None,
        **integration: Any,
    ) -> None:
        wanted = {
            "IntegrationType": "AWS_PROXY" if uri.startswith("arn:") else "HTTP_PROXY",
            "IntegrationUri": uri,
            "PayloadFormatVersion": "2.0" if uri.startswith("arn:") else "1.0",
            **integration,
        }
        if wanted["IntegrationType"] == "HTTP_PROXY":
            wanted.setdefault("IntegrationMethod", "ANY")
        made = self.gateway.create_integration(ApiId=self.id, **wanted)["IntegrationId"]
        self.gateway.create_route(
            ApiId=self.id, RouteKey=key, Target=f"integrations/{made}", **(route or {})
        )


@dataclass
class Rest:
    """A REST API to which methods are added."""

    endpoint: str
    gateway: Any
    id: str
    root: str
    resources: dict[str, str]

    @classmethod
    def create(cls, url: str, **more: Any) -> Rest:
        gateway = client(url, "apigateway")
        made = gateway.create_rest_api(name="api", **more)["id"]
        root = gateway.get_resources(restApiId=made)["items"][0]["id"]
        return cls(url, gateway, made, root, {"/": root})

    def url(self, stage: str = "dev") -> str:
        return f"{self.endpoint}/_gateway/{self.id}/{stage}"

    def resource(self, path: str) -> str:
        if path not in self.resources:
            parent, _, part = path.rpartition("/")
            made = self.gateway.create_resource(
                restApiId=self.id, parentId=self.resource(parent or "/"), pathPart=part
            )
            self.resources[path] = made["id"]
        return self.resources[path]

    def method(
        self,
        method: str,
        path: str,
        *,
        integration: Mapping[str, Any],
        responses: list[Mapping[str, Any]] | None = None,
        **more: Any,
    ) -> None:
        at = {"restApiId": self.id, "resourceId": self.resource(path), "httpMethod": method}
        self.gateway.put_method(**at, **{"authorizationType": "NONE", **more})
        wanted = {"integrationHttpMethod": "POST", **integration}
        self.gateway.put_integration(**at, **wanted)
        for response in responses or ():
            status = response["statusCode"]
            self.gateway.put_method_response(**at, statusCode=status)
            self.gateway.put_integration_response(**at, **response)

    def proxy(self, method: str, path: str, function: str, **more: Any) -> None:
        integration = {"type": "AWS_PROXY", "uri": invocation_uri(function)}
        self.method(method, path, integration=integration, **more)

    def deploy(self, stage: str = "dev", **more: Any) -> str:
        made = self.gateway.create_deployment(restApiId=self.id, stageName=stage, **more)
        return str(made["id"])
