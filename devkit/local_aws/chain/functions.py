"""The functions of a project: made in Lambda from their folders, and again with every edit.

They are made anew with every start, so nothing of them is kept in the journal.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from devkit.config import FunctionSettings
from devkit.contract import LOCAL_ACCOUNT
from devkit.errors import ConfigError, DevkitError
from devkit.lambda_archive import members_of, write_zip
from devkit.lambda_package import require_size
from devkit.local_aws.errors import AwsError
from devkit.local_aws.identity import trust
from devkit.local_aws.lambda_ import checks
from devkit.source_files import source_files
from devkit.watching import Snapshot, Watch, files_snapshot

ROLE_NAME = "devkit-functions"
_ROLE = f"arn:aws:iam::{LOCAL_ACCOUNT}:role/{ROLE_NAME}"
_CONFLICT = "ResourceConflictException"


class Make(Protocol):
    """Makes something that is not kept; see ``LocalAws.make``."""

    def __call__(
        self, service: str, operation: str, parameters: Mapping[str, Any], *, seed: str
    ) -> Mapping[str, Any]:
        """Call an operation of moto's."""


Install = Callable[[Path], Path]
"""Installs a file of requirements; returns the folder that they are in."""


def make_role(make: Make) -> None:
    """Make the role that the functions have."""
    parameters = {"RoleName": ROLE_NAME, "AssumeRolePolicyDocument": trust("lambda")}
    make("iam", "CreateRole", parameters, seed=ROLE_NAME)


class ProjectFunction:
    """A function.

    Args:
        settings: What the project says of it.
        make: Makes it.
        install: Installs its requirements.
    """

    def __init__(self, settings: FunctionSettings, make: Make, install: Install) -> None:
        self._settings = settings
        self._make_in_moto = make
        self._install = install
        self._watch = Watch(self._look)

    @property
    def name(self) -> str:
        """What it is called."""
        return self._settings.name

    def make(self) -> None:
        """Make it, or bring it up to date.

        Raises:
            DevkitError: Its code cannot be packed, or AWS would refuse it.
        """
        settings = self._settings
        code = {"ZipFile": self._code()}
        configuration: dict[str, Any] = {
            "FunctionName": settings.name,
            "Runtime": settings.runtime,
            "Role": _ROLE,
            "Handler": settings.handler,
            "MemorySize": settings.memory_mb,
            "Timeout": settings.timeout_s,
            "Environment": {"Variables": dict(settings.environment)},
            "Layers": self._layers(),
        }
        try:
            checks.require_creatable({**configuration, "Code": code})
            self._put(configuration, code)
            if settings.reserved_concurrency is not None:
                reserved = {
                    "FunctionName": settings.name,
                    "ReservedConcurrentExecutions": settings.reserved_concurrency,
                }
                self._make("lambda", "PutFunctionConcurrency", reserved)
        except AwsError as error:
            raise DevkitError(f"AWS would refuse the function {settings.name}: {error}") from None

    def _put(self, configuration: Mapping[str, Any], code: Mapping[str, Any]) -> None:
        try:
            self._make("lambda", "CreateFunction", {**configuration, "Code": code})
        except AwsError as error:
            if error.code != _CONFLICT:
                raise
            self._make("lambda", "UpdateFunctionConfiguration", configuration)
            self._make("lambda", "UpdateFunctionCode", {"FunctionName": self.name, **code})

    def changed(self) -> list[str]:
        """What of its files has changed since the last time, once that has settled."""
        return self._watch.changed()

    def _code(self) -> bytes:
        source = self._settings.source
        if source.is_file():
            return source.read_bytes()
        if not source.is_dir():
            raise ConfigError(
                f"the function {self.name} has no source: there is no {source}",
                remedy=f"set [lambda.{self.name}] source to the folder with its handler",
            )
        members = members_of(source)
        require_size({name: path.lstat().st_size for name, path in members.items()})
        archive = io.BytesIO()
        write_zip(members, archive)
        return archive.getvalue()

    def _layers(self) -> list[str]:
        """A layer with its requirements, where it has some."""
        requirements = self._settings.requirements
        if requirements is None or self._settings.source.is_file():
            return []
        archive = io.BytesIO()
        installed = members_of(self._install(requirements))
        write_zip({f"python/{name}": path for name, path in installed.items()}, archive)
        layer = self._make(
            "lambda",
            "PublishLayerVersion",
            {
                "LayerName": f"{self.name}-requirements",
                "Content": {"ZipFile": archive.getvalue()},
            },
        )
        return [layer["LayerVersionArn"]]

    def _make(
        self, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        return self._make_in_moto(service, operation, parameters, seed=f"{self.name}/{operation}")

    def _look(self) -> Snapshot:
        settings = self._settings
        files = [settings.requirements] if settings.requirements else []
        if _is_folder(settings.source):
            packed = files_snapshot(source_files(settings.source), settings.source)
            return {**packed, **files_snapshot(files)}
        return files_snapshot([settings.source, *files])


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # it is below one that may not be read
        return False
