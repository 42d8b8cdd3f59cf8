"""Logistic regression on two iris classes, with its way in and out: bodies, predictions, a file.

Only numpy is imported here, because serving imports this module on its way to the first ping.
"""

from __future__ import annotations

import csv
import io
import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Labels = NDArray[np.int64]

JSON = "application/json"
CSV = "text/csv"
MEDIA_TYPES = (JSON, CSV)

FEATURES = ("petal_length", "petal_width")
CATEGORIES = ("Iris-Setosa", "Iris-Versicolour")
MODEL_FILE = "model.json"


class ModelError(Exception):
    """The model cannot be trained or loaded; the message says why."""


class BadRecordError(ValueError):
    """A body is not records of petal length and width; the message says where and why."""


class UnsupportedMediaTypeError(ValueError):
    """A body came, or an answer was asked for, in a type other than JSON and CSV."""


class LogisticRegressionGD:
    """Logistic regression of two classes, fitted by batch gradient ascent on the log-likelihood.

    Args:
        eta: The learning rate, above 0.
        n_iter: Passes over the training data, at least 1.
        random_state: The seed of the initial weights.
    """

    w_: Floats
    """Shape (1 + n_features,): the bias, then a weight a feature."""

    losses_: list[float]
    """The log-loss, summed over the samples, of each iteration before its update."""

    def __init__(self, eta: float = 0.05, n_iter: int = 100, random_state: int = 1) -> None:
        self.eta = eta
        self.n_iter = n_iter
        self.random_state = random_state

    def fit(
        self, x: Floats, y: Labels, *, goes_on: Callable[[int, float], bool] | None = None
    ) -> LogisticRegressionGD:
        """Fit the weights and return this model.

        Args:
            x: Features, shape (n_samples, n_features).
            y: Labels 0 and 1, shape (n_samples,).
            goes_on: Called after each iteration with its number, from 1, and its log-loss; a
                false answer ends the training there, with the weights so far.

        Raises:
            ModelError: The weights grew past what a float holds.
        """
        random = np.random.RandomState(self.random_state)
        self.w_ = random.normal(loc=0.0, scale=0.01, size=1 + x.shape[1])
        self.losses_ = []
        for iteration in range(1, self.n_iter + 1):
            loss = self._step(x, y)
            if not np.isfinite(loss) or not np.isfinite(self.w_).all():
                raise ModelError(
                    f"training diverged at iteration {iteration}: the weights outgrew a float; "
                    f"choose a smaller eta than {self.eta!r}, or scale the features"
                )
            self.losses_.append(loss)
            if goes_on is not None and not goes_on(iteration, loss):
                break
        return self

    def _step(self, x: Floats, y: Labels) -> float:
        """Move the weights once up the gradient; return the log-loss before that."""
        # An overflow shows as a weight or loss that is not finite, and fit() reports that.
        with np.errstate(over="ignore", invalid="ignore"):
            net_input = self.w_[0] + x @ self.w_[1:]
            # Neither form ever takes the logarithm of 0 or exponentiates a large number.
            probability = np.exp(-np.logaddexp(0.0, -net_input))
            loss = np.logaddexp(0.0, np.where(y == 1, -net_input, net_input)).sum()
            errors = y - probability
            self.w_[1:] += self.eta * (x.T @ errors)
            self.w_[0] += self.eta * errors.sum()
        return float(loss)

    def predict(self, x: Floats) -> Labels:
        """Label each sample 0 or 1.

        Args:
            x: Features, shape (n_samples, n_features), or (n_features,) for a single sample.

        Returns:
            Labels of shape (n_samples,), or () for a single sample.
        """
        # Only the sign counts, and dividing by a positive number keeps it: so scaled, no
        # feature and no weight is large enough to overflow.
        weights = self.w_ / max(1.0, float(np.abs(self.w_).max()))
        scale = np.abs(x).max(axis=-1, initial=1.0)
        net_input = weights[0] / scale + (x / scale[..., np.newaxis]) @ weights[1:]
        labels: Labels = np.where(net_input >= 0.0, 1, 0)
        return labels

    def save(self, folder: Path) -> None:
        """Write the fitted model into ``folder``, made if it is missing; never half a file."""
        folder.mkdir(parents=True, exist_ok=True)
        document = {
            "eta": self.eta,
            "n_iter": self.n_iter,
            "random_state": self.random_state,
            "weights": self.w_.tolist(),
            "iterations": len(self.losses_),
            "log_loss": self.losses_[-1],
        }
        partial = folder / f".{MODEL_FILE}.partial"
        partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        partial.replace(folder / MODEL_FILE)

    @classmethod
    def load(cls, folder: Path) -> LogisticRegressionGD:
        """Read the model that ``save`` wrote. Its losses are not kept.

        Raises:
            ModelError: The file is missing, unreadable or not such a model.
        """
        file = folder / MODEL_FILE
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            model = cls(document["eta"], document["n_iter"], document["random_state"])
            model.w_ = np.array(document["weights"], dtype=np.float64)
            model.losses_ = []
        except FileNotFoundError:
            raise ModelError(f"there is no model at {file}: run train first") from None
        except KeyError as error:
            raise ModelError(f"the model at {file} has no {error}") from error
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise ModelError(f"the model at {file} cannot be read: {error}") from error
        if model.w_.shape != (1 + len(FEATURES),) or not np.isfinite(model.w_).all():
            raise ModelError(f"the model at {file} needs {1 + len(FEATURES)} finite weights")
        return model


