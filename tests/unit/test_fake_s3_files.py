"""The store's folders, files and names: what needs no moto."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from devkit.errors import ConfigError, StoreError
from devkit.fake_s3 import names
from devkit.fake_s3.catalogue import Catalogue, Unsettled
from devkit.fake_s3.files import Content, Disk, Identity, delete_tree, md5_of
from devkit.fake_s3.layout import Layout
from devkit.fake_s3.seeding import seed_folder

FOLDER = Path("/store/bucket")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "s3")
    layout.make()
    (layout.root / "bucket").mkdir()
    return layout


@pytest.fixture
def disk(layout: Layout) -> Disk:
    return Disk(layout.staging, sync=True)


@pytest.mark.parametrize("key", ["a", "a/b.txt", "ä/ö", "a b", "a\nb", ".hidden", "...", "x" * 255])
def test_a_key_is_a_file_of_its_name(key: str) -> None:
    assert names.plain_path(FOLDER, key) == FOLDER / key


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/./b", "a\0b", "\udcff"),
        *("x" * 256, "ä" * 128, "a/" * 510 + "a"),
    ],
)
def test_what_cannot_be_a_file_of_its_name_has_none(key: str) -> None:
    assert names.plain_path(FOLDER, key) is None


def test_escaped_names_are_names_of_files_and_differ() -> None:
    keys = ["a/", "a", "A", "..", "x" * 2000, "x" * 2001, "ä", "a\0", "%2F", "/", "\udcff"]
    escaped = [names.escaped(key) for key in keys]
    assert len({name.casefold() for name in escaped}) == len(keys)
    assert all(names.plain_path(FOLDER, name) for name in escaped)
    assert escaped[0].startswith("a%2F~")


@pytest.mark.parametrize(
    ("name", "is_folder"),
    [
        *((name, True) for name in ("bucket", "a.b-c_1", "a" * 63)),
        *((name, False) for name in (".meta", "Bucket", "ab", "a/b", "a" * 64, "-ab", "abc\n")),
    ],
)
def test_which_buckets_are_folders(name: str, is_folder: bool) -> None:
    assert names.is_bucket_folder(name) is is_folder


def test_an_object_has_room_unless_another_is_in_its_way(layout: Layout) -> None:
    (layout.root / "bucket/file").write_text("")
    (layout.root / "bucket/folder/deep").mkdir(parents=True)
    (layout.root / "bucket/folder/deep/file").write_text("")
    (layout.root / "bucket/empty").mkdir()
    assert layout.has_room("bucket", "new/file")
    assert layout.has_room("bucket", "folder/other")
    assert layout.has_room("bucket", "file")
    assert layout.has_room("bucket", "empty")
    assert not layout.has_room("bucket", "file/below")
    assert not layout.has_room("bucket", "file/far/below")
    assert not layout.has_room("bucket", "folder")
    assert not layout.has_room("bucket", "a//b")
    assert not layout.has_room("Odd Bucket", "a")


def test_where_capitals_do_not_count_another_spelling_is_in_the_way(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    (layout.root / "bucket/Dir").mkdir()
    (layout.root / "bucket/Dir/File").write_text("")
    exists = Path.exists

    def folding(path: Path) -> bool:
        return exists(path) or any(
            each.name.casefold() == path.name.casefold()
            for each in (path.parent.iterdir() if path.parent.is_dir() else ())
        )

    monkeypatch.setattr(Path, "exists", folding)
    layout.make()
    assert layout.has_room("bucket", "Dir/File")
    assert layout.has_room("bucket", "Dir/other")
    assert not layout.has_room("bucket", "Dir/file")
    assert not layout.has_room("bucket", "dir/new")


def test_files_and_links_are_found_below_a_prefix(layout: Layout, tmp_path: Path) -> None:
    bucket = layout.root / "bucket"
    for name in ("a", "ab/c", "ab/d/e", "b"):
        (bucket / name).parent.mkdir(parents=True, exist_ok=True)
        (bucket / name).write_text(name)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "data").write_text("12345")
    (bucket / "link").symlink_to(elsewhere)
    (bucket / "ab/loop").symlink_to(bucket)
    (bucket / "nowhere").symlink_to(bucket / "missing")
    (bucket / os.fsdecode(b"no\xffunicode")).write_text("")
    os.mkfifo(bucket / "pipe")
    found = dict(layout.found("bucket"))
    assert {"a", "ab/c", "ab/d/e", "b", "link/data"} <= found.keys()
    assert not any("nowhere" in key or "pipe" in key or "unicode" in key for key in found)
    assert found["link/data"].size == 5
    assert sorted(key for key, _ in layout.found("bucket", "ab/d")) == ["ab/d/e"]
    assert sorted(key for key, _ in layout.found("bucket", "link/")) == ["link/data"]
    assert list(layout.found("bucket", "../")) == []
    assert list(layout.found("bucket", "missing/x")) == []


def test_pruning_stops_at_what_is_not_empty_and_at_the_bucket(layout: Layout) -> None:
    file = layout.root / "bucket/a/b/c"
    file.parent.mkdir(parents=True)
    (layout.root / "bucket/a/other").write_text("")
    layout.prune("bucket", file)
    assert (layout.root / "bucket/a").is_dir()
    assert not (layout.root / "bucket/a/b").exists()
    (layout.root / "bucket/a/other").unlink()
    layout.prune("bucket", layout.root / "bucket/a/other")
    assert list((layout.root / "bucket").iterdir()) == []


def test_staged_bytes_have_their_md5_and_a_place_when_they_are_given_one(
    layout: Layout, disk: Disk
) -> None:
    seen: list[bytes] = []
    staged = disk.stage([b"ab", b"", b"c"], seen.append)
    assert staged.md5 == md5_of([b"abc"])
    assert b"".join(seen) == b"abc"
    target = layout.root / "bucket/deep/down/key"
    disk.place(staged.path, target)
    assert target.read_bytes() == b"abc"
    assert Identity.at(target) == staged.identity
    assert list(layout.staging.iterdir()) == []


def test_a_stream_that_breaks_off_leaves_nothing(layout: Layout, disk: Disk) -> None:
    def broken() -> object:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        disk.stage(broken())  # type: ignore[arg-type]
    assert list(layout.staging.iterdir()) == []


def test_a_file_takes_its_place_on_another_file_system(
    layout: Layout, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = disk.stage([b"abc"])
    replace = Path.replace

    def other_device(path: Path, target: Path) -> Path:
        if path.parent != Path(target).parent:
            raise OSError(errno.EXDEV, "another device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", other_device)
    target = layout.root / "bucket/key"
    disk.place(staged.path, target)
    assert target.read_bytes() == b"abc"
    assert Identity.at(target) == staged.identity
    assert list(target.parent.iterdir()) == [target]
    assert not staged.path.exists()


@pytest.mark.parametrize("can_share", [True, False])
def test_files_are_joined_and_ranges_copied(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, can_share: bool
) -> None:
    if not can_share:
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    whole = disk.stage([b"0123456789"])
    with Content.open(whole.path) as first, Content.open(whole.path) as second:
        joined = disk.copy([first[2:5], second[8:]])
    assert joined.path.read_bytes() == b"23489"


def test_a_range_is_cut_as_from_bytes_and_outlives_the_file_s_name(disk: Disk) -> None:
    staged = disk.stage([b"0123456789"])
    content = Content.open(staged.path, md5=staged.md5)
    staged.path.unlink()
    assert len(content) == 10
    assert b"".join(content[3:]) == b"3456789"
    assert b"".join(content[2:8][1:3]) == b"34"
    assert len(content[5:3]) == 0
    assert content[0:10].md5 == staged.md5
    assert content[1:10].md5 is None
    content.close()


def test_a_file_that_shrinks_while_it_is_read_is_an_error(disk: Disk) -> None:
    staged = disk.stage([b"0123456789"])
    with Content.open(staged.path) as content:
        os.truncate(staged.path, 4)
        with pytest.raises(OSError, match="shorter"):
            list(content)


def test_to_delete_a_link_deletes_nothing_behind_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/file").write_text("")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "data")
    delete_tree(link)
    assert not link.is_symlink()
    assert (tmp_path / "data/file").exists()
    with pytest.raises(OSError, match="not empty"):
        delete_tree(tmp_path / "data", only_empty=True)


def test_the_catalogue_keeps_what_was_committed(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path / "db", sync=True)
    with catalogue.transaction():
        catalogue.put_bucket("b", "settings")
        catalogue.put_object("b", "k\0\n", "one")
        catalogue.put_object("b", "gone", "two")
        catalogue.put_object("b", "gone", None)
        catalogue.put_upload("b", "u", "upload")
        catalogue.put_part("b", "u", 1, "file", "part")
        catalogue.put_unsettled("b", "k", "[]")

    def fail() -> None:
        with catalogue.transaction():
            catalogue.put_object("b", "never", "three")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    catalogue.close()
    catalogue = Catalogue(tmp_path / "db", sync=False)
    assert catalogue.buckets() == {"b": "settings"}
    assert list(catalogue.objects("b")) == [("k\0\n", "one")]
    assert catalogue.parts("b", "u") == {1: ("file", "part")}
    assert catalogue.part_files() == {"file"}
    assert catalogue.unsettled() == [Unsettled("b", "k", "[]")]
    catalogue.delete_bucket("b")
    assert catalogue.buckets() == catalogue.uploads("b") == {}
    assert catalogue.unsettled() == []
    catalogue.close()


def test_a_catalogue_that_is_none_or_of_a_later_devkit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, and long enough to be seen as none" * 50)
    with pytest.raises(StoreError, match="cannot be read"):
        Catalogue(tmp_path / "text", sync=False)
    later = Catalogue(tmp_path / "later", sync=False)
    later._db.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(StoreError, match="format 99"):
        Catalogue(tmp_path / "later", sync=False)


def test_a_seed_is_copied_with_its_times_and_overwrites_nothing(tmp_path: Path) -> None:
    seed, root = tmp_path / "seed", tmp_path / "root"
    (seed / "one-bucket/a").mkdir(parents=True)
    (seed / "one-bucket/a/b").write_text("new")
    (seed / "one-bucket/c").write_text("new")
    (seed / ".git").mkdir()
    os.utime(seed / "one-bucket/a/b", (1000, 1000))
    (root / "one-bucket").mkdir(parents=True)
    (root / "one-bucket/c").write_text("old")
    seed_folder(seed, root)
    assert (root / "one-bucket/a/b").read_text() == "new"
    assert (root / "one-bucket/a/b").stat().st_mtime == 1000
    assert (root / "one-bucket/c").read_text() == "old"
    assert [path.name for path in root.iterdir()] == ["one-bucket"]


def test_a_seed_that_is_no_folder_of_buckets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        seed_folder(tmp_path / "missing", tmp_path)
    (tmp_path / "seed").mkdir()
    (tmp_path / "seed/file.txt").write_text("")
    with pytest.raises(ConfigError, match="cannot be a bucket"):
        seed_folder(tmp_path / "seed", tmp_path / "root")
