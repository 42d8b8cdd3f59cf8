"""Replacement: who is in service, after whatever happens to the instances of a server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import pairwise

import pytest

from devkit.attempt import Attempt
from devkit.debug_port import DebugPort
from devkit.engines.base import Address, Container, Port
from devkit.errors import EngineError
from devkit.finishing import Ending
from devkit.fleet import Fleet, Member
from devkit.job import ServeSpec, Status
from devkit.opt_ml import OptMl
from devkit.replacement import Edits, Replacement
from devkit.store import Store
from devkit.watching import Look, Snapshot, Watch
from tests.unit.fakes import IMAGE, FakeEngine, Inside, Notes

CONTAINER = Address("127.0.0.1", 1)


class FakeProbe:
    """A probe that says what a test tells it to."""

    def __init__(self) -> None:
        self.start_up: Future[str | None] = Future()
        self.said: list[str | None] = []
        self.stopped = False

    def results(self) -> list[str | None]:
        said, self.said = self.said, []
        return said

    def stop(self) -> None:
        self.stopped = True


class FakeEntrance:
    """An entrance that remembers where it led."""

    def __init__(self) -> None:
        self.address = Address("127.0.0.1", 8080)
        self.url = self.address.url
        self.led_to: list[Address | None] = []

    def switch(self, backend: Address | None) -> None:
        self.led_to.append(backend)

    def busy(self, backend: Address) -> bool:  # noqa: ARG002
        return False

    def stop(self, grace_s: float) -> None:
        """Nothing to stop."""

    def close(self) -> None:
        """Nothing to close."""


class FakeDebugPort(DebugPort):
    """A debugger's port that listens nowhere."""

    def __init__(self) -> None:
        self.port = Port(number=5678, variable="DEVKIT_DEBUG_PORT")
        self.led_to: list[str | None] = []
        self.connected = False

    @property
    def in_use(self) -> bool:
        return self.connected

    def lead_to(self, container: Container | None) -> None:
        self.led_to.append(None if container is None else container.name.rpartition("-")[2])


