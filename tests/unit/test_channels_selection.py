"""Which objects a channel has, and which host gets which in which order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from devkit.channels.items import Item, Literal, Stored
from devkit.channels.locations import S3Uri
from devkit.channels.plan import (
    ChannelPlan,
    DataType,
    Distribution,
    Host,
    InputMode,
    RecordWrapper,
)
from devkit.channels.selection import arrange, indices, select
from devkit.errors import ConfigError
from tests.unit.test_channels_s3 import FakeS3

SHARDED, REPLICATED = Distribution.SHARDED, Distribution.FULLY_REPLICATED


def plan(location: Path | S3Uri, **settings: Any) -> ChannelPlan:
    return ChannelPlan(name="training", location=location, **settings)


def manifest(location: Path | S3Uri) -> ChannelPlan:
    return plan(location, data_type=DataType.MANIFEST)


def augmented(location: Path | S3Uri, *names: str) -> ChannelPlan:
    return plan(
        location,
        data_type=DataType.AUGMENTED_MANIFEST,
        attribute_names=names,
        input_mode=InputMode.PIPE,
    )


def content(items: Sequence[Item]) -> list[list[bytes]]:
    def read(part: Stored | Literal) -> bytes:
        if isinstance(part, Literal):
            return part.content
        with part.source.open(part.key) as stream:
            return stream.read()

    return [[read(part) for part in item] for item in items]


def paths(items: Sequence[Item]) -> list[str]:
    return [part.path for item in items for part in item if isinstance(part, Stored)]


# --- prefixes --------------------------------------------------------------------------------


@pytest.mark.contract("1.6-l")
def test_a_prefix_selects_its_objects_in_order_contract_1_6(tmp_path: Path) -> None:
    for name in ("b", "a.txt"):
        (tmp_path / name).write_text(name)
    assert paths(select(plan(tmp_path))) == ["a.txt", "b"]
    s3 = FakeS3({"data/a": b"1", "data/b": b"2", "data2/c": b"3"})
    assert content(select(plan(S3Uri("bucket", "data")), s3)) == [[b"1"], [b"2"], [b"3"]]


@pytest.mark.contract("1.9-j")
def test_no_objects_is_an_error_in_the_services_words_contract_5(tmp_path: Path) -> None:
    message = 'No S3 objects found under S3 URL "s3://bucket/none"'
    with pytest.raises(ConfigError, match=message):
        select(plan(S3Uri("bucket", "none")), FakeS3({}))
    with pytest.raises(ConfigError, match="No S3 objects found"):
        select(plan(tmp_path))


def test_an_object_too_big_for_a_record_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(2**29)
    wrapped = plan(tmp_path, input_mode=InputMode.PIPE, record_wrapper=RecordWrapper.RECORD_IO)
    with pytest.raises(ConfigError, match="a RecordIO record carries at most"):
        select(wrapped)


# --- manifests -------------------------------------------------------------------------------


@pytest.mark.contract("1.6-m", "1.6-q")
def test_a_manifest_lists_suffixes_of_one_prefix_contract_1_6() -> None:
    listed = json.dumps([{"prefix": "s3://bucket/some/pre"}, "fix/b", "a"]).encode()
    s3 = FakeS3({"m.json": listed, "some/prea": b"A", "some/prefix/b": b"B"})
    items = select(manifest(S3Uri("bucket", "m.json")), s3)
    assert content(items) == [[b"B"], [b"A"]]
    assert paths(items) == ["fix/b", "a"]


@pytest.mark.parametrize("prefix", ["data/", "./data/", "../here/data/"])
def test_a_local_manifest_may_name_a_folder_relative_to_itself(tmp_path: Path, prefix: str) -> None:
    folder = tmp_path / "here" / "data" / "sub"
    folder.mkdir(parents=True)
    (folder / "x").write_text("X")
    path = tmp_path / "here" / "m.json"
    path.write_text(json.dumps([{"prefix": prefix}, "sub/x"]))
    items = select(manifest(path))
    assert (content(items), paths(items)) == ([[b"X"]], ["sub/x"])


def test_a_local_manifest_may_point_to_s3_and_to_an_absolute_folder(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps([{"prefix": "s3://bucket/d/"}, "x"]))
    assert content(select(manifest(path), FakeS3({"d/x": b"1"}))) == [[b"1"]]
    (tmp_path / "x").write_text("2")
    path.write_text(json.dumps([{"prefix": f"{tmp_path}/"}, "x"]))
    assert content(select(manifest(path))) == [[b"2"]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "is not an array of"),
        ('{"prefix": "s3://b/"}', "is not an array of"),
        ('["a", "b"]', 'does not begin with a prefix, but with "a"'),
        ('[{"prefix": ""}, "a"]', "does not begin with a prefix"),
        ('[{"prefix": 3}, "a"]', "does not begin with a prefix"),
        ('[{"prefix": "s3://b/", "more": 1}, "a"]', "does not begin with a prefix"),
        ('[{"prefix": "data/"}, "a", 7]', "its element 3 is not a string"),
        ('[{"prefix": "data/"}]', "No S3 objects found"),
        ('[{"prefix": "nowhere/"}, "a"]', "its prefix 'nowhere/' names no folder"),
        ('[{"prefix": "data/"}, "gone"]', "there is no file 'gone'"),
        ('[{"prefix": "data/"}, "../secret"]', "cannot be the path of a file"),
        ('[{"prefix": "data/"}, "/etc/passwd"]', "cannot be the path of a file"),
        ('[{"prefix": "data/"}, ""]', "cannot be the path of a file"),
        ('[{"prefix": "ftp://b/"}, "a"]', "is no S3 URI"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said_contract_1_6(
    tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(ConfigError, match=reason):
        select(manifest(tmp_path / "m.json"))


def test_a_manifest_in_s3_cannot_name_local_folders() -> None:
    s3 = FakeS3({"m.json": b'[{"prefix": "/etc/"}, "passwd"]'})
    with pytest.raises(ConfigError, match="is no S3 URI"):
        select(manifest(S3Uri("bucket", "m.json")), s3)


def test_many_problems_of_a_manifest_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps([{"prefix": "./"}, *(f"gone-{n}" for n in range(25))]))
    with pytest.raises(ConfigError, match="and 15 more"):
        select(manifest(path))


# --- augmented manifests ---------------------------------------------------------------------


@pytest.mark.contract("1.6-n", "1.6-o")
def test_an_augmented_manifest_gives_the_named_attributes_in_order_contract_1_6() -> None:
    lines = (
        b'{"image-ref": "s3://bucket/1.jpg", "is-a-cat": 1, "ignored": [1, 2]}\n'
        b'\n{"is-a-cat": 0, "image-ref": "s3://bucket/2.jpg"}'
    )
    s3 = FakeS3({"lines": lines, "1.jpg": b"one", "2.jpg": b"two"})
    chosen = augmented(S3Uri("bucket", "lines"), "image-ref", "is-a-cat")
    assert content(select(chosen, s3)) == [[b"one", b"1"], [b"two", b"0"]]
    turned = augmented(S3Uri("bucket", "lines"), "is-a-cat", "image-ref")
    assert content(select(turned, s3)) == [[b"1", b"one"], [b"0", b"two"]]


@pytest.mark.contract("1.6-o")
def test_any_json_value_is_streamed_in_its_string_form_contract_1_6(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text('{"a": "tëxt", "b": [1, {"k": null}], "c": true, "d": 0.5}\n', "utf-8")
    assert content(select(augmented(path, "a", "b", "c", "d"))) == [
        ["tëxt".encode(), b'[1,{"k":null}]', b"true", b"0.5"]
    ]


def test_references_of_a_local_manifest_may_be_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "image").write_text("pixels")
    (tmp_path / "m").mkdir()
    path = tmp_path / "m" / "lines"
    path.write_text('{"x-ref": "../image"}\n')
    assert content(select(augmented(path, "x-ref"))) == [[b"pixels"]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("no json", "line 2: is not JSON"),
        ("[1]", "line 2: is not a JSON object"),
        ('{"b": 1}', "line 2: has no attribute 'x-ref'"),
        ('{"x-ref": 1}', "line 2: 'x-ref' is not the URI of an object"),
        ('{"x-ref": "gone"}', "line 2: there is no file"),
        ('{"x-ref": "s3://bucket/folder/"}', "line 2: 's3://bucket/folder/' names no object"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_contract_1_6(
    tmp_path: Path, line: str, reason: str
) -> None:
    (tmp_path / "x").write_text("x")
    path = tmp_path / "lines"
    path.write_text(f'{{"x-ref": "x"}}\n{line}\n')
    with pytest.raises(ConfigError, match=reason):
        select(augmented(path, "x-ref"), FakeS3({}))


# --- hosts and epochs ------------------------------------------------------------------------


@pytest.mark.contract("1.6-r")
@pytest.mark.parametrize("hosts", range(1, 8))
@pytest.mark.parametrize("seed", [None, 0, 42])
@pytest.mark.parametrize("count", [1, 5, 20])
def test_the_shards_of_all_hosts_are_every_object_once_contract_1_6(
    hosts: int, seed: int | None, count: int
) -> None:
    shares = [
        indices(count, SHARDED, seed, Host(index=index, count=hosts), epoch=3)
        for index in range(hosts)
    ]
    assert sorted(index for share in shares for index in share) == list(range(count))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.contract("1.6-r")
def test_with_more_hosts_than_objects_some_get_none_contract_1_6() -> None:
    assert list(indices(2, SHARDED, None, Host(index=2, count=3), 0)) == []


@pytest.mark.contract("1.6-s")
def test_each_host_gets_everything_where_it_is_replicated_contract_1_6() -> None:
    assert list(indices(4, REPLICATED, None, Host(index=1, count=2), 0)) == [0, 1, 2, 3]


@pytest.mark.contract("1.6-u")
def test_shuffling_is_determined_by_seed_and_epoch_contract_1_6() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return list(indices(50, REPLICATED, seed, Host(), epoch))

    assert order(1, 0) == order(1, 0)
    assert sorted(order(1, 0)) == list(range(50))
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.contract("1.6-v")
def test_shuffled_shards_move_between_hosts_contract_1_6() -> None:
    def share(epoch: int) -> frozenset[int]:
        return frozenset(indices(30, SHARDED, 9, Host(index=0, count=3), epoch))

    assert len({share(epoch) for epoch in range(4)}) == 4


def test_without_a_seed_every_epoch_is_the_same_contract_1_6(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).touch()
    channel = plan(tmp_path)
    items = select(channel)
    epochs = [list(arrange(channel, items, Host(), epoch)) for epoch in range(3)]
    assert epochs == [list(items)] * 3
