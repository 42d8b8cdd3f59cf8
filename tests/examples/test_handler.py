"""examples/lambda/handler.py, tested as its author would: moto for AWS, and nothing of devkit."""

from __future__ import annotations

import base64
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.stub import Stubber
from moto import mock_aws

FOLDER = Path(__file__).parents[2] / "examples" / "lambda"
REGION = "us-east-1"
FLOWER = {"petal_length": 1.4, "petal_width": 0.2}
ROLE = "arn:aws:iam::123456789012:role/SageMaker"


class Function:
    """The handler, and what it asks SageMaker."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.asked: list[dict[str, Any]] = []
        events = module.sagemaker.meta.events
        events.register(
            "before-parameter-build.sagemaker-runtime.InvokeEndpoint",
            lambda params, **_: self.asked.append(dict(params)),
        )

    def __call__(self, event: object) -> Any:
        return self.module.handler(event, None)

    def post(self, body: object) -> tuple[int, Any]:
        """The status and the document that an HTTP API answers with."""
        text = body if isinstance(body, str) else json.dumps(body)
        answer = self(http_event(text))
        assert answer["headers"] == {"Content-Type": "application/json"}
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    """The function, with an endpoint ``iris`` in an AWS of moto's."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("ENDPOINT_NAME", "iris")
    monkeypatch.syspath_prepend(FOLDER)
    with mock_aws():
        deploy("iris")
        yield Function(importlib.import_module("handler"))
        del sys.modules["handler"]


def deploy(name: str) -> None:
    sagemaker = boto3.client("sagemaker", REGION)
    sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "iris:dev"}
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


def the_model_answers(*bodies: str) -> None:
    """Queue the endpoint's answers: moto gives them one by one."""
    results = [{"Body": body, "ContentType": "application/json"} for body in bodies]
    address = "http://motoapi.amazonaws.com/moto-api/static/sagemaker/endpoint-results"
    requests.post(address, json={"results": results}, timeout=5).raise_for_status()


def http_event(body: str) -> dict[str, Any]:
    """What an HTTP API sends: payload 2.0."""
    return {
        "version": "2.0",
        "routeKey": "POST /predict",
        "rawPath": "/predict",
        "requestContext": {"http": {"method": "POST", "path": "/predict"}},
        "body": body,
        "isBase64Encoded": False,
    }


def rest_event(body: bytes) -> dict[str, Any]:
    """What a REST API's proxy integration sends, with a body it takes for binary."""
    return {
        "resource": "/predict",
        "httpMethod": "POST",
        "requestContext": {"httpMethod": "POST", "stage": "prod"},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def test_a_post_is_answered_with_the_species(function: Function) -> None:
    the_model_answers('{"category": "Iris-Setosa"}')
    assert function.post({**FLOWER, "colour": "blue"}) == (200, {"category": "Iris-Setosa"})
    [asked] = function.asked
    assert asked["EndpointName"] == "iris"
    assert asked["ContentType"] == "application/json"
    assert json.loads(asked["Body"]) == FLOWER


def test_each_flower_has_an_answer_of_its_own(function: Function) -> None:
    the_model_answers('{"category": "Iris-Setosa"}', '{"category": "Iris-Versicolor"}')
    species = [function.post({**FLOWER, "petal_length": cm})[1]["category"] for cm in (1, 4.7)]
    assert species == ["Iris-Setosa", "Iris-Versicolor"]


def test_a_rest_api_is_answered_too(function: Function) -> None:
    the_model_answers('{"category": "Iris-Setosa"}')
    answer = function(rest_event(json.dumps(FLOWER).encode()))
    assert (answer["statusCode"], answer["body"]) == (200, '{"category": "Iris-Setosa"}')


def test_without_an_api_the_event_is_the_flower(function: Function) -> None:
    the_model_answers('{"category": "Iris-Setosa"}')
    assert function(FLOWER) == {"category": "Iris-Setosa"}


@pytest.mark.parametrize("body", ["", "{", "[" * 100_000, '"\\ud800', "petal_length=1"])
def test_a_body_that_is_no_json_is_the_callers_fault(function: Function, body: str) -> None:
    assert function.post(body) == (400, {"message": "The body is not valid JSON."})


@pytest.mark.parametrize("body", [b"\xff", b'{"a"'])
def test_so_is_a_binary_one(function: Function, body: bytes) -> None:
    assert function(rest_event(body))["statusCode"] == 400


@pytest.mark.parametrize("body", [[], 1, None, "text"])
def test_so_is_json_that_is_no_object(function: Function, body: object) -> None:
    status, document = function.post(json.dumps(body))
    assert (status, document["message"][:28]) == (400, "The body must be an object w")


@pytest.mark.parametrize("width", ['"0.2"', "null", "true", "NaN", "-Infinity", "1e999", "9" * 400])
def test_so_is_a_measure_that_is_no_number(function: Function, width: str) -> None:
    body = f'{{"petal_length": 1.4, "petal_width": {width}}}'
    assert function.post(body) == (400, {"message": "These fields must be numbers: petal_width."})
    assert function.asked == []


def test_all_that_is_missing_is_named(function: Function) -> None:
    said = {"message": "These fields must be numbers: petal_length, petal_width."}
    assert function.post({}) == (400, said)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ModelError", 502),
        ("ValidationError", 503),
        ("ServiceUnavailable", 503),
        ("ModelNotReadyException", 503),
        ("ThrottlingException", 429),
        ("AccessDeniedException", 500),
    ],
)
def test_sagemakers_errors_have_a_status_and_no_details(
    function: Function, code: str, status: int
) -> None:
    with Stubber(function.module.sagemaker) as sagemaker:
        for _ in range(2):
            sagemaker.add_client_error("invoke_endpoint", code, "arn:aws:secret")
        answered, document = function.post(FLOWER)
        assert answered == status
        assert "secret" not in json.dumps(document)
        with pytest.raises((function.module.Failed, ClientError)):
            function(FLOWER)


def test_a_model_that_takes_too_long_is_a_gateways_timeout(
    function: Function,
) -> None:
    def never(**_: object) -> None:
        raise ReadTimeoutError(endpoint_url="https://runtime.sagemaker.us-east-1.amazonaws.com")

    function.module.sagemaker.meta.events.register("before-call", never)
    assert function.post(FLOWER) == (504, {"message": "The model did not answer in time."})


@pytest.mark.parametrize("said", ["no JSON", "[]", '{"other": 1}', "null"])
def test_an_answer_that_is_not_understood_is_the_models_fault(
    function: Function, said: str
) -> None:
    the_model_answers(said)
    assert function.post(FLOWER) == (502, {"message": "The model's answer is not understood."})


def test_a_function_without_an_endpoints_name_tells_its_caller_nothing(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENDPOINT_NAME")
    assert function.post(FLOWER) == (500, {"message": "Internal server error"})


def test_two_attempts_end_before_api_gateway_gives_up(function: Function) -> None:
    config = function.module.sagemaker.meta.config
    attempts = config.retries["total_max_attempts"]
    assert attempts * (config.connect_timeout + config.read_timeout) < 29
