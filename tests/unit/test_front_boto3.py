"""AWS's own client takes the front for SageMaker's runtime API (contract 2.4 to 2.7)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from devkit.engines.base import Address
from devkit.front.limits import PROFILES
from tests.unit.test_front_support import Answering, Request, container, echo, fronted


def runtime(address: Address) -> Any:
    session = pytest.importorskip("botocore.session").Session()
    config = pytest.importorskip("botocore.config").Config(
        retries={"total_max_attempts": 1}, proxies={}
    )
    return session.create_client(
        "sagemaker-runtime",
        region_name="us-east-1",
        endpoint_url=address.url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )


@contextmanager
def client(post: Answering, profile: str = "realtime") -> Iterator[Any]:
    limits = {str(name): each for name, each in PROFILES.items()}[profile]
    with container(post) as backend, fronted(backend, limits) as (_, address):
        made = runtime(address)
        try:
            yield made
        finally:
            made.close()


@pytest.mark.contract("2.4-b", "2.4-c", "2.5-a", "2.5-c")
def test_an_endpoint_is_invoked() -> None:  # contract 2.4, 2.5
    seen: dict[str, str] = {}

    def answer(request: Request) -> None:
        seen.update(request.headers.items())
        request.answer(
            request.read_body(),
            headers={
                "Content-Type": "text/csv",
                "X-Amzn-SageMaker-Custom-Attributes": "back",
                "X-Amzn-SageMaker-Session-Id": "s-1; Expires=2030-01-02T03:04:05Z",
            },
        )

    with client(answer) as made:
        got = made.invoke_endpoint(
            EndpointName="demo",
            Body=b"1,2",
            ContentType="text/csv",
            Accept="text/csv",
            CustomAttributes="there",
            SessionId="NEW_SESSION",
            TargetVariant="AllTraffic",
        )
        assert got["Body"].read() == b"1,2"
    assert got["ContentType"] == "text/csv"
    assert got["InvokedProductionVariant"] == "AllTraffic"
    assert got["CustomAttributes"] == "back"
    assert got["NewSessionId"] == "s-1; Expires=2030-01-02T03:04:05Z"
    assert len(got["ResponseMetadata"]["RequestId"]) == 36
    assert {name for name in seen if name.startswith("X-Amz-")} == set()
    assert seen["X-Amzn-SageMaker-Custom-Attributes"] == "there"
    assert seen["Content-Type"] == seen["Accept"] == "text/csv"
    assert "Authorization" not in seen


@pytest.mark.contract("2.6-a", "2.6-b")
def test_a_containers_error_is_its_model_error() -> None:  # contract 2.6
    with (
        client(lambda request: request.answer(b"why", 503)) as made,
        pytest.raises(made.exceptions.ModelError) as error,
    ):
        made.invoke_endpoint(EndpointName="demo", Body=b"x")
    response = error.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == 503
    assert response["OriginalMessage"] == "why"
    assert response["LogStreamArn"].endswith(":log-group:/aws/sagemaker/Endpoints/demo")
    assert response["Message"].startswith(
        'Received server error (503) from primary with message "why". See https://us-east-1.console'
    )


@pytest.mark.contract("2.6-h")
def test_an_unknown_endpoint_is_its_validation_error() -> None:  # contract 2.6
    with (
        client(echo) as made,
        pytest.raises(made.exceptions.ValidationError, match="Endpoint x of account 123"),
    ):
        made.invoke_endpoint(EndpointName="x", Body=b"x")


@pytest.mark.contract("2.3-m", "2.3-n")
def test_a_request_that_is_too_large_is_an_error_by_its_status() -> None:  # contract 2.3
    with client(echo) as made, pytest.raises(made.exceptions.ClientError) as error:
        made.invoke_endpoint(EndpointName="demo", Body=b"x" * (25 * 1024 * 1024 + 1))
    assert error.value.response["Error"] == {
        "Code": "413",
        "Message": "HTTP content length exceeded 26214400 bytes.",
    }


def test_a_serverless_request_that_is_too_large_is_a_validation_error() -> None:  # contract 2.9
    with (
        client(echo, "serverless") as made,
        pytest.raises(made.exceptions.ValidationError, match=r"Request \S+ has oversize body"),
    ):
        made.invoke_endpoint(EndpointName="demo", Body=b"x" * (4 * 1024 * 1024 + 1))


@pytest.mark.contract("2.7-a", "2.7-b", "2.7-d")
def test_a_response_is_streamed() -> None:  # contract 2.7
    def breaks(request: Request) -> None:
        request.begin_chunks({"Content-Type": "text/plain"})
        request.chunk(b"part")
        request.close_connection = True

    with client(breaks) as made:
        got = made.invoke_endpoint_with_response_stream(EndpointName="demo", Body=b"x")
        assert got["ContentType"] == "text/plain"
        stream = iter(got["Body"])
        assert next(stream) == {"PayloadPart": {"Bytes": b"part"}}
        with pytest.raises(Exception, match=r"\(ModelStreamError\) when calling"):
            next(stream)
        got["Body"].close()
