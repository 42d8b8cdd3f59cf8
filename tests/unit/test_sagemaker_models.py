"""Models, endpoint configurations and tags, as their handlers answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timezone
from typing import Any, NoReturn

import pytest
from botocore.exceptions import ClientError

from devkit.local_aws.errors import AwsError
from devkit.local_aws.sagemaker.parts import Shared
from devkit.local_aws.sagemaker.service import SageMaker, all_parts
from devkit.local_aws.sagemaker.storage import Storage
from devkit.local_aws.sagemaker.workshop import Workshop
from devkit.local_aws.services import Call, Result

MOMENT = datetime(2026, 1, 1, tzinfo=timezone.utc)
ARN = "arn:aws:sagemaker:us-east-1:123456789012:"
VARIANT = {
    "VariantName": "blue",
    "ModelName": "iris",
    "InstanceType": "ml.m5.large",
    "InitialInstanceCount": 1,
}


def nothing_runs() -> NoReturn:
    raise AssertionError("nothing of this needs an engine")


NOTHING_RUNS = Workshop(store=nothing_runs, engine=nothing_runs, build=nothing_runs, tag="iris")


class Objects:
    """An S3 with these keys in its bucket ``data``."""

    def __init__(self, *keys: str) -> None:
        self.keys = sorted(keys)

    def list_objects_v2(self, **request: Any) -> Mapping[str, Any]:
        if request["Bucket"] != "data":
            raise ClientError({"Error": {"Code": "NoSuchBucket"}}, "ListObjectsV2")
        found = [key for key in self.keys if key.startswith(request["Prefix"])]
        return {"Contents": [{"Key": key} for key in found[: request["MaxKeys"]]]}

    def get_object(self, **request: Any) -> Mapping[str, Any]:
        raise AssertionError(request)


class Moto:
    """A backend that says what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    async def ask(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        access_key: str | None = None,  # noqa: ARG002
        region: str = "us-east-1",  # noqa: ARG002
    ) -> dict[str, Any]:
        assert service == "sagemaker"
        self.asked.append((operation, parameters))
        return {"Tags": [{"Key": "of", "Value": "moto"}], "ResponseMetadata": {}}


class Client:
    """Calls handlers as the endpoint does."""

    def __init__(self, *keys: str) -> None:
        shared = Shared(
            workshop=NOTHING_RUNS,
            storage=Storage(lambda _settings: Objects(*keys)),
            clock=lambda: MOMENT,
        )
        self.moto = Moto()
        self._service = SageMaker(shared, all_parts(shared))

    def __getattr__(self, operation: str) -> Callable[..., Mapping[str, Any]]:
        handler = self._service.operations[operation]

        def answer(**parameters: Any) -> Mapping[str, Any]:
            call = Call(
                service="sagemaker",
                operation=operation,
                parameters=parameters,
                backend=self.moto,
                request_id="1",
            )
            coroutine: Coroutine[Any, Any, Result] = handler(call)  # type: ignore[assignment]
            return asyncio.run(coroutine).members

        return answer


def with_model() -> Client:
    client = Client()
    client.CreateModel(ModelName="iris", PrimaryContainer={"Image": "iris:demo"})
    return client


def test_a_model_is_described_with_what_the_service_adds() -> None:
    client = Client("iris/model.tar.gz")
    container = {"Image": "iris:demo", "ModelDataUrl": "s3://data/iris/model.tar.gz"}
    made = client.CreateModel(ModelName="Iris", PrimaryContainer=container, Tags=[])
    assert made == {"ModelArn": f"{ARN}model/iris"}
    assert client.DescribeModel(ModelName="Iris") == {
        "ModelName": "Iris",
        "ModelArn": f"{ARN}model/iris",
        "CreationTime": MOMENT,
        "PrimaryContainer": {"Mode": "SingleModel", "Environment": {}, **container},
        "EnableNetworkIsolation": False,
    }
    (summary,) = client.ListModels()["Models"]
    assert summary["ModelName"] == "Iris"


@pytest.mark.parametrize(
    "container",
    [
        {"ModelDataUrl": "s3://data/iris/mode"},
        {"ModelDataUrl": "s3://elsewhere/iris/model.tar.gz"},
        {"ModelDataUrl": "s3://data/iris/models", "Mode": "MultiModel"},
        {"ModelDataSource": {"S3DataSource": {"S3Uri": "s3://data/x/", "S3DataType": "S3Prefix"}}},
        {
            "AdditionalModelDataSources": [
                {"S3DataSource": {"S3Uri": "s3://data/iris/", "S3DataType": "S3Object"}}
            ]
        },
    ],
)
def test_a_model_whose_artifact_is_not_there_is_refused(container: dict[str, Any]) -> None:
    client = Client("iris/model.tar.gz")
    with pytest.raises(AwsError, match=r"Could not find model data at s3://.*\."):
        client.CreateModel(ModelName="iris", PrimaryContainer={"Image": "i", **container})
    assert client.ListModels()["Models"] == []


