"""boto3's waiters and paginators, which know the states and pages of the API by heart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import WaiterError

from tests.integration.kit import Project, log
from tests.sdk.kit import ANSWER, IMAGE, ROLE, make_iris

SOON = {"Delay": 1, "MaxAttempts": 60}
"""For waiters, which else look again after 30 s or 2 min."""


class Clients:
    """boto3's clients of the local AWS, by service."""

    def __init__(self, url: str) -> None:
        self._session = boto3.Session("test", "test", region_name="us-east-1")
        self._url = url
        self._made: list[Any] = []

    def __getattr__(self, service: str) -> Any:
        client = self._session.client(service.replace("_", "-"), endpoint_url=self._url)
        self._made.append(client)
        return client

    def close(self) -> None:
        """Close their connections."""
        for client in self._made:
            client.close()


@pytest.fixture
def iris(process_project: Project) -> Project:
    """This repository's project, with processes."""
    return make_iris(process_project)


@pytest.fixture
def clients(iris: Project) -> Iterator[Clients]:
    """Clients of the project's local AWS, with the data in S3."""
    endpoint = iris.devkit("up", "--detach", "--port", "0", "--json").succeeded().document
    clients = Clients(endpoint["url"])
    clients.s3.create_bucket(Bucket="iris")
    clients.s3.upload_file(
        str(iris.root / "examples" / "iris" / "data" / "iris.csv"), "iris", "data/iris.csv"
    )
    yield clients
    clients.close()
    iris.devkit("down").succeeded()


def train(clients: Clients, name: str, **hyperparameters: str) -> None:
    clients.sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        InputDataConfig=[
            {
                "ChannelName": "training",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://iris/data/"}
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": "s3://iris/models"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
        HyperParameters=hyperparameters,
    )


def deploy(clients: Clients, name: str) -> None:
    sagemaker = clients.sagemaker
    model = f"s3://iris/models/{name}/output/model.tar.gz"
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": model},
        ExecutionRoleArn=ROLE,
    )
    variant = {"VariantName": "A", "ModelName": name, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[{**variant, "InitialInstanceCount": 1}]
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


def test_waiters_see_a_job_end_and_an_endpoint_come_and_go(clients: Clients) -> None:
    sagemaker = clients.sagemaker

    train(clients, "first")
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName="first", WaiterConfig=SOON
    )
    deploy(clients, "first")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="first", WaiterConfig=SOON)

    answer = clients.sagemaker_runtime.invoke_endpoint(
        EndpointName="first",
        ContentType="application/json",
        Body='{"petal_length": 0.4, "petal_width": 1.4}',
    )["Body"]
    assert answer.read().decode().strip() == ANSWER
    sagemaker.delete_endpoint(EndpointName="first")
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName="first", WaiterConfig=SOON)
    clients.s3.get_waiter("object_exists").wait(
        Bucket="iris", Key="models/first/output/model.tar.gz", WaiterConfig=SOON
    )


def test_a_waiter_gives_a_failed_job_up(clients: Clients) -> None:
    train(clients, "fails", eta="fast")

    with pytest.raises(WaiterError, match="terminal failure state") as error:
        clients.sagemaker.get_waiter("training_job_completed_or_stopped").wait(
            TrainingJobName="fails", WaiterConfig=SOON
        )
    assert "eta" in error.value.last_response["FailureReason"]


def test_paginators_see_everything_once(clients: Clients, iris: Project) -> None:
    names = [f"job-{number}" for number in range(3)]
    waiter = clients.sagemaker.get_waiter("training_job_completed_or_stopped")
    for name in names:
        train(clients, name, n_iter="100")
        waiter.wait(TrainingJobName=name, WaiterConfig=SOON)

    def pages(service: Any, operation: str, key: str, size: int, **parameters: Any) -> list[Any]:
        found = service.get_paginator(operation).paginate(
            PaginationConfig={"PageSize": size}, **parameters
        )
        return [each for page in found for each in page[key]]

    jobs = pages(clients.sagemaker, "list_training_jobs", "TrainingJobSummaries", 2)
    assert [each["TrainingJobName"] for each in jobs] == names
    streams = pages(
        clients.logs, "describe_log_streams", "logStreams", 2,
        logGroupName="/aws/sagemaker/TrainingJobs",
    )  # fmt: skip
    assert [each["logStreamName"].partition("/")[0] for each in streams] == names
    events = pages(
        clients.logs, "filter_log_events", "events", 5,
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNames=[streams[1]["logStreamName"]],
    )  # fmt: skip
    assert [each["message"] for each in events] == log(iris.job("job-1"))
    objects = pages(clients.s3, "list_objects_v2", "Contents", 2, Bucket="iris", Prefix="models/")
    assert len(objects) == len({each["Key"] for each in objects}) == 2 * len(names)
