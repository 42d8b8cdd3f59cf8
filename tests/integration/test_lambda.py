"""Lambda in the local AWS, asked by boto3: what a function is given, and what comes of it.

Functions are real processes, in namespaces of their own and as plain ones.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devkit.lambda_contract import OWN_RUNTIME, RESERVED_VARIABLES
from devkit.local_aws.services import Call, Handler, Result, StatelessService
from tests.integration.functions_kit import (
    ECHO,
    Answer,
    Functions,
    functions,
    zipped,
)
from tests.integration.kit import eventually
from tests.integration.test_up_endpoint import http_request

MEGABYTE = 1024 * 1024


class Shouting(StatelessService):
    """An endpoint that answers in capitals."""

    name = "sagemaker-runtime"

    @property
    def operations(self) -> Mapping[str, Handler]:
        return {"InvokeEndpoint": self._invoke}

    async def _invoke(self, call: Call) -> Result:
        async def capitals() -> AsyncGenerator[bytes, None]:
            async for chunk in call.body:
                yield chunk.upper()

        return Result(headers={"Content-Type": "text/plain"}, stream=capitals())


@pytest.fixture(scope="module", params=[True, False], ids=["namespaces", "plain"])
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Functions]:
    """Lambda, with functions in namespaces or without."""
    folder = tmp_path_factory.mktemp("lambda")
    with functions(folder, namespaces=request.param, services=[Shouting()]) as live:
        yield live


in_namespaces = pytest.mark.parametrize("live", [True], ids=["namespaces"], indirect=True)
"""For what is the same without."""


# --- what a function is given ---------------------------------------------------------------------

TELLS = """
import os, sys, time

def handler(event, context):
    names = (
        "function_name function_version invoked_function_arn memory_limit_in_mb aws_request_id "
        "log_group_name log_stream_name tenant_id"
    )
    context.log("logged by the context")
    return {
        "context": {name: getattr(context, name) for name in names.split()},
        "client": context.client_context and context.client_context.custom,
        "left_ms": context.get_remaining_time_in_millis(),
        "environment": dict(os.environ),
        "path": sys.path,
        "folder": os.getcwd(),
    }
"""


def test_the_context_is_as_in_aws(live: Functions) -> None:
    name = live.create(TELLS, Timeout=7, MemorySize=300)
    client_context = base64.b64encode(json.dumps({"custom": {"a": "b"}}).encode()).decode()

    answer = live.invoke(name, ClientContext=client_context)

    told = answer.value
    assert told["context"] == {
        "function_name": name,
        "function_version": "$LATEST",
        "invoked_function_arn": f"arn:aws:lambda:us-east-1:123456789012:function:{name}",
        "memory_limit_in_mb": "300",
        "aws_request_id": answer.request_id,
        "log_group_name": f"/aws/lambda/{name}",
        "log_stream_name": told["environment"]["AWS_LAMBDA_LOG_STREAM_NAME"],
        "tenant_id": None,
    }
    assert told["context"]["log_stream_name"].count("/[$LATEST]") == 1
    assert told["client"] == {"a": "b"}
    assert 5000 < told["left_ms"] <= 7000
    assert "logged by the context" in answer.log


def test_its_environment_is_lambdas_and_its_own_and_nothing_else(
    live: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the developer")
    monkeypatch.setenv("GITHUB_TOKEN", "of the developer")
    name = live.create(TELLS, Environment={"Variables": {"MINE": "ü=1"}})

    environment = live.invoke(name).value["environment"]

    absent = {
        "AWS_ACCESS_KEY",
        "AWS_LAMBDA_MAX_CONCURRENCY",
        "AWS_LAMBDA_METADATA_API",
        "AWS_LAMBDA_METADATA_TOKEN",
    }
    python = {"HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}
    own = {"AWS_ENDPOINT_URL", "MINE", "TMPDIR", "TZ"}
    assert set(environment) - {"LC_CTYPE"} == (RESERVED_VARIABLES - absent) | python | own
    assert environment["MINE"] == "ü=1"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environment["AWS_LAMBDA_LOG_GROUP_NAME"] == f"/aws/lambda/{name}"
    assert environment["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{OWN_RUNTIME}"
    assert environment["_HANDLER"] == "app.handler"
    assert environment["AWS_ENDPOINT_URL"] == live.aws.url
    assert "of the developer" not in environment.values()


def test_its_modules_come_from_its_code_then_its_layers_then_aws(live: Functions) -> None:
    told = live.run(TELLS).value

    task, layers = told["environment"]["LAMBDA_TASK_ROOT"], "/opt"
    if told["path"][1][: len(layers)] != layers:  # a plain process
        layers = str(Path(task).parent / "opt")
    version = OWN_RUNTIME
    assert told["folder"] == task
    assert told["path"][:3] == [
        task,
        f"{layers}/python/lib/{version}/site-packages",
        f"{layers}/python",
    ]
    assert told["path"][-1] == told["environment"]["LAMBDA_RUNTIME_DIR"]
    assert not [path for path in told["path"] if "site-packages" in path][1:]


HAS = """
import importlib.util

