"""The instances of a server: started one after the other, and retired while others answer."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Protocol

from devkit import contract
from devkit.attempt import Attempt, diagnose, diagnose_refusal
from devkit.debug_port import DebugPort
from devkit.diagnosis import Diagnosis
from devkit.engines.base import Address, ContainerSpec, Port, StartRefused
from devkit.errors import DevkitError, EngineError, ServingFailed
from devkit.health import Health
from devkit.instances import Instance
from devkit.job import ServeSpec
from devkit.logs import tail
from devkit.opt_ml import OptMl
from devkit.probing import Probe, Probing
from devkit.runtime_client import await_ping, ping

_DEATH_TIMEOUT_S = 5
_DRAIN_POLL_S = 0.05
_SERVE_PORT = Port(number=contract.SERVE_PORT, variable=contract.PORT_VARIABLE)


@dataclass
class Member:
    """An instance of a server, and what its pings say."""

    instance: Instance
    address: Address | None
    """Where its container is reached; ``None`` where that had ended at once."""
    probe: Probing
    health: Health = field(default_factory=Health)

    @property
    def name(self) -> str:
        """The instance's name."""
        return self.instance.name

    def listen(self, *, forgiving: bool) -> Health:
        """Its health after the pings so far; where ``forgiving``, they are as good as any."""
        for problem in self.probe.results():
            self.health = self.health.after(None if forgiving else problem)
        return self.health

    def death(self) -> str | None:
        """How it ended by itself, in a few words; ``None`` while it runs."""
        if not self.instance.ended:
            return None
        try:
            code = self.instance.container.exit_code()
        except EngineError as error:
            return f"is out of reach: {error.message}"
        # Where it still runs, its log could not be kept: the end of the server tells of that.
        return None if code is None else f"ended by itself, with exit code {code}"


class MakeProbe(Protocol):
    """Begins to ping an instance."""

    def __call__(
        self, address: Address, *, ended: Callable[[], bool], on_problem: Callable[[str], None]
    ) -> Probing:
        """Begin.

        Args:
            address: The container's.
            ended: Whether it is of no use any more.
            on_problem: Called where it takes long to come up, and when what is wrong changes.
        """


def _in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="retirement", daemon=True).start()


