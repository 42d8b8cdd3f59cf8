"""Every answer of every live operation is what AWS's description of the operation says.

What ``devkit up`` says of itself tells which operations are live; each has an example here, and its
answer is held against botocore's model as botocore read it from the wire: what is required is
there at every level, and names, ARNs, states and numbers are within their patterns and limits.
"""

from __future__ import annotations

import io
import json
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.model import StructureShape

from devkit.local_aws import validation
from devkit.local_aws.identity import ROLE_NAME
from tests.integration.kit import SERVE, TRAIN, Project, eventually

ROLE = f"arn:aws:iam::123456789012:role/{ROLE_NAME}"
Answer = Mapping[str, Any]


@dataclass
class Examples:
    """Calls live operations, and keeps what is wrong with their answers."""

    session: boto3.Session
    url: str
    image: str
    """The project's, as it would be in ECR."""
    live: set[tuple[str, str]]
    called: set[tuple[str, str]] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def call(self, service: str, operation: str, **parameters: Any) -> Answer:
        """One call; an operation that is not live is no example."""
        assert (service, operation) in self.live, f"{service}.{operation} is not live"
        client = self.session.client(service, endpoint_url=self.url)
        name = next(m for m, api in client.meta.method_to_api_mapping.items() if api == operation)
        try:
            answer: dict[str, Any] = getattr(client, name)(**parameters)
        finally:
            client.close()
        del answer["ResponseMetadata"]
        for stream in ("Body", "Payload", "EventStream"):
            if stream in answer:
                answer[stream] = _received(answer[stream])
        self.called.add((service, operation))
        shape = client.meta.service_model.operation_model(operation).output_shape
        self.wrong += [f"{service}.{operation}: {each}" for each in problems(shape, answer)]
        return answer

    def until(self, status: str, service: str, operation: str, **parameters: Any) -> Answer:
        """A description that tells of this status, at last."""
        answers: list[Answer] = []

        def is_reached() -> bool:
            answers.append(self.call(service, operation, **parameters))
            return bool(answers[-1]["Status"] == status)

        eventually(is_reached, f"{operation} tells {status}")
        return answers[-1]


def _received(body: Any) -> Any:
    """A body that comes as a stream, as the description has it."""
    if hasattr(body, "read"):
        return body.read()
    events = list(body)
    assert events, "an answer in events has one at least"
    return events[0]


def problems(shape: StructureShape | None, answer: Answer) -> list[str]:
    """What of an answer its description forbids; times that are none have not come this far."""
    return validation.problems(shape, answer)


# --- the examples ---------------------------------------------------------------------------------


def of_identity(aws: Examples) -> None:
    aws.call("sts", "GetCallerIdentity")
    actions = {"ActionNames": ["s3:GetObject"]}
    aws.call("iam", "SimulatePrincipalPolicy", PolicySourceArn=ROLE, **actions)
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
    }
    policies = [json.dumps(document)]
    aws.call("iam", "SimulateCustomPolicy", PolicyInputList=policies, **actions)


def of_models(aws: Examples) -> None:
    tag = {"Key": "stage", "Value": "dev"}
    model = aws.call(
        *("sagemaker", "CreateModel"),
        ModelName="iris",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "iris:dev", "Environment": {"A": "b"}},
        Tags=[tag],
    )
    aws.call(
        *("sagemaker", "CreateModel"),
        ModelName="pipeline",
        ExecutionRoleArn=ROLE,
        Containers=[{"Image": "iris:dev"}, {"Image": "iris:dev"}],
        VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
    )
    for name in ("iris", "pipeline"):
        aws.call("sagemaker", "DescribeModel", ModelName=name)
    assert aws.call("sagemaker", "ListModels", MaxResults=1)["NextToken"]
    arn = model["ModelArn"]
    aws.call("sagemaker", "AddTags", ResourceArn=arn, Tags=[{"Key": "team", "Value": "a"}])
    aws.call("sagemaker", "DeleteTags", ResourceArn=arn, TagKeys=["stage"])
    assert aws.call("sagemaker", "ListTags", ResourceArn=arn)["Tags"]


