"""devkit exec: run a command against the local AWS, as in: devkit exec -- aws s3 ls.

The command has the endpoint's address and dummy credentials in its environment, and nothing of your
own AWS account. Where no local AWS is up, one is started for as long as the command runs. The exit
code is the command's.
"""

from __future__ import annotations

import argparse
import sys

from devkit.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command."""
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what to run"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    from devkit.config import process_environment
    from devkit.errors import ConfigError
    from devkit.local_aws import session
    from devkit.local_aws.environment import ClientFiles, for_command
    from devkit.local_aws.execution import run as execute
    from devkit.local_aws.state import State

    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise ConfigError("there is no command to run", remedy="devkit exec -- aws s3 ls")
    settings = options.project(arguments).settings
    state = State(settings.root)
    files = ClientFiles(state.client)
    files.write()
    start = session.starter(settings, state, arguments.argv, arguments.terminal)
    with session.for_a_command(state, start, arguments.terminal) as endpoint:
        environment = for_command(process_environment(), endpoint.url, files)
        code = execute(command, environment, output_to_stderr=arguments.json)
    if arguments.json:
        document = {"command": command, "exit_code": code, "endpoint": endpoint.document()}
        arguments.terminal.result(document, None)
    sys.stdout.flush()
    return code