def handler(event, context):
    return [name for name in event if importlib.util.find_spec(name)]
"""


def test_a_function_finds_boto3_and_nothing_that_devkit_happens_to_have(live: Functions) -> None:
    asked = ["boto3", "botocore", "dateutil", "awslambdaric", "moto", "aiohttp", "devkit", "pytest"]

    assert live.run(HAS, asked).value == ["boto3", "botocore", "dateutil", "awslambdaric"]


def test_its_own_boto3_wins(live: Functions) -> None:
    code = {
        "app.py": "import boto3\ndef handler(event, context):\n    return boto3.__version__\n",
        "boto3/__init__.py": "__version__ = 'mine'\n",
    }

    assert live.run(code).value == "mine"


def test_a_later_layer_lies_over_an_earlier_one(live: Functions) -> None:
    layers = [
        {"python/common.py": "SAYS = 'first'\n", "python/one.py": "SAYS = 'one'\n"},
        {"python/common.py": "SAYS = 'second'\n", "bin/tool": "#!/bin/sh\necho tool\n"},
    ]
    arns = [
        live.client("lambda").publish_layer_version(
            LayerName=f"{live.prefix}-{number}", Content={"ZipFile": zipped(files, mode=0o755)}
        )["LayerVersionArn"]
        for number, files in enumerate(layers)
    ]
    code = (
        "import common, one, subprocess\n"
        "def handler(event, context):\n"
        "    return [common.SAYS, one.SAYS, subprocess.check_output('tool', text=True)]\n"
    )

    assert live.run(code, Layers=arns).value == ["second", "one", "tool\n"]


WRITES = """
import os, tempfile

def tried(path):
    try:
        with open(path, "w") as file:
            file.write("x")
    except OSError as error:
        return type(error).__name__, error.errno
    return "written"

def handler(event, context):
    before = os.listdir(tempfile.gettempdir())
    return {
        "before": before,
        "task": tried(os.environ["LAMBDA_TASK_ROOT"] + "/new"),
        "runtime": tried(os.environ["LAMBDA_RUNTIME_DIR"] + "/new"),
        "tmp": tried(tempfile.gettempdir() + "/new"),
        "home": tried(os.path.expanduser("~/mine")),
    }
"""
READ_ONLY = ["OSError", 30]


@in_namespaces
def test_it_can_write_to_its_own_tmp_alone(live: Functions) -> None:
    told = live.run(WRITES).value
    told["before"] = _own(told["before"])

    assert told == {
        "before": [],
        "task": READ_ONLY,
        "runtime": READ_ONLY,
        "tmp": "written",
        "home": "written",
    }
    assert not Path("/tmp/mine").exists()


def test_tmp_stays_with_an_instance_and_is_no_others(live: Functions) -> None:
    name = live.create(WRITES)
    live.invoke(name)

    assert _own(live.invoke(name).value["before"]) == ["mine", "new"]
    assert _own(live.run(WRITES).value["before"]) == []


def _own(names: list[str]) -> list[str]:
    """What is in a function's /tmp, without a Python of ours that stands there."""
    tmp, pythons = Path("/tmp"), (Path(sys.prefix), Path(sys.base_prefix))
    kept = {each.parts[2] for each in pythons if each.is_relative_to(tmp)}
    return sorted(set(names) - kept)


