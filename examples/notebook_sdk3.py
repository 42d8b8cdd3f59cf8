"""Train, deploy and ask the iris model as in a notebook, with the SageMaker Python SDK, version 3.

``TARGET`` says where. On this machine, without an account::

    devkit build
    DEVKIT_TARGET=aws devkit exec -- python examples/notebook_sdk3.py
    DEVKIT_TARGET=sagemaker-local devkit exec -- python examples/notebook_sdk3.py
    DEVKIT_TARGET=local python examples/notebook_sdk3.py

Without ``devkit exec`` the target ``aws`` is your account; the image has to be in its ECR then.
"""

import json
import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory

TARGET = os.environ.get("DEVKIT_TARGET", "aws")  # or "sagemaker-local", or "local"

DATA = Path(__file__).parent / "iris" / "data"
HYPERPARAMETERS = {"eta": 0.05, "n_iter": 1000, "random_state": 1}
FLOWER = {"petal_length": 0.4, "petal_width": 1.4}

if TARGET == "local":  # devkit, and nothing of SageMaker
    from devkit import Project

    project = Project.load()
    job = project.train(hyperparameters=HYPERPARAMETERS, channels={"training": DATA})
    print("model:", job.model)
    with project.serve(model=job.model, port=0) as server:
        answer = server.invoke(FLOWER)

else:  # the SageMaker SDK, and nothing of devkit
    import boto3
    from sagemaker.core.common_utils import name_from_base
    from sagemaker.core.helper.session_helper import (
        Session,
        container_def,
        get_execution_role,
        production_variant,
    )
    from sagemaker.core.local.local_session import LocalSession
    from sagemaker.core.shapes import MetricDefinition, OutputDataConfig
    from sagemaker.train import ModelTrainer
    from sagemaker.train.configs import Compute, InputData, SourceCode
    from sagemaker.train.model_trainer import Mode

    logging.basicConfig(level=logging.INFO, format="%(message)s")  # the job's lines are logged

    if TARGET == "sagemaker-local":
        session = LocalSession()
        mode = Mode.LOCAL_CONTAINER
        source_code = SourceCode(command="train")  # which local mode does not run by itself
        instance_type = "local"
        image = "iris:dev"
    else:
        session = Session()
        mode = Mode.SAGEMAKER_TRAINING_JOB
        source_code = None
        instance_type = "ml.m5.large"
        account = boto3.client("sts").get_caller_identity()["Account"]
        image = f"{account}.dkr.ecr.{session.boto_region_name}.amazonaws.com/iris:dev"

    bucket = session.default_bucket()
    role = get_execution_role(session)
    data = session.upload_data(str(DATA), bucket=bucket, key_prefix="iris/data")
    folder = TemporaryDirectory()  # where local mode leaves the model

    trainer = ModelTrainer(
        training_image=image,
        training_mode=mode,
        source_code=source_code,
        role=role,
        base_job_name="iris",
        compute=Compute(instance_type=instance_type, instance_count=1, volume_size_in_gb=30),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/iris/models"),
        hyperparameters=HYPERPARAMETERS,
        sagemaker_session=session,
        local_container_root=folder.name,
    ).with_metric_definitions([MetricDefinition(name="log_loss", regex=r"log_loss=(\S+)")])
    trainer.train([InputData(channel_name="training", data_source=data, content_type="text/csv")])
    if TARGET == "sagemaker-local":
        model = f"file://{folder.name}/compressed_artifacts/model.tar.gz"
    else:
        model = trainer._latest_training_job.model_artifacts.s3_model_artifacts
    print("model:", model)

    name = name_from_base("iris")
    session.create_model(name, role, container_def(image, model))
    session.endpoint_from_production_variants(name, [production_variant(name, instance_type, 1)])
    try:
        reply = session.sagemaker_runtime_client.invoke_endpoint(
            EndpointName=name, ContentType="application/json", Body=json.dumps(FLOWER)
        )
        answer = json.load(reply["Body"])
    finally:
        session.delete_endpoint(name)
        session.delete_endpoint_config(name)
        session.delete_model(name)

print(json.dumps(answer))