def input_fn(body: bytes, content_type: str) -> Floats:
    """Read the features out of a request.

    Args:
        body: UTF-8. JSON: an object with the keys ``petal_length`` and ``petal_width``, or a list
            of such objects. CSV: a row a record, ``petal_length,petal_width``, with or without
            that header. Both in cm.
        content_type: A Content-Type header; its parameters and its case do not matter.

    Returns:
        Shape (n, 2), n > 0; or (2,) for a single JSON object, which asks for a single answer.

    Raises:
        UnsupportedMediaTypeError: The content type is neither JSON nor CSV.
        BadRecordError: The body is not as above, or a number is not finite.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise UnsupportedMediaTypeError(
            f"the content type is {media_type[:80]!r}: send {JSON} or {CSV}"
        )
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRecordError(f"the body is not UTF-8: byte {error.start} is wrong") from None
    if not text.strip():
        raise BadRecordError("the body is empty: it needs at least one record")
    return _from_json(text) if media_type == JSON else _from_csv(text)


def output_fn(predictions: Labels, accept: str) -> str:
    """Write predictions as the body of an answer.

    Args:
        predictions: Labels 0 and 1, shape (n,), or () for a single answer.
        accept: ``application/json`` gives ``{"category": ...}``, or a list of those for shape (n,);
            ``text/csv`` gives a category a line.

    Raises:
        UnsupportedMediaTypeError: ``accept`` is anything else.
    """
    names = [CATEGORIES[label] for label in np.atleast_1d(predictions).tolist()]
    if accept == CSV:
        return "".join(f"{name}\n" for name in names)
    if accept != JSON:
        raise UnsupportedMediaTypeError(f"cannot answer in {accept[:80]!r}: accept {JSON} or {CSV}")
    answers = [{"category": name} for name in names]
    return json.dumps(answers if predictions.ndim else answers[0])


def _from_json(text: str) -> Floats:
    try:
        document = json.loads(text)
    except RecursionError:
        raise BadRecordError("the JSON is nested too deeply") from None
    except ValueError as error:
        raise BadRecordError(f"the body is not JSON: {error}") from None
    if isinstance(document, dict):
        return _finite(np.array(_record(document, "the record")), "the record")
    if not isinstance(document, list):
        raise BadRecordError("the JSON is neither an object nor a list of objects")
    if not document:
        raise BadRecordError("the list is empty: it needs at least one record")
    rows = [_record(item, f"record {number}") for number, item in enumerate(document, start=1)]
    return _finite(np.array(rows), "record")


def _record(item: Any, name: str) -> list[float]:
    if not isinstance(item, dict):
        raise BadRecordError(f"{name} is not an object with the keys {' and '.join(FEATURES)}")
    return [_number(item, feature, name) for feature in FEATURES]


def _number(item: dict[str, Any], feature: str, name: str) -> float:
    if feature not in item:
        raise BadRecordError(f"{name} has no {feature}")
    value = item[feature]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRecordError(f"{name}: {feature} is not a number")
    try:
        return float(value)
    except OverflowError:
        raise BadRecordError(f"{name}: {feature} is too large") from None


def _from_csv(text: str) -> Floats:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:
        raise BadRecordError(f"the body is not CSV: {error}") from None
    order, start = _header(rows[0]) if rows else ((0, 1), 0)
    if len(rows) == start:
        raise BadRecordError("the CSV has no rows: it needs at least one record")
    records = [
        _row(row, order, number) for number, row in enumerate(islice(rows, start, None), start=1)
    ]
    return _finite(np.array(records), "row")


def _header(row: list[str]) -> tuple[tuple[int, int], int]:
    """Where each feature's column is, and how many rows the header takes: 1, or 0 without one."""
    names = [cell.strip().lower() for cell in row]
    if sorted(names) != sorted(FEATURES):
        return (0, 1), 0
    return (names.index(FEATURES[0]), names.index(FEATURES[1])), 1


def _row(row: list[str], order: tuple[int, int], number: int) -> list[float]:
    if len(row) != len(FEATURES):
        raise BadRecordError(
            f"row {number} has {len(row)} columns, not {len(FEATURES)}: {', '.join(FEATURES)}"
        )
    try:
        return [float(row[column]) for column in order]
    except ValueError:
        raise BadRecordError(f"row {number} is not two numbers: {str(row)[:80]}") from None


def _finite(features: Floats, name: str) -> Floats:
    """Return ``features``, or say which record holds a NaN or an infinity."""
    finite = np.isfinite(features).all(axis=-1)
    if not finite.all():
        which = f"{name} {int(np.argmin(finite)) + 1}" if features.ndim > 1 else name
        raise BadRecordError(f"{which} holds NaN or an infinite number")
    return features
