"""What happens to one invocation between the client and the container, whichever server took it.

The answer is decided as late as possible: as long as nothing of a response is with the client, a
container that fails is a ModelError; afterwards only a broken connection can say so.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncGenerator
from http import HTTPStatus

from devkit.engines.base import Address
from devkit.front import errors, event_stream, headers
from devkit.front.container import ContainerBroken, Containers, Reply
from devkit.front.errors import Endpoint, Refused
from devkit.front.limits import MESSAGE_CHARS, Limits
from devkit.front.messages import Answer, AnswerCut, ClientBroken, Invocation
from devkit.front.upload import Upload

_UTF8_BYTES_PER_CHAR = 4
_SUCCESS = range(200, 300)


class Forwarder:
    """The runtime API of one endpoint with one container; belongs to one event loop.

    Args:
        endpoint: What it is called.
        limits: What it allows.
        backend: Its container; ``None`` where there is none for the moment. May be set from any
            thread: requests that come later go there, those in flight stay where they are.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits, backend: Address | None) -> None:
        self.endpoint = endpoint
        self.limits = limits
        self.backend = backend
        self._containers = Containers(limits)

    def limited(self, limits: Limits) -> Forwarder:
        """The same container as it is now, over the same connections, with other limits."""
        other = copy.copy(self)
        other.limits = limits
        return other

    async def invoke(self, invocation: Invocation) -> Answer:
        """InvokeEndpoint (§2.3 to §2.6)."""
        request_id = errors.new_request_id()
        try:
            reply, upload = await self._exchange(invocation, request_id, self.limits.response_bytes)
            await self._require_success(reply, upload)
            self._require_small(reply)
        except Refused as refused:
            return refused.answer(request_id)
        answer = headers.for_client(reply.headers, self.endpoint, request_id)
        if reply.complete:
            await upload.stop()
            return Answer(status=HTTPStatus.OK, headers=answer, body=reply.held)
        return Answer(
            status=HTTPStatus.OK,
            headers=answer,
            body=self._rest(reply, upload),
            content_length=reply.content_length,
        )

    async def invoke_with_response_stream(self, invocation: Invocation) -> Answer:
        """InvokeEndpointWithResponseStream (§2.7)."""
        request_id = errors.new_request_id()
        try:
            reply, upload = await self._exchange(invocation, request_id, 0)
            await self._require_success(reply, upload)
        except Refused as refused:
            return refused.answer(request_id)
        answer = headers.for_client(reply.headers, self.endpoint, request_id)
        if "Content-Type" in answer:
            answer["X-Amzn-SageMaker-Content-Type"] = answer["Content-Type"]
        answer["Content-Type"] = event_stream.CONTENT_TYPE
        return Answer(status=HTTPStatus.OK, headers=answer, body=self._events(reply, upload))

    async def ping(self) -> Answer:
        """The container's own answer to GET /ping."""
        request_id = errors.new_request_id()
        try:
            reply = await self._containers.ping(self._container())
        except ContainerBroken:
            return errors.no_container().answer(request_id)
        except Refused as refused:
            return refused.answer(request_id)
        content_type = reply.headers.get("Content-Type", "text/plain")
        return Answer(status=reply.status, headers={"Content-Type": content_type}, body=reply.held)

    async def close(self) -> None:
        """Close the connections to containers."""
        await self._containers.close()

    def _container(self) -> Address:
        backend = self.backend
        if backend is None:
            raise errors.no_container()
        return backend

    async def _exchange(
        self, invocation: Invocation, request_id: str, hold_bytes: int | None
    ) -> tuple[Reply, Upload]:
        passed = headers.for_container(invocation.headers, self.endpoint)
        too_large = errors.too_large(self.limits, request_id)
        length = invocation.content_length
        if length is not None and length > self.limits.request_bytes:
            raise too_large
        upload = Upload(invocation, self.limits.request_bytes, too_large)
        exchange = asyncio.get_running_loop().create_task(
            self._containers.invoke(self._container(), passed, upload, hold_bytes)
        )
        try:
            return await self._in_time(exchange, upload), upload
        except BaseException as problem:
            # A container that is late is not interrupted (§2.3); the client's connection must not
            # be read by two, though, once it has its answer.
            self._containers.forget(exchange)
            await upload.stop()
            raise self._refusal(problem) from None

    def _refusal(self, problem: BaseException) -> BaseException:
        if isinstance(problem, asyncio.TimeoutError):
            return errors.timed_out(self.endpoint)
        if isinstance(problem, ContainerBroken):
            return errors.broken(self.endpoint)
        if isinstance(problem, ClientBroken):
            return errors.validation_error(str(problem))
        return problem

    async def _in_time(self, exchange: asyncio.Task[Reply], upload: Upload) -> Reply:
        """Wait for the container, or for a client that is still sending: each has its time."""
        look_s = min(self.limits.client_s, self.limits.invocation_s)
        while not exchange.done():
            window_s = self.limits.client_s if upload.waiting else self.limits.invocation_s
            left_s = upload.heard_s + window_s - time.monotonic()
            if left_s > 0:
                await asyncio.wait({exchange}, timeout=min(left_s, look_s))
            elif upload.waiting:
                exchange.cancel()
                await asyncio.wait({exchange})
                raise ClientBroken(f"The request paused for {window_s:g} s.")
            else:
                raise asyncio.TimeoutError
        return exchange.result()

    async def _require_success(self, reply: Reply, upload: Upload) -> None:
        if reply.status in _SUCCESS:
            return
        try:
            while not reply.complete and len(reply.held) < MESSAGE_CHARS * _UTF8_BYTES_PER_CHAR:
                chunk = await asyncio.wait_for(reply.read(), self.limits.invocation_s)
                reply.held += chunk
                reply.complete = not chunk
        except (ContainerBroken, asyncio.TimeoutError):
            pass  # the status is known, and what there is of the text
        await upload.stop()
        self._containers.drop(reply)
        text = reply.held.decode("utf-8", errors="replace")
        raise errors.model_error(self.endpoint, reply.status, text)

    def _require_small(self, reply: Reply) -> None:
        max_bytes = self.limits.response_bytes
        if max_bytes is not None and len(reply.held) > max_bytes:
            self._containers.drop(reply)
            raise errors.response_too_large(self.endpoint, self.limits)

    async def _rest(self, reply: Reply, upload: Upload) -> AsyncGenerator[bytes, None]:
        """The response as it comes."""
        try:
            async for chunk in self._chunks(reply, upload, self.limits.invocation_s):
                yield chunk
        except (ContainerBroken, asyncio.TimeoutError) as problem:
            raise AnswerCut(str(problem)) from problem
        finally:
            await self._leave(reply, upload)

    async def _events(self, reply: Reply, upload: Upload) -> AsyncGenerator[bytes, None]:
        """The response as events, the last one of which says what went wrong, if anything did."""
        try:
            async for chunk in self._chunks(reply, upload, self.limits.stream_s):
                yield event_stream.payload_part(chunk)
        except asyncio.TimeoutError:
            message = f"The model did not finish its response in {self.limits.stream_s:g} s."
            yield event_stream.model_stream_error("ModelInvocationTimeExceeded", message)
        except ContainerBroken:
            message = "The connection to the model was closed before its response ended."
            yield event_stream.model_stream_error("StreamBroken", message)
        finally:
            await self._leave(reply, upload)

    async def _chunks(
        self, reply: Reply, upload: Upload, window_s: float
    ) -> AsyncGenerator[bytes, None]:
        if reply.held:
            yield reply.held
        while not reply.complete:
            left_s = upload.heard_s + window_s - time.monotonic()
            chunk = await asyncio.wait_for(reply.read(), max(left_s, 0))
            if chunk:
                yield chunk
            reply.complete = not chunk

    async def _leave(self, reply: Reply, upload: Upload) -> None:
        await upload.stop()
        self._containers.drop(reply)
