"""Models: archives and uncompressed ones, here and in S3, and what fails a deployment (2.2)."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from devkit.archives import ArchiveRefused
from devkit.channels.locations import parse_s3_uri
from devkit.channels.s3_reading import S3Client
from devkit.errors import ConfigError, DevkitError, NotFound
from devkit.model_source import ModelRefused, model_folder
from devkit.s3 import no_s3
from tests.unit.test_channels_s3 import FakeS3


def packed(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def bring(s3: S3Client, uri: str, folder: Path) -> dict[str, bytes]:
    """The files of a model in S3, once it has been fetched."""
    assert model_folder(parse_s3_uri(uri), folder, lambda: s3) == folder
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "opt" / "model"


def test_no_model_is_an_empty_folder(folder: Path) -> None:
    assert model_folder(None, folder, no_s3) == folder
    assert list(folder.iterdir()) == []


def test_an_archive_of_s3_is_extracted_as_a_stream(folder: Path) -> None:
    s3 = FakeS3({"job/output/model.tar.gz": packed(weights=b"w" * 3_000_000, labels=b"l")})
    files = bring(s3, "s3://bucket/job/output/model.tar.gz", folder)
    assert files == {"weights": b"w" * 3_000_000, "labels": b"l"}
    assert s3.closed == 1


def test_a_prefix_is_all_its_objects_by_the_rest_of_their_keys(folder: Path) -> None:
    objects = {"m/a": b"1", "m/b/c": b"2", "m/b/d/e": b"3", "m2/x": b"no", "m": b"no"}
    assert bring(FakeS3(objects), "s3://bucket/m/", folder) == {
        "a": b"1",
        "b/c": b"2",
        "b/d/e": b"3",
    }
    assert folder.stat().st_mode & 0o777 == 0o755


def test_an_archive_under_a_prefix_stays_an_archive(folder: Path) -> None:
    files = bring(FakeS3({"m/model.tar.gz": b"as it is"}), "s3://bucket/m/", folder)
    assert files == {"model.tar.gz": b"as it is"}


def test_a_whole_bucket_is_a_prefix(folder: Path) -> None:
    assert bring(FakeS3({"a": b"1"}), "s3://bucket/", folder) == {"a": b"1"}


@pytest.mark.contract("2.2-g")
def test_an_object_has_the_last_part_of_its_key_as_its_name(folder: Path) -> None:
    s3 = FakeS3({"m/weights.bin": b"1", "m/weights.bin.md5": b"2", "m/weights.bin/x": b"3"})
    assert bring(s3, "s3://bucket/m/weights.bin", folder) == {"weights.bin": b"1"}


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/gone/model.tar.gz",
        "s3://bucket/gone/",
        "s3://bucket/gone",
        "s3://bucket/m/wei",
        "s3://nowhere/m/",
        "s3://nowhere/model.tar.gz",
    ],
)
def test_a_model_that_is_not_there_is_not_found(folder: Path, uri: str) -> None:
    with pytest.raises(NotFound, match=f"Could not find model data at {uri}: there is no"):
        bring(FakeS3({"m/weights": b"1"}), uri, folder)
    assert not folder.exists()


@pytest.mark.contract("2.2-g")
def test_a_prefix_has_to_end_with_a_slash(folder: Path) -> None:
    s3 = FakeS3({"m-0": b"", "m-1": b"", "m-2": b"", "m/weights": b"1"})
    with pytest.raises(ModelRefused, match=r"'m/weights'\n→ --model s3://bucket/m/$"):
        bring(s3, "s3://bucket/m", folder)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("m/", "ends with /"),
        ("m/sub/", "ends with /"),
        ("m//x", "empty or blank name"),
        ("m/ \t/x", "empty or blank name"),
        ("m/x\0y", "NUL"),
        ("m/./x", r"the name '\.'"),
        ("m/../x", r"the name '\.\.'"),
        ("m/..", r"the name '\.\.'"),
        ("m/" + "é" * 128, "more than 255 bytes"),
        ("m/a/b", r"'m/a' would be a file and a folder: there is also 'a/b'"),
    ],
)
@pytest.mark.contract("2.2-h")
def test_what_fails_a_deployment_is_refused_whole(folder: Path, key: str, why: str) -> None:
    with pytest.raises(ModelRefused, match=why) as error:
        bring(FakeS3({"m/a": b"1", key: b""}), "s3://bucket/m/", folder)
    assert repr(key) in str(error.value) or "'m/a'" in str(error.value)
    assert error.value.exit_code == 6
    assert not folder.parent.exists()


def test_names_of_255_bytes_and_of_dots_are_fine(folder: Path) -> None:
    objects = {f"m/{'x' * 255}": b"1", "m/.../..a": b"2"}
    assert len(bring(FakeS3(objects), "s3://bucket/m/", folder)) == 2


@pytest.mark.parametrize("uri", ["s3://bucket/m/", "s3://bucket/m/b", "s3://bucket/m.tar.gz"])
def test_a_connection_that_breaks_off_leaves_nothing(folder: Path, uri: str) -> None:
    s3 = FakeS3(
        {"m/a": b"x" * 9000, "m/b": b"x" * 9000, "m.tar.gz": packed(a=os.urandom(9000))}, cut=5000
    )
    with pytest.raises(DevkitError, match="broke off"):
        bring(s3, uri, folder)
    assert list(folder.parent.iterdir()) == []


def test_an_object_of_s3_that_is_no_archive_is_refused_by_name(folder: Path) -> None:
    s3 = FakeS3({"model.tar.gz": b"this is not gzip"})
    with pytest.raises(ArchiveRefused, match=r"s3://bucket/model.tar.gz is not a whole gzipped"):
        bring(s3, "s3://bucket/model.tar.gz", folder)


def test_a_local_folder_is_mounted_where_it_is(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "mine" / "sub").mkdir(parents=True)
    (tmp_path / "mine" / "sub" / "weights").touch()
    assert model_folder(tmp_path / "mine", folder, no_s3) == tmp_path / "mine"
    assert not folder.exists()


def test_a_local_folder_has_to_have_names_that_deploy(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "mine" / " ").mkdir(parents=True)
    (tmp_path / "mine" / " " / "weights").touch()
    with pytest.raises(ModelRefused, match="' /weights' has an empty or blank name in it"):
        model_folder(tmp_path / "mine", folder, no_s3)


def test_without_an_s3_in_the_settings_none_is_asked(folder: Path) -> None:
    with pytest.raises(ConfigError, match="the settings name no S3"):
        model_folder(parse_s3_uri("s3://bucket/m/"), folder, no_s3)
