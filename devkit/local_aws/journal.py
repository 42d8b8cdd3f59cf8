"""What moto was told, kept so that it can be told again: it holds everything in memory.

Each request that changed something is a line of JSON, written when moto has answered and before the
client is: with the seed of the random numbers that moto drew for it, so that everything made anew
has the identifiers it had. moto has a recorder of its own; it keeps reads and S3's objects too, and
one seed for all, so that identifiers depend on the order in which threads come to draw.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from devkit.local_aws.routing import MOTO, Head

_READS = (
    "BatchGet",
    "Check",
    "Describe",
    "Discover",
    "Estimate",
    "Get",
    "Head",
    "List",
    "Lookup",
    "Preview",
    "Query",
    "Scan",
    "Search",
    "Select",
    "Simulate",
    "Validate",
)
_KEPT_HEADERS = ("authorization", "content-type", "content-encoding", "x-amz-target", "host")

FORGOTTEN: Mapping[str, str] = {
    "sqs": "messages in SQS queues",
    "kinesis": "records in Kinesis streams",
    "firehose": "records of Firehose",
    "monitoring": "CloudWatch metrics",
    "logs": "CloudWatch log events",
    "sts": "sessions of assumed roles",
}
"""What is not kept, by the signing name of its service: it flows, and would grow without end."""

_FLOWING = {
    "sqs": (
        "SendMessage",
        "SendMessageBatch",
        "ReceiveMessage",
        "DeleteMessage",
        "DeleteMessageBatch",
        "ChangeMessageVisibility",
        "ChangeMessageVisibilityBatch",
        "PurgeQueue",
    ),
    "kinesis": ("PutRecord", "PutRecords", "SubscribeToShard"),
    "firehose": ("PutRecord", "PutRecordBatch"),
    "monitoring": ("PutMetricData",),
    "logs": ("PutLogEvents", "StartQuery"),
    "sns": ("Publish", "PublishBatch"),
    "events": ("PutEvents",),
    "ses": ("SendEmail", "SendRawEmail", "SendBulkEmail", "SendTemplatedEmail"),
    "sts": ("Assume", "DecodeAuthorizationMessage"),
    "states": ("StartExecution", "StartSyncExecution", "SendTaskSuccess", "SendTaskFailure"),
    "lambda": ("Invoke",),
    "sagemaker": ("Invoke", "BatchPutMetrics"),
    "s3": ("",),  # kept by the S3 itself
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A request that changed something."""

    seed: int
    head: Head
    body: bytes
    status: int

    @property
    def line(self) -> str:
        """As it is kept. The signature is not: it was made with a key."""
        headers = {name: v for name, v in self.head.headers.items() if name in _KEPT_HEADERS}
        if "authorization" in headers:
            headers["authorization"] = headers["authorization"].partition("Signature=")[0] + (
                "Signature=none"
            )
        return json.dumps(
            {
                "seed": self.seed,
                "method": self.head.method,
                "path": self.head.path,
                "query": self.head.query,
                "headers": headers,
                "body": base64.b64encode(self.body).decode(),
                "status": self.status,
            }
        )

    @classmethod
    def from_line(cls, line: str) -> Entry:
        """Read what :attr:`line` wrote.

        Raises:
            ValueError: It did not.
        """
        document = json.loads(line)
        try:
            return cls(
                seed=document["seed"],
                head=Head(
                    method=document["method"],
                    path=document["path"],
                    query=document["query"],
                    headers=document["headers"],
                ),
                body=base64.b64decode(document["body"]),
                status=document["status"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an entry: {error}") from error


def is_kept(signing_name: str, operation: str | None, method: str) -> bool:
    """Whether a request may change what moto holds, and that is kept."""
    if method in ("GET", "HEAD", "OPTIONS") or signing_name == MOTO:
        return False
    flowing = _FLOWING.get(signing_name, ())
    if operation is None:
        return "" not in flowing
    return not operation.startswith((*_READS, *flowing))


class Journal:
    """The file; ``None`` keeps nothing. May be used from several threads."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: FileIO | None = None

    def entries(self) -> Iterator[Entry]:
        """What was kept, oldest first; a line that was cut off by a crash is passed over."""
        if self._path is None:
            return
        with suppress(FileNotFoundError), self._path.open(encoding="utf-8") as file:
            for line in file:
                with suppress(ValueError):
                    yield Entry.from_line(line)

    def add(self, entry: Entry) -> None:
        """Keep a request; it outlives this process, however that ends, from now on.

        Raises:
            OSError: It cannot be kept, and nothing of it is: the disk is full, for one.
        """
        if self._path is None:
            return
        with self._lock:
            if self._file is None:
                self._file = self._open(self._path)
            before = self._file.seek(0, os.SEEK_END)
            try:
                _write_all(self._file, f"{entry.line}\n".encode())
            except OSError:
                self._file.truncate(before)
                raise

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._close()
            if self._path is not None:
                self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Keep no more."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @staticmethod
    def _open(path: Path) -> FileIO:
        """Open to append, after the end of a line: the last may have been cut off."""
        file = FileIO(path, "a+")
        if file.seek(0, os.SEEK_END) > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                _write_all(file, b"\n")
        return file


def _write_all(file: FileIO, content: bytes) -> None:
    while content:
        content = content[file.write(content) :]
