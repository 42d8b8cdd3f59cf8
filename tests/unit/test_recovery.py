"""What a killed devkit left is finished by the next one."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from devkit import contract
from devkit.engines.base import ContainerSpec, Engine, Folder
from devkit.errors import EngineError
from devkit.finishing import blame, note_stopped
from devkit.instances import Instances
from devkit.job import Status
from devkit.progress import Silent
from devkit.recovery import recover
from devkit.store import Run, Store
from tests.unit.fakes import IMAGE, FakeEngine, Inside, Notes, Program


def left_behind(store: Store, engine: FakeEngine, *, hosts: int = 1, **request: Any) -> Run:
    """A run as a killed devkit leaves it: claimed, its container started, nothing collected."""
    claim = store.claim(
        "job",
        "a",
        {"engine": "process", "image": "i", "started": "2026-01-01T00:00:00+00:00"} | request,
    )
    run = claim.run
    instances = Instances(run, store=store, engine=engine, observer=Silent())
    for host in contract.host_names(hosts):
        folders = []
        for name in ("model", "output"):
            source = run.opt_ml / host / name
            source.mkdir(parents=True)
            folders.append(Folder(target=f"/opt/ml/{name}", source=source))
        instances.notes(host).mkdir(parents=True)
        engine.start(
            ContainerSpec(
                name=instances.container_name(host),
                image=IMAGE,
                folders=tuple(folders),
                hostname=host,
                run_folder=instances.notes(host),
            )
        )
    claim.release(finished=False)
    return run


def ends(inside: Inside) -> int:
    inside.path("/opt/ml/model/weights").write_text("w")
    inside.print("loss=0.5")
    return 0


def goes_on(inside: Inside) -> int:
    inside.path("/opt/ml/model/so-far").write_text("w")
    inside.print("loss=0.7")
    inside.stopped.wait()
    return 137


def test_checkpoints_in_the_local_aws_wait_for_it(store: Store) -> None:
    engine = FakeEngine(goes_on)
    kept = {"location": "s3://bucket/checkpoints", "path": "/opt/ml/checkpoints"}
    run = left_behind(store, engine, checkpoints=kept, local_aws="us-east-1")
    notes = Notes()
    recover(store, lambda _: engine, notes, s3=lambda: pytest.fail("not this one"))
    assert run.outcome() is None
    (note,) = notes.notes
    assert "in the S3 of the local AWS" in note


@pytest.mark.parametrize(
    ("program", "status", "loss"), [(ends, Status.COMPLETED, 0.5), (goes_on, Status.STOPPED, 0.7)]
)
def test_artifacts_log_and_metrics_are_collected(
    store: Store, program: Program, status: Status, loss: float
) -> None:
    engine = FakeEngine(program)
    run = left_behind(store, engine, metrics=[{"name": "loss", "regex": r"loss=(\S+)"}])
    if program is ends:
        engine.containers[0].wait()
    notes = Notes()
    recover(store, lambda _: engine, notes)
    outcome = run.outcome()
    assert outcome is not None
    assert outcome.status is status
    assert outcome.model is not None
    assert outcome.metrics == {"loss": loss}
    assert (run.logs / "algo-1.log").read_text() == f"loss={loss}\n"
    assert engine.containers[0].removed
    assert store.abandoned() == []
    assert "devkit was killed" in notes.notes[0]


def test_a_run_whose_engine_does_not_answer_waits(store: Store) -> None:
    run = left_behind(store, FakeEngine(ends))

    def no_engine(_name: str) -> Engine:
        raise EngineError("no engine answers")

    notes = Notes()
    recover(store, no_engine, notes)
    assert run.outcome() is None
    assert notes.notes == ["job a is still not finished: no engine answers"]
    [claim] = store.abandoned()
    claim.release(finished=True)


def test_a_run_killed_before_its_request_was_written_leaves_nothing(store: Store) -> None:
    claim = store.claim("job", "a", {})
    claim.release(finished=False)
    recover(store, lambda _: FakeEngine(ends), Notes())
    assert store.entries("job") == []
    assert not claim.run.folder.exists()


def test_a_run_killed_after_its_outcome_only_loses_its_container(store: Store) -> None:
    engine = FakeEngine(ends)
    run = left_behind(store, engine)
    recover(store, lambda _: engine, Notes())
    outcome = run.outcome()
    (store.root / "active" / "job.a").write_text("1")
    recover(store, lambda _: engine, Notes())
    assert run.outcome() == outcome


def test_hosts_that_had_all_ended_are_merged(store: Store) -> None:
    def program(inside: Inside) -> int:
        (inside.path("/opt/ml/model") / str(inside.spec.hostname)).write_text("w")
        return 0

    engine = FakeEngine(program)
    run = left_behind(store, engine, hosts=2)
    for container in engine.containers:
        container.wait()
    recover(store, lambda _: engine, Notes())
    outcome = run.outcome()
    assert outcome is not None
    assert outcome.status is Status.COMPLETED
    with tarfile.open(run.model_archive) as model:
        assert sorted(model.getnames()) == ["algo-1", "algo-2"]
    assert all(each.removed for each in engine.containers)


def test_a_host_that_had_failed_is_the_reason_although_others_still_ran(store: Store) -> None:
    def program(inside: Inside) -> int:
        if inside.spec.hostname == "algo-2":
            return 5
        inside.stopped.wait()
        return 137

    engine = FakeEngine(program)
    run = left_behind(store, engine, hosts=2)
    engine.containers[1].wait()
    instances = Instances(run, store=store, engine=engine, observer=Silent())
    blame(run, instances.left()[1])
    recover(store, lambda _: engine, Notes())
    outcome = run.outcome()
    assert outcome is not None
    assert (outcome.status, outcome.exit_code) == (Status.FAILED, 5)


def test_a_job_that_was_being_stopped_has_not_ended_by_itself(store: Store) -> None:
    engine = FakeEngine(ends)
    run = left_behind(store, engine)
    engine.containers[0].wait()
    note_stopped(run, stopped=True)
    recover(store, lambda _: engine, Notes())
    outcome = run.outcome()
    assert outcome is not None
    assert outcome.status is Status.STOPPED


def test_the_last_checkpoints_of_a_killed_devkit_are_kept(store: Store, tmp_path: Path) -> None:
    def program(inside: Inside) -> int:
        inside.path("/opt/ml/model/last.pt").write_text("w")
        return 0

    engine = FakeEngine(program)
    kept = {"location": str(tmp_path / "kept"), "path": "/opt/ml/model"}
    run = left_behind(store, engine, checkpoints=kept)
    engine.containers[0].wait()
    recover(store, lambda _: engine, Notes())
    assert run.outcome() is not None
    assert (tmp_path / "kept" / "last.pt").read_text() == "w"
