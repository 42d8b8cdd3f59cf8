"""argv → exit code; the only place that catches DevkitError."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from devkit.cli import parser
from devkit.errors import DevkitError
from devkit.signals import EXIT_INTERRUPTED, Terminated, terminated_by_signals

_EXIT_CANNOT_WRITE = 8


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments after ``devkit``; those of the process by default.

    Returns:
        0, or the exit code of the error's kind (see :mod:`devkit.errors`), 130 after Ctrl-C,
        143 after SIGTERM.
    """
    arguments = parser.parse(argv)
    try:
        with terminated_by_signals(), arguments.terminal:
            return int(arguments.run(arguments) or 0)
    except DevkitError as error:
        arguments.terminal.error(error)
        return error.exit_code
    except Terminated as stopped:
        arguments.terminal.message(str(stopped))
        return stopped.exit_code
    except KeyboardInterrupt:
        arguments.terminal.message("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read the output has gone: `devkit logs JOB | head`
        sys.stderr.close()
        return 0
    except OSError as error:
        arguments.terminal.error(
            DevkitError(
                f"{error.filename or 'the system'}: {error.strerror or error}",
                remedy="see that the disk is not full and that you may write there",
            )
        )
        return _EXIT_CANNOT_WRITE


if __name__ == "__main__":
    sys.exit(main())
