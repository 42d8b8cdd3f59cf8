"""devkit up: start the local AWS: the AWS APIs on 127.0.0.1, until Ctrl-C.

Point any AWS client at the address that is printed, or run it with devkit exec.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from devkit.cli import options

if TYPE_CHECKING:
    from devkit.cli.terminal import Terminal
    from devkit.config import Settings
    from devkit.local_aws.chain.bringing_up import BringingUp
    from devkit.local_aws.moto_app import Replay
    from devkit.local_aws.server import LocalAws
    from devkit.local_aws.state import Endpoint


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
        notes = [f"it is up already, since {endpoint.started}"]
        document = endpoint.document()
    else:
        document = detached.start_server(arguments.argv, project)
        notes = document.pop("notes")
    for note in (*notes, *_to_call(project.settings, document["gateway"])):
        arguments.terminal.note(note)
    arguments.terminal.result(document, document["url"])


def _foreground(arguments: argparse.Namespace) -> None:
    from devkit import detached
    from devkit.local_aws import session
    from devkit.local_aws.state import AlreadyUp, State
    from devkit.ports import require_free_port

    terminal = arguments.terminal
    settings = options.project(arguments).settings
    state = State(settings.root)
    with detached.reporting(arguments.report_to) as report:
        if state.is_held():
            raise AlreadyUp(state.endpoint())
        require_free_port(arguments.port)
        if arguments.fresh:
            state.forget()
        with (
            session.running(
                settings, state, port=arguments.port, kind="up", observer=terminal
            ) as running,
            _chain(settings, running.aws, terminal) as chain,
        ):
            if arguments.report_to is None and not terminal.json_output:
                terminal.result({}, running.endpoint.url)
            notes = _notes(running.aws.wait_for_moto(), running.aws.not_kept)
            for note in notes:
                terminal.note(note)
            running.announce_gateway(chain.make())
            if arguments.report_to is None and terminal.json_output:
                terminal.result(running.endpoint.document(), None)
            chain.begin(lambda: _ready(settings, running.endpoint, terminal))
            if arguments.report_to is not None:
                chain.wait()
                notes += [str(chain.problem)] if chain.problem else []
                report({**running.endpoint.document(), "notes": notes})
            session.wait_for_ever()


def _chain(settings: Settings, aws: LocalAws, terminal: Terminal) -> BringingUp:
    from devkit.local_aws.chain.bringing_up import BringingUp

    return BringingUp(settings, aws, terminal)


def _ready(settings: Settings, endpoint: Endpoint, terminal: Terminal) -> None:
    """Say what can be called, now that it can be."""
    if settings.endpoint is not None:
        terminal.note(f"endpoint {settings.endpoint.name} is in service")
    for line in _to_call(settings, endpoint.gateway):
        terminal.note(line)


def _to_call(settings: Settings, gateway: str | None) -> list[str]:
    """What can be called, and how."""
    lines = [
        f"lambda {function.name}: devkit invoke --via lambda:{function.name}"
        for function in settings.functions
    ]
    if gateway is not None and settings.gateway is not None:
        method, path = settings.gateway.first_route
        flags = "" if method == "GET" else f"-d {shlex.quote(settings.invoke.data or '{}')} "
        if method not in ("GET", "POST"):
            flags = f"-X {method} {flags}"
        lines.append(f"gateway {gateway}: devkit invoke --via gateway")
        lines.append(f"curl {flags}{gateway}{path}")
    return lines


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
