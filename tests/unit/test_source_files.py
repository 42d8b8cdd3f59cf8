"""What of a folder is its author's."""

from __future__ import annotations

from pathlib import Path

import pytest

from devkit.source_files import source_files


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in source_files(folder)]


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_files_at_every_depth_are_the_authors(tmp_path: Path) -> None:
    for name in ("handler.py", "pkg/__init__.py", "pkg/data/.hidden", ".env"):
        write(tmp_path / name)
    assert sorted(names(tmp_path)) == [".env", "handler.py", "pkg/__init__.py", "pkg/data/.hidden"]


@pytest.mark.parametrize(
    "name",
    [
        "__pycache__/handler.cpython-311.pyc",
        "pkg/__pycache__/x",
        "old.pyc",
        ".git/HEAD",
        ".DS_Store",
        "handler.py~",
        ".handler.py.swp",
        "#handler.py#",
        ".idea/workspace.xml",
        ".vscode/settings.json",
        ".pytest_cache/x",
        "my-environment/pyvenv.cfg",
        "my-environment/lib/site-packages/x.py",
    ],
)
def test_what_tools_leave_is_not(tmp_path: Path, name: str) -> None:
    write(tmp_path / "my-environment" / "pyvenv.cfg")
    write(tmp_path / name)
    assert names(tmp_path) == []


def test_links_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "data" / "a")
    (tmp_path / "link").symlink_to("data")
    assert names(tmp_path) == ["link", "data/a"]
