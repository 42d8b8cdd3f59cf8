"""The endpoint in this process, asked by clients that nobody here wrote: boto3 and plain HTTP."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from devkit.local_aws.identity import ROLE_ARN, ROLE_NAME
from devkit.local_aws.server import LocalAws, Options
from devkit.local_aws.services import Call, Handler, Result, StatelessService, Surroundings

ONCE = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})


def client(aws: LocalAws, service: str, *, key: str = "test", **more: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=aws.url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key="test",
        config=ONCE,
        **more,
    )


class Greeter(StatelessService):
    """A live service: what SageMaker's runtime would be, and a bit of its control plane."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.url = ""
        self.events: list[str] = []

    @property
    def operations(self) -> Mapping[str, Handler]:
        return {
            "ListModels": self._list_models,
            "CreateModel": self._create_model,
            "InvokeEndpoint": self._invoke_endpoint,
        }

    async def start(self, surroundings: Surroundings) -> None:
        self.url = surroundings.url
        self.events.append("start")

    async def reset(self) -> None:
        self.events.append("reset")

    async def stop(self) -> None:
        self.events.append("stop")

    async def _list_models(self, call: Call) -> Result:
        return Result(members={"Models": [], "NextToken": f"{call.parameters['MaxResults']}"})

    async def _create_model(self, call: Call) -> Result:
        who = await call.backend.ask("iam", "GetRole", {"RoleName": ROLE_NAME})
        return Result(members={"ModelArn": who["Role"]["Arn"] + call.parameters["ModelName"]})

    async def _invoke_endpoint(self, call: Call) -> Result:
        async def echo() -> AsyncGenerator[bytes, None]:
            async for chunk in call.body:
                yield chunk.upper()

        return Result(headers={"Content-Type": "text/plain"}, stream=echo())


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    services = (Greeter("sagemaker"), Greeter("sagemaker-runtime"))
    with LocalAws(Options(services=services)) as aws:
        yield aws


# --- who answers --------------------------------------------------------------------------------


def test_moto_answers_in_every_protocol(aws: LocalAws) -> None:
    assert client(aws, "sqs").create_queue(QueueName="q")["QueueUrl"].startswith(aws.url)
    assert client(aws, "ecr").create_repository(repositoryName="models")["repository"]
    assert client(aws, "sns").create_topic(Name="t")["TopicArn"].endswith(":t")
    assert client(aws, "ec2").describe_vpcs()["Vpcs"]
    assert client(aws, "apigatewayv2").create_api(Name="a", ProtocolType="HTTP")["ApiId"]
    assert client(aws, "route53").list_hosted_zones()["HostedZones"] == []
    assert client(aws, "cloudwatch").list_metrics()["Metrics"] == []


def test_objects_go_both_ways_and_in_parts(aws: LocalAws) -> None:
    s3 = client(aws, "s3")
    s3.create_bucket(Bucket="bucket")
    content = bytes(range(256)) * 80_000

    s3.upload_fileobj(io.BytesIO(content), "bucket", "a folder/é")

    assert s3.get_object(Bucket="bucket", Key="a folder/é")["Body"].read() == content
    part = s3.get_object(Bucket="bucket", Key="a folder/é", Range="bytes=256-511")
    assert part["Body"].read() == bytes(range(256))
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket="bucket", Key="none")


def test_a_live_service_is_given_parameters_and_gives_members(aws: LocalAws) -> None:
    assert client(aws, "sagemaker").list_models(MaxResults=7)["NextToken"] == "7"


def test_a_live_service_can_ask_moto(aws: LocalAws) -> None:
    created = client(aws, "sagemaker").create_model(ModelName="m", ExecutionRoleArn=ROLE_ARN)

    assert created["ModelArn"] == f"{ROLE_ARN}m"


def test_a_live_services_requests_are_checked(aws: LocalAws) -> None:
    with pytest.raises(ClientError) as refused:
        client(aws, "sagemaker").create_model(ModelName="no_good", ExecutionRoleArn="x" * 2049)

    error = refused.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith("3 validation errors detected: Value 'no_good' at 'modelN")


