"""The phases of a job with their times: SageMaker's secondary status transitions (§1.10)."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from devkit import contract
from devkit.job import Transition
from devkit.store import Run, transition_from_json, write_atomically

_FILE = "history.json"


def enter(run: Run, status: str) -> None:
    """A job enters a phase now, and leaves the one before."""
    now = datetime.now(timezone.utc).isoformat()
    rows = _read(run)
    if rows:
        rows[-1]["ended"] = now
    message = contract.STATUS_MESSAGES.get(status, "")
    rows.append({"status": status, "message": message, "started": now, "ended": None})
    write_atomically(run.folder / _FILE, json.dumps(rows, indent=1) + "\n")


def transitions(run: Run) -> tuple[Transition, ...]:
    """The phases of a job so far, oldest first; the last one has no end while the job runs."""
    return tuple(transition_from_json(row) for row in _read(run))


def _read(run: Run) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = json.loads((run.folder / _FILE).read_text("utf-8"))
    except (FileNotFoundError, ValueError):  # not begun, or cut off by a crash of the machine
        return []
    return rows
