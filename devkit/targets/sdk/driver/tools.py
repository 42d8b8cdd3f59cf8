"""The programs that local mode needs besides the SDK: the docker command and Docker Compose.

The SDK takes Compose by the letters ``v2`` in what it says of itself, or by ``docker-compose`` on
PATH (aws/sagemaker-python-sdk#5739, #4137). Here any version will do that knows Compose's
specification, and one that cannot be run is none.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence

_VERSION = re.compile(r"(\d+)\.(\d+)")
# The first docker-compose that takes a file without version, GPUs included (amazon-sagemaker-
# local-mode#36).
_OLDEST = (1, 28)
_PROBE_S = 30
_WORK_S = 300
INSTALL_COMPOSE = (
    "install Docker Compose: Docker Desktop has it; Docker's own packages: apt-get install "
    "docker-compose-plugin; Ubuntu: docker-compose-v2; Debian: docker-compose"
)


class Unfit(Exception):
    """Something that is needed is not there; ``kind`` is devkit's for it."""

    def __init__(self, kind: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.remedy = remedy


def find_compose() -> list[str]:
    """The command that Docker Compose is run by.

    Raises:
        Unfit: There is none.
    """
    if shutil.which("docker") is None:
        raise Unfit(
            "config",
            "the SageMaker SDK's local mode runs the docker command, which is not on PATH",
            "install Docker's command line (apt-get install docker-ce-cli, or Debian's docker.io)",
        )
    too_old = ""
    for command in (["docker", "compose"], ["docker-compose"]):
        version = _version([*command, "version", "--short"])
        if version is None:
            continue
        if version >= _OLDEST:
            return command
        too_old = f"; {' '.join(command)} here is {version[0]}.{version[1]}, which is too old"
    raise Unfit(
        "config",
        "the SageMaker SDK's local mode needs Docker Compose, and neither docker compose nor "
        f"docker-compose can be run here{too_old}",
        INSTALL_COMPOSE,
    )


def require_engine() -> None:
    """Make sure that a Docker engine answers.

    Raises:
        Unfit: None does.
    """
    done = docker("version", "--format", "{{.Server.Version}}", check=False)
    if done.returncode != 0:
        raise Unfit(
            "engine",
            f"no Docker engine answers: {done.stdout.strip()}",
            "start Docker, or set DOCKER_HOST or a Docker context",
        )


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the docker command; what it says is all in ``stdout``.

    Raises:
        subprocess.CalledProcessError: It fails, and is not to.
    """
    return _run(["docker", *arguments], check=check, timeout_s=_WORK_S)


def docker_for_ever(*arguments: str) -> str:
    """Run the docker command however long it takes; what it says."""
    return _run(["docker", *arguments], check=False, timeout_s=None).stdout


def run_compose(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run Docker Compose; what it says is all in ``stdout``."""
    return _run(command, check=False, timeout_s=_WORK_S)


def has_image(reference: str) -> bool:
    """Whether an image is on this machine."""
    return docker("image", "inspect", reference, check=False).returncode == 0


def environment() -> dict[str, str]:
    """Theirs: version 1 of Compose is a Python program, and no business of the SDK's Python."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _version(command: Sequence[str]) -> tuple[int, int] | None:
    if shutil.which(command[0]) is None:
        return None
    try:
        done = _run(command, check=True, timeout_s=_PROBE_S)
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(done.stdout)
    return None if match is None else (int(match[1]), int(match[2]))


def _run(
    command: Sequence[str], *, check: bool, timeout_s: float | None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this module's own commands
        list(command),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
        check=check,
    )
