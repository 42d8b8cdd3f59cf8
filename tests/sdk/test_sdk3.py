"""Version 3 of the SageMaker Python SDK: ``ModelTrainer``, and its classes for resources."""

from __future__ import annotations

import sys

import pytest

from devkit.engines.sandbox.plan import CONTAINER_IP
from tests.integration.kit import Project, log, model, outcome
from tests.sdk.kit import ANSWER, Contacts, make_iris, require_sdk, run

SCRIPTS = ["examples/sdk3_cloud.py", "examples/notebook_sdk3.py"]
LOCAL = {"127.0.0.1", "localhost", CONTAINER_IP}

FAILS = """
from sagemaker.core.utils.exceptions import FailedStatusError
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData

trainer = ModelTrainer(
    training_image="123456789012.dkr.ecr.us-east-1.amazonaws.com/iris:dev",
    compute=Compute(instance_type="ml.m5.large", instance_count=1),
    hyperparameters={"eta": "fast"},
)
try:
    trainer.train([InputData(channel_name="training", data_source="examples/iris/data")])
except FailedStatusError as error:
    print("failed because:", error)
"""

REFUSED = """
import json
import boto3
from sagemaker.core.helper.iam_role_resolver import RoleValidationError
from sagemaker.train import ModelTrainer

trusts = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"},
                         "Action": "sts:AssumeRole"}]}
role = boto3.client("iam").create_role(
    RoleName="may-nothing", AssumeRolePolicyDocument=json.dumps(trusts))["Role"]["Arn"]
try:
    ModelTrainer(training_image="123456789012.dkr.ecr.us-east-1.amazonaws.com/iris:dev", role=role)
except RoleValidationError as error:
    print("refused:", error)
"""


@pytest.fixture(autouse=True, scope="module")
def _sdk() -> None:
    require_sdk(3)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_documented_flow_trains_deploys_and_answers(
    iris: Project, contacts: Contacts, script: str
) -> None:
    done = run(iris, "python", script)

    # The SDK marks its waiting, without a newline.
    assert [line for line in done.out.splitlines() if line.endswith(ANSWER)]
    job = iris.job()
    assert outcome(job)["status"] == "Completed"
    assert model(job)
    lines, logged = log(job), done.err.splitlines()
    assert any("log_loss=" in line for line in lines)
    assert [line for line in lines if line not in logged] == []
    assert f"s3://sagemaker-us-east-1-123456789012/iris/models/{job.name}/" in done.out
    assert contacts.of(script) == {"127.0.0.1"}
    assert contacts.hosts <= LOCAL


def test_a_job_that_fails_is_told_with_its_reason(process_project: Project) -> None:
    iris = make_iris(process_project)

    done = run(iris, sys.executable, "-c", FAILS)

    reason = done.out.partition("failed because:")[2]
    assert "AlgorithmError" in reason
    assert "eta" in reason


def test_a_role_that_may_nothing_is_refused_before_anything_runs(process_project: Project) -> None:
    process_project.configure("")

    done = run(process_project, sys.executable, "-c", REFUSED)

    assert (
        "refused: IAM role 'arn:aws:iam::123456789012:role/may-nothing' cannot be used" in done.out
    )
    assert "Missing permissions" in done.out
