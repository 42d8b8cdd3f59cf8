"""devkit config: show every setting, and which layer it comes from."""

from __future__ import annotations

import argparse

from devkit.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes the flags of a run, to show what they would change."""
    options.add_training(parser)


def run(arguments: argparse.Namespace) -> None:
    """Show."""
    from devkit import config

    settings = options.project(arguments).settings
    rows = list(config.explain(settings))
    document = {key: {"value": _plain(value), "from": source} for key, value, source in rows}
    width = max(len(key) for key, _, _ in rows)
    lines = [f"{key:<{width}} = {_plain(value)}  ({source})" for key, value, source in rows]
    arguments.terminal.result(document, "\n".join([f"project {settings.root}", *lines]))


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int, float, bool, list, dict)) else str(value)
