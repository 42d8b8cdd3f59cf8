"""InvokeEndpointAsync: a request is taken, and its answer comes to S3 (contract, section 2.8).

What is taken waits in memory, and is lost with devkit: the queue of an endpoint is what flows.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from devkit.background_tasks import BackgroundTasks
from devkit.channels.locations import S3Uri, parse_s3_uri
from devkit.channels.s3_reading import open_sized, reading
from devkit.errors import ConfigError, DevkitError
from devkit.front.errors import Refused
from devkit.front.messages import Answer, AnswerCut, Invocation
from devkit.local_aws.errors import AwsError
from devkit.local_aws.sagemaker.hosted import AsyncOutput, Directory, Hosted, Variant
from devkit.local_aws.sagemaker.parts import Shared
from devkit.local_aws.services import Backend, Call, Result

if TYPE_CHECKING:
    from devkit.local_aws.sagemaker.runtime import Meter

MAX_BODY_BYTES = 128_000
_TTL_S = 21_600
_INCLUDED_BYTES = 128 * 1024
_IN_MEMORY_BYTES = 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_LOOK_S = 0.1
_SUCCESS, _ERROR = "SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"
_VERSION = {"eventVersion": "1.0", "eventSource": "aws:sagemaker"}

_T = TypeVar("_T")


class _Failed(Exception):
    """An invocation came to nothing; the message is what is told of it."""


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """A request that waits for its turn."""

    endpoint: str
    region: str
    parameters: Mapping[str, Any]
    headers: Mapping[str, str]
    body: bytes
    inference_id: str
    output: S3Uri | None
    failure: S3Uri | None
    received: datetime
    due: float
    """Until when its turn has to come, on the monotonic clock."""
    backend: Backend


@dataclass
class _Slots:
    """How many requests an endpoint's containers have at a time."""

    hosted: Hosted
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))