READS = """
def handler(path, context):
    try:
        return open(path).read()
    except OSError as error:
        return type(error).__name__
"""


@in_namespaces
def test_it_cannot_read_the_developers_credentials(live: Functions) -> None:
    secret = live.folder.parent / "home" / ".aws" / "credentials"
    assert "private" in secret.read_text()

    assert live.run(READS, str(secret)).value in ("FileNotFoundError", "PermissionError")


# --- AWS inside a function ------------------------------------------------------------------------

WHO = """
import boto3

def handler(event, context):
    return boto3.client("sts").get_caller_identity()["Arn"]
"""


def test_inside_a_function_the_caller_is_its_role(live: Functions) -> None:
    role = f"{live.prefix}-role"
    trust = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*"}]})
    arn = live.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument=trust)["Role"][
        "Arn"
    ]
    name = live.create(WHO, Role=arn)
    live.client("iam").delete_role(RoleName=role)

    assert live.invoke(name).value == f"arn:aws:sts::123456789012:assumed-role/{role}/{name}"


ASKS = """
import boto3

runtime = boto3.client("sagemaker-runtime")

def handler(event, context):
    answer = runtime.invoke_endpoint(EndpointName="e", Body=event["text"].encode())
    return answer["Body"].read().decode()
"""


def test_a_function_reaches_an_endpoint_by_its_environment_alone(live: Functions) -> None:
    assert live.run(ASKS, {"text": "hello"}).value == "HELLO"


# --- what an invocation comes to ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "payload"),
    [
        ('{"a": [1.5, True]}', b'{"a": [1.5, true]}'),
        ("None", b"null"),
        ('b"{}"', b"{}"),
        ('"x" * 6_000_000', b'"' + b"x" * 6_000_000 + b'"'),
    ],
    ids=["json", "null", "bytes", "6 MB"],
)
@in_namespaces
def test_what_a_handler_returns_is_the_payload(
    live: Functions, returned: str, payload: bytes
) -> None:
    answer = live.run(f"def handler(event, context):\n    return {returned}\n")

    assert answer.error is None
    assert answer.payload == payload


