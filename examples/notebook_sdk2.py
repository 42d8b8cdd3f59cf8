"""Train, deploy and ask the iris model as in a notebook, with the SageMaker Python SDK, version 2.

``TARGET`` says where. On this machine, without an account::

    devkit build
    DEVKIT_TARGET=aws devkit exec -- python examples/notebook_sdk2.py
    DEVKIT_TARGET=sagemaker-local devkit exec -- python examples/notebook_sdk2.py
    DEVKIT_TARGET=local python examples/notebook_sdk2.py

Without ``devkit exec`` the target ``aws`` is your account; the image has to be in its ECR then.
"""

import json
import os
from pathlib import Path

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
    import sagemaker
    from sagemaker.deserializers import JSONDeserializer
    from sagemaker.estimator import Estimator
    from sagemaker.inputs import TrainingInput
    from sagemaker.local import LocalSession
    from sagemaker.serializers import JSONSerializer

    if TARGET == "sagemaker-local":
        session = LocalSession()
        instance_type = "local"
        image = "iris:dev"
    else:
        session = sagemaker.Session()
        instance_type = "ml.m5.large"
        account = boto3.client("sts").get_caller_identity()["Account"]
        image = f"{account}.dkr.ecr.{session.boto_region_name}.amazonaws.com/iris:dev"

    bucket = session.default_bucket()
    data = session.upload_data(str(DATA), bucket=bucket, key_prefix="iris/data")

    estimator = Estimator(
        image_uri=image,
        role=sagemaker.get_execution_role(session),
        instance_count=1,
        instance_type=instance_type,
        output_path=f"s3://{bucket}/iris/models",
        hyperparameters=HYPERPARAMETERS,
        metric_definitions=[{"Name": "log_loss", "Regex": r"log_loss=(\S+)"}],
        sagemaker_session=session,
    )
    estimator.fit({"training": TrainingInput(data, content_type="text/csv")})
    print("model:", estimator.model_data)

    predictor = estimator.deploy(
        initial_instance_count=1,
        instance_type=instance_type,
        serializer=JSONSerializer(),
        deserializer=JSONDeserializer(),
    )
    try:
        answer = predictor.predict(FLOWER)
    finally:
        predictor.delete_model()
        predictor.delete_endpoint()

print(json.dumps(answer))
