"""Version 2 of the SageMaker Python SDK, in its cloud path, with what its documentation shows."""

from __future__ import annotations

import sys

import pytest

from devkit.engines.sandbox.plan import CONTAINER_IP
from tests.integration.kit import Project, log, model, outcome
from tests.sdk.kit import ANSWER, Contacts, make_iris, require_sdk, run

SCRIPT = "examples/notebook_sdk2.py"
LOCAL = {"127.0.0.1", "localhost", CONTAINER_IP}

FAILS = """
import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.exceptions import UnexpectedStatusException

session = sagemaker.Session()
session.default_bucket()
estimator = Estimator(
    image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/iris:dev",
    role="SageMakerExecutionRole",
    instance_count=1,
    instance_type="ml.m5.large",
    hyperparameters={"eta": "fast"},
)
data = session.upload_data("examples/iris/data", key_prefix="iris/data")
try:
    estimator.fit({"training": data})
except UnexpectedStatusException as error:
    print(error.actual_status, "because:", error)
"""

MEASURES = """
import sagemaker
from sagemaker.analytics import TrainingJobAnalytics
from sagemaker.estimator import Estimator

session = sagemaker.Session()
estimator = Estimator(
    image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/iris:dev",
    role="SageMakerExecutionRole",
    instance_count=1,
    instance_type="ml.m5.large",
    metric_definitions=[{"Name": "accuracy", "Regex": "accuracy=(\\\\S+)"}],
)
data = session.upload_data("examples/iris/data", key_prefix="iris/data")
estimator.fit({"training": data}, logs=False)
frame = TrainingJobAnalytics(estimator.latest_training_job.name).dataframe()
print("frame:", frame[["metric_name", "value"]].values.tolist())
"""


@pytest.fixture(autouse=True, scope="module")
def _sdk() -> None:
    require_sdk(2)


def printed(text: str, said: list[str]) -> bool:
    """Whether it was: the SDK's own words before it may end without a newline."""
    return any(line.endswith(text) for line in said)


def test_the_documented_flow_trains_deploys_and_answers(iris: Project, contacts: Contacts) -> None:
    done = run(iris, "python", SCRIPT)

    said = done.out.splitlines()
    assert printed(ANSWER, said)
    job = iris.job()
    assert outcome(job)["status"] == "Completed"
    assert model(job)
    lines = log(job)
    assert any("log_loss=" in line for line in lines)
    assert [line for line in lines if not printed(line, said)] == []
    assert "Completed - Training job completed" in done.out
    assert f"s3://sagemaker-us-east-1-123456789012/iris/models/{job.name}/" in done.out
    assert contacts.of(SCRIPT) == {"127.0.0.1"}
    assert contacts.hosts <= LOCAL


def test_a_job_that_fails_is_told_with_its_reason(process_project: Project) -> None:
    iris = make_iris(process_project)

    done = run(iris, sys.executable, "-c", FAILS)

    assert "Failed because:" in done.out
    assert "eta" in done.out.partition("Failed because:")[2]
    assert "AlgorithmError" in done.out


def test_the_metrics_of_a_job_are_a_data_frame(process_project: Project) -> None:
    iris = make_iris(process_project)

    done = run(iris, sys.executable, "-c", MEASURES)

    assert "frame: [['accuracy', 1.0]]" in done.out
