"""What the local S3 costs: time and memory of a large upload in parts and of a download in ranges.

    python benchmarks/s3.py                      # 2 GB, in a temporary folder
    python benchmarks/s3.py --megabytes 256

Exits with 1 where the server's memory grows by more than it may, or a byte is wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig

from devkit.fake_s3 import FakeS3

MEGABYTE = 1024 * 1024
MOST_GROWTH_MB = 128
_RANGE_MB = 64
_SERVER = """
import sys
from devkit.fake_s3 import fake_s3
with fake_s3(folder=sys.argv[1]) as s3:
    print(s3.endpoint_url, flush=True)
    sys.stdin.read()
"""


class Stream:
    """So many bytes, no megabyte the same, made as they are read."""

    def __init__(self, size: int) -> None:
        self.md5 = hashlib.md5(usedforsecurity=False)
        noise = hashlib.shake_256(b"devkit").digest(MEGABYTE - 8)
        self._blocks = (number.to_bytes(8, "big") + noise for number in range(size // MEGABYTE))
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Make the next bytes."""
        while size < 0 or len(self._rest) < size:
            block = next(self._blocks, None)
            if block is None:
                break
            self._rest += block
        end = len(self._rest) if size < 0 else size
        chunk, self._rest = self._rest[:end], self._rest[end:]
        self.md5.update(chunk)
        return chunk


class Watch(threading.Thread):
    """The most memory that a process has, as the kernel counts it (VmRSS), while it is watched."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()
        self.before = self.most = self._now()

    def run(self) -> None:
        """Look every 20 ms."""
        while not self._over.wait(0.02):
            self.most = max(self.most, self._now())

    def end(self) -> float:
        """The growth in megabytes."""
        self._over.set()
        self.join()
        return (self.most - self.before) / 1024

    def _now(self) -> int:
        line = next(x for x in self._status.read_text().splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1])


def main() -> int:
    """Measure, print a table, and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=2048)
    size = parser.parse_args().megabytes * MEGABYTE
    _say("| | time | rate | the server's memory grew by |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder)) as (pid, client):
        client.create_bucket(Bucket="bench")
        client.put_object(Bucket="bench", Key="warm", Body=b"")
        stream = Stream(size)
        parts = TransferConfig(multipart_chunksize=8 * MEGABYTE, max_concurrency=10)
        grown = [
            _measured(
                pid, "upload in parts of 8 MB, ten at once", size,
                lambda: client.upload_fileobj(stream, "bench", "large", Config=parts),
            )
        ]  # fmt: skip
        got = hashlib.md5(usedforsecurity=False)
        grown.append(
            _measured(pid, "download in one answer", size, lambda: _take(got, client, Key="large"))
        )
        by_range = hashlib.md5(usedforsecurity=False)
        grown.append(
            _measured(
                pid, f"download in ranges of {_RANGE_MB} MB", size,
                lambda: _take_ranges(by_range, client, size),
            )
        )  # fmt: skip
        copy = {"Bucket": "bench", "Key": "large"}
        grown.append(
            _measured(pid, "copy", size, lambda: client.copy(copy, "bench", "copy", Config=parts))
        )
    same = stream.md5.digest() == got.digest() == by_range.digest()
    _say(f"\nThe same bytes came back: {'yes' if same else 'NO'}.")
    return 0 if same and max(grown) <= MOST_GROWTH_MB else 1


@contextmanager
def _served(folder: Path) -> Iterator[tuple[int, Any]]:
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        client: Any = FakeS3(process.stdout.readline().strip(), folder).client()
        try:
            yield process.pid, client
        finally:
            client.close()
            process.communicate("")


def _measured(pid: int, what: str, size: int, action: Callable[[], object]) -> float:
    watch = Watch(pid)
    watch.start()
    begun = time.perf_counter()
    action()
    took = time.perf_counter() - begun
    grown = watch.end()
    _say(f"| {what} | {took:.1f} s | {size / MEGABYTE / took:.0f} MB/s | {grown:.0f} MB |")
    return grown


def _take(md5: Any, client: Any, **asked: str) -> None:
    for chunk in client.get_object(Bucket="bench", **asked)["Body"].iter_chunks(MEGABYTE):
        md5.update(chunk)


def _take_ranges(md5: Any, client: Any, size: int) -> None:
    step = _RANGE_MB * MEGABYTE
    for begin in range(0, size, step):
        _take(md5, client, Key="large", Range=f"bytes={begin}-{begin + step - 1}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