FAILURES: dict[str, tuple[str, str, str]] = {
    "no such module": (
        "import nothing_of_this_name\n",
        "Runtime.ImportModuleError",
        "Unable to import module 'app': No module named 'nothing_of_this_name'",
    ),
    "no such handler": (
        "",
        "Runtime.HandlerNotFound",
        "Handler 'handler' missing on module 'app'",
    ),
    "no Python": (
        "def handler(:\n",
        "Runtime.UserCodeSyntaxError",
        "Syntax error in module 'app'",
    ),
    "raises when it is imported": ("1 / 0\n", "ZeroDivisionError", "division by zero"),
    "exits when it is imported": (
        "import sys\nsys.exit(3)\n",
        "Runtime.ExitError",
        "Runtime exited with error: exit status 3",
    ),
    "raises": (
        "def handler(event, context):\n    raise KeyError('petal')\n",
        "KeyError",
        "'petal'",
    ),
    "no JSON": (
        "def handler(event, context):\n    return {1, 2}\n",
        "Runtime.MarshalError",
        "Unable to marshal response: Object of type set is not JSON serializable",
    ),
    "exit()": (
        "def handler(event, context):\n    exit(1)\n",
        "Runtime.ExitError",
        "Runtime exited with error: exit status 1",
    ),
    "exits well": (
        "import os\ndef handler(event, context):\n    os._exit(0)\n",
        "Runtime.ExitError",
        "Runtime exited without providing a reason",
    ),
    "crashes": (
        "import ctypes\ndef handler(event, context):\n    ctypes.string_at(0)\n",
        "Runtime.ExitError",
        "Runtime exited with error: signal: segmentation fault",
    ),
    "7 MB": (
        "def handler(event, context):\n    return 'x' * 7_000_000\n",
        "Function.ResponseSizeTooLarge",
        "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    ),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_is_told_in_awss_words(live: Functions, what: str) -> None:
    code, kind, message = FAILURES[what]

    answer = live.run(code)

    assert (answer.kind, answer.version) == (kind, "$LATEST")
    assert message in answer.document["errorMessage"]


def test_an_exception_comes_with_its_stack_and_is_logged(live: Functions) -> None:
    answer = live.run(FAILURES["raises"][0])

    assert list(answer.document) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert answer.document["requestId"] == answer.request_id
    (frame,) = answer.document["stackTrace"]
    assert "app.py" in frame
    assert "raise KeyError('petal')" in frame
    assert "[ERROR] KeyError: 'petal'\nTraceback (most recent call last):\n" in answer.log


@in_namespaces
@pytest.mark.parametrize("handler", ["app", "app.", "nothing_here.handler"])
def test_a_handler_that_is_none_is_told(live: Functions, handler: str) -> None:
    answer = live.run(ECHO, Handler=handler)

    assert answer.kind in (
        "Runtime.MalformedHandlerName",
        "Runtime.HandlerNotFound",
        "Runtime.ImportModuleError",
    )


SLEEPS = """
import time

def handler(event, context):
    if event:
        print("sleeping", flush=True)
        time.sleep(event)
    return "awake"
"""


def test_a_handler_that_takes_too_long_is_stopped(live: Functions) -> None:
    name = live.create(SLEEPS, Timeout=1)
    begun = time.monotonic()

    answer = live.invoke(name, 60)

    assert 1 <= time.monotonic() - begun < 10
    assert answer.document == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {answer.request_id} Error: Task timed out after 1.00 seconds",
    }
    assert "sleeping" in answer.log
    assert f"{answer.request_id} Task timed out after 1.00 seconds" in answer.log
    assert live.invoke(name).value == "awake"


def test_a_handler_that_uses_too_much_memory_is_killed(live: Functions) -> None:
    code = "def handler(event, context):\n    return len(b'x' * event)\n"
    name = live.create(code, MemorySize=128)

    answer = live.invoke(name, 300 * MEGABYTE)

    assert answer.kind == "Runtime.ExitError"
    assert "Runtime exited with error: signal: killed" in answer.document["errorMessage"]
    assert "Memory Size: 128 MB\tMax Memory Used: 128 MB" in answer.log
    assert live.invoke(name, 7).value == 7


def test_an_instance_is_used_again_until_it_fails(live: Functions) -> None:
    code = (
        "import os\nmade = []\n"
        "def handler(event, context):\n"
        "    made.append(event)\n"
        "    if event == 'exit':\n        os._exit(1)\n"
        "    if event == 'raise':\n        raise ValueError\n"
        "    return made\n"
    )
    name = live.create(code)

    assert live.invoke(name, 1).value == [1]
    assert live.invoke(name, "raise").kind == "ValueError"
    assert live.invoke(name, 2).value == [1, "raise", 2]
    live.invoke(name, "exit")
    assert live.invoke(name, 3).value == [3]


# --- how it is invoked ----------------------------------------------------------------------------


@in_namespaces
def test_a_request_of_more_than_6_mb_is_refused(live: Functions) -> None:
    name = live.create("def handler(event, context):\n    return len(event)\n")

    assert live.invoke(name, "x" * 6_000_000).value == 6_000_000
    status, code, message = live.refused(lambda: live.invoke(name, "x" * 6 * MEGABYTE))

    assert (status, code) == (413, "RequestTooLargeException")
    assert message == "Request must be smaller than 6291456 bytes for the InvokeFunction operation"


@in_namespaces
def test_an_event_of_more_than_1_mb_is_refused(live: Functions) -> None:
    name = live.create(ECHO)

    status, code, _ = live.refused(
        lambda: live.invoke(name, "x" * MEGABYTE, InvocationType="Event", LogType="None")
    )

    assert (status, code) == (413, "RequestTooLargeException")


@in_namespaces
@pytest.mark.parametrize("payload", [b"{", b"\xff", b"[" * 100_000], ids=["{", "bytes", "deep"])
def test_a_payload_that_is_no_json_is_refused(live: Functions, payload: bytes) -> None:
    name = live.create(ECHO)

    status, code, message = live.refused(lambda: live.invoke(name, Payload=payload))

    assert (status, code) == (400, "InvalidRequestContentException")
    assert message.startswith("Could not parse request body into json: ")


@in_namespaces
def test_without_a_payload_the_event_is_empty(live: Functions) -> None:
    assert live.invoke(live.create(ECHO), Payload=b"").value == {}


@in_namespaces
@pytest.mark.parametrize("text", ["no base 64!", base64.b64encode(b"no JSON").decode(), "/w=="])
def test_a_client_context_that_is_no_json_is_refused(live: Functions, text: str) -> None:
    name = live.create(ECHO)

    status, code, _ = live.refused(lambda: live.invoke(name, ClientContext=text))

    assert (status, code) == (400, "InvalidRequestContentException")


@in_namespaces
def test_a_function_goes_by_its_name_or_its_arn(live: Functions) -> None:
    name = live.create(TELLS, "A-Z_9")
    live.client("lambda").publish_version(FunctionName=name)
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"

    for text, version in (
        (name, "$LATEST"),
        (f"{name}:$LATEST", "$LATEST"),
        (f"{name}:1", "1"),
        (f"123456789012:function:{name}", "$LATEST"),
        (arn, "$LATEST"),
        (f"{arn}:1", "1"),
    ):
        answer = live.invoke(text)
        assert answer.version == version
        assert answer.value["context"]["function_version"] == version
        wanted = f"{arn}:{text.rpartition(':')[2]}" if text[-2:] in (":1", "ST") else arn
        assert answer.value["context"]["invoked_function_arn"] == wanted


@in_namespaces
@pytest.mark.parametrize("qualifier", [None, "7", "nobody"])
def test_a_function_that_is_not_there_is_told(live: Functions, qualifier: str | None) -> None:
    name = live.create(ECHO) if qualifier else f"{live.prefix}-none"
    more = {"Qualifier": qualifier} if qualifier else {}

    status, code, message = live.refused(lambda: live.invoke(name, **more))

    assert (status, code) == (404, "ResourceNotFoundException")
    assert message.startswith("Function not found: arn:aws:lambda:us-east-1:123456789012:function:")


@in_namespaces
def test_a_dry_run_runs_nothing(live: Functions) -> None:
    name = live.create(ECHO)

    response = live.client("lambda").invoke(FunctionName=name, InvocationType="DryRun")

    assert response["StatusCode"] == 204
    assert live.processes(name) == []
    assert live.refused(lambda: live.invoke(f"{name}-x", InvocationType="DryRun"))[0] == 404


@in_namespaces
def test_a_response_stream_is_the_response(live: Functions) -> None:
    good, bad = live.create(ECHO), live.create(FAILURES["raises"][0])

    def streamed(name: str) -> list[dict[str, Any]]:
        response = live.client("lambda").invoke_with_response_stream(
            FunctionName=name, Payload=b'{"a": 1}', LogType="Tail"
        )
        assert response["ExecutedVersion"] == "$LATEST"
        return list(response["EventStream"])

    chunk, complete = streamed(good)
    assert json.loads(chunk["PayloadChunk"]["Payload"]) == {"a": 1}
    assert b"REPORT RequestId" in base64.b64decode(complete["InvokeComplete"]["LogResult"])
    (failed,) = streamed(bad)
    assert failed["InvokeComplete"]["ErrorCode"] == "KeyError"
    assert "petal" in failed["InvokeComplete"]["ErrorDetails"]


PRINTS = """
import json

def handler(event, context):
    print("got", json.dumps(event, sort_keys=True))
    if isinstance(event, dict) and event.get("fail"):
        raise ValueError("as told")
    return "done"
"""


@in_namespaces
def test_invoke_async_is_asynchronous(live: Functions) -> None:
    name = live.create(PRINTS)

    response = live.client("lambda").invoke_async(FunctionName=name, InvokeArgs=b'{"a": 1}')

    assert response["Status"] == 202
    live.logged(name, 'got {"a": 1}')


# --- logs -----------------------------------------------------------------------------------------


def test_what_it_prints_is_in_cloudwatch_and_in_the_answer(live: Functions) -> None:
    name = live.create("import sys\n" + PRINTS + "print('loaded', file=sys.stderr)\n")

    first = live.invoke(name, {"a": "ü"})
    second = live.invoke(name, {"b": 2})

    messages = live.logged(name, f"REPORT RequestId: {second.request_id}")
    at = first.request_id
    assert messages[:2] == [f"INIT_START Runtime Version: python:3.{OWN_RUNTIME[8:]}", "loaded"]
    assert messages[2:5] == [
        f"START RequestId: {at} Version: $LATEST",
        'got {"a": "\\u00fc"}',
        f"END RequestId: {at}",
    ]
    report = messages[5].split("\t")
    assert report[0] == f"REPORT RequestId: {at}"
    assert [part.partition(":")[0] for part in report[1:]] == [
        "Duration", "Billed Duration", "Memory Size", "Max Memory Used", "Init Duration", ""
    ]  # fmt: skip
    assert first.log.splitlines() == messages[2:6]
    assert second.log.splitlines() == messages[6:]
    assert "Init Duration" not in second.log
    streams = live.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{name}")
    assert len(streams["logStreams"]) == 1


def test_an_unfinished_line_belongs_to_its_invocation(live: Functions) -> None:
    code = (
        "import sys\ndef handler(event, context):\n"
        "    sys.stdout.write(event)\n    sys.stdout.flush()\n"
    )
    name = live.create(code)

    first, second = live.invoke(name, "one"), live.invoke(name, "two")

    assert first.log.splitlines()[1] == "one"
    assert second.log.splitlines()[1] == "two"


# --- versions -------------------------------------------------------------------------------------


def says(text: str) -> str:
    return f"def handler(event, context):\n    return {text!r}\n"


@in_namespaces
def test_versions_and_aliases_lead_to_what_was_published(live: Functions) -> None:
    name = live.create(says("one"))
    functions = live.client("lambda")
    functions.publish_version(FunctionName=name)
    live.update(name, says("two"), Publish=True)
    live.update(name, says("newest"))
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")

    def answers(qualifier: str) -> tuple[str, str]:
        answer = live.invoke(name, Qualifier=qualifier)
        return answer.value, answer.version

    assert answers("1") == ("one", "1")
    assert answers("2") == ("two", "2")
    assert answers("$LATEST") == ("newest", "$LATEST")
    assert answers("live") == ("one", "1")
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    assert answers("live") == ("two", "2")
    functions.update_alias(
        FunctionName=name, Name="live", RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}}
    )
    assert {answers("live") for _ in range(40)} == {("one", "1"), ("two", "2")}


