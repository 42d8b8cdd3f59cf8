"""devkit clean: delete ended jobs and servers with their models and logs; asks before it does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.cli import options
from devkit.cli.confirm import ask
from devkit.errors import ConfigError

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
            _ask(len(runs))
        for each in runs:
            store.delete(each)
        text = f"{len(runs)} deleted, {sum(sizes.values()) / 1e6:.1f} MB"
    arguments.terminal.result(document, text)


def _ended(store: Store) -> list[Run]:
    runs = [*store.runs("job"), *store.runs("server")]
    return [run for run in runs if store.owner(run) is None]


def _ask(count: int) -> None:
    answer = ask(f"delete {count} with their models and logs?")
    if answer is None:
        raise ConfigError("nobody is here to ask", remedy="--yes deletes without asking")
    if not answer:
        raise KeyboardInterrupt


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))
