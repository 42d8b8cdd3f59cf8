"""What is shown before something is done in an account."""

from __future__ import annotations

import io

from devkit.cli.confirm import Account, confirm, overview
from devkit.cli.terminal import Terminal, Verbosity
from devkit.targets.plan import Plan, Step

ACCOUNT = Account(
    account="123456789012",
    region="us-east-1",
    identity="arn:aws:iam::123456789012:user/ann",
    role="arn:aws:iam::123456789012:role/devkit-iris",
)
PLAN = Plan((Step(service="sagemaker", operation="CreateEndpoint", says="deploy iris"),))
COST = "endpoint iris (ml.m5.xlarge) costs about $0.23 an hour until it is deleted"


def test_where_as_whom_what_and_for_how_much() -> None:
    assert overview(ACCOUNT, PLAN, [COST]) == [
        "account   123456789012",
        "region    us-east-1",
        "identity  arn:aws:iam::123456789012:user/ann",
        "role      arn:aws:iam::123456789012:role/devkit-iris",
        "  1. deploy iris  sagemaker CreateEndpoint",
        COST,
    ]


def test_with_yes_it_is_shown_and_nobody_is_asked() -> None:
    err = io.StringIO()
    confirm(Terminal(io.StringIO(), err), ACCOUNT, PLAN, costs=[COST], yes=True)
    assert COST in err.getvalue()
    assert "[y/N]" not in err.getvalue()


def test_with_yes_and_quietly_nothing_is_said() -> None:
    err = io.StringIO()
    terminal = Terminal(io.StringIO(), err, verbosity=Verbosity.QUIET)
    confirm(terminal, ACCOUNT, PLAN, yes=True)
    assert err.getvalue() == ""
