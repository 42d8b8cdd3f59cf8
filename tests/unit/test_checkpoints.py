"""Checkpoints come in, go out as they change, and are deleted with the program's own (§1.10)."""

from __future__ import annotations

import io
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from devkit.channels.locations import S3Uri
from devkit.checkpoint_storage import FolderStorage, S3Storage
from devkit.checkpoints import Checkpoints
from devkit.errors import ConfigError, DevkitError

PATH = "/opt/ml/checkpoints"


class Folder:
    """A container of which only the checkpoint folder matters, as an engine archives it."""

    name = "algo-1"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reads = 0

    @property
    def container(self) -> Folder:
        return self

    @contextmanager
    def read_folder(self, target: str) -> Iterator[IO[bytes]]:
        assert target == PATH
        self.reads += 1
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for path in sorted(self.root.rglob("*")):
                member = tar.gettarinfo(path, path.relative_to(self.root).as_posix())
                member.mtime = int(member.mtime)
                with path.open("rb") if path.is_file() else io.BytesIO() as content:
                    tar.addfile(member, content)
        buffer.seek(0)
        yield buffer

    def write(self, name: str, text: str, age_s: float = 60) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_000_000 - age_s, 1_000_000 - age_s))


class Puts(FolderStorage):
    """Remembers what was written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.names: list[str] = []

    def put(self, name: str, content: IO[bytes]) -> None:
        self.names.append(name)
        super().put(name, content)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where the checkpoints are kept."""
    return tmp_path / "kept"


@pytest.fixture
def storage(kept: Path) -> Puts:
    return Puts(kept)


@pytest.fixture
def checkpoints(storage: Puts, tmp_path: Path) -> Checkpoints:
    return Checkpoints(storage, PATH, tmp_path / "notes", clock=lambda: 1_000_000)


@pytest.fixture
def host(tmp_path: Path) -> Folder:
    (tmp_path / "host").mkdir()
    return Folder(tmp_path / "host")


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_is_there_comes_in_with_its_time(
    checkpoints: Checkpoints, kept: Path, tmp_path: Path
) -> None:
    (kept / "epoch").mkdir(parents=True)
    (kept / "epoch" / "1.pt").write_text("weights")
    os.utime(kept / "epoch" / "1.pt", (500, 500))
    checkpoints.fetch("algo-1", tmp_path / "in")
    assert files(tmp_path / "in") == {"epoch/1.pt": "weights"}
    assert (tmp_path / "in" / "epoch" / "1.pt").stat().st_mtime == 500


def test_nothing_there_is_an_empty_folder(checkpoints: Checkpoints, tmp_path: Path) -> None:
    checkpoints.fetch("algo-1", tmp_path / "in")
    assert list((tmp_path / "in").iterdir()) == []
    assert not (tmp_path / "kept").exists()


def test_only_what_has_changed_is_written(
    checkpoints: Checkpoints, storage: Puts, host: Folder, kept: Path
) -> None:
    host.write("a/1.pt", "one")
    host.write("2.pt", "two")
    checkpoints.sync(host)
    host.write("2.pt", "three", age_s=30)
    checkpoints.sync(host)
    assert files(kept) == {"2.pt": "three", "a/1.pt": "one"}
    assert sorted(storage.names) == ["2.pt", "2.pt", "a/1.pt"]


def test_a_file_of_this_very_moment_is_written_again(
    checkpoints: Checkpoints, host: Folder, kept: Path
) -> None:
    """It may change once more within the second that archives tell."""
    host.write("step", "41", age_s=0)
    checkpoints.sync(host)
    host.write("step", "42", age_s=0)
    checkpoints.sync(host)
    assert files(kept) == {"step": "42"}


@pytest.mark.contract("1.10-n")
def test_what_the_program_deletes_is_deleted(
    checkpoints: Checkpoints, host: Folder, kept: Path, tmp_path: Path
) -> None:
    (kept / "old").mkdir(parents=True)
    (kept / "old" / "came-in").write_text("1")
    checkpoints.fetch("algo-1", tmp_path / "in")
    host.write("written", "2")
    checkpoints.sync(host)
    (kept / "of-somebody-else").write_text("3")
    (host.root / "written").unlink()
    checkpoints.sync(host)
    assert files(kept) == {"of-somebody-else": "3"}
    assert not (kept / "old").exists()


def test_what_another_devkit_knew_is_known_to_the_next(
    storage: Puts, host: Folder, kept: Path, tmp_path: Path
) -> None:
    first = Checkpoints(storage, PATH, tmp_path / "notes", clock=lambda: 1_000_000)
    host.write("a", "1")
    host.write("b", "2")
    first.sync(host)
    (host.root / "a").unlink()
    Checkpoints(storage, PATH, tmp_path / "notes", clock=lambda: 1_000_000).sync(host)
    assert files(kept) == {"b": "2"}
    assert storage.names == ["a", "b"]


