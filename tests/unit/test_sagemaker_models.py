"""Models, endpoint configurations and tags, as the service answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from devkit.local_aws.errors import AwsError
from tests.unit.sagemaker_fakes import ARN, MOMENT, Bucket, Service, sagemaker

VARIANT = {
    "VariantName": "blue",
    "ModelName": "iris",
    "InstanceType": "ml.m5.large",
    "InitialInstanceCount": 1,
}


@pytest.fixture
def client() -> Iterator[Service]:
    bucket = Bucket(**{"iris/model.tar.gz": b"model"})
    with sagemaker(bucket=bucket, clock=lambda: MOMENT) as service:
        yield service


@pytest.fixture
def with_model(client: Service) -> Service:
    client.call("CreateModel", ModelName="iris", PrimaryContainer={"Image": "iris:demo"})
    return client


def test_a_model_is_described_with_what_the_service_adds(client: Service) -> None:
    container = {"Image": "iris:demo", "ModelDataUrl": "s3://data/iris/model.tar.gz"}
    made = client.call("CreateModel", ModelName="Iris", PrimaryContainer=container, Tags=[])
    assert made == {"ModelArn": f"{ARN}model/iris"}
    assert client.call("DescribeModel", ModelName="Iris") == {
        "ModelName": "Iris",
        "ModelArn": f"{ARN}model/iris",
        "CreationTime": MOMENT,
        "PrimaryContainer": {"Mode": "SingleModel", "Environment": {}, **container},
        "EnableNetworkIsolation": False,
    }
    (summary,) = client.call("ListModels")["Models"]
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
def test_a_model_whose_artifact_is_not_there_is_refused(
    client: Service, container: dict[str, Any]
) -> None:
    with pytest.raises(AwsError, match=r"Could not find model data at s3://.*\."):
        client.call("CreateModel", ModelName="iris", PrimaryContainer={"Image": "i", **container})
    assert client.call("ListModels")["Models"] == []


def test_a_prefix_of_models_is_there_where_one_of_them_is(client: Service) -> None:
    source = {"S3DataSource": {"S3Uri": "s3://data/iris/", "S3DataType": "S3Prefix"}}
    container = {"Image": "iris:demo", "ModelDataSource": source}
    client.call("CreateModel", ModelName="iris", PrimaryContainer=container)


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
def test_a_model_of_no_image_is_refused(client: Service, parameters: dict[str, Any]) -> None:
    with pytest.raises(AwsError) as refused:
        client.call("CreateModel", ModelName="iris", **parameters)
    assert refused.value.code == "ValidationException"


def test_a_deleted_model_is_gone(with_model: Service) -> None:
    with_model.call("DeleteModel", ModelName="iris")
    for operation in ("DescribeModel", "DeleteModel"):
        with pytest.raises(AwsError, match=f'Could not find model "{ARN}model/iris"'):
            with_model.call(operation, ModelName="iris")


def test_an_endpoint_configuration_is_described_with_what_the_service_adds(
    with_model: Service,
) -> None:
    made = with_model.call(
        "CreateEndpointConfig", EndpointConfigName="C", ProductionVariants=[VARIANT]
    )
    assert made == {"EndpointConfigArn": f"{ARN}endpoint-config/c"}
    assert with_model.call("DescribeEndpointConfig", EndpointConfigName="C") == {
        "EndpointConfigName": "C",
        "EndpointConfigArn": f"{ARN}endpoint-config/c",
        "CreationTime": MOMENT,
        "ProductionVariants": [{**VARIANT, "InitialVariantWeight": 1.0}],
    }
    (summary,) = with_model.call("ListEndpointConfigs")["EndpointConfigs"]
    assert summary["EndpointConfigName"] == "C"
    with_model.call("DeleteEndpointConfig", EndpointConfigName="C")
    with pytest.raises(AwsError, match=r'Could not find endpoint configuration "arn:.*/c"'):
        with_model.call("DescribeEndpointConfig", EndpointConfigName="C")


def test_an_endpoint_configuration_needs_its_models(client: Service) -> None:
    with pytest.raises(AwsError, match=f'Could not find model "{ARN}model/iris"'):
        client.call("CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[VARIANT])


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
    with_model: Service, parameters: dict[str, Any], text: str
) -> None:
    with pytest.raises(AwsError, match=text):
        with_model.call("CreateEndpointConfig", EndpointConfigName="c", **parameters)


def test_tags_are_added_replaced_listed_and_deleted(with_model: Service) -> None:
    arn = f"{ARN}model/iris"
    with_model.call(
        "AddTags", ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    )
    added = with_model.call("AddTags", ResourceArn=arn, Tags=[{"Key": "a", "Value": "3"}])
    assert added == {"Tags": [{"Key": "a", "Value": "3"}, {"Key": "b", "Value": "2"}]}
    with_model.call("DeleteTags", ResourceArn=arn, TagKeys=["a", "never-there"])
    assert with_model.call("ListTags", ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_a_resource_has_fifty_tags_at_most(with_model: Service) -> None:
    arn = f"{ARN}model/iris"
    with_model.call(
        "AddTags", ResourceArn=arn, Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)]
    )
    with pytest.raises(AwsError, match="50 tags"):
        with_model.call("AddTags", ResourceArn=arn, Tags=[{"Key": "one more", "Value": ""}])
    assert len(with_model.call("ListTags", ResourceArn=arn)["Tags"]) == 50


@pytest.mark.parametrize("keys", [("a", "a"), ("aws:mine",), ("AWS:mine",)])
def test_tags_that_nothing_can_have_are_refused(with_model: Service, keys: tuple[str, ...]) -> None:
    tags = [{"Key": key, "Value": "1"} for key in keys]
    with pytest.raises(AwsError, match=r"[Tt]ag keys"):
        with_model.call("AddTags", ResourceArn=f"{ARN}model/iris", Tags=tags)
    container = {"Image": "iris:demo"}
    with pytest.raises(AwsError, match=r"[Tt]ag keys"):
        with_model.call("CreateModel", ModelName="a", PrimaryContainer=container, Tags=tags)


def test_what_is_not_there_has_no_tags(client: Service) -> None:
    for operation, parameters in (
        ("ListTags", {}),
        ("AddTags", {"Tags": []}),
        ("DeleteTags", {"TagKeys": ["a"]}),
    ):
        with pytest.raises(AwsError, match=f'Could not find model "{ARN}model/none"'):
            client.call(operation, ResourceArn=f"{ARN}model/none", **parameters)


def test_what_is_not_live_has_the_tags_that_moto_gives_it(client: Service) -> None:
    arn = f"{ARN}notebook-instance/n"
    client.moto.answer = {"Tags": [{"Key": "of", "Value": "moto"}]}
    assert client.call("ListTags", ResourceArn=arn) == client.moto.answer
    assert client.moto.asked == [("sagemaker", "ListTags", {"ResourceArn": arn})]
