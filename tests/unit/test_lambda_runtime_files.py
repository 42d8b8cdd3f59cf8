"""AWS's modules as functions find them."""

from __future__ import annotations

from pathlib import Path

import pytest

from devkit.local_aws.lambda_ import runtime_files


def test_a_function_finds_awss_modules_and_no_others(tmp_path: Path) -> None:
    pytest.importorskip("awslambdaric")
    folder = tmp_path / "runtime"
    folder.mkdir()
    (folder / "of an earlier one").touch()

    places = runtime_files.lay_out(folder)

    names = {entry.name for entry in folder.iterdir()}
    assert {"awslambdaric", "boto3", "botocore", "s3transfer", "bootstrap.py"} <= names
    assert not {"pytest", "aiohttp", "devkit", "of an earlier one"} & names
    for entry in folder.iterdir():
        assert entry.exists()
        assert not entry.is_symlink() or entry.readlink().parent in places
