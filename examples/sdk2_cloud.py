"""Train, deploy and ask the iris model with version 2 of the SageMaker Python SDK.

There is nothing of devkit in it. As it stands it trains and serves in SageMaker, once the image has
been pushed to ECR; and here, without an account::

    devkit build
    devkit exec -- python examples/sdk2_cloud.py
"""

from pathlib import Path

import boto3
import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput

DATA = Path(__file__).parent / "iris" / "data"

session = sagemaker.Session()
bucket = session.default_bucket()
role = sagemaker.get_execution_role()
account = boto3.client("sts").get_caller_identity()["Account"]
image = f"{account}.dkr.ecr.{session.boto_region_name}.amazonaws.com/iris:dev"

data = session.upload_data(str(DATA), bucket=bucket, key_prefix="iris/data")

estimator = Estimator(
    image_uri=image,
    role=role,
    instance_count=1,
    instance_type="ml.m5.large",
    output_path=f"s3://{bucket}/iris/models",
    hyperparameters={"eta": 0.05, "n_iter": 1000, "random_state": 1},
    metric_definitions=[{"Name": "log_loss", "Regex": r"log_loss=(\S+)"}],
    sagemaker_session=session,
)
estimator.fit({"training": TrainingInput(data, content_type="text/csv")})
print("model:", estimator.model_data)

predictor = estimator.deploy(initial_instance_count=1, instance_type="ml.m5.large")
try:
    answer = boto3.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=predictor.endpoint_name,
        ContentType="application/json",
        Body='{"petal_length": 0.4, "petal_width": 1.4}',
    )
    print(answer["Body"].read().decode())
finally:
    predictor.delete_model()
    predictor.delete_endpoint()
