"""Endpoints of the local AWS with the user's containers behind them, on both engines, by boto3."""

from __future__ import annotations

import io
import json
import signal
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.integration.kit import HEAD, SERVER, Project, Running, eventually

ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
URI = "123456789012.dkr.ecr.us-east-1.amazonaws.com/hosted:dev"
CONFIG = '[image]\ntag = "hosted:dev"\n'
GROUP = "/aws/sagemaker/Endpoints/demo"

HOSTED = (
    SERVER
    + """
import time

class Hosted(Handler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        say("asked")
        if body == b"fail":
            return self.answer(b"no such column", "text/plain", 500)
        if body == b"stream":
            return self.stream()
        if body == b"who":
            return self.answer((MODEL / "weights").read_bytes(), "text/plain")
        if body == b"aws":
            return self.answer(self.ask_aws(), "text/plain")
        if body == b"die":
            os._exit(9)
        self.send_response(200)
        for name in ("Content-Type", "X-Amzn-SageMaker-Custom-Attributes"):
            if self.headers[name]:
                self.send_header(name, self.headers[name])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def ask_aws(self):
        import urllib.request
        url = os.environ["AWS_ENDPOINT_URL"] + "/_devkit/status"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.status).encode()
        except OSError as error:
            return str(error).encode()

    def stream(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (b"one ", b"two ", b"three"):
            self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(part), part))
            self.wfile.flush()
        self.wfile.write(b"0\\r\\n\\r\\n")

if not (MODEL / "weights").exists():
    say("there are no weights")
    sys.exit(3)

import socketserver
class Threaded(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True
HTTPServer = Threaded
serve(Hosted)
"""
)
"""A server that answers with what it is sent, or with what it is asked for."""


@dataclass
class Aws:
    """Clients of a local AWS that is up."""

    running: Running
    url: str

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def __post_init__(self) -> None:
        self.sagemaker, self.runtime = self.client("sagemaker"), self.client("sagemaker-runtime")
        self.s3, self.logs = self.client("s3"), self.client("logs")

    def model(self, name: str, weights: bytes | None = b"42") -> None:
        """A model whose archive has these weights, or none."""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as tar:
            if weights is not None:
                member = tarfile.TarInfo("weights")
                member.size = len(weights)
                tar.addfile(member, io.BytesIO(weights))
        self.s3.put_object(Bucket="models", Key=f"{name}/model.tar.gz", Body=content.getvalue())
        container = {"Image": URI, "ModelDataUrl": f"s3://models/{name}/model.tar.gz"}
        self.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container
        )

    def configure(self, name: str, models: dict[str, str], **more: Any) -> None:
        """A configuration with a model for each variant."""
        variants = [
            {
                "VariantName": variant,
                "ModelName": model,
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
            }
            for variant, model in models.items()
        ]
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=variants, **more
        )

    def create(self, config: str) -> None:
        """The endpoint ``demo``, in service."""
        self.sagemaker.create_endpoint(EndpointName="demo", EndpointConfigName=config)
        self.await_service()

    def await_service(self) -> None:
        waiter = self.sagemaker.get_waiter("endpoint_in_service")
        waiter.wait(EndpointName="demo", WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})

    def status(self) -> str:
        return str(self.sagemaker.describe_endpoint(EndpointName="demo")["EndpointStatus"])

    def ask(self, body: bytes, **members: Any) -> bytes:
        answer = self.runtime.invoke_endpoint(EndpointName="demo", Body=body, **members)
        return bytes(answer["Body"].read())

    def lines(self) -> list[str]:
        """What the endpoint's containers wrote, as CloudWatch has it."""
        streams = self.logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
        return [
            event["message"]
            for stream in streams
            for event in self.logs.get_log_events(
                logGroupName=GROUP, logStreamName=stream["logStreamName"]
            )["events"]
        ]


@contextmanager
def up(project: Project) -> Iterator[Aws]:
    """``devkit up`` for the length of the block."""
    with project.start("up", "--port", "0") as running:
        running.wait_for("\n", "out")
        url = json.loads((project.store / "local-aws" / "endpoint.json").read_text())["url"]
        yield Aws(running, str(url))
        if running.process.poll() is None:
            running.ctrl_c()
            assert running.finish().code == 130


@pytest.fixture
def aws(project: Project) -> Iterator[Aws]:
    project.write(serve=HOSTED, config=CONFIG)
    with up(project) as aws:
        aws.s3.create_bucket(Bucket="models")
        yield aws


