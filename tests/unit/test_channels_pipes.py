"""Pipe mode: epochs through named pipes, read as a program in a container reads them."""

from __future__ import annotations

import gzip
import io
import json
import random
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from devkit.channels import recordio
from devkit.channels.locations import S3Uri
from devkit.channels.pipes import PipeFeeder
from devkit.channels.plan import (
    ChannelPlan,
    Compression,
    DataType,
    Distribution,
    Host,
    InputMode,
    RecordWrapper,
)
from devkit.channels.selection import select
from devkit.errors import ConfigError, DevkitError
from tests.unit.test_channels_s3 import FakeS3

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes")

PATIENCE_S = 10.0
MIB = 1024 * 1024


def plan(location: Path | S3Uri, name: str = "training", **settings: Any) -> ChannelPlan:
    return ChannelPlan(name=name, location=location, input_mode=InputMode.PIPE, **settings)


def feeder(folder: Path, channel: ChannelPlan, **options: Any) -> PipeFeeder:
    return PipeFeeder(folder, channel, select(channel), **options)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.001)


def read(pipe: Path) -> bytes:
    """Everything up to the end, as a program does that does not retry."""
    return pipe.read_bytes()


@pytest.fixture
def pipes(tmp_path: Path) -> Path:
    folder = tmp_path / "pipes"
    folder.mkdir()
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c", "z"):
        (folder / name).write_text(f"<{name}>")
    return folder


ALL = b"<a><b><sub/c><z>"


# --- epochs ----------------------------------------------------------------------------------


@pytest.mark.contract("1.6-e")
def test_each_epoch_is_all_objects_through_a_pipe_of_its_own_contract_1_6(
    pipes: Path, data: Path
) -> None:
    with feeder(pipes, plan(data)):
        for epoch in range(3):
            assert read(pipes / f"training_{epoch}") == ALL
    assert list(pipes.iterdir()) == []


@pytest.mark.contract("1.6-g")
def test_the_next_pipe_is_there_once_an_epoch_has_begun_contract_1_6(
    pipes: Path, data: Path
) -> None:
    with feeder(pipes, plan(data)):
        assert [path.name for path in pipes.iterdir()] == ["training_0"]
        with (pipes / "training_0").open("rb") as pipe:
            assert pipe.read(1) == b"<"
            eventually((pipes / "training_1").is_fifo)
            pipe.read()
            assert not (pipes / "training_0").exists()


@pytest.mark.contract("1.6-f")
def test_a_reader_may_close_an_epoch_early_contract_1_6(pipes: Path, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"0123456789" * MIB)
    with feeder(pipes, plan(tmp_path / "big")) as feeding:
        for epoch in range(3):
            with (pipes / f"training_{epoch}").open("rb", buffering=0) as pipe:
                assert pipe.read(10) == b"0123456789"
        assert len(read(pipes / "training_3")) == 10 * MIB
        feeding.check()


