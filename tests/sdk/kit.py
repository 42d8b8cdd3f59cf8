"""What these tests share: the iris project, and people's own scripts at work on it.

The scripts come from outside or are what anybody would write for AWS; devkit is in none of them.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.integration.kit import Finished, Project

REPOSITORY = Path(__file__).parents[2]
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/iris:dev"
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
ANSWER = '{"category": "Iris-Setosa"}'
SCRIPT_TIMEOUT_S = 600.0
"""The SDKs look after an endpoint every 30 s, and a first build loads packages."""

_RECORDER = """
import json, os, socket, sys

def record(event, arguments):
    if event == "socket.connect":
        _, address = arguments
        contacted = address[0] if isinstance(address, tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        contacted = arguments[0]
    else:
        return
    if contacted is not None:
        with open(os.environ["CONTACTED"], "a") as file:
            print(json.dumps([sys.argv[0], contacted]), file=file)

sys.addaudithook(record)
"""


def require_sdk(version: int) -> None:
    """Skip where this version of the SageMaker SDK is not, or fail where it has to be."""
    try:
        found = importlib.metadata.version("sagemaker")
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found.partition(".")[0] == str(version):
        return
    reason = f"needs version {version} of the SageMaker SDK (tox -e sdk{version}); here is {found}"
    if os.environ.get("DEVKIT_REQUIRE_SDK") == str(version):
        pytest.fail(reason)
    pytest.skip(reason)


def require_program(name: str) -> None:
    """Skip where a program is not beside this Python, or fail where it has to be."""
    if (Path(sys.executable).parent / name).exists():
        return
    reason = f"needs the program {name} (tox -e cli)"
    if os.environ.get("DEVKIT_REQUIRE_CLI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def make_iris(project: Project) -> Project:
    """Make it this repository's project, with its image built."""
    for folder in ("image", "examples"):
        shutil.copytree(REPOSITORY / folder, project.root / folder)
    project.configure('[image]\ntag = "iris:dev"\n')
    programs = Path(sys.executable).parent
    project.environment["PATH"] = f"{programs}{os.pathsep}{project.environment['PATH']}"
    project.devkit("build", timeout_s=SCRIPT_TIMEOUT_S).succeeded()
    return project


def run(project: Project, *command: str) -> Finished:
    """Run a command against the local AWS, as ``devkit exec`` does; it succeeds."""
    return project.devkit("exec", "--", *command, timeout_s=SCRIPT_TIMEOUT_S).succeeded()


class Contacts:
    """Keeps which hosts the Python programs of a project ask for, by address or name."""

    def __init__(self, project: Project, folder: Path) -> None:
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(_RECORDER)
        self._file = folder / "contacted"
        paths = (str(folder), project.environment["PYTHONPATH"])
        project.environment["PYTHONPATH"] = os.pathsep.join(paths)
        project.environment["CONTACTED"] = str(self._file)

    @property
    def hosts(self) -> set[str]:
        """Those that any of them asked for so far, devkit itself among them."""
        return {host for _, host in self._lines}

    def of(self, script: str) -> set[str]:
        """Those that a script asked for so far."""
        return {host for program, host in self._lines if program == script}

    @property
    def _lines(self) -> list[tuple[str, str]]:
        lines = map(json.loads, self._file.read_text().splitlines())
        return [(str(program), str(host)) for program, host in lines]