def test_a_model_is_hosted_invoked_and_deleted(project: Project, aws: Aws) -> None:
    aws.model("one")
    aws.configure("one", {"AllTraffic": "one"})
    aws.create("one")

    answer = aws.runtime.invoke_endpoint(
        EndpointName="demo",
        Body=b'{"x": 1}',
        ContentType="application/json",
        CustomAttributes="trace=1",
    )
    assert json.loads(answer["Body"].read()) == {"x": 1}
    assert answer["ContentType"] == "application/json"
    assert answer["CustomAttributes"] == "trace=1"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert aws.ask(b"\x00\xff", ContentType="application/octet-stream") == b"\x00\xff"
    assert aws.ask(b"who") == b"42"
    if project.engine == "docker":  # a server of the process engine has no way out
        assert aws.ask(b"aws") == b"200"

    with pytest.raises(ClientError) as failed:
        aws.ask(b"fail")
    response: Any = failed.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == 500
    assert response["OriginalMessage"] == "no such column"
    assert response["LogStreamArn"].endswith(GROUP)

    stream = aws.runtime.invoke_endpoint_with_response_stream(EndpointName="demo", Body=b"stream")
    parts = [event["PayloadPart"]["Bytes"] for event in stream["Body"]]
    assert b"".join(parts) == b"one two three"

    (run,) = project.devkit("ps", "--json").succeeded().document["runs"]
    assert (run["status"], run["note"]) == ("InService", f"{aws.url}/endpoints/demo")
    invoked = project.devkit("invoke", "--server", run["name"], "--data", "who").succeeded()
    assert invoked.out.strip() == "42"
    project.devkit("stop", run["name"]).failed(1, "is that of an endpoint")
    assert "listening" in project.devkit("logs", run["name"]).succeeded().out
    eventually(lambda: "asked" in aws.lines(), aws.lines)

    aws.sagemaker.delete_endpoint(EndpointName="demo")
    waiter = aws.sagemaker.get_waiter("endpoint_deleted")
    waiter.wait(EndpointName="demo", WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})
    with pytest.raises(ClientError, match="Endpoint demo of account 123456789012 not found"):
        aws.ask(b"1")
    assert project.containers() == []


def test_two_variants_share_by_weight_and_are_asked_by_name(aws: Aws) -> None:
    aws.model("one", b"one")
    aws.model("two", b"two")
    aws.configure("both", {"blue": "one", "green": "two"})
    aws.create("both")
    assert sorted(aws.ask(b"who") for _ in range(4)) == [b"one", b"one", b"two", b"two"]
    assert aws.ask(b"who", TargetVariant="green") == b"two"
    aws.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="demo",
        DesiredWeightsAndCapacities=[{"VariantName": "blue", "DesiredWeight": 0}],
    )
    aws.await_service()
    assert [aws.ask(b"who") for _ in range(3)] == [b"two"] * 3


def test_no_request_fails_while_an_update_goes_on_and_a_broken_one_changes_nothing(
    aws: Aws,
) -> None:
    aws.model("one", b"one")
    aws.model("two", b"two")
    aws.model("none", None)
    for name in ("one", "two", "none"):
        aws.configure(name, {"AllTraffic": name})
    aws.create("one")

    answers: list[bytes | Exception] = []
    over = threading.Event()

    def keep_asking() -> None:
        while not over.is_set():
            try:
                answers.append(aws.ask(b"who"))
            except Exception as error:
                answers.append(error)

    client = threading.Thread(target=keep_asking)
    client.start()
    try:
        eventually(lambda: b"one" in answers, "nothing is answered")
        aws.sagemaker.update_endpoint(EndpointName="demo", EndpointConfigName="two")
        aws.await_service()
        eventually(lambda: answers[-1] == b"two", lambda: answers[-1])
    finally:
        over.set()
        client.join()
    assert set(answers) == {b"one", b"two"}

    aws.sagemaker.update_endpoint(EndpointName="demo", EndpointConfigName="none")
    assert aws.status() == "Updating"
    aws.await_service()
    described = aws.sagemaker.describe_endpoint(EndpointName="demo")
    assert described["EndpointConfigName"] == "two"
    assert "did not pass the ping health check" in described["FailureReason"]
    assert aws.ask(b"who") == b"two"
    eventually(lambda: "there are no weights" in aws.lines(), aws.lines)


def test_a_server_that_does_not_start_fails_the_endpoint(project: Project, aws: Aws) -> None:
    aws.model("none", None)
    aws.configure("none", {"AllTraffic": "none"})
    aws.sagemaker.create_endpoint(EndpointName="demo", EndpointConfigName="none")
    eventually(lambda: aws.status() == "Failed", aws.status)
    reason = aws.sagemaker.describe_endpoint(EndpointName="demo")["FailureReason"]
    assert reason.startswith(
        "The primary container for production variant AllTraffic did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint."
    )
    assert "exit code 3" in reason
    eventually(lambda: "there are no weights" in aws.lines(), aws.lines)
    logged = project.devkit("logs", project.server().name).succeeded()
    assert "there are no weights" in logged.out


