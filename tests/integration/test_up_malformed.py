"""Whatever is sent to the endpoint, the answer is AWS's: a 4xx in the protocol's form, no 5xx.

Requests are made of well-formed ones, by damage that random numbers with a fixed seed choose.
"""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

import pytest

from devkit.local_aws.server import LocalAws

SEED = 20260102
COUNT = 600
_WORDS = (
    "",
    "a",
    "..",
    "%00",
    "%zz",
    "🙂",
    "\x7f",
    "a" * 3000,
    "null",
    "-1",
    "1e999",
    "<x>",
    "{}",
    "[]",
)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    service: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def sound_requests() -> list[Request]:
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def json_request(service: str, target: str, body: object) -> Request:
        kind = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
        return Request("POST", "/", service, kind, json.dumps(body).encode())

    def query(service: str, version: str, action: str, **parameters: str) -> Request:
        body = urlencode({"Action": action, "Version": version, **parameters}).encode()
        return Request("POST", "/", service, form, body)

    rest = {"Content-Type": "application/json"}
    role = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
    return [
        query("sts", "2011-06-15", "GetCallerIdentity"),
        query("sts", "2011-06-15", "AssumeRole", RoleArn=role, RoleSessionName="s"),
        query("iam", "2010-05-08", "CreateRole", RoleName="r", AssumeRolePolicyDocument="{}"),
        query(
            *("iam", "2010-05-08", "SimulatePrincipalPolicy"),
            **{"PolicySourceArn": role, "ActionNames.member.1": "s3:PutObject"},
        ),
        query("ec2", "2016-11-15", "RunInstances", ImageId="ami-1", MinCount="1", MaxCount="1"),
        query("sns", "2010-03-31", "CreateTopic", Name="t"),
        json_request("sagemaker", "SageMaker.ListModels", {"MaxResults": 5}),
        json_request("sagemaker", "SageMaker.CreateModel", {"ModelName": "m", "Tags": []}),
        json_request("logs", "Logs_20140328.CreateLogGroup", {"logGroupName": "g"}),
        json_request("dynamodb", "DynamoDB_20120810.GetItem", {"TableName": "t", "Key": {}}),
        json_request("sqs", "AmazonSQS.SendMessage", {"QueueUrl": "q", "MessageBody": "m"}),
        json_request("ecr", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories", {}),
        json_request("secretsmanager", "secretsmanager.CreateSecret", {"Name": "s"}),
        json_request("textract", "Textract.ListAdapters", {}),
        Request("GET", "/2015-03-31/functions/f", "lambda"),
        Request("POST", "/2015-03-31/functions", "lambda", rest, b'{"FunctionName": "f"}'),
        Request("POST", "/v2/apis", "apigateway", rest, b'{"name": "a", "protocolType": "HTTP"}'),
        Request("POST", "/restapis", "apigateway", rest, b'{"name": "a"}'),
        Request("POST", "/endpoints/e/invocations", "sagemaker", rest, b"{}"),
        Request("PUT", "/bucket-of-ours", "s3"),
        Request("GET", "/bucket-of-ours?list-type=2&max-keys=3", "s3"),
        Request("PUT", "/bucket-of-ours/key", "s3", {}, b"content"),
        Request("POST", "/bucket-of-ours?delete", "s3", {}, b"<Delete></Delete>"),
        Request("GET", "/2013-04-01/hostedzone", "route53"),
        Request("POST", "/2020-05-31/distribution", "cloudfront", {}, b"<DistributionConfig/>"),
    ]


def damaged(dice: random.Random, request: Request) -> Request:
    """A request with one to three things wrong."""
    for _ in range(dice.randint(1, 3)):
        request = dice.choice(_DAMAGE)(dice, request)
    return request


def cut(dice: random.Random, request: Request) -> Request:
    return replace(request, body=request.body[: dice.randint(0, len(request.body))])


def garbage(dice: random.Random, request: Request) -> Request:
    return replace(request, body=dice.randbytes(dice.randint(0, 200)))


def overwritten(dice: random.Random, request: Request) -> Request:
    body = bytearray(request.body)
    for _ in range(min(3, len(body))):
        body[dice.randrange(len(body))] = dice.randrange(256)
    return replace(request, body=bytes(body))


def other_path(dice: random.Random, request: Request) -> Request:
    word = quote(dice.choice(_WORDS), safe="%/.{}")
    return replace(
        request, path=dice.choice((f"{request.path}/{word}", f"/{word}", f"{request.path}?{word}"))
    )


def other_method(dice: random.Random, request: Request) -> Request:
    return replace(
        request, method=dice.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "X"))
    )


def other_header(dice: random.Random, request: Request) -> Request:
    name = dice.choice(
        ("Content-Type", "X-Amz-Target", "smithy-protocol", "Content-Encoding", "X-Amz-Date")
    )
    value = dice.choice(
        (
            "",
            "gzip",
            "application/json",
            "application/x-amz-json-1.0",
            "rpc-v2-cbor",
            "a.b.c",
            "x" * 500,
        )
    )
    return replace(request, headers={**request.headers, name: value})


def other_service(dice: random.Random, request: Request) -> Request:
    names = ("s3", "sagemaker", "iam", "nosuch", "execute-api", "", "../s3", "rds", "lambda")
    return replace(request, service=dice.choice(names))


def other_values(dice: random.Random, request: Request) -> Request:
    """Values of wrong types in what is still JSON."""
    try:
        document = json.loads(request.body)
    except ValueError:
        return garbage(dice, request)
    values: tuple[object, ...] = (
        None,
        1,
        -1,
        1.5,
        True,
        [],
        {},
        [[]],
        {"a": {"b": []}},
        "x" * 3000,
        "🙂",
    )
    if isinstance(document, dict) and document:
        document[dice.choice(list(document))] = dice.choice(values)
    else:
        document = dice.choice(values)
    return replace(request, body=json.dumps(document).encode())


_DAMAGE = (
    *(cut, garbage, overwritten, other_path, other_method, other_header, other_service),
    other_values,
)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        aws.wait_for_moto()
        yield aws


def answer(aws: LocalAws, request: Request) -> tuple[int, Mapping[str, str], bytes]:
    scope = f"Credential=test/20260101/us-east-1/{request.service}/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
        **request.headers,
    }
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(aws.url.rpartition(":")[2]), timeout=30
    )
    try:
        connection.request(request.method, request.path, request.body or None, headers)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def is_awss(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether an error is in a form that some protocol of AWS has."""
    del status
    if not body:
        return True
    kind = headers.get("content-type", "")
    if "json" in kind:
        document = json.loads(body)
        return isinstance(document, dict)
    if "cbor" in kind:
        return b"__type" in body
    return ET.fromstring(body).tag.rpartition("}")[2] in ("Error", "ErrorResponse", "Response")


def test_the_requests_that_are_damaged_are_sound(aws: LocalAws) -> None:
    statuses = [answer(aws, request)[0] for request in sound_requests()]

    assert max(statuses) < 500
    assert statuses.count(200) + statuses.count(201) >= 12


def test_damaged_requests_are_answered_as_aws_does(aws: LocalAws) -> None:
    dice = random.Random(SEED)
    requests = sound_requests()
    wrong = []
    for number in range(COUNT):
        request = damaged(dice, dice.choice(requests))
        status, headers, body = answer(aws, request)
        if status >= 500 or (status >= 400 and not is_awss(status, headers, body)):
            wrong.append((number, request, status, headers, body[:200]))
    assert wrong == []
