"""devkit ps: list what runs now: servers with their addresses, and jobs."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from devkit.cli import jobs, options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has no flags of its own."""


def run(arguments: argparse.Namespace) -> None:
    """List."""
    store = options.project(arguments).store
    entries = [
        entry
        for entry in (*store.entries("server"), *store.entries("job"))
        if entry.ended is None and store.owner(store.find(entry.name, entry.kind)) is not None
    ]
    document = {"runs": [asdict(entry) for entry in entries]}
    arguments.terminal.result(document, jobs.table(entries))
