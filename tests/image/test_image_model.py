"""The logistic regression: what it learns, that it stays finite, and what it keeps on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from model import CATEGORIES, MODEL_FILE, LogisticRegressionGD, ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from model import Floats, Labels

X: Floats = np.array([[1.4, 0.2], [1.3, 0.3], [4.7, 1.4], [4.5, 1.5]])
Y: Labels = np.array([0, 0, 1, 1])


def test_it_separates_two_separable_classes() -> None:
    model = LogisticRegressionGD(eta=0.1, n_iter=200).fit(X, Y)
    assert model.predict(X).tolist() == [0, 0, 1, 1]


def test_a_single_sample_gives_a_single_label() -> None:
    label = LogisticRegressionGD(n_iter=200).fit(X, Y).predict(np.array([4.6, 1.4]))
    assert label.shape == ()
    assert CATEGORIES[int(label)] == "Iris-Versicolour"


def test_the_log_loss_of_each_iteration_is_kept_and_falls() -> None:
    losses = LogisticRegressionGD(eta=0.05, n_iter=50).fit(X, Y).losses_
    assert len(losses) == 50
    assert losses == sorted(losses, reverse=True)
    assert losses[0] == pytest.approx(4 * np.log(2), abs=0.2)  # weights near 0 know nothing


def test_the_first_weights_come_from_the_seed() -> None:
    model = LogisticRegressionGD(eta=1e-12, n_iter=1, random_state=7).fit(X, Y)
    expected = np.random.RandomState(7).normal(0.0, 0.01, 3)
    np.testing.assert_allclose(model.w_, expected, atol=1e-9)


def test_the_first_step_follows_the_gradient_of_the_log_likelihood() -> None:
    before = np.random.RandomState(1).normal(0.0, 0.01, 3)
    errors = Y - 1 / (1 + np.exp(-(before[0] + X @ before[1:])))
    model = LogisticRegressionGD(eta=0.5, n_iter=1).fit(X, Y)
    np.testing.assert_allclose(model.w_[0], before[0] + 0.5 * errors.sum())
    np.testing.assert_allclose(model.w_[1:], before[1:] + 0.5 * X.T @ errors)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("eta", "scale"), [(1e12, 1.0), (0.05, 1e12), (1e6, 1e6), (1e-300, 1.0)])
def test_no_eta_and_no_feature_makes_it_overflow(eta: float, scale: float) -> None:
    model = LogisticRegressionGD(eta=eta, n_iter=20).fit(X * scale, Y)
    assert np.isfinite(model.losses_).all()
    assert np.isfinite(model.w_).all()


@pytest.mark.filterwarnings("error")
def test_weights_that_outgrow_a_float_are_an_error_that_names_the_eta() -> None:
    with pytest.raises(ModelError, match=r"diverged at iteration 1: .*smaller eta than 1e\+308"):
        LogisticRegressionGD(eta=1e308, n_iter=5).fit(X, Y)


@pytest.mark.filterwarnings("error")
def test_the_largest_floats_can_be_classified() -> None:
    model = LogisticRegressionGD(eta=1e300, n_iter=1).fit(X / 10, Y)
    largest = np.finfo(np.float64).max
    extremes = np.array([[largest, largest], [-largest, -largest], [0.0, 0.0]])
    assert model.predict(extremes).tolist()[:2] == [1, 0]


def test_training_can_be_ended_between_iterations_and_keeps_what_it_learned() -> None:
    seen: list[int] = []

    def goes_on(iteration: int, _loss: float) -> bool:
        seen.append(iteration)
        return iteration < 3

    stopped = LogisticRegressionGD(n_iter=100).fit(X, Y, goes_on=goes_on)
    assert seen == [1, 2, 3]
    assert stopped.w_.tolist() == LogisticRegressionGD(n_iter=3).fit(X, Y).w_.tolist()


def test_a_saved_model_predicts_as_before(tmp_path: Path) -> None:
    model = LogisticRegressionGD(n_iter=30).fit(X, Y)
    model.save(tmp_path / "new folder")
    loaded = LogisticRegressionGD.load(tmp_path / "new folder")
    assert loaded.w_.tolist() == model.w_.tolist()
    assert [file.name for file in (tmp_path / "new folder").iterdir()] == [MODEL_FILE]


def test_a_missing_model_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"no model at {tmp_path / MODEL_FILE}: run train"):
        LogisticRegressionGD.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[1, 2]", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("\x80\x04\x95", "cannot be read"),
        ("{}", "has no 'eta'"),
        ('{"eta": 1, "n_iter": 1, "random_state": 1, "weights": ["x"]}', "cannot be read"),
        ('{"eta": 1, "n_iter": 1, "random_state": 1, "weights": [1, 2]}', "3 finite weights"),
        ('{"eta": 1, "n_iter": 1, "random_state": 1, "weights": [1, 2, NaN]}', "3 finite weights"),
    ],
)
def test_a_corrupt_model_is_an_error_with_a_reason(
    tmp_path: Path, content: str, reason: str
) -> None:
    (tmp_path / MODEL_FILE).write_text(content)
    with pytest.raises(ModelError, match=reason):
        LogisticRegressionGD.load(tmp_path)


def test_the_model_file_is_plain_json(tmp_path: Path) -> None:
    LogisticRegressionGD(eta=0.1, n_iter=30).fit(X, Y).save(tmp_path)
    document = json.loads((tmp_path / MODEL_FILE).read_text())
    assert document["eta"] == 0.1
    assert document["iterations"] == 30
    assert len(document["weights"]) == 3