class AsyncInvocations:
    """Takes asynchronous invocations, and sees them through.

    Args:
        shared: What the parts of the control plane share.
        directory: The endpoints that take requests.
        meter: Counts invocations.
    """

    def __init__(self, shared: Shared, directory: Directory, meter: Meter) -> None:
        self._shared, self._directory, self._meter = shared, directory, meter
        self._slots: dict[tuple[str, str], _Slots] = {}
        self._tasks = BackgroundTasks(self._tell)

    async def invoke(self, call: Call) -> Result:
        """InvokeEndpointAsync."""
        parameters = call.parameters
        hosted = _asynchronous(self._directory, call)
        assert hosted.asynchronous is not None  # noqa: S101 - is known
        body = await call.read(MAX_BODY_BYTES)
        if bool(body) == ("InputLocation" in parameters):
            raise _validation("Exactly one of Body and InputLocation has to be given.")
        inference_id = parameters.get("InferenceId") or str(uuid.uuid4())
        output, failure = _locations(hosted.asynchronous, parameters)
        ttl_s = parameters.get("RequestTTLSeconds", _TTL_S)
        taken = _Taken(
            endpoint=hosted.endpoint.name,
            region=call.region,
            parameters=parameters,
            headers={**call.headers, "x-amzn-sagemaker-inference-id": inference_id},
            body=body,
            inference_id=inference_id,
            output=output,
            failure=failure,
            received=self._shared.clock(),
            due=time.monotonic() + ttl_s,
            backend=call.backend,
        )
        self._tasks.begin(self._see_through(taken))
        members = {
            "InferenceId": inference_id,
            "OutputLocation": None if output is None else str(output),
            "FailureLocation": None if failure is None else str(failure),
        }
        return Result(members={key: value for key, value in members.items() if value is not None})

    async def announce(self, output: AsyncOutput, region: str, backend: Backend) -> None:
        """Tell the topics of a new configuration that they will be told of results (§2.8)."""
        message = {**_VERSION, "eventName": "TestNotification"}
        for topic in (output.success_topic, output.error_topic):
            await _publish(backend, topic, message, region)

    async def stop(self) -> None:
        """Leave what waits; the containers are about to end."""
        self._tasks.cancel()
        await self._tasks.finished()

    # --- one invocation -----------------------------------------------------------------------

    async def _see_through(self, taken: _Taken) -> None:
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as content:
            try:
                answer = await self._turn(taken, content)
            except _Failed as failed:
                await self._tell_failure(taken, str(failed))
            except DevkitError as error:
                await self._tell_failure(taken, error.message)
            else:
                await self._tell_success(taken, answer, content)

    async def _turn(self, taken: _Taken, content: IO[bytes]) -> Answer:
        """Wait for the request's turn, and have it answered into ``content``."""
        slots = await self._in_time(taken, self._slots_of(taken))
        await self._in_time(taken, slots.free.acquire())
        try:
            variant = await self._in_time(taken, self._variant(taken))
            return await self._answered(taken, variant, content)
        finally:
            slots.free.release()

    async def _answered(self, taken: _Taken, variant: Variant, content: IO[bytes]) -> Answer:
        begun = time.perf_counter()
        timeout_s = taken.parameters.get("InvocationTimeoutSeconds")
        invocation = await self._invocation(taken)
        with variant.answering() as forwarder:
            limits = forwarder.limits
            if timeout_s is not None:
                limits = replace(limits, invocation_s=float(timeout_s))
            answer = await forwarder.limited(limits).invoke(invocation)
            model_s = time.perf_counter() - begun
            await self._kept(answer, content)
        total_s = time.perf_counter() - begun
        self._meter.count(variant, answer, model_s=model_s, total_s=total_s)
        if answer.status != HTTPStatus.OK:
            content.seek(0)
            raise _Failed(_message(content.read()))
        return answer

    async def _kept(self, answer: Answer, content: IO[bytes]) -> None:
        if isinstance(answer.body, bytes):
            content.write(answer.body)
            return
        try:
            async for chunk in answer.body:
                await self._shared.blocking(content.write, chunk)
        except AnswerCut:
            raise _Failed("The container broke off its answer.") from None
        finally:
            await answer.body.aclose()

    async def _invocation(self, taken: _Taken) -> Invocation:
        headers = taken.headers
        if taken.body:
            return Invocation(
                headers=headers, body=_once(taken.body), content_length=len(taken.body)
            )
        uri = taken.parameters["InputLocation"]
        place = parse_s3_uri(uri)
        client = await self._shared.blocking(self._shared.storage.client)
        stream, size = await self._shared.blocking(open_sized, client, place.bucket, place.prefix)
        return Invocation(headers=headers, body=self._chunks(stream), content_length=size)

    async def _chunks(self, stream: IO[bytes]) -> AsyncIterator[bytes]:
        with stream:
            while chunk := await self._shared.blocking(stream.read, _CHUNK_BYTES):
                yield chunk

    async def _slots_of(self, taken: _Taken) -> _Slots:
        hosted = self._hosted(taken)
        slots = self._slots.get((taken.region, taken.endpoint))
        if slots is None or slots.hosted is not hosted:
            concurrency = 1 if hosted.asynchronous is None else hosted.asynchronous.concurrency
            slots = _Slots(hosted, asyncio.Semaphore(concurrency))
            self._slots[taken.region, taken.endpoint] = slots
        return slots

    async def _variant(self, taken: _Taken) -> Variant:
        """The variant, once it has a container."""
        while True:
            try:
                variant = self._hosted(taken).variant(None)
            except Refused as refused:
                raise _Failed(refused.message) from None
            if variant.forwarder.backend is not None:
                return variant
            await asyncio.sleep(_LOOK_S)

    def _hosted(self, taken: _Taken) -> Hosted:
        try:
            return self._directory.get(taken.region, taken.endpoint)
        except Refused as refused:  # deleted meanwhile
            raise _Failed(refused.message) from None

    async def _in_time(self, taken: _Taken, work: Awaitable[_T]) -> _T:
        try:
            return await asyncio.wait_for(work, max(0.0, taken.due - time.monotonic()))
        except asyncio.TimeoutError:  # the text is undocumented
            raise _Failed("ClientError: The request expired before it was processed.") from None

    # --- what comes of it ---------------------------------------------------------------------

    async def _tell_success(self, taken: _Taken, answer: Answer, content: IO[bytes]) -> None:
        content_type = answer.headers.get("Content-Type")
        try:
            await self._shared.blocking(self._write, taken.output, content, content_type)
        except DevkitError as error:
            await self._tell_failure(taken, error.message)
            return
        hosted = self._directory.find(taken.region, taken.endpoint)
        if hosted is None or hosted.asynchronous is None:
            return
        response = {"contentType": content_type}
        if taken.output is not None:
            response["outputLocation"] = str(taken.output)
        message = {
            "invocationStatus": "Completed",
            "requestParameters": _request(taken),
            "responseParameters": response,
            **_included(hosted.asynchronous, _SUCCESS, content),
        }
        topic = hosted.asynchronous.success_topic
        await _publish(taken.backend, topic, self._event(taken, message), taken.region)

    async def _tell_failure(self, taken: _Taken, reason: str) -> None:
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as content:
            content.write(reason.encode())
            with suppress(DevkitError):  # the topic is still told of the first failure
                await self._shared.blocking(self._write, taken.failure, content, "text/plain")
            hosted = self._directory.find(taken.region, taken.endpoint)
            if hosted is None or hosted.asynchronous is None:
                return
            message = {
                "invocationStatus": "Failed",
                "failureReason": reason,
                "requestParameters": _request(taken),
                **_included(hosted.asynchronous, _ERROR, content),
            }
            topic = hosted.asynchronous.error_topic
            await _publish(taken.backend, topic, self._event(taken, message), taken.region)

    def _event(self, taken: _Taken, message: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "awsRegion": taken.region,
            "eventTime": _time(self._shared.clock()),
            "receivedTime": _time(taken.received),
            **message,
            "inferenceId": taken.inference_id,
            **_VERSION,
            "eventName": "InferenceResult",
        }

    def _write(self, place: S3Uri | None, content: IO[bytes], content_type: str | None) -> None:
        """Write an object; in a worker thread."""
        content.seek(0)
        if place is None:
            return
        client = cast("Any", self._shared.storage.client())
        extra = {} if content_type is None else {"ContentType": content_type}
        with tempfile.TemporaryFile() as copy, reading(str(place)):
            shutil.copyfileobj(content, copy)  # boto3 closes what it uploads
            copy.seek(0)
            client.upload_fileobj(copy, Bucket=place.bucket, Key=place.prefix, ExtraArgs=extra)

    def _tell(self, error: BaseException) -> None:
        self._shared.observer.note(f"an asynchronous invocation failed: {error}")


