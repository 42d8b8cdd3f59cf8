"""Train, deploy and ask the iris model with version 3 of the SageMaker Python SDK.

It deploys by the SDK's classes for resources; notebook_sdk3.py by its session, which its local mode
has too. There is nothing of devkit in it. As it stands it trains and serves in SageMaker, once the
image has been pushed to ECR; and here, without an account::

    devkit build
    devkit exec -- python examples/sdk3_cloud.py
"""

import logging
from pathlib import Path

import boto3
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import (
    ContainerDefinition,
    MetricDefinition,
    OutputDataConfig,
    ProductionVariant,
)
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData

DATA = Path(__file__).parent / "iris" / "data"

logging.basicConfig(level=logging.INFO, format="%(message)s")  # the job's own lines are logged

session = Session()
bucket = session.default_bucket()
role = get_execution_role()
account = boto3.client("sts").get_caller_identity()["Account"]
image = f"{account}.dkr.ecr.{session.boto_region_name}.amazonaws.com/iris:dev"

trainer = ModelTrainer(
    training_image=image,
    role=role,
    base_job_name="iris",
    compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=30),
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/iris/models"),
    hyperparameters={"eta": 0.05, "n_iter": 1000, "random_state": 1},
    sagemaker_session=session,
).with_metric_definitions([MetricDefinition(name="log_loss", regex=r"log_loss=(\S+)")])
trainer.train(
    input_data_config=[
        InputData(channel_name="training", data_source=str(DATA), content_type="text/csv")
    ]
)
job = trainer._latest_training_job
model_data = job.model_artifacts.s3_model_artifacts
print("model:", model_data)

name = job.training_job_name
model = Model.create(
    model_name=name,
    primary_container=ContainerDefinition(image=image, model_data_url=model_data),
    execution_role_arn=role,
)
config = EndpointConfig.create(
    endpoint_config_name=name,
    production_variants=[
        ProductionVariant(
            variant_name="AllTraffic",
            model_name=name,
            initial_instance_count=1,
            instance_type="ml.m5.large",
        )
    ],
)
endpoint = Endpoint.create(endpoint_name=name, endpoint_config_name=name)
try:
    endpoint.wait_for_status("InService")
    answer = endpoint.invoke(
        body='{"petal_length": 0.4, "petal_width": 1.4}', content_type="application/json"
    )
    print(answer.body.read().decode())
finally:
    endpoint.delete()
    endpoint.wait_for_delete()
    config.delete()
    model.delete()
