"""devkit push: push the image to the registry that SageMaker pulls it from; prints its URI.

Builds first. The registry is ECR, which is logged in to for this push alone, or the one that
[aws] registry names.
"""

from __future__ import annotations

import argparse

from devkit.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_image(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="build nothing and push nothing; say where to"
    )


def run(arguments: argparse.Namespace) -> None:
    """Push."""
    from devkit.targets.aws import aws_clients
    from devkit.targets.publishing import push, require_instance_types
    from devkit.targets.push import destination, tag_of

    terminal = arguments.terminal
    project = options.project(arguments)
    aws = project.settings.aws
    require_instance_types(project.settings)
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
    pushed = push(project.settings, place, project.engine, project.build(), terminal)
    for note in pushed.notes:
        terminal.note(note)
    terminal.result(pushed.document(), pushed.uri)