def of_endpoint_configs(aws: Examples) -> None:
    variant = {"VariantName": "blue", "ModelName": "iris"}
    for name, members in (
        ("server", {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}),
        ("serverless", {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1}}),
    ):
        aws.call(
            *("sagemaker", "CreateEndpointConfig"),
            EndpointConfigName=name,
            ProductionVariants=[{**variant, **members}],
        )
        aws.call("sagemaker", "DescribeEndpointConfig", EndpointConfigName=name)
    assert len(aws.call("sagemaker", "ListEndpointConfigs")["EndpointConfigs"]) == 2
    for name in ("server", "serverless"):
        aws.call("sagemaker", "DeleteEndpointConfig", EndpointConfigName=name)
    aws.call("sagemaker", "DeleteModel", ModelName="iris")


def of_images(aws: Examples) -> None:
    aws.call("ecr", "CreateRepository", repositoryName="iris")


def of_training(aws: Examples) -> None:
    aws.session.client("s3", endpoint_url=aws.url).create_bucket(Bucket="data")
    job = {
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": aws.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
        },
        "HyperParameters": {"eta": "0.1"},
        "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    for name in ("whole", "stopped"):
        aws.call("sagemaker", "CreateTrainingJob", TrainingJobName=name, **job)
    aws.call("sagemaker", "StopTrainingJob", TrainingJobName="stopped")
    for name in ("whole", "stopped"):
        eventually(partial(_has_ended, aws, name), f"{name} has ended")
    assert len(aws.call("sagemaker", "ListTrainingJobs")["TrainingJobSummaries"]) == 2
    aws.call("sagemaker", "DeleteTrainingJob", TrainingJobName="stopped")


def _has_ended(aws: Examples, job: str) -> bool:
    described = aws.call("sagemaker", "DescribeTrainingJob", TrainingJobName=job)
    return described["TrainingJobStatus"] in ("Completed", "Stopped")


