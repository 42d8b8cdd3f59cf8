"""What a function's code imports, installed into a folder: for Lambda, or for this machine.

A folder is kept by what it depends on, so that the second time is instant. pip comes from a virtual
environment of the cache; devkit's own environment needs none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devkit import pip_elsewhere
from devkit.build_commands import Build
from devkit.config import Machine
from devkit.engines.base import OnLine
from devkit.engines.environments import Environments, own_python
from devkit.errors import BuildError
from devkit.kept_folders import keep
from devkit.requirements_files import INSTALL, editable_lines, key, local_facts, pip_settings

# Beside the marker that says the folder is whole, and called as in a layer.
_FOLDER = "python"
# glibc's minor version: Amazon Linux 2023, and Amazon Linux 2 before it.
_GLIBC_MINOR, _OLD_GLIBC_MINOR = 34, 26
_OLD_RUNTIMES = ("python3.10", "python3.11")
_OLDEST_TAGGED_GLIBC_MINOR = 17
_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
_WITHOUT_WHEEL = re.compile(r"No matching distribution found for (\S+)")


@dataclass(frozen=True)
class LambdaPlatform:
    """Where Lambda runs a function: ``python3.12`` on ``x86_64``."""

    runtime: str
    architecture: str

    @property
    def tags(self) -> tuple[str, ...]:
        """The platforms of wheels that run there, the best first."""
        machine = _MACHINES[self.architecture]
        newest = _OLD_GLIBC_MINOR if self.runtime in _OLD_RUNTIMES else _GLIBC_MINOR
        versions = range(newest, _OLDEST_TAGGED_GLIBC_MINOR - 1, -1)
        return (
            *(f"manylinux_2_{minor}_{machine}" for minor in versions),
            f"manylinux2014_{machine}",
        )

    @property
    def pip_arguments(self) -> tuple[str, ...]:
        """How pip is told to install for it, whatever it runs on itself."""
        version = self.runtime.removeprefix("python")
        platforms = (word for tag in self.tags for word in ("--platform", tag))
        python = ("--implementation", "cp", "--python-version", version)
        return (*python, "--only-binary", ":all:", *platforms)

    @property
    def markers(self) -> dict[str, str]:
        """The values of markers there (PEP 508)."""
        version = self.runtime.removeprefix("python")
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": _MACHINES[self.architecture],
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{version}.0",
            "python_version": version,
            "sys_platform": "linux",
        }


def install_requirements(
    requirements: Path,
    machine: Machine,
    on_line: OnLine,
    *,
    platform: LambdaPlatform | None = None,
) -> Path:
    """A folder for ``sys.path`` with what a requirements file names.

    It is shared, and not to be written to. Any number of devkits may ask for it at once.

    Args:
        requirements: The file; relative paths in it count from its folder.
        machine: Says where the folder is kept, and what environment pip runs in.
        on_line: Is given every line of progress as it comes.
        platform: Whom it is for: this machine and devkit's own Python, if it is not Lambda.

    Raises:
        BuildError: With pip's last lines, and the package that has no wheel for the platform.
    """
    requirements = requirements.absolute()
    _refuse_editable(requirements)
    facts = own_python() if platform is None else platform.pip_arguments
    name = key(requirements, *facts, *local_facts(requirements))

    def fill(path: Path, build: Build) -> None:
        environments = Environments(machine.cache, machine.child_environment)
        python = environments.make(None, requirements.parent, on_line) / "bin" / "python"
        target = path / _FOLDER
        target.mkdir(parents=True)
        command = [str(python), *_pip(platform), "--target", str(target), "-r", str(requirements)]
        settings = pip_settings(machine.child_environment)
        code = build.run(command, settings, requirements.parent)
        if code != 0:
            raise _failed(requirements, platform, code, build.tail)
        _forget_this_machine(target, python)

    return keep(machine.cache / "lambda" / name, fill, on_line) / _FOLDER


def _pip(platform: LambdaPlatform | None) -> tuple[str, ...]:
    """How Python is told to run pip."""
    if platform is None:
        return ("-m", "pip", *INSTALL)
    pip = (pip_elsewhere.__file__, json.dumps(platform.markers))
    return (*pip, *INSTALL, "--no-compile", *platform.pip_arguments)


def _refuse_editable(requirements: Path) -> None:
    lines = editable_lines(requirements)
    if lines:
        raise BuildError(
            f"{requirements} says {lines[0]!r}: an editable package is a link to this machine",
            remedy="name the package's folder alone: ./package",
        )


def _failed(
    requirements: Path, platform: LambdaPlatform | None, code: int, tail: Sequence[str]
) -> BuildError:
    missing = [match[1] for line in tail if (match := _WITHOUT_WHEEL.search(line))]
    if platform is None or not missing:
        return BuildError(
            f"pip could not install {requirements} (exit code {code})",
            remedy="see pip's last lines",
            log_tail=tail,
        )
    return BuildError(
        f"there is no wheel of {', '.join(missing)} for {platform.runtime} on "
        f"{platform.architecture}, which {requirements} asks for",
        remedy="take a version that has one, or another --runtime or --architecture; what has "
        "none at all is built in a container of Lambda's, and named in the file by its wheel",
        log_tail=tail,
    )


def _forget_this_machine(folder: Path, python: Path) -> None:
    """Take out what names paths of this machine, and is of no use on another.

    That is commands that begin with the path of our own Python, and where a package came from.
    """
    beginning = f"#!{python}".encode()
    commands = [path for path in folder.glob("bin/*") if _starts_with(path, beginning)]
    origins = list(folder.glob("*.dist-info/direct_url.json"))
    for path in (*commands, *origins):
        path.unlink()
    lines = [f"../../bin/{path.name}," for path in commands]
    lines += [f"{path.relative_to(folder)}," for path in origins]
    for record in folder.glob("*.dist-info/RECORD"):
        kept = record.read_text("utf-8").splitlines(keepends=True)
        record.write_text("".join(line for line in kept if not line.startswith(tuple(lines))))


def _starts_with(path: Path, beginning: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(beginning)) == beginning
