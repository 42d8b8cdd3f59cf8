"""The end of Lambda: stopped, killed and started anew; on a disk that is full."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from devkit.lambda_contract import OWN_RUNTIME
from devkit.local_aws.identity import ROLE_ARN
from tests.integration.functions_kit import (
    ECHO,
    ONCE,
    as_answer,
    as_archive,
    functions,
    processes_of,
)
from tests.integration.kit import Project, eventually

SLEEPS = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return 'awake'\n"


@pytest.mark.parametrize("namespaces", [True, False])
def test_functions_are_back_after_a_restart(tmp_path: Path, namespaces: bool) -> None:
    journal = tmp_path / "journal"
    with functions(tmp_path, namespaces=namespaces, journal=journal) as live:
        name = live.create(ECHO)
        live.client("lambda").publish_version(FunctionName=name)
        live.update(name, "def handler(event, context):\n    return 'new'\n")
        live.client("lambda").create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        gone = live.create(ECHO)
        live.client("lambda").delete_function(FunctionName=gone)
        assert live.invoke(name).value == "new"

    with functions(tmp_path, namespaces=namespaces, journal=journal) as again:
        assert again.invoke(name).value == "new"
        assert again.invoke(name, 1, Qualifier="live").value == 1
        assert again.refused(lambda: again.invoke(gone))[0] == 404


@pytest.mark.parametrize("namespaces", [True, False])
def test_what_runs_when_it_is_stopped_is_ended(tmp_path: Path, namespaces: bool) -> None:
    with functions(tmp_path, namespaces=namespaces) as live:
        name = live.create(SLEEPS, Timeout=900)
        live.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b"600")
        eventually(lambda: bool(live.processes(name)), "it does not run")


# --- devkit up, as a command ----------------------------------------------------------------------


def up(project: Project) -> Any:
    """A client for the endpoint of a project, which is up."""
    url = project.devkit("up", "--detach", "--port", "0", "--json").succeeded().document["url"]
    return client(url)


def client(url: str) -> Any:
    return boto3.client(
        "lambda",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=ONCE,
    )


def create(project: Project, lambda_: Any, code: str) -> str:
    name = f"{project.name}-f"
    lambda_.create_function(
        FunctionName=name,
        Runtime=OWN_RUNTIME,
        Handler="app.handler",
        Role=ROLE_ARN,
        Timeout=20,
        Code={"ZipFile": as_archive(code)},
    )
    return name


def test_functions_end_with_an_endpoint_that_is_killed(process_project: Project) -> None:
    project = process_project
    project.configure("")
    with project.start("up", "--port", "0") as running:
        running.wait_for("http://127.0.0.1:", "out")
        url = project.devkit("status", "--json").succeeded().document["url"]
        with_it = client(url)
        name = create(project, with_it, ECHO)
        assert as_answer(with_it.invoke(FunctionName=name, Payload=b"1")).value == 1
        assert processes_of(name)
        running.send(signal.SIGKILL)
        running.finish()

    eventually(lambda: not processes_of(name), "its functions still run")
    again = up(project)
    assert as_answer(again.invoke(FunctionName=name, Payload=b"2")).value == 2
    assert len(list((project.store / "local-aws" / "lambda" / "code").iterdir())) == 1
    project.devkit("down").succeeded()
    assert not (project.store / "local-aws" / "lambda").exists()


# --- a full disk ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 8 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(mounted.stderr)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_code_for_which_there_is_no_room_is_told_and_leaves_nothing(small_disk: Path) -> None:
    with functions(small_disk) as live:
        good = live.create(ECHO)
        assert live.invoke(good, 1).value == 1
        filling = small_disk / "filling"
        filling.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 1024 * 1024))
        name = live.create({"app.py": ECHO, "model": os.urandom(2_000_000)})
        free = shutil.disk_usage(small_disk).free

        status, code, message = live.refused(lambda: live.invoke(name, 2))

        assert (status, code) == (400, "UnsupportedOperationException")
        assert "No space left on device" in message
        assert "see that the disk is not full" in message
        assert shutil.disk_usage(small_disk).free == free
        assert live.invoke(good, 3).value == 3
        filling.unlink()
        assert live.invoke(name, 4).value == 4
