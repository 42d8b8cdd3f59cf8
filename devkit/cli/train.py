"""devkit train: run a training job, and print where its model is.

The container's output goes to standard error as it comes; everything of the job is kept under
.devkit/jobs/NAME/.
"""

from __future__ import annotations

import argparse

from devkit.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_image(parser)
    options.add_training(parser)
    parser.add_argument("--name", help="the job's name (default: made up)")


def run(arguments: argparse.Namespace) -> None:
    """Train."""
    result = options.project(arguments).train(name=arguments.name)
    document = {"job": result.name, **result.outcome.document()}
    arguments.terminal.result(document, str(result.model))
