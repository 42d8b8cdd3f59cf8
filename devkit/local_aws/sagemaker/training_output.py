"""What a job leaves: its artifacts on their way to S3, and the last values of its metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol

from devkit import archives
from devkit.channels.locations import S3Uri
from devkit.errors import DevkitError
from devkit.job import Outcome
from devkit.local_aws.sagemaker.training_request import Artifacts
from devkit.store import Run


class Uploader(Protocol):
    """As much of boto3's S3 client as this takes."""

    def upload_fileobj(self, Fileobj: IO[bytes], Bucket: str, Key: str) -> None:  # noqa: N803
        """Upload a stream, in parts where it is large."""


class UploadFailed(DevkitError):
    """An artifact is not in S3."""


def upload(client: Uploader, artifacts: Artifacts, outcome: Outcome) -> None:
    """Put model and output data where the job wants them (§1.8).

    Raises:
        UploadFailed: S3 does not take them, or they cannot be read.
    """
    for archive, place in ((outcome.model, artifacts.model), (outcome.output, artifacts.output)):
        if archive is None:
            continue
        with _uploading(place):
            if artifacts.compressed:
                with archive.open("rb") as stream:
                    client.upload_fileobj(stream, place.bucket, place.prefix)
            else:
                _upload_files(client, archive, place)


def _upload_files(client: Uploader, archive: Path, place: S3Uri) -> None:
    with archives.unpacked(archive) as stream:
        for _member, name, content in archives.members(stream):
            if content is not None:
                key = place.prefix + name
                client.upload_fileobj(archives.read_once(content), place.bucket, key)


@contextmanager
def _uploading(place: S3Uri) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # botocore's errors, without importing botocore
        raise UploadFailed(f"Artifact upload failed: {place}: {error}") from error


def final_metrics(run: Run) -> list[dict[str, Any]]:
    """The last value of each metric with its time: ``FinalMetricDataList`` (§1.11)."""
    last: dict[str, dict[str, Any]] = {}
    for path in run.metrics.glob("*.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            sample = {
                "MetricName": row["name"],
                "Value": row["value"],
                "Timestamp": datetime.fromisoformat(row["time"]),
            }
            known = last.get(row["name"])
            if known is None or sample["Timestamp"] >= known["Timestamp"]:
                last[row["name"]] = sample
    return [last[name] for name in sorted(last)]