def of_endpoints(aws: Examples) -> None:
    aws.call(
        *("sagemaker", "CreateModel"),
        ModelName="echo",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": aws.image},
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "echo",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    into_s3 = {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://data/async"}}}
    configs: Mapping[str, dict[str, Any]] = {"one": {}, "two": {}, "later": into_s3}
    for name, more in configs.items():
        aws.call(
            *("sagemaker", "CreateEndpointConfig"),
            EndpointConfigName=name,
            ProductionVariants=[variant],
            **more,
        )
    for endpoint, config in (("live", "one"), ("queue", "later")):
        aws.call("sagemaker", "CreateEndpoint", EndpointName=endpoint, EndpointConfigName=config)
        _await_service(aws, endpoint)
    request = {"EndpointName": "live", "ContentType": "text/plain", "Body": b"hello"}
    assert aws.call("sagemaker-runtime", "InvokeEndpoint", **request)["Body"] == b"hello"
    aws.call("sagemaker-runtime", "InvokeEndpointWithResponseStream", **request)
    s3 = aws.session.client("s3", endpoint_url=aws.url)
    s3.put_object(Bucket="data", Key="in", Body=b"hello")
    s3.close()
    aws.call(
        *("sagemaker-runtime", "InvokeEndpointAsync"),
        EndpointName="queue",
        InputLocation="s3://data/in",
    )
    aws.call("sagemaker", "UpdateEndpoint", EndpointName="live", EndpointConfigName="two")
    _await_service(aws, "live")
    aws.call(
        *("sagemaker", "UpdateEndpointWeightsAndCapacities"),
        EndpointName="live",
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredWeight": 2.0}],
    )
    _await_service(aws, "live")
    assert len(aws.call("sagemaker", "ListEndpoints")["Endpoints"]) == 2
    for endpoint in ("live", "queue"):
        aws.call("sagemaker", "DeleteEndpoint", EndpointName=endpoint)


def _await_service(aws: Examples, endpoint: str) -> None:
    def is_in_service() -> bool:
        described = aws.call("sagemaker", "DescribeEndpoint", EndpointName=endpoint)
        assert described["EndpointStatus"] != "Failed", described
        return bool(described["EndpointStatus"] == "InService")

    eventually(is_in_service, f"{endpoint} is in service")


def of_studio(aws: Examples) -> None:
    domain = _domain(aws, AuthMode="IAM", SubnetIds=["subnet-1"], VpcId="vpc-1")
    aws.call(
        *("sagemaker", "UpdateDomain"),
        **domain,
        DefaultUserSettings={"SecurityGroups": ["sg-1"]},
    )
    aws.until("InService", "sagemaker", "DescribeDomain", **domain)
    _domain(aws, AuthMode="SSO")
    assert len(aws.call("sagemaker", "ListDomains")["Domains"]) == 2
    person = {**domain, "UserProfileName": "anna"}
    aws.call("sagemaker", "CreateUserProfile", **person, UserSettings={"ExecutionRole": ROLE})
    aws.until("InService", "sagemaker", "DescribeUserProfile", **person)
    aws.call("sagemaker", "UpdateUserProfile", **person, UserSettings={"SecurityGroups": ["sg-1"]})
    aws.until("InService", "sagemaker", "DescribeUserProfile", **person)
    assert aws.call("sagemaker", "ListUserProfiles")["UserProfiles"]
    space = {**domain, "SpaceName": "hers"}
    aws.call(
        *("sagemaker", "CreateSpace"),
        **space,
        OwnershipSettings={"OwnerUserProfileName": "anna"},
        SpaceSharingSettings={"SharingType": "Private"},
        SpaceSettings={"AppType": "JupyterLab"},
    )
    aws.until("InService", "sagemaker", "DescribeSpace", **space)
    aws.call("sagemaker", "UpdateSpace", **space, SpaceDisplayName="Anna's own")
    aws.until("InService", "sagemaker", "DescribeSpace", **space)
    aws.call("sagemaker", "CreateSpace", **domain, SpaceName="ours")
    assert len(aws.call("sagemaker", "ListSpaces")["Spaces"]) == 2
    app = {**space, "AppType": "JupyterLab", "AppName": "default"}
    aws.call("sagemaker", "CreateApp", **app)
    aws.until("InService", "sagemaker", "DescribeApp", **app)
    assert aws.call("sagemaker", "ListApps")["Apps"]
    aws.call("sagemaker", "DeleteApp", **app)
    aws.until("Deleted", "sagemaker", "DescribeApp", **app)
    for name in ("hers", "ours"):
        aws.call("sagemaker", "DeleteSpace", **domain, SpaceName=name)
    eventually(lambda: not aws.call("sagemaker", "ListSpaces")["Spaces"], "no space is left")
    aws.call("sagemaker", "DeleteUserProfile", **person)
    eventually(
        lambda: not aws.call("sagemaker", "ListUserProfiles")["UserProfiles"], "nobody is left"
    )
    aws.call("sagemaker", "DeleteDomain", **domain)


def _domain(aws: Examples, **members: Any) -> dict[str, str]:
    settings = {"ExecutionRole": ROLE}
    made = aws.call(
        *("sagemaker", "CreateDomain"), DomainName="team", DefaultUserSettings=settings, **members
    )
    domain = {"DomainId": made["DomainId"]}
    aws.until("InService", "sagemaker", "DescribeDomain", **domain)
    return domain


def of_functions(aws: Examples) -> None:
    def code(text: str) -> bytes:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("handler.py", text)
        return archive.getvalue()

    name = {"FunctionName": "echo"}
    aws.call(
        *("lambda", "CreateFunction"),
        **name,
        Runtime="python3.12",
        Role=ROLE,
        Handler="handler.handler",
        Code={"ZipFile": code("def handler(event, context): return event")},
    )
    aws.call("lambda", "UpdateFunctionConfiguration", **name, Timeout=10)
    aws.call(
        *("lambda", "UpdateFunctionCode"),
        **name,
        ZipFile=code("def handler(event, context): return [event]"),
    )
    assert aws.call("lambda", "Invoke", **name, Payload=b"1", LogType="Tail")["Payload"] == b"[1]"
    aws.call("lambda", "InvokeAsync", **name, InvokeArgs=b"1")
    aws.call("lambda", "InvokeWithResponseStream", **name, Payload=b"1")
    aws.call("lambda", "CreateFunctionUrlConfig", **name, AuthType="NONE")
    aws.call("lambda", "GetFunctionUrlConfig", **name)
    aws.call("lambda", "UpdateFunctionUrlConfig", **name, Cors={"AllowOrigins": ["*"]})
    assert aws.call("lambda", "ListFunctionUrlConfigs", **name)["FunctionUrlConfigs"]
    aws.call("lambda", "DeleteFunctionUrlConfig", **name)
    aws.call("lambda", "DeleteFunction", **name)


def of_apis(aws: Examples) -> None:
    made = aws.call("apigatewayv2", "CreateApi", Name="flowers", ProtocolType="HTTP")
    api = {"ApiId": made["ApiId"]}
    aws.call("apigatewayv2", "UpdateApi", **api, Description="of iris flowers")
    assert aws.call("apigatewayv2", "GetApi", **api)["ApiEndpoint"].startswith("http://127.0.0.1")
    assert aws.call("apigatewayv2", "GetApis")["Items"]
    document = {"openapi": "3.0.1", "info": {"title": "flowers", "version": "1"}, "paths": {}}
    aws.call("apigatewayv2", "ReimportApi", **api, Body=json.dumps(document))


EXAMPLES: tuple[Callable[[Examples], None], ...] = (
    of_identity,
    of_models,
    of_endpoint_configs,
    of_images,
    of_training,
    of_endpoints,
    of_studio,
    of_functions,
    of_apis,
)


def test_every_live_operation_has_an_example_whose_answer_is_as_described(
    process_project: Project,
) -> None:
    tag = f"{process_project.name}:dev"
    process_project.write(config=f'[image]\ntag = "{tag}"\n', train=TRAIN, serve=SERVE)
    up = process_project.devkit("up", "--detach", "--port", "0", "--json").succeeded().document
    try:
        session = boto3.Session("test", "test", region_name="us-east-1")
        image = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{tag}"
        aws = Examples(session, up["url"], image, live_operations(up["url"]))
        for examples in EXAMPLES:
            examples(aws)
    finally:
        process_project.devkit("down").succeeded()

    assert sorted(aws.live - aws.called) == []
    assert aws.wrong == []


def live_operations(url: str) -> set[tuple[str, str]]:
    with urllib.request.urlopen(f"{url}/_devkit/status") as status:
        services: Mapping[str, list[str]] = json.load(status)["services"]
    return {(service, each) for service, operations in services.items() for each in operations}


@pytest.mark.parametrize(
    ("operation", "answer", "text"),
    [
        ("CreateModel", {}, "'modelArn' failed to satisfy constraint: Member must not be null"),
        ("ListModels", {"Models": [{}]}, "'models.1.member.modelName'"),
        ("ListDomains", {"Domains": [{"Status": "Running"}]}, "enum value set"),
        ("ListDomains", {"Domains": [{"DomainId": "team"}]}, "regular expression pattern"),
        ("ListDomains", {"Domains": [{"DomainName": "a" * 64}]}, "less than or equal to 63"),
    ],
)
def test_an_answer_that_is_not_as_described_is_found(
    operation: str, answer: Answer, text: str
) -> None:
    client = boto3.client("sagemaker", region_name="us-east-1")
    shape = client.meta.service_model.operation_model(operation).output_shape
    assert text in " ".join(problems(shape, answer))
    client.close()
