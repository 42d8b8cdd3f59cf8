"""devkit run: the whole loop: build, train, serve, invoke, stop; prints the answer."""

from __future__ import annotations

import argparse
import json

from devkit.cli import options
from devkit.store import outcome_to_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_image(parser)
    options.add_training(parser)
    options.add_data(parser)
    options.add_startup_timeout(parser)
    parser.add_argument(
        "--port", type=int, default=0, help="the server's port on 127.0.0.1 (default: a free one)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the loop."""
    data = None if arguments.data is None else options.body(arguments.data)
    result = options.project(arguments).run(data=data, port=arguments.port)
    training = {"job": result.training.name, **outcome_to_json(result.training.outcome)}
    answer = result.answer
    if isinstance(answer, bytes):
        answer = answer.decode("utf-8", errors="replace")
    text = answer if isinstance(answer, str) else json.dumps(answer)
    arguments.terminal.result({"answer": answer, "training": training}, text)
