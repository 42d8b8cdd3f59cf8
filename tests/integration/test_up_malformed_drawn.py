"""Malformed requests, drawn by hypothesis with a fixed seed: each gets a 4xx in AWS's form.

What is drawn here is wrong for certain; ``test_up_malformed`` damages requests at random, and so
that some remain sound.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devkit.local_aws.server import LocalAws
from tests.integration.live_services import live_aws

COUNT = 400
PATIENCE_S = 30
JSON_1_1 = ("Content-Type", "application/x-amz-json-1.1")
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as it is sent, with its ``Content-Length`` where that is told otherwise."""

    service: str
    method: str = "POST"
    path: str = "/"
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    length: str | None = None
    hosts: Sequence[str] = ("127.0.0.1",)
    version: str = "HTTP/1.1"

    @property
    def sent(self) -> bytes:
        scope = f"Credential=test/20260101/us-east-1/{self.service}/aws4_request"
        lines = [
            f"{self.method} {self.path} {self.version}",
            *(f"Host: {host}" for host in self.hosts),
            f"Authorization: AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
            *(f"{name}: {value}" for name, value in self.headers),
            f"Content-Length: {len(self.body) if self.length is None else self.length}",
        ]
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + self.body


@dataclass(frozen=True, kw_only=True)
class Json:
    """An operation whose request is a JSON document; of a live service, or of moto's."""

    service: str
    target: str
    members: Mapping[str, Any]
    names: Sequence[str] = ()
    """Members that are names, and as such have to be of a pattern."""
    live: bool = False

    def request(self, members: Any = None, target: str | None = None) -> Request:
        document = self.members if members is None else members
        headers = (JSON_1_1, ("X-Amz-Target", self.target if target is None else target))
        return Request(service=self.service, headers=headers, body=json.dumps(document).encode())


def query(service: str, version: str, action: str, **parameters: str) -> Request:
    body = urlencode({"Action": action, "Version": version, **parameters}).encode()
    return Request(service=service, headers=(FORM,), body=body)


def sagemaker(operation: str, *names: str, **members: Any) -> Json:
    target = f"SageMaker.{operation}"
    return Json(service="sagemaker", target=target, members=members, names=names, live=True)


def of_moto(service: str, target: str, **members: Any) -> Json:
    return Json(service=service, target=target, members=members)


