"""Training and serving around a fake engine: what is written before, and what is kept after."""

from __future__ import annotations

import http.server
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from devkit import local_run
from devkit.channels.plan import ChannelPlan, Distribution
from devkit.engines.base import Address, Container, ContainerSpec, ProgramFile, StartRefused
from devkit.errors import (
    ConfigError,
    EngineError,
    InvocationFailed,
    ServingFailed,
    StoreError,
    TrainingFailed,
)
from devkit.job import (
    CheckpointPlan,
    InstanceGroup,
    MetricDefinition,
    ServeSpec,
    Status,
    TrainingJob,
)
from devkit.local_run import StopRequest, TrainingResult
from devkit.signals import Terminated
from devkit.store import Store
from tests.unit.fakes import IMAGE, FakeEngine, Inside, Notes, Program


def train(program: Program, store: Store, **fields: object) -> TrainingResult:
    job = TrainingJob(**{"name": "a", "image": IMAGE} | fields)  # type: ignore[arg-type]
    return local_run.train(job, engine=FakeEngine(program), store=store, observer=Notes())


# --- training --------------------------------------------------------------------------------


def test_a_program_finds_its_configuration_and_leaves_a_model(store: Store, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("1,2")
    seen: dict[str, object] = {}

    def program(inside: Inside) -> int:
        config = inside.path("/opt/ml/input/config")
        for name in ("hyperparameters", "inputdataconfig", "resourceconfig"):
            seen[name] = json.loads((config / f"{name}.json").read_text())
        seen["data"] = (inside.path("/opt/ml/input/data/training") / "x.csv").read_text()
        seen["environment"] = dict(inside.spec.environment)
        inside.path("/opt/ml/model/weights").write_text("w")
        inside.path("/opt/ml/output/data/report").write_text("r")
        return 0

    result = train(
        program,
        store,
        hyperparameters={"eta": "0.05"},
        channels=(
            ChannelPlan(name="training", location=tmp_path / "data", content_type="text/csv"),
        ),
        environment={"MINE": "1"},
    )
    assert seen["hyperparameters"] == {"eta": "0.05"}
    assert seen["data"] == "1,2"
    assert isinstance(seen["inputdataconfig"], dict)
    assert seen["inputdataconfig"]["training"]["ContentType"] == "text/csv"
    assert isinstance(seen["environment"], dict)
    assert seen["environment"]["TRAINING_JOB_NAME"] == "a"
    assert seen["environment"]["MINE"] == "1"
    assert result.outcome.status is Status.COMPLETED
    assert result.model is not None
    assert result.outcome.output is not None
    with tarfile.open(result.model) as model, tarfile.open(result.outcome.output) as output:
        assert model.getnames() == ["weights"]
        assert output.getnames() == ["report"]
    assert store.abandoned() == []


@pytest.mark.contract("1.11-e", "1.11-f")
def test_every_line_is_kept_and_searched_for_metrics(store: Store) -> None:
    def program(inside: Inside) -> int:
        for number in range(1000):
            inside.print(f"loss={number}")
        inside.print("loss=no number")
        return 0

    result = train(program, store, metrics=(MetricDefinition(name="loss", regex=r"loss=(\S+)"),))
    assert result.log.splitlines()[:2] == ["loss=0", "loss=1"]
    assert len(result.log.splitlines()) == 1001
    assert result.metrics == {"loss": 999.0}
    assert len((result.run.metrics / "algo-1.jsonl").read_text().splitlines()) == 1000


@pytest.mark.contract("1.8-i", "1.9-d")
def test_a_failed_job_tells_the_failure_file_and_its_last_lines(store: Store) -> None:
    def program(inside: Inside) -> int:
        inside.path("/opt/ml/output/failure").write_text("no such column: petal")
        inside.path("/opt/ml/model/partial").write_text("half")
        inside.print("the last line")
        return 3

    with pytest.raises(TrainingFailed) as error:
        train(program, store)
    assert "AlgorithmError: no such column: petal, exit code: 3" in error.value.message
    assert error.value.log_tail == ("the last line",)
    run = store.find("a")
    outcome = run.outcome()
    assert outcome is not None
    assert (outcome.status, outcome.exit_code, outcome.model) == (Status.FAILED, 3, None)
    assert run.model_archive.exists()  # kept for whoever looks, but no result
    assert run.failure.read_text() == "no such column: petal"


@pytest.mark.contract("1.10-o")
def test_the_phases_of_a_job_follow_each_other(store: Store) -> None:
    """Contract 1.10."""
    result = train(lambda _: 0, store)
    phases = result.outcome.transitions
    assert [p.status for p in phases] == ["Starting", "Training", "Uploading", "Completed"]
    for before, after in pairwise(phases):
        assert before.ended == after.started
    assert phases[-1].ended is None
    assert phases[1].message == "Training image download completed. Training in progress."
    assert store.find("a").outcome() == result.outcome


def test_an_entrypoint_is_started_without_the_argument_train(store: Store) -> None:
    """Contract 1.1."""
    engine = FakeEngine(lambda _: 0)
    job = TrainingJob(name="a", image=IMAGE, entrypoint=("/bin/sh", "-c"), arguments=("exit",))
    local_run.train(job, engine=engine, store=store, observer=Notes())
    [spec] = engine.specs
    assert (spec.entrypoint, spec.command) == (("/bin/sh", "-c"), ("exit",))


@pytest.mark.contract("1.10-e", "1.10-g")
def test_max_run_stops_the_job_and_keeps_its_model(store: Store) -> None:
    def program(inside: Inside) -> int:
        inside.stopped.wait()
        inside.path("/opt/ml/model/so-far").write_text("w")
        return 0

    result = train(program, store, max_run_s=1)
    assert result.outcome.status is Status.STOPPED
    assert result.outcome.secondary_status == "MaxRuntimeExceeded"
    assert result.outcome.transitions[-1].status == "MaxRuntimeExceeded"
    assert result.model is not None


@pytest.mark.contract("1.10-a", "1.10-c", "1.10-e")
@pytest.mark.parametrize(
    ("interrupt", "grace_s"), [(KeyboardInterrupt(), 10.0), (Terminated(15), 120.0)]
)
def test_an_interrupted_job_is_stopped_with_its_grace_and_kept(
    store: Store, interrupt: BaseException, grace_s: float
) -> None:
    def program(inside: Inside) -> int:
        inside.path("/opt/ml/model/so-far").write_text("w")
        inside.print("begun")
        inside.stopped.wait()
        return 143

    class Interrupts(Notes):
        def phase(self, phase: object) -> None:
            super().phase(phase)
            if self.phases[-1] == "Training":
                raise interrupt

    engine = FakeEngine(program)
    job = TrainingJob(name="a", image=IMAGE)
    with pytest.raises(type(interrupt)):
        local_run.train(job, engine=engine, store=store, observer=Interrupts())
    outcome = store.find("a").outcome()
    assert outcome is not None
    assert (outcome.status, outcome.exit_code) == (Status.STOPPED, 143)
    assert outcome.model is not None
    assert engine.containers[0].graces == [grace_s]
    assert engine.containers[0].removed


def test_an_engine_that_refuses_leaves_a_failed_job(store: Store) -> None:
    engine = FakeEngine(lambda _: 0)
    engine.start_error = EngineError("out of memory")
    with pytest.raises(EngineError):
        local_run.train(
            TrainingJob(name="a", image=IMAGE), engine=engine, store=store, observer=Notes()
        )
    outcome = store.find("a").outcome()
    assert outcome is not None
    assert (outcome.status, outcome.failure_reason) == (Status.FAILED, "out of memory")


def test_a_program_that_cannot_be_executed_is_explained(store: Store) -> None:
    engine = FakeEngine(lambda _: 0)
    engine.start_error = StartRefused(
        "exec: permission denied", ProgramFile("/p/train", 0o644, b"#!")
    )
    with pytest.raises(TrainingFailed, match="is not executable") as error:
        local_run.train(
            TrainingJob(name="a", image=IMAGE), engine=engine, store=store, observer=Notes()
        )
    assert error.value.remedy is not None
    assert "chmod +x train" in error.value.remedy


def test_a_full_disk_leaves_the_job_to_the_next_command(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program(inside: Inside) -> int:
        inside.path("/opt/ml/model/weights").write_text("w")
        return 0

    engine = FakeEngine(program)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    notes = Notes()
    with monkeypatch.context() as patch:
        patch.setattr("devkit.opt_ml.collect_model", full)
        with pytest.raises(StoreError, match="No space left on device"):
            local_run.train(
                TrainingJob(name="a", image=IMAGE), engine=engine, store=store, observer=notes
            )
    assert "the next devkit command does that" in notes.notes[-1]
    assert not engine.containers[0].removed

    from devkit.recovery import recover  # noqa: PLC0415 - what the next command does

    recover(store, lambda _: engine, notes)
    outcome = store.find("a").outcome()
    assert outcome is not None
    assert outcome.status is Status.COMPLETED
    assert store.find("a").model_archive.exists()
    assert engine.containers[0].removed


@pytest.mark.contract("1.13-c")
def test_all_problems_of_a_job_are_named_before_anything_starts() -> None:
    with pytest.raises(ConfigError) as error:
        TrainingJob(
            name="no good",
            image=IMAGE,
            hyperparameters={"a": "x\ny"},
            max_run_s=0,
        )
    assert str(error.value).count("\n  - ") == 3


@pytest.mark.contract("1.10-d")
def test_a_job_is_stopped_from_another_thread(store: Store) -> None:
    """Contract 1.10: StopTrainingJob."""
    stop = StopRequest()

    def program(inside: Inside) -> int:
        stop.make()
        inside.stopped.wait()
        inside.path("/opt/ml/model/so-far").write_text("w")
        return 0

    engine = FakeEngine(program)
    job = TrainingJob(name="a", image=IMAGE)
    result = local_run.train(job, engine=engine, store=store, observer=Notes(), stop=stop)
    assert (result.outcome.status, result.outcome.secondary_status) == (Status.STOPPED, "Stopped")
    phases = [each.status for each in result.outcome.transitions]
    assert phases == ["Starting", "Training", "Stopping", "Stopped"]
    assert engine.containers[0].graces == [120.0]
    assert result.model is not None


def test_a_second_request_to_stop_may_shorten_the_grace(store: Store) -> None:
    stop = StopRequest()

    def program(inside: Inside) -> int:
        stop.make()
        inside.stopped.wait()
        threading.Thread(target=stop.make, args=(5.0,)).start()
        inside.killed.wait()
        return 137

    engine = FakeEngine(program)
    job = TrainingJob(name="a", image=IMAGE)
    result = local_run.train(job, engine=engine, store=store, observer=Notes(), stop=stop)
    assert result.outcome.status is Status.STOPPED
    assert engine.containers[0].graces == [120.0, 5.0]


def test_a_job_that_was_stopped_before_it_began_does_not_go_on(store: Store) -> None:
    stop = StopRequest()
    stop.make()
    job = TrainingJob(name="a", image=IMAGE)
    engine = FakeEngine(until_stopped)
    result = local_run.train(job, engine=engine, store=store, observer=Notes(), stop=stop)
    assert result.outcome.status is Status.STOPPED


@pytest.mark.contract("1.3-e")
def test_a_long_hyperparameter_is_a_warning(store: Store) -> None:
    notes = Notes()
    job = TrainingJob(name="a", image=IMAGE, hyperparameters={"long": "x" * 257, "ok": "x" * 256})
    local_run.train(job, engine=FakeEngine(lambda _: 0), store=store, observer=notes)
    assert [note for note in notes.notes if "257 characters" in note] == notes.notes


@pytest.mark.contract("1.1-h")
def test_a_script_in_a_channel_needs_that_channel_whole(tmp_path: Path) -> None:
    channel = ChannelPlan(name="code", location=tmp_path, distribution=Distribution.SHARDED)
    with pytest.raises(ConfigError, match=r"channel 'code'.*must be File and FullyReplicated"):
        TrainingJob(
            name="a",
            image=IMAGE,
            entrypoint=("/bin/sh",),
            arguments=("/opt/ml/input/data/code/run.sh",),
            channels=(channel,),
        )
    TrainingJob(name="a", image=IMAGE, arguments=("/elsewhere/code/x",), channels=(channel,))


def test_the_platform_adds_to_the_environment(store: Store) -> None:
    engine = FakeEngine(lambda _: 0)
    job = TrainingJob(
        name="a",
        image=IMAGE,
        environment={"MINE": "1"},
        platform_environment={"AWS_ENDPOINT_URL": "http://localhost:4566"},
    )
    local_run.train(job, engine=engine, store=store, observer=Notes())
    environment = engine.specs[0].environment
    assert environment["MINE"] == "1"
    assert environment["AWS_ENDPOINT_URL"] == "http://localhost:4566"


# --- several hosts ----------------------------------------------------------------------------


def host_of(inside: Inside) -> str:
    return str(inside.spec.hostname)


@pytest.mark.contract("1.8-d")
def test_every_host_has_its_own_place_and_knows_the_others(store: Store) -> None:
    """Contract 1.5, 1.8: what the hosts write is merged, and the later host's file wins."""
    seen: dict[str, object] = {}

    def program(inside: Inside) -> int:
        host = host_of(inside)
        config = inside.path("/opt/ml/input/config/resourceconfig.json")
        seen[host] = json.loads(config.read_text())
        model = inside.path("/opt/ml/model")
        (model / host).write_text(host)
        (model / "shared").write_text(host)
        (inside.path("/opt/ml/output/data") / host).write_text(host)
        inside.print(f"loss={host[-1]}")
        return 0

    metrics = (MetricDefinition(name="loss", regex=r"loss=(\S+)"),)
    result = train(program, store, instances=3, metrics=metrics)
    hosts = ["algo-1", "algo-2", "algo-3"]
    assert {host: config["current_host"] for host, config in seen.items()} == {  # type: ignore[index]
        host: host for host in hosts
    }
    assert all(config["hosts"] == hosts for config in seen.values())  # type: ignore[index]
    assert result.model is not None
    assert result.outcome.output is not None
    with tarfile.open(result.model) as model, tarfile.open(result.outcome.output) as output:
        assert sorted(model.getnames()) == [*hosts, "shared"]
        content = model.extractfile("shared")
        assert content is not None
        assert content.read() == b"algo-3"
        assert sorted(output.getnames()) == hosts
    assert sorted(path.name for path in result.run.logs.iterdir()) == [f"{h}.log" for h in hosts]
    assert result.log == "loss=1\nloss=2\nloss=3\n"
    assert set(result.metrics) == {"loss"}


@pytest.mark.contract("1.5-e", "1.6-t")
def test_a_heterogeneous_cluster_has_groups_with_channels_of_their_own(
    store: Store, tmp_path: Path
) -> None:
    for name in ("1.csv", "2.csv"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_text(name)
    seen: dict[str, tuple[Any, list[str], list[str]]] = {}

    def program(inside: Inside) -> int:
        config = inside.path("/opt/ml/input/config")
        channels = sorted(json.loads((config / "inputdataconfig.json").read_text()))
        files = [
            path.name
            for channel in channels
            for path in inside.path(f"/opt/ml/input/data/{channel}").iterdir()
        ]
        resources = json.loads((config / "resourceconfig.json").read_text())
        seen[host_of(inside)] = (resources, channels, sorted(files))
        return 0

    workers = ChannelPlan(
        name="workers",
        location=tmp_path / "data",
        distribution=Distribution.SHARDED,
        instance_group_names=("workers",),
    )
    train(
        program,
        store,
        instance_groups=(
            InstanceGroup(name="lead", instance_type="ml.p3.2xlarge", count=1),
            InstanceGroup(name="workers", instance_type="ml.c5.xlarge", count=2),
        ),
        channels=(workers, ChannelPlan(name="all", location=tmp_path / "data")),
    )
    lead, worker = seen["algo-1"], seen["algo-3"]
    assert lead[0]["current_group_name"] == "lead"
    assert lead[0]["current_instance_type"] == "ml.p3.2xlarge"
    assert worker[0]["current_group_name"] == "workers"
    assert worker[0]["hosts"] == ["algo-1", "algo-2", "algo-3"]
    assert worker[0]["instance_groups"] == [
        {
            "instance_group_name": "lead",
            "instance_type": "ml.p3.2xlarge",
            "hosts": ["algo-1"],
        },
        {
            "instance_group_name": "workers",
            "instance_type": "ml.c5.xlarge",
            "hosts": ["algo-2", "algo-3"],
        },
    ]
    assert lead[1:] == (["all"], ["1.csv", "2.csv"])
    assert worker[1:] == (["all", "workers"], ["1.csv", "2.csv", "2.csv"])


def test_wrong_groups_are_named_all_at_once(tmp_path: Path) -> None:
    group = InstanceGroup(name="a", instance_type="ml.c5.xlarge", count=0)
    channel = ChannelPlan(name="c", location=tmp_path, instance_group_names=("other",))
    with pytest.raises(ConfigError) as error:
        TrainingJob(name="a", image=IMAGE, instance_groups=(group,) * 6, channels=(channel,))
    for problem in (
        "at most 5",
        "'a': named twice",
        "count = 0: at least 1",
        "no instance group 'other'",
    ):
        assert problem in error.value.message


def test_one_failing_host_ends_the_job_and_is_named_as_its_reason(store: Store) -> None:
    """Contract 1.9: SIGTERM to the others."""

    def program(inside: Inside) -> int:
        if host_of(inside) == "algo-2":
            inside.path("/opt/ml/output/failure").write_text("no room for the gradients")
            inside.print("the reason")
            return 3
        inside.stopped.wait()
        inside.print("stopped")
        return 1

    engine = FakeEngine(program)
    job = TrainingJob(name="a", image=IMAGE, instances=3)
    with pytest.raises(TrainingFailed, match="no room for the gradients, exit code: 3") as error:
        local_run.train(job, engine=engine, store=store, observer=Notes())
    assert error.value.log_tail == ("the reason",)
    assert [each.graces for each in engine.containers] == [[10.0], [], [10.0]]
    assert all(each.removed for each in engine.containers)
    networks = [spec.network for spec in engine.specs]
    assert networks[0] is not None
    assert networks == [networks[0]] * 3
    assert list(networks[0].addresses) == ["algo-1", "algo-2", "algo-3"]
    assert engine.networks == []
    assert store.find("a").failure.read_text() == "no room for the gradients"


def test_a_host_that_cannot_start_takes_the_others_with_it(store: Store) -> None:
    class SecondRefused(FakeEngine):
        def start(self, spec: ContainerSpec) -> Container:
            if spec.hostname == "algo-2":
                raise EngineError("no room")
            return super().start(spec)

    engine = SecondRefused(until_stopped)
    job = TrainingJob(name="a", image=IMAGE, instances=2)
    with pytest.raises(EngineError, match="no room"):
        local_run.train(job, engine=engine, store=store, observer=Notes())
    assert [each.removed for each in engine.containers] == [True]
    outcome = store.find("a").outcome()
    assert outcome is not None
    assert outcome.status is Status.FAILED


# --- checkpoints and spot --------------------------------------------------------------------


def counts_to_three(inside: Inside) -> int:
    """Adds 1 to its checkpoint, and goes on to 3; each number is one start."""
    count = inside.path("/opt/ml/checkpoints") / "count"
    number = int(count.read_text()) + 1 if count.exists() else 1
    inside.print(f"count={number}")
    count.write_text(str(number))
    if number < 3:
        inside.stopped.wait()
        return 0
    inside.path("/opt/ml/model/count").write_text(str(number))
    return 0


def test_an_interrupted_job_goes_on_from_its_checkpoints(store: Store, tmp_path: Path) -> None:
    """Contract 1.10."""
    engine = FakeEngine(counts_to_three)
    job = TrainingJob(
        name="a",
        image=IMAGE,
        checkpoints=CheckpointPlan(location=tmp_path / "kept"),
        interrupt_after_s=(0.2, 0.2),
        metrics=(MetricDefinition(name="count", regex=r"count=(\d+)"),),
    )
    result = local_run.train(job, engine=engine, store=store, observer=Notes())
    assert result.outcome.status is Status.COMPLETED
    assert result.metrics == {"count": 3.0}
    assert (tmp_path / "kept" / "count").read_text() == "3"
    assert [each.graces for each in engine.containers] == [[120.0], [120.0], []]
    assert all(each.removed for each in engine.containers)
    phases = [each.status for each in result.outcome.transitions]
    assert phases == [
        *("Starting", "Training", "Interrupted", "Starting", "Training", "Interrupted"),
        *("Starting", "Training", "Uploading", "Completed"),
    ]
    assert result.log == "count=1\ncount=2\ncount=3\n"
    assert sorted(path.name for path in result.run.logs.iterdir()) == [
        "algo-1-restart-1.log",
        "algo-1-restart-2.log",
        "algo-1.log",
    ]


@pytest.mark.contract("1.2-l")
def test_channels_are_read_again_after_an_interruption(store: Store, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "1.csv").write_text("1")
    seen: list[list[str]] = []

    def program(inside: Inside) -> int:
        data = inside.path("/opt/ml/input/data/training")
        seen.append(sorted(path.name for path in data.iterdir()))
        if len(seen) == 1:
            (tmp_path / "data" / "2.csv").write_text("2")
            inside.stopped.wait()
        return 0

    sharded = ChannelPlan(
        name="training", location=tmp_path / "data", distribution=Distribution.SHARDED
    )
    train(program, store, channels=(sharded,), interrupt_after_s=(0.2,))
    assert seen == [["1.csv"], ["1.csv", "2.csv"]]


def test_an_interrupted_job_without_checkpoints_begins_anew(store: Store) -> None:
    starts: list[str] = []

    def program(inside: Inside) -> int:
        assert list(inside.path("/opt/ml/model").iterdir()) == []
        starts.append(inside.spec.name)
        if len(starts) == 1:
            inside.path("/opt/ml/model/lost").write_text("of the interrupted instance")
            inside.stopped.wait()
        return 0

    notes = Notes()
    job = TrainingJob(name="a", image=IMAGE, interrupt_after_s=(0.05,))
    result = local_run.train(job, engine=FakeEngine(program), store=store, observer=notes)
    assert len(starts) == 2
    assert any("from the beginning: it has no checkpoints" in note for note in notes.notes)
    assert result.model is not None
    with tarfile.open(result.model) as model:
        assert model.getnames() == []


@pytest.mark.contract("1.10-k")
def test_a_job_that_waits_too_long_is_stopped(store: Store) -> None:
    """Contract 1.10: MaxWaitTimeExceeded."""
    job = TrainingJob(name="a", image=IMAGE, max_run_s=1, max_wait_s=1, interrupt_after_s=(0.5,))
    result = local_run.train(job, engine=FakeEngine(until_stopped), store=store, observer=Notes())
    assert result.outcome.secondary_status == "MaxWaitTimeExceeded"
    assert result.outcome.status is Status.STOPPED


def test_ctrl_c_in_an_interruption_is_no_completion(store: Store) -> None:
    class Interrupts(Notes):
        def phase(self, phase: object) -> None:
            super().phase(phase)
            if self.phases.count("Starting") == 2:
                raise KeyboardInterrupt

    job = TrainingJob(name="a", image=IMAGE, interrupt_after_s=(0.05,))
    with pytest.raises(KeyboardInterrupt):
        local_run.train(job, engine=FakeEngine(until_stopped), store=store, observer=Interrupts())
    outcome = store.find("a").outcome()
    assert outcome is not None
    assert outcome.status is Status.STOPPED


# --- serving ---------------------------------------------------------------------------------


class _Handler(http.server.BaseHTTPRequestHandler):
    ping_status = 200

    def do_GET(self) -> None:
        self._answer(self.ping_status, b"not ready")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(500 if body == b"fail" else 200, body)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", self.headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[Address]:
    _Handler.ping_status = 200
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Address("127.0.0.1", server.server_port)
        server.shutdown()


def until_stopped(inside: Inside) -> int:
    inside.print("serving")
    inside.stopped.wait()
    return 0


def serve_spec(**fields: object) -> ServeSpec:
    return ServeSpec(**{"name": "s", "image": IMAGE, "model": None} | fields)  # type: ignore[arg-type]


@pytest.mark.contract("2.1-f")
def test_a_server_answers_until_the_block_ends(store: Store, address: Address) -> None:
    engine = FakeEngine(until_stopped, address)
    with local_run.serve(serve_spec(), engine=engine, store=store, observer=Notes()) as server:
        assert server.invoke({"a": 1}) == {"a": 1}
        assert server.invoke("text", content_type="text/csv") == "text"
        assert server.invoke(b"\x00", content_type="application/x-npy") == b"\x00"
        assert store.find("s").state()["url"] == server.url != address.url
    outcome = store.find("s").outcome()
    assert outcome is not None
    assert outcome.status is Status.STOPPED
    assert engine.containers[0].graces == [30.0]
    assert engine.containers[0].removed
    assert not store.find("s").opt_ml.exists()


@pytest.mark.contract("2.3-m", "2.3-n")
def test_what_sagemaker_refuses_is_refused_before_the_container(
    store: Store, address: Address
) -> None:
    """Contract 2.3: real-time takes 25 MB."""
    engine = FakeEngine(until_stopped, address)
    with (
        local_run.serve(serve_spec(), engine=engine, store=store, observer=Notes()) as server,
        pytest.raises(InvocationFailed, match="HTTP content length exceeded 26214400 bytes"),
    ):
        server.invoke(b"x" * (25 * 1024 * 1024 + 1))


@pytest.mark.contract("2.2-f")
def test_a_folder_is_a_model_and_mounted_where_it_is(
    store: Store, address: Address, tmp_path: Path
) -> None:
    """Contract 2.2."""
    engine = FakeEngine(until_stopped, address)
    (tmp_path / "model").mkdir()
    spec = serve_spec(model=tmp_path / "model")
    with local_run.serve(spec, engine=engine, store=store, observer=Notes()):
        [mount] = engine.specs[0].mounts
    assert (mount.target, mount.source) == ("/opt/ml/model", tmp_path / "model")
    assert (tmp_path / "model").is_dir()


def test_a_direct_server_answers_as_its_container_does(store: Store, address: Address) -> None:
    engine = FakeEngine(until_stopped, address)
    spec = serve_spec(profile=None)
    with local_run.serve(spec, engine=engine, store=store, observer=Notes()) as server:
        assert server.url != address.url
        assert len(server.invoke(b"x" * (25 * 1024 * 1024 + 1), content_type="a/b")) > 25 << 20
        with pytest.raises(InvocationFailed, match=r"Received server error \(500\)"):
            server.invoke("fail", content_type="text/plain")


@pytest.mark.contract("2.6-b")
def test_an_error_of_the_model_has_its_status_and_body(store: Store, address: Address) -> None:
    engine = FakeEngine(until_stopped, address)
    with (
        local_run.serve(serve_spec(), engine=engine, store=store, observer=Notes()) as server,
        pytest.raises(InvocationFailed, match=r"Received server error \(500\)") as error,
    ):
        server.invoke("fail", content_type="text/plain")
    assert (error.value.status, error.value.body) == (500, "fail")


def test_a_server_whose_user_fails_is_stopped_in_good_order(store: Store, address: Address) -> None:
    engine = FakeEngine(until_stopped, address)
    with pytest.raises(ZeroDivisionError):  # noqa: SIM117 - the block is what fails
        with local_run.serve(serve_spec(), engine=engine, store=store, observer=Notes()):
            raise ZeroDivisionError
    outcome = store.find("s").outcome()
    assert outcome is not None
    assert outcome.status is Status.STOPPED
    assert engine.containers[0].graces == [30.0]


def test_a_server_that_dies_is_replaced_at_its_address(store: Store, address: Address) -> None:
    """Contract 2.3."""
    engine, notes = FakeEngine(until_stopped, address), Notes()
    with local_run.serve(serve_spec(), engine=engine, store=store, observer=notes) as server:
        url = server.url
        engine.containers[0].end(9)
        eventually(lambda: server.restarts == 1)
        assert server.running
        assert server.url == url
        assert server.invoke("again", content_type="text/plain") == "again"
        eventually(lambda: engine.containers[0].removed)
    assert "instance-1 ended by itself, with exit code 9" in notes.notes
    assert "  | serving" in notes.notes
    assert all(each.removed for each in engine.containers)
    outcome = store.find("s").outcome()
    assert outcome is not None
    assert (outcome.status, outcome.exit_code) == (Status.STOPPED, 0)
    logs = sorted(path.name for path in store.find("s").logs.iterdir())
    assert logs == ["instance-1.log", "instance-2.log"]


def test_an_edit_of_the_program_goes_live_at_the_servers_address(
    store: Store, address: Address, tmp_path: Path
) -> None:
    (tmp_path / "program").mkdir()
    image = replace(IMAGE, program=tmp_path / "program", program_path="/opt/program")
    engine, notes = FakeEngine(until_stopped, address), Notes()
    spec = serve_spec(image=image, reload=True)
    with local_run.serve(spec, engine=engine, store=store, observer=notes) as server:
        (tmp_path / "program" / "serve").write_text("edited")
        eventually(lambda: server.reloads == 1)
        assert server.invoke("x", content_type="text/plain") == "x"
    assert "serve has changed: starting the server with the edit" in notes.notes
    assert [each.image for each in engine.specs] == [image, image]


def test_what_goes_wrong_in_keeping_a_server_is_raised_to_who_waits(
    store: Store, address: Address
) -> None:
    engine = FakeEngine(until_stopped, address)
    with local_run.serve(serve_spec(), engine=engine, store=store, observer=Notes()) as server:
        engine.start_error = ZeroDivisionError()
        engine.containers[0].end(1)
        with pytest.raises(ZeroDivisionError):
            server.wait()
    assert engine.containers[0].removed


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what happens in another thread."""
    pause = threading.Event()
    for _ in range(2000):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it does not happen")


def _serve(store: Store, program: Program, address: Address, **fields: object) -> None:
    engine = FakeEngine(program, address)
    with local_run.serve(serve_spec(**fields), engine=engine, store=store, observer=Notes()):
        raise AssertionError("the server came up")


def _dies(inside: Inside) -> int:
    inside.print("no module named flask")
    return 1


def test_a_server_that_dies_is_told_with_its_last_lines(store: Store) -> None:
    nobody = Address("127.0.0.1", 1)
    with pytest.raises(ServingFailed, match="exit code 1 before its ping was good") as error:
        _serve(store, _dies, nobody)
    assert error.value.log_tail == ("no module named flask",)


@pytest.mark.contract("2.3-b", "2.3-d")
def test_a_ping_that_is_never_good_is_told_with_what_it_says(
    store: Store, address: Address
) -> None:
    _Handler.ping_status = 500
    with pytest.raises(ServingFailed, match=r"ping health check within 0\.3 s.*HTTP 500 not ready"):
        _serve(store, until_stopped, address, startup_timeout_s=0.3)


def test_a_port_that_nobody_listens_on_is_told(store: Store) -> None:
    nobody = Address("127.0.0.1", 1)
    with pytest.raises(ServingFailed, match="nothing answers HTTP") as error:
        _serve(store, until_stopped, nobody, startup_timeout_s=0.3)
    assert "0.0.0.0:8080" in (error.value.remedy or "")