def test_a_prefix_of_models_is_there_where_one_of_them_is() -> None:
    client = Client("iris/model.tar.gz")
    source = {"S3DataSource": {"S3Uri": "s3://data/iris/", "S3DataType": "S3Prefix"}}
    container = {"Image": "iris:demo", "ModelDataSource": source}
    client.CreateModel(ModelName="iris", PrimaryContainer=container)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"Containers": []},
        {"PrimaryContainer": {"Image": "a"}, "Containers": [{"Image": "a"}]},
        {"PrimaryContainer": {}},
        {"Containers": [{"Image": "a"}, {"ModelDataUrl": "s3://data/a"}]},
        {"PrimaryContainer": {"Image": "a", "ModelDataUrl": "https://example.com/a"}},
    ],
)
def test_a_model_of_no_image_is_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(AwsError) as refused:
        Client().CreateModel(ModelName="iris", **parameters)
    assert refused.value.code == "ValidationException"


def test_a_deleted_model_is_gone() -> None:
    client = with_model()
    client.DeleteModel(ModelName="iris")
    for operation in ("DescribeModel", "DeleteModel"):
        with pytest.raises(AwsError, match=f'Could not find model "{ARN}model/iris"'):
            getattr(client, operation)(ModelName="iris")


def test_an_endpoint_configuration_is_described_with_what_the_service_adds() -> None:
    client = with_model()
    made = client.CreateEndpointConfig(EndpointConfigName="C", ProductionVariants=[VARIANT])
    assert made == {"EndpointConfigArn": f"{ARN}endpoint-config/c"}
    assert client.DescribeEndpointConfig(EndpointConfigName="C") == {
        "EndpointConfigName": "C",
        "EndpointConfigArn": f"{ARN}endpoint-config/c",
        "CreationTime": MOMENT,
        "ProductionVariants": [{**VARIANT, "InitialVariantWeight": 1.0}],
    }
    (summary,) = client.ListEndpointConfigs()["EndpointConfigs"]
    assert summary["EndpointConfigName"] == "C"
    client.DeleteEndpointConfig(EndpointConfigName="C")
    with pytest.raises(AwsError, match=r'Could not find endpoint configuration "arn:.*/c"'):
        client.DescribeEndpointConfig(EndpointConfigName="C")


def test_an_endpoint_configuration_needs_its_models() -> None:
    with pytest.raises(AwsError, match=f'Could not find model "{ARN}model/iris"'):
        Client().CreateEndpointConfig(EndpointConfigName="c", ProductionVariants=[VARIANT])


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"ProductionVariants": [VARIANT, VARIANT]}, "blue"),
        ({"ProductionVariants": [{"VariantName": "blue", "ModelName": "iris"}]}, "InitialInst"),
        (
            {
                "ProductionVariants": [VARIANT, {**VARIANT, "VariantName": "green"}],
                "ShadowProductionVariants": [{**VARIANT, "VariantName": "dark"}],
            },
            "exactly one",
        ),
    ],
)
def test_variants_that_no_endpoint_can_have_are_refused(
    parameters: dict[str, Any], text: str
) -> None:
    with pytest.raises(AwsError, match=text):
        with_model().CreateEndpointConfig(EndpointConfigName="c", **parameters)


def test_tags_are_added_replaced_listed_and_deleted() -> None:
    client = with_model()
    arn = f"{ARN}model/iris"
    client.AddTags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    added = client.AddTags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "3"}])
    assert added == {"Tags": [{"Key": "a", "Value": "3"}, {"Key": "b", "Value": "2"}]}
    client.DeleteTags(ResourceArn=arn, TagKeys=["a", "never-there"])
    assert client.ListTags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_a_resource_has_fifty_tags_at_most() -> None:
    client = with_model()
    arn = f"{ARN}model/iris"
    client.AddTags(ResourceArn=arn, Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])
    with pytest.raises(AwsError, match="50 tags"):
        client.AddTags(ResourceArn=arn, Tags=[{"Key": "one more", "Value": ""}])
    assert len(client.ListTags(ResourceArn=arn)["Tags"]) == 50


@pytest.mark.parametrize("keys", [("a", "a"), ("aws:mine",), ("AWS:mine",)])
def test_tags_that_nothing_can_have_are_refused(keys: tuple[str, ...]) -> None:
    tags = [{"Key": key, "Value": "1"} for key in keys]
    with pytest.raises(AwsError, match=r"[Tt]ag keys"):
        with_model().AddTags(ResourceArn=f"{ARN}model/iris", Tags=tags)
    container = {"Image": "iris:demo"}
    with pytest.raises(AwsError, match=r"[Tt]ag keys"):
        Client().CreateModel(ModelName="a", PrimaryContainer=container, Tags=tags)


def test_what_is_not_there_has_no_tags() -> None:
    for operation, parameters in (
        ("ListTags", {}),
        ("AddTags", {"Tags": []}),
        ("DeleteTags", {"TagKeys": ["a"]}),
    ):
        with pytest.raises(AwsError, match=f'Could not find model "{ARN}model/none"'):
            getattr(Client(), operation)(ResourceArn=f"{ARN}model/none", **parameters)


def test_what_is_not_live_has_the_tags_that_moto_gives_it() -> None:
    client = Client()
    arn = f"{ARN}notebook-instance/n"
    assert client.ListTags(ResourceArn=arn) == {"Tags": [{"Key": "of", "Value": "moto"}]}
    assert client.moto.asked == [("ListTags", {"ResourceArn": arn})]
