"""The process engine: an image's program folder as a child process, without Docker.

On Linux the program gets namespaces of its own, as an ordinary user and with nothing changed on the
host: a writable ``/opt/ml`` made of its folders and mounts, its program folder at the image's own
path, a private ``/tmp``, a clean environment, and (where it has ports) a network in which it
alone has that port. Where that is refused, or on macOS, it is a plain process in its program
folder, told its places in ``SM_*`` variables and its port in ``SAGEMAKER_BIND_TO_PORT``.

A supervisor (:mod:`devkit.engines.sandbox`) stands between devkit and each program. It ends
everything the program started when the program ends, and the program when devkit does.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from devkit.engines.base import (
    BuildRequest,
    Container,
    ContainerSpec,
    EngineName,
    Image,
    Network,
    OnLine,
    StartRefused,
)
from devkit.engines.environments import Environments
from devkit.engines.process_container import ProcessContainer, discard, find_program
from devkit.engines.process_plan import check, lay_out, make_plan
from devkit.engines.process_supervision import FoundSupervisor, OwnSupervisor, StartFailed
from devkit.engines.sandbox.plan import CONTAINER_IP, PLAN, Plan, load
from devkit.errors import BuildError, EngineError, StoreError
from devkit.ports import LOOPBACK, listen

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
_DOCKER = "use the docker engine: --engine docker"


class ProcessEngine:
    """An :class:`~devkit.engines.base.Engine` over plain processes.

    What it cannot do is refused with the engine that can: memory and CPU limits, images by name,
    and paths outside ``/opt`` and ``/tmp``. In plain processes the size of ``/dev/shm`` is the
    host's, whatever a spec says.

    Args:
        cache: Folder for the programs' virtual environments.
        build_environment: The environment that pip runs in; no program ever sees it.
        namespaces: Whether programs get namespaces: ``None`` where this machine gives them,
            ``True`` always (or an error), ``False`` never.
        serve_network: The network of a program with a port. With ``own`` it has the whole port
            range to itself and is reached over a forwarded port, exactly as a container is, but
            it has no way out to the internet. With ``host`` it shares the host's network, as a
            plain process does: it has to listen on ``SAGEMAKER_BIND_TO_PORT``.
    """

    name: EngineName = "process"

    def __init__(
        self,
        cache: Path,
        build_environment: Mapping[str, str],
        *,
        namespaces: bool | None = None,
        serve_network: Literal["own", "host"] = "own",
    ) -> None:
        self._environments = Environments(cache, build_environment)
        self._cache = cache
        self._homes = homes_of(build_environment)
        self._serve_network = serve_network
        self._required = namespaces is True
        self._isolates = namespaces
        self._refusal = "as asked for"
        if namespaces is None and sys.platform != "linux":
            self._isolates, self._refusal = False, "only Linux has namespaces"

    def describe(self) -> str:
        """What a program gets here, and why not more."""
        if self._isolates is None:
            self._probe()
        if self._isolates:
            return "processes in their own namespaces"
        return f"plain processes ({self._refusal}); programs get SM_* variables instead of /opt/ml"

    def build(self, request: BuildRequest, on_line: OnLine) -> Image:
        """Make the program's environment, or find the one made before."""
        if not request.program.is_dir():
            raise BuildError(
                f"there is no program folder {request.program}",
                remedy="set [image] program in devkit.toml to the folder with train and serve",
            )
        environment = self._environments.make(request.requirements, request.context, on_line)
        return Image(
            reference=str(request.program),
            id=_identity(request.program, environment),
            program=request.program,
            program_path=request.program_path,
            environment=environment,
        )

    def image(self, reference: str) -> Image:
        """Refused: there are no images here, only program folders."""
        raise EngineError(
            f"the process engine runs a program folder, not the image {reference!r}",
            remedy=_DOCKER,
        )

    def start(self, spec: ContainerSpec) -> Container:
        """Start the program of ``spec.image`` under a supervisor of its own."""
        check(spec)
        if (spec.run_folder / PLAN).exists():
            raise EngineError(
                f"there is a container {spec.name} in {spec.run_folder} already",
                remedy="remove it first",
            )
        if self._isolates is not False:
            try:
                container = self._launch(spec, isolated=True)
            except _NamespacesRefused as refused:
                self._note_refusal(refused)
            else:
                self._isolates = True
                return container
        return self._launch(spec, isolated=False)

    def require_hosts(self, count: int) -> None:
        """One host, which is this machine."""
        if count > 1:
            raise EngineError(
                f"the process engine runs one host, not {count}: processes have no network of "
                "their own in which algo-1, algo-2, … could find each other",
                remedy=_DOCKER,
            )

    def create_network(
        self,
        name: str,
        hosts: Sequence[str],
        labels: Mapping[str, str],  # noqa: ARG002 - there is nobody to tell
        *,
        isolated: bool,
    ) -> Network:
        """The network of one host, which is alone in it; see :meth:`require_hosts`."""
        self.require_hosts(len(hosts))
        if not isolated:
            raise EngineError(f"the process engine has no network {name} that leads anywhere")
        return Network(name=name, addresses=dict.fromkeys(hosts, CONTAINER_IP))

    def remove_network(self, name: str) -> None:
        """There is none."""

    def reopen(self, name: str, run_folder: Path) -> Container | None:
        """A container that left its notes in ``run_folder``, running or ended."""
        try:
            plan = load(run_folder)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise EngineError(f"cannot read the notes in {run_folder}: {error}") from error
        return ProcessContainer(plan, FoundSupervisor(run_folder)) if plan.name == name else None

    def _launch(self, spec: ContainerSpec, *, isolated: bool) -> Container:
        if spec.network is not None and not isolated:
            raise EngineError(
                f"plain processes cannot be kept from the network ({self._refusal})", remedy=_DOCKER
            )
        forwards = isolated and self._serve_network == "own" and bool(spec.ports)
        with ExitStack() as stack:
            listeners = [stack.enter_context(_listener()) for _ in spec.ports]
            plan = make_plan(
                spec,
                isolated=isolated,
                own_network=forwards or spec.network is not None,
                host_ports=[int(each.getsockname()[1]) for each in listeners],
                homes=self._homes,
            )
            if not forwards:
                stack.close()  # the program itself is to listen there
                listeners = []
            return _start(plan, listeners)

    def _probe(self) -> None:
        """Find out once whether programs get namespaces, by setting them up for no program."""
        self._cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="probe-", dir=self._cache) as folder:
            plan = Plan(
                name="probe",
                run_folder=folder,
                command=[],
                environment={},
                working_folder="/",
                hostname="probe",
                labels={},
                folders={},
                isolated=True,
                own_network=self._serve_network == "own",
                probe=True,
                masks=[str(home / ".aws") for home in self._homes],
            )
            try:
                _start(plan, []).remove()
            except _NamespacesRefused as refused:
                self._note_refusal(refused)
            else:
                self._isolates = True

    def _note_refusal(self, refused: _NamespacesRefused) -> None:
        if self._required or self._isolates:
            raise EngineError(
                f"this machine refuses namespaces: {refused}", remedy=_DOCKER
            ) from refused
        self._isolates, self._refusal = False, f"this machine refuses namespaces: {refused}"


