"""What was made in SageMaker, kept: one JSON file a record, written before the answer is sent.

::

    .devkit/local-aws/sagemaker/<region>/<kind>/<name>.json

All records are in memory too, and read from there. Names are told apart as ARNs do it, which have
them in lower case: there cannot be a ``Demo`` beside a ``demo``, but ``demo`` does not find it.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

from devkit.contract import LOCAL_REGION
from devkit.local_aws.sagemaker import refusals
from devkit.local_aws.sagemaker.arns import arn
from devkit.store import store_errors, write_atomically

_TIME = "$time"


def now() -> datetime:
    """The time, to the millisecond that answers carry."""
    moment = datetime.now(timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One resource."""

    kind: str
    """As its ARN has it: ``training-job``."""
    name: str
    """As it was given; of what is part of something else, that one's name and a slash before."""
    region: str = LOCAL_REGION
    created: datetime
    modified: datetime
    members: Mapping[str, Any] = field(default_factory=dict)
    """What was asked for and what came of it, by the API's names: JSON's values, and datetimes."""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        """What it is called."""
        return arn(self.kind, self.name, self.region)

    def with_members(self, modified: datetime, **members: Any) -> Record:
        """The record with these members; ``None`` takes one away."""
        merged = {**self.members, **members}
        kept = {name: value for name, value in merged.items() if value is not None}
        return replace(self, modified=modified, members=kept)


class Records:
    """All records; may be used from several threads. Writing waits for the disk.

    Args:
        folder: Where they are kept; ``None`` keeps them in memory only.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._records: dict[str, Record] = {}
        self._lock = threading.RLock()

    def load(self) -> list[Path]:
        """Read what was kept before.

        Returns:
            The files that hold no record, which are left alone.
        """
        wrong = []
        with self._lock:
            for path in sorted(self._folder.glob("*/*/[!.]*.json")) if self._folder else ():
                try:
                    record = _from_text(path.read_text("utf-8"))
                except (OSError, ValueError, TypeError, KeyError):
                    wrong.append(path)
                else:
                    self._records[record.arn] = record
        return wrong

    def add(self, record: Record) -> Record:
        """Keep a new record.

        Raises:
            AwsError: There is one with this ARN.
            StoreError: It cannot be written.
        """
        with self._lock:
            if record.arn in self._records:
                raise refusals.already_exists(record.kind, record.arn)
            return self._keep(record)

    def require_unused(self, kind: str, name: str, region: str) -> None:
        """Make sure that a record of this name can be added.

        Raises:
            AwsError: There is one with its ARN.
        """
        if arn(kind, name, region) in self._records:
            raise refusals.already_exists(kind, arn(kind, name, region))

    def change(self, record_arn: str, change: Callable[[Record], Record]) -> Record | None:
        """Replace a record by what ``change`` makes of it; ``None`` where there is none any more.

        Nobody else changes it meanwhile; ``change`` may raise, and then nothing is changed.

        Raises:
            StoreError: It cannot be written.
        """
        with self._lock:
            record = self._records.get(record_arn)
            return None if record is None else self._keep(change(record))

    def remove(self, record: Record) -> None:
        """Forget a record; one that is gone already is no error."""
        with self._lock:
            self._records.pop(record.arn, None)
            path = self._path(record)
            if path is not None:
                with store_errors(path):
                    path.unlink(missing_ok=True)

    def find(self, kind: str, name: str, region: str) -> Record | None:
        """The record of this very name, if there is one."""
        record = self._records.get(arn(kind, name, region))
        return record if record is not None and record.name == name else None

    def get(self, kind: str, name: str, region: str) -> Record:
        """The record of this very name.

        Raises:
            AwsError: There is none.
        """
        record = self.find(kind, name, region)
        if record is None:
            raise refusals.not_found(kind, arn(kind, name, region))
        return record

    def by_arn(self, record_arn: str) -> Record | None:
        """The record of this ARN, if there is one."""
        return self._records.get(record_arn)

    def all(self, kind: str, region: str | None = None) -> list[Record]:
        """All records of a kind, oldest first; in all regions where none is given."""
        found = [
            each
            for each in list(self._records.values())
            if each.kind == kind and region in (None, each.region)
        ]
        return sorted(found, key=lambda each: (each.created, each.name))

    def reset(self) -> None:
        """Forget all."""
        with self._lock:
            self._records.clear()
            if self._folder is not None and self._folder.exists():
                with store_errors(self._folder):
                    shutil.rmtree(self._folder)

    def _keep(self, record: Record) -> Record:
        path = self._path(record)
        if path is not None:
            with store_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, _to_text(record))
        self._records[record.arn] = record
        return record

    def _path(self, record: Record) -> Path | None:
        if self._folder is None:
            return None
        file = f"{quote(record.name.lower(), safe='')}.json"
        return self._folder / record.region / record.kind / file


def _to_text(record: Record) -> str:
    document = {
        "kind": record.kind,
        "name": record.name,
        "region": record.region,
        "created": record.created,
        "modified": record.modified,
        "members": record.members,
        "tags": record.tags,
    }
    return json.dumps(document, indent=1, default=_time_to_json) + "\n"


def _from_text(text: str) -> Record:
    return Record(**json.loads(text, object_hook=_time_from_json))


def _time_to_json(value: object) -> object:
    if isinstance(value, datetime):
        return {_TIME: value.isoformat()}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a record cannot hold {type(value).__name__}")


def _time_from_json(value: dict[str, Any]) -> Any:
    if value.keys() == {_TIME}:
        with suppress(ValueError, TypeError):
            return datetime.fromisoformat(value[_TIME])
    return value
