"""InvokeEndpointAsync: what is taken, and where its answer is (contract, section 2.8)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devkit.store import Store
from tests.unit.hosting_support import Aws, Machines
from tests.unit.test_front_support import Answering, Got, Request, ask, container, echo

TOPICS = {
    "SuccessTopic": "arn:aws:sns:us-east-1:123456789012:good",
    "ErrorTopic": "arn:aws:sns:us-east-1:123456789012:bad",
}
OUTPUT = {"S3OutputPath": "s3://data/out/", "S3FailurePath": "s3://data/bad"}
_HEADER = "X-Amzn-SageMaker-"

Make = Callable[..., Aws]


@pytest.fixture
def endpoint(store: Store) -> Iterator[Make]:
    """Makes an endpoint ``demo`` for asynchronous invocations."""
    stack: list[Any] = []

    def make(post: Answering = echo, output: Any = None, **client: int) -> Aws:
        at = container(post)
        aws = Aws(store, Machines())
        up = aws.up()
        stack.extend([at, up])
        port = at.__enter__().port
        up.__enter__()
        config = {"OutputConfig": output or OUTPUT, "ClientConfig": client}
        aws.create("demo", aws.configure("c", at={"blue": port}, AsyncInferenceConfig=config))
        return aws

    yield make
    for each in reversed(stack):
        each.__exit__(None, None, None)


def invoke(aws: Aws, body: bytes = b"", **members: str) -> Got:
    headers = {f"{_HEADER}{name.replace('_', '-')}": value for name, value in members.items()}
    return ask(aws.address, body, path="/endpoints/demo/async-invocations", headers=headers)


def key(uri: str | None) -> str:
    assert uri is not None
    assert uri.startswith("s3://data/")
    return uri.removeprefix("s3://data/")


def message(aws: Aws) -> tuple[str, dict[str, Any]]:
    """The topic of the newest message, and what it says."""
    sent = aws.backend.wait_for("Publish", 3)[-1]
    return sent["TopicArn"], json.loads(sent["Message"])


def test_the_answer_to_an_object_is_an_object(endpoint: Make) -> None:
    seen: list[Any] = []

    def answer(request: Request) -> None:
        seen.append((request.headers, request.read_body()))
        request.answer(b"[0.9]", headers={"Content-Type": "application/json"})

    aws = endpoint(answer, {**OUTPUT, "NotificationConfig": TOPICS})
    aws.s3.objects["in/1.csv"] = b"1,2"
    taken = invoke(
        aws, InputLocation="s3://data/in/1.csv", Content_Type="text/csv", Inference_Id="mine"
    )
    assert taken.status == 202
    assert json.loads(taken.body) == {"InferenceId": "mine"}
    place = key(taken.headers[f"{_HEADER}OutputLocation"])
    assert place.startswith("out/")
    assert place.endswith(".out")
    assert aws.s3.wait_for(place) == b"[0.9]"
    ((headers, body),) = seen
    assert (body, headers["Content-Type"], headers["Content-Length"]) == (b"1,2", "text/csv", "3")
    assert headers["X-Amzn-SageMaker-Inference-Id"] == "mine"

    topic, event = message(aws)
    assert topic == TOPICS["SuccessTopic"]
    assert event.pop("eventTime") >= event.pop("receivedTime")
    assert event == {
        "awsRegion": "us-east-1",
        "invocationStatus": "Completed",
        "requestParameters": {
            "contentType": "text/csv",
            "endpointName": "demo",
            "inputLocation": "s3://data/in/1.csv",
        },
        "responseParameters": {
            "contentType": "application/json",
            "outputLocation": f"s3://data/{place}",
        },
        "inferenceId": "mine",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def test_topics_are_told_that_there_is_an_endpoint(endpoint: Make) -> None:
    aws = endpoint(output={**OUTPUT, "NotificationConfig": TOPICS})
    sent = aws.backend.wait_for("Publish", 2)
    assert [each["TopicArn"] for each in sent] == list(TOPICS.values())
    assert json.loads(sent[0]["Message"])["eventName"] == "TestNotification"


def test_a_body_may_come_with_the_request(endpoint: Make) -> None:
    aws = endpoint()
    taken = invoke(aws, b"[1]", S3OutputPathExtension="today", Filename="one.json")
    assert taken.headers[f"{_HEADER}OutputLocation"] == "s3://data/out/today/one.json"
    assert aws.s3.wait_for("out/today/one.json") == b"[1]"


def test_a_failure_is_an_object_and_a_message(endpoint: Make) -> None:
    def failing(request: Request) -> None:
        request.read_body()
        request.answer(b"no such column", 500)

    included = {**TOPICS, "IncludeInferenceResponseIn": ["ERROR_NOTIFICATION_TOPIC"]}
    aws = endpoint(failing, {**OUTPUT, "NotificationConfig": included})
    taken = invoke(aws, b"[1]")
    place = key(taken.headers[f"{_HEADER}FailureLocation"])
    assert place.startswith("bad/")
    assert b'Received server error (500) from primary with message "no such column"' in (
        aws.s3.wait_for(place)
    )
    topic, event = message(aws)
    assert (topic, event["invocationStatus"]) == (TOPICS["ErrorTopic"], "Failed")
    assert event["failureReason"].startswith("ClientError: Received server error (500)")
    assert event["responseBody"]["encoding"] == "BASE64"
    assert key(taken.headers[f"{_HEADER}OutputLocation"]) not in aws.s3.objects


def test_an_object_that_is_not_there_is_a_failure(endpoint: Make) -> None:
    aws = endpoint()
    taken = invoke(aws, InputLocation="s3://data/in/none")
    assert taken.status == 202
    place = key(taken.headers[f"{_HEADER}FailureLocation"])
    assert b"there is no s3://data/in/none" in aws.s3.wait_for(place)


def test_a_container_that_is_late_is_a_failure(endpoint: Make) -> None:
    def late(request: Request) -> None:
        request.read_body()
        request.rfile.read(1)  # until the front gives up

    aws = endpoint(late)
    taken = invoke(aws, b"[1]", InvocationTimeoutSeconds="1")
    place = key(taken.headers[f"{_HEADER}FailureLocation"])
    assert b"Your invocation timed out" in aws.s3.wait_for(place)


def test_so_many_are_with_the_container_at_a_time(endpoint: Make) -> None:
    lock, go_on = threading.Lock(), threading.Event()
    there: list[int] = []
    most: list[int] = []

    def counting(request: Request) -> None:
        request.read_body()
        with lock:
            there.append(1)
            most.append(len(there))
        if len(most) >= 2:
            go_on.set()
        go_on.wait()
        with lock:
            there.pop()
        request.answer(b"done")

    aws = endpoint(counting, MaxConcurrentInvocationsPerInstance=2)
    for number in range(4):
        invoke(aws, b"[1]", Filename=f"{number}")
    for number in range(4):
        assert aws.s3.wait_for(f"out/{number}") == b"done"
    assert max(most) == 2


@pytest.mark.parametrize(
    ("body", "members", "why"),
    [
        (b"", {}, "Exactly one of Body and InputLocation"),
        (b"1", {"InputLocation": "s3://data/in"}, "Exactly one of Body and InputLocation"),
        (b"1", {"RequestTTLSeconds": "59"}, "greater than or equal to 60"),
        (b"1", {"InvocationTimeoutSeconds": "3601"}, "less than or equal to 3600"),
        (b"", {"InputLocation": "ftp://data/in"}, "regular expression"),
    ],
)
def test_what_cannot_be_is_a_validation_error(
    endpoint: Make, body: bytes, members: dict[str, str], why: str
) -> None:
    got = invoke(endpoint(), body, **members)
    status, name, document = got.error
    assert (status, name) == (400, "ValidationError")
    assert why in document["message"]


def test_a_body_has_its_limit(endpoint: Make) -> None:
    assert invoke(endpoint(), b"x" * 128_001).status == 413


def test_an_endpoint_without_the_configuration_takes_none(store: Store) -> None:
    with container() as at, Aws(store, Machines()).up() as aws:
        aws.create("demo", aws.configure("c", at={"blue": at.port}))
        status, name, document = invoke(aws, b"1").error
    assert (status, name) == (400, "ValidationError")
    assert "no AsyncInferenceConfig" in document["message"]