def test_new_code_and_new_settings_are_used_by_the_next_invocation(live: Functions) -> None:
    name = live.create(TELLS)
    live.invoke(name)

    live.client("lambda").update_function_configuration(
        FunctionName=name, Environment={"Variables": {"STAGE": "prod"}}, MemorySize=512
    )
    told = live.invoke(name).value
    assert told["environment"]["STAGE"] == "prod"
    assert told["context"]["memory_limit_in_mb"] == "512"
    live.update(name, says("new"))
    assert live.invoke(name).value == "new"
    eventually(lambda: len(live.processes(name)) <= 2, "the earlier instances still run")


def test_a_deleted_function_is_gone_and_so_are_its_instances(live: Functions) -> None:
    name = live.create(ECHO)
    live.invoke(name)
    assert live.processes(name)

    live.client("lambda").delete_function(FunctionName=name)

    assert live.refused(lambda: live.invoke(name))[1] == "ResourceNotFoundException"
    eventually(lambda: not live.processes(name), "its instance still runs")
    name = live.create(says("again"), name.partition("-")[2])
    assert live.invoke(name).value == "again"


# --- many at once ---------------------------------------------------------------------------------


def test_of_200_at_once_none_is_lost_or_swapped(live: Functions) -> None:
    name = live.create(ECHO)

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda number: live.invoke(name, number), range(200)))

    assert [answer.value for answer in answers] == list(range(200))
    assert all(answer.log.count("START") == answer.log.count("END") == 1 for answer in answers)
    assert all(answer.request_id in answer.log for answer in answers)


