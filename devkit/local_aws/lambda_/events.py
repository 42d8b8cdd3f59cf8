"""Asynchronous invocations (``Event``): tried again when they fail, and told where they went.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html. What waits is
lost when the endpoint ends.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from devkit.background_tasks import BackgroundTasks
from devkit.local_aws.errors import AwsError
from devkit.local_aws.functions import FunctionAnswer
from devkit.local_aws.lambda_.definitions import AfterEvents, Definition
from devkit.local_aws.services import Backend

RETRY_S = (60.0, 120.0)
"""AWS waits a minute before the first retry, and two before the second."""
_THROTTLED = "TooManyRequestsException"
_LONGEST_PAUSE_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Event:
    """An asynchronous invocation."""

    request_id: str
    arn: str
    """As the function was invoked."""
    payload: bytes
    definition: Definition


Invoke = Callable[[Event], Awaitable[FunctionAnswer]]
Sleep = Callable[[float], Awaitable[None]]


class Events:
    """What is to be done, and what becomes of it; belongs to one event loop.

    Args:
        invoke: Invokes a function once.
        backend: Whose queues, topics, buses and functions are the destinations.
        on_problem: Told of what could not be delivered.
        sleep: Waits.
    """

    def __init__(
        self,
        invoke: Invoke,
        backend: Backend,
        on_problem: Callable[[str], None],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._invoke = invoke
        self._backend = backend
        self._on_problem = on_problem
        self._sleep = sleep
        self._tasks = BackgroundTasks(lambda error: on_problem(f"an event was lost: {error}"))

    def take(self, event: Event) -> None:
        """Do it some time."""
        self._tasks.begin(self._do(event))

    async def close(self) -> None:
        """Give up what waits."""
        self._tasks.cancel()
        await self._tasks.finished()

    async def _do(self, event: Event) -> None:
        after = event.definition.after_events
        answer, tries = await self._tried(event, after)
        failed = answer is None or answer.error is not None
        destination = after.on_failure if failed else after.on_success
        if destination is not None:
            record = _record(event, answer, tries)
            try:
                await self._deliver(destination, record)
            except AwsError as error:
                self._on_problem(f"{destination} does not take what came of an event: {error}")

    async def _tried(self, event: Event, after: AfterEvents) -> tuple[FunctionAnswer | None, int]:
        """The last answer, and how often the function was tried; no answer is too old an event."""
        loop = asyncio.get_running_loop()
        given_up = loop.time() + after.max_age_s
        tries, pause_s = 0, 1.0
        while True:
            try:
                answer = await self._invoke(event)
            except AwsError as error:
                if error.code != _THROTTLED:
                    raise
                if loop.time() + pause_s > given_up:
                    return None, tries
                await self._sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                continue
            tries += 1
            if answer.error is None or tries > after.retries:
                return answer, tries
            wait_s = RETRY_S[min(tries, len(RETRY_S)) - 1]
            if loop.time() + wait_s > given_up:
                return answer, tries
            await self._sleep(wait_s)

    async def _deliver(self, arn: str, record: dict[str, Any]) -> None:
        _, _, service, region, _, name = arn.split(":", maxsplit=5)
        text = json.dumps(record)
        if service == "sqs":
            url = await self._backend.ask("sqs", "GetQueueUrl", {"QueueName": name}, region=region)
            message = {"QueueUrl": url["QueueUrl"], "MessageBody": text}
            await self._backend.ask("sqs", "SendMessage", message, region=region)
        elif service == "sns":
            message = {"TopicArn": arn, "Message": text}
            await self._backend.ask("sns", "Publish", message, region=region)
        elif service == "events":
            entry = {
                "Source": "lambda",
                "DetailType": f"Lambda Function Invocation Result - {_condition(record)}",
                "Detail": text,
                "EventBusName": arn,
            }
            await self._backend.ask("events", "PutEvents", {"Entries": [entry]}, region=region)
        else:
            raise AwsError("InvalidParameterValueException", f"{service} is no destination here")


def _condition(record: dict[str, Any]) -> str:
    succeeded = record["requestContext"]["condition"] == "Success"
    return "Success" if succeeded else "Failure"


def _record(event: Event, answer: FunctionAnswer | None, tries: int) -> dict[str, Any]:
    """What a destination is told."""
    condition = "EventAgeExceeded" if answer is None else "Success"
    if answer is not None and answer.error is not None:
        condition = "RetriesExhausted"
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": datetime.now(timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z",
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": f"{event.definition.arn}:{event.definition.version}",
            "condition": condition,
            "approximateInvokeCount": tries,
        },
        "requestPayload": json.loads(event.payload),
    }
    if answer is not None:
        record["responseContext"] = {
            "statusCode": 200,
            "executedVersion": answer.executed_version,
            **({"functionError": answer.error} if answer.error else {}),
        }
        record["responsePayload"] = json.loads(answer.payload)
    return record
