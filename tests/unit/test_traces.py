"""Where the time of a request went, by the root of its trace."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp.test_utils import make_mocked_request

from devkit.local_aws.traces import Traces, root_of


def told(traces: Traces, root: str) -> Any:
    request = make_mocked_request("GET", f"/_devkit/traces/{root}")
    answer = traces.takes(request)
    assert answer is not None
    response: Any = asyncio.run(_answered(answer(request)))
    return json.loads(response.body)["hops"]


async def _answered(answer: Any) -> Any:
    return await answer


def test_hops_are_told_in_the_order_they_ended() -> None:
    traces = Traces()
    traces.add("1-a", "container", 0.001)
    traces.add("1-b", "other", 1.0)
    traces.add("1-a", "gateway", 0.0123456789)
    assert told(traces, "1-a") == [
        {"hop": "container", "seconds": 0.001},
        {"hop": "gateway", "seconds": 0.012346},
    ]
    assert told(traces, "1-b") == [{"hop": "other", "seconds": 1.0}]


def test_of_what_is_not_known_there_are_no_hops() -> None:
    assert told(Traces(), "1-none") == []
    assert told(Traces(), "") == []


def test_only_the_newest_traces_are_kept_and_of_each_only_so_many_hops() -> None:
    traces = Traces()
    for number in range(1500):
        traces.add(f"1-{number}", "x", 1.0)
    assert told(traces, "1-0") == []
    assert len(told(traces, "1-1499")) == 1
    for _ in range(1000):
        traces.add("1-1499", "x", 1.0)
    assert len(told(traces, "1-1499")) == 100


def test_other_requests_are_not_for_it() -> None:
    traces = Traces()
    for path in ("/", "/_devkit/status", "/x/_devkit/traces/1"):
        assert traces.takes(make_mocked_request("GET", path)) is None


def test_the_root_is_what_all_parts_of_a_trace_share() -> None:
    assert root_of("Root=1-5759e988-bd86;Parent=53995c3f42cd8ad8;Sampled=1") == "1-5759e988-bd86"
    assert root_of("Self=1-x; root=1-y") == "1-y"
    assert root_of("1-z") == "1-z"
    assert root_of("") == ""