def test_what_goes_wrong_takes_down_nothing_but_its_own_request(live: Functions) -> None:
    good = live.create(ECHO)
    code = (
        "import os, time\n"
        "def handler(event, context):\n"
        "    if event == 'crash':\n        os.abort()\n"
        "    if event == 'sleep':\n        time.sleep(60)\n"
        "    if event == 'large':\n        return 'x' * 7_000_000\n"
        "    return event\n"
    )
    mixed = live.create(code, Timeout=2)
    kinds = {
        "crash": "Runtime.ExitError",
        "sleep": "Sandbox.Timedout",
        "large": "Function.ResponseSizeTooLarge",
    }
    wishes = ["crash", "fine", "large", "fine", "sleep", "fine"] * 4

    def ask(wish: str) -> tuple[Answer, Answer]:
        return live.invoke(mixed, wish), live.invoke(good, wish)

    with ThreadPoolExecutor(len(wishes)) as pool:
        answers = list(pool.map(ask, wishes))

    for wish, (ours, other) in zip(wishes, answers, strict=True):
        assert other.value == wish
        if wish in kinds:
            assert ours.kind == kinds[wish]
        else:
            assert ours.value == "fine"


@in_namespaces
def test_a_function_without_concurrency_is_throttled(live: Functions) -> None:
    name = live.create(ECHO)
    live.client("lambda").put_function_concurrency(
        FunctionName=name, ReservedConcurrentExecutions=0
    )

    status, code, message = live.refused(lambda: live.invoke(name))

    assert (status, code, message) == (429, "TooManyRequestsException", "Rate Exceeded.")
    live.client("lambda").delete_function_concurrency(FunctionName=name)
    assert live.invoke(name, 1).value == 1


