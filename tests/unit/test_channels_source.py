"""A local folder or file in the place of an S3 prefix."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devkit.channels.source import DataObject, LocalSource
from devkit.errors import ConfigError


def write(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def keys(folder: Path) -> list[str]:
    return [each.key for each in LocalSource(folder).objects()]


def test_files_come_in_the_order_s3_would_list_them_contract_1_6(tmp_path: Path) -> None:
    names = ["a/b", "a.txt", "a-1", "a/ä", "a/z", "B", "é", "a0", ".hidden", "a/.h/x", "😀", "ﬀ"]
    write(tmp_path, *names)
    assert keys(tmp_path) == sorted(names, key=lambda name: name.encode())


def test_a_file_is_the_one_object_of_its_channel(tmp_path: Path) -> None:
    write(tmp_path, "iris.csv", "other.csv")
    source = LocalSource(tmp_path / "iris.csv")
    assert list(source.objects()) == [DataObject("iris.csv", 8)]
    with source.open("iris.csv") as stream:
        assert stream.read() == b"iris.csv"


def test_links_are_followed_to_files_and_folders(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "x", "sub/y")
    folder = write(tmp_path / "data", "m")
    (folder / "file").symlink_to(tmp_path / "elsewhere" / "x")
    (folder / "folder").symlink_to(tmp_path / "elsewhere")
    assert keys(folder) == ["file", "folder/sub/y", "folder/x", "m"]


def test_a_link_back_to_a_folder_above_is_refused_instead_of_followed_for_ever(
    tmp_path: Path,
) -> None:
    write(tmp_path, "sub/x")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="leads back to a folder above it"):
        keys(tmp_path)


def test_what_is_no_regular_file_is_no_object(tmp_path: Path) -> None:
    write(tmp_path, "x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "empty folder").mkdir()
    assert keys(tmp_path) == ["x"]


def test_a_missing_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file or folder"):
        keys(tmp_path / "gone")
    with pytest.raises(ConfigError, match="there is no file 'gone'"):
        LocalSource(tmp_path).open("gone")


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "a/../../secret", "a//b", "", "a\0b"])
def test_keys_that_lead_out_of_the_folder_are_refused_contract_1_6(
    tmp_path: Path, key: str
) -> None:
    write(tmp_path, "secret", "data/a/b")
    with pytest.raises(ConfigError, match="cannot be the path of a file"):
        LocalSource(tmp_path / "data").open(key)
