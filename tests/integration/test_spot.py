"""Checkpoints and spot interruptions, on both engines (§1.10)."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.integration.kit import HEAD, Project, eventually, model, outcome

TRAIN = (
    HEAD
    + """
PARAMETERS = json.loads((CONFIG / "hyperparameters.json").read_text())
CHECKPOINTS = Path(PARAMETERS.get("checkpoints", "/opt/ml/checkpoints"))
latest = CHECKPOINTS / "latest"
step = int(latest.read_text()) if latest.exists() else 0
for old in CHECKPOINTS.glob("step-*"):
    old.unlink()
(CHECKPOINTS / f"step-{step}").write_text("deleted by the next start")


def stop(*_):
    say(f"interrupted at {step}")
    latest.write_text(str(step))
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
step += 1
say(f"step {step}")
if step < int(PARAMETERS["steps"]):
    wait_for_ever()
(MODEL / "steps").write_text(str(step))
"""
)
"""One step a start: an interruption takes it on to the next one."""


def statuses(job: Path) -> list[str]:
    return [each["status"] for each in outcome(job)["transitions"]]


@pytest.mark.contract("1.10-j", "1.10-l", "1.10-m")
@pytest.mark.usefixtures("contained")
def test_an_interrupted_job_goes_on_from_its_checkpoints(project: Project) -> None:
    project.write(train=TRAIN, config="[train]\nhyperparameters = { steps = 3 }\n")
    kept = project.root / "kept"
    trained = project.devkit(
        *("train", "--name", "spot", "--checkpoints", "kept"),
        *("--spot-interrupt-after", "1s", "--spot-interrupt-after", "1"),
    ).succeeded()
    assert model(project.job("spot")) == {"steps": b"3"}
    assert statuses(project.job("spot")) == [
        *("Starting", "Training", "Interrupted") * 2,
        *("Starting", "Training", "Uploading", "Completed"),
    ]
    assert {path.name: path.read_text() for path in kept.iterdir()} == {
        "latest": "2",
        "step-2": "deleted by the next start",
    }
    assert all(path.owner() == project.root.owner() for path in kept.iterdir())
    assert "spot interruption: SIGTERM, SIGKILL after 120 s" in trained.err
    logs = project.devkit("logs", "spot").succeeded().out.splitlines()
    assert logs == [
        "algo-1 │ step 1",
        "algo-1 │ interrupted at 1",
        "algo-1-restart-1 │ step 2",
        "algo-1-restart-1 │ interrupted at 2",
        "algo-1-restart-2 │ step 3",
    ]


@pytest.mark.contract("1.10-n")
@pytest.mark.usefixtures("contained")
def test_checkpoints_are_kept_while_the_job_trains(project: Project) -> None:
    """Also of a devkit that is killed, and what it had no time for by the next command."""
    project.write(train=TRAIN, config="[train]\nhyperparameters = { steps = 2 }\n")
    kept = project.root / "kept"
    with project.start("train", "--name", "lost", "--checkpoints", "kept") as training:
        training.wait_for("step 1")
        eventually((kept / "step-0").exists, "nothing is kept while it trains")
        training.send(signal.SIGKILL)
        training.finish()

    project.devkit("jobs").succeeded()

    assert outcome(project.job("lost"))["status"] == "Stopped"
    assert (kept / "step-0").exists()


@pytest.mark.usefixtures("contained")
def test_what_was_written_last_is_kept_when_the_job_is_stopped(project: Project) -> None:
    project.write(train=TRAIN, config="[train]\nhyperparameters = { steps = 2 }\n")
    with project.start("train", "--name", "mine", "--checkpoints", "kept") as training:
        training.wait_for("step 1")
        training.ctrl_c()
        training.finish().interrupted()
    assert (project.root / "kept" / "latest").read_text() == "1"


@pytest.mark.contract("1.10-l")
@pytest.mark.usefixtures("contained")
def test_checkpoints_may_stand_elsewhere(project: Project) -> None:
    project.write(
        train=TRAIN,
        config="[train]\ncheckpoints = 'kept'\ncheckpoint_path = '/opt/elsewhere'\n"
        "hyperparameters = { steps = 1, checkpoints = '/opt/elsewhere' }\n",
    )
    project.root.joinpath("kept").mkdir()
    (project.root / "kept" / "latest").write_text("0")
    project.devkit("train").succeeded()
    assert sorted(path.name for path in (project.root / "kept").iterdir()) == ["latest", "step-0"]


@pytest.mark.contract("1.10-i")
def test_wrong_checkpoint_settings_are_refused_before_any_work(project: Project) -> None:
    project.write(
        train=TRAIN,
        config="[train]\ncheckpoints = 'image/Dockerfile'\n"
        "checkpoint_path = '/opt/ml/model/inside'\nmax_run_s = 10\nmax_wait_s = 5\n",
    )
    project.devkit("train").failed(
        2, "is a file; name a folder", "it overlaps /opt/ml/model", "at least max_run_s = 10"
    )
    project.configure("[train]\ncheckpoints = 's3://bucket/prefix'\n")
    project.devkit("train").failed(2, "the settings name no S3")
    project.configure("")
    failed = project.devkit("train", "--spot-interrupt-after", "soon")
    assert failed.code == 2
    assert "'soon' is no time, such as 30s or 5m" in failed.err
    assert not (project.store / "jobs").exists() or not list((project.store / "jobs").iterdir())