def test_a_reader_that_dies_mid_read_leaves_the_next_epoch_whole(
    pipes: Path, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(b"x" * (4 * MIB))
    with feeder(pipes, plan(tmp_path / "big")):
        with subprocess.Popen(["cat", str(pipes / "training_0")], stdout=subprocess.PIPE) as reader:
            assert reader.stdout is not None
            reader.stdout.read(1)
            reader.send_signal(signal.SIGKILL)
        assert len(read(pipes / "training_1")) == 4 * MIB


@pytest.mark.contract("1.6-h")
def test_channels_are_read_in_any_order_contract_1_6(pipes: Path, tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / name).write_bytes(name.encode() * MIB)
    with (
        feeder(pipes, plan(tmp_path / "train", "train")),
        feeder(pipes, plan(tmp_path / "test", "test")),
        (pipes / "train_0").open("rb") as train,
        (pipes / "test_0").open("rb") as test,
    ):
        for _ in range(MIB):
            assert train.read(5) == b"train"
            assert test.read(4) == b"test"
        assert (train.read(), test.read()) == (b"", b"")
        assert read(pipes / "test_1") == b"test" * MIB


def test_a_pipe_may_be_read_by_another_user(pipes: Path, data: Path) -> None:
    with feeder(pipes, plan(data)):
        assert (pipes / "training_0").stat().st_mode & 0o777 == 0o666


def test_an_empty_object_gives_an_empty_epoch(pipes: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with feeder(pipes, plan(tmp_path / "empty")):
        assert [read(pipes / f"training_{epoch}") for epoch in range(5)] == [b""] * 5


# --- stopping --------------------------------------------------------------------------------


def timed(act: Callable[[], object]) -> float:
    start = time.monotonic()
    act()
    return time.monotonic() - start


def test_a_pipe_nobody_opens_is_stopped_at_once(pipes: Path, data: Path) -> None:
    feeding = feeder(pipes, plan(data))
    feeding.start()
    assert timed(feeding.stop) < 0.5
    assert list(pipes.iterdir()) == []


def test_a_reader_that_reads_no_further_does_not_hold_up_a_stop(
    pipes: Path, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(b"x" * (4 * MIB))
    feeding = feeder(pipes, plan(tmp_path / "big"))
    feeding.start()
    with (pipes / "training_0").open("rb", buffering=0) as pipe:
        pipe.read(1)
        assert timed(feeding.stop) < 0.5
        assert list(pipes.iterdir()) == []
        assert len(pipe.read(8 * MIB)) < 4 * MIB


def test_an_object_that_does_not_come_does_not_hold_up_a_stop(pipes: Path) -> None:
    release = threading.Event()

    class Hanging(FakeS3):
        def get_object(self, **request: Any) -> Mapping[str, Any]:
            release.wait(PATIENCE_S)
            return super().get_object(**request)

    channel = plan(S3Uri("bucket", "d/"))
    feeding = PipeFeeder(pipes, channel, select(channel, Hanging({"d/a": b"1"})))
    feeding.start()
    with (pipes / "training_0").open("rb"):
        eventually((pipes / "training_1").exists)
        assert timed(feeding.stop) < 0.5
        assert list(pipes.iterdir()) == []
        release.set()


def test_stopping_twice_and_without_a_start_is_harmless(pipes: Path, data: Path) -> None:
    feeding = feeder(pipes, plan(data))
    feeding.stop()
    with feeder(pipes, plan(data)) as started:
        started.stop()


# --- what the stream is made of --------------------------------------------------------------


@pytest.mark.contract("1.6-w")
def test_gzip_is_undone_on_the_way_contract_1_6(pipes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "1").write_bytes(gzip.compress(b"one,") + gzip.compress(b"two,"))
    (folder / "2").write_bytes(gzip.compress(b"x" * (3 * MIB)))
    (folder / "3").touch()
    with feeder(pipes, plan(folder, compression=Compression.GZIP)):
        for epoch in range(2):
            assert read(pipes / f"training_{epoch}") == b"one,two," + b"x" * (3 * MIB)


@pytest.mark.parametrize("content", [b"plain", gzip.compress(b"cut off")[:-5]])
def test_what_is_not_gzip_is_a_clear_error_contract_1_6(
    pipes: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "iris.csv").write_bytes(content)
    told: list[DevkitError] = []
    channel = plan(tmp_path / "iris.csv", compression=Compression.GZIP)
    feeding = feeder(pipes, channel, on_error=told.append)
    feeding.start()
    read(pipes / "training_0")
    message = "channel 'training' could not be fed to its pipe: 'iris.csv' is not whole gzip data"
    assert [error.message.startswith(message) for error in told] == [True]
    with pytest.raises(ConfigError, match=message):
        feeding.check()
    with pytest.raises(ConfigError, match=message):
        feeding.stop()
    assert list(pipes.iterdir()) == []


@pytest.mark.contract("1.6-y")
def test_each_object_is_one_record_contract_1_6(pipes: Path, tmp_path: Path) -> None:
    magic = (0xCED7230A).to_bytes(4, "little")
    contents = [b"", b"x", magic + b"abcd" + magic, b"y" * (2 * MIB + 1)]
    folder = tmp_path / "data"
    folder.mkdir()
    for number, content in enumerate(contents):
        (folder / str(number)).write_bytes(content)
    with (
        feeder(pipes, plan(folder, record_wrapper=RecordWrapper.RECORD_IO)),
        (pipes / "training_0").open("rb") as pipe,
    ):
        assert list(recordio.read_records(pipe)) == contents


def test_gunzipped_objects_and_objects_of_s3_are_records_too_contract_1_6(pipes: Path) -> None:
    contents = [b"one", b"two" * (3 * MIB)]
    s3 = FakeS3({f"d/{n}": gzip.compress(each) for n, each in enumerate(contents)})
    wrapped: dict[str, Any] = {"record_wrapper": RecordWrapper.RECORD_IO}
    zipped = plan(S3Uri("bucket", "d/"), compression=Compression.GZIP, **wrapped)
    as_is = plan(S3Uri("bucket", "d/"), "raw", **wrapped)
    for channel, expected in ((zipped, contents), (as_is, list(s3.content.values()))):
        with (
            PipeFeeder(pipes, channel, select(channel, s3)),
            (pipes / f"{channel.name}_0").open("rb") as pipe,
        ):
            assert list(recordio.read_records(pipe)) == expected


@pytest.mark.contract("1.6-n", "1.6-o", "1.6-u")
def test_lines_of_an_augmented_manifest_are_records_in_turn_contract_1_6(
    pipes: Path, tmp_path: Path
) -> None:
    lines = []
    for number in range(6):
        (tmp_path / f"{number}.jpg").write_text(f"pixels {number}")
        lines.append({"is-a-cat": number, "image-ref": f"{number}.jpg"})
    manifest = tmp_path / "lines"
    manifest.write_text("\n".join(map(json.dumps, lines)))
    channel = plan(
        manifest,
        data_type=DataType.AUGMENTED_MANIFEST,
        attribute_names=("image-ref", "is-a-cat"),
        record_wrapper=RecordWrapper.RECORD_IO,
        shuffle_seed=1,
    )
    with feeder(pipes, channel):
        epochs = []
        for epoch in range(3):
            records = list(recordio.read_records(io.BytesIO(read(pipes / f"training_{epoch}"))))
            pairs = list(zip(records[::2], records[1::2], strict=True))
            assert sorted(pairs) == [(b"pixels %d" % n, b"%d" % n) for n in range(6)]
            epochs.append(tuple(pairs))
    assert len(set(epochs)) == 3


# --- order and shards ------------------------------------------------------------------------


def epochs_of(pipes: Path, channel: ChannelPlan, host: Host | None = None) -> Sequence[bytes]:
    with feeder(pipes, channel, host=host):
        return [read(pipes / f"training_{epoch}") for epoch in range(3)]


@pytest.mark.contract("1.6-u")
def test_every_epoch_is_shuffled_anew_and_reproducibly_contract_1_6(
    pipes: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in "abcdefghijklmnopqrst":
        (folder / name).write_text(name)
    first = epochs_of(pipes, plan(folder, shuffle_seed=5))
    assert first == epochs_of(pipes, plan(folder, shuffle_seed=5))
    assert len(set(first)) == 3
    assert {bytes(sorted(epoch)) for epoch in first} == {b"abcdefghijklmnopqrst"}
    assert first != epochs_of(pipes, plan(folder, shuffle_seed=6))


@pytest.mark.contract("1.6-r")
@pytest.mark.parametrize("hosts", range(1, 8))
def test_the_hosts_pipes_together_carry_every_object_once_contract_1_6(
    pipes: Path, tmp_path: Path, hosts: int
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in "abcde":
        (folder / name).write_text(name)
    channel = plan(folder, distribution=Distribution.SHARDED, shuffle_seed=5)
    shares = [epochs_of(pipes, channel, Host(index=n, count=hosts)) for n in range(hosts)]
    for epoch in zip(*shares, strict=True):
        assert bytes(sorted(b"".join(epoch))) == b"abcde"


# --- limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapper", list(RecordWrapper))
def test_memory_does_not_grow_with_the_data(
    pipes: Path, tmp_path: Path, wrapper: RecordWrapper
) -> None:
    size = 200 * MIB
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(size)
    with feeder(pipes, plan(tmp_path / "sparse", record_wrapper=wrapper)):
        tracemalloc.start()
        received = 0
        try:
            with (pipes / "training_0").open("rb", buffering=0) as pipe:
                while chunk := pipe.read(MIB):
                    received += len(chunk)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert received == size + (8 if wrapper is RecordWrapper.RECORD_IO else 0)
    assert peak < 16 * MIB


def test_a_slow_reader_gets_everything_in_order(pipes: Path, tmp_path: Path) -> None:
    content = random.Random(0).randbytes(3 * MIB)
    (tmp_path / "data").write_bytes(content)
    received = b""
    with (
        feeder(pipes, plan(tmp_path / "data")),
        (pipes / "training_0").open("rb", buffering=0) as pipe,
    ):
        for size in random.Random(1).choices([1, 100, 70_000], k=10_000):
            received += pipe.read(size)
    assert received == content


def test_an_object_that_is_gone_when_it_is_due_is_an_error(pipes: Path, data: Path) -> None:
    feeding = feeder(pipes, plan(data))
    feeding.start()
    (data / "z").unlink()
    assert read(pipes / "training_0") == b"<a><b><sub/c>"
    with pytest.raises(ConfigError, match="there is no file 'z'"):
        feeding.stop()


def test_leaving_the_block_raises_what_went_wrong_but_hides_no_other_error(
    pipes: Path, data: Path
) -> None:
    def run(then: Callable[[], object]) -> None:
        with feeder(pipes, plan(data)):
            read(pipes / "training_0")
            then()

    def lose_and_read() -> None:
        (data / "b").unlink()
        read(pipes / "training_1")

    def lose_and_fail() -> None:
        (data / "a").unlink()
        read(pipes / "training_1")
        raise ZeroDivisionError

    with pytest.raises(ConfigError, match="there is no file 'b'"):
        run(lose_and_read)
    with pytest.raises(ZeroDivisionError):
        run(lose_and_fail)


def test_a_pipe_that_cannot_be_made_is_an_error(pipes: Path, data: Path) -> None:
    (pipes / "training_0").mkdir()
    feeding = feeder(pipes, plan(data))
    with pytest.raises(DevkitError, match="channel 'training'"):
        feeding.start()
    feeding.stop()
    assert (pipes / "training_0").is_dir()


def test_where_there_are_no_named_pipes_pipe_mode_is_refused(pipes: Path, data: Path) -> None:
    with pytest.raises(ConfigError, match="needs named pipes"):
        feeder(pipes, plan(data), platform="win32")


def test_a_channel_of_files_has_no_pipes(pipes: Path, data: Path) -> None:
    channel = ChannelPlan(name="training", location=data)
    with pytest.raises(ValueError, match="InputMode File"):
        feeder(pipes, channel)
