"""What devkit tells its driver, by one variable of the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "DEVKIT_SDK_DRIVER"
SESSION_LABEL = "devkit.sdk-session"
RUN_LABEL = "devkit.sdk-run"


@dataclass(frozen=True)
class DriverSettings:
    """What driver and compose program have in common."""

    folder: str
    """Of all sessions of a project; each has a folder in it."""
    store: str
    """The project's ``.devkit``: containers are labelled with it."""
    url: str
    """The local AWS, as this machine reaches it."""
    container_url: str
    """The same, as containers reach it."""
    container_environment: Mapping[str, str]
    """What containers find it by."""
    bucket: str
    """The SDK's default bucket."""
    compose: Sequence[str] = ()
    """What Docker Compose is run by, once it is found."""
    session: str = ""
    """The folder of this session, once it is made."""

    def text(self) -> str:
        """The variable's value."""
        return json.dumps(asdict(self))


def read(environ: Mapping[str, str]) -> DriverSettings:
    """What was told."""
    return DriverSettings(**json.loads(environ[VARIABLE]))


def labels(settings: DriverSettings, project: str) -> dict[str, str]:
    """Whose a container or a network is."""
    return {
        "devkit.store": settings.store,
        SESSION_LABEL: Path(settings.session).name,
        RUN_LABEL: project,
    }


def project_name(settings: DriverSettings, run: Path) -> str:
    """What Compose is to call all that belongs to a run: unique on this machine."""
    return f"devkit-{Path(settings.session).name}-{run.name}"