def _asynchronous(directory: Directory, call: Call) -> Hosted:
    name = call.parameters["EndpointName"]
    try:
        hosted = directory.get(call.region, name)
    except Refused as refused:
        raise _validation(refused.message) from None
    if hosted.asynchronous is None:  # the text is undocumented
        raise _validation(
            f"Endpoint {name} has no AsyncInferenceConfig: it takes no InvokeEndpointAsync."
        )
    return hosted


def _locations(
    output: AsyncOutput, parameters: Mapping[str, Any]
) -> tuple[S3Uri | None, S3Uri | None]:
    """Where the answer goes, and where the failure; the names are those that are seen in logs."""
    made = str(uuid.uuid4())
    extension = str(parameters.get("S3OutputPathExtension", "")).strip("/")
    name = parameters.get("Filename") or f"{made}.out"
    below = f"{extension}/{name}" if extension else str(name)
    return _below(output.output, below), _below(output.failure, f"{made}-error.out")


def _below(root: str | None, name: str) -> S3Uri | None:
    if root is None:
        return None
    try:
        return parse_s3_uri(f"{root.rstrip('/')}/{name}")
    except ConfigError as error:
        raise _validation(error.message) from None


def _validation(message: str) -> AwsError:
    return AwsError("ValidationError", message)


def _request(taken: _Taken) -> dict[str, str]:
    parts = {
        "accept": taken.parameters.get("Accept"),
        "contentType": taken.parameters.get("ContentType"),
        "endpointName": taken.endpoint,
        "inputLocation": taken.parameters.get("InputLocation"),
    }
    return {key: value for key, value in parts.items() if value is not None}


def _included(output: AsyncOutput, topic: str, content: IO[bytes]) -> dict[str, Any]:
    if topic not in output.include_response_in:
        return {}
    content.seek(0)
    data = content.read(_INCLUDED_BYTES + 1)
    if len(data) > _INCLUDED_BYTES:
        return {}
    return {
        "responseBody": {
            "content": base64.b64encode(data).decode(),
            "message": "Check S3 path location(if configured) or Cloudwatch for additional "
            "details.",
            "encoding": "BASE64",
        }
    }


def _message(document: bytes) -> str:
    """What an error of the runtime says."""
    try:
        return f"ClientError: {json.loads(document)['Message']}"
    except (ValueError, KeyError, TypeError):
        return "InternalServerError"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


async def _publish(
    backend: Backend, topic: str | None, message: Mapping[str, Any], region: str
) -> None:
    """Tell a topic; one that is not there changes nothing of the invocation."""
    if topic is None:
        return
    parameters = {"TopicArn": topic, "Message": json.dumps(message)}
    with suppress(AwsError):
        await backend.ask("sns", "Publish", parameters, region=region)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
