"""Servers of S3 that are killed at any moment: what was acknowledged is there afterwards."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from devkit.fake_s3 import FakeS3, fake_s3
from devkit.fake_s3.catalogue import Catalogue
from devkit.fake_s3.files import Disk

SERVER = """
import sys, time
from devkit.fake_s3 import fake_s3
with fake_s3(folder=sys.argv[1]) as s3:
    print(s3.endpoint_url, flush=True)
    sys.stdin.read()
"""
WRITERS = 4
ROUNDS = 5
KEYS = ["plain", "deep/down", "odd/", "deep", "a//b"]


@contextmanager
def server(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        client: Any = FakeS3(process.stdout.readline().strip(), folder).client()
        try:
            yield process, client
        finally:
            process.send_signal(signal.SIGKILL)
            client.close()


class Writer(threading.Thread):
    """Writes to keys of its own until nobody answers, and remembers what was answered."""

    def __init__(self, client: Any, bucket: str, number: int, killer: threading.Event) -> None:
        super().__init__()
        self._client, self._bucket, self._killer = client, bucket, killer
        self._random = random.Random(number)
        self.number = number
        self.acknowledged: dict[str, bytes | None] = {}
        self.versions: dict[str, bytes] = {}
        self.tried: dict[str, bytes | None] = {}

    def run(self) -> None:
        try:
            while True:
                self._step()
        except (BotoCoreError, ClientError):
            return

    def _step(self) -> None:
        key = f"writer-{self.number}/{self._random.choice(KEYS)}"
        asked = {"Bucket": self._bucket, "Key": key}
        if key in self.acknowledged and self._random.random() < 0.2:
            self.tried[key] = None
            self._client.delete_object(**asked)
        else:
            body = self._random.randbytes(self._random.choice([0, 10, 300_000]))
            self.tried[key] = body
            mark = {"md5": hashlib.md5(body).hexdigest()}
            version = self._client.put_object(
                **asked, Body=body, Metadata=mark, Tagging=f"md5={mark['md5']}"
            ).get("VersionId")
            if version is not None:
                self.versions[version] = body
        self.acknowledged[key] = self.tried.pop(key)
        if len(self.acknowledged) == len(KEYS):
            self._killer.set()


@pytest.mark.parametrize("versioned", [False, True])
def test_what_was_acknowledged_survives_kill_9_in_the_midst_of_writing(
    tmp_path: Path, versioned: bool
) -> None:
    bucket = "bucket"
    expected: dict[str, bytes | None] = {}
    maybe: dict[str, bytes | None] = {}
    versions: dict[str, bytes] = {}
    for attempt in range(ROUNDS):
        with server(tmp_path) as (process, client):
            if attempt == 0:
                client.create_bucket(Bucket=bucket)
                if versioned:
                    client.put_bucket_versioning(
                        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
                    )
            _check(client, bucket, expected, maybe, versions)
            ripe = threading.Event()
            writers = [Writer(client, bucket, attempt * WRITERS + n, ripe) for n in range(WRITERS)]
            for writer in writers:
                writer.start()
            assert ripe.wait(60)
            process.send_signal(signal.SIGKILL)
            for writer in writers:
                writer.join()
        for writer in writers:
            expected |= writer.acknowledged
            versions |= writer.versions
            maybe |= writer.tried
    with fake_s3(folder=tmp_path) as s3:
        client = s3.client()
        _check(client, bucket, expected, maybe, versions)
        staged = list((tmp_path / ".meta/staged").iterdir())
        client.close()
    assert len(expected) > ROUNDS * WRITERS
    assert staged == []


def _check(
    client: Any,
    bucket: str,
    expected: dict[str, bytes | None],
    maybe: dict[str, bytes | None],
    versions: dict[str, bytes],
) -> None:
    """Each object is what was acknowledged last, or whole what was being written when it ended."""
    for key, body in expected.items():
        found = _read(client, Bucket=bucket, Key=key)
        allowed = [body, *([maybe[key]] if key in maybe else [])]
        assert found in allowed, key
        expected[key] = found
    by_id = {
        each["VersionId"]: each["Key"]
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket)
        for each in page.get("Versions", [])
    }
    for version, body in versions.items():
        assert _read(client, Bucket=bucket, Key=by_id[version], VersionId=version) == body
    maybe.clear()


def _read(client: Any, **asked: str) -> bytes | None:
    try:
        answer = client.get_object(**asked)
    except client.exceptions.NoSuchKey:
        return None
    body = bytes(answer["Body"].read())
    md5 = hashlib.md5(body).hexdigest()
    assert answer["Metadata"] == {"md5": md5}
    assert answer["ETag"] == f'"{md5}"'
    assert client.get_object_tagging(**asked)["TagSet"] == [{"Key": "md5", "Value": md5}]
    return body


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("action", ["put", "delete"])
def test_a_crash_at_each_step_leaves_the_old_or_the_new_object(
    tmp_path: Path, action: str, versioned: bool
) -> None:
    outcomes = [
        _crashed(tmp_path / str(step), step, action, versioned=versioned)
        for step in range(MOST_STEPS[action])
    ]
    found = [state for state, _ in outcomes]
    new = {"put": "new", "delete": ""}[action]
    changed = found.index(new)
    assert changed > 1  # it takes some steps, and is new from one of them on
    assert found == ["old"] * changed + [new] * (len(found) - changed)
    acknowledged = [each for _, each in outcomes]
    assert acknowledged[-1]
    assert acknowledged.index(True) >= changed


MOST_STEPS = {"put": 18, "delete": 12}


def _crashed(folder: Path, step: int, action: str, *, versioned: bool) -> tuple[str, bool]:
    """What is found after a process was killed before its nth step, and whether it was too late."""
    with fake_s3(folder=folder) as s3:
        client: Any = s3.client()
        client.create_bucket(Bucket="bucket")
        if versioned:
            client.put_bucket_versioning(
                Bucket="bucket", VersioningConfiguration={"Status": "Enabled"}
            )
        client.put_object(
            Bucket="bucket", Key="key", Body=b"old", Metadata={"is": "old"}, Tagging="is=old"
        )
        client.close()
    child = os.fork()
    if child == 0:
        try:
            _die_at(step, folder, action)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    with fake_s3(folder=folder) as s3:
        client = s3.client()
        found = _state(client)
        client.close()
    files = [path for path in folder.glob("bucket/**/*") if path.is_file()]
    assert [path.read_bytes() for path in files] == ([found.encode()] if found else [])
    assert list((folder / ".meta/staged").iterdir()) == []
    return found, status == 0


def _die_at(step: int, folder: Path, action: str) -> None:
    """Do something, and be killed before the nth call that changes anything on the disk."""
    left = step

    def dying(function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return function(*args, **kwargs)

        return call

    asked = {"Bucket": "bucket", "Key": "key"}
    with fake_s3(folder=folder) as s3:
        client: Any = s3.client()
        client.head_object(**asked)
        for owner, names in STEPS.items():
            for name in names:
                setattr(owner, name, dying(getattr(owner, name)))
        if action == "put":
            client.put_object(**asked, Body=b"new", Metadata={"is": "new"}, Tagging="is=new")
        else:
            client.delete_object(**asked)
        os._exit(0)


STEPS: dict[Any, list[str]] = {
    os: ["fsync", "replace", "write"],
    Path: ["replace", "unlink", "rmdir", "mkdir"],
    Catalogue: ["put_object", "put_unsettled", "clear_unsettled"],
    Disk: ["place"],
}


def _state(client: Any) -> str:
    asked = {"Bucket": "bucket", "Key": "key"}
    try:
        answer = client.get_object(**asked)
    except ClientError:
        return ""
    found = bytes(answer["Body"].read()).decode()
    assert answer["Metadata"] == {"is": found}
    assert client.get_object_tagging(**asked)["TagSet"] == [{"Key": "is", "Value": found}]
    return found


def test_a_killed_server_leaves_its_folder_to_the_next(tmp_path: Path) -> None:
    with server(tmp_path) as (process, client):
        client.create_bucket(Bucket="bucket")
        os.kill(process.pid, signal.SIGKILL)
    with server(tmp_path) as (_, client):
        assert [each["Name"] for each in client.list_buckets()["Buckets"]] == ["bucket"]
