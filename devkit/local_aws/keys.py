"""The access key of every client of the local AWS that made none of its own; no secret."""

from __future__ import annotations

DUMMY_KEY = "test"
