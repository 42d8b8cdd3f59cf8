"""devkit status: tell where the local AWS is, for how long, and what of it is live.

With --target aws or sagemaker-local: tell what this project has made there that is not deleted.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from devkit.cli import account, options

if TYPE_CHECKING:
    from devkit.local_aws.state import Endpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_target(parser)


def run(arguments: argparse.Namespace) -> None:
    """Tell."""
    from devkit.local_aws import session
    from devkit.local_aws.state import State

    project = options.project(arguments)
    if project.settings.target != "local":
        account.show(arguments, project)
        return
    endpoint, said = session.status(State(project.settings.root))
    document = {**endpoint.document(), **said}
    arguments.terminal.result(document, _text(endpoint, said))


def _text(endpoint: Endpoint, said: Mapping[str, Any]) -> str:
    lines = [
        f"address     {said['url']}",
        f"containers  {said['container_url']}",
        *([f"gateway     {endpoint.gateway}"] if endpoint.gateway else []),
        f"process     {endpoint.pid}, up for {said['uptime_s']:.0f} s",
        "services    moto's, and of devkit's own:",
    ]
    lines += [f"              {name}: {', '.join(ops)}" for name, ops in said["services"].items()]
    return "\n".join(lines)
