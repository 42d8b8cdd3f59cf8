"""What S3 knows of buckets and objects besides their bytes: an SQLite file.

Its commit is the moment in which a change has happened. Records are JSON texts made and read by
``records``; nothing here looks into them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from devkit.errors import StoreError

_VERSION = 1
_TABLES = """
CREATE TABLE bucket (name TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE object (
    bucket TEXT NOT NULL, key TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE TABLE upload (
    bucket TEXT NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (bucket, id)
) WITHOUT ROWID;
CREATE TABLE part (
    bucket TEXT NOT NULL, upload TEXT NOT NULL, number INTEGER NOT NULL, blob TEXT NOT NULL,
    record TEXT NOT NULL, PRIMARY KEY (bucket, upload, number)
) WITHOUT ROWID;
-- Objects whose files may not yet be where their records say, and what was of them before.
CREATE TABLE unsettled (
    bucket TEXT NOT NULL, key TEXT NOT NULL, removed TEXT NOT NULL, PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
"""
_OF_A_BUCKET = ("object", "upload", "part", "unsettled")


class Unsettled(NamedTuple):
    """An object whose files may have to be moved."""

    bucket: str
    key: str
    removed: str


class Catalogue:
    """The open file. Its owner lets one thread at a time call it.

    Raises:
        StoreError: A newer devkit wrote it, or it is damaged.
    """

    def __init__(self, path: Path, *, sync: bool) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(f"PRAGMA synchronous = {'FULL' if sync else 'OFF'}")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._db.executescript(
                    f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;"
                )
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise StoreError(
                f"{path} cannot be read: {error}",
                remedy="move it away: the objects' files stay, what else S3 knew of them is lost",
            ) from error
        if version not in (0, _VERSION):
            self._db.close()
            raise StoreError(
                f"{path} has format {version}, and this devkit knows format {_VERSION}",
                remedy="use the devkit that wrote it, or another folder",
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes in the block, or none of them."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def buckets(self) -> dict[str, str]:
        """The records of all buckets by their names."""
        return dict(self._db.execute("SELECT name, record FROM bucket"))

    def bucket(self, name: str) -> str | None:
        """A bucket's record."""
        return self._one("SELECT record FROM bucket WHERE name = ?", name)

    def put_bucket(self, name: str, record: str) -> None:
        """Write a bucket's record."""
        self._db.execute("INSERT OR REPLACE INTO bucket VALUES (?, ?)", (name, record))

    def delete_bucket(self, name: str) -> None:
        """Forget a bucket and all that is in it."""
        self._db.execute("DELETE FROM bucket WHERE name = ?", (name,))
        for table in _OF_A_BUCKET:
            self._db.execute(f"DELETE FROM {table} WHERE bucket = ?", (name,))  # noqa: S608

    def objects(self, bucket: str) -> Iterator[tuple[str, str]]:
        """The records of a bucket's objects with their keys."""
        yield from self._db.execute("SELECT key, record FROM object WHERE bucket = ?", (bucket,))

    def object(self, bucket: str, key: str) -> str | None:
        """An object's record."""
        return self._one("SELECT record FROM object WHERE bucket = ? AND key = ?", bucket, key)

    def put_object(self, bucket: str, key: str, record: str | None) -> None:
        """Write an object's record; ``None`` deletes it."""
        if record is None:
            self._db.execute("DELETE FROM object WHERE bucket = ? AND key = ?", (bucket, key))
        else:
            self._db.execute(
                "INSERT OR REPLACE INTO object VALUES (?, ?, ?)", (bucket, key, record)
            )

    def uploads(self, bucket: str) -> dict[str, str]:
        """The records of a bucket's unfinished uploads by their ids."""
        return dict(self._db.execute("SELECT id, record FROM upload WHERE bucket = ?", (bucket,)))

    def upload(self, bucket: str, upload: str) -> str | None:
        """An unfinished upload's record."""
        return self._one("SELECT record FROM upload WHERE bucket = ? AND id = ?", bucket, upload)

    def put_upload(self, bucket: str, upload: str, record: str | None) -> None:
        """Write an upload's record; ``None`` deletes it, and its parts with it."""
        if record is None:
            self._db.execute("DELETE FROM upload WHERE bucket = ? AND id = ?", (bucket, upload))
            self._db.execute("DELETE FROM part WHERE bucket = ? AND upload = ?", (bucket, upload))
        else:
            self._db.execute(
                "INSERT OR REPLACE INTO upload VALUES (?, ?, ?)", (bucket, upload, record)
            )

    def parts(self, bucket: str, upload: str) -> dict[int, tuple[str, str]]:
        """The files and the records of an upload's parts by their numbers."""
        rows = self._db.execute(
            "SELECT number, blob, record FROM part WHERE bucket = ? AND upload = ?",
            (bucket, upload),
        )
        return {number: (blob, record) for number, blob, record in rows}

    def part_files(self) -> set[str]:
        """The files of all parts."""
        return {blob for (blob,) in self._db.execute("SELECT blob FROM part")}

    def put_part(self, bucket: str, upload: str, number: int, blob: str, record: str) -> None:
        """Write a part's record."""
        self._db.execute(
            "INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?)",
            (bucket, upload, number, blob, record),
        )

    def unsettled(self) -> list[Unsettled]:
        """The objects whose files may not be in their places."""
        return [Unsettled(*row) for row in self._db.execute("SELECT * FROM unsettled")]

    def put_unsettled(self, bucket: str, key: str, removed: str) -> None:
        """Note that an object's files have to be moved."""
        self._db.execute(
            "INSERT OR REPLACE INTO unsettled VALUES (?, ?, ?)", (bucket, key, removed)
        )

    def clear_unsettled(self, settled: list[Unsettled]) -> None:
        """The files of these objects are in their places."""
        self._db.executemany(
            "DELETE FROM unsettled WHERE bucket = ? AND key = ?",
            [(each.bucket, each.key) for each in settled],
        )

    def _one(self, query: str, *values: str) -> str | None:
        row = self._db.execute(query, values).fetchone()
        return None if row is None else str(row[0])
