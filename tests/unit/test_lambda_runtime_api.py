"""The Runtime API of one instance, over HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from devkit.local_aws.lambda_.limits import RESPONSE_BYTES
from devkit.local_aws.lambda_.programs import Host
from devkit.local_aws.lambda_.runtime_api import RuntimeApi, Work
from tests.unit.lambda_support import ARN, invocation

NEXT = "/2018-06-01/runtime/invocation/next"


class Client:
    """A runtime client."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, Mapping[str, str]]:
        return await asyncio.to_thread(self._ask, method, path, body, headers or {})

    def _ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes, Mapping[str, str]]:
        client = http.client.HTTPConnection(self._address, timeout=20)
        try:
            client.request(method, path, body, dict(headers))
            response = client.getresponse()
            return response.status, response.read(), dict(response.getheaders())
        finally:
            client.close()

    async def answer(self, request_id: str, what: str, body: bytes) -> tuple[int, Any]:
        path = f"/2018-06-01/runtime/invocation/{request_id}/{what}"
        status, content, _ = await self.ask("POST", path, body)
        return status, json.loads(content)


class Said:
    """What the API has heard of its client."""

    def __init__(self) -> None:
        self.ready = 0
        self.errors: list[bytes] = []
        self.taken: list[str] = []

    def on_ready(self) -> None:
        self.ready += 1


def play(scene: Callable[[RuntimeApi, Client, Said], Awaitable[None]]) -> None:
    async def played() -> None:
        said = Said()
        api = RuntimeApi(Host(), said.on_ready, said.errors.append)
        client = Client(await api.open())
        try:
            await asyncio.wait_for(scene(api, client, said), 30)
        finally:
            await api.close()

    asyncio.run(played())


def hand(api: RuntimeApi, said: Said, request_id: str = "r", **more: Any) -> Work:
    given = invocation(request_id, b'{"a": 1}', **more)
    return api.hand(given, 3, lambda: said.taken.append(request_id))


def test_work_is_given_to_who_waits_with_all_that_is_known_of_it() -> None:
    async def scene(api: RuntimeApi, client: Client, said: Said) -> None:
        asking = asyncio.ensure_future(client.ask("GET", NEXT))
        work = hand(api, said, trace_id="Root=1", client_context="{}")

        status, body, headers = await asking

        assert (status, body) == (200, b'{"a": 1}')
        assert headers["Lambda-Runtime-Aws-Request-Id"] == "r"
        assert headers["Lambda-Runtime-Invoked-Function-Arn"] == ARN
        assert headers["Lambda-Runtime-Trace-Id"] == "Root=1"
        assert headers["Lambda-Runtime-Client-Context"] == "{}"
        assert headers["Lambda-Runtime-Deadline-Ms"] == str(work.deadline_ms)
        assert (said.ready, said.taken) == (1, ["r"])

    play(scene)


@pytest.mark.parametrize(("what", "failed"), [("response", False), ("error", True)])
def test_an_answer_ends_the_work_and_the_first_counts(what: str, failed: bool) -> None:
    async def scene(api: RuntimeApi, client: Client, said: Said) -> None:
        work = hand(api, said)
        await client.ask("GET", NEXT)

        assert (await client.answer("other", what, b"1"))[0] == 400
        assert await client.answer("r", what, b"2") == (202, {"status": "OK"})
        status, error = await client.answer("r", what, b"3")

        assert (status, error["errorType"]) == (400, "InvalidRequestID")
        ended = await work.ended
        assert (ended.payload, ended.failed) == (b"2", failed)

    play(scene)


def test_too_large_an_answer_is_refused_and_is_the_end_of_the_work() -> None:
    async def scene(api: RuntimeApi, client: Client, said: Said) -> None:
        work = hand(api, said)
        await client.ask("GET", NEXT)

        status, error = await client.answer("r", "response", b"x" * (RESPONSE_BYTES + 1))

        assert (status, error["errorType"]) == (413, "RequestEntityTooLarge")
        assert b"Function.ResponseSizeTooLarge" in (await work.ended).payload

    play(scene)


def test_an_error_in_the_beginning_is_told() -> None:
    async def scene(_api: RuntimeApi, client: Client, said: Said) -> None:
        status, _, _ = await client.ask("POST", "/2018-06-01/runtime/init/error", b"why")

        assert (status, said.errors) == (202, [b"why"])

    play(scene)


def test_withdrawn_work_is_given_to_nobody() -> None:
    async def scene(api: RuntimeApi, client: Client, said: Said) -> None:
        hand(api, said, "first").withdraw()
        hand(api, said, "second")

        await client.ask("GET", NEXT)

        assert said.taken == ["second"]

    play(scene)


@pytest.mark.parametrize("headers", [{"Host": "example.com"}, {"Origin": "https://example.com"}])
def test_a_web_page_gets_no_work(headers: dict[str, str]) -> None:
    async def scene(api: RuntimeApi, client: Client, said: Said) -> None:
        hand(api, said)

        assert (await client.ask("GET", NEXT, headers=headers))[0] == 403
        assert (said.ready, said.taken) == (0, [])

    play(scene)


def test_there_is_nothing_else() -> None:
    async def scene(_api: RuntimeApi, client: Client, _said: Said) -> None:
        for method, path in (("POST", NEXT), ("GET", "/"), ("GET", f"{NEXT}/../x")):
            assert (await client.ask(method, path))[0] == 404

    play(scene)
