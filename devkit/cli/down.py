"""devkit down: stop the local AWS and everything that it started."""

from __future__ import annotations

import argparse

from devkit.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has no flags of its own."""


def run(arguments: argparse.Namespace) -> None:
    """Stop."""
    from devkit.local_aws import session
    from devkit.local_aws.state import State

    stopped = session.stop(State(options.project(arguments).settings.root))
    document = {"stopped": None if stopped is None else stopped.document()}
    arguments.terminal.result(document, "not up" if stopped is None else f"{stopped.url} stopped")
