"""devkit up: start the local AWS: the AWS APIs on 127.0.0.1, until Ctrl-C.

Point any AWS client at the address that is printed, or run it with devkit exec.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from devkit.cli import options

if TYPE_CHECKING:
    from devkit.local_aws.moto_app import Replay


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    parser.add_argument(
        "--port", type=int, default=4566, help="on 127.0.0.1; 0 takes a free one (default: 4566)"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="forget what AWS services were told before"
    )
    parser.add_argument(
        "--detach", action="store_true", help="leave it running, and return once it answers"
    )
    parser.add_argument("--report-to", type=int, metavar="FD", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> None:
    """Start."""
    from devkit.local_aws import session

    session.require_installed()
    if arguments.detach:
        _detached(arguments)
    else:
        session.become_clean(arguments.argv)
        _foreground(arguments)


def _detached(arguments: argparse.Namespace) -> None:
    from devkit import detached
    from devkit.local_aws.state import State

    project = options.project(arguments)
    endpoint = State(project.settings.root).endpoint()
    if endpoint is not None and endpoint.kind == "up":
        arguments.terminal.note(f"it is up already, since {endpoint.started}")
        arguments.terminal.result(endpoint.document(), endpoint.url)
        return
    document = detached.start_server(arguments.argv, project)
    for note in document.pop("notes"):
        arguments.terminal.note(note)
    arguments.terminal.result(document, document["url"])


def _foreground(arguments: argparse.Namespace) -> None:
    from devkit import detached
    from devkit.local_aws import session
    from devkit.local_aws.state import AlreadyUp, State
    from devkit.ports import require_free_port

    settings = options.project(arguments).settings
    state = State(settings.root)
    with detached.reporting(arguments.report_to) as report:
        if state.is_held():
            raise AlreadyUp(state.endpoint())
        require_free_port(arguments.port)
        if arguments.fresh:
            state.forget()
        with session.running(
            settings, state, port=arguments.port, kind="up", observer=arguments.terminal
        ) as (aws, endpoint):
            if arguments.report_to is None:
                arguments.terminal.result(endpoint.document(), endpoint.url)
            notes = _notes(aws.wait_for_moto(), aws.not_kept)
            for note in notes:
                arguments.terminal.note(note)
            report({**endpoint.document(), "notes": notes})
            session.wait_for_ever()


def _notes(replay: Replay, not_kept: Sequence[str]) -> list[str]:
    """What a user should know who had the local AWS up before."""
    notes = []
    if replay.calls:
        calls = "1 call" if replay.calls == 1 else f"{replay.calls} calls"
        notes.append(f"as before: {calls} repeated in {replay.seconds:.1f} s")
    notes += [f"could not be repeated: {each}" for each in replay.failed]
    if replay.calls:
        notes.append(f"forgotten: {', '.join(not_kept)}")
    return notes
