"""What holds of every run, whatever runs it: graces, phases and limits (contract 1.7 to 2.12)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from devkit import contract, local_run
from devkit.channels.plan import ChannelPlan, InputMode
from devkit.engines.base import Address
from devkit.errors import ConfigError, ServingFailed, TrainingFailed
from devkit.job import Outcome, ServeSpec, TrainingJob
from devkit.store import Store
from tests.unit.fakes import IMAGE, FakeEngine, Inside, Notes, Program

DAY_S = 24 * 60 * 60


def job(**fields: Any) -> TrainingJob:
    return TrainingJob(**{"name": "a", "image": IMAGE, **fields})


def ended(program: Program, store: Store, **fields: Any) -> Outcome:
    """How a job of this program ends."""
    with suppress(TrainingFailed):
        local_run.train(job(**fields), engine=FakeEngine(program), store=store, observer=Notes())
    outcome = store.find("a").outcome()
    assert outcome is not None
    return outcome


def statuses(outcome: Outcome) -> list[str]:
    return [each.status for each in outcome.transitions]


# --- stop and time limits --------------------------------------------------------------------


@pytest.mark.contract("1.10-f")
def test_a_job_may_run_for_1_second_to_28_days_and_for_a_day_by_default() -> None:
    assert job().max_run_s == DAY_S
    for allowed in (1, 28 * DAY_S):
        assert job(max_run_s=allowed).max_run_s == allowed
    for refused in (0, -1, 28 * DAY_S + 1):
        with pytest.raises(ConfigError, match=rf"max_run_s = {refused}: 1 to 2419200 seconds"):
            job(max_run_s=refused)


def heeds_sigterm(inside: Inside) -> int:
    inside.stopped.wait()
    return 0


@pytest.mark.contract("1.10-g")
def test_a_job_that_has_run_its_time_has_the_grace_of_a_stop(store: Store) -> None:
    engine = FakeEngine(heeds_sigterm)
    result = local_run.train(job(max_run_s=1), engine=engine, store=store, observer=Notes())
    assert engine.containers[0].graces == [120.0]
    assert result.outcome.status.value == "Stopped"
    assert result.outcome.secondary_status == "MaxRuntimeExceeded"


# --- secondary statuses ----------------------------------------------------------------------


@pytest.mark.contract("1.10-o", "1.10-p")
@pytest.mark.parametrize(
    ("modes", "phases"),
    [
        ([InputMode.FILE], ["Starting", "Downloading", "Training", "Uploading", "Completed"]),
        ([InputMode.FAST_FILE], ["Starting", "Downloading", "Training", "Uploading", "Completed"]),
        ([InputMode.PIPE], ["Starting", "Training", "Uploading", "Completed"]),
        (
            [InputMode.PIPE, InputMode.FILE],
            ["Starting", "Downloading", "Training", "Uploading", "Completed"],
        ),
    ],
)
def test_a_job_downloads_where_a_channel_is_of_files(
    store: Store, tmp_path: Path, modes: list[InputMode], phases: list[str]
) -> None:
    (tmp_path / "x.csv").touch()
    channels = tuple(
        ChannelPlan(name=f"c{number}", location=tmp_path / "x.csv", input_mode=mode)
        for number, mode in enumerate(modes)
    )
    assert statuses(ended(lambda _: 0, store, channels=channels)) == phases


@pytest.mark.contract("1.10-q")
def test_a_failed_job_has_failed_as_its_last_phase(store: Store) -> None:
    outcome = ended(lambda _: 1, store)
    assert outcome.secondary_status == statuses(outcome)[-1] == "Failed"


@pytest.mark.contract("1.10-c", "1.10-q")
def test_a_stopped_job_has_stopped_as_its_last_phase(store: Store) -> None:
    class Interrupts(Notes):
        def phase(self, phase: object) -> None:
            super().phase(phase)
            if self.phases[-1] == "Training":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local_run.train(job(), engine=FakeEngine(heeds_sigterm), store=store, observer=Interrupts())
    outcome = store.find("a").outcome()
    assert outcome is not None
    assert outcome.secondary_status == statuses(outcome)[-1] == "Stopped"


@pytest.mark.contract("1.10-r")
def test_every_phase_has_the_message_that_real_jobs_have(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.csv").touch()
    channel = ChannelPlan(name="training", location=tmp_path / "x.csv")
    outcome = ended(lambda _: 1, store, channels=(channel,))
    assert [(each.status, each.message) for each in outcome.transitions] == [
        ("Starting", "Starting the training job"),
        ("Downloading", "Downloading input data"),
        ("Training", "Training image download completed. Training in progress."),
        ("Uploading", "Uploading generated training model"),
        ("Failed", "Training job failed"),
    ]


# --- limits ----------------------------------------------------------------------------------


@pytest.mark.contract("1.7-h", "2.12-e")
@pytest.mark.parametrize(
    ("problems", "characters"),
    [
        (contract.training_environment_problems, 512),
        (contract.hosting_environment_problems, 1024),
    ],
)
def test_the_limits_of_an_environment(problems: Any, characters: int) -> None:
    most = {f"K{number}": "" for number in range(100)}
    assert problems(most) == []
    assert problems({**most, "ONE_MORE": ""}) == ["101 variables: at most 100"]
    assert problems({"K" * characters: "v" * characters}) == []
    for over in ({"K" * (characters + 1): ""}, {"K": "v" * (characters + 1)}):
        (problem,) = problems(over)
        assert f"at most {characters} characters" in problem
    for name in ("", "1K", "a-b", "a b", "ä", "a\n"):
        (problem,) = problems({name: ""})
        assert repr(name) in problem


@pytest.mark.contract("1.11-d")
def test_the_limits_of_metrics() -> None:
    regex = "(x)" + "y" * 497
    assert contract.metric_problems([("n" * 255, regex)] * 40) == []
    assert contract.metric_problems([("n", "(x)")] * 41) == ["41 metrics: at most 40"]
    for name in ("", "n" * 256):
        (problem,) = contract.metric_problems([(name, "(x)")])
        assert "a name of 1 to 255 characters" in problem
    (problem,) = contract.metric_problems([("n", regex + "y")])
    assert "a regex of 1 to 500 characters" in problem


# --- hosting ---------------------------------------------------------------------------------


@pytest.mark.contract("2.2-e")
def test_without_a_model_its_folder_is_there_and_empty(store: Store) -> None:
    found: list[Path] = []

    def looks(inside: Inside) -> int:
        found.extend(inside.path("/opt/ml/model").iterdir())
        assert inside.path("/opt/ml/model").is_dir()
        inside.print("looked")
        return 0

    engine = FakeEngine(looks, Address("127.0.0.1", 1))
    spec = ServeSpec(name="s", image=IMAGE, model=None)
    with (
        pytest.raises(ServingFailed, match="exit code 0 before its ping was good"),
        local_run.serve(spec, engine=engine, store=store, observer=Notes()),
    ):
        pass
    assert found == []
