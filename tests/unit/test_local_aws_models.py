"""Which service and operation a request is for, by AWS's own descriptions."""

from __future__ import annotations

from functools import lru_cache

import pytest

from devkit.local_aws.models import Identified, Models
from devkit.local_aws.routing import Head, route
from devkit.local_aws.service_names import OTHERS
from tests.unit.test_local_aws_routing import signed


@lru_cache
def models() -> Models:
    return Models()


def identify(head: Head, **form: str) -> Identified:
    return models().identify(route(head, form), head)


def at(service: str, method: str, path: str, query: str = "") -> Head:
    return Head(method=method, path=path, query=query, headers=signed(service).headers)


@pytest.mark.parametrize(
    ("head", "service", "operation"),
    [
        (signed("sagemaker", x_amz_target="SageMaker.ListModels"), "sagemaker", "ListModels"),
        (
            at("sagemaker", "POST", "/endpoints/iris/invocations"),
            "sagemaker-runtime",
            "InvokeEndpoint",
        ),
        (
            at("sagemaker", "POST", "/endpoints/iris/invocations-response-stream"),
            "sagemaker-runtime",
            "InvokeEndpointWithResponseStream",
        ),
        (at("lambda", "GET", "/2015-03-31/functions/"), "lambda", "ListFunctions"),
        (at("lambda", "GET", "/2015-03-31/functions/f"), "lambda", "GetFunction"),
        (at("apigateway", "GET", "/restapis"), "apigateway", "GetRestApis"),
        (at("apigateway", "GET", "/v2/apis"), "apigatewayv2", "GetApis"),
        (at("s3", "GET", "/bucket"), "s3", "ListObjects"),
        (at("s3", "GET", "/bucket", "list-type=2"), "s3", "ListObjectsV2"),
        (at("s3", "GET", "/bucket", "policy"), "s3", "GetBucketPolicy"),
        (at("s3", "GET", "/bucket/a/b/c"), "s3", "GetObject"),
        (at("s3", "GET", "/bucket/key", "uploadId=1"), "s3", "ListParts"),
        (signed("states", x_amz_target="AWSStepFunctions.X"), "stepfunctions", "X"),
    ],
)
def test_a_request_is_for_an_operation_of_a_service(
    head: Head, service: str, operation: str
) -> None:
    found = identify(head)

    assert (found.service, found.operation) == (service, operation)


@pytest.mark.parametrize(
    ("version", "service"), [("2012-06-01", "elb"), ("2015-12-01", "elbv2"), ("1", "elb")]
)
def test_services_of_one_name_are_told_apart_by_their_version(version: str, service: str) -> None:
    head = signed("elasticloadbalancing", content_type="application/x-www-form-urlencoded")

    found = identify(head, Action="DescribeLoadBalancers", Version=version)

    assert found.service == service


def test_labels_of_the_path_are_decoded() -> None:
    found = identify(at("s3", "GET", "/bucket/a%2Fb/c%20d"))

    assert found.labels == {"Bucket": "bucket", "Key": "a/b/c d"}


@pytest.mark.parametrize(
    ("head", "protocol"),
    [
        (signed("sagemaker", x_amz_target="SageMaker.X"), "json"),
        (at("lambda", "GET", "/2015-03-31/functions"), "rest-json"),
        (at("s3", "GET", "/bucket"), "s3"),
        (at("route53", "GET", "/2013-04-01/hostedzone"), "rest-xml"),
        (signed("nosuch"), "rest-json"),
        (signed("monitoring", smithy_protocol="rpc-v2-cbor"), "smithy-rpc-v2-cbor"),
    ],
)
def test_an_answer_is_written_as_the_request_was(head: Head, protocol: str) -> None:
    assert identify(head).protocol == protocol


def test_ec2_has_a_protocol_of_its_own() -> None:
    head = signed("ec2", content_type="application/x-www-form-urlencoded")

    assert identify(head, Action="RunInstances", Version="2016-11-15").protocol == "ec2"


def test_an_operation_that_the_service_does_not_have_is_not_known() -> None:
    found = identify(signed("sagemaker", x_amz_target="SageMaker.MakeCoffee"))

    assert (found.operation, found.known_operation) == ("MakeCoffee", None)


def test_the_table_of_names_is_botocores() -> None:
    wrong = {
        name: signing_name
        for signing_name, names in OTHERS.items()
        for name in names
        if (api := models().api(name)) and api.model.signing_name.lower() != signing_name
    }

    assert wrong == {}
