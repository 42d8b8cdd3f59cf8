"""``train`` as a process: its log, its model, its reason for failing, and how it stops."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from model import CATEGORIES, MODEL_FILE, LogisticRegressionGD
from tests.image.image_programs import IRIS, PATIENCE_S, PROGRAM, run_train, train_environment

if TYPE_CHECKING:
    from pathlib import Path

LOG_LOSS = re.compile(r"log_loss=(\S+)")
EXPECTED = {"eta": "0.05", "n_iter": "1000", "random_state": "1"}


def category(model: Path, length: float, width: float) -> str:
    label = LogisticRegressionGD.load(model).predict(np.array([length, width]))
    return CATEGORIES[int(label)]


def test_the_expected_model_is_learned(tmp_path: Path) -> None:
    run = run_train(tmp_path, **EXPECTED)
    assert run.code == 0, run.log
    assert f"{float(LOG_LOSS.findall(run.output)[-1]):.5f}" == "0.13603"
    assert run.output.splitlines()[-1] == "accuracy=1.0 (30 of 30 held-out flowers)"
    assert category(run.model, 0.4, 1.4) == "Iris-Setosa"


def test_the_example_channel_gives_the_very_model_that_scikit_learns_data_gives(
    tmp_path: Path,
) -> None:
    (tmp_path / "own").mkdir()
    shutil.copytree(IRIS, tmp_path / "given" / "channel")
    own = run_train(tmp_path / "own", **EXPECTED)
    given = run_train(tmp_path / "given", **EXPECTED)
    assert given.output == own.output
    assert (given.model / MODEL_FILE).read_bytes() == (own.model / MODEL_FILE).read_bytes()


def test_the_last_iteration_is_always_printed_with_its_number(tmp_path: Path) -> None:
    output = run_train(tmp_path, n_iter="37").output
    lines = [line for line in output.splitlines() if LOG_LOSS.search(line)]
    assert lines[0].startswith("iteration=1/37 log_loss=")
    assert lines[-1].startswith("iteration=37/37 log_loss=")
    assert len(lines) < 20


def test_an_unknown_hyperparameter_is_a_warning_in_the_log(tmp_path: Path) -> None:
    run = run_train(tmp_path, leaf_size="3")
    assert run.code == 0
    assert "warning: the hyperparameter 'leaf_size' is unknown and ignored" in run.output


def test_a_failure_leaves_its_reason_first_and_then_where(tmp_path: Path) -> None:
    run = run_train(tmp_path, eta='"fast"')
    assert run.code == 1
    assert run.failure.startswith(
        "HyperparameterError: eta='fast' is not allowed: use a finite number above 0\n"
    )
    assert "hyperparameters.py" in run.failure
    assert "Traceback" in run.log
    assert not run.model.exists()


def test_divergence_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    run = run_train(tmp_path, eta="1e308")
    assert run.code == 1
    assert run.failure.startswith("ModelError: training diverged at iteration 1")


def test_bad_data_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "channel").mkdir()
    run = run_train(tmp_path)
    assert run.code == 1
    assert run.failure.startswith("DataError: the training channel")


def test_a_model_that_cannot_be_saved_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("a file where the folder belongs")
    run = run_train(tmp_path)
    assert run.code == 1
    assert run.failure.startswith("FileExistsError")


def test_a_reason_that_cannot_be_written_is_still_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "output").write_text("a file where the folder belongs")
    run = run_train(tmp_path, eta="fast")
    assert run.code == 1
    assert "eta='fast' is not allowed" in run.log
    assert "the reason could not be written" in run.log


def test_sigterm_saves_the_model_trained_so_far(tmp_path: Path) -> None:
    environment = train_environment(tmp_path, {"n_iter": "1000000000"})
    with subprocess.Popen(
        [PROGRAM / "train"], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("iteration=1/"))
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert process.returncode == 0
    stopped = re.search(r"stopped by SIGTERM after iteration (\d+): saving the model so far", rest)
    assert stopped
    document = json.loads((tmp_path / "model" / MODEL_FILE).read_text())
    assert document["iterations"] == int(stopped[1])
    assert f"iteration={stopped[1]}/1000000000 log_loss=" in rest


def test_sigterm_before_there_is_a_model_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    environment = train_environment(tmp_path, {})
    hyperparameters = tmp_path / "input" / "config" / "hyperparameters.json"
    hyperparameters.unlink()
    os.mkfifo(hyperparameters)
    with (
        subprocess.Popen(
            [PROGRAM / "train"], env=environment, stderr=subprocess.DEVNULL
        ) as process,
        hyperparameters.open("w"),
    ):  # opens once train reads it, and keeps train waiting
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 1
    reason = (tmp_path / "output" / "failure").read_text()
    assert reason.startswith("StoppedTooEarlyError: SIGTERM arrived before the first iteration")


@pytest.mark.parametrize("name", ["train", "serve"])
def test_the_programs_are_executable_scripts_with_unix_lines(name: str) -> None:
    file = PROGRAM / name
    assert file.stat().st_mode & 0o111 == 0o111
    assert file.read_bytes().startswith(b"#!/usr/bin/env python3\n")
    assert b"\r" not in file.read_bytes()
