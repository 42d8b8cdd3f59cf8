"""Parameters and answers, against the two halves of a client nobody here wrote: botocore's."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from devkit.local_aws.errors import AwsError, Protocol
from devkit.local_aws.models import Api, Models
from devkit.local_aws.routing import Head
from devkit.local_aws.wire import answer_of, has_bytes_for_payload, parameters_of

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=timezone.utc)


@lru_cache
def api(service: str) -> Api:
    found = Models().api(service)
    assert found is not None
    return found


def received(service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """What arrives of what botocore sends."""
    described = api(service)
    protocol = described.own_protocol
    request = create_serializer(protocol).serialize_to_request(
        parameters, described.operation(operation)
    )
    body = request["body"]
    form = parse_qs(urlencode(body), keep_blank_values=True) if isinstance(body, dict) else {}
    query = request["query_string"]
    arguments = parse_qs(urlencode(query, doseq=True), keep_blank_values=True)
    path = request["url_path"]
    match = described.match(Head(method=request["method"], path=path, query=urlencode(query)))
    return parameters_of(
        described.operation(operation),
        protocol,
        headers={name.lower(): str(value) for name, value in request["headers"].items()},
        labels=match.labels if match else {},
        arguments={**arguments, **form},
        body=b"" if isinstance(body, dict) else body,
    )


def sent(service: str, operation: str, members: dict[str, Any]) -> dict[str, Any]:
    """What botocore makes of an answer."""
    described = api(service)
    answer = answer_of(
        described.operation(operation), described.own_protocol, members, request_id="the-id"
    )
    headers = HeadersDict()
    for name, value in answer.headers.items():
        headers[name] = value
    found: dict[str, Any] = create_parser(described.own_protocol).parse(
        {"status_code": answer.status, "headers": headers, "body": answer.body},
        described.operation(operation).output_shape,
    )
    assert found.pop("ResponseMetadata")["RequestId"] == "the-id"
    return found


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        (
            "sagemaker",
            "CreateTrainingJob",
            {
                "TrainingJobName": "job",
                "HyperParameters": {"eta": "0.1"},
                "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
                "RoleArn": "arn:aws:iam::123456789012:role/R",
                "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
                "ResourceConfig": {
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                },
                "StoppingCondition": {"MaxRuntimeInSeconds": 60},
                "EnableNetworkIsolation": True,
                "Tags": [{"Key": "a", "Value": "b"}],
            },
        ),
        ("sagemaker", "ListModels", {"CreationTimeAfter": NOON, "MaxResults": 5}),
        ("sagemaker", "ListModels", {}),
        (
            "iam",
            "SimulatePrincipalPolicy",
            {
                "PolicySourceArn": "arn:aws:iam::123456789012:role/R",
                "ActionNames": ["s3:GetObject", "s3:PutObject"],
                "ContextEntries": [
                    {"ContextKeyName": "aws:x", "ContextKeyValues": ["1", "2"]},
                ],
                "MaxItems": 10,
            },
        ),
        ("sns", "Publish", {"Message": "m", "MessageAttributes": {"a": {"DataType": "String"}}}),
        (
            "lambda",
            "CreateFunction",
            {
                "FunctionName": "f",
                "Role": "arn:aws:iam::123456789012:role/R",
                "Code": {"ZipFile": b"zip\x00"},
                "Timeout": 3,
                "Environment": {"Variables": {"A": "b"}},
            },
        ),
        ("lambda", "GetFunction", {"FunctionName": "f", "Qualifier": "1"}),
        ("lambda", "ListFunctions", {"MaxItems": 3}),
    ],
)
def test_what_a_client_sends_arrives(
    service: str, operation: str, parameters: dict[str, Any]
) -> None:
    assert received(service, operation, parameters) == parameters


def test_bytes_that_are_the_body_are_left_in_it() -> None:
    assert has_bytes_for_payload(api("sagemaker-runtime").operation("InvokeEndpoint"))
    assert has_bytes_for_payload(api("lambda").operation("Invoke"))
    assert not has_bytes_for_payload(api("lambda").operation("CreateFunction"))
    found = received(
        "sagemaker-runtime",
        "InvokeEndpoint",
        {"EndpointName": "a b", "ContentType": "text/csv", "Body": b"1,2"},
    )
    assert found == {"EndpointName": "a b", "ContentType": "text/csv"}


@pytest.mark.parametrize(
    ("service", "operation", "members"),
    [
        (
            "sagemaker",
            "DescribeEndpoint",
            {
                "EndpointName": "iris",
                "EndpointArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/iris",
                "EndpointStatus": "InService",
                "CreationTime": NOON,
                "LastModifiedTime": NOON,
                "ProductionVariants": [{"VariantName": "AllTraffic", "CurrentWeight": 0.5}],
            },
        ),
        (
            "iam",
            "SimulatePrincipalPolicy",
            {
                "EvaluationResults": [
                    {
                        "EvalActionName": "s3:<PutObject>",
                        "EvalDecision": "allowed",
                        "MissingContextValues": [],
                        "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": True},
                    }
                ],
                "IsTruncated": False,
            },
        ),
        ("sts", "GetCallerIdentity", {"UserId": "U", "Account": "1", "Arn": "a"}),
        ("sts", "AssumeRole", {"Credentials": {"AccessKeyId": "A", "Expiration": NOON}}),
        (
            "lambda",
            "GetFunctionConfiguration",
            {"FunctionName": "f", "Timeout": 3, "Environment": {"Variables": {"A": "b"}}},
        ),
        ("sns", "GetTopicAttributes", {"Attributes": {"a": "b & c"}}),
        ("logs", "GetLogEvents", {"events": [{"timestamp": 1, "message": "é\n"}]}),
    ],
)
def test_what_is_answered_arrives(service: str, operation: str, members: dict[str, Any]) -> None:
    assert sent(service, operation, members) == members


def test_headers_and_status_of_an_answer_are_members() -> None:
    described = api("lambda")
    answer = answer_of(
        described.operation("Invoke"),
        "rest-json",
        {"StatusCode": 202, "FunctionError": "Unhandled", "Payload": b"{}"},
        request_id="id",
    )

    assert (answer.status, answer.body) == (202, b"{}")
    assert answer.headers["X-Amz-Function-Error"] == "Unhandled"


def test_a_member_that_the_operation_does_not_have_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="no Arm in its output"):
        answer_of(api("sts").operation("GetCallerIdentity"), "query", {"Arm": "a"}, request_id="id")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"1",
        b"\xff",
        b"[" * 100_000,
        b'{"MaxResults": "5"}',
        b'{"MaxResults": true}',
        b'{"MaxResults": 1.5}',
        b'{"NameContains": {}}',
        b'{"CreationTimeAfter": "yesterday"}',
        b'{"CreationTimeAfter": 1e400}',
        b'{"CreationTimeAfter": []}',
    ],
)
def test_what_is_not_as_described_is_refused(body: bytes) -> None:
    with pytest.raises(AwsError) as refused:
        parameters_of(
            api("sagemaker").operation("ListModels"),
            "json",
            headers={},
            labels={},
            arguments={},
            body=body,
        )
    assert refused.value.code == "SerializationException"
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("protocol", "service", "operation", "arguments"),
    [
        ("query", "iam", "ListRoles", {"MaxItems": ["many"]}),
        ("rest-json", "lambda", "ListFunctions", {"MaxItems": ["1e5"]}),
    ],
)
def test_text_that_is_not_a_number_is_refused(
    protocol: Protocol, service: str, operation: str, arguments: dict[str, list[str]]
) -> None:
    with pytest.raises(AwsError, match="Number"):
        parameters_of(
            api(service).operation(operation),
            protocol,
            headers={},
            labels={},
            arguments=arguments,
            body=b"",
        )


def test_members_that_nobody_described_are_passed_over() -> None:
    found = parameters_of(
        api("sagemaker").operation("ListModels"),
        "json",
        headers={},
        labels={},
        arguments={},
        body=b'{"New": 1, "MaxResults": 3, "NameContains": null}',
    )

    assert found == {"MaxResults": 3}
