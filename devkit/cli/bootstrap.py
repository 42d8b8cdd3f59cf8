"""devkit bootstrap: make what the project needs in an AWS account: bucket, repository, role.

Shows what is missing and asks first. What is there is left alone; a second time there is nothing to
do. With --terraform it calls nobody, and writes the same as Terraform files.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.cli import options

if TYPE_CHECKING:
    from devkit.cli.confirm import Account
    from devkit.cli.terminal import Terminal
    from devkit.config import Settings
    from devkit.targets.aws import AwsClients
    from devkit.targets.bootstrap import Finding
    from devkit.targets.plan import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be made")
    parser.add_argument(
        "--terraform",
        metavar="DIR",
        type=Path,
        help="write main.tf, variables.tf and outputs.tf there instead; calls nobody",
    )


def run(arguments: argparse.Namespace) -> None:
    """Bootstrap."""
    settings = options.project(arguments).settings
    terminal = arguments.terminal
    if arguments.terraform is not None:
        _write_terraform(settings, arguments.terraform, terminal, dry_run=arguments.dry_run)
        return
    from devkit.targets.aws import aws_clients
    from devkit.targets.bootstrap import look, plan_of
    from devkit.targets.names import names_of

    clients = aws_clients(settings.aws)
    names = names_of(settings, account=clients.account, region=clients.region)
    account = _account(clients, names.role_arn)
    findings = look(clients, names, settings)
    plan = plan_of(findings)
    _tell(findings, terminal)
    if plan and not arguments.dry_run:
        _carry_out(plan, clients, account, terminal, yes=arguments.yes)
    _answer(account, findings, plan, terminal, dry_run=arguments.dry_run)


def _account(clients: AwsClients, role: str) -> Account:
    from devkit.cli.confirm import Account

    return Account(
        account=clients.account, region=clients.region, identity=clients.identity, role=role
    )


def _tell(findings: tuple[Finding, ...], terminal: Terminal) -> None:
    for finding in findings:
        terminal.note(f"{finding.resource.kind} {finding.resource.name}: {finding.state}")
        if finding.warning:
            terminal.message(finding.warning)


def _carry_out(
    plan: Plan, clients: AwsClients, account: Account, terminal: Terminal, *, yes: bool
) -> None:
    from devkit.cli.confirm import confirm
    from devkit.progress import step
    from devkit.targets.plan import execute

    confirm(terminal, account, plan, yes=yes)
    with step(terminal, "bootstrap") as making:
        execute(plan, clients, before=lambda each: terminal.build_line(each.says))
        making.detail = f"{len(plan.steps)} steps in account {account.account}"


def _answer(
    account: Account,
    findings: tuple[Finding, ...],
    plan: Plan,
    terminal: Terminal,
    *,
    dry_run: bool,
) -> None:
    from devkit.cli.confirm import overview

    document = {
        **account.document(),
        "found": [each.document() for each in findings],
        **plan.document(),
        "done": bool(plan) and not dry_run,
    }
    if not plan:
        text = "nothing to do: all is there"
    elif dry_run:
        text = "\n".join(overview(account, plan))
    else:
        text = "\n".join(f"{each.kind} {each.name}" for each in plan.creates) or "put right"
    terminal.result(document, text)


def _write_terraform(
    settings: Settings, folder: Path, terminal: Terminal, *, dry_run: bool
) -> None:
    from devkit.targets import terraform

    files = terraform.files(settings)
    if not dry_run:
        terraform.write(files, folder)
    paths = [str(folder / name) for name in files]
    terminal.result({"files": paths, "written": not dry_run}, "\n".join(paths))
