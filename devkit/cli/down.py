"""devkit down: stop the local AWS and everything that it started.

With --target aws or sagemaker-local: delete everything that this project has made there.
"""

from __future__ import annotations

import argparse

from devkit.cli import account, options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_target(parser)


def run(arguments: argparse.Namespace) -> None:
    """Stop."""
    from devkit.local_aws import session
    from devkit.local_aws.state import State

    project = options.project(arguments)
    if project.settings.target != "local":
        account.delete(arguments, project)
        return
    stopped = session.stop(State(project.settings.root))
    document = {"stopped": None if stopped is None else stopped.document()}
    arguments.terminal.result(document, "not up" if stopped is None else f"{stopped.url} stopped")
