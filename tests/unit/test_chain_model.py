"""[endpoint]: which model is deployed, and what becomes of an endpoint that is there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devkit.contract import name_problems
from devkit.errors import DevkitError
from devkit.local_aws.chain.model import MADE_HERE, Model, deploy, wait
from devkit.local_aws.errors import AwsError


class SageMaker:
    """Models, configurations and endpoints, by name."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Mapping[str, Any]]] = {
            "Model": {},
            "EndpointConfig": {},
            "Endpoint": {},
        }
        self.asked: list[str] = []
        self.uploaded: list[tuple[Path, str, str]] = []
        self.statuses: list[str] = []
        """Of the endpoint, one after the other."""
        self.reason: str | None = None

    def __call__(
        self, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        assert service == "sagemaker"
        verb = next(v for v in ("Create", "Describe", "Delete", "Update") if v in operation)
        kind = operation.removeprefix(verb)
        name = parameters[f"{kind}Name"]
        there = self.made[kind]
        if verb in ("Describe", "Delete", "Update") and name not in there:
            raise AwsError("ValidationException", f"Could not find {kind}")
        if verb == "Create" and name in there:
            raise AwsError("ValidationException", f"Cannot create already existing {kind}")
        if verb != "Describe":
            self.asked.append(operation)
        if verb in ("Create", "Update"):
            there[name] = parameters
        elif verb == "Delete":
            del there[name]
        elif kind == "Endpoint":
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            reason = {} if self.reason is None else {"FailureReason": self.reason}
            return {**there[name], "EndpointStatus": status, **reason}
        return there.get(name, {})

    def upload(self, archive: Path, bucket: str, key: str) -> None:
        self.uploaded.append((archive, bucket, key))


@pytest.fixture
def model(tmp_path: Path) -> Model:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(b"model")
    return Model(job="iris-1", archive=archive, image="iris:dev", environment={"A": "b"})


@pytest.fixture
def aws() -> SageMaker:
    aws = SageMaker()
    aws.statuses = ["InService"]
    return aws


def test_a_model_is_uploaded_described_and_deployed(aws: SageMaker, model: Model) -> None:
    assert deploy("iris", model, call=aws, upload=aws.upload)
    name = model.config_name
    ((archive, bucket, key),) = aws.uploaded
    assert (archive, key) == (model.archive, f"devkit/{name}/model.tar.gz")
    container = aws.made["Model"][name]["PrimaryContainer"]
    assert container == {
        "Image": "iris:dev",
        "ModelDataUrl": f"s3://{bucket}/{key}",
        "Environment": {"A": "b"},
    }
    (variant,) = aws.made["EndpointConfig"][name]["ProductionVariants"]
    assert (variant["ModelName"], variant["InstanceType"]) == (name, "ml.m5.large")
    assert aws.made["Endpoint"]["iris"]["EndpointConfigName"] == name
    assert aws.asked[-1] == "CreateEndpoint"


def test_the_same_model_is_not_deployed_twice(aws: SageMaker, model: Model) -> None:
    deploy("iris", model, call=aws, upload=aws.upload)
    aws.asked.clear()
    assert deploy("iris", model, call=aws, upload=aws.upload)
    assert (aws.asked, len(aws.uploaded)) == ([], 1)


def test_another_model_updates_the_endpoint(aws: SageMaker, model: Model) -> None:
    deploy("iris", model, call=aws, upload=aws.upload)
    newer = replace(model, job="iris-2")
    assert deploy("iris", newer, call=aws, upload=aws.upload)
    assert aws.asked[-1] == "UpdateEndpoint"
    assert aws.made["Endpoint"]["iris"]["EndpointConfigName"] == newer.config_name


def test_what_is_half_made_is_made_anew(aws: SageMaker, model: Model) -> None:
    name = model.config_name
    aws.made["Model"][name] = aws.made["EndpointConfig"][name] = {"old": True}
    deploy("iris", model, call=aws, upload=aws.upload)
    assert "old" not in aws.made["Model"][name]
    assert "old" not in aws.made["EndpointConfig"][name]


@pytest.mark.parametrize("status", ["InService", "Failed"])
def test_an_endpoint_of_somebody_elses_is_left(aws: SageMaker, model: Model, status: str) -> None:
    aws.made["Endpoint"]["iris"] = {"EndpointConfigName": "mine"}
    aws.statuses = [status]
    assert not deploy("iris", model, call=aws, upload=aws.upload)
    assert (aws.asked, aws.uploaded) == ([], [])


def test_one_that_has_failed_is_deleted_and_made_anew(aws: SageMaker, model: Model) -> None:
    aws.made["Endpoint"]["iris"] = {"EndpointConfigName": f"{MADE_HERE}older"}
    aws.statuses = ["Failed", "Deleting"]
    assert deploy("iris", model, call=aws, upload=aws.upload)
    assert aws.asked[0] == "DeleteEndpoint"
    assert aws.asked[-1] == "CreateEndpoint"


def test_every_difference_has_a_name_of_its_own(model: Model) -> None:
    others = [
        replace(model, job="iris-2"),
        replace(model, image="iris:2"),
        replace(model, environment={}),
        replace(model, job=f"{'long-' * 12}1"),
        replace(model, job=f"{'long-' * 12}2"),
    ]
    names = {each.config_name for each in (model, *others)}
    assert len(names) == len(others) + 1
    for name in names:
        assert name.startswith(MADE_HERE)
        assert name_problems("endpoint", name) == []
    os.utime(model.archive, ns=(1, 1))  # the name of a job can be taken again
    assert model.config_name not in names


# --- waiting --------------------------------------------------------------------------------------


def test_it_is_waited_for_until_it_is_in_service(aws: SageMaker) -> None:
    aws.made["Endpoint"]["iris"] = {"EndpointConfigName": "c"}
    aws.statuses = ["Creating", "Creating", "InService"]
    wait("iris", aws, lambda: False)
    assert aws.statuses == ["InService"]


def test_an_endpoint_that_fails_is_told_with_its_reason(aws: SageMaker) -> None:
    aws.made["Endpoint"]["iris"] = {"EndpointConfigName": "c"}
    aws.statuses, aws.reason = ["Creating", "Failed"], "no ping"
    with pytest.raises(DevkitError, match="the endpoint iris is Failed: no ping"):
        wait("iris", aws, lambda: False)


def test_an_update_that_went_back_is_told(aws: SageMaker) -> None:
    aws.made["Endpoint"]["iris"] = {"EndpointConfigName": "c"}
    aws.statuses, aws.reason = ["Updating", "InService"], "no ping"
    with pytest.raises(DevkitError, match="the endpoint iris serves an older model: no ping"):
        wait("iris", aws, lambda: False)


def test_one_that_is_deleted_meanwhile_is_waited_for_no_more(aws: SageMaker) -> None:
    with pytest.raises(DevkitError, match="the endpoint iris is deleted"):
        wait("iris", aws, lambda: False)


def test_nobody_waits_at_the_end_of_devkit(aws: SageMaker) -> None:
    aws.made["Endpoint"]["iris"] = {"EndpointConfigName": "c"}
    aws.statuses = ["Creating"]
    wait("iris", aws, lambda: True)
