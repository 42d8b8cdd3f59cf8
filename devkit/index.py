"""The SQLite index of the store: what ``devkit jobs`` lists without reading every folder.

It holds nothing that the folders do not: a missing or damaged index is made anew from them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal

Kind = Literal["job", "server"]

_BUSY_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Entry:
    """One job or server, as far as a list shows it. Times are ISO 8601 in UTC."""

    kind: Kind
    name: str
    status: str
    engine: str
    image: str
    started: str
    ended: str | None
    note: str | None
    """The failure reason of a failed job, the address of a server."""


_COLUMNS = tuple(field.name for field in fields(Entry))
_SCHEMA = f"CREATE TABLE entry ({', '.join(_COLUMNS)}, PRIMARY KEY (kind, name))"
_UPSERT = "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT = "SELECT * FROM entry WHERE kind = ? ORDER BY started, name"


class Index:
    """The index in one file, opened anew for every call: calls are few, processes many."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def usable(self) -> bool:
        """Whether the file is there and an index."""
        if not self._path.exists():
            return False
        try:
            self.entries("job")
        except (sqlite3.DatabaseError, OSError):
            return False
        return True

    def rebuild(self, entries: Iterable[Entry]) -> None:
        """Make the file anew with these entries: with all of them, or not at all."""
        with self._alone():
            descriptor, temporary = tempfile.mkstemp(
                prefix=f".{self._path.name}.", dir=self._path.parent
            )
            os.close(descriptor)
            try:
                with _transaction(Path(temporary)) as connection:
                    connection.execute(_SCHEMA)
                    connection.executemany(_UPSERT, (astuple(entry) for entry in entries))
                Path(temporary).replace(self._path)
            finally:
                Path(temporary).unlink(missing_ok=True)

    def put(self, entry: Entry) -> None:
        """Add an entry, or replace the one of its kind and name."""
        with self._alone(), _transaction(self._path) as connection:
            connection.execute(_UPSERT, astuple(entry))

    def remove(self, kind: Kind, name: str) -> None:
        """Remove an entry; nothing where there is none."""
        with self._alone(), _transaction(self._path) as connection:
            connection.execute("DELETE FROM entry WHERE kind = ? AND name = ?", (kind, name))

    def entries(self, kind: Kind) -> list[Entry]:
        """All entries of a kind, oldest first."""
        with _transaction(self._path) as connection:
            return [Entry(*row) for row in connection.execute(_SELECT, (kind,))]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else write meanwhile: SQLite writes to no file that another has replaced."""
        with self._path.with_name(f"{self._path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def _transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction on a file; what keeps it from being read or written is an OSError."""
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)) as connection, connection:
            yield connection
    except sqlite3.OperationalError as error:  # a full disk, a folder that is not writable
        raise OSError(errno.EIO, str(error), str(path)) from error
