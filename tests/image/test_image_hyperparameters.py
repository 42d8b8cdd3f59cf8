"""Hyperparameters: strings from SageMaker become checked values, or an error that helps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import hyperparameters
from hyperparameters import HyperparameterError, Hyperparameters

if TYPE_CHECKING:
    from pathlib import Path


def read(tmp_path: Path, document: object) -> tuple[Hyperparameters, list[str]]:
    file = tmp_path / "hyperparameters.json"
    file.write_text(json.dumps(document))
    warnings: list[str] = []
    return hyperparameters.read(file, warn=warnings.append), warnings


def test_strings_become_numbers(tmp_path: Path) -> None:
    given = {"eta": "0.1", "n_iter": "7", "random_state": "3"}
    assert read(tmp_path, given) == (Hyperparameters(eta=0.1, n_iter=7, random_state=3), [])


def test_strings_that_the_sdk_encoded_once_more_mean_the_same(tmp_path: Path) -> None:
    given = {"eta": '"0.1"', "n_iter": '"7"', "random_state": '"3"'}
    assert read(tmp_path, given)[0] == Hyperparameters(eta=0.1, n_iter=7, random_state=3)


def test_what_is_not_given_has_its_default(tmp_path: Path) -> None:
    assert read(tmp_path, {})[0] == Hyperparameters(eta=0.05, n_iter=100, random_state=1)
    absent = hyperparameters.read(tmp_path / "absent.json", warn=pytest.fail)
    assert absent == Hyperparameters()


def test_an_unknown_one_is_ignored_with_a_warning(tmp_path: Path) -> None:
    values, warnings = read(tmp_path, {"leaf_size": "3", "eta": "1"})
    assert values == Hyperparameters(eta=1.0)
    (warning,) = warnings
    assert "'leaf_size' is unknown" in warning
    assert "eta, n_iter, random_state" in warning


def test_what_the_sdk_and_the_tuner_add_is_no_news(tmp_path: Path) -> None:
    given = {"sagemaker_program": '"train.py"', "_tuning_objective_metric": "log_loss"}
    assert read(tmp_path, given) == (Hyperparameters(), [])


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("eta", "fast", "a finite number above 0"),
        ("eta", "0", "a finite number above 0"),
        ("eta", "-1", "a finite number above 0"),
        ("eta", "nan", "a finite number above 0"),
        ("eta", "inf", "a finite number above 0"),
        ("eta", "", "a finite number above 0"),
        ("n_iter", "0", "a whole number from 1 up"),
        ("n_iter", "1.5", "a whole number from 1 up"),
        ("n_iter", "many", "a whole number from 1 up"),
        ("random_state", "-1", "a whole number from 0 to 4294967295"),
        ("random_state", "4294967296", "a whole number from 0 to 4294967295"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(
    tmp_path: Path, key: str, value: str, allowed: str
) -> None:
    with pytest.raises(HyperparameterError) as caught:
        read(tmp_path, {key: value})
    assert str(caught.value) == f"{key}={value!r} is not allowed: use {allowed}"


@pytest.mark.parametrize("content", ["", "{", "[]", "3"])
def test_a_file_that_is_no_object_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    file = tmp_path / "hyperparameters.json"
    file.write_text(content)
    with pytest.raises(HyperparameterError, match=r"hyperparameters\.json is not "):
        hyperparameters.read(file, warn=pytest.fail)