class _NamespacesRefused(Exception):
    """The supervisor got no namespaces here."""


def _start(plan: Plan, listeners: Sequence[socket.socket]) -> ProcessContainer:
    """Start a container; on any failure nothing of it is left."""
    supervisor: OwnSupervisor | None = None
    try:
        lay_out(plan)
        supervisor = OwnSupervisor(plan, listeners)
        return ProcessContainer(plan, supervisor)
    except StartFailed as failed:
        error = _explained(failed, plan)
        discard(plan)
        raise error from None
    except OSError as failed:
        discard(plan)
        if failed.errno in _DISK_ERRORS:
            raise StoreError(
                f"cannot write {failed.filename or plan.run_folder}: {failed.strerror}",
                remedy="see that the disk is not full and that you may write there",
            ) from failed
        raise EngineError(f"the process engine could not start {plan.name}: {failed}") from failed
    except BaseException:
        if supervisor is not None:
            supervisor.end()
        discard(plan)
        raise


def _explained(failed: StartFailed, plan: Plan) -> Exception:
    if failed.kind == "refused":
        return _NamespacesRefused(failed.detail + _security_module())
    if failed.kind == "exec":
        return StartRefused(failed.detail, find_program(plan, plan.command[0]))
    return EngineError(f"the process engine could not start {plan.name}: {failed.detail}")


def _security_module() -> str:
    switch = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    try:
        restricted = switch.read_text(encoding="ascii").strip() == "1"
    except OSError:
        return ""
    return f" (AppArmor restricts them: sysctl kernel.{switch.name})" if restricted else ""


def _listener() -> socket.socket:
    """A socket on a free port, so that the port is taken from now on."""
    try:
        return listen(0)
    except OSError as error:
        raise EngineError(f"cannot listen on {LOOPBACK}: {error.strerror}") from error


def homes_of(environment: Mapping[str, str]) -> frozenset[Path]:
    """The folders that may be the user's home, with credentials in them."""
    homes = {environment["HOME"]} if environment.get("HOME") else set()
    with suppress(KeyError):  # a user without a name, as in some containers
        homes.add(pwd.getpwuid(os.geteuid()).pw_dir)
    return frozenset(Path(home) for home in homes)


def _identity(program: Path, environment: Path) -> str:
    """Tells one state of a program folder and its requirements from another."""
    digest = hashlib.sha256(environment.name.encode())
    for path in sorted(program.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            found = path.stat()
            facts = (path.relative_to(program), found.st_mode, found.st_size, found.st_mtime_ns)
            digest.update(repr(tuple(map(str, facts))).encode("utf-8", "surrogateescape"))
    return f"process:{digest.hexdigest()}"
