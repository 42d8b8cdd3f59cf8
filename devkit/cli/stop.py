"""devkit stop: stop jobs and servers as SageMaker does: SIGTERM, later SIGKILL.

A job has 120 seconds and a server 30 to end after SIGTERM; what a job has in /opt/ml/model by then
is its model. The servers of the local AWS's endpoints are its own: DeleteEndpoint stops them, or
devkit down.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from devkit.cli import options

if TYPE_CHECKING:
    from devkit.store import Run, Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    parser.add_argument("names", metavar="NAME", nargs="*", help="jobs and servers")
    parser.add_argument(
        "--all", action="store_true", help="everything that runs, but for endpoints"
    )


def run(arguments: argparse.Namespace) -> None:
    """Stop."""
    from devkit.stopping import is_endpoint, require_no_endpoint, stop

    project = options.project(arguments)
    store = project.store
    if arguments.all:
        runs = [run for kind in ("job", "server") for run in store.runs(kind)]
        runs = [run for run in runs if store.owner(run) is not None and not is_endpoint(run)]
    else:
        runs = [_find(store, name) for name in arguments.names]
        require_no_endpoint(store, runs)

    def stop_in_local_aws(name: str, region: str) -> None:
        from devkit.local_aws import session
        from devkit.local_aws.state import State

        session.stop_job(State(project.settings.root), name, region)

    stopped = stop(store, runs, stop_in_local_aws)
    text = "\n".join(f"{name} {status}" for name, status in stopped.items())
    arguments.terminal.result({"stopped": stopped}, text or "nothing runs")


def _find(store: Store, name: str) -> Run:
    """The run of this name that runs: a job and a server may share it."""
    server = [run for run in store.runs("server") if run.name == name]
    running = [run for run in server if store.owner(run) is not None]
    return running[0] if running else store.find(name)
