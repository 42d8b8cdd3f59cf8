"""Virtual environments for programs, made from a requirements file and kept by its content."""

from __future__ import annotations

import platform
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from devkit.build_commands import Build
from devkit.engines.base import OnLine
from devkit.errors import BuildError
from devkit.kept_folders import keep
from devkit.requirements_files import INSTALL, key, pip_settings


class Environments:
    """A folder of virtual environments, one for each content of a requirements file.

    Any number of processes may use it at once.

    Args:
        folder: Where they are kept.
        build_environment: The environment variables that pip runs with.
    """

    def __init__(self, folder: Path, build_environment: Mapping[str, str]) -> None:
        self._folder = folder.absolute()
        self._build_environment = dict(build_environment)

    def make(self, requirements: Path | None, context: Path, on_line: OnLine) -> Path:
        """The environment for a requirements file, made if there is none yet.

        Args:
            requirements: The file; ``None`` gives an environment with nothing but pip.
            context: The folder that pip runs in, for relative paths in the file.
            on_line: Is given every line of progress as it comes.

        Raises:
            BuildError: With the last lines of pip; nothing half made is left.
        """

        def fill(path: Path, build: Build) -> None:
            self._create(path, build)
            if requirements is not None:
                self._install(path, requirements, context, build)

        return keep(self._folder / key(requirements, *own_python()), fill, on_line)

    def _create(self, path: Path, build: Build) -> None:
        build.on_line(f"making a virtual environment for Python {platform.python_version()}")
        settings = {
            name: value
            for name, value in self._build_environment.items()
            if not name.startswith("VIRTUALENV_")
        }
        app_data = str(self._folder / "virtualenv")
        command = [sys.executable, "-m", "virtualenv", "--quiet", "--app-data", app_data]
        code = build.run([*command, "--no-periodic-update", str(path)], settings, self._folder)
        if code != 0:
            raise BuildError(
                f"virtualenv could not make an environment (exit code {code})",
                remedy="see its last lines; it runs on the Python that devkit is installed in: "
                f"{sys.executable}",
                log_tail=build.tail,
            )

    def _install(self, path: Path, requirements: Path, context: Path, build: Build) -> None:
        command = [str(path / "bin" / "python"), "-m", "pip", *INSTALL, "-r", str(requirements)]
        code = build.run(command, pip_settings(self._build_environment), context)
        if code != 0:
            raise BuildError(
                f"pip could not install {requirements} (exit code {code})",
                remedy=f"see pip's last lines; what {requirements.name} names must be available "
                f"for Python {platform.python_version()} on this machine",
                log_tail=build.tail,
            )


def own_python() -> tuple[str, ...]:
    """What an installation for devkit's own Python depends on."""
    return (
        platform.python_implementation(),
        platform.python_version(),
        sysconfig.get_platform(),
        sys.base_prefix,
    )
