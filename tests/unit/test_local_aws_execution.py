"""A command is run to its end, and its exit code told as shells tell it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from devkit.errors import ConfigError
from devkit.local_aws.execution import run

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def python(script: str, *arguments: str) -> int:
    return run([sys.executable, "-c", script, *arguments], ENVIRONMENT)


def test_the_exit_code_is_the_commands() -> None:
    assert python("raise SystemExit(3)") == 3


def test_a_signal_is_told_as_shells_tell_it() -> None:
    assert python("import os; os.kill(os.getpid(), 9)") == 137


def test_the_environment_is_all_it_has(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = "import os, sys; open(sys.argv[1], 'w').write(str(os.environ.get('HOME')))"

    assert python(script, str(out)) == 0

    assert out.read_text() == "None"


def test_what_it_writes_can_be_kept_from_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    code = run([sys.executable, "-c", "print('said')"], ENVIRONMENT, output_to_stderr=True)

    shown = capfd.readouterr()
    assert (code, shown.out, shown.err) == (0, "", "said\n")


def test_a_command_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match="cannot run no-such-command: No such file"):
        run(["no-such-command"], ENVIRONMENT)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_passed_on_and_the_command_waited_for(tmp_path: Path, signum: int) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    script = (
        "import signal, sys\n"
        "for each in (signal.SIGTERM, signal.SIGHUP):\n"
        "    signal.signal(each, lambda signum, _: sys.exit(40 + signum))\n"
        "open(sys.argv[1], 'w').close()\n"
        "while True: signal.pause()\n"
    )

    def send() -> None:
        ready.read_text()
        os.kill(os.getpid(), signum)

    sender = threading.Thread(target=send)
    sender.start()
    before = signal.getsignal(signum)

    assert python(script, str(ready)) == 40 + signum

    sender.join()
    assert signal.getsignal(signum) is before