def test_a_live_service_streams_both_ways(aws: LocalAws) -> None:
    port = int(aws.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(
            b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        )
        answer = connection.makefile("rb")
        head = []
        while (line := answer.readline().strip()) != b"":
            head.append(line)
        assert head[0] == b"HTTP/1.1 200 OK"
        assert answer.read(8) == b"3\r\nABC\r\n"  # before the request is complete
        connection.sendall(b"2\r\nde\r\n0\r\n\r\n")
        assert answer.read(12) == b"2\r\nDE\r\n0\r\n\r\n"


def test_what_a_live_service_does_not_have_is_motos(aws: LocalAws) -> None:
    assert client(aws, "sagemaker").list_endpoints()["Endpoints"] == []


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("textract", "list_adapters", {}),  # no such service in moto: json
        ("greengrassv2", "list_components", {}),  # rest-json
        ("ec2", "describe_local_gateways", {}),
        ("iam", "get_organizations_access_report", {"JobId": "a" * 36}),
        ("athena", "list_engine_versions", {}),
        ("cloudfront", "list_realtime_log_configs", {}),
        ("lambda", "invoke", {"FunctionName": "f"}),
    ],
)
def test_what_nobody_implements_names_itself_and_is_not_asked_again(
    aws: LocalAws, service: str, operation: str, parameters: dict[str, Any]
) -> None:
    asked = boto3.client(
        service,
        endpoint_url=aws.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    with pytest.raises(ClientError) as refused:
        getattr(asked, operation)(**parameters)

    response = refused.value.response
    name = asked.meta.method_to_api_mapping[operation]
    assert f"{service}.{name} is not implemented" in response["Error"]["Message"]
    assert 400 <= response["ResponseMetadata"]["HTTPStatusCode"] < 500
    assert response["ResponseMetadata"]["RetryAttempts"] == 0


def test_what_trips_moto_is_refused_as_aws_refuses_it(aws: LocalAws) -> None:
    raw = http_request(
        aws,
        "POST",
        "/",
        b"{}",
        {"X-Amz-Target": "Logs_20140328.CreateLogGroup", **authorization("logs")},
    )

    assert raw[0] == 400
    assert json.loads(raw[1])["__type"] == "ValidationException"
    assert "Value null at 'logGroupName'" in json.loads(raw[1])["message"]


# --- identity -----------------------------------------------------------------------------------


def test_the_caller_is_in_a_session_of_a_role_that_trusts_sagemaker(aws: LocalAws) -> None:
    caller = client(aws, "sts").get_caller_identity()
    name = caller["Arn"].split("/")[1]
    role = client(aws, "iam").get_role(RoleName=name)["Role"]

    assert caller["Account"] == "123456789012"
    assert caller["Arn"] == f"arn:aws:sts::123456789012:assumed-role/{ROLE_NAME}/devkit"
    assert caller["UserId"] == f"{role['RoleId']}:devkit"
    trust = role["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}


def test_a_user_with_keys_of_its_own_is_itself(aws: LocalAws) -> None:
    iam = client(aws, "iam")
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]["AccessKeyId"]

    assert client(aws, "sts", key=key).get_caller_identity()["Arn"].endswith(":user/ann")


def test_an_assumed_role_is_itself(aws: LocalAws) -> None:
    assumed = client(aws, "sts").assume_role(RoleArn=ROLE_ARN, RoleSessionName="mine")
    key = assumed["Credentials"]["AccessKeyId"]

    arn = client(aws, "sts", key=key).get_caller_identity()["Arn"]

    assert arn == f"arn:aws:sts::123456789012:assumed-role/{ROLE_NAME}/mine"


def test_a_presigned_url_names_the_caller(aws: LocalAws) -> None:
    url = client(aws, "sts").generate_presigned_url("get_caller_identity")

    status, body = http_request(aws, "GET", url.removeprefix(aws.url))

    assert status == 200
    assert b":assumed-role/" in body


def test_policies_of_a_role_are_evaluated(aws: LocalAws) -> None:
    iam = client(aws, "iam")
    trust = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*"}]})
    arn = iam.create_role(RoleName="trainer", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    managed = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
    iam.attach_role_policy(RoleName="trainer", PolicyArn=managed)

    found = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["sagemaker:CreateTrainingJob", "sqs:SendMessage"]
    )["EvaluationResults"]

    assert [each["EvalDecision"] for each in found] == ["allowed", "implicitDeny"]
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.simulate_principal_policy(PolicySourceArn=f"{arn}x", ActionNames=["s3:GetObject"])


# --- who is answered ----------------------------------------------------------------------------


def http_request(
    aws: LocalAws,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    port = int(aws.url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def authorization(service: str) -> dict[str, str]:
    scope = f"test/20260101/us-east-1/{service}/aws4_request"
    return {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    }


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "example.com"},
        {"Host": "sts.amazonaws.com"},
        {"Origin": "https://example.com"},
        {"Origin": "null"},
    ],
)
def test_a_web_page_cannot_ask(aws: LocalAws, headers: dict[str, str]) -> None:
    for path in ("/", "/moto-api/reset", "/_devkit/status"):
        status, body = http_request(
            aws, "POST", path, b"{}", {**headers, **authorization("sagemaker")}
        )
        assert status == 403
        assert b"AccessDenied" in body or b"message" in body


