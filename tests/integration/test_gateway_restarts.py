"""APIs after a restart of the local AWS: what they were when they were deployed."""

from __future__ import annotations

from pathlib import Path

from devkit.local_aws.gateway.service import gateway
from devkit.local_aws.server import LocalAws, Options
from tests.integration.gateway_support import FakeFunctions, Rest, arn, call, client


def _aws(functions: FakeFunctions, journal: Path) -> LocalAws:
    api = gateway(functions)
    return LocalAws(Options(direct=[api], services=[api], journal=journal))


def test_deployments_are_the_same_after_a_restart(tmp_path: Path) -> None:
    functions = FakeFunctions()
    functions.handlers["first"] = lambda _event: {"statusCode": 200, "body": "first"}
    journal = tmp_path / "journal.jsonl"
    with _aws(functions, journal) as aws:
        api = Rest.create(aws.url, binaryMediaTypes=["image/png"])
        api.proxy("GET", "/x", "first")
        api.deploy()
        api.proxy("GET", "/y", "first")
        change = {"op": "add", "path": "/binaryMediaTypes/font~1woff"}
        api.gateway.update_rest_api(restApiId=api.id, patchOperations=[change])
        quick = client(aws.url, "apigatewayv2").create_api(
            Name="q", ProtocolType="HTTP", Target=arn("first")
        )

    with _aws(functions, journal) as aws:
        assert aws.wait_for_moto().failed == ()
        again = f"{aws.url}/_gateway/{api.id}/dev"
        assert call(f"{again}/x").body == b"first"
        assert call(f"{again}/y").status == 403
        assert call(f"{aws.url}/_gateway/{quick['ApiId']}/").body == b"first"
        rest = client(aws.url, "apigateway").get_rest_api(restApiId=api.id)
        assert rest["binaryMediaTypes"] == ["image/png", "font/woff"]


def test_nothing_of_devkits_stays_in_moto() -> None:
    from moto.apigateway.models import RestAPI  # noqa: PLC0415 - moto is not for every test

    before = RestAPI.create_deployment
    with LocalAws() as aws:
        aws.wait_for_moto()
        during = RestAPI.create_deployment

    assert RestAPI.create_deployment is before
    assert during is not before
