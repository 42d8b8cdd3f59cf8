"""File and FastFile: what is mounted in place, what is fetched, and what is left on an error."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from devkit.channels import fetching
from devkit.channels.delivery import deliver
from devkit.channels.locations import S3Uri
from devkit.channels.plan import ChannelPlan, DataType, Distribution, Host, InputMode
from devkit.errors import ConfigError, DevkitError
from tests.unit.test_channels_s3 import FakeS3

TARGET = "/opt/ml/input/data/training"


def plan(location: Path | S3Uri, **settings: Any) -> ChannelPlan:
    return ChannelPlan(name="training", location=location, **settings)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("a", "b/c", "b/d", "e"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data"


@pytest.mark.parametrize("mode", [InputMode.FILE, InputMode.FAST_FILE])
def test_a_local_folder_is_mounted_where_it_is_contract_1_6(
    tmp_path: Path, data: Path, mode: InputMode
) -> None:
    delivery = deliver(plan(data, input_mode=mode), tmp_path / "to")
    assert (delivery.source, delivery.target) == (data, TARGET)
    assert not delivery.fetched
    assert delivery.note is None
    assert not (tmp_path / "to").exists()
    assert delivery.mount.source == data


def test_a_local_file_is_mounted_into_the_channel_contract_1_6(tmp_path: Path, data: Path) -> None:
    delivery = deliver(plan(data / "a"), tmp_path / "to")
    assert (delivery.source, delivery.target) == (data / "a", f"{TARGET}/a")


@pytest.mark.contract("1.6-a")
def test_objects_are_fetched_with_their_sub_folders_contract_1_6(tmp_path: Path) -> None:
    content = {f"in/{n % 5}/{n}": bytes([n]) * n for n in range(40)}
    delivery = deliver(plan(S3Uri("bucket", "in/")), tmp_path / "x" / "to", s3=FakeS3(content))
    assert files(tmp_path / "x" / "to") == {key[3:]: data for key, data in content.items()}
    assert delivery.fetched
    assert delivery.note is None
    assert (delivery.source, delivery.target) == (tmp_path / "x" / "to", TARGET)
    assert delivery.source.stat().st_mode & 0o777 == 0o755


@pytest.mark.contract("1.6-r")
def test_a_shard_is_a_copy_of_this_hosts_files_contract_1_6(tmp_path: Path, data: Path) -> None:
    channel = plan(data, distribution=Distribution.SHARDED)
    shares = []
    for index in range(3):
        folder = tmp_path / f"host-{index}"
        deliver(channel, folder, host=Host(index=index, count=3))
        shares.append(files(folder))
    assert shares == [{"a": b"a", "e": b"e"}, {"b/c": b"b/c"}, {"b/d": b"b/d"}]


@pytest.mark.contract("1.6-r")
def test_a_host_without_objects_gets_an_empty_folder_contract_1_6(
    tmp_path: Path, data: Path
) -> None:
    channel = plan(data, distribution=Distribution.SHARDED)
    delivery = deliver(channel, tmp_path / "to", host=Host(index=6, count=7))
    assert list(delivery.source.iterdir()) == []


def test_a_program_cannot_change_the_original_through_its_copy(tmp_path: Path, data: Path) -> None:
    (tmp_path / "m").write_text(json.dumps([{"prefix": "data/"}, "b/c", "a", "a"]))
    deliver(plan(tmp_path / "m", data_type=DataType.MANIFEST), tmp_path / "to")
    assert files(tmp_path / "to") == {"a": b"a", "b/c": b"b/c"}
    (tmp_path / "to" / "a").write_text("changed")
    assert (data / "a").read_text() == "a"


@pytest.mark.parametrize("by_kernel", [True, False])
def test_a_local_file_of_any_size_is_copied_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_kernel: bool
) -> None:
    if not by_kernel:
        monkeypatch.setattr(fetching, "_copied_by_kernel", lambda *_: False)
    (tmp_path / "data").mkdir()
    content = os.urandom(5 * 1024 * 1024 + 3)
    (tmp_path / "data" / "big").write_bytes(content)
    (tmp_path / "data" / "empty").touch()
    deliver(plan(tmp_path / "data", distribution=Distribution.SHARDED), tmp_path / "to")
    assert files(tmp_path / "to") == {"big": content, "empty": b""}


def test_fast_file_from_s3_says_that_it_was_fetched_contract_1_6(tmp_path: Path) -> None:
    s3 = FakeS3({"d/a": b"1", "d/b": b"2"})
    channel = plan(S3Uri("bucket", "d/"), input_mode=InputMode.FAST_FILE)
    delivery = deliver(channel, tmp_path / "to", s3=s3)
    assert delivery.fetched
    assert delivery.note is not None
    assert "its 2 objects were fetched before the start" in delivery.note


@pytest.mark.contract("1.6-d")
@pytest.mark.parametrize("prefix", ["train", "train-01"])
def test_fast_file_refuses_a_part_of_a_folders_name_contract_1_6(
    tmp_path: Path, prefix: str
) -> None:
    channel = plan(S3Uri("bucket", prefix), input_mode=InputMode.FAST_FILE)
    with pytest.raises(ConfigError, match="end the S3Uri with /"):
        deliver(channel, tmp_path / "to", s3=FakeS3({"train-01/data.csv": b"1"}))


@pytest.mark.contract("1.6-d")
def test_fast_file_takes_a_whole_folder_the_bucket_and_file_names_contract_1_6(
    tmp_path: Path,
) -> None:
    s3 = FakeS3({"d/train-1.csv": b"1"})
    for n, prefix in enumerate(["d/", "", "d/train", "d/train-1.csv"]):
        channel = plan(S3Uri("bucket", prefix), input_mode=InputMode.FAST_FILE)
        assert deliver(channel, tmp_path / str(n), s3=s3).fetched


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (["d/a", "d/a/b"], "'a' would be a file and a folder"),
        (["d/a", "d/a/b/c"], "'a' would be a file and a folder"),
        (["d/../../x"], "cannot be the path of a file"),
        (["d//etc/passwd"], "cannot be the path of a file"),
    ],
)
def test_what_cannot_be_files_is_refused_before_anything_is_fetched(
    tmp_path: Path, keys: list[str], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        deliver(plan(S3Uri("bucket", "d/")), tmp_path / "to", s3=FakeS3(dict.fromkeys(keys, b"1")))
    assert list(tmp_path.iterdir()) == []


def test_two_objects_in_one_place_are_refused_contract_1_6(tmp_path: Path) -> None:
    s3 = FakeS3({"data/data2/x": b"1", "data2/x": b"2"})
    with pytest.raises(ConfigError, match="would both be the file 'data2/x'"):
        deliver(plan(S3Uri("bucket", "data")), tmp_path / "to", s3=s3)


def test_an_object_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    s3 = FakeS3({f"d/{n}": b"0123456789" for n in range(20)}, cut=1)
    with pytest.raises(DevkitError, match="broke off"):
        deliver(plan(S3Uri("bucket", "d/")), tmp_path / "to", s3=s3)
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    class Interrupted(FakeS3):
        def get_object(self, **_request: Any) -> Mapping[str, Any]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliver(plan(S3Uri("bucket", "d/")), tmp_path / "to", s3=Interrupted({"d/a": b"1"}))
    assert list(tmp_path.iterdir()) == []


def test_the_first_error_ends_the_other_downloads(tmp_path: Path) -> None:
    failed = threading.Event()

    class Endless(io.RawIOBase):
        def read(self, amount: int = -1, /) -> bytes:
            failed.wait(10)
            return bytes(amount)

    class HalfBroken(FakeS3):
        def get_object(self, **request: Any) -> Mapping[str, Any]:
            if request["Key"] == "d/bad":
                failed.set()
                return super().get_object(Bucket="bucket", Key="gone")
            return {"Body": Endless(), "ContentLength": 10**12}

    s3 = HalfBroken(dict.fromkeys(("d/a", "d/b", "d/bad"), b"1"))
    with pytest.raises(ConfigError, match="there is no s3://bucket/d/bad"):
        deliver(plan(S3Uri("bucket", "d/")), tmp_path / "to", s3=s3)


def test_a_folder_that_is_in_use_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "mine").write_text("mine")
    with pytest.raises(DevkitError, match="cannot be fetched"):
        deliver(plan(S3Uri("bucket", "d/")), tmp_path / "to", s3=FakeS3({"d/a": b"1"}))
    assert files(tmp_path) == {"to/mine": b"mine"}


def test_a_channel_for_pipes_is_not_delivered_as_files(tmp_path: Path, data: Path) -> None:
    with pytest.raises(ValueError, match="fed through pipes"):
        deliver(plan(data, input_mode=InputMode.PIPE), tmp_path / "to")
