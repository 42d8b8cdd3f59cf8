"""What was made in somebody's account: written down before the call that makes it.

A file of JSON lines in the store, only ever appended to, each line on the disk before anything goes
on: whatever happens to devkit or to an answer, nothing that costs money is forgotten. Every entry
stays until its deletion is confirmed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, Literal

from devkit.store import store_errors

Kind = Literal["endpoint", "endpoint-config", "model", "training-job", "object"]
ORDER: tuple[Kind, ...] = (
    "endpoint",
    "endpoint-config",
    "model",
    "training-job",
    "object",
)
"""In which order things are deleted: what uses something goes before that."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Something that was made, or may have been."""

    kind: Kind
    name: str
    """As the API that deletes it takes it; of an object, its ``s3://`` URI."""
    target: str
    account: str
    region: str
    made: str
    """ISO 8601, in UTC: when it was about to be made."""
    instance_type: str | None = None
    """What runs because of it, and costs money until it is deleted."""
    instances: int = 0
    until: str | None = None
    """ISO 8601: when it is to be deleted, if that was said."""

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What it is known by."""
        return (self.target, self.account, self.region, self.kind, self.name)

    @property
    def age_s(self) -> float:
        """Since when it is there, in seconds."""
        return (datetime.now(timezone.utc) - datetime.fromisoformat(self.made)).total_seconds()

    @property
    def is_overdue(self) -> bool:
        """Whether it was to be deleted by now."""
        return self.until is not None and (
            datetime.fromisoformat(self.until) <= datetime.now(timezone.utc)
        )


class Ledger:
    """The file. Any number of devkits may write to it at once.

    Args:
        path: It; made with its first entry.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, resource: Resource) -> None:
        """Something is about to be made.

        Raises:
            StoreError: It cannot be written down; then it must not be made.
        """
        self._append({"made": asdict(resource)})

    def remove(self, resource: Resource) -> None:
        """It is gone, and that is certain.

        Raises:
            StoreError: That cannot be written down; it will be looked for again.
        """
        self._append({"gone": list(resource.key)})

    def resources(self, target: str | None = None) -> list[Resource]:
        """What there is, or may be, in the order in which it is deleted."""
        found: dict[tuple[str, ...], Resource] = {}
        with store_errors(self._path.parent):
            for entry in self._entries():
                if "made" in entry:
                    resource = Resource(**entry["made"])
                    found[resource.key] = resource
                else:
                    found.pop(tuple(entry["gone"]), None)
        those = [each for each in found.values() if target in (None, each.target)]
        return sorted(those, key=lambda each: ORDER.index(each.kind))

    def _entries(self) -> Iterator[dict[str, Any]]:
        with suppress(FileNotFoundError), self._path.open(encoding="utf-8") as file:
            for line in file:
                with suppress(ValueError):  # one that a full disk has cut off
                    yield json.loads(line)

    def _append(self, entry: dict[str, Any]) -> None:
        with store_errors(self._path.parent):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._locked() as file:
                end = file.seek(0, os.SEEK_END)
                begin = b"\n" if end and not _ends_line(file, end) else b""
                file.write(begin + json.dumps(entry).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _ends_line(file: IO[bytes], end: int) -> bool:
    file.seek(end - 1)
    return file.read(1) == b"\n"


def overdue(resources: Sequence[Resource]) -> str | None:
    """What to say of those whose time is over; ``None`` where there are none."""
    late = [each for each in resources if each.is_overdue]
    if not late:
        return None
    paid = [each for each in late if each.instance_type] or late
    names = ", ".join(f"{each.kind} {each.name}" for each in paid)
    targets = sorted({each.target for each in late})
    commands = " and ".join(f"devkit down --target {target}" for target in targets)
    return f"was to be deleted by now, and is still there: {names}; {commands}"
