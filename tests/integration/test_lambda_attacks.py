"""Functions and requests that do what nobody should: they harm nobody but themselves."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration.functions_kit import ECHO, Functions, functions
from tests.integration.kit import eventually
from tests.integration.test_up_endpoint import authorization, http_request

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module", params=[True, False], ids=["namespaces", "plain"])
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Functions]:
    """Lambda, with functions in namespaces or without."""
    with functions(tmp_path_factory.mktemp("lambda"), namespaces=request.param) as live:
        yield live


in_namespaces = pytest.mark.parametrize("live", [True], ids=["namespaces"], indirect=True)


# --- instances ------------------------------------------------------------------------------------

ANSWERS = """
import http.client, json, os, time

def post(request_id, value):
    client = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    path = f"/2018-06-01/runtime/invocation/{request_id}/response"
    client.request("POST", path, json.dumps(value))
    return client.getresponse().status

"""


def test_of_two_answers_the_first_counts(live: Functions) -> None:
    code = ANSWERS + (
        "def handler(event, context):\n"
        "    post(context.aws_request_id, ['first', event])\n"
        "    return ['second', event]\n"
    )
    name = live.create(code)

    assert [live.invoke(name, number).value for number in range(4)] == [
        ["first", number] for number in range(4)
    ]


def test_an_answer_to_another_request_is_refused(live: Functions) -> None:
    code = ANSWERS + "def handler(event, context):\n    return post(event, 'stolen')\n"
    name, victim = live.create(code), live.create("import time\n" + ECHO)

    assert live.invoke(name, "not-a-request").value == 400
    assert live.invoke(victim, 1).value == 1


def test_an_instance_that_takes_no_more_work_is_replaced(live: Functions) -> None:
    code = ANSWERS + (
        "def handler(event, context):\n"
        "    if event == 'stuck':\n"
        "        post(context.aws_request_id, 'answered')\n"
        "        time.sleep(600)\n"
        "    return event\n"
    )
    name = live.create(code, Timeout=2)

    assert live.invoke(name, "stuck").value == "answered"
    assert live.invoke(name, "fine").value == "fine"


def test_many_that_close_their_output_still_answer(live: Functions) -> None:
    code = "import os\nos.close(1)\nos.close(2)\ndef handler(event, context):\n    return event\n"
    names = [live.create(code) for _ in range(36)]

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda name: live.invoke(name, name).value, names))
        assert answers == names
        list(pool.map(lambda name: live.client("lambda").delete_function(FunctionName=name), names))
    eventually(lambda: not any(map(live.processes, names)), "instances are left")


FORKS = """
import os, time

def handler(event, context):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    os.wait()
    if event == "die":
        os._exit(1)
    return event
"""


@pytest.mark.parametrize("event", ["die", "live"])
def test_a_daemon_does_not_outlive_its_instance(live: Functions, event: str) -> None:
    name = live.create(FORKS)

    answer = live.invoke(name, event)

    assert answer.document["errorType"] == "Runtime.ExitError" if event == "die" else answer.value
    live.client("lambda").delete_function(FunctionName=name)
    eventually(lambda: not live.processes(name), "the daemon still runs")


def test_endless_output_does_not_keep_others_waiting(live: Functions) -> None:
    code = (
        "import os\n"
        "def handler(event, context):\n"
        "    while True:\n        os.write(1, event.encode() * 1000)\n"
    )
    loud, good = live.create(code, Timeout=2), live.create(ECHO)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(live.invoke, loud, text) for text in ("x" * 100, "x" * 99 + "\n")]
        for number in range(20):
            assert live.invoke(good, number).value == number

        assert [each.result().kind for each in waiting] == ["Sandbox.Timedout"] * 2


def test_50_mb_of_output_are_logged(live: Functions) -> None:
    code = (
        "def handler(event, context):\n"
        "    for _ in range(500):\n        print('x' * 100_000)\n"
        "    print('the last line')\n"
    )
    name = live.create(code)

    answer = live.invoke(name)

    assert answer.value is None
    assert "the last line" in answer.log
    assert len(answer.log) <= 4096


def test_what_is_no_text_is_logged_as_well_as_it_can_be(live: Functions) -> None:
    code = (
        "import os\n"
        "def handler(event, context):\n    os.write(1, b'\\xff\\xfe caf\\xc3\\xa9 \\x00\\n')\n"
    )
    name = live.create(code)

    assert "\ufffd\ufffd café \x00" in live.invoke(name).log
    live.logged(name, "café")


def test_a_line_of_10_mb_is_logged_in_parts(live: Functions) -> None:
    code = "def handler(event, context):\n    print('x' * 10_000_000 + 'the end')\n"
    name = live.create(code)

    assert "the end\n" in live.invoke(name).log
    messages = live.logged(name, "the end")
    assert sum(map(len, messages)) > 10_000_000
    assert max(map(len, messages)) <= 256 * 1024


@in_namespaces
def test_a_name_may_be_odd(live: Functions) -> None:
    for name in ("-", "_" * 50, "A" + "-_" * 24):
        made = live.create(ECHO, name)
        assert live.invoke(made, name).value == name


# --- archives -------------------------------------------------------------------------------------


def test_an_archive_writes_nowhere_else(live: Functions) -> None:
    outside = f"escaped-{secrets.token_hex(4)}"
    code = {"app.py": ECHO, f"../../../../{outside}": "x", f"/tmp/{outside}": "x"}

    assert live.run(code, 1).value == 1

    places = [*live.folder.parents, Path("/tmp")]
    assert not [place for place in places if (place / outside).exists()]


# --- requests -------------------------------------------------------------------------------------


def invoke_raw(
    live: Functions, name: str, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    status, content = http_request(
        live.aws,
        "POST",
        f"/2015-03-31/functions/{name}/invocations",
        b"{}",
        {**authorization("lambda"), **(headers or {})},
    )
    return status, json.loads(content)


@in_namespaces
@pytest.mark.parametrize(
    "name",
    ["..%2F..%2Fetc", "%00", "a%20b", "x" * 200, "arn:aws:s3:::bucket", "%F0%9F%8D%BA", "a:b:c"],
)
def test_a_name_that_is_none_is_refused(live: Functions, name: str) -> None:
    status, said = invoke_raw(live, name)

    assert status in (400, 404)
    assert said["message"] or said["Message"]


@in_namespaces
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Amz-Invocation-Type": "Sometimes"},
        {"X-Amz-Log-Type": "All"},
        {"X-Amz-Client-Context": "{"},
        {"X-Amz-Client-Context": "x" * 5000},
    ],
)
def test_a_malformed_request_is_refused(live: Functions, headers: dict[str, str]) -> None:
    status, said = invoke_raw(live, live.create(ECHO), headers)

    assert status == 400
    assert said["message"] or said["Message"]


@in_namespaces
def test_a_trace_is_passed_on_whatever_it_says(live: Functions) -> None:
    name = live.create(
        "import os\ndef handler(event, context):\n    return os.environ['_X_AMZN_TRACE_ID']\n"
    )

    for trace in ("Root=1-67891233-abcdef012345678912345678;Sampled=1", "no trace; = at all"):
        assert invoke_raw(live, name, {"X-Amzn-Trace-Id": trace}) == (200, trace)
