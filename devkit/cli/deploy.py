"""devkit deploy: deploy a model as an endpoint that stays; prints its name.

It costs money in AWS until it is deleted: devkit down --target aws deletes it, and devkit status
--target aws shows what runs. For this machine there is devkit serve --detach.
"""

from __future__ import annotations

import argparse

from devkit.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_target(parser)
    options.add_startup_timeout(parser)
    options.add_profile(parser)
    options.add_approval(parser)
    parser.add_argument("--name", help="the endpoint's name (default: made up)")
    parser.add_argument(
        "--model",
        metavar="JOB|FILE|s3://…",
        help="whose model, or a model.tar.gz, here or in S3 (default: the newest completed job's)",
    )
    parser.add_argument(
        "--ttl",
        metavar="TIME",
        type=options.seconds,
        help="when it is to be deleted (2h, 30m): any later command says so",
    )


def run(arguments: argparse.Namespace) -> None:
    """Deploy."""
    project = options.project(arguments)
    server = project.deploy(
        name=arguments.name,
        model=arguments.model,
        ttl_s=arguments.ttl,
    )
    document = {"endpoint": server.name, "region": project.cloud.clients.region}
    arguments.terminal.result(document, server.name)
