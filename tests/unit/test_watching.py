"""Watching: what counts as an edit, and when it is over."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from devkit.watching import Look, Snapshot, Watch, files_snapshot, folder_snapshot


def watch(*snapshots: Snapshot) -> Watch:
    """A watch that sees these, one after the other."""
    remaining: Iterator[Snapshot] = iter(snapshots)
    return Watch(lambda: next(remaining))


def state(**versions: int) -> Snapshot:
    return {name: Look(version, 1, 0o644) for name, version in versions.items()}


def changes(watch: Watch, looks: int) -> list[list[str]]:
    return [watch.changed() for _ in range(looks)]


def test_an_edit_is_told_once_and_only_when_it_has_settled() -> None:
    old, half, new = state(a=1), state(a=2), state(a=3)
    assert changes(watch(old, old, half, new, new, new), 5) == [[], [], [], ["a"], []]


def test_what_is_new_and_what_is_gone_count() -> None:
    before, after = state(gone=1, same=1), state(new=1, same=1)
    assert changes(watch(before, after, after), 2) == [[], ["gone", "new"]]


def test_an_edit_that_is_taken_back_at_once_is_none() -> None:
    old, new = state(a=1), state(a=2)
    assert changes(watch(old, new, old, old), 3) == [[], [], []]


def test_an_edit_that_is_taken_back_later_is_one() -> None:
    old, new = state(a=1), state(a=2)
    assert changes(watch(old, new, new, old, old), 4) == [[], ["a"], [], ["a"]]


def edited(folder: Path, file: Path) -> Iterable[str]:
    """What differs in the folder's snapshot after something was done to the file."""
    before = folder_snapshot(folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("new")
    after = folder_snapshot(folder)
    return sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))


@pytest.mark.parametrize("name", ["serve", "deep/er/model.py", ".env", "ünï.py", "a b.txt"])
def test_files_of_the_program_are_seen(tmp_path: Path, name: str) -> None:
    assert edited(tmp_path, tmp_path / name) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "__pycache__/model.cpython-311.pyc",
        "model.pyc",
        ".model.py.swp",
        "4913",
        "model.py~",
        ".#model.py",
        "#model.py#",
        "model.py___jb_tmp___",
        ".git/index",
        ".DS_Store",
    ],
)
def test_what_python_and_editors_put_there_is_not(tmp_path: Path, name: str) -> None:
    assert edited(tmp_path, tmp_path / name) == []


def test_an_edit_of_the_same_size_and_a_mode_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "serve"
    file.write_text("a = 1")
    first = folder_snapshot(tmp_path)
    os.utime(file, ns=(0, 1))
    second = folder_snapshot(tmp_path)
    file.chmod(0o755)
    assert first != second != folder_snapshot(tmp_path)


def test_a_link_that_leads_nowhere_and_a_folder_that_is_gone_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert folder_snapshot(tmp_path) == {}
    assert folder_snapshot(tmp_path / "gone") == {}


def test_of_single_files_those_that_exist_are_seen(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x")
    found = files_snapshot([tmp_path / "Dockerfile", tmp_path / "requirements.txt"])
    assert list(found) == ["Dockerfile"]
