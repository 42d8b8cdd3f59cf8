"""The iris flowers: from the CSV files of the training channel, or scikit-learn's own copy."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.model_selection import train_test_split  # type: ignore[import-untyped]

from model import CATEGORIES, FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from model import Floats, Labels

COLUMNS = (*FEATURES, "species")
SPECIES = {"iris-setosa": 0, "iris-versicolour": 1, "iris-versicolor": 1, "iris-virginica": 2}
HELD_OUT = 0.3
SPLIT_SEED = 1


class DataError(ValueError):
    """The training channel does not hold iris flowers; the message says where and why."""


@dataclass(frozen=True)
class Flowers:
    """Petal length and width in cm, shape (n, 2), and the species as a number, shape (n,)."""

    x: Floats
    y: Labels

    def __len__(self) -> int:
        """How many flowers these are."""
        return len(self.y)

    def of_the_two_classes(self) -> Flowers:
        """Only the flowers that the model is to tell apart."""
        kept = self.y < len(CATEGORIES)
        return Flowers(self.x[kept], self.y[kept])


def load(channel: Path) -> Flowers:
    """Read the flowers of the training channel, or else those that scikit-learn brings along.

    Args:
        channel: The channel's folder. All CSV files below it are read, in the order of their names;
            each needs a header with ``petal_length``, ``petal_width`` and ``species``.

    Raises:
        DataError: The channel has no CSV file, or one of them is not a table of flowers.
    """
    if channel.with_name(f"{channel.name}_0").exists():
        raise DataError("the training channel is in Pipe mode: choose File or FastFile")
    if not channel.exists():
        return _from_scikit_learn()
    files = sorted(f for f in channel.rglob("*") if f.suffix.lower() == ".csv" and f.is_file())
    if not files:
        raise DataError(f"the training channel {channel} has no .csv file")
    flowers = [flower for file in files for flower in _from_csv(file)]
    if not flowers:
        raise DataError(f"the .csv files of the training channel {channel} have no rows")
    return Flowers(
        np.array([(length, width) for length, width, _ in flowers]),
        np.array([species for _, _, species in flowers]),
    )


def split(flowers: Flowers) -> tuple[Flowers, Flowers]:
    """Split 70 to 30, each species in its proportion: (to train on, held out).

    Only then are both parts cut down to the two classes, so that the split is that of all three.

    Raises:
        DataError: One of the two classes is missing, or there are too few flowers to hold any out.
    """
    missing = [name for label, name in enumerate(CATEGORIES) if label not in flowers.y]
    if missing:
        raise DataError(f"the training data has no {' and no '.join(missing)}")
    train_x, held_out_x, train_y, held_out_y = train_test_split(
        flowers.x, flowers.y, test_size=HELD_OUT, random_state=SPLIT_SEED, stratify=flowers.y
    )
    to_train_on = Flowers(train_x, train_y).of_the_two_classes()
    held_out = Flowers(held_out_x, held_out_y).of_the_two_classes()
    if not len(held_out):
        raise DataError("the training data has too few flowers of the two classes to hold any out")
    return to_train_on, held_out


def _from_scikit_learn() -> Flowers:
    # Only here: a job that brings its own data need not wait for this import.
    from sklearn.datasets import load_iris  # type: ignore[import-untyped]  # noqa: PLC0415

    iris = load_iris()
    columns = [iris.feature_names.index(f"{name.replace('_', ' ')} (cm)") for name in FEATURES]
    return Flowers(iris.data[:, columns], iris.target)


def _from_csv(file: Path) -> Iterator[tuple[float, float, int]]:
    """Give petal length, petal width and species of each row."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines)
        header = [name.strip().lower() for name in next(rows, [])]
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise DataError(f"{file.name}: the header has no {', '.join(missing)}: {header}")
        columns = [header.index(name) for name in COLUMNS]
        for row in rows:
            if row:
                yield _flower(row, columns, f"{file.name}, line {rows.line_num}")


def _flower(row: list[str], columns: list[int], where: str) -> tuple[float, float, int]:
    try:
        length, width, species = (row[column].strip() for column in columns)
        measures = float(length), float(width)
    except (IndexError, ValueError):
        raise DataError(f"{where}: not two numbers and a species: {row}") from None
    if not np.isfinite(measures).all():
        raise DataError(f"{where}: NaN or an infinite number: {row}")
    if species.lower() not in SPECIES:
        raise DataError(f"{where}: the species {species!r} is none of {', '.join(SPECIES)}")
    return *measures, SPECIES[species.lower()]
