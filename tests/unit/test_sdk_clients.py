"""``SdkClients`` over a driver that is a script: what goes where, and what an answer becomes."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from devkit.channels.locations import S3Uri
from devkit.errors import ConfigError
from devkit.local_aws.state import Endpoint
from devkit.targets.clients import CallFailed
from devkit.targets.sdk.clients import Said, SdkClients
from tests.unit.clients_fakes import FakeClients

ENDPOINT = Endpoint(
    url="http://127.0.0.1:4566",
    container_url="http://172.17.0.1:4566",
    pid=1,
    started="2026-01-01T00:00:00+00:00",
    kind="up",
)
DRIVER = """#!{python}
import base64, json, os, sys

ANSWERS = json.loads({answers!r})

def say(**message):
    print(json.dumps(message), flush=True)

say(event="hello", sdk="2.257.7")
say(event="ready")
for line in sys.stdin:
    request = json.loads(line)
    for text in ANSWERS.get("lines", ()):
        say(event="line", kind="job", name="j", host="algo-1", line=text)
    if request["operation"] == "Environment":
        say(id=request["id"], answer=dict(os.environ))
    else:
        say(id=request["id"], **ANSWERS[request["operation"]])
"""
JOB = {
    "TrainingJobName": "j",
    "AlgorithmSpecification": {
        "TrainingImage": "iris:dev",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": r"loss=(\S+)"}],
    },
    "ResourceConfig": {"InstanceType": "t", "InstanceCount": 1, "VolumeSizeInGB": 1},
}

Open = Callable[..., SdkClients]


@pytest.fixture
def aws() -> FakeClients:
    return FakeClients(GetObject={"Body": b"1"})


@pytest.fixture
def said() -> list[Said]:
    return []


@pytest.fixture
def opened(tmp_path: Path, aws: FakeClients, said: list[Said]) -> Iterator[Open]:
    """Opens clients whose driver answers operations as given."""
    with ExitStack() as stack:

        def opened(environ: Mapping[str, str] | None = None, **answers: Any) -> SdkClients:
            python = tmp_path / "python"
            python.write_text(DRIVER.format(python=sys.executable, answers=json.dumps(answers)))
            python.chmod(0o755)
            clients = SdkClients(
                tmp_path, aws, ENDPOINT, environ or {}, python=python, on_line=said.append
            )
            return stack.enter_context(clients)

        yield opened


def reply(status: int, body: dict[str, str], **members: str) -> dict[str, Any]:
    """What the driver answers to InvokeEndpoint."""
    rest = {"content_type": None, "custom_attributes": None, "variant": "A", **members}
    return {"InvokeEndpoint": {"answer": {"status": status, "body": body, **rest}}}


def text(words: str) -> dict[str, str]:
    return {"$bytes": base64.b64encode(words.encode()).decode()}


def test_sagemaker_is_the_sdks_and_the_rest_the_local_awss(
    opened: Open, aws: FakeClients, tmp_path: Path
) -> None:
    clients = opened(DescribeEndpoint={"answer": {"EndpointStatus": "InService"}})

    described = clients.call("sagemaker", "DescribeEndpoint", {"EndpointName": "e"})
    clients.call("s3", "GetObject", {"Bucket": "b", "Key": "k"})
    clients.call("logs", "DescribeLogStreams", {"logGroupName": "/aws/lambda/f"})
    clients.upload(tmp_path, S3Uri("b", "k"))

    assert described == {"EndpointStatus": "InService"}
    assert aws.operations == ["CreateBucket", "GetObject", "DescribeLogStreams"]
    assert aws.uploads == [(tmp_path, S3Uri("b", "k"))]
    assert (clients.account, clients.region, clients.sdk) == (
        "123456789012", "us-east-1", "2.257.7",
    )  # fmt: skip


def test_an_error_has_its_code(opened: Open) -> None:
    clients = opened(
        DescribeEndpoint={"error": {"code": "ValidationException", "message": "not there"}}
    )

    with pytest.raises(CallFailed, match="DescribeEndpoint failed") as error:
        clients.call("sagemaker", "DescribeEndpoint", {"EndpointName": "e"})
    assert error.value.code == "ValidationException"


def test_what_local_mode_cannot_do_is_refused_before_it_is_asked(opened: Open) -> None:
    job = {**JOB, "CheckpointConfig": {"S3Uri": "s3://b/c"}}

    with pytest.raises(CallFailed, match="local mode has no CheckpointConfig"):
        opened().call("sagemaker", "CreateTrainingJob", job)


def test_lines_are_told_kept_and_searched_for_metrics(opened: Open, said: list[Said]) -> None:
    clients = opened(
        lines=["loss=2.5", "loss=0.25"],
        CreateTrainingJob={"answer": {}},
        DescribeTrainingJob={"answer": {"TrainingJobStatus": "Completed"}},
    )

    clients.call("sagemaker", "CreateTrainingJob", JOB)
    described = clients.call("sagemaker", "DescribeTrainingJob", {"TrainingJobName": "j"})

    assert said[:2] == [
        Said("job", "loss=2.5", "j", "algo-1"),
        Said("job", "loss=0.25", "j", "algo-1"),
    ]
    (metric,) = described["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("loss", 0.25)
    group = {"logGroupName": "/aws/sagemaker/TrainingJobs"}
    (stream,) = clients.call("logs", "DescribeLogStreams", group)["logStreams"]
    assert stream["logStreamName"].startswith("j/algo-1-")


def test_an_answer_is_told_as_aws_tells_it(opened: Open) -> None:
    clients = opened(**reply(200, text("[1]"), content_type="application/json"))

    answer = clients.call("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e"})

    assert answer == {
        "Body": b"[1]",
        "ContentType": "application/json",
        "InvokedProductionVariant": "A",
    }


@pytest.mark.parametrize(
    ("status", "words"),
    [(500, "server error (500)"), (415, "client error (415)"), (0, "server error (0)")],
)
def test_a_containers_error_is_a_model_error(opened: Open, status: int, words: str) -> None:
    clients = opened(**reply(status, text("it broke")))

    with pytest.raises(CallFailed) as error:
        clients.call("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e"})
    assert error.value.code == "ModelError"
    assert f'Received {words} from primary with message "it broke"' in error.value.message


def test_the_sdk_sees_the_local_aws_and_nothing_of_the_users(opened: Open, tmp_path: Path) -> None:
    environ = {
        "AWS_ACCESS_KEY_ID": "AKIANEVERSEE",
        "AWS_PROFILE": "neversee",
        "HOME": str(tmp_path),
        "http_proxy": "http://proxy:3128",
    }
    clients = opened(environ)

    seen = clients.call("sagemaker", "Environment", {})

    assert "neversee" not in json.dumps(dict(seen)).lower()
    assert seen["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert "127.0.0.1" in seen["NO_PROXY"]
    assert "TelemetryOptOut: true" in Path(seen["SAGEMAKER_USER_CONFIG_OVERRIDE"]).read_text()
    told = json.loads(seen["DEVKIT_SDK_DRIVER"])
    assert told["folder"] == str(tmp_path / ".devkit" / "sagemaker-local")
    assert told["container_environment"]["AWS_ENDPOINT_URL"] == "http://172.17.0.1:4566"


def test_without_the_sdk_the_extras_are_named(tmp_path: Path, aws: FakeClients) -> None:
    if find_spec("sagemaker") is not None:
        pytest.skip("the SDK is installed here")

    with pytest.raises(ConfigError) as error:
        SdkClients(tmp_path, aws, ENDPOINT, {})
    assert error.value.remedy is not None
    assert "pip install 'devkit[sagemaker]'" in error.value.remedy


def test_an_interpreter_without_the_sdk_is_named(tmp_path: Path, aws: FakeClients) -> None:
    base = getattr(sys, "_base_executable", sys.executable)
    clients = SdkClients(tmp_path, aws, ENDPOINT, {}, python=Path(base))

    with pytest.raises(ConfigError, match=r"SDK is not installed for /.*python"), clients:
        pass
    assert not (tmp_path / ".devkit" / "sagemaker-local").exists()