@in_namespaces
def test_more_at_once_than_are_reserved_are_throttled(live: Functions) -> None:
    name = live.create(SLEEPS)
    live.client("lambda").put_function_concurrency(
        FunctionName=name, ReservedConcurrentExecutions=1
    )
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(live.invoke, name, 2)
        live.logged(name, "sleeping")

        assert live.refused(lambda: live.invoke(name))[:2] == (429, "TooManyRequestsException")

        assert first.result().value == "awake"
    assert live.invoke(name).value == "awake"


# --- invoked by others ----------------------------------------------------------------------------


@in_namespaces
@pytest.mark.parametrize("fails", [True, False])
def test_what_came_of_an_event_goes_to_its_destination(live: Functions, fails: bool) -> None:
    queue, name = live.queue(), live.create(PRINTS)
    live.client("lambda").put_function_event_invoke_config(
        FunctionName=name,
        MaximumRetryAttempts=0,
        DestinationConfig={
            "OnFailure" if fails else "OnSuccess": {"Destination": queue.arn},
        },
    )

    response = live.client("lambda").invoke(
        FunctionName=name, InvocationType="Event", Payload=json.dumps({"fail": fails})
    )

    assert (response["StatusCode"], response["Payload"].read()) == (202, b"")
    record = queue.take()
    assert record["requestPayload"] == {"fail": fails}
    assert record["requestContext"] == {
        "requestId": response["ResponseMetadata"]["RequestId"],
        "functionArn": f"arn:aws:lambda:us-east-1:123456789012:function:{name}:$LATEST",
        "condition": "RetriesExhausted" if fails else "Success",
        "approximateInvokeCount": 1,
    }
    if fails:
        assert record["responseContext"]["functionError"] == "Unhandled"
        assert record["responsePayload"]["errorMessage"] == "as told"
    else:
        assert record["responsePayload"] == "done"


def arn_of(name: str) -> str:
    return f"arn:aws:lambda:us-east-1:123456789012:function:{name}"


@in_namespaces
def test_a_topic_invokes_a_function(live: Functions) -> None:
    name, sns = live.create(PRINTS), live.client("sns")
    topic = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn_of(name))

    sns.publish(TopicArn=topic, Message="hello", Subject="s")

    (got,) = events(live, name)
    assert got["Records"][0]["Sns"]["Message"] == "hello"


@in_namespaces
def test_a_queue_invokes_a_function(live: Functions) -> None:
    name, queue = live.create(PRINTS), live.queue()
    live.client("lambda").create_event_source_mapping(
        EventSourceArn=queue.arn, FunctionName=name, BatchSize=1
    )

    queue.put("hello")

    (got,) = events(live, name)
    assert got["Records"][0]["body"] == "hello"


@in_namespaces
def test_an_object_invokes_a_function(live: Functions) -> None:
    name, s3 = live.create(PRINTS), live.client("s3")
    bucket = name.lower()
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {"LambdaFunctionArn": arn_of(name), "Events": ["s3:ObjectCreated:*"]}
            ]
        },
    )

    s3.put_object(Bucket=bucket, Key="a.csv", Body=b"1,2")

    (got,) = events(live, name)
    assert got["Records"][0]["s3"]["object"]["key"] == "a.csv"


