"""devkit push: push the image to the registry that SageMaker pulls it from; prints its URI.

Builds first. The registry is ECR, which is logged in to for this push alone, or the one that
[aws] registry names.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from devkit.cli import options

if TYPE_CHECKING:
    from devkit.cli.terminal import Terminal
    from devkit.project import Project
    from devkit.targets.push import Destination, PushedImage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_image(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="build nothing and push nothing; say where to"
    )


def run(arguments: argparse.Namespace) -> None:
    """Push."""
    from devkit.targets.aws import aws_clients
    from devkit.targets.instance_types import require_instance_type
    from devkit.targets.push import destination, tag_of

    terminal = arguments.terminal
    project = options.project(arguments)
    aws = project.settings.aws
    require_instance_type(aws.train_instance, "training")
    require_instance_type(aws.serve_instance, "hosting")
    place = destination(project.settings, lambda: aws_clients(aws))
    if isinstance(place, str):
        terminal.note(
            "AWS's endpoint is on this machine, which has the image: nothing is pushed. [aws] "
            "registry names a registry that stands for ECR"
        )
        terminal.result({"uri": place, "pushed": False}, place)
        return
    if arguments.dry_run:
        name = f"{place.repository}:{tag_of(arguments.image or project.settings.image.tag)}"
        terminal.result({"would_push": name}, f"would push {name}")
        return
    pushed = _pushed(project, place, terminal)
    for note in pushed.notes:
        terminal.note(note)
    terminal.result(pushed.document(), pushed.uri)


def _pushed(project: Project, place: Destination, terminal: Terminal) -> PushedImage:
    from devkit.errors import EngineError
    from devkit.progress import step
    from devkit.targets.push import Pusher, push_image

    engine = project.engine
    if not isinstance(engine, Pusher):
        raise EngineError(
            f"the {engine.name} engine has no image that could be pushed",
            remedy="use the docker engine: --engine docker",
        )
    image = project.build()
    aws = project.settings.aws
    with step(terminal, "push") as pushing:
        pushing.detail = place.repository
        pushed = push_image(
            engine,
            image,
            place,
            instance_types=(aws.train_instance, aws.serve_instance),
            on_line=terminal.build_line,
        )
        if not pushed.pushed:
            pushing.detail = f"{place.repository} has it already"
    return pushed
