"""devkit build: build the image, or the program's environment where no Docker engine answers."""

from __future__ import annotations

import argparse

from devkit.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has no flags of its own."""


def run(arguments: argparse.Namespace) -> None:
    """Build."""
    project = options.project(arguments)
    image = project.build()
    document = {"image": image.reference, "id": image.id, "engine": project.engine.name}
    arguments.terminal.result(document, image.reference)
