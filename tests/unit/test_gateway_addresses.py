"""Which API a request is for."""

from __future__ import annotations

import pytest

from devkit.local_aws.gateway.addresses import address_of, may_be_address
from devkit.local_aws.gateway.traces import trace_of


@pytest.mark.parametrize(
    ("path", "api", "rest"),
    [
        ("/_gateway/abc", "abc", "/"),
        ("/_gateway/abc/", "abc", "/"),
        ("/_gateway/abc/dev/x%2Fy", "abc", "/dev/x%2Fy"),
        ("/_aws/execute-api/abc/dev/x", "abc", "/dev/x"),
        ("/restapis/abc/dev/_user_request_", "abc", "/dev/"),
        ("/restapis/abc/dev/_user_request_/x", "abc", "/dev/x"),
    ],
)
def test_a_path_names_its_api(path: str, api: str, rest: str) -> None:
    found = address_of("127.0.0.1:4566", path)

    assert found is not None
    assert (found.api_id, found.path, found.host) == (api, rest, None)
    assert may_be_address("127.0.0.1:4566", path)


@pytest.mark.parametrize(
    "path", ["/restapis/abc", "/restapis/abc/stages/dev", "/_gateway/", "/_gateway/a-b/x", "/x"]
)
def test_other_paths_are_left_alone(path: str) -> None:
    assert address_of("127.0.0.1:4566", path) is None


@pytest.mark.parametrize(
    "host",
    [
        "abc.execute-api.localhost",
        "abc.execute-api.localhost:4566",
        "ABC.Execute-Api.us-east-1.localhost.localstack.cloud:4566",
        "abc.execute-api.localhost.localstack.cloud",
        "abc.execute-api.us-gov-west-1.amazonaws.com",
    ],
)
def test_a_host_name_names_its_api(host: str) -> None:
    found = address_of(host, "/dev/x")

    assert found is not None
    assert (found.api_id, found.path) == ("abc", "/dev/x")
    assert found.host == host.partition(":")[0]


@pytest.mark.parametrize("host", ["execute-api.localhost", "abc.execute-api.evil.com", "abc", ""])
def test_other_host_names_are_left_alone(host: str) -> None:
    assert address_of(host, "/dev/x") is None


def test_a_trace_goes_on_with_the_clients_root() -> None:
    header = "Self=1-2;Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"

    trace = trace_of(header, now_s=0, number=0)

    assert (trace.root, trace.header) == ("1-5759e988-bd862e3fe1be46a994272793", header)


@pytest.mark.parametrize("header", [None, "", "nonsense", "Sampled=1", "Root="])
def test_a_trace_begins_here_where_the_client_has_none(header: str | None) -> None:
    trace = trace_of(header, now_s=0x5759E988, number=255)

    assert trace.root == "1-5759e988-0000000000000000000000ff"
    assert trace.header == f"Root={trace.root}"
