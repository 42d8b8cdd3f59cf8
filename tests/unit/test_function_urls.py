"""Function URLs: whom an address names, what a function is given, and moto's answers made true."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from devkit.contract import LOCAL_REGION
from devkit.local_aws.errors import AwsError
from devkit.local_aws.gateway.values import Cors
from devkit.local_aws.lambda_.url_configs import UrlConfigs
from devkit.local_aws.lambda_.url_definitions import FunctionUrl, id_of
from devkit.local_aws.lambda_.urls import address_of, event_of
from devkit.local_aws.services import Backend, Call
from tests.unit.gateway_requests import asked

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
CONFIG = {
    "FunctionUrl": "https://abc123.lambda-url.us-east-1.on.aws",
    "FunctionArn": ARN,
    "AuthType": "NONE",
    "Cors": None,
    "CreationTime": "2026-01-01T00:00:00.000+0000",
    "LastModifiedTime": "2026-01-01T00:00:00.000+0000",
    "InvokeMode": "Buffered",
}


@pytest.mark.parametrize(
    ("host", "path", "found"),
    [
        ("127.0.0.1:4566", "/_function-url/abc/x/y", ("abc", "/x/y", "")),
        ("127.0.0.1:4566", "/_function-url/abc", ("abc", "/", "")),
        ("127.0.0.1:4566", "/_function-url/ABC/", ("abc", "/", "")),
        ("127.0.0.1:4566", "/_function-url/", None),
        ("127.0.0.1:4566", "/_function-url/a.b/x", None),
        ("127.0.0.1:4566", "/x/_function-url/abc/", None),
        ("abc.lambda-url.us-east-1.localhost", "/x", ("abc", "/x", None)),
        ("abc.lambda-url.localhost:4566", "", ("abc", "/", None)),
        ("abc.lambda-url.eu-west-1.localhost.localstack.cloud:4566", "/", ("abc", "/", None)),
        ("abc.lambda-url.us-east-1.on.aws", "/x", None),
        ("lambda-url.us-east-1.localhost", "/x", None),
    ],
)
def test_an_address_names_a_url_by_path_or_by_host(
    host: str, path: str, found: tuple[str, str, str | None] | None
) -> None:
    if found is not None and found[2] is None:
        found = (*found[:2], host.partition(":")[0])
    assert address_of(host, path) == found


def test_nobody_is_known_where_no_signature_is_needed() -> None:
    event = event_of(_url(needs_signature=False), asked("POST", "/a%2Fb", query="x=1", body=b"1"))
    assert event["requestContext"]["accountId"] == "anonymous"
    assert (event["rawPath"], event["routeKey"]) == ("/a/b", "$default")
    assert event["requestContext"]["stage"] == "$default"
    assert event["requestContext"]["apiId"] == "abc123"
    signed = event_of(_url(needs_signature=True), asked())
    assert signed["requestContext"]["accountId"] == "123456789012"


def test_the_identifier_is_the_first_part_of_the_name() -> None:
    assert id_of("https://abc123.lambda-url.us-east-1.on.aws/") == "abc123"


def _url(*, needs_signature: bool) -> FunctionUrl:
    return FunctionUrl(
        id="abc123",
        function=ARN,
        region="us-east-1",
        needs_signature=needs_signature,
        cors=Cors(),
    )


# --- operations -----------------------------------------------------------------------------------


class Moto:
    """Keeps the URL of one function, as moto does."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        self.config = config
        self.asked: list[str] = []

    async def ask(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        access_key: str | None = None,
        region: str = LOCAL_REGION,
    ) -> dict[str, Any]:
        del service, access_key, region
        self.asked.append(operation)
        if parameters["FunctionName"] != "f":
            raise AwsError("ResourceNotFoundException", "Function not found", 404)
        if operation == "CreateFunctionUrlConfig":
            self.config = dict(CONFIG)
        if operation == "GetFunctionUrlConfig" and self.config is None:
            raise AwsError("ResourceNotFoundException", "no", 404)
        return self.config or {}


class Here:
    url = "http://127.0.0.1:4566"


def do(moto: Backend, operation: str, function: str = "f", **more: Any) -> Mapping[str, Any]:
    configs = UrlConfigs()
    configs.start(Here())  # type: ignore[arg-type] # its address is all that is asked
    call = Call(
        service="lambda",
        operation=operation,
        parameters={"FunctionName": function, **more},
        backend=moto,
        request_id="1",
    )

    async def work() -> Mapping[str, Any]:
        return (await configs.handlers[operation](call)).members

    return asyncio.run(work())


def test_answers_have_the_local_url_and_awss_mode() -> None:
    for operation in ("GetFunctionUrlConfig", "UpdateFunctionUrlConfig"):
        told = do(Moto(dict(CONFIG)), operation)
        assert told["FunctionUrl"] == "http://127.0.0.1:4566/_function-url/abc123/"
        assert told["InvokeMode"] == "BUFFERED"
        assert "Cors" not in told
    assert do(Moto(), "CreateFunctionUrlConfig", AuthType="NONE")["FunctionArn"] == ARN
    (listed,) = do(Moto(dict(CONFIG)), "ListFunctionUrlConfigs", ARN)["FunctionUrlConfigs"]
    assert listed["FunctionUrl"] == "http://127.0.0.1:4566/_function-url/abc123/"


def test_a_second_url_and_one_that_is_not_there_are_errors() -> None:
    moto = Moto(dict(CONFIG))
    with pytest.raises(AwsError) as conflict:
        do(moto, "CreateFunctionUrlConfig", AuthType="NONE")
    assert (conflict.value.code, conflict.value.status) == ("ResourceConflictException", 409)
    assert "CreateFunctionUrlConfig" not in moto.asked
    for operation in ("Get", "Update", "Delete"):
        with pytest.raises(AwsError) as missing:
            do(Moto(), f"{operation}FunctionUrlConfig")
        assert missing.value.status == 404
    with pytest.raises(AwsError, match="Function not found"):
        do(Moto(), "ListFunctionUrlConfigs", "g")


def test_urls_of_aliases_are_refused_by_name() -> None:
    for named in ({"Qualifier": "prod"}, {"function": "f:prod"}):
        moto = Moto()
        with pytest.raises(AwsError, match="not of their aliases"):
            do(moto, "CreateFunctionUrlConfig", AuthType="NONE", **named)
        assert moto.asked == []
