"""Asynchronous invocations: tried again, and told to their destination."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from devkit.local_aws.errors import AwsError
from devkit.local_aws.functions import FunctionAnswer
from devkit.local_aws.lambda_.definitions import AfterEvents
from devkit.local_aws.lambda_.events import Event, Events
from devkit.local_aws.lambda_.limits import throttled
from tests.unit.lambda_support import ARN, Asked, definition

GOOD = FunctionAnswer(payload=b'"done"')
BAD = FunctionAnswer(payload=b'{"errorMessage": "no"}', error="Unhandled")
QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"
_URL = {"QueueUrl": "http://q"}


class Scene:
    """What becomes of one event."""

    def __init__(self, *answers: FunctionAnswer | AwsError, backend: Asked | None = None) -> None:
        self._answers = list(answers)
        self.backend = backend or Asked(GetQueueUrl=_URL)
        self.slept: list[float] = []
        self.problems: list[str] = []
        self.tries = 0

    def play(self, **after: Any) -> Scene:
        asyncio.run(self._play(AfterEvents(**after)))
        return self

    async def _play(self, after: AfterEvents) -> None:
        events = Events(self._invoke, self.backend, self.problems.append, self._sleep)
        events.take(
            Event(
                request_id="r",
                arn=ARN,
                payload=b'{"a": 1}',
                definition=definition(after_events=after),
            )
        )
        await events._tasks.finished()

    async def _invoke(self, _event: Event) -> FunctionAnswer:
        self.tries += 1
        answer = self._answers.pop(0)
        if isinstance(answer, AwsError):
            raise answer
        return answer

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def told(self) -> dict[str, Any]:
        """What the queue was told."""
        ((operation, message),) = self.backend.asked[1:]
        assert (operation, message["QueueUrl"]) == ("sqs.SendMessage", "http://q")
        document: dict[str, Any] = json.loads(message["MessageBody"])
        return document


def test_a_failure_is_tried_again_after_a_minute_and_after_two() -> None:
    scene = Scene(BAD, BAD, GOOD).play()

    assert scene.slept == [60, 120]
    assert scene.problems == []
    assert scene.backend.asked == []


def test_what_fails_for_good_goes_to_its_destination() -> None:
    record = Scene(BAD, BAD).play(retries=1, on_failure=QUEUE, on_success="arn:x").told()

    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert record["requestPayload"] == {"a": 1}


def test_an_event_that_becomes_too_old_is_not_tried_again() -> None:
    assert Scene(BAD).play(max_age_s=59).tries == 1
    record = Scene(throttled()).play(max_age_s=0, on_failure=QUEUE).told()
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert "responsePayload" not in record


def test_a_throttled_event_waits_ever_longer_and_that_is_no_try() -> None:
    scene = Scene(*[throttled()] * 10, GOOD).play(retries=0, on_success=QUEUE)

    assert scene.slept == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert scene.told()["requestContext"]["approximateInvokeCount"] == 1


@pytest.mark.parametrize(
    ("destination", "operation"),
    [
        ("arn:aws:sns:us-east-1:123456789012:t", "sns.Publish"),
        ("arn:aws:events:us-east-1:123456789012:event-bus/default", "events.PutEvents"),
    ],
)
def test_topics_and_buses_are_destinations_too(destination: str, operation: str) -> None:
    ((asked, _),) = Scene(GOOD).play(on_success=destination).backend.asked

    assert asked == operation


def test_a_destination_that_takes_nothing_is_told() -> None:
    backend = Asked()
    backend.refuses = True

    (problem,) = Scene(GOOD, backend=backend).play(on_success=QUEUE).problems

    assert problem.startswith(f"{QUEUE} does not take what came of an event: ")


def test_an_event_that_cannot_be_done_is_told() -> None:
    (problem,) = Scene(AwsError("X", "no such function")).play().problems

    assert problem.startswith("an event was lost: ")
