"""The SQLite index of the store: what ``devkit jobs`` lists without reading every folder.

It holds nothing that the folders do not: a missing or damaged index is made anew from them.
"""

from __future__ import annotations

import sqlite3
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
        except sqlite3.DatabaseError:
            return False
        return True

    def rebuild(self, entries: Iterable[Entry]) -> None:
        """Make the file anew with these entries."""
        self._path.unlink(missing_ok=True)
        with self._transaction() as connection:
            connection.execute(_SCHEMA)
            connection.executemany(_UPSERT, (astuple(entry) for entry in entries))

    def put(self, entry: Entry) -> None:
        """Add an entry, or replace the one of its kind and name."""
        with self._transaction() as connection:
            connection.execute(_UPSERT, astuple(entry))

    def remove(self, kind: Kind, name: str) -> None:
        """Remove an entry; nothing where there is none."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM entry WHERE kind = ? AND name = ?", (kind, name))

    def entries(self, kind: Kind) -> list[Entry]:
        """All entries of a kind, oldest first."""
        with self._transaction() as connection:
            return [Entry(*row) for row in connection.execute(_SELECT, (kind,))]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with (
            closing(sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S)) as connection,
            connection,
        ):
            yield connection
