"""argv → exit code; the only place that catches DevkitError."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from devkit.errors import DevkitError, DryRun, StoreError
from devkit.signals import EXIT_INTERRUPTED, Terminated, terminated_by_signals

if TYPE_CHECKING:
    from devkit.cli.terminal import Terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments after ``devkit``; those of the process by default.

    Returns:
        0, or the exit code of the error's kind (see :mod:`devkit.errors`), 130 after Ctrl-C,
        143 after SIGTERM.
    """
    try:
        from devkit.cli import parser  # noqa: PLC0415 - a Ctrl-C meanwhile shows no traceback either

        arguments = parser.parse(argv)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    try:
        with terminated_by_signals(), arguments.terminal, ExitStack() as stack:
            arguments.stack = stack
            return int(arguments.run(arguments) or 0)
    except DryRun:
        return 0
    except BrokenPipeError:  # whoever read the output has gone: `devkit logs JOB | head`
        sys.stderr.close()
        return 0
    except (DevkitError, KeyboardInterrupt, OSError) as error:
        return _tell(error, arguments.terminal)


def _tell(error: BaseException, terminal: Terminal) -> int:
    """Tell why the command fails; the exit code of that kind."""
    if isinstance(error, Terminated):
        terminal.message(str(error))
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        terminal.message("interrupted")
        return EXIT_INTERRUPTED
    if isinstance(error, OSError):
        error = StoreError(
            f"{error.filename or 'the system'}: {error.strerror or error}",
            remedy="see that the disk is not full and that you may write there",
        )
    if not isinstance(error, DevkitError):
        raise error
    terminal.error(error)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
