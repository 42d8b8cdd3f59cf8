"""devkit logs: print everything a job's or server's container wrote.

With --target aws: the log of a training job or an endpoint there, with the reason of a failure.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from devkit.cli import options

if TYPE_CHECKING:
    from devkit.project import Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_target(parser)
    parser.add_argument("name", help="a job or a server")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on until it ends, as it is written"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print."""
    from devkit.logs import follow

    project = options.project(arguments)
    if project.settings.target != "local":
        _of_cloud(arguments, project)
        return
    store = project.store
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


def _of_cloud(arguments: argparse.Namespace, project: Project) -> None:
    terminal = arguments.terminal
    lines: list[str] = []

    def tell(_host: str, line: str) -> None:
        lines.append(line)
        if not arguments.json:
            terminal.result({}, line)

    reason = project.cloud.logs(arguments.name, tell, follow=arguments.follow)
    if reason is not None:
        terminal.note(f"{arguments.name} failed: {reason}")
    if arguments.json:
        document = {"name": arguments.name, "lines": lines, "failure_reason": reason}
        terminal.result(document, None)
