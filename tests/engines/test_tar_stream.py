"""A folder as a tar stream: everything in it, whatever it is, and nothing of the host's users."""

from __future__ import annotations

import io
import os
import resource
import socket
import tarfile
from pathlib import Path

import pytest

from devkit.engines.tar_stream import tar_stream
from devkit.errors import EngineError


def test_files_folders_and_links_come_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "folder" / "empty").mkdir(parents=True)
    (tmp_path / "folder" / "file").write_bytes(b"content" * 1000)
    (tmp_path / "link").symlink_to("folder/file")
    (tmp_path / "nowhere").symlink_to("/no/such/place")
    script = tmp_path / "script"
    script.touch()
    script.chmod(0o751)
    members = _members(tmp_path)
    assert {name: member.type for name, member in members.items()} == {
        "folder": tarfile.DIRTYPE,
        "folder/empty": tarfile.DIRTYPE,
        "folder/file": tarfile.REGTYPE,
        "link": tarfile.SYMTYPE,
        "nowhere": tarfile.SYMTYPE,
        "script": tarfile.REGTYPE,
    }
    assert members["link"].linkname == "folder/file"
    assert members["script"].mode == 0o751
    assert {(m.uid, m.gid, m.uname, m.gname) for m in members.values()} == {(0, 0, "root", "root")}
    with tarfile.open(fileobj=io.BytesIO(tar_stream(tmp_path).read())) as tar:
        content = tar.extractfile("folder/file")
        assert content is not None
        assert content.read() == b"content" * 1000


def test_an_empty_folder_is_an_empty_archive(tmp_path: Path) -> None:
    assert _members(tmp_path) == {}


def test_long_and_foreign_names_survive(tmp_path: Path) -> None:
    names = {"x" * 200, "ünïcödé", os.fsdecode(b"latin-\xe9")}
    for name in names:
        (tmp_path / name).touch()
    assert set(_members(tmp_path)) == names


def test_sockets_and_pipes_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        (tmp_path / "file").touch()
        assert set(_members(tmp_path)) == {"file"}


def test_a_large_sparse_file_needs_no_memory(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tar_stream(tmp_path) as stream:
        total = 0
        while chunk := stream.read(1 << 20):
            total += len(chunk)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert total > 1 << 30
    assert grown_kib < 32 * 1024


def test_a_file_that_shrinks_meanwhile_does_not_shift_the_ones_behind_it(tmp_path: Path) -> None:
    growing, shrinking = tmp_path / "a", tmp_path / "b"
    growing.write_bytes(b"a" * 8_000_000)
    shrinking.write_bytes(b"b" * 8_000_000)
    (tmp_path / "c").write_bytes(b"the last one")
    with tarfile.open(fileobj=tar_stream(tmp_path), mode="r|") as tar:
        member = tar.next()
        assert member is not None
        os.truncate(growing, 10)
        os.truncate(shrinking, 10)
        last = [tar.extractfile(m).read() for m in tar if m.name == "c"]  # type: ignore[union-attr]
    assert last == [b"the last one"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_what_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch(mode=0)
    with pytest.raises(EngineError, match=f"cannot read {secret}"):
        _members(tmp_path)


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot read"):
        tar_stream(tmp_path / "gone").read()


def _members(folder: Path) -> dict[str, tarfile.TarInfo]:
    with (
        tar_stream(folder) as stream,
        tarfile.open(fileobj=stream, mode="r|", errors="surrogateescape") as tar,
    ):
        return {member.name: member for member in tar}
