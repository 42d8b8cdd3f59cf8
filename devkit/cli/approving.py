"""What is shown, and asked, before anything is made in an account of AWS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from devkit.cli.confirm import require_consent
from devkit.errors import DryRun
from devkit.targets.plan import Plan, lines

if TYPE_CHECKING:
    from devkit.cli.terminal import Terminal
    from devkit.targets.sagemaker import SageMakerTarget


class Approval:
    """Shows a plan, and asks; called with the plan and the target that is to carry it out.

    Args:
        terminal: Where it is shown.
        yes: Whether it need not be asked.
        dry_run: Whether it is only shown.
    """

    def __init__(self, terminal: Terminal, *, yes: bool, dry_run: bool) -> None:
        self._terminal = terminal
        self._yes = yes
        self._dry_run = dry_run
        self._given = False

    def __call__(self, plan: Plan, target: SageMakerTarget) -> None:
        """Show a plan, and have it approved.

        Raises:
            DryRun: It was only to be shown.
            Declined: Nobody says yes.
        """
        if self._dry_run:
            where = _where(target)
            text = "\n".join([*_lines(where), *lines(plan)])
            self._terminal.result({**where, **plan.document()}, text)
            raise DryRun
        if self._given or not target.is_paid:
            return
        for line in (*_lines(_where(target)), *lines(plan), *target.costs(plan)):
            self._terminal.message(line)
        if not self._yes:
            require_consent("make them?")
        self._given = True


def _where(target: SageMakerTarget) -> dict[str, Any]:
    clients = target.clients
    return {
        "target": target.name,
        "account": clients.account,
        "region": clients.region,
        "role": target.cloud.role_arn,
    }


def _lines(where: dict[str, Any]) -> Sequence[str]:
    return [f"{name:8}{value}" for name, value in where.items()]
