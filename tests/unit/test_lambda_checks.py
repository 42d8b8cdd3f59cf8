"""What of a function's definition is refused, its variables, and its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devkit.lambda_contract import MAX_DIRECT_ARCHIVE_BYTES
from devkit.local_aws.errors import AwsError
from devkit.local_aws.lambda_ import checks, environment, memory
from devkit.local_aws.lambda_.programs import Order
from tests.unit.lambda_support import definition


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"Code": {}, "PackageType": "Image"}, "InvalidParameterValueException"),
        ({"Runtime": None}, "InvalidParameterValueException"),
        ({"Handler": ""}, "InvalidParameterValueException"),
        ({"Timeout": 0}, "ValidationException"),
        ({"MemorySize": 10_241}, "ValidationException"),
        (
            {"Code": {"ZipFile": bytes(MAX_DIRECT_ARCHIVE_BYTES + 1)}},
            "RequestEntityTooLargeException",
        ),
    ],
)
def test_what_there_cannot_be_is_refused(more: dict[str, Any], code: str) -> None:
    wanted = {"Code": {"S3Bucket": "b"}, "Runtime": "python3.11", "Handler": "app.handler"}
    checks.require_creatable(wanted)

    with pytest.raises(AwsError) as refused:
        checks.require_creatable({**wanted, **more})

    assert refused.value.code == code


def test_a_functions_variables_cannot_hide_lambdas() -> None:
    given = definition(
        environment={"AWS_ENDPOINT_URL": "http://mine", "_HANDLER": "x", "TZ": "mine"}
    )

    told = environment.of_function(
        given, url="http://127.0.0.1:1", credentials={"AWS_ACCESS_KEY_ID": "session"}
    )

    assert told["AWS_ENDPOINT_URL"] == "http://mine"
    assert told["TZ"] == "mine"
    assert told["_HANDLER"] == "app.handler"
    assert told["AWS_ACCESS_KEY_ID"] == "session"
    order = Order(name="i", definition=given, log_stream="s", runtime_api="127.0.0.1:2")
    assert environment.of_instance(order) == {
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:2",
        "AWS_LAMBDA_LOG_STREAM_NAME": "s",
    }


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this machine has no /proc")
def test_memory_is_what_all_below_a_process_have_used_at_most() -> None:
    child = "x = b'x' * 50_000_000; del x; print(flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as supervisor:
        assert supervisor.stdout is not None
        supervisor.stdout.readline()
        used = memory.peak_bytes(supervisor.pid)
        supervisor.communicate(b"\n")

    assert used is not None
    assert 50_000_000 < used < 150_000_000
    assert memory.peak_bytes(supervisor.pid) is None