LIVE = (
    sagemaker(
        *("CreateModel", "ModelName"),
        ModelName="m",
        PrimaryContainer={"Image": "i"},
        ExecutionRoleArn=ROLE,
    ),
    sagemaker("DescribeModel", "ModelName", ModelName="m"),
    sagemaker("ListModels", MaxResults=5, NameContains="m"),
    sagemaker("ListEndpointConfigs", SortBy="Name", SortOrder="Ascending"),
    sagemaker(
        *("CreateEndpointConfig", "EndpointConfigName"),
        EndpointConfigName="c",
        ProductionVariants=[{"VariantName": "v", "ModelName": "m"}],
    ),
    sagemaker("DeleteEndpointConfig", "EndpointConfigName", EndpointConfigName="c"),
    sagemaker("AddTags", ResourceArn=ROLE, Tags=[{"Key": "k", "Value": "v"}]),
)
MOTOS = (
    of_moto("logs", "Logs_20140328.CreateLogGroup", logGroupName="g"),
    of_moto("dynamodb", "DynamoDB_20120810.GetItem", TableName="t", Key={"k": {"S": "v"}}),
    of_moto("sqs", "AmazonSQS.SendMessage", QueueUrl="q", MessageBody="m"),
    of_moto("secretsmanager", "secretsmanager.CreateSecret", Name="s"),
    of_moto("ecr", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories", maxResults=5),
)
QUERIES = (
    query("sts", "2011-06-15", "GetCallerIdentity"),
    query("sts", "2011-06-15", "AssumeRole", RoleArn=ROLE, RoleSessionName="s"),
    query("iam", "2010-05-08", "CreateRole", RoleName="r", AssumeRolePolicyDocument="{}"),
    query("sns", "2010-03-31", "CreateTopic", Name="t"),
    query("ec2", "2016-11-15", "RunInstances", ImageId="ami-1", MinCount="1", MaxCount="1"),
)
DOCUMENTS = (
    Request(service="lambda", path="/2015-03-31/functions", headers=(JSON,), body=b'{"a": {}}'),
    Request(service="apigateway", path="/v2/apis", headers=(JSON,), body=b'{"name": "a"}'),
    Request(service="apigateway", path="/restapis", headers=(JSON,), body=b'{"name": "a"}'),
    Request(service="s3", path="/bucket?delete", body=b"<Delete><Quiet>true</Quiet></Delete>"),
    Request(
        service="s3",
        method="PUT",
        path="/bucket/key",
        body=b"{an object}",
    ),
    Request(
        service="s3",
        method="PUT",
        path="/bucket?tagging",
        body=b"<Tagging><TagSet></TagSet></Tagging>",
    ),
    Request(service="cloudfront", path="/2020-05-31/distribution", body=b"<DistributionConfig/>"),
)
SOUND = (*(each.request() for each in (*LIVE, *MOTOS)), *QUERIES, *DOCUMENTS)

printable = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), max_size=20)
WRONG_FOR: Mapping[type, Sequence[Any]] = {
    str: (5, -1.5, True, [], {}, ["a"], {"a": "b"}),
    int: ("five", [], {}, True, 1.5),
    list: ("a", 5, {}, {"a": []}, [5], [[]], ["a"]),
    dict: ("a", 5, [], [{}], True),
}


@st.composite
def of_the_wrong_type(draw: st.DrawFn) -> Request:
    """A member that is there has a value of another type than the description's."""
    operation = draw(st.sampled_from([each for each in LIVE if each.members]))
    name = draw(st.sampled_from(sorted(operation.members)))
    wrong = draw(st.sampled_from(WRONG_FOR[type(operation.members[name])]))
    return operation.request({**operation.members, name: wrong})


