"""The endpoint's HTTP: who answers a request, and the bytes of the answer.

aiohttp's low-level server does the HTTP itself. Nothing in here raises to it: whatever goes wrong
is an error in the form that the client's protocol has for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from devkit import guard
from devkit.errors import DevkitError
from devkit.front.messages import ClientBroken
from devkit.front.protocol import Clients, body_of
from devkit.local_aws import errors, validation, wire
from devkit.local_aws.errors import AwsError, WireAnswer
from devkit.local_aws.heads import head_of
from devkit.local_aws.models import Identified, Models
from devkit.local_aws.moto_app import Moto
from devkit.local_aws.routing import Head, Route, is_form, route
from devkit.local_aws.services import Call, Direct, RawService, Result, Service

STATUS_PATH = "/_devkit/status"
RESET_PATH = "/moto-api/reset"
# The largest of AWS's requests that is a document: Lambda's code, in base64.
_BODY_BYTES = 128 * 1024 * 1024
_LOGGED_CHARS = 200

_LOGGER = logging.getLogger(__name__)
_LOGGER.addHandler(logging.NullHandler())

OnEvent = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Services:
    """Who answers: by path, by operation, as HTTP by signing name, and moto for the rest."""

    direct: Sequence[Direct]

    live: Mapping[str, Service]
    """By botocore's name."""
    raw: Mapping[str, RawService]
    """By signing name."""
    moto: Moto
    models: Models


class Listener(Clients):
    """Answers requests; belongs to one event loop.

    Args:
        services: Who answers.
        bridges: Addresses on which containers reach the endpoint; may grow.
        status: What ``devkit status`` asks for.
        on_event: Called from the endpoint's thread with a line per request.
    """

    def __init__(
        self,
        services: Services,
        bridges: Collection[str],
        status: Callable[[], Mapping[str, Any]],
        on_event: OnEvent,
    ) -> None:
        super().__init__(self._handle)
        self._services = services
        self._bridges = bridges
        self._status = status
        self._on_event = on_event

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        begun = time.perf_counter()
        said = f"{request.method} {request.raw_path[:_LOGGED_CHARS]}"
        try:
            for direct in self._services.direct:
                answer = direct.takes(request)
                if answer is None or self._refuses(request, pages_too=direct.answers_pages):
                    continue
                response = await answer(request)
                said = f"{said} {response.status}"
                return response
            exchange = _Exchange(self._services, self._bridges, self._status, request)
            try:
                return await exchange.answer()
            finally:
                said = exchange.said
        finally:
            took_ms = (time.perf_counter() - begun) * 1000
            with suppress(Exception):  # whether anybody can be told decides no request
                self._on_event(f"{said} {took_ms:.1f} ms")

    def _refuses(self, request: web.BaseRequest, *, pages_too: bool) -> bool:
        hosts = request.headers.getall("Host", ())
        origins = () if pages_too else request.headers.getall("Origin", ())
        return guard.refusal(hosts, origins, bridges=self._bridges) is not None


