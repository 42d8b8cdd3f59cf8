"""devkit train: run a training job, and print where its model is.

The container's output goes to standard error as it comes; everything of the job is kept under
.devkit/jobs/NAME/.
"""

from __future__ import annotations

import argparse

from devkit.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_target(parser)
    options.add_approval(parser)
    options.add_image(parser)
    options.add_training(parser)
    parser.add_argument("--name", help="the job's name (default: made up)")
    parser.add_argument(
        "--spot-interrupt-after",
        metavar="TIME",
        action="append",
        default=[],
        type=options.seconds,
        help="interrupt the job after it has trained this long (30s, 5m), as spot capacity is, and "
        "start it again with its checkpoints; repeatable: the next counts from the next start",
    )
    parser.add_argument(
        "--spot-seed",
        metavar="N",
        type=int,
        help="interrupt at a random moment before each TIME instead, drawn with this seed",
    )


def run(arguments: argparse.Namespace) -> None:
    """Train."""
    from devkit.spot import interruptions

    result = options.project(arguments).train(
        name=arguments.name,
        interrupt_after_s=interruptions(arguments.spot_interrupt_after, arguments.spot_seed),
    )
    arguments.terminal.result(result.document(), str(result.model))
