"""What a command is about to do in an account, and whether it may."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devkit.errors import ConfigError

if TYPE_CHECKING:
    from devkit.cli.terminal import Terminal
    from devkit.targets.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Account:
    """Where something is done, and as whom."""

    account: str
    region: str
    identity: str
    """Whose credentials are used."""
    role: str
    """What SageMaker will run as."""

    def document(self) -> dict[str, str]:
        """It for machines."""
        return {
            "account": self.account,
            "region": self.region,
            "identity": self.identity,
            "role": self.role,
        }


def overview(account: Account, plan: Plan, costs: Sequence[str] = ()) -> list[str]:
    """What will be done, for people: where, as whom, each step, and what it will cost."""
    from devkit.targets.plan import lines

    return [
        f"account   {account.account}",
        f"region    {account.region}",
        f"identity  {account.identity}",
        f"role      {account.role}",
        *(f"  {line}" for line in lines(plan)),
        *costs,
    ]


def confirm(
    terminal: Terminal, account: Account, plan: Plan, *, costs: Sequence[str] = (), yes: bool
) -> None:
    """Show what will be done, and ask; with ``yes`` nobody is asked.

    Raises:
        ConfigError: Nobody is here to ask.
        KeyboardInterrupt: The answer was no.
    """
    for line in overview(account, plan, costs):
        if yes:
            terminal.note(line)
        else:
            terminal.message(line)
    if not yes:
        ask(
            f"do this in account {account.account}?",
            remedy="--yes does it without asking; --dry-run only shows it",
        )


def ask(question: str, *, remedy: str) -> None:
    """Ask on the terminal; anything but yes is no.

    Raises:
        ConfigError: Nobody is here to ask.
        KeyboardInterrupt: The answer was no.
    """
    if not sys.stdin.isatty():
        raise ConfigError("nobody is here to ask", remedy=remedy)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise KeyboardInterrupt
