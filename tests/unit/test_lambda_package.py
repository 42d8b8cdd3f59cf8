"""The zip that Lambda takes: what is in it, and that it is always the same."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import stat
import zipfile
from pathlib import Path

import pytest

from devkit.errors import StoreError
from devkit.lambda_package import PackageRefused, package, zip_folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    (folder / "pkg").mkdir(parents=True)
    (folder / "handler.py").write_text("def handler(event, context): ...\n")
    (folder / "pkg" / "__init__.py").touch()
    return folder


def zipped(folder: Path) -> bytes:
    target = io.BytesIO()
    zip_folder(folder, target)
    return target.getvalue()


def entries(folder: Path) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(io.BytesIO(zipped(folder))) as archive:
        return {entry.filename: entry for entry in archive.infolist()}


def permissions(entry: zipfile.ZipInfo) -> str:
    return stat.filemode(entry.external_attr >> 16)


def test_the_same_files_give_the_same_bytes_whenever_they_were_written(source: Path) -> None:
    first = zipped(source)
    for path in (source / "handler.py", source / "pkg" / "__init__.py"):
        os.utime(path, (1, 1))
    assert zipped(source) == first


def test_the_same_files_give_the_same_bytes_in_whatever_order_they_were_made(
    source: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    (other / "pkg").mkdir(parents=True)
    (other / "pkg" / "__init__.py").touch()
    (other / "handler.py").write_bytes((source / "handler.py").read_bytes())
    assert zipped(other) == zipped(source)


def test_everybody_may_read_what_only_its_author_could(source: Path) -> None:
    (source / "handler.py").chmod(0o600)
    (source / "tool").touch(0o700)
    found = entries(source)
    assert permissions(found["handler.py"]) == "-rw-r--r--"
    assert permissions(found["tool"]) == "-rwxr-xr-x"


def test_a_link_in_the_folder_stays_a_link(source: Path) -> None:
    (source / "pkg" / "same.py").symlink_to("../handler.py")
    (source / "alias").symlink_to("pkg")
    with zipfile.ZipFile(io.BytesIO(zipped(source))) as archive:
        assert archive.read("pkg/same.py") == b"../handler.py"
        assert permissions(archive.getinfo("alias")) == "lrwxrwxrwx"


@pytest.mark.parametrize(
    ("leads_to", "said"),
    [
        ("../secret", "leads out of the folder"),
        ("/etc/hostname", "leads out of the folder"),
        ("pkg/none.py", "which is not there"),
    ],
)
def test_a_link_that_lambda_could_not_follow_is_refused(
    source: Path, leads_to: str, said: str
) -> None:
    (source.parent / "secret").touch()
    (source / "link").symlink_to(leads_to)
    with pytest.raises(PackageRefused, match=said):
        zipped(source)


def test_what_is_no_file_is_refused(source: Path) -> None:
    os.mkfifo(source / "pipe")
    with pytest.raises(PackageRefused, match="neither a file nor a link"):
        zipped(source)


def test_a_package_tells_what_lambda_will_tell(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "function.zip"
    made = package(source, target)
    digest = hashlib.sha256(target.read_bytes()).digest()
    assert made.sha256 == base64.b64encode(digest).decode()
    assert (made.files, made.archive_bytes) == (2, target.stat().st_size)
    assert made.code_bytes == (source / "handler.py").stat().st_size
    assert made.notes == ()
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_the_folders_own_files_win_over_what_they_import(source: Path, tmp_path: Path) -> None:
    dependencies = tmp_path / "python"
    (dependencies / "pkg").mkdir(parents=True)
    (dependencies / "handler.py").write_text("theirs")
    (dependencies / "pkg" / "more.py").write_text("theirs")
    package(source, tmp_path / "f.zip", dependencies)
    with zipfile.ZipFile(tmp_path / "f.zip") as archive:
        assert archive.namelist() == ["handler.py", "pkg/__init__.py", "pkg/more.py"]
        assert b"def handler" in archive.read("handler.py")


def test_an_archive_in_the_folder_is_not_packed_into_itself(source: Path) -> None:
    target = source / "function.zip"
    (source / ".function.zip.x1").touch()  # of another devkit that packs it right now
    first = package(source, target).sha256
    assert package(source, target).sha256 == first
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == ["handler.py", "pkg/__init__.py"]


def test_what_the_runtime_brings_along_is_noted(source: Path, tmp_path: Path) -> None:
    (source / "botocore").mkdir()
    (source / "botocore" / "__init__.py").write_text("x" * (1 << 20))
    [note] = package(source, tmp_path / "f.zip").notes
    assert note.startswith("botocore: Lambda's runtime has them already; 1.0 MB less")


def test_more_code_than_lambda_takes_is_refused_with_the_largest_of_it(
    source: Path, tmp_path: Path
) -> None:
    with (source / "model.bin").open("wb") as file:
        file.truncate(251 << 20)
    with pytest.raises(PackageRefused, match=r"the largest: model\.bin 251\.0 MB"):
        package(source, tmp_path / "f.zip")
    assert not (tmp_path / "f.zip").exists()


def test_an_archive_too_large_for_a_request_is_noted(source: Path, tmp_path: Path) -> None:
    (source / "model.bin").write_bytes(os.urandom(51 << 20))
    [note] = package(source, tmp_path / "f.zip").notes
    assert "more than Lambda takes in a request (50.0 MB): put the archive into S3" in note


@pytest.mark.parametrize("name", ["none", "code/handler.py"])
def test_only_a_folder_is_packed(source: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(PackageRefused, match="is not a folder"):
        package(tmp_path / name, tmp_path / "f.zip")
    assert source.is_dir()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PackageRefused, match="there is no file in"):
        package(tmp_path / "empty", tmp_path / "f.zip")


def test_an_archive_that_cannot_be_written_is_a_store_error(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"f\.zip cannot be made"):
        package(source, tmp_path / "file" / "f.zip")
