"""What a Python program asks of amazonaws.com goes to the local AWS, in programs of all kinds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devkit.local_aws.environment import HOOK
from devkit.local_aws.hook.sitecustomize import _local

URL = "http://127.0.0.1:4566"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("https://sts.us-east-1.amazonaws.com/", f"{URL}/"),
        ("https://sts.amazonaws.com", f"{URL}/"),
        ("https://sts.cn-north-1.amazonaws.com.cn/", f"{URL}/"),
        ("https://s3.us-east-1.amazonaws.com/bucket/key?x=1", f"{URL}/bucket/key?x=1"),
        ("https://a.bucket.s3.us-east-1.amazonaws.com/key", f"{URL}/a.bucket/key"),
        ("https://my.s3bucket.s3.amazonaws.com/key", f"{URL}/my.s3bucket/key"),
        ("https://b.s3-eu-west-1.amazonaws.com/key", f"{URL}/b/key"),
        ("https://123.s3-control.us-east-1.amazonaws.com/v", f"{URL}/v"),
        ("https://lambda.us-east-1.api.aws/x", f"{URL}/x"),
        ("https://sts.us-east-1.amazonaws.com:443/", f"{URL}/"),
    ],
)
def test_an_address_of_aws_becomes_the_endpoints(asked: str, sent: str) -> None:
    assert _local(asked, URL) == sent


@pytest.mark.parametrize(
    "asked",
    [
        "http://127.0.0.1:4566/bucket",
        "http://minio:9000/bucket",
        "https://amazonaws.com.example.com/",
        "https://notamazonaws.com/",
        "ftp://sts.amazonaws.com/",
        "",
    ],
)
def test_any_other_address_stays(asked: str) -> None:
    assert _local(asked, URL) == asked


def run(script: str, *paths: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={
            **{name: v for name, v in os.environ.items() if not name.startswith("AWS_")},
            "PYTHONPATH": os.pathsep.join(str(path) for path in paths),
            **environment,
        },
        capture_output=True,
        text=True,
        check=True,
    )


def python(script: str, *paths: Path, **environment: str) -> str:
    done = run(script, HOOK, *paths, **environment)
    assert done.stderr == ""
    return done.stdout.strip()


ASK = """
import botocore.session
client = botocore.session.get_session().create_client(
    "sts", region_name="us-east-1", endpoint_url="https://sts.us-east-1.amazonaws.com",
    aws_access_key_id="test", aws_secret_access_key="test")
class Sent(Exception):
    pass
def stop(request, **_):
    raise Sent(request.url)
client.meta.events.register("before-send", stop)
try:
    client.get_caller_identity()
except Sent as sent:
    print(sent)
"""


def test_every_client_of_botocore_is_redirected() -> None:
    assert python(ASK, AWS_ENDPOINT_URL=URL) == f"{URL}/"


def test_without_an_endpoint_nothing_is() -> None:
    assert python(ASK) == "https://sts.us-east-1.amazonaws.com/"


def test_a_program_without_botocore_notices_nothing() -> None:
    script = f"import sys; print('botocore' in sys.modules, {str(HOOK)!r} in sys.path)"

    assert python(script, AWS_ENDPOINT_URL=URL) == "False False"


def test_the_programs_own_sitecustomize_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("MARK = 'mine'\n")

    assert python("import sitecustomize; print(sitecustomize.MARK)", tmp_path) == "mine"


def test_the_programs_own_sitecustomize_fails_as_it_would(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import no_such_module_here\n")

    failed = run("print('goes on')", HOOK, tmp_path)

    assert "no_such_module_here" in failed.stderr
    assert failed.stderr == run("", tmp_path).stderr
    assert failed.stdout == "goes on\n"


def test_programs_that_it_starts_are_redirected_too() -> None:
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ASK!r}], check=True)"

    assert python(script, AWS_ENDPOINT_URL=URL) == f"{URL}/"
