"""devkit jobs: list the jobs and servers of the project, oldest first."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from devkit.cli import options

if TYPE_CHECKING:
    from devkit.index import Entry

_HEADINGS = ("KIND", "NAME", "STATUS", "ENGINE", "STARTED (UTC)", "TOOK", "")
_NOTE_CHARS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has no flags of its own."""


def run(arguments: argparse.Namespace) -> None:
    """List."""
    store = options.project(arguments).store
    entries = [*store.entries("job"), *store.entries("server")]
    document = {"runs": [asdict(entry) for entry in entries]}
    arguments.terminal.result(document, table(entries))


def table(entries: Sequence[Entry]) -> str:
    """Jobs and servers for people, a line each."""
    rows = [_HEADINGS, *(_row(entry) for entry in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _row(entry: Entry) -> tuple[str, ...]:
    started = _time(entry.started)
    ended = _time(entry.ended) or datetime.now(timezone.utc)
    took = f"{(ended - started).total_seconds():.1f} s" if started else ""
    when = f"{started:%Y-%m-%d %H:%M:%S}" if started else ""
    note = (entry.note or "").partition("\n")[0][:_NOTE_CHARS]
    return (entry.kind, entry.name, entry.status, entry.engine, when, took, note)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
