"""The runtime API on the endpoint's own port: who answers, and what clients are told."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest

from devkit.contract import LOCAL_REGION
from devkit.engines.base import Address
from devkit.front.errors import Endpoint
from devkit.front.limits import PROFILES, Limits
from devkit.local_aws.sagemaker.hosted import AsyncOutput, Directory, Hosted, Variant
from devkit.local_aws.sagemaker.runtime import Runtime
from devkit.local_aws.services import Call, Result
from tests.unit.hosting_support import NoMeter, listening
from tests.unit.test_front_support import Answering, Got, Request, ask, container, echo

PATH = "/endpoints/demo/invocations"
SIGNED = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/{region}/{service}/aws4_request, "
    "SignedHeaders=host, Signature=0"
)


async def never(call: Call) -> Result:
    raise AssertionError(call)


@contextmanager
def hosted(
    variants: Mapping[str, Answering],
    weights: Mapping[str, float] | None = None,
    *,
    limits: Limits = PROFILES["realtime"],
    region: str = LOCAL_REGION,
    asynchronous: AsyncOutput | None = None,
    direct: bool = True,
) -> Iterator[Address]:
    """An endpoint ``demo``; the address of the local AWS."""
    directory = Directory()
    with (
        ExitStack() as stack,
        listening(Runtime(directory, NoMeter(), never), direct=direct) as (thread, address),
    ):
        at = {name: stack.enter_context(container(post)) for name, post in variants.items()}

        async def put() -> list[Variant]:
            made = []
            for name, backend in at.items():
                endpoint = Endpoint(name="demo", variant=name, region=region)
                variant = Variant(endpoint, limits, address.url)
                variant.switch(backend)
                made.append(variant)
            named = {each.name: each for each in made}
            shares = weights or dict.fromkeys(named, 1.0)
            endpoint = Endpoint(name="demo", region=region)
            directory.put(Hosted(endpoint, named, shares, asynchronous))
            return made

        made = thread.call(put())
        try:
            yield address
        finally:
            for variant in made:
                variant.close()


def saying(text: str) -> Answering:
    """A container that answers with a text."""

    def answer(request: Request) -> None:
        request.read_body()
        request.answer(text.encode())

    return answer


def test_an_answer_passes_unchanged() -> None:  # contract 2.4, 2.5
    with hosted({"AllTraffic": echo}) as address:
        got = ask(address, b"\x00\xff", path=PATH, headers={"X-Amzn-SageMaker-Inference-Id": "1"})
    assert (got.status, got.body) == (200, b"\x00\xff")
    assert got.headers["x-Amzn-Invoked-Production-Variant"] == "AllTraffic"
    assert got.headers["Content-Type"] == "application/octet-stream"


def test_requests_are_dealt_out_by_weight() -> None:  # contract 2.13
    weights = {"blue": 3.0, "green": 1.0}
    with hosted({"blue": saying("blue"), "green": saying("green")}, weights) as address:
        answers = [ask(address, path=PATH).body for _ in range(8)]
    assert (answers.count(b"blue"), answers.count(b"green")) == (6, 2)


def test_target_variant_bypasses_the_weights() -> None:  # contract 2.13
    weights = {"blue": 1.0, "green": 0.0}
    with hosted({"blue": saying("blue"), "green": saying("green")}, weights) as address:
        got = ask(address, path=PATH, headers={"X-Amzn-SageMaker-Target-Variant": "green"})
        unknown = ask(address, path=PATH, headers={"X-Amzn-SageMaker-Target-Variant": "red"})
    assert got.body == b"green"
    assert got.headers["x-Amzn-Invoked-Production-Variant"] == "green"
    status, name, members = unknown.error
    assert (status, name) == (400, "ValidationError")
    assert members["Message"] == "Variant red of endpoint demo not found."


def test_an_endpoint_that_is_not_there_is_a_validation_error() -> None:  # contract 2.6
    with hosted({"AllTraffic": echo}) as address:
        status, name, members = ask(address, path="/endpoints/other/invocations").error
    assert (status, name) == (400, "ValidationError")
    assert members["Message"] == "Endpoint other of account 123456789012 not found."


def test_an_error_of_the_container_is_a_model_error() -> None:  # contract 2.6
    def failing(request: Request) -> None:
        request.read_body()
        request.answer(b"no such column", 500)

    with hosted({"AllTraffic": failing}) as address:
        status, name, members = ask(address, path=PATH).error
    assert (status, name) == (424, "ModelError")
    assert members["OriginalStatusCode"] == 500
    assert members["OriginalMessage"] == "no such column"
    assert members["LogStreamArn"].endswith("log-group:/aws/sagemaker/Endpoints/demo")
    assert members["Message"].startswith(
        'Received server error (500) from primary with message "no such column". See https://'
    )


def test_a_container_that_is_late_is_a_model_error() -> None:  # contract 2.3, 2.6
    def late(request: Request) -> None:
        request.read_body()
        request.rfile.read(1)  # until the front gives up

    with hosted({"AllTraffic": late}, limits=Limits(invocation_s=0.05)) as address:
        status, name, members = ask(address, path=PATH).error
    assert (status, name, members["OriginalStatusCode"]) == (424, "ModelError", 0)
    assert "Your invocation timed out" in members["OriginalMessage"]


def test_a_stream_comes_in_events() -> None:  # contract 2.7
    def streaming(request: Request) -> None:
        request.read_body()
        request.begin_chunks({"Content-Type": "text/plain"})
        request.chunk(b"one")
        request.chunk(b"")

    with hosted({"AllTraffic": streaming}) as address:
        got = ask(address, path=f"{PATH}-response-stream")
    assert got.headers["Content-Type"] == "application/vnd.amazon.eventstream"
    assert got.headers["X-Amzn-SageMaker-Content-Type"] == "text/plain"
    assert b"PayloadPart" in got.body
    assert b"one" in got.body


def test_serverless_limits_answer_in_their_own_words() -> None:  # contract 2.9
    limits = Limits(profile="serverless", request_bytes=3)
    with hosted({"AllTraffic": echo}, limits=limits) as address:
        status, name, members = ask(address, b"1234", path=PATH).error
    assert (status, name) == (400, "ValidationError")
    assert members["Message"].endswith("has oversize body.")


def test_an_endpoint_for_asynchronous_invocations_takes_no_others() -> None:  # contract 2.8
    output = AsyncOutput(output="s3://data/out", failure=None)
    with hosted({"AllTraffic": echo}, asynchronous=output) as address:
        status, name, members = ask(address, path=PATH).error
    assert (status, name) == (400, "ValidationError")
    assert "InvokeEndpointAsync only" in members["Message"]


def test_the_region_of_the_signature_tells_endpoints_of_one_name_apart() -> None:
    def signed(address: Address, region: str) -> Got:
        authorization = SIGNED.format(region=region, service="sagemaker")
        return ask(address, path=PATH, headers={"Authorization": authorization})

    with hosted({"AllTraffic": echo}, region="eu-west-1") as address:
        assert signed(address, "eu-west-1").status == 200
        assert signed(address, "us-east-1").status == 400


def test_a_request_that_is_signed_for_s3_is_for_a_bucket() -> None:
    with hosted({"AllTraffic": echo}) as address:
        authorization = SIGNED.format(region="us-east-1", service="s3")
        got = ask(address, path=PATH, headers={"Authorization": authorization})
    assert got.status != 200
    assert "x-Amzn-Invoked-Production-Variant" not in got.headers


@pytest.mark.parametrize("path", [PATH, f"http://127.0.0.1{PATH}", f"{PATH}?x=1"])
def test_what_is_written_in_another_way_takes_the_way_of_every_service(path: str) -> None:
    authorization = SIGNED.format(region="us-east-1", service="sagemaker")
    headers = {"Authorization": authorization, "X-Amzn-SageMaker-Target-Variant": "green"}
    with hosted({"green": echo}, direct=False) as address:
        got = ask(address, b"abc", path=path, headers=headers)
        unknown = ask(address, path="/endpoints/other/invocations", headers=headers)
    assert (got.status, got.body) == (200, b"abc")
    assert got.headers["x-Amzn-Invoked-Production-Variant"] == "green"
    assert unknown.error[:2] == (400, "ValidationError")


def test_a_page_of_another_origin_is_refused() -> None:
    with hosted({"AllTraffic": echo}) as address:
        got = ask(address, path=PATH, headers={"Origin": "https://example.com"})
    assert got.status == 403


def test_a_client_that_asks_whether_to_send_is_told_to() -> None:
    with hosted({"AllTraffic": echo}) as address:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=10)
        connection.putrequest("POST", PATH)
        connection.putheader("Expect", "100-continue")
        connection.putheader("Content-Length", "3")
        connection.endheaders(b"abc")
        assert connection.getresponse().read() == b"abc"
        connection.close()
