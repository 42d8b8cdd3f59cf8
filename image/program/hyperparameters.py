"""The hyperparameters of the training: read from SageMaker's file of strings, and checked."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEED_LIMIT = 2**32

# What the SageMaker SDK and its tuner add on their own account.
RESERVED = ("sagemaker_", "_tuning_objective_metric", "default_user_module_name")


class HyperparameterError(ValueError):
    """A hyperparameter has a value that training cannot use, or their file is not one."""


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What the training may be told."""

    eta: float = 0.05
    """The learning rate: finite and above 0."""

    n_iter: int = 100
    """Passes over the training data: at least 1."""

    random_state: int = 1
    """The seed of the initial weights: from 0 to 2**32 - 1, as numpy demands."""


def read(file: Path, *, warn: Callable[[str], None]) -> Hyperparameters:
    r"""Read hyperparameters.json; what it leaves out keeps its default.

    Args:
        file: A flat JSON object, every value a string. The SageMaker SDK encodes each value as
            JSON once more, so ``"0.05"`` and ``"\"0.05\""`` mean the same.
        warn: Called with a line for each hyperparameter this training does not know.

    Raises:
        HyperparameterError: Names the key, the value and what is allowed.
    """
    given = _strings(file)
    readers = {"eta": _eta, "n_iter": _n_iter, "random_state": _random_state}
    for key in sorted(given.keys() - readers.keys()):
        if not key.startswith(RESERVED):
            known = ", ".join(readers)
            warn(f"warning: the hyperparameter {key!r} is unknown and ignored; known are {known}")
    values: dict[str, Any] = {
        key: reader(given[key]) for key, reader in readers.items() if key in given
    }
    return Hyperparameters(**values)


def _strings(file: Path) -> dict[str, str]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise HyperparameterError(f"{file} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise HyperparameterError(f"{file} is not a JSON object of strings")
    return {key: _decoded(value) for key, value in document.items()}


def _decoded(value: object) -> str:
    """Undo the JSON encoding that the SDK may have put around a string."""
    text = str(value)
    try:
        inner = json.loads(text)
    except ValueError:
        return text
    return inner if isinstance(inner, str) else text


def _eta(text: str) -> float:
    try:
        eta = float(text)
    except ValueError:
        eta = math.nan
    if not 0 < eta < math.inf:
        raise HyperparameterError(f"eta={text!r} is not allowed: use a finite number above 0")
    return eta


def _n_iter(text: str) -> int:
    n_iter = _whole(text)
    if n_iter is None or n_iter < 1:
        raise HyperparameterError(f"n_iter={text!r} is not allowed: use a whole number from 1 up")
    return n_iter


def _random_state(text: str) -> int:
    seed = _whole(text)
    if seed is None or not 0 <= seed < SEED_LIMIT:
        raise HyperparameterError(
            f"random_state={text!r} is not allowed: use a whole number from 0 to {SEED_LIMIT - 1}"
        )
    return seed


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
