"""Lambda, live: its functions run; moto keeps what they are.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from http import HTTPStatus
from typing import Any

from devkit.background_tasks import BackgroundTasks
from devkit.contract import LOCAL_REGION
from devkit.front.event_stream import CONTENT_TYPE, event
from devkit.lambda_contract import MAX_EVENT_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES
from devkit.local_aws.errors import AwsError
from devkit.local_aws.functions import FunctionAnswer
from devkit.local_aws.lambda_ import checks, limits
from devkit.local_aws.lambda_.definitions import Reference
from devkit.local_aws.lambda_.from_moto import take_over
from devkit.local_aws.lambda_.runner import Kit, Runner
from devkit.local_aws.services import Call, Handler, Objects, Result, Surroundings
from devkit.local_aws.traces import TRACE_HEADER


class Lambda:
    """A :class:`~devkit.local_aws.services.Service`, and the ``Functions`` of others.

    Args:
        kit: What functions are run with.
    """

    name = "lambda"

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._running: Runner | None = None
        self._tasks = BackgroundTasks()
        self._undo: Callable[[], None] = _nothing
        self.operations: Mapping[str, Handler] = {
            "CreateFunction": self._create,
            "DeleteFunction": self._delete,
            "Invoke": self._invoke,
            "InvokeAsync": self._invoke_async,
            "InvokeWithResponseStream": self._invoke_with_response_stream,
            "UpdateFunctionCode": self._update_code,
            "UpdateFunctionConfiguration": self._update_configuration,
        }

    # --- a service ----------------------------------------------------------------------------

    async def start(self, surroundings: Surroundings) -> None:
        """Begin; nothing is run before somebody asks."""
        self._running = Runner(self._kit, surroundings)
        await self._running.open()
        self._tasks.begin(self._take_over(surroundings.objects))

    async def _take_over(self, objects: Objects) -> None:
        loop = asyncio.get_running_loop()
        self._undo = await objects.look(lambda: take_over(loop, self.invoke, self._hand))

    async def _hand(self, function: str, payload: bytes) -> None:
        reference = Reference.parse(function, region=LOCAL_REGION)
        await self._runner.take(reference, payload, request_id=_new_request_id())

    async def reset(self) -> None:
        """End all instances."""
        await self._runner.reset()

    async def finish(self) -> None:
        """End all instances, and send what they have logged."""
        self._tasks.cancel()
        await self._tasks.finished()
        self._undo()
        await self._runner.close()

    async def stop(self) -> None:
        """Nothing is left to be ended."""

    # --- for others ---------------------------------------------------------------------------

    async def invoke(
        self,
        function: str,
        payload: bytes,
        *,
        region: str = LOCAL_REGION,
        trace_id: str | None = None,
    ) -> FunctionAnswer:
        """Invoke a function, and wait for its answer; see ``functions.Functions``."""
        reference = Reference.parse(function, region=region)
        return await self._runner.invoke(
            reference, payload, request_id=_new_request_id(), trace_id=trace_id
        )

    # --- invocations --------------------------------------------------------------------------

    async def _invoke(self, call: Call) -> Result:
        kind = call.parameters.get("InvocationType", "RequestResponse")
        reference = _reference(call)
        if kind == "DryRun":
            await self._runner.find(reference)
            return Result(members={"StatusCode": 204}, status=HTTPStatus.NO_CONTENT)
        if kind == "Event":
            payload = await _read(call, MAX_EVENT_PAYLOAD_BYTES)
            await self._runner.take(reference, payload, request_id=call.request_id)
            return Result(members={"StatusCode": 202}, status=HTTPStatus.ACCEPTED)
        answer = await self._waited_for(call, reference)
        members: dict[str, Any] = {
            "StatusCode": 200,
            "ExecutedVersion": answer.executed_version,
            "Payload": answer.payload,
        }
        if answer.error is not None:
            members["FunctionError"] = answer.error
        if call.parameters.get("LogType") == "Tail":
            members["LogResult"] = base64.b64encode(answer.log_tail).decode()
        return Result(members=members)

    async def _waited_for(self, call: Call, reference: Reference) -> FunctionAnswer:
        return await self._runner.invoke(
            reference,
            await _read(call, MAX_PAYLOAD_BYTES),
            request_id=call.request_id,
            trace_id=call.headers.get(TRACE_HEADER.lower()),
            client_context=_client_context(call.parameters.get("ClientContext")),
        )

    async def _invoke_async(self, call: Call) -> Result:
        payload = await _read(call, MAX_EVENT_PAYLOAD_BYTES)
        await self._runner.take(_reference(call), payload, request_id=call.request_id)
        return Result(members={"Status": 202}, status=HTTPStatus.ACCEPTED)

    async def _invoke_with_response_stream(self, call: Call) -> Result:
        """The whole response as one part: Python's runtime client has no streams."""
        answer = await self._waited_for(call, _reference(call))
        failed = answer.error is not None
        complete: dict[str, str] = {}
        if failed:
            error = json.loads(answer.payload)
            complete = {
                "ErrorCode": str(error.get("errorType", "")),
                "ErrorDetails": answer.payload.decode(errors="replace"),
            }
        if call.parameters.get("LogType") == "Tail":
            complete["LogResult"] = base64.b64encode(answer.log_tail).decode()

        async def parts() -> AsyncGenerator[bytes, None]:
            if not failed:
                yield event("PayloadChunk", answer.payload, "application/octet-stream")
            yield event("InvokeComplete", json.dumps(complete).encode(), "application/json")

        return Result(
            headers={
                "Content-Type": CONTENT_TYPE,
                "X-Amz-Executed-Version": answer.executed_version,
            },
            stream=parts(),
        )

    # --- what functions are -------------------------------------------------------------------

    async def _create(self, call: Call) -> Result:
        await asyncio.to_thread(checks.require_creatable, call.parameters)
        return await self._asked(call)

    async def _update_code(self, call: Call) -> Result:
        await asyncio.to_thread(checks.require_code, call.parameters)
        return await self._asked(call)

    async def _update_configuration(self, call: Call) -> Result:
        checks.require_configuration(call.parameters)
        return await self._asked(call)

    async def _delete(self, call: Call) -> Result:
        result = await self._asked(call)
        self._runner.retire(_reference(call))
        return result

    async def _asked(self, call: Call) -> Result:
        members = await call.backend.ask(
            call.service,
            call.operation,
            call.parameters,
            access_key=call.access_key,
            region=call.region,
        )
        return Result(members=members)

    @property
    def _runner(self) -> Runner:
        assert self._running is not None, "start() comes first"  # noqa: S101
        return self._running


def _reference(call: Call) -> Reference:
    return Reference.parse(
        call.parameters["FunctionName"],
        region=call.region,
        qualifier=call.parameters.get("Qualifier"),
    )


async def _read(call: Call, limit_bytes: int) -> bytes:
    """The payload.

    Raises:
        AwsError: It is too large.
    """
    content = bytearray()
    async for chunk in call.body:
        content += chunk
        if len(content) > limit_bytes:
            raise limits.too_large(limit_bytes)
    return bytes(content)


def _client_context(encoded: str | None) -> str | None:
    if encoded is None:
        return None
    try:
        text = base64.b64decode(encoded, validate=True).decode()
        json.loads(text)
    except (binascii.Error, ValueError):
        raise AwsError(
            "InvalidRequestContentException", "Client context must be a valid JSON object."
        ) from None
    return text


def _new_request_id() -> str:
    return str(uuid.uuid4())


def _nothing() -> None:
    """Nothing is to be undone."""
