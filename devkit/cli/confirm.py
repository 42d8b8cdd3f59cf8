"""What a command is about to do in an account, and whether it may."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devkit.errors import Declined

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
        Declined: The answer was no, or nobody is here to ask.
    """
    for line in overview(account, plan, costs):
        if yes:
            terminal.note(line)
        else:
            terminal.message(line)
    if not yes:
        require_consent(f"do this in account {account.account}?")


def require_consent(question: str) -> None:
    """Ask whether something may be made in an account.

    Raises:
        Declined: The answer was no, or nobody is here to ask.
    """
    answer = ask(question)
    if answer is None:
        raise Declined(
            "this makes things in AWS, and nobody is here to ask",
            remedy="--yes does it without asking; --dry-run only shows it",
        )
    if not answer:
        raise Declined("nothing was made")


def ask(question: str) -> bool | None:
    """Ask on the terminal; ``None`` where nobody is there, and anything but yes is no."""
    if not sys.stdin.isatty():
        return None
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