@st.composite
def badly_named(draw: st.DrawFn) -> Request:
    """A name that no resource can have."""
    operation = draw(st.sampled_from([each for each in LIVE if each.names]))
    name = draw(st.sampled_from(operation.names))
    bad = draw(
        st.sampled_from(("", "-", "a_b", "a b", "ü", "../a", "a" * 300))
        | printable.filter(lambda text: not re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", text))
    )
    return operation.request({**operation.members, name: bad})


@st.composite
def in_a_bad_bucket(draw: st.DrawFn) -> Request:
    """S3's names."""
    bucket = draw(st.sampled_from(("A", "ab", "x" * 64, "x" * 300)))
    return Request(service="s3", method="PUT", path=f"/{quote(bucket)}")


@st.composite
def cut_off(draw: st.DrawFn) -> Request:
    """A document that ends in the middle, or a body that is shorter than was said."""
    whole = draw(st.sampled_from([each for each in SOUND if each.body[:1] in (b"{", b"<")]))
    body = whole.body[: draw(st.integers(1, len(whole.body) - 1))]
    if draw(st.booleans()):
        return replace(whole, body=body, length=str(len(whole.body)))
    return replace(whole, body=body)


@st.composite
def no_document(draw: st.DrawFn) -> Request:
    """Bytes where a document has to be."""
    whole = draw(st.sampled_from([each for each in SOUND if each.body[:1] in (b"{", b"<")]))
    garbage = draw(st.binary(min_size=1, max_size=200))
    return replace(whole, body=b"\xff" + garbage)


@st.composite
def of_no_operation(draw: st.DrawFn) -> Request:
    """A target, an action or a path that there is not."""
    word = draw(st.from_regex(r"[A-Za-z]{1,20}", fullmatch=True))
    json_operation = draw(st.sampled_from((*LIVE, *MOTOS)))
    prefix = json_operation.target.partition(".")[0]
    target = draw(st.sampled_from((f"{prefix}.No{word}", f"{prefix}.", "", f"No{word}.X", "a.b.c")))
    wrong_target = json_operation.request(target=target)
    form = draw(st.sampled_from(QUERIES))
    wrong_action = replace(
        form, body=re.sub(rb"Action=\w+", f"Action=No{word}".encode(), form.body)
    )
    rest = draw(st.sampled_from([each for each in DOCUMENTS if each.service != "s3"]))
    wrong_path = replace(rest, path=f"/no-{word}{rest.path}")
    return draw(st.sampled_from((wrong_target, wrong_action, wrong_path)))


@st.composite
def with_a_huge_head(draw: st.DrawFn) -> Request:
    """Headers, or a target, beyond what any server reads."""
    whole = draw(st.sampled_from(SOUND))
    size = draw(st.integers(70_000, 200_000))
    if draw(st.booleans()):
        return replace(whole, path=f"{whole.path}?{'a' * size}")
    return replace(whole, headers=(*whole.headers, ("X-Huge", "a" * size)))


@st.composite
def no_http(draw: st.DrawFn) -> Request:
    """A head that breaks HTTP's rules."""
    whole = draw(st.sampled_from(SOUND))
    return draw(
        st.sampled_from(
            (
                replace(whole, hosts=()),
                replace(whole, hosts=("127.0.0.1", "127.0.0.1")),
                replace(whole, hosts=("example.com",)),
                replace(whole, length="-1"),
                replace(whole, length="five"),
                replace(whole, version="HTTP/9.9"),
                replace(whole, method="G(ET"),
                replace(whole, headers=(*whole.headers, ("Bad Name", "a"))),
                replace(whole, headers=(*whole.headers, ("X-Control", "a\x00b"))),
                replace(whole, headers=(*whole.headers, ("Transfer-Encoding", "chunked"))),
                replace(whole, headers=(*whole.headers, ("Expect", "a-miracle"))),
                replace(whole, headers=(*whole.headers, ("Origin", "https://example.com"))),
            )
        )
    )


malformed = st.one_of(
    of_the_wrong_type(),
    badly_named(),
    in_a_bad_bucket(),
    cut_off(),
    no_document(),
    of_no_operation(),
    with_a_huge_head(),
    no_http(),
)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def error(self) -> tuple[str, str]:
        """Code and message, in whichever of AWS's forms they are."""
        if "json" in self.headers.get("content-type", ""):
            document = json.loads(self.body)
            code = self.headers.get("x-amzn-errortype") or document.get("__type", "")
            return code, document.get("message") or document.get("Message", "")
        root = ET.fromstring(self.body)
        named = {each.tag.rpartition("}")[2]: each.text or "" for each in root.iter()}
        return named.get("Code", ""), named.get("Message", "")


def answer(aws: LocalAws, sent: bytes) -> Answer:
    """What comes of these bytes, after which nothing is sent any more."""
    with socket.create_connection(
        ("127.0.0.1", int(aws.url.rpartition(":")[2])), timeout=PATIENCE_S
    ) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has been refused already; the answer is there
        received = bytearray()
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Answer(int(status.split()[1]), {k.lower(): v for k, v in headers.items()}, body)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    with live_aws(tmp_path_factory.mktemp("s3")) as aws:
        aws.wait_for_moto()
        yield aws


def test_what_they_are_made_of_is_understood(aws: LocalAws) -> None:
    answers = [answer(aws, request.sent) for request in SOUND]

    assert max(each.status for each in answers) < 500
    assert sum(each.status < 300 for each in answers) >= len(SOUND) / 3


@settings(
    max_examples=COUNT,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(request=malformed)
def test_malformed_requests_are_refused_as_aws_does(aws: LocalAws, request: Request) -> None:
    refused = answer(aws, request.sent)

    assert 400 <= refused.status < 500
    assert all(refused.error), refused
    assert answer(aws, QUERIES[0].sent).status == 200
