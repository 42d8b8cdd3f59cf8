"""The parser of the command line, put together from the command modules."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType

import devkit
from devkit.cli import (
    bootstrap,
    build,
    clean,
    config,
    deploy,
    down,
    invoke,
    jobs,
    lambda_,
    logs,
    parity,
    plot,
    ps,
    push,
    run,
    serve,
    status,
    stop,
    train,
    up,
)
from devkit.cli import exec as exec_
from devkit.cli.terminal import Terminal, Verbosity
from devkit.config import process_environment

COMMANDS = (
    *(run, build, train, serve, deploy, invoke, jobs, ps, logs, plot, stop, clean, config),
    *(up, exec_, status, down, lambda_),
    *(bootstrap, push, parity),
)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the arguments; ``arguments.terminal`` is where the command reports to."""
    arguments = make_parser().parse_args(argv)
    arguments.argv = tuple(sys.argv[1:] if argv is None else argv)
    environ, terminal = process_environment(), sys.stderr.isatty()
    arguments.terminal = Terminal(
        sys.stdout,
        sys.stderr,
        verbosity=Verbosity.QUIET if arguments.quiet else Verbosity(1 + min(1, arguments.verbose)),
        json_output=arguments.json,
        color=terminal and not environ.get("NO_COLOR"),
        live=terminal and environ.get("TERM") != "dumb",
    )
    return arguments


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="devkit",
        description="Run a SageMaker bring-your-own image on this machine exactly as SageMaker "
        "will: build, train, serve, invoke.",
        epilog="In a project (a folder with devkit.toml), devkit run does the whole loop.",
    )
    parser.add_argument("--version", action="version", version=f"devkit {devkit.__version__}")
    _add_commands(parser, COMMANDS, _common())
    return parser


def _add_commands(
    parser: argparse.ArgumentParser, modules: Sequence[ModuleType], common: argparse.ArgumentParser
) -> None:
    """Add commands; one that has ``COMMANDS`` is a group of them, with no flags of its own."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in modules:
        group: Sequence[ModuleType] = getattr(module, "COMMANDS", ())
        subparser = commands.add_parser(
            module.__name__.rpartition(".")[2].rstrip("_"),
            help=(module.__doc__ or "").splitlines()[0].partition(": ")[2],
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[] if group else [common],
        )
        if group:
            _add_commands(subparser, group, common)
        else:
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("output")
    group.add_argument(
        "--json", action="store_true", help="one JSON document on standard output, for machines"
    )
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more")
    group.add_argument("-q", "--quiet", action="store_true", help="say only the result")
    common.add_argument(
        "--engine",
        choices=("auto", "docker", "process"),
        help="what runs the image: docker, or plain processes (auto: docker where it answers)",
    )
    common.add_argument(
        "--project", metavar="DIR", help="the folder with devkit.toml (default: here or above)"
    )
    return common
