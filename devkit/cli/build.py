"""devkit build: build the image, or the program's environment where no Docker engine answers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from devkit.cli import options

if TYPE_CHECKING:
    from devkit.cli.terminal import Terminal
    from devkit.engines.base import Image
    from devkit.project import Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    parser.add_argument(
        "--tag", metavar="NAME:TAG", help="what to call the image (default: [image] tag)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Build."""
    project = options.project(arguments)
    image = project.build()
    _register(project, image, arguments.terminal)
    document = {"image": image.reference, "id": image.id, "engine": project.engine.name}
    arguments.terminal.result(document, image.reference)


def _register(project: Project, image: Image, terminal: Terminal) -> None:
    """Let the ECR of the local AWS know the image, where one is up."""
    from devkit.errors import DevkitError
    from devkit.local_aws import session, state

    root = project.settings.root
    if not state.is_made(root):
        return
    try:
        session.register_image(state.State(root), project.settings.image.tag, image.id)
    except DevkitError as error:
        terminal.note(f"ECR does not know the image: {error.message}")
