"""devkit: run a SageMaker bring-your-own image on a laptop exactly as SageMaker will.

The public names are those below; everything else may change between releases. They are imported
when they are first used: ``import devkit`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devkit.errors import (
        BuildError,
        ConfigError,
        DevkitError,
        EngineError,
        InvocationFailed,
        NotFound,
        PortInUse,
        ServingFailed,
        StoreError,
        TrainingFailed,
    )
    from devkit.job import Outcome, Status
    from devkit.local_run import Server, TrainingResult
    from devkit.project import Project, RunResult

__version__ = "0.1.0"

_MODULES = {
    "Project": "project",
    "RunResult": "project",
    "Server": "local_run",
    "TrainingResult": "local_run",
    "Outcome": "job",
    "Status": "job",
    "BuildError": "errors",
    "ConfigError": "errors",
    "DevkitError": "errors",
    "EngineError": "errors",
    "InvocationFailed": "errors",
    "NotFound": "errors",
    "PortInUse": "errors",
    "ServingFailed": "errors",
    "StoreError": "errors",
    "TrainingFailed": "errors",
}

__all__ = [  # noqa: RUF022 - the project first
    "Project",
    "RunResult",
    "Server",
    "TrainingResult",
    "Outcome",
    "Status",
    "BuildError",
    "ConfigError",
    "DevkitError",
    "EngineError",
    "InvocationFailed",
    "NotFound",
    "PortInUse",
    "ServingFailed",
    "StoreError",
    "TrainingFailed",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