def test_hosts_share_the_storage_and_delete_only_their_own(
    checkpoints: Checkpoints, host: Folder, kept: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Folder(tmp_path / "other")
    other.name = "algo-2"
    host.write("one", "1")
    other.write("two", "2")
    checkpoints.sync(host)
    checkpoints.sync(other)
    assert files(kept) == {"one": "1", "two": "2"}


def test_a_file_becomes_a_folder(checkpoints: Checkpoints, host: Folder, kept: Path) -> None:
    host.write("a", "file")
    checkpoints.sync(host)
    (host.root / "a").unlink()
    host.write("a/b", "inside")
    checkpoints.sync(host)
    assert files(kept) == {"a/b": "inside"}


def test_what_a_killed_devkit_had_begun_to_write_does_not_come_in(
    checkpoints: Checkpoints, kept: Path, tmp_path: Path
) -> None:
    kept.mkdir()
    (kept / ".devkit-partial-x").write_text("half")
    (kept / ".hidden").write_text("whole")
    checkpoints.fetch("algo-1", tmp_path / "in")
    assert files(tmp_path / "in") == {".hidden": "whole"}


def test_running_instances_are_followed_until_the_block_ends(
    checkpoints: Checkpoints, host: Folder, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devkit.checkpoints._PAUSE_S", 0.001)
    host.write("a", "1")
    written = threading.Event()
    problems: list[str] = []

    class Tells(Folder):
        @contextmanager
        def read_folder(self, target: str) -> Iterator[IO[bytes]]:
            with super().read_folder(target) as stream:
                yield stream
            if self.reads > 1:
                written.set()

    with checkpoints.following([Tells(host.root)], problems.append):
        assert written.wait(10)
    assert files(kept) == {"a": "1"}
    assert problems == []


def test_a_storage_that_cannot_be_written_is_told_once(
    tmp_path: Path, host: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devkit.checkpoints._PAUSE_S", 0.001)
    tried = threading.Event()

    class Full(FolderStorage):
        tries = 0

        def put(self, name: str, content: IO[bytes]) -> None:  # noqa: ARG002
            self.tries += 1
            if self.tries > 2:
                tried.set()
            raise DevkitError(f"no room for {name}")

    host.write("a", "1")
    problems: list[str] = []
    checkpoints = Checkpoints(Full(tmp_path / "kept"), PATH, tmp_path / "notes")
    with checkpoints.following([host], problems.append):
        assert tried.wait(10)
    assert problems == ["checkpoints: no room for a (tried again)"]
    with pytest.raises(DevkitError, match="no room for a"):
        checkpoints.sync(host)


class Bucket:
    """As much of S3 as checkpoints take."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def list_objects_v2(self, **request: object) -> dict[str, object]:
        prefix = str(request["Prefix"])
        found = sorted(key for key in self.objects if key.startswith(prefix))
        return {"Contents": [{"Key": key, "Size": len(self.objects[key])} for key in found]}

    def get_object(self, **request: object) -> dict[str, object]:
        content = self.objects[str(request["Key"])]
        return {"Body": io.BytesIO(content), "ContentLength": len(content)}

    def upload_fileobj(self, Fileobj: IO[bytes], Bucket: str, Key: str) -> None:  # noqa: N803
        assert Bucket == "b"
        self.objects[Key] = Fileobj.read()

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803
        assert Bucket == "b"
        del self.objects[Key]


@pytest.mark.contract("1.10-m", "1.10-n")
@pytest.mark.parametrize("prefix", ["ckpt", "ckpt/"])
def test_in_s3_they_are_below_the_prefix(tmp_path: Path, host: Folder, prefix: str) -> None:
    bucket = Bucket()
    bucket.objects = {"ckpt/epoch/1": b"one", "ckpt-of-another/2": b"two"}
    storage = S3Storage(bucket, S3Uri("b", prefix))
    checkpoints = Checkpoints(storage, PATH, tmp_path / "notes", clock=lambda: 1_000_000)
    checkpoints.fetch("algo-1", tmp_path / "in")
    assert files(tmp_path / "in") == {"epoch/1": "one"}
    host.write("epoch/2", "new")
    checkpoints.sync(host)
    assert bucket.objects == {"ckpt/epoch/2": b"new", "ckpt-of-another/2": b"two"}


def test_an_s3_that_refuses_is_named(tmp_path: Path, host: Folder) -> None:
    class Refuses(Bucket):
        def upload_fileobj(self, Fileobj: IO[bytes], Bucket: str, Key: str) -> None:  # noqa: N803
            raise OSError(f"no way to {Bucket}/{Key}, {Fileobj.read()!r}")

    host.write("a", "1")
    checkpoints = Checkpoints(
        S3Storage(Refuses(), S3Uri("b", "c")), PATH, tmp_path / "notes", clock=lambda: 1_000_000
    )
    with pytest.raises(DevkitError, match="s3://b/c/a cannot be written: no way") as error:
        checkpoints.sync(host)
    assert not isinstance(error.value, ConfigError)
