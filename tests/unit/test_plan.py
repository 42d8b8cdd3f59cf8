"""A plan is data: it can be shown, and it can be carried out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from devkit.channels.locations import S3Uri
from devkit.targets.clients import CallFailed, Clients
from devkit.targets.plan import (
    ROLE_PATIENCE_S,
    Plan,
    Resource,
    Step,
    Upload,
    execute,
    lines,
    until_the_role_is_known,
)
from tests.unit.clients_fakes import FakeClients, refusal

BUCKET = Resource(kind="bucket", name="b", arn="arn:aws:s3:::b")
ENDPOINT = Resource(
    kind="endpoint",
    name="e",
    arn="arn:aws:sagemaker:us-east-1:123456789012:endpoint/e",
    hourly_cost_of="ml.m5.xlarge",
)
PLAN = Plan(
    (
        Step(
            service="s3",
            operation="CreateBucket",
            parameters={"Bucket": "b"},
            creates=BUCKET,
            says="create the bucket b",
        ),
        Upload(source=Path("/x/a.csv"), place=S3Uri("b", "in/a.csv"), says="upload a.csv"),
        Step(service="sagemaker", operation="CreateEndpoint", creates=ENDPOINT, says="deploy e"),
    )
)
UNKNOWN = refusal(
    "CreateModel", "ValidationException", "Could not assume role arn:aws:iam::1:role/r."
)


def test_the_steps_are_called_in_order_and_told_of_before_and_after() -> None:
    clients: Clients = FakeClients(CreateEndpoint={"EndpointArn": ENDPOINT.arn})
    told: list[object] = []

    def after(step: Step, answer: Mapping[str, Any]) -> None:
        told.append((step.says, answer))

    execute(PLAN, clients, before=lambda step: told.append(step.says), after=after)

    assert isinstance(clients, FakeClients)
    assert clients.operations == ["CreateBucket", "CreateEndpoint"]
    assert clients.uploads == [(Path("/x/a.csv"), S3Uri("b", "in/a.csv"))]
    assert told == [
        "create the bucket b",
        ("create the bucket b", {}),
        "upload a.csv",
        ("upload a.csv", {}),
        "deploy e",
        ("deploy e", {"EndpointArn": ENDPOINT.arn}),
    ]


def test_the_first_error_ends_it() -> None:
    clients = FakeClients(CreateBucket=refusal("CreateBucket", "AccessDenied"))
    begun: list[str] = []
    with pytest.raises(CallFailed):
        execute(PLAN, clients, before=lambda step: begun.append(step.says))
    assert begun == ["create the bucket b"]


def test_a_plan_is_json() -> None:
    document = json.loads(json.dumps(PLAN.document()))
    assert document["steps"][0] == {
        "service": "s3",
        "operation": "CreateBucket",
        "parameters": {"Bucket": "b"},
        "creates": {"kind": "bucket", "name": "b", "arn": "arn:aws:s3:::b"},
        "says": "create the bucket b",
    }
    assert document["steps"][1]["parameters"] == {"Bucket": "b", "Key": "in/a.csv"}
    assert document["steps"][1]["source"] == "/x/a.csv"
    assert document["steps"][2]["creates"]["hourly_cost_of"] == "ml.m5.xlarge"


def test_a_plan_is_a_line_a_step_for_people() -> None:
    assert lines(PLAN) == [
        "1. create the bucket b  s3 CreateBucket",
        "2. upload a.csv         s3 PutObject",
        "3. deploy e             sagemaker CreateEndpoint",
    ]
    assert lines(Plan()) == []


def test_plans_are_added_and_know_what_they_make() -> None:
    assert not Plan()
    both = Plan(PLAN.steps[:1]) + Plan(PLAN.steps[1:])
    assert both == PLAN
    assert both.creates == (BUCKET, ENDPOINT)


def test_a_role_that_is_not_known_yet_is_waited_for() -> None:
    clients = FakeClients(CreateEndpoint=[UNKNOWN, UNKNOWN, {}])
    waited: list[float] = []
    execute(PLAN, clients, pause=waited.append)
    assert waited == [1.0, 2.0]
    assert clients.operations.count("CreateEndpoint") == 3


def test_it_is_not_waited_for_for_ever() -> None:
    waited: list[float] = []

    def call() -> Mapping[str, Any]:
        raise UNKNOWN

    with pytest.raises(CallFailed, match="Could not assume role"):
        until_the_role_is_known(call, waited.append)
    assert sum(waited) == ROLE_PATIENCE_S


def test_nothing_else_is_tried_again() -> None:
    clients = FakeClients(CreateEndpoint=refusal("CreateEndpoint", "ValidationException", "no"))
    waited: list[float] = []
    with pytest.raises(CallFailed):
        execute(PLAN, clients, pause=waited.append)
    assert waited == []
