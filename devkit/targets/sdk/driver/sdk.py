"""The SageMaker SDK of this interpreter, version 2 or 3, without what its local mode does badly.

Four functions of the SDK are replaced; an SDK that does not have them is refused by name rather
than run without. Both versions have the same ones, in modules of different names.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from .tools import Unfit

_OLDEST = (2, 257)
_NEWEST_MAJOR = 3
_PACKAGES = {2: "sagemaker.local", 3: "sagemaker.core.local"}
INSTALL = "pip install 'devkit[sagemaker]' (version 2 of the SDK) or 'devkit[sagemaker3]'"


@dataclass(frozen=True)
class Hooks:
    """What local mode is to do in another way."""

    follow: Callable[[Any], int]
    """Follows the process that stands for Docker Compose to its end."""
    await_ping: Callable[..., None]
    """Waits for an endpoint at a port."""


def version() -> str:
    """The version of the SDK that is installed.

    Raises:
        Unfit: None is, or none that is known here.
    """
    try:
        found = metadata.version("sagemaker")
    except metadata.PackageNotFoundError:
        raise Unfit(
            "config", f"the SageMaker SDK is not installed for {sys.executable}", INSTALL
        ) from None
    major, minor = (int(each) for each in found.split(".")[:2])
    if (major, minor) < _OLDEST or major > _NEWEST_MAJOR:
        raise Unfit(
            "config",
            f"version {found} of the SageMaker SDK is for {sys.executable}; devkit knows "
            f"{_OLDEST[0]}.{_OLDEST[1]} to {_NEWEST_MAJOR}.x",
            INSTALL,
        )
    return found


def load(found: str, hooks: Hooks) -> Callable[..., Any]:
    """Import the SDK, which takes seconds; what makes a ``LocalSession`` of it.

    Raises:
        Unfit: It is not as it is known here.
    """
    package = _PACKAGES[int(found.split(".", maxsplit=1)[0])]
    try:
        sessions, image, entities, utils = (
            importlib.import_module(f"{package}.{name}")
            for name in ("local_session", "image", "entities", "utils")
        )
    except ImportError as error:
        raise Unfit(
            "config", f"the SageMaker SDK's local mode cannot be imported: {error}", INSTALL
        ) from error
    replacements: list[tuple[Any, str, Any]] = [
        (image._SageMakerContainer, "_get_compose_cmd_prefix", staticmethod(_compose)),
        (image, "_stream_output", hooks.follow),
        (entities, "_wait_for_serving_container", hooks.await_ping),
        # It would end the compose program's children before that can read their last lines.
        (utils, "kill_child_processes", lambda _pid: None),
    ]
    for owner, name, replacement in replacements:
        if not hasattr(owner, name):
            raise Unfit(
                "config",
                f"version {found} of the SageMaker SDK is not known here: {owner.__name__} has no "
                f"{name}",
                "install the version before it",
            )
        setattr(owner, name, replacement)
    return _session_maker(sessions)


def _compose() -> list[str]:
    return [sys.executable, str(Path(__file__).parent / "launch.py"), "compose"]


def _session_maker(sessions: Any) -> Callable[..., Any]:
    boto3 = importlib.import_module("boto3")

    def make(bucket: str, folder: Path, port: int) -> Any:
        """A session of a run's own: its folder and its port are in the configuration."""
        session = sessions.LocalSession(boto_session=boto3.Session(), default_bucket=bucket)
        own: Mapping[str, Any] = (session.config or {}).get("local", {})
        session.config = {"local": {**own, "container_root": str(folder), "serving_port": port}}
        return session

    return make
