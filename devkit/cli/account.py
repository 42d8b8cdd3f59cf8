"""What of a project is in an account of AWS: listed and deleted, by its ledger."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from devkit.errors import DevkitError

if TYPE_CHECKING:
    from devkit.project import Project
    from devkit.targets.ledger import Resource

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def show(arguments: argparse.Namespace, project: Project) -> None:
    """Tell what there is."""
    from devkit.targets.choose import ledger_of

    resources = ledger_of(project.settings.root).resources(project.settings.target)
    document = {"resources": [_document(each) for each in resources]}
    lines = [_line(each) for each in resources] or ["nothing"]
    arguments.terminal.result(document, "\n".join(lines))


def delete(arguments: argparse.Namespace, project: Project) -> None:
    """Delete all that there is.

    Raises:
        DevkitError: Something is left.
    """
    from devkit.targets.choose import ledger_of
    from devkit.targets.teardown import Teardown

    ledger = ledger_of(project.settings.root)
    resources = ledger.resources(project.settings.target)
    if not resources:
        arguments.terminal.result({"deleted": [], "left": []}, "nothing to delete")
        return
    target = project.cloud
    here = [each for each in resources if _is_here(each, project)]
    for each in resources:
        if each not in here:
            arguments.terminal.note(
                f"{each.kind} {each.name} is in account {each.account}, {each.region}: not here"
            )
    teardown = Teardown(target.clients, ledger, poll_s=target.poll_s)
    left = teardown.delete(here)
    gone = [each for each in here if each not in {one.resource for one in left}]
    document = {
        "deleted": [_document(each) for each in gone],
        "left": [{**_document(each.resource), "why": each.why} for each in left],
    }
    arguments.terminal.result(document, "\n".join(f"deleted {e.kind} {e.name}" for e in gone))
    if left:
        raise DevkitError(
            "\n".join(f"{e.resource.kind} {e.resource.name} is left: {e.why}" for e in left),
            remedy="try again in a while: devkit down --target " + project.settings.target,
        )


def _is_here(resource: Resource, project: Project) -> bool:
    clients = project.cloud.clients
    return (resource.account, resource.region) == (clients.account, clients.region)


def _document(resource: Resource) -> dict[str, object]:
    return {
        "kind": resource.kind,
        "name": resource.name,
        "account": resource.account,
        "region": resource.region,
        "made": resource.made,
        "until": resource.until,
        "instance_type": resource.instance_type,
        "instances": resource.instances,
    }


def _line(resource: Resource) -> str:
    runs = f" on {resource.instances} x {resource.instance_type}" if resource.instance_type else ""
    until = f", to be deleted {resource.until}" if resource.until else ""
    age = _age(resource.age_s)
    return f"{resource.kind:16}{resource.name}{runs}, for {age}, {resource.region}{until}"


def _age(seconds: float) -> str:
    for unit_s, name in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.1f} {name}"
    return f"{seconds:.0f} s"
