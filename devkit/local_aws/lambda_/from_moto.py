"""Invocations by other services of moto: SNS, EventBridge, S3, queues and streams.

moto would run them in containers of its own, or answer with a fixed text. They come here instead.
AWS does most of this asynchronously, and so is it done: whoever publishes does not wait. Messages
of a queue, and the steps of a secret's rotation, wait for the function: what it fails at stays.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Coroutine, Mapping, MutableMapping
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from devkit.local_aws.errors import AwsError
from devkit.local_aws.functions import FunctionAnswer

Ask = Callable[[str, bytes], Coroutine[Any, Any, FunctionAnswer]]
"""Invokes the function of an ARN, and waits for its answer."""
Hand = Callable[[str, bytes], Coroutine[Any, Any, None]]
"""Invokes the function of an ARN asynchronously."""
_ERROR = "x-amz-function-error"


def take_over(loop: asyncio.AbstractEventLoop, ask: Ask, hand: Hand) -> Callable[[], None]:
    """Have moto invoke functions here; for one of moto's threads.

    Args:
        loop: In which the functions are run.
        ask: Invokes one, and waits.
        hand: Has one invoked.

    Returns:
        What undoes it.
    """
    from moto.awslambda.models import LambdaFunction  # noqa: PLC0415 - moto is there when called
    from moto.awslambda_simple.models import LambdaSimpleBackend  # noqa: PLC0415 - likewise

    function: Any = LambdaFunction
    backend: Any = LambdaSimpleBackend
    before = function.invoke, backend.invoke

    def run(arn: str, body: Any, headers: MutableMapping[str, Any]) -> bytes:
        text = body if isinstance(body, str) else (body or b"").decode()
        payload = text.encode()
        if not _is_waited_for(text):
            asyncio.run_coroutine_threadsafe(hand(arn, payload), loop).result()
            return b""
        answer = asyncio.run_coroutine_threadsafe(ask(arn, payload), loop).result()
        if answer.error is not None:
            headers[_ERROR] = answer.error
        return answer.payload

    def invoke_function(self: Any, body: Any, request_headers: Any, response_headers: Any) -> bytes:
        del request_headers
        return _told(lambda: run(self.function_arn, body, response_headers), response_headers)

    def invoke_by_name(
        self: Any,
        function_name: str,
        qualifier: str | None,
        body: Any,
        headers: Any,
        response_headers: Any,
    ) -> bytes:
        del headers
        found = self.get_function(function_name, qualifier)
        return _told(lambda: run(found.function_arn, body, response_headers), response_headers)

    def undo() -> None:
        function.invoke, backend.invoke = before
        undo_rules()

    function.invoke, backend.invoke = invoke_function, invoke_by_name
    undo_rules = _take_over_rules(loop, hand)
    return undo


def _take_over_rules(loop: asyncio.AbstractEventLoop, hand: Hand) -> Callable[[], None]:
    from moto.events.models import Rule  # noqa: PLC0415 - moto is there when this is called

    rule: Any = Rule
    before = rule.send_to_targets

    def send_to_targets(self: Any, event: Any, transform_input: bool = True) -> None:
        """Moto has no functions among the targets of a rule."""
        functions = [target for target in self.targets if _is_function(target["Arn"])]
        others = copy.copy(self)
        others.targets = [target for target in self.targets if target not in functions]
        before(others, event, transform_input)
        if functions and self.event_pattern.matches_event(event):
            for target in functions:
                payload = json.dumps(_input(target, event, transform_input)).encode()
                with suppress(AwsError):  # AWS says nothing either to whoever has put the event
                    asyncio.run_coroutine_threadsafe(hand(target["Arn"], payload), loop).result()

    def undo() -> None:
        rule.send_to_targets = before

    rule.send_to_targets = send_to_targets
    return undo


def _is_function(arn: str) -> bool:
    return arn.split(":")[2:3] == ["lambda"]


def _input(target: Mapping[str, Any], event: Any, transformed: bool) -> Any:
    """What a rule gives a function."""
    from moto.events.utils import EventTemplateParser  # noqa: PLC0415 - moto is there when called

    if "Input" in target:
        return json.loads(target["Input"])
    own = target.get("InputTransformer") if transformed else None
    moment = event.get("time")
    if isinstance(moment, (int, float)):
        iso = datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {**event, "time": iso}
    if own:
        return EventTemplateParser.parse(own["InputTemplate"], own.get("InputPathsMap", {}), event)
    return {name: value for name, value in event.items() if name != "ingestion-time"}


def _is_waited_for(body: str) -> bool:
    """Whether these are messages of a queue, or a step of a secret's rotation."""
    try:
        event = json.loads(body)
    except ValueError:
        return False
    if not isinstance(event, dict):
        return False
    records = event.get("Records") or [{}]
    return "SecretId" in event or records[0].get("eventSource") == "aws:sqs"


def _told(work: Callable[[], bytes], headers: MutableMapping[str, Any]) -> bytes:
    """What moto has no way to hear is that a function could not be run."""
    try:
        return work()
    except AwsError as error:
        headers[_ERROR] = error.code
        return b""
