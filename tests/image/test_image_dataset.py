"""The flowers: the channel's files, scikit-learn's copy, and how they are split."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.datasets import load_iris  # type: ignore[import-untyped]

import dataset
from dataset import DataError
from tests.image.image_programs import IRIS

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "sepal_length,sepal_width,petal_length,petal_width,species\n"


def test_the_example_file_holds_what_scikit_learn_has_in_the_same_order() -> None:
    iris = load_iris()
    lines = (IRIS / "iris.csv").read_text().splitlines()
    assert lines[0] + "\n" == HEADER
    rows = [line.split(",") for line in lines[1:]]
    assert [[float(cell) for cell in row[:4]] for row in rows] == iris.data.tolist()
    names = ["Iris-Setosa", "Iris-Versicolour", "Iris-Virginica"]
    assert [row[4] for row in rows] == [names[label] for label in iris.target]


def test_both_sources_give_the_same_flowers(tmp_path: Path) -> None:
    from_file, own = dataset.load(IRIS), dataset.load(tmp_path / "no-such-channel")
    np.testing.assert_array_equal(from_file.x, own.x)
    np.testing.assert_array_equal(from_file.y, own.y)


def test_files_are_read_in_the_order_of_their_names_in_sub_folders_too(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.csv").write_text("species,petal_width,petal_length\nIris-virginica,2,5\n")
    (tmp_path / "a.CSV").write_text(HEADER + "9,9,1.4,0.2,Iris-Setosa\n\n")
    (tmp_path / "notes.txt").write_text("not data")
    flowers = dataset.load(tmp_path)
    assert flowers.x.tolist() == [[1.4, 0.2], [5.0, 2.0]]
    assert flowers.y.tolist() == [0, 2]


def test_a_header_made_by_a_spreadsheet_is_understood(tmp_path: Path) -> None:
    content = "\ufeffPetal_Length , PETAL_WIDTH,Species\r\n1,2,iris-versicolor\r\n"
    (tmp_path / "iris.csv").write_text(content, newline="")
    assert dataset.load(tmp_path).y.tolist() == [1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "x.csv: the header has no petal_length, petal_width, species"),
        ("1.4,0.2,Iris-Setosa\n", "the header has no petal_length"),
        (HEADER, "no rows"),
        (HEADER + "1,1,1,1,Iris-Setosa\n1,1,x,1,Iris-Setosa\n", "x.csv, line 3: not two numbers"),
        (HEADER + "1,1,1\n", "x.csv, line 2: not two numbers"),
        (HEADER + "1,1,nan,1,Iris-Setosa\n", "line 2: NaN"),
        (HEADER + "1,1,1,1,Rosa\n", "line 2: the species 'Rosa' is none of"),
    ],
)
def test_a_bad_file_is_an_error_that_says_where(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(DataError, match=reason):
        dataset.load(tmp_path)


def test_a_channel_without_csv_files_is_an_error_not_a_reason_for_other_data(
    tmp_path: Path,
) -> None:
    (tmp_path / "iris.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"has no \.csv file"):
        dataset.load(tmp_path)


def test_pipe_mode_is_an_error_not_a_reason_for_other_data(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "training_0")
    with pytest.raises(DataError, match="Pipe mode: choose File or FastFile"):
        dataset.load(tmp_path / "training")


def test_the_split_holds_out_three_of_ten_of_each_species_and_keeps_two_species() -> None:
    to_train_on, held_out = dataset.split(dataset.load(IRIS))
    assert np.bincount(to_train_on.y).tolist() == [35, 35]
    assert np.bincount(held_out.y).tolist() == [15, 15]
    assert to_train_on.x.shape == (70, 2)


def test_a_missing_class_is_named() -> None:
    flowers = dataset.load(IRIS)
    setosa = dataset.Flowers(flowers.x[:50], flowers.y[:50])
    with pytest.raises(DataError, match=r"has no Iris-Versicolour$"):
        dataset.split(setosa)
