"""Archives: written in one pass, extracted without trust."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from devkit import archives
from devkit.archives import ArchiveRefused


def tar(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.uid, info.mode = kind, target, 1234, 0o600
    return info


def packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    path.write_bytes(tar(*members, mode="w:gz").getvalue())
    return path


def pack(stream: io.BytesIO, destination: Path) -> None:
    with archives.archive_writer(destination) as writer:
        for each, name, content in archives.members(stream):
            writer.add(each, name, content)


@pytest.mark.contract("1.8-b")
def test_members_are_relative_and_belong_to_root(tmp_path: Path) -> None:
    stream = tar((member(".", tarfile.DIRTYPE), b""), (member("./a/b.txt"), b"hello"))
    pack(stream, tmp_path / "out" / "model.tar.gz")
    with tarfile.open(tmp_path / "out" / "model.tar.gz") as archive:
        [only] = archive.getmembers()
        assert (only.name, only.uid, only.uname) == ("a/b.txt", 0, "root")
        content = archive.extractfile(only)
        assert content is not None
        assert content.read() == b"hello"


@pytest.mark.contract("1.8-e")
def test_an_empty_folder_is_an_empty_archive(tmp_path: Path) -> None:
    pack(tar(), tmp_path / "model.tar.gz")
    archives.extract_model(tmp_path / "model.tar.gz", tmp_path / "model")
    assert list((tmp_path / "model").iterdir()) == []


def test_a_stream_that_breaks_off_leaves_no_archive(tmp_path: Path) -> None:
    whole = tar((member("a"), b"x" * 10_000)).getvalue()
    with pytest.raises(tarfile.ReadError):
        pack(io.BytesIO(whole[:5000]), tmp_path / "model.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_files_and_folders_are_extracted_with_plain_permissions(tmp_path: Path) -> None:
    archive = packed(tmp_path / "m.tar.gz", (member("a/b"), b"1"), (member("./c"), b"2"))
    archives.extract_model(archive, tmp_path / "model")
    assert (tmp_path / "model" / "a" / "b").read_bytes() == b"1"
    assert (tmp_path / "model" / "c").stat().st_mode & 0o777 == 0o644


@pytest.mark.contract("2.2-c")
@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (member("../out"), "leads out"),
        (member("a/../../out"), "leads out"),
        (member("/etc/out"), "leads out"),
        (member("link", tarfile.SYMTYPE, "/etc/passwd"), "is a link"),
        (member("link", tarfile.SYMTYPE, "a"), "is a link"),
        (member("hard", tarfile.LNKTYPE, "a"), "is a link"),
        (member("fifo", tarfile.FIFOTYPE), "neither a file nor a folder"),
        (member("dev", tarfile.CHRTYPE), "neither a file nor a folder"),
    ],
)
def test_what_sagemaker_refuses_is_refused_whole(
    tmp_path: Path, bad: tarfile.TarInfo, why: str
) -> None:
    archive = packed(tmp_path / "m.tar.gz", (member("a"), b"1"), (bad, b""))
    with pytest.raises(ArchiveRefused, match=why) as error:
        archives.extract_model(archive, tmp_path / "in" / "model")
    assert repr(bad.name) in str(error.value)
    assert list((tmp_path / "in").iterdir()) == []
    assert not (tmp_path / "out").exists()


@pytest.mark.contract("2.2-d")
@pytest.mark.parametrize("content", [b"", b"not gzip", b"\x1f\x8b\x08\x00garbage"])
def test_what_is_no_archive_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.tar.gz"
    path.write_bytes(content)
    with pytest.raises(ArchiveRefused, match="not a whole gzipped tar"):
        archives.extract_model(path, tmp_path / "model")


def test_an_archive_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "m.tar.gz", (member("a"), os.urandom(100_000)))
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(ArchiveRefused, match="not a whole gzipped tar"):
        archives.extract_model(path, tmp_path / "model")


def test_the_content_of_a_member_says_that_it_is_read_once(tmp_path: Path) -> None:
    content = bytes(range(256)) * 8000
    with archives.archive_writer(tmp_path / "a.tar.gz") as writer:
        member = tarfile.TarInfo("weights")
        member.size = len(content)
        writer.add(member, "weights", io.BytesIO(content))
    with archives.unpacked(tmp_path / "a.tar.gz") as stream:
        for _member, _name, found in archives.members(stream):
            assert found is not None
            once = archives.read_once(found)
            assert not once.seekable()
            assert once.read(3) + once.read() == content
