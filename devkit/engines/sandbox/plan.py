"""What the engine asks a supervisor to do, as it stands in the run folder for both to read."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

PLAN = "plan.json"
"""The plan itself."""
RUNNING = "running.json"
"""The supervisor's process id; locked (``flock``) by the supervisor for as long as it lives."""
EXIT = "exit.json"
"""The exit code, written when the last process is gone."""
OUTPUT = "output.log"
"""Everything the program wrote to its standard output and standard error."""
TROUBLE = "supervisor.log"
"""What the supervisor itself had to say; empty unless it has a bug."""
HOSTS = "hosts"
"""The container's ``/etc/hosts``."""
SCRATCH = "tmp"
"""The container's ``/tmp``."""
OPT_ML = "ml"
"""What the container has in ``/opt/ml`` besides its folders and mounts."""

_DRAFTS = (f"{PLAN}.draft", f"{EXIT}.draft")
ENTRIES = (PLAN, RUNNING, EXIT, *_DRAFTS, OUTPUT, TROUBLE, HOSTS, SCRATCH, OPT_ML)
"""Everything that an engine or a supervisor ever makes in a run folder."""

CONTAINER_IP = "169.254.178.3"
"""The address of a container that has a network of its own; its port is forwarded to here."""
PROBE_IP = "169.254.178.2"
"""Where forwarded connections seem to come from: the address SageMaker's own probes have."""


PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""The signals that a supervisor passes on to its program."""


class Bind(NamedTuple):
    """A host file or folder that the program sees somewhere else."""

    source: str
    target: str
    read_only: bool


class Link(NamedTuple):
    """A symbolic link that stands in for a bind where there are no namespaces."""

    path: str
    source: str
    displaced: str
    """What had to make room and comes back afterwards: ``folder``, ``file`` or ``nothing``."""


class PublishedPort(NamedTuple):
    """A port of the program, and where it is reached on the host's 127.0.0.1."""

    container: int
    host: int


class Plan(NamedTuple):
    """One container, complete: nothing is looked up later."""

    name: str
    run_folder: str
    command: list[str]
    environment: dict[str, str]
    working_folder: str
    hostname: str
    labels: dict[str, str]
    folders: dict[str, str]
    """What the container writes to: target to source."""
    isolated: bool = False
    """Give the program namespaces of its own; report ``refused`` where that cannot be."""
    own_network: bool = False
    """Give it a network of its own, too, and forward its ports."""
    probe: bool = False
    """Only find out whether namespaces are to be had: set them up, run nothing."""
    ports: Sequence[PublishedPort] = ()
    binds: Sequence[Bind] = ()
    keep: Sequence[str] = ()
    """Host paths the program needs to see even where they lie below ``/tmp``."""
    masks: Sequence[str] = ()
    """Host folders the program sees empty."""
    shm_bytes: int | None = None
    links: Sequence[Link] = ()

    def save(self) -> None:
        """Write it where :func:`load` finds it: whole, or not at all."""
        draft = Path(self.run_folder) / f"{PLAN}.draft"
        draft.write_text(json.dumps(self._asdict()), encoding="ascii")
        draft.replace(draft.with_name(PLAN))


def load(run_folder: Path) -> Plan:
    """Read the plan of a container.

    Raises:
        OSError: There is none.
        ValueError: It is damaged.
    """
    fields: dict[str, Any] = json.loads((run_folder / PLAN).read_text(encoding="ascii"))
    fields["binds"] = [Bind(*bind) for bind in fields["binds"]]
    fields["links"] = [Link(*link) for link in fields["links"]]
    fields["ports"] = [PublishedPort(*port) for port in fields["ports"]]
    return Plan(**fields)