class Listening(Notes):
    """An observer that one can wait for: the lines come from another thread."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()

    def line(self, host: str, line: str) -> None:
        super().line(host, line)
        self.heard.set()


class Stage:
    """A server in service, and everything that can happen to it."""

    def __init__(self, store: Store) -> None:
        self.now = 0.0
        self.files: Snapshot = {}
        self.build_files: Snapshot = {}
        self.notes = Listening()
        self.ends: dict[str, int] = {}
        self.probes: list[FakeProbe] = []
        self.entrance = FakeEntrance()
        self.debug_port = FakeDebugPort()
        self.engine = FakeEngine(self._program, CONTAINER)
        spec = ServeSpec(name="s", image=IMAGE, model=None)
        self.attempt = Attempt(
            "server",
            "s",
            image=IMAGE,
            request={},
            grace_s=30,
            engine=self.engine,
            store=store,
            observer=self.notes,
        )
        self.fleet = Fleet(
            spec,
            self.attempt,
            OptMl((), ()),
            debug_port=self.debug_port,
            make_probe=self._probe,
            in_background=lambda work: work(),
        )
        self.replacement = Replacement(
            self.fleet.start(),
            self.fleet,
            self.entrance,
            observer=self.notes,
            edits=Edits(program=Watch(lambda: self.files), build=Watch(lambda: self.build_files)),
            clock=lambda: self.now,
        )

        assert self.notes.heard.wait(10)

    # --- what happens ------------------------------------------------------------------------

    def pings(self, *said: str | None) -> None:
        """Those of the instance in service."""
        self.probe_of(self.current).said += said

    def ends_with(self, code: int) -> None:
        """The instance in service ends."""
        container = self.engine.containers[self.number_of(self.current) - 1]
        container.end(code)
        self.current.instance.log.wait()

    def comes_up(self, problem: str | None = None) -> None:
        """The newest instance does."""
        self.probes[-1].start_up.set_result(problem)

    def edit(self, version: int) -> None:
        """Somebody edits model.py, and the edit settles."""
        self.files = {"model.py": Look(version, 1, 0o644)}
        self.steps(2)

    def steps(self, count: int = 1, seconds: float = 0.1) -> None:
        for _ in range(count):
            self.now += seconds
            self.replacement.step()

    # --- what is the case --------------------------------------------------------------------

    @property
    def current(self) -> Member:
        assert self.replacement.current is not None
        return self.replacement.current

    @property
    def in_service(self) -> str | None:
        member = self.replacement.current
        return None if member is None else member.name

    @property
    def removed(self) -> list[int]:
        return [n for n, each in enumerate(self.engine.containers, 1) if each.removed]

    def number_of(self, member: Member) -> int:
        return int(member.name.rpartition("-")[2])

    def probe_of(self, member: Member) -> FakeProbe:
        assert isinstance(member.probe, FakeProbe)
        return member.probe

    def told(self, text: str) -> bool:
        return any(text in note for note in self.notes.notes)

    def close(self) -> None:
        self.fleet.close()
        self.attempt.stop(self.attempt.instances.left(), 0)
        self.attempt.finish(Ending(Status.STOPPED))

    def _program(self, inside: Inside) -> int:
        inside.print(f"hello from {inside.spec.name.rpartition('-')[2]}")
        inside.stopped.wait()
        return 0

    def _probe(
        self,
        address: Address,
        *,
        ended: Callable[[], bool],  # noqa: ARG002
        on_problem: Callable[[str], None],  # noqa: ARG002
    ) -> FakeProbe:
        assert address == CONTAINER
        self.probes.append(FakeProbe())
        return self.probes[-1]


@pytest.fixture
def stage(store: Store) -> Iterator[Stage]:
    stage = Stage(store)
    yield stage
    stage.close()
    assert all(each.removed for each in stage.engine.containers)
    assert all(probe.stopped for probe in stage.probes)


# --- health -----------------------------------------------------------------------------------


def test_a_server_whose_pings_are_good_stays(stage: Stage) -> None:
    for _ in range(10):
        stage.pings(None, "HTTP 500", "HTTP 500")
        stage.steps()
    assert (stage.in_service, stage.entrance.led_to) == ("instance-1", [])


def test_a_server_with_three_bad_pings_in_a_row_is_taken_out_and_replaced(stage: Stage) -> None:
    """Contract 2.3."""
    stage.pings("HTTP 500", "HTTP 500")
    stage.steps()
    assert stage.in_service == "instance-1"
    stage.pings("no answer within 2 s")
    stage.steps()
    assert stage.in_service is None
    assert stage.entrance.led_to == [None]
    assert stage.told("instance-1 is unhealthy: GET /ping: no answer within 2 s (3 times in a row)")
    assert stage.told("  | hello from 1")
    assert stage.engine.containers[0].graces == [30.0]
    assert stage.removed == [1]
    stage.comes_up()
    stage.steps()
    assert stage.in_service == "instance-2"
    assert stage.entrance.led_to == [None, CONTAINER]
    assert stage.replacement.counts.restarts == 1
    assert stage.attempt.run.log("instance-1").read_text() == "hello from 1\n"


def test_a_server_that_ends_is_taken_out_at_once_with_its_exit_code(stage: Stage) -> None:
    stage.ends_with(9)
    stage.steps()
    assert stage.told("instance-1 ended by itself, with exit code 9")
    assert stage.entrance.led_to == [None]
    stage.comes_up()
    stage.steps()
    assert (stage.in_service, stage.removed) == ("instance-2", [1])


def test_a_replacement_that_does_not_come_up_is_told_and_tried_again_ever_more_slowly(
    stage: Stage,
) -> None:
    """Contract 2.1: a crash loop, for ever."""
    stage.ends_with(9)
    begun = []
    for _ in range(2000):
        before = len(stage.probes)
        stage.steps()
        if len(stage.probes) > before:
            begun.append(stage.now)
            stage.comes_up("HTTP 500 no weights")
    pauses = [round(later - sooner) for sooner, later in pairwise(begun)]
    assert pauses[:7] == [1, 2, 4, 8, 16, 30, 30]
    assert set(pauses[7:]) <= {30}
    assert stage.told("server s did not pass the ping health check within 480 s: GET /ping: HTTP 5")
    assert stage.told("starting another instance in 4 s")
    assert stage.removed == list(range(1, len(begun) + 2))


def test_an_engine_that_refuses_is_asked_again(stage: Stage) -> None:
    stage.engine.start_error = EngineError("the engine went away")
    stage.ends_with(9)
    stage.steps(5)
    assert stage.told("the engine went away")
    stage.engine.start_error = None
    stage.steps(10)
    stage.comes_up()
    stage.steps()
    assert stage.in_service is not None


def test_a_server_that_dies_again_and_again_is_started_ever_more_slowly(stage: Stage) -> None:
    for pause in (0, 1, 2):
        stage.ends_with(1)
        stage.steps()
        count = len(stage.probes)
        stage.steps(1, max(0.0, pause - 0.2))
        assert len(stage.probes) == count
        stage.steps(1, 0.3)
        assert len(stage.probes) == count + (1 if pause else 0)
        stage.comes_up()
        stage.steps()


def test_a_server_that_has_long_been_well_is_replaced_at_once(stage: Stage) -> None:
    for _ in range(3):
        stage.ends_with(1)
        stage.steps()
        stage.comes_up()
        stage.steps()
        stage.steps(1, 61)
    assert stage.replacement.counts.restarts == 3


# --- edits ------------------------------------------------------------------------------------


def test_an_edit_goes_live_while_the_server_before_it_answers(stage: Stage) -> None:
    stage.edit(1)
    assert stage.told("model.py has changed")
    assert (stage.in_service, stage.entrance.led_to) == ("instance-1", [])
    stage.comes_up()
    stage.steps()
    assert stage.in_service == "instance-2"
    assert stage.entrance.led_to == [CONTAINER]
    assert (stage.replacement.counts.reloads, stage.replacement.counts.restarts) == (1, 0)
    assert stage.engine.containers[0].graces == [30.0]
    assert stage.removed == [1]


def test_a_broken_edit_keeps_the_server_before_it_until_it_is_mended(stage: Stage) -> None:
    stage.edit(1)
    stage.comes_up("HTTP 500 SyntaxError")
    stage.steps(100)
    assert (stage.in_service, stage.entrance.led_to) == ("instance-1", [])
    assert stage.told("the edit did not come up: server s did not pass the ping health check")
    assert stage.told("instance-1 stays in service until it is mended")
    assert (len(stage.probes), stage.removed) == (2, [2])
    stage.edit(2)
    stage.comes_up()
    stage.steps()
    assert stage.in_service == "instance-3"


def test_another_edit_abandons_the_one_that_is_coming_up(stage: Stage) -> None:
    stage.edit(1)
    stage.edit(2)
    assert stage.removed == [2]
    stage.comes_up()
    stage.steps()
    assert stage.in_service == "instance-3"
    assert not stage.told("did not come up")


def test_an_edit_ends_the_pause_of_a_crash_loop(stage: Stage) -> None:
    stage.ends_with(1)
    for _ in range(5):
        stage.steps(1, 31)
        stage.comes_up("HTTP 500")
        stage.steps()
    count = len(stage.probes)
    stage.edit(1)
    assert len(stage.probes) == count + 1
    stage.comes_up()
    stage.steps()
    assert stage.in_service == f"instance-{count + 1}"


def test_a_server_that_dies_while_an_edit_comes_up_is_replaced_by_the_edit(stage: Stage) -> None:
    stage.edit(1)
    stage.ends_with(1)
    stage.steps(5)
    assert stage.entrance.led_to == [None]
    stage.comes_up()
    stage.steps()
    assert (stage.in_service, len(stage.probes)) == ("instance-2", 2)


def test_what_needs_a_build_is_told_and_starts_nothing(stage: Stage) -> None:
    stage.build_files = {"requirements.txt": Look(1, 1, 0o644)}
    stage.steps(10)
    needs = "requirements.txt has changed: that needs a build, restart devkit serve"
    assert stage.notes.notes.count(needs) == 1
    assert len(stage.probes) == 1


def test_a_folder_that_takes_long_to_look_at_is_looked_at_less_often(store: Store) -> None:
    looks: list[float] = []
    stage = Stage(store)

    def slow_look() -> Snapshot:
        looks.append(stage.now)
        stage.now += 2
        return {}

    stage.replacement = Replacement(
        stage.current,
        stage.fleet,
        stage.entrance,
        observer=stage.notes,
        edits=Edits(program=Watch(slow_look), build=Watch(dict)),
        clock=lambda: stage.now,
    )
    stage.steps(600)
    assert 3 <= len(looks) <= 6
    stage.close()


def test_a_server_that_still_owes_an_answer_is_stopped_only_after_it(stage: Stage) -> None:
    owed = iter([True, True, False])
    graces: list[int] = []

    def busy(backend: Address) -> bool:
        assert backend == CONTAINER
        graces.append(len(stage.engine.containers[0].graces))
        return next(owed)

    stage.entrance.busy = busy  # type: ignore[method-assign]
    stage.edit(1)
    stage.comes_up()
    stage.steps()
    assert graces == [0, 0, 0]
    assert stage.engine.containers[0].graces == [30.0]


# --- a debugger -------------------------------------------------------------------------------


def test_a_debugger_reaches_the_newest_instance_and_comes_back_from_a_broken_one(
    stage: Stage,
) -> None:
    stage.edit(1)
    assert stage.debug_port.led_to == ["1", "2"]
    stage.comes_up("HTTP 500")
    stage.steps()
    assert stage.debug_port.led_to == ["1", "2", "1"]


def test_a_server_that_a_debugger_has_halted_is_not_replaced(stage: Stage) -> None:
    stage.debug_port.connected = True
    stage.pings(*["no answer within 2 s"] * 5)
    stage.steps()
    stage.debug_port.connected = False
    stage.steps()
    assert stage.in_service == "instance-1"
    stage.pings(*["no answer within 2 s"] * 3)
    stage.steps()
    assert stage.told("instance-1 is unhealthy")


def test_every_instance_finds_the_debuggers_port(stage: Stage) -> None:
    [spec] = stage.engine.specs
    assert [port.number for port in spec.ports] == [8080, 5678]
    assert spec.environment["DEVKIT_DEBUG_PORT"] == "5678"