class Fleet:
    """Starts and retires the instances of one server.

    Args:
        spec: The server.
        attempt: Its run.
        model: Its ``/opt/ml``, the same for all instances.
        debug_port: Leads to the newest of them.
        make_probe: Pings them.
        given_up: Whether none is wanted any more: then one that comes up is not waited for.
        in_background: Does what takes its time while others go on.
    """

    def __init__(
        self,
        spec: ServeSpec,
        attempt: Attempt,
        model: OptMl,
        *,
        debug_port: DebugPort | None = None,
        make_probe: MakeProbe | None = None,
        given_up: Callable[[], bool] = lambda: False,
        in_background: Callable[[Callable[[], None]], None] = _in_thread,
    ) -> None:
        self._spec, self._attempt, self._model = spec, attempt, model
        self._debug_port, self._in_background = debug_port, in_background
        self._make_probe = make_probe or partial(start_probe, timeout_s=spec.startup_timeout_s)
        self._given_up = given_up
        self._numbers = itertools.count(1)
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._members: list[Member] = []

    def start(self) -> Member:
        """Start one more instance, and begin to ping it.

        Raises:
            ServingFailed: Its program cannot be executed.
            DevkitError: The engine refused, or there is no room.
        """
        name = f"instance-{next(self._numbers)}"
        try:
            instance = self._attempt.instances.start(name, self._container(name))
        except StartRefused as refused:
            shutil.rmtree(self._attempt.instances.notes(name), ignore_errors=True)
            raise self._not_started(diagnose_refusal(contract.SERVE_ARGUMENT, refused)) from None
        self.lead_debugger_to(instance)
        address = instance.container.address(contract.SERVE_PORT)
        member = Member(instance, address, self._probe(instance, address))
        self._members.append(member)
        return member

    @property
    def debugged(self) -> bool:
        """Whether a debugger is connected: a program that it halts answers no ping."""
        return self._debug_port is not None and self._debug_port.in_use

    def lead_debugger_to(self, instance: Instance) -> None:
        """Lead debuggers that come from now on to this instance."""
        if self._debug_port is not None:
            self._debug_port.lead_to(instance.container)

    def failure(self, member: Member, problem: str) -> ServingFailed:
        """Why an instance did not come up: its end, or else what was wrong with its ping."""
        instance = member.instance
        code = instance.container.exit_code()
        if code is None:
            return ServingFailed(
                f"server {self._spec.name} did not pass the ping health check within "
                f"{self._spec.startup_timeout_s:g} s: GET /ping: {problem}",
                log_tail=self.tail(member),
                remedy=f"serve must listen on 0.0.0.0:{contract.SERVE_PORT} and answer GET /ping "
                f"with 200 within {contract.PING_TIMEOUT_S:g} s",
            )
        instance.log.wait(_DEATH_TIMEOUT_S)
        run = self._attempt.run
        diagnosis = diagnose(instance.container, contract.SERVE_ARGUMENT, run, instance.name)
        if diagnosis is not None:
            return self._not_started(diagnosis, member)
        return ServingFailed(
            f"server {self._spec.name} ended with exit code {code} before its ping was good",
            log_tail=self.tail(member),
            remedy=f"the whole log: devkit logs {run.name}",
        )

    def warn_of_another_program(self, member: Member) -> None:
        """Say so where what runs is not in the program folder: then edits of that show nowhere."""
        image = self._spec.image
        found = member.instance.container.read_program(contract.SERVE_ARGUMENT)
        if found is None or {image.program_path, str(image.program)} & _folders_of(found.path):
            return
        self._attempt.observer.note(
            f"this image runs {found.path}, which is not in {image.program_path}: edits do not "
            "show there; set [image] program_path to where the program folder is in the image"
        )

    def tail(self, member: Member) -> list[str]:
        """The last lines of an instance."""
        return tail(self._attempt.run, member.name)

    def retire(self, member: Member, *, busy: Callable[[], bool] = lambda: False) -> None:
        """Stop an instance as SageMaker does, in the background; keep its log, and remove it.

        Args:
            member: The instance; nothing leads to it any more.
            busy: Whether it still owes an answer: then it is stopped a little later.
        """
        self._members.remove(member)
        member.probe.stop()
        self._in_background(partial(self._retire, member.instance, busy))

    def close(self) -> None:
        """Leave all instances that are there to whoever finishes the run."""
        with self._lock:
            self._closed.set()
        for member in self._members:
            member.probe.stop()

    def _container(self, name: str) -> ContainerSpec:
        spec, instances = self._spec, self._attempt.instances
        environment = {
            **contract.hosting_environment(spec.environment),
            **spec.platform_environment,
        }
        ports = [_SERVE_PORT]
        if self._debug_port is not None:
            port = self._debug_port.port
            environment[port.variable] = str(port.number)
            ports.append(port)
        return ContainerSpec(
            name=instances.container_name(name),
            image=spec.image,
            command=(contract.SERVE_ARGUMENT,),
            environment=environment,
            mounts=self._model.mounts,
            folders=self._model.folders,
            ports=tuple(ports),
            limits=spec.limits,
            labels=instances.labels,
            run_folder=instances.notes(name),
        )

    def _probe(self, instance: Instance, address: Address | None) -> Probing:
        def note(problem: str) -> None:
            self._attempt.observer.note(f"{instance.name}: ping: {problem}")

        if address is None:
            return _Unreachable()

        def ended() -> bool:
            return instance.ended or self._given_up()

        return self._make_probe(address, ended=ended, on_problem=note)

    def _not_started(self, diagnosis: Diagnosis, member: Member | None = None) -> ServingFailed:
        return ServingFailed(
            f"server {self._spec.name} did not start: {diagnosis.reason}",
            remedy=diagnosis.remedy,
            log_tail=() if member is None else self.tail(member),
        )

    def _retire(self, instance: Instance, busy: Callable[[], bool]) -> None:
        deadline = time.monotonic() + contract.INVOCATION_TIMEOUT_S
        while busy() and time.monotonic() < deadline and not self._closed.wait(_DRAIN_POLL_S):
            pass
        try:
            if not self._closed.is_set():
                instance.container.stop(contract.SERVE_STOP_GRACE_S)
            with self._lock:
                if not self._closed.is_set():
                    instance.complete_log()
                    self._attempt.instances.remove(instance)
        except (DevkitError, OSError) as error:
            if not self._closed.is_set():
                why = str(error).splitlines()[0]
                self._attempt.observer.note(
                    f"{instance.name} could not be removed ({why}): the end of the server does that"
                )


def start_probe(
    address: Address,
    *,
    ended: Callable[[], bool],
    on_problem: Callable[[str], None],
    timeout_s: float,
) -> Probe:
    """Ping a container as SageMaker does, from now on."""

    def start_up(stopped: Callable[[], bool]) -> str | None:
        return await_ping(address, timeout_s, lambda: ended() or stopped(), on_problem)

    return Probe(start_up, partial(ping, address))


def _folders_of(path: str) -> set[str]:
    return {str(folder) for folder in PurePosixPath(path).parents}


class _Unreachable:
    """The probe of a container that had ended before anybody could ask for its address."""

    def __init__(self) -> None:
        self.start_up: Future[str | None] = Future()
        self.start_up.set_result("nothing answers HTTP")

    def results(self) -> list[str | None]:
        """Nothing: it never came up."""
        return []

    def stop(self) -> None:
        """Nothing pings."""