@in_namespaces
def test_a_rule_invokes_a_function(live: Functions) -> None:
    name, bus, queue = live.create(PRINTS), live.client("events"), live.queue()
    bus.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    transformed = {"InputPathsMap": {"a": "$.detail.a"}, "InputTemplate": '{"only": <a>}'}
    targets = [
        {"Id": "f", "Arn": arn_of(name)},
        {"Id": "i", "Arn": arn_of(name), "Input": '{"fixed": true}'},
        {"Id": "t", "Arn": arn_of(name), "InputTransformer": transformed},
        {"Id": "none", "Arn": arn_of("nobody")},
        {"Id": "q", "Arn": queue.arn},
    ]
    bus.put_targets(Rule=name, Targets=targets)

    for source in (name, "another"):
        put = bus.put_events(Entries=[{"Source": source, "DetailType": "t", "Detail": '{"a": 1}'}])
        assert put["FailedEntryCount"] == 0

    eventually(lambda: len(events(live, name)) == 3, lambda: live.messages(name))
    (whole,) = [each for each in events(live, name) if "source" in each]
    assert {"fixed": True} in events(live, name)
    assert {"only": 1} in events(live, name)
    assert (whole["source"], whole["detail"]) == (name, {"a": 1})
    assert queue.take()["detail"] == {"a": 1}


def events(live: Functions, name: str) -> list[Any]:
    """What a function has printed that it was given, once it was."""
    messages = live.logged(name, "REPORT")
    return [json.loads(text[4:]) for text in messages if text.startswith('got {"')]


# --- its definition -------------------------------------------------------------------------------


@in_namespaces
@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"Timeout": 901}, "ValidationException"),
        ({"MemorySize": 64}, "ValidationException"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException"),
        ({"Environment": {"Variables": {"A": "x"}}}, "ValidationException"),
        ({"Environment": {"Variables": {"BIG": "x" * 5000}}}, "InvalidParameterValueException"),
    ],
)
def test_what_aws_does_not_take_is_refused(
    live: Functions, more: dict[str, Any], code: str
) -> None:
    assert live.refused(lambda: live.create(ECHO, **more))[:2] == (400, code)


@in_namespaces
@pytest.mark.parametrize("content", [b"no zip", b""], ids=["bytes", "nothing"])
def test_code_that_is_no_zip_is_refused(live: Functions, content: bytes) -> None:
    assert live.refused(lambda: live.create(content))[:2] == (
        400,
        "InvalidParameterValueException",
    )


@in_namespaces
def test_a_name_can_be_given_once(live: Functions) -> None:
    live.create(ECHO, "twice")

    status, code, message = live.refused(lambda: live.create(ECHO, "twice"))

    assert (status, code) == (409, "ResourceConflictException")
    assert message == f"Function already exist: {live.prefix}-twice"


@in_namespaces
def test_another_language_is_refused_with_what_to_do(live: Functions) -> None:
    name = live.create(ECHO, Runtime="nodejs22.x")

    status, code, message = live.refused(lambda: live.invoke(name))

    assert (status, code) == (400, "InvalidRuntimeException")
    assert "make an image of it" in message


@in_namespaces
def test_another_python_is_told_in_its_log(live: Functions) -> None:
    other = "python3.10" if OWN_RUNTIME != "python3.10" else "python3.11"
    name = live.create(ECHO, Runtime=other)

    assert live.invoke(name, 1).value == 1
    live.logged(name, f"this function is for {other}, and runs on devkit's own Python")


# --- its end --------------------------------------------------------------------------------------


def test_a_reset_ends_all_instances(live: Functions) -> None:
    name = live.create(ECHO)
    live.invoke(name)
    assert live.processes()

    assert http_request(live.aws, "POST", "/moto-api/reset")[0] == 200

    assert live.processes() == []
    assert live.refused(lambda: live.invoke(name))[1] == "ResourceNotFoundException"
    again = live.create(says("back"))
    assert live.invoke(again).value == "back"