def test_an_asynchronous_invocation_goes_through_s3(aws: Aws) -> None:
    sns, sqs = aws.client("sns"), aws.client("sqs")
    topic = sns.create_topic(Name="done")["TopicArn"]
    queue = sqs.create_queue(QueueName="done")["QueueUrl"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint="arn:aws:sqs:us-east-1:123456789012:done",
        Attributes={"RawMessageDelivery": "true"},
    )
    aws.model("one")
    output = {
        "S3OutputPath": "s3://models/out",
        "S3FailurePath": "s3://models/bad",
        "NotificationConfig": {"SuccessTopic": topic, "ErrorTopic": topic},
    }
    aws.configure("async", {"AllTraffic": "one"}, AsyncInferenceConfig={"OutputConfig": output})
    aws.create("async")
    with pytest.raises(ClientError, match="InvokeEndpointAsync only"):
        aws.ask(b"1")

    def answered(location: str) -> bool:
        key = location.removeprefix("s3://models/")
        return "Contents" in aws.s3.list_objects_v2(Bucket="models", Prefix=key)

    aws.s3.put_object(Bucket="models", Key="in/1", Body=b"1,2")
    taken = aws.runtime.invoke_endpoint_async(
        EndpointName="demo",
        InputLocation="s3://models/in/1",
        ContentType="text/csv",
        InferenceId="mine",
    )
    assert taken["InferenceId"] == "mine"
    eventually(lambda: answered(taken["OutputLocation"]), "there is no answer")
    key = taken["OutputLocation"].removeprefix("s3://models/")
    assert aws.s3.get_object(Bucket="models", Key=key)["Body"].read() == b"1,2"

    failed = aws.runtime.invoke_endpoint_async(EndpointName="demo", Body=b"fail")
    eventually(lambda: answered(failed["FailureLocation"]), "there is no failure")

    told: list[str] = []

    def both_told() -> bool:
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        bodies = [json.loads(each["Body"]) for each in received.get("Messages", ())]
        told.extend(each.get("invocationStatus", each["eventName"]) for each in bodies)
        return len(told) >= 4

    eventually(both_told, lambda: told)
    assert sorted(told) == ["Completed", "Failed", "TestNotification", "TestNotification"]


def test_a_container_that_dies_is_replaced(aws: Aws) -> None:
    aws.model("one")
    aws.configure("one", {"AllTraffic": "one"})
    aws.create("one")
    with pytest.raises(ClientError, match="ModelError"):
        aws.ask(b"die")

    def answers() -> bool:
        try:
            return aws.ask(b"who") == b"42"
        except ClientError:
            return False

    eventually(answers, "it is not replaced")
    assert aws.status() == "InService"


def test_after_a_kill_endpoints_are_there_again_and_nothing_else_is(project: Project) -> None:
    project.write(serve=HOSTED.replace("sys.exit(3)", "pass"), config=CONFIG)
    with up(project) as aws:
        aws.s3.create_bucket(Bucket="models")
        aws.model("one")
        aws.configure("one", {"AllTraffic": "one"})
        aws.create("one")
        assert aws.ask(b"1") == b"1"
        before = project.server()
        aws.running.send(signal.SIGKILL)
        aws.running.finish()

    with up(project) as again:
        again.await_service()
        assert again.ask(b"2") == b"2"
        eventually((before / "outcome.json").exists, "the old run is not finished")
        assert len(project.containers()) == (1 if project.engine == "docker" else 0)


def test_an_endpoint_whose_model_is_gone_fails_when_it_is_brought_back(project: Project) -> None:
    project.write(serve=HOSTED, config=CONFIG)
    with up(project) as aws:
        aws.s3.create_bucket(Bucket="models")
        aws.model("one")
        aws.configure("one", {"AllTraffic": "one"})
        aws.create("one")
        aws.s3.delete_object(Bucket="models", Key="one/model.tar.gz")

    with up(project) as again:
        eventually(lambda: again.status() == "Failed", again.status)
        described = again.sagemaker.describe_endpoint(EndpointName="demo")
        assert "Could not find model data at s3://models/one" in described["FailureReason"]


def test_what_comes_up_is_given_up_when_devkit_up_ends(project: Project) -> None:
    project.write(serve=HEAD + 'say("loading")\nwait_for_ever()\n', config=CONFIG)
    with up(project) as aws:
        aws.s3.create_bucket(Bucket="models")
        aws.model("one")
        aws.configure("one", {"AllTraffic": "one"})
        aws.sagemaker.create_endpoint(EndpointName="demo", EndpointConfigName="one")
        eventually(lambda: len(list((project.store / "servers").iterdir())) == 1, "no run")
        eventually((project.server() / "logs" / "instance-1.log").exists, "it does not start")
    assert project.leftovers() == []
