"""What will be done in an account, as data: a list of frozen steps.

One function carries a plan out (:func:`execute`), others only show it (:func:`lines`,
:meth:`Plan.document`): a dry run is the same plan, not called.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from devkit.channels.locations import S3Uri
from devkit.targets.clients import CallFailed, Clients
from devkit.targets.instance_types import Use

ROLE_PATIENCE_S = 60.0
"""How long a role that IAM has made may be unknown to other services."""
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 8.0
# What services say of a role that they do not know yet, or whose trust has not reached them.
_NOT_YET = (
    "could not assume role",
    "cannot be assumed",
    "unable to assume",
    "is not authorized to perform: sts:assumerole",
    "please ensure that the role exists",
)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Something that a step makes, and that somebody may want to delete."""

    kind: str
    """A word for people: ``role``, ``bucket``, ``repository``, ``endpoint`` …"""
    name: str
    arn: str
    hourly_cost_of: str | None = None
    """The instance type that is paid for by the hour, for as long as it is there."""
    instances: int = 1
    """How many of them."""
    use: Use = "hosting"
    """What the instances are for; prices differ."""

    def document(self) -> dict[str, Any]:
        """It for machines."""
        document: dict[str, Any] = {"kind": self.kind, "name": self.name, "arn": self.arn}
        if self.hourly_cost_of is not None:
            document["hourly_cost_of"] = self.hourly_cost_of
            document |= {"instances": self.instances, "use": self.use}
        return document


@dataclass(frozen=True, kw_only=True)
class Step:
    """One call of an operation."""

    service: str
    """By botocore's name."""
    operation: str
    """By AWS's name."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    creates: Resource | None = None
    says: str
    """What it does, for people: ``create the bucket …``."""

    def carry_out(self, clients: Clients) -> Mapping[str, Any]:
        """Call it.

        Raises:
            CallFailed: The answer is an error.
        """
        return clients.call(self.service, self.operation, self.parameters)

    def document(self) -> dict[str, Any]:
        """It for machines."""
        return {
            "service": self.service,
            "operation": self.operation,
            "parameters": dict(self.parameters),
            "creates": self.creates and self.creates.document(),
            "says": self.says,
        }


@dataclass(frozen=True, kw_only=True)
class Upload(Step):
    """The upload of a file; a step whose parameters are too large to be written down."""

    service: str = "s3"
    operation: str = "PutObject"
    source: Path
    place: S3Uri

    def carry_out(self, clients: Clients) -> Mapping[str, Any]:
        """Upload it.

        Raises:
            CallFailed: S3 does not take it.
        """
        clients.upload(self.source, self.place)
        return {}

    def document(self) -> dict[str, Any]:
        """It for machines."""
        return {
            **super().document(),
            "parameters": {"Bucket": self.place.bucket, "Key": self.place.prefix},
            "source": str(self.source),
        }


@dataclass(frozen=True)
class Plan:
    """Steps, in their order."""

    steps: tuple[Step, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.steps)

    def __add__(self, other: Plan) -> Plan:
        """One after the other."""
        return Plan(self.steps + other.steps)

    @property
    def creates(self) -> tuple[Resource, ...]:
        """All that it makes."""
        return tuple(step.creates for step in self.steps if step.creates is not None)

    def document(self) -> dict[str, Any]:
        """It for machines; what JSON does not know stands as text."""
        return {"steps": [step.document() for step in self.steps]}


OnStep = Callable[[Step], None]
OnAnswer = Callable[[Step, Mapping[str, Any]], None]


def execute(
    plan: Plan,
    clients: Clients,
    *,
    before: OnStep = lambda _step: None,
    after: OnAnswer = lambda _step, _answer: None,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Carry a plan out, step by step; the first error ends it.

    Args:
        plan: What to do.
        clients: Whom to ask.
        before: Is told of each step before its call: what it makes may be there from then on.
        after: Is told of each step that went well, and the answer.
        pause: Waits some seconds, for a role that is not known everywhere yet.

    Raises:
        CallFailed: The answer to a step is an error.
    """
    for step in plan.steps:
        before(step)
        after(step, until_the_role_is_known(partial(step.carry_out, clients), pause))


def until_the_role_is_known(
    call: Callable[[], Mapping[str, Any]],
    pause: Callable[[float], None] = time.sleep,
    *,
    patience_s: float = ROLE_PATIENCE_S,
) -> Mapping[str, Any]:
    """Call again for a while where a service cannot assume a role.

    IAM is eventually consistent: a role that was made a moment ago is not known everywhere.

    Args:
        call: What to call.
        pause: Waits some seconds.
        patience_s: How many in all.

    Raises:
        CallFailed: It fails for another reason, or still does.
    """
    for seconds in _pauses(patience_s):
        try:
            return call()
        except CallFailed as error:
            if not role_is_unknown(error):
                raise
        pause(seconds)
    return call()


def role_is_unknown(error: CallFailed) -> bool:
    """Whether a service could not assume a role; it may be one that IAM has just made."""
    return any(text in error.reason.lower() for text in _NOT_YET)


def lines(plan: Plan) -> list[str]:
    """A plan for people: a line a step."""
    width = max((len(step.says) for step in plan.steps), default=0)
    return [
        f"{number}. {step.says:<{width}}  {step.service} {step.operation}"
        for number, step in enumerate(plan.steps, 1)
    ]


def _pauses(patience_s: float) -> Iterator[float]:
    pause = _FIRST_PAUSE_S
    while patience_s > 0:
        yield min(pause, patience_s)
        patience_s -= pause
        pause = min(2 * pause, _LONGEST_PAUSE_S)