class _Exchange:
    """One request and its answer."""

    def __init__(
        self,
        services: Services,
        bridges: Collection[str],
        status: Callable[[], Mapping[str, Any]],
        request: web.BaseRequest,
    ) -> None:
        self._services = services
        self._bridges = bridges
        self._status = status
        self._request = request
        self._request_id = errors.new_request_id()
        self._what: Identified | None = None
        self._head = head_of(request)
        self.said = f"{request.method} {request.raw_path[:_LOGGED_CHARS]}"

    async def answer(self) -> web.StreamResponse:
        """The answer, sent or to be sent."""
        try:
            response = await self._respond()
        except ClientBroken as broken:
            response = self._refuse(errors.serialization(str(broken)))
            response.force_close()
        except AwsError as error:
            response = self._refuse(error)
        except DevkitError as error:  # a full disk, for one
            remedy = f"; {error.remedy}" if error.remedy else ""
            response = self._refuse(
                AwsError(
                    "UnsupportedOperationException",
                    f"devkit's local AWS failed at this request: {error.message}{remedy}.",
                )
            )
        except Exception as error:
            if isinstance(error, (ConnectionError, TimeoutError)):
                raise
            _LOGGER.exception("the endpoint failed")
            response = self._refuse(
                AwsError(
                    "UnsupportedOperationException",
                    f"devkit's local AWS failed at this request ({type(error).__name__}: {error}); "
                    "asking again will not help.",
                )
            )
        self.said += f" {response.status}"
        return response

    # --- who answers --------------------------------------------------------------------------

    async def _respond(self) -> web.StreamResponse:
        refusal = guard.refusal_of(self._request.headers, bridges=self._bridges)
        if refusal is not None:
            raise errors.access_denied(refusal)
        if self._head.path == STATUS_PATH:
            return web.json_response(dict(self._status()))
        await self._let_body_come()
        if self._head.path.rstrip("/") == RESET_PATH and self._head.method == "POST":
            return await self._reset()
        at = route(self._head, {})
        raw = self._services.raw.get(at.signing_name)
        if raw is not None and not _may_be_action(self._head, at):
            self.said += f" {at.signing_name}"
            return await raw.handle(self._request)
        return await self._call()

    async def _reset(self) -> web.StreamResponse:
        for service in self._services.live.values():
            await service.reset()
        for raw in self._services.raw.values():
            await raw.reset()
        await self._services.moto.reset()
        return web.json_response({"status": "ok"})

    async def _call(self) -> web.StreamResponse:
        """An operation: of a live service, or of moto's."""
        content = _Body(self._request)
        form = await content.form() if is_form(self._head) else {}
        at = route(self._head, {name: values[-1] for name, values in form.items()})
        what = self._services.models.identify(at, self._head)
        self._what = what
        self.said += f" {what.service}.{what.operation or '?'}"
        service = self._services.live.get(what.service)
        if service is not None and what.known_operation in service.operations:
            return await self._live(service, at, what, form, content)
        if at.signing_name in self._services.raw:  # a form to what takes none
            raise errors.not_implemented(what.service, what.operation, what.protocol)
        body = await content.whole()
        return self._sent(await self._services.moto.handle(self._head, body, at, what))

    async def _live(
        self,
        service: Service,
        at: Route,
        what: Identified,
        form: Mapping[str, list[str]],
        content: _Body,
    ) -> web.StreamResponse:
        assert what.api is not None and what.operation is not None  # noqa: S101, PT018 - is known
        operation = what.api.operation(what.operation)
        if what.protocol not in wire.PROTOCOLS:
            raise errors.not_implemented(what.service, what.operation, what.protocol)
        is_payload = wire.has_bytes_for_payload(operation)
        parameters = wire.parameters_of(
            operation,
            what.protocol,
            headers=self._head.headers,
            labels=what.labels,
            arguments={**parse_qs(self._head.query, keep_blank_values=True), **form},
            body=b"" if is_payload else await content.whole(),
        )
        validation.require_valid(
            operation.input_shape, parameters, what.protocol, service=what.service
        )
        call = Call(
            service=what.service,
            operation=what.operation,
            parameters=parameters,
            backend=self._services.moto,
            request_id=self._request_id,
            region=at.region,
            access_key=at.access_key,
            headers=self._head.headers,
            body=content.chunks(),
        )
        result = await service.operations[what.operation](call)
        answer = wire.answer_of(
            operation,
            what.protocol,
            result.members,
            request_id=self._request_id,
            json_version=what.api.json_version,
            status=result.status,
        )
        return await self._result(result, answer)

    # --- the bytes ----------------------------------------------------------------------------

    async def _let_body_come(self) -> None:
        """Whoever asks first whether to send the body (``Expect``) is told to."""
        expected = self._head.headers.get("expect", "").lower()
        if expected not in ("", "100-continue"):
            raise AwsError(
                "ValidationException",
                "Only 100-continue can be expected.",
                HTTPStatus.EXPECTATION_FAILED,
            )
        if expected and self._request.version >= (1, 1):
            await self._request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._request.writer.output_size = 0

    async def _result(self, result: Result, answer: WireAnswer) -> web.StreamResponse:
        headers = {**answer.headers, **result.headers}
        if result.stream is None:
            return web.Response(status=answer.status, headers=headers, body=answer.body)
        response = web.StreamResponse(status=answer.status, headers=headers)
        try:
            await response.prepare(self._request)
            async for chunk in result.stream:
                await response.write(chunk)
            await response.write_eof()
        finally:
            await result.stream.aclose()
        return response

    def _refuse(self, error: AwsError) -> web.Response:
        protocol, json_version = self._protocol()
        return self._sent(
            errors.render(error, protocol, self._request_id, json_version=json_version)
        )

    def _protocol(self) -> tuple[errors.Protocol, str]:
        """What the client reads; guessed where it was refused before it could be known."""
        what = self._what
        if what is None:
            with suppress(AwsError):
                what = self._services.models.identify(route(self._head, {}), self._head)
        if what is None:
            return "rest-json", "1.1"
        return what.protocol, what.api.json_version if what.api else "1.1"

    @staticmethod
    def _sent(answer: WireAnswer) -> web.Response:
        headers = {**answer.headers}
        kind = next((headers.pop(n) for n in list(headers) if n.lower() == "content-type"), None)
        response = web.Response(status=answer.status, headers=headers, body=answer.body)
        if kind is not None:
            response.headers["Content-Type"] = kind
        return response


def _may_be_action(head: Head, at: Route) -> bool:
    """Whether the body may name another service: those that need no signature come as forms."""
    unsigned_form = at.access_key is None and head.method == "POST" and is_form(head)
    return at.wire != "rest" or unsigned_form


class _Body:
    """A request's body: read once, as a whole or in chunks."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._read: bytes | None = None

    async def whole(self) -> bytes:
        if self._read is None:
            content = bytearray()
            async for chunk in body_of(self._request):
                content += chunk
                if len(content) > _BODY_BYTES:
                    raise AwsError(
                        "RequestEntityTooLargeException",
                        f"The request is larger than {_BODY_BYTES} bytes.",
                        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    )
            self._read = bytes(content)
        return self._read

    async def form(self) -> dict[str, list[str]]:
        try:
            text = (await self.whole()).decode()
            return parse_qs(text, keep_blank_values=True, max_num_fields=10_000)
        except ValueError:
            raise errors.serialization("The request's form cannot be read.") from None

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._read is not None:
            yield self._read
            return
        async for chunk in body_of(self._request):
            yield chunk
