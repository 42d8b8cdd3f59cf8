"""A command left running: a devkit of its own in the background, which reports when it is ready."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from devkit.errors import DevkitError, ServingFailed
from devkit.project import Project

Report = Callable[[Mapping[str, Any]], None]


class BackgroundFailed(DevkitError):
    """What the devkit in the background reported as its error, with that error's exit code."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(
            document["message"], remedy=document["remedy"], log_tail=document["log_tail"]
        )
        self.exit_code = document["exit_code"]


def start_server(argv: Sequence[str], project: Project) -> dict[str, Any]:
    """Run ``devkit serve`` or ``up`` with these arguments in a session of its own.

    Args:
        argv: The arguments as given, ``--detach`` among them.
        project: Whose server it is.

    Returns:
        What it reported when it was ready: its address, and more.

    Raises:
        DevkitError: What it reported instead.
    """
    read_end, write_end = os.pipe()
    command = [arg for arg in argv if arg != "--detach"]
    log = project.store.root / "background.log"
    with os.fdopen(read_end, encoding="utf-8") as reports, log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "devkit", *command, "--report-to", str(write_end)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(project.settings.machine.child_environment),
            pass_fds=(write_end,),
            start_new_session=True,
        )
        os.close(write_end)
        try:
            line = reports.readline()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
    if not line:
        raise ServingFailed(
            f"the devkit in the background ended with exit code {process.wait()}",
            remedy=f"{log} has what it said",
        )
    document: dict[str, Any] = json.loads(line)
    if "error" in document:
        process.wait()
        raise BackgroundFailed(document["error"])
    process.returncode = 0  # it goes on without us; nobody waits for it
    return document


@contextmanager
def reporting(descriptor: int | None) -> Iterator[Report]:
    """Report to the devkit that started this one, if one did: the result, or the error."""
    if descriptor is None:
        yield lambda _document: None
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as reports:
        reported = False

        def report(document: Mapping[str, Any]) -> None:
            nonlocal reported
            if not reported:
                reported = True
                reports.write(json.dumps(document) + "\n")
                reports.close()

        try:
            yield report
        except DevkitError as error:
            report({"error": error.document()})
            raise
