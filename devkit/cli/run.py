"""devkit run: the whole loop: build, train, serve, invoke, stop; prints the answer."""

from __future__ import annotations

import argparse

from devkit.cli import answer, options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_target(parser)
    options.add_approval(parser)
    options.add_image(parser)
    options.add_training(parser)
    options.add_data(parser)
    options.add_startup_timeout(parser)
    options.add_profile(parser)
    parser.add_argument(
        "--port", type=int, default=0, help="the server's port on 127.0.0.1 (default: a free one)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the loop."""
    data = None if arguments.data is None else options.body(arguments.data)
    result = options.project(arguments).run(data=data, port=arguments.port)
    if arguments.json:
        document = {**answer.fields(result.answer), "training": result.training.document()}
        arguments.terminal.result(document, None)
    else:
        answer.show(result.answer, arguments.terminal)
