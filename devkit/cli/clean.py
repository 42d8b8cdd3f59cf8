"""devkit clean: delete ended jobs and servers with their models and logs; asks before it does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.cli import confirm, options

if TYPE_CHECKING:
    from devkit.store import Run, Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    parser.add_argument("names", metavar="NAME", nargs="*", help="which (default: all that ended)")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")


def run(arguments: argparse.Namespace) -> None:
    """Clean."""
    store = options.project(arguments).store
    runs = [store.find(name) for name in arguments.names] or _ended(store)
    sizes = {run.name: _size(run.folder) for run in runs}
    document = {"deleted": [run.name for run in runs], "bytes": sum(sizes.values())}
    for each in runs:
        arguments.terminal.note(f"{each.kind} {each.name}: {sizes[each.name] / 1e6:.1f} MB")
    if arguments.dry_run:
        document = {"would_delete": document["deleted"], "bytes": document["bytes"]}
        text = f"{len(runs)} to delete, {sum(sizes.values()) / 1e6:.1f} MB"
    else:
        if runs and not arguments.yes:
            confirm.ask(
                f"delete {len(runs)} with their models and logs?",
                remedy="--yes deletes without asking",
            )
        for each in runs:
            store.delete(each)
        text = f"{len(runs)} deleted, {sum(sizes.values()) / 1e6:.1f} MB"
    arguments.terminal.result(document, text)


def _ended(store: Store) -> list[Run]:
    runs = [*store.runs("job"), *store.runs("server")]
    return [run for run in runs if store.owner(run) is None]


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))
