"""Which headers pass the front: to the container (contract 2.4) and to the client (2.5)."""

from __future__ import annotations

import pytest

from devkit.front import headers
from devkit.front.errors import Endpoint, Refused
from tests.unit.test_front_support import Request, ask, container, fronted

AWS = "X-Amzn-SageMaker-"
ENDPOINT = Endpoint(name="demo", variant="blue")


def passed(**sent: str) -> dict[str, str]:
    return headers.for_container({k.replace("_", "-"): v for k, v in sent.items()}, ENDPOINT)


@pytest.mark.contract("2.4-b", "2.4-c")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Type", "text/csv; charset=utf-8"),
        ("Accept", "application/json, */*;q=0.1"),
        (f"{AWS}Custom-Attributes", "trace=1 a,b"),
        (f"{AWS}Target-Model", "a/b.tar.gz"),
        (f"{AWS}Target-Variant", "blue"),
        (f"{AWS}Inference-Id", "id 1"),
        (f"{AWS}Session-Id", "NEW_SESSION"),
    ],
)
def test_these_reach_the_container(name: str, value: str) -> None:  # contract 2.4
    assert headers.for_container({name.lower(): value}, ENDPOINT) == {name: value}


@pytest.mark.contract("2.4-a", "2.4-c")
@pytest.mark.parametrize(
    "name",
    [
        f"{AWS}Enable-Explanations",
        f"{AWS}Inference-Component",
        f"{AWS}Prefix-Aware-Id",
        "Authorization",
        "Cookie",
        "User-Agent",
        "X-Forwarded-For",
        "X-Amz-Date",
        "Content-Encoding",
        "Accept-Encoding",
    ],
)
def test_these_do_not(name: str) -> None:  # contract 2.4
    assert headers.for_container({name.lower(): "x"}, ENDPOINT) == {}


@pytest.mark.contract("2.4-d")
def test_the_streaming_clients_accept_is_the_containers_accept() -> None:  # contract 2.4
    sent = {f"{AWS}Accept".lower(): "text/csv", "accept": "*/*"}
    assert headers.for_container(sent, ENDPOINT) == {"Accept": "text/csv"}


@pytest.mark.contract("2.4-e", "2.6-g")
@pytest.mark.parametrize(
    ("name", "value", "member"),
    [
        ("Content-Type", "x" * 1025, "contentType"),
        ("Accept", "é", "accept"),
        (f"{AWS}Custom-Attributes", "x" * 1025, "customAttributes"),
        (f"{AWS}Target-Model", "", "targetModel"),
        (f"{AWS}Target-Variant", "-blue", "targetVariant"),
        (f"{AWS}Inference-Id", "x" * 65, "inferenceId"),
        (f"{AWS}Session-Id", "a b", "sessionId"),
        (f"{AWS}Target-Container-Hostname", "x" * 64, "targetContainerHostname"),
        (f"{AWS}Enable-Explanations", "", "enableExplanations"),
        (f"{AWS}Inference-Component", "a_b", "inferenceComponentName"),
        (f"{AWS}Prefix-Aware-Id", " a", "prefixAwareId"),
    ],
)
def test_the_limits_of_each_are_checked(name: str, value: str, member: str) -> None:  # 2.4
    with pytest.raises(Refused) as refused:
        headers.for_container({name.lower(): value}, ENDPOINT)
    assert (refused.value.status, refused.value.code) == (400, "ValidationError")
    assert refused.value.message.startswith("1 validation error detected: Value '")
    assert f"at '{member}' failed to satisfy constraint: Member must" in refused.value.message


def test_all_that_is_wrong_is_said() -> None:
    with pytest.raises(Refused, match=r"2 validation errors detected: .*; "):
        passed(accept="é", content_type="é")


@pytest.mark.contract("2.6-i")
def test_an_unknown_variant_is_a_validation_error() -> None:  # contract 2.4, 2.6
    with pytest.raises(Refused, match=r"Variant green of endpoint demo not found\."):
        headers.for_container({f"{AWS}Target-Variant".lower(): "green"}, ENDPOINT)


@pytest.mark.contract("2.6-j")
def test_a_superfluous_container_is_a_validation_error() -> None:  # contract 2.6
    with pytest.raises(Refused, match="TargetContainerHostname first is not allowed"):
        headers.for_container({f"{AWS}Target-Container-Hostname".lower(): "first"}, ENDPOINT)


@pytest.mark.contract("2.5-a", "2.5-b", "2.5-c", "2.5-d")
def test_the_client_is_told_what_the_contract_names() -> None:  # contract 2.5
    opened = "abc-1; Expires=2030-01-02T03:04:05Z"
    answer = {
        "Content-Type": "text/csv",
        f"{AWS}Custom-Attributes": "mine",
        f"{AWS}Session-Id": opened,
        f"{AWS}Closed-Session-Id": "abc-0",
        "Server": "nginx",
        "Set-Cookie": "a=b",
        "X-Amzn-Requestid": "not ours",
    }
    assert headers.for_client(answer, ENDPOINT, "id") == {
        "x-amzn-RequestId": "id",
        "x-Amzn-Invoked-Production-Variant": "blue",
        "Content-Type": "text/csv",
        f"{AWS}Custom-Attributes": "mine",
        f"{AWS}New-Session-Id": opened,
        f"{AWS}Closed-Session-Id": "abc-0",
    }


@pytest.mark.contract("2.5-c")
def test_a_session_without_an_end_is_not_announced() -> None:  # contract 2.5
    answer = headers.for_client({f"{AWS}Session-Id": "abc"}, ENDPOINT, "id")
    assert not [name for name in answer if "Session" in name]


@pytest.mark.contract("2.4-a", "2.5-b")
def test_the_container_sees_these_on_the_wire_and_no_others() -> None:  # contract 2.4
    seen: list[dict[str, str]] = []

    def answer(request: Request) -> None:
        seen.append(dict(request.headers.items()))
        request.answer(request.read_body(), headers={"Date": "x", "X-Mine": "y"})

    with container(answer) as backend, fronted(backend) as (_, address):
        got = ask(address, b"abc", headers={"X-Other": "1", "Content-Encoding": "gzip"})
        ask(address)
    host = f"{backend.host}:{backend.port}"
    assert seen == [{"Host": host, "Content-Length": "3"}, {"Host": host, "Content-Length": "0"}]
    assert got.body == b"abc"
    assert "X-Mine" not in got.headers
    assert len(got.headers["x-amzn-RequestId"]) == 36