@pytest.mark.parametrize("host", ["localhost", "sts.us-east-1.localhost.localstack.cloud:4566"])
def test_other_names_of_this_machine_are_answered(aws: LocalAws, host: str) -> None:
    status, _ = http_request(
        aws,
        "POST",
        "/",
        b"Action=GetCallerIdentity&Version=2011-06-15",
        {"Host": host, "Content-Type": "application/x-www-form-urlencoded", **authorization("sts")},
    )

    assert status == 200


def test_a_connection_is_kept(aws: LocalAws) -> None:
    port = int(aws.url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    sockets = set()
    for _ in range(3):
        connection.request("GET", "/_devkit/status")
        connection.getresponse().read()
        assert connection.sock is not None
        sockets.add(connection.sock.getsockname())
    connection.close()

    assert len(sockets) == 1


def test_it_listens_on_loopback_alone(aws: LocalAws) -> None:
    port = int(aws.url.rpartition(":")[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; tells the address of this machine
        address = probe.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("this machine has no other address")

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, port), timeout=5)


# --- life -----------------------------------------------------------------------------------------


def test_a_reset_empties_all_but_the_execution_role(aws: LocalAws) -> None:
    iam = client(aws, "iam")
    iam.create_user(UserName="gone")
    before = iam.get_role(RoleName=ROLE_NAME)["Role"]["RoleId"]

    assert http_request(aws, "POST", "/moto-api/reset")[0] == 200

    assert iam.list_users()["Users"] == []
    assert iam.get_role(RoleName=ROLE_NAME)["Role"]["RoleId"] == before


def test_moto_does_not_leave_the_machine(aws: LocalAws) -> None:
    topic = client(aws, "sns").create_topic(Name="far")["TopicArn"]
    client(aws, "sns").subscribe(
        TopicArn=topic, Protocol="http", Endpoint="http://192.0.2.99:9/hook"
    )

    with pytest.raises(ClientError, match=r"does not contact 192\.0\.2\.99"):
        client(aws, "sns").publish(TopicArn=topic, Message="m")


def test_moto_does_reach_this_machine(aws: LocalAws) -> None:
    received: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        answering = threading.Thread(target=server.handle_request)
        answering.start()
        sns = client(aws, "sns")
        topic = sns.create_topic(Name="near")["TopicArn"]
        endpoint = f"http://127.0.0.1:{server.server_port}/hook"
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint)
        sns.publish(TopicArn=topic, Message="hello")
        answering.join(30)

    assert b"hello" in received[0]
