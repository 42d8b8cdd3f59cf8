"""Lines and metrics on their way to CloudWatch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import pytest

from devkit.local_aws.cloudwatch import CloudWatch, Datum
from devkit.local_aws.errors import AwsError

MOMENT = datetime(2026, 1, 1, tzinfo=timezone.utc)
GROUP = "/aws/sagemaker/TrainingJobs"


class Received:
    """What CloudWatch was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.error: Exception | None = None

    def tell(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        self.calls.append((f"{service}.{operation}", parameters))
        if self.error is not None:
            raise self.error

    def of(self, operation: str) -> list[Mapping[str, Any]]:
        return [parameters for name, parameters in self.calls if name == operation]

    def messages(self, stream: str) -> list[str]:
        return [
            event["message"]
            for put in self.of("logs.PutLogEvents")
            if put["logStreamName"] == stream
            for event in put["logEvents"]
        ]


def opened(received: Received, notes: list[str] | None = None) -> CloudWatch:
    problems = [] if notes is None else notes
    return CloudWatch(GROUP, received.tell, problems.append, clock=lambda: MOMENT)


def datum(value: float, number: int = 0) -> Datum:
    return Datum(
        name=f"loss-{number}",
        value=value,
        time=MOMENT,
        namespace=GROUP,
        dimensions={"TrainingJobName": "iris"},
    )


def test_every_line_is_there_when_it_is_closed() -> None:
    received = Received()
    log = opened(received)
    log.open("iris/algo-1")
    for number in range(2500):
        log.line("iris/algo-1", f"line {number}")
    log.close()
    assert received.messages("iris/algo-1") == [f"line {number}" for number in range(2500)]
    assert received.of("logs.CreateLogStream") == [
        {"logGroupName": GROUP, "logStreamName": "iris/algo-1"}
    ]


def test_each_stream_has_its_own_lines_with_the_time_they_came() -> None:
    received = Received()
    log = opened(received)
    for stream in ("a", "b", "a"):
        log.line(stream, f"of {stream}")
    log.close()
    assert received.messages("a") == ["of a", "of a"]
    assert received.messages("b") == ["of b"]
    event = received.of("logs.PutLogEvents")[0]["logEvents"][0]
    assert event["timestamp"] == 1_767_225_600_000


def test_a_host_that_says_nothing_has_its_stream() -> None:
    received = Received()
    log = opened(received)
    log.open("iris/algo-2")
    log.close()
    assert received.of("logs.CreateLogStream")[0]["logStreamName"] == "iris/algo-2"
    assert received.of("logs.PutLogEvents") == []


def test_a_line_that_is_too_long_for_an_event_becomes_several() -> None:
    received = Received()
    log = opened(received)
    text = "é" * 400_000
    log.line("a", text)
    log.close()
    messages = received.messages("a")
    assert "".join(messages) == text
    assert max(len(each.encode()) for each in messages) <= 262_144 - 26


def test_no_call_is_larger_than_cloudwatch_takes() -> None:
    received = Received()
    log = opened(received)
    for _ in range(30):
        log.line("a", "x" * 100_000)
    for _ in range(12_000):
        log.line("a", "short")
    log.close()
    for put in received.of("logs.PutLogEvents"):
        events = put["logEvents"]
        assert len(events) <= 10_000
        assert sum(len(each["message"]) + 26 for each in events) <= 1_048_576
    assert len(received.messages("a")) == 12_030


def test_an_empty_line_is_a_blank() -> None:
    received = Received()
    log = opened(received)
    log.line("a", "")
    log.close()
    assert received.messages("a") == [" "]


def test_metrics_come_with_their_dimensions() -> None:
    received = Received()
    log = opened(received)
    log.datum(datum(0.5))
    log.close()
    (put,) = received.of("cloudwatch.PutMetricData")
    assert put["Namespace"] == GROUP
    assert put["MetricData"] == [
        {
            "MetricName": "loss-0",
            "Dimensions": [{"Name": "TrainingJobName", "Value": "iris"}],
            "Value": 0.5,
            "Timestamp": MOMENT,
        }
    ]


def test_metrics_come_a_thousand_at_a_time_and_numbers_only() -> None:
    received = Received()
    log = opened(received)
    for number in range(2100):
        log.datum(datum(float(number), number))
    log.datum(datum(math.nan))
    log.datum(datum(math.inf))
    log.close()
    sizes = [len(put["MetricData"]) for put in received.of("cloudwatch.PutMetricData")]
    assert max(sizes) <= 1000
    assert sum(sizes) == 2100


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AwsError("ResourceAlreadyExistsException", "there is one"), 0),
        (AwsError("ResourceNotFoundException", "there is none"), 1),
        (RuntimeError("the loop is closed"), 1),
    ],
)
def test_what_cloudwatch_does_not_take_is_told_once(error: Exception, told: int) -> None:
    received, notes = Received(), list[str]()
    received.error = error
    log = opened(received, notes)
    log.open("a")
    log.close()
    assert len(notes) == told
