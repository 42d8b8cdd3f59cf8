"""devkit serve: keep a model served until Ctrl-C; prints the address once the ping is good."""

from __future__ import annotations

import argparse

from devkit.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_target(parser)
    options.add_approval(parser)
    options.add_image(parser)
    options.add_startup_timeout(parser)
    options.add_profile(parser)
    parser.add_argument("--name", help="the server's name (default: made up)")
    parser.add_argument(
        "--model",
        metavar="JOB|FILE|./FOLDER|s3://…",
        help="whose model, a model.tar.gz, or a folder, here or in S3 (default: the newest "
        "completed job's)",
    )
    parser.add_argument(
        "--port", type=int, help="on 127.0.0.1; 0 takes a free one (default: [serve] port, 8080)"
    )
    parser.add_argument(
        "--reload",
        action="store_true",
        help="make every edit of the program folder live; a broken one keeps the server before it",
    )
    parser.add_argument(
        "--debug-port",
        type=int,
        metavar="PORT",
        help="a port for a debugger, the same in the container and on 127.0.0.1; the program finds "
        "it in DEVKIT_DEBUG_PORT",
    )
    parser.add_argument(
        "--detach", action="store_true", help="leave it running, and return once the ping is good"
    )
    parser.add_argument("--report-to", type=int, metavar="FD", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> None:
    """Serve."""
    from devkit import detached

    if arguments.detach:
        document = detached.start_server(arguments.argv, options.project(arguments))
        arguments.terminal.result(document, document["url"])
        return
    with (
        detached.reporting(arguments.report_to) as report,
        options.project(arguments).serve(
            name=arguments.name,
            model=arguments.model,
            port=arguments.port,
            reload=arguments.reload,
            debug_port=arguments.debug_port,
        ) as server,
    ):
        document = {"server": server.name, "url": server.url}
        report(document)
        arguments.terminal.result(document, server.url or server.name)
        server.wait()
