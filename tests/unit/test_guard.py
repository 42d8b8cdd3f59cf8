"""Whom the endpoint answers."""

from __future__ import annotations

import pytest

from devkit.guard import refusal

BRIDGE = "172.17.0.1"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:4566",
        "localhost:4566",
        "LOCALHOST",
        "bucket.s3.localhost:4566",
        "sts.us-east-1.localhost.localstack.cloud:4566",
        "localhost.localstack.cloud",
        "host.docker.internal:4566",
        "172.17.0.1:4566",
    ],
)
def test_who_names_this_machine_is_answered(host: str) -> None:
    assert refusal([host], [], bridges=[BRIDGE]) is None


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "evil-localhost",
        "localstack.cloud",
        "172.17.0.2:4566",
        "sts.us-east-1.amazonaws.com",
        "[::1",
        "",
    ],
)
def test_any_other_name_is_refused(host: str) -> None:
    assert "is not this machine" in str(refusal([host], [], bridges=[BRIDGE]))


def test_a_bridge_is_an_address_only_where_the_endpoint_listens_on_it() -> None:
    assert refusal([BRIDGE], []) is not None


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1", "example.com"]])
def test_a_request_names_one_host(hosts: list[str]) -> None:
    assert "one Host" in str(refusal(hosts, []))


def test_pages_of_this_machine_may_ask() -> None:
    assert refusal(["127.0.0.1"], ["http://localhost:3000"]) is None


@pytest.mark.parametrize("origin", ["https://example.com", "null", "http://[", "file://"])
def test_pages_of_others_may_not(origin: str) -> None:
    assert repr(origin) in str(refusal(["127.0.0.1"], [origin]))
