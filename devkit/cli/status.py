"""devkit status: tell where the local AWS is, for how long, and what of it is live."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from devkit.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has no flags of its own."""


def run(arguments: argparse.Namespace) -> None:
    """Tell."""
    from devkit.local_aws import session
    from devkit.local_aws.state import State

    endpoint, said = session.status(State(options.project(arguments).settings.root))
    arguments.terminal.result({**endpoint.document(), **said}, _text(endpoint.pid, said))


def _text(pid: int, said: Mapping[str, Any]) -> str:
    lines = [
        f"address     {said['url']}",
        f"containers  {said['container_url']}",
        f"process     {pid}, up for {said['uptime_s']:.0f} s",
        "services    moto's, and of devkit's own:",
    ]
    lines += [f"              {name}: {', '.join(ops)}" for name, ops in said["services"].items()]
    return "\n".join(lines)
