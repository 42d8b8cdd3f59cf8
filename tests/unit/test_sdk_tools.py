"""Which Docker Compose is run; the SDK finds version 2 alone (aws/sagemaker-python-sdk#5739)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Find = Callable[..., Any]

SCRIPT = """
import json
from devkit.targets.sdk.driver import tools

try:
    tools.require_engine()
    print(json.dumps(tools.find_compose()))
except tools.Unfit as unfit:
    print(json.dumps(vars(unfit)))
"""


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Looks on a PATH of programs that do what a line of shell says."""

    def find(**programs: str) -> Any:
        for name, body in programs.items():
            program = tmp_path / name.replace("_", "-")
            program.write_text(f"#!/bin/sh\n{body}\n")
            program.chmod(0o755)
        root = str(Path(__file__).parents[2])
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={"PATH": str(tmp_path), "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    return find


def docker(says: str) -> str:
    """A docker command whose plugin says what its version is."""
    return f'if [ "$1" = compose ]; then {says}; fi'


@pytest.mark.parametrize("version", ["2.24.5", "v2.3.3", "5.0.1", "v5.1.0", "10.0.0-rc1"])
def test_any_version_of_the_plugin_will_do(find: Find, version: str) -> None:
    assert find(docker=docker(f"echo {version}")) == ["docker", "compose"]


@pytest.mark.parametrize("version", ["1.29.2", "2.24.5", "v5.0.1"])
def test_without_the_plugin_the_program_of_its_own_is_taken(find: Find, version: str) -> None:
    missing = docker("echo \"docker: 'compose' is not a docker command.\" >&2; exit 1")

    assert find(docker=missing, docker_compose=f"echo {version}") == ["docker-compose"]


def test_a_docker_that_shows_its_help_has_no_plugin(find: Find) -> None:
    found = find(docker=docker("echo 'Usage: docker COMMAND'"), docker_compose="echo 1.29.2")

    assert found == ["docker-compose"]


def test_a_program_that_cannot_be_run_is_none(find: Find) -> None:
    found = find(docker=docker("exit 1"), docker_compose="echo 'No module named distutils'; exit 1")

    assert "neither docker compose nor docker-compose can be run" in found["message"]
    assert "docker-compose-plugin" in found["remedy"]
    assert found["kind"] == "config"


def test_one_that_is_too_old_is_told_with_its_version(find: Find) -> None:
    found = find(docker=docker("exit 1"), docker_compose="echo 1.25.0")

    assert "docker-compose here is 1.25, which is too old" in found["message"]


def test_an_engine_that_does_not_answer_is_told_with_its_reason(find: Find) -> None:
    found = find(docker="echo 'permission denied: /var/run/docker.sock' >&2; exit 1")

    assert found["kind"] == "engine"
    assert "permission denied: /var/run/docker.sock" in found["message"]
