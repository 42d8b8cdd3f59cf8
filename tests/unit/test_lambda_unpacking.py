"""Archives of functions and layers on disk: as AWS has them, and never outside their folder."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from devkit.lambda_contract import MAX_CODE_BYTES
from devkit.local_aws.errors import AwsError
from devkit.local_aws.lambda_.definitions import Archive
from devkit.local_aws.lambda_.unpacking import Unpacked, require_zip, unpack

Entry = tuple[str, bytes, int]
"""Name, content, mode with its type."""
FILE = stat.S_IFREG
LINK = stat.S_IFLNK | 0o777


def archive(*entries: Entry) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for name, text, mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16 | 0x20  # as Windows marks a file
            made.writestr(entry, text)
    return content.getvalue()


def file(name: str, text: bytes = b"x", mode: int = 0o644) -> Entry:
    return (name, text, FILE | mode)


def link(name: str, target: str | Path) -> Entry:
    return (name, os.fsencode(target), LINK)


def unpacked(folder: Path, code: bytes, *layers: bytes) -> Unpacked:
    return unpack(folder / "function", Archive.of(code), map(Archive.of, layers))


def found(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_code_and_layers_have_a_folder_each(tmp_path: Path) -> None:
    made = unpacked(
        tmp_path,
        archive(file("app.py"), file("pkg/mod.py", b"y")),
        archive(file("python/a.py", b"first"), file("python/b.py", b"first")),
        archive(file("python/a.py", b"second")),
    )

    assert found(made.task) == {"app.py": b"x", "pkg/mod.py": b"y"}
    assert found(made.layers) == {"python/a.py": b"second", "python/b.py": b"first"}


@pytest.mark.parametrize("name", ["../../up", "/absolute", "a/../../../up", "//twice", "./here"])
def test_a_name_that_leads_out_stays_inside(tmp_path: Path, name: str) -> None:
    made = unpacked(tmp_path, archive(file("app.py"), file(name)))

    assert len(found(made.task)) == 2
    assert [path for path in tmp_path.iterdir() if path.name != "function"] == []
    assert not Path("/absolute").exists()


def test_nothing_is_written_or_deleted_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("precious")

    unpacked(
        tmp_path,
        archive(
            link("a", outside),
            file("a/evil"),
            link("b", outside),
            link("b/mine", "elsewhere"),
            link("b/evil", "elsewhere"),
        ),
        archive(link("python", outside)),
        archive(file("python/evil"), link("python/mine", "elsewhere")),
    )

    assert found(outside) == {"mine": b"precious"}


def test_a_link_is_a_link(tmp_path: Path) -> None:
    made = unpacked(tmp_path, archive(file("lib.so.1"), link("lib.so", "lib.so.1")))

    assert (made.task / "lib.so").readlink() == Path("lib.so.1")


def test_files_keep_their_permissions_and_nothing_more(tmp_path: Path) -> None:
    made = unpacked(
        tmp_path,
        archive(file("tool", mode=0o755), file("set-user-id", mode=0o4755), file("of-windows")),
        archive(("from-windows", b"x", 0)),
    )

    assert stat.S_IMODE((made.task / "tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((made.task / "set-user-id").stat().st_mode) == 0o755
    assert stat.S_IMODE((made.layers / "from-windows").stat().st_mode) == 0o644


def test_what_aws_would_not_let_a_function_read_is_named(tmp_path: Path) -> None:
    made = unpacked(tmp_path, archive(file("app.py"), file("secret.py", mode=0o600)))

    assert made.unreadable == ("secret.py",)


@pytest.mark.parametrize(
    ("below", "above", "left"),
    [
        ((file("python/a/b"),), (file("python/a"),), "python/a"),
        ((file("python/a"),), (file("python/a/b"),), "python/a/b"),
    ],
    ids=["a file for a folder", "a folder for a file"],
)
def test_a_later_layer_wins_whatever_it_lies_over(
    tmp_path: Path, below: tuple[Entry, ...], above: tuple[Entry, ...], left: str
) -> None:
    made = unpacked(tmp_path, archive(file("app.py")), archive(*below), archive(*above))

    assert list(found(made.layers)) == [left]


def test_a_name_that_comes_twice_is_its_last_content(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = archive(file("app.py", b"one"), file("app.py", b"two"))

    assert found(unpacked(tmp_path, twice).task) == {"app.py": b"two"}


def declaring(size: int) -> bytes:
    """An archive that says that its only file is as large as this."""
    content = bytearray(archive(file("bomb")))
    central = content.index(b"PK\x01\x02")
    struct.pack_into("<I", content, central + 24, size)
    return bytes(content)


def damaged() -> bytes:
    return archive(file("app.py", b"content")).replace(b"content", b"CONTENT")


def encrypted() -> bytes:
    content = bytearray(archive(file("app.py")))
    struct.pack_into("<H", content, 6, 1)
    struct.pack_into("<H", content, content.index(b"PK\x01\x02") + 8, 1)
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [b"", b"no zip", archive(file("a"))[:-30], declaring(MAX_CODE_BYTES + 1)],
    ids=["empty", "no zip", "cut off", "bomb"],
)
def test_what_is_no_archive_or_too_large_is_refused_at_once(content: bytes) -> None:
    with pytest.raises(AwsError) as refused:
        require_zip(content)

    assert refused.value.code == "InvalidParameterValueException"


@pytest.mark.parametrize(
    "content",
    [damaged(), encrypted(), archive(file("x" * 300)), archive(file(".."))],
    ids=["damaged", "encrypted", "too long a name", "no name"],
)
def test_what_cannot_be_unpacked_is_refused_and_leaves_nothing(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(AwsError) as refused:
        unpacked(tmp_path, archive(file("app.py")), content)

    assert refused.value.code == "InvalidParameterValueException"
    assert list(tmp_path.iterdir()) == []


def test_code_and_layers_together_have_a_limit(tmp_path: Path) -> None:
    part = declaring(MAX_CODE_BYTES // 2)

    with pytest.raises(AwsError, match="Unzipped size"):
        unpacked(tmp_path, part, part, part)

    assert list(tmp_path.iterdir()) == []
