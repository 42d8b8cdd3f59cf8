"""devkit logs: print everything a job's or server's container wrote."""

from __future__ import annotations

import argparse

from devkit.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    parser.add_argument("name", help="a job or a server")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on until it ends, as it is written"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print."""
    from devkit.logs import follow

    store = options.project(arguments).store
    found = store.find(arguments.name)
    lines = follow(
        found,
        lambda: arguments.follow and store.owner(found) is not None,
        named=found.request().get("instances", 1) > 1 or len(list(found.logs.glob("*.log"))) > 1,
    )
    if arguments.json:
        arguments.terminal.result({"name": found.name, "lines": list(lines)}, None)
        return
    for line in lines:
        arguments.terminal.result({}, line)
