"""From a container's spec to the plan for its supervisor: what the program sees, and where."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from devkit import contract
from devkit.engines.base import ContainerSpec, Folder, Mount
from devkit.engines.process_places import Places
from devkit.engines.sandbox.plan import (
    CONTAINER_IP,
    HOSTS,
    OPT_ML,
    SCRATCH,
    Bind,
    Plan,
    PublishedPort,
)
from devkit.errors import EngineError

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOUNTABLE = (PurePosixPath("/opt"), PurePosixPath("/tmp"))  # noqa: S108 - the container's own
_HOSTNAME_CHARACTERS = 63  # of a label in DNS: what looks the name up may insist on that
_DOCKER = "use the docker engine: --engine docker"


def check(spec: ContainerSpec) -> None:
    """Refuse what the process engine cannot do, before anything is started.

    Raises:
        EngineError: With the engine that can.
    """
    if spec.image.program is None or spec.image.program_path is None:
        raise EngineError(
            f"the process engine runs a program folder, not the image {spec.image.reference}",
            remedy=_DOCKER,
        )
    limits = {
        "memory": spec.limits.memory_bytes,
        "CPU": spec.limits.cpus,
        "GPU": spec.limits.gpus,
    }
    for name, limit in limits.items():
        if limit is not None:
            raise EngineError(f"the process engine cannot limit {name} use", remedy=_DOCKER)
    if not (spec.entrypoint or spec.command):
        raise EngineError("no command: a program folder has no ENTRYPOINT and no CMD of its own")
    _check_places(spec)
    _check_text((*spec.command, *(spec.entrypoint or ()), *_flat(spec)))


def make_plan(
    spec: ContainerSpec,
    *,
    isolated: bool,
    own_network: bool,
    host_ports: Sequence[int],
    homes: Iterable[Path],
) -> Plan:
    """The plan for one container.

    Args:
        spec: The container; it has passed :func:`check`.
        isolated: Whether its program gets namespaces of its own.
        own_network: Whether it gets a network of its own, with its ports forwarded to.
        host_ports: Where its ports are reached on the host, in the order of the spec.
        homes: The home folders whose ``.aws`` it must not see.
    """
    run_folder = spec.run_folder.absolute()
    program_path = _program_path(spec, isolated=isolated)
    home = "/tmp/home" if isolated else str(run_folder / SCRATCH / "home")  # noqa: S108 - its own
    places = Places(spec, run_folder / OPT_ML)
    hostname = (spec.hostname or spec.name)[:_HOSTNAME_CHARACTERS].rstrip("-")
    environment = {
        "PATH": ":".join([program_path, *_environment_bin(spec), _SYSTEM_PATH]),
        "HOME": home,
        "LANG": "C.UTF-8",
        "HOSTNAME": hostname,
        "PYTHONUNBUFFERED": "1",
    }
    if spec.image.environment is not None:
        environment["VIRTUAL_ENV"] = str(spec.image.environment)
    published = [
        PublishedPort(port.number, host) for port, host in zip(spec.ports, host_ports, strict=True)
    ]
    told = {port.variable: str(host) for port, host in zip(spec.ports, host_ports, strict=True)}
    if not isolated:
        environment |= places.variables()
    return Plan(
        name=spec.name,
        run_folder=str(run_folder),
        command=[*(spec.entrypoint or ()), *spec.command],
        environment={**environment, **spec.environment, **({} if own_network else told)},
        working_folder=program_path,
        hostname=hostname,
        labels=dict(spec.labels),
        isolated=isolated,
        own_network=own_network,
        ports=published,
        folders={folder.target: str(folder.source) for folder in spec.folders},
        binds=_binds(spec, program_path),
        keep=_keep(spec),
        masks=[str(folder / ".aws") for folder in homes],
        shm_bytes=spec.limits.shm_bytes or contract.SHM_BYTES,
        links=[] if isolated else places.links(),
    )


def lay_out(plan: Plan, *, home: bool = True) -> None:
    """Write the plan into its run folder, with the folders and files that it names there.

    Args:
        plan: The plan.
        home: Whether there is a home folder in its ``/tmp``.
    """
    run_folder = Path(plan.run_folder)
    (run_folder / OPT_ML).mkdir(parents=True, exist_ok=True)
    scratch = run_folder / SCRATCH
    (scratch / "home" if home else scratch).mkdir(parents=True, exist_ok=True)
    scratch.chmod(0o1777)
    if plan.isolated:
        address = CONTAINER_IP if plan.own_network else "127.0.0.1"
        hosts = Path("/etc/hosts")
        known = hosts.read_bytes() if hosts.exists() else b""
        (run_folder / HOSTS).write_bytes(f"{address}\t{plan.hostname}\n".encode() + known)
    plan.save()


def host_path(plan: Plan, path: str) -> Path:
    """Where a file of the container is on the host."""
    target = PurePosixPath(path)
    for bind in sorted(plan.binds, key=lambda bind: -len(bind.target)):
        if target.is_relative_to(bind.target):
            return Path(bind.source) / target.relative_to(bind.target)
    if plan.isolated and target.is_relative_to(_MOUNTABLE[1]):
        return Path(plan.run_folder, SCRATCH) / target.relative_to(_MOUNTABLE[1])
    return Path(path)


def _program_path(spec: ContainerSpec, *, isolated: bool) -> str:
    """The image's own path where it can be shown there, or else the program folder itself."""
    if isolated and _below_opt(spec.image.program_path):
        return str(spec.image.program_path)
    return str(spec.image.program)


def _below_opt(path: str | None) -> bool:
    return path is not None and _MOUNTABLE[0] in PurePosixPath(path).parents


def _binds(spec: ContainerSpec, program_path: str) -> list[Bind]:
    binds = [Bind(str(f.source), f.target, read_only=False) for f in spec.folders]
    binds += [Bind(str(m.source), m.target, read_only=True) for m in spec.mounts]
    # Nothing a program does may reach the user's source or the environment that others share.
    binds.append(Bind(str(spec.image.program), program_path, read_only=True))
    if spec.image.environment is not None:
        environment = str(spec.image.environment)
        binds.append(Bind(environment, environment, read_only=True))
    return binds


def _keep(spec: ContainerSpec) -> list[str]:
    """Where the Python is that the environment was made from."""
    paths = {sys.base_prefix, sys.base_exec_prefix}
    paths |= {str(Path(path).resolve()) for path in paths}
    if spec.image.environment is not None:
        python = spec.image.environment / "bin" / "python"
        paths.add(str(python.resolve().parent.parent))
    return sorted(path for path in paths if Path(path).is_dir())


def _environment_bin(spec: ContainerSpec) -> list[str]:
    return [] if spec.image.environment is None else [str(spec.image.environment / "bin")]


def _check_places(spec: ContainerSpec) -> None:
    entries: list[Folder | Mount] = [*spec.folders, *spec.mounts]
    for entry in entries:
        parents = PurePosixPath(entry.target).parents
        if not any(place in parents for place in _MOUNTABLE):
            raise EngineError(
                f"the process engine cannot show anything at {entry.target}, only below /opt "
                "and /tmp",
                remedy=_DOCKER,
            )
        if not entry.source.exists():
            raise EngineError(f"{entry.source}, which belongs at {entry.target}, does not exist")


def _flat(spec: ContainerSpec) -> Iterable[str]:
    return (text for item in spec.environment.items() for text in item)


def _check_text(texts: Iterable[str]) -> None:
    for text in texts:
        if "\0" in text:
            raise EngineError(f"a command or an environment has no room for NUL: {text!r}")
