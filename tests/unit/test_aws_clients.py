"""boto3's clients behind the seam: one way to call, one error, and a remedy for each kind."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import exceptions
from botocore.response import StreamingBody

from devkit.channels.locations import S3Uri
from devkit.targets.aws import AwsClients, is_loopback
from devkit.targets.clients import CallFailed, Clients

PLACE = S3Uri("data", "a/b.csv")


def clients(method: str, act: Callable[..., Any], **meta: str) -> AwsClients:
    """Clients whose every service has one method."""
    made: list[str] = []

    def connect(service: str) -> Any:
        made.append(service)
        assert made.count(service) == 1, "a client is made once"
        return SimpleNamespace(**{method: act}, meta=SimpleNamespace(**meta))

    return AwsClients(connect, region="us-east-1", profile="work")


def raising(error: Exception) -> AwsClients:
    def act(**_: Any) -> Any:
        raise error

    return clients("list_jobs", act)


def refused(code: str, message: str = "said so") -> AwsClients:
    return raising(
        exceptions.ClientError({"Error": {"Code": code, "Message": message}}, "ListJobs")
    )


def failure(failing: AwsClients, service: str = "sagemaker") -> CallFailed:
    with pytest.raises(CallFailed) as error:
        failing.call(service, "ListJobs", {})
    return error.value


def test_an_operation_has_awss_name_and_parameters() -> None:
    asked: list[Any] = []

    def act(**parameters: Any) -> Any:
        asked.append(parameters)
        return {"Jobs": [1], "ResponseMetadata": {"HTTPStatusCode": 200}}

    seam: Clients = clients("list_jobs_v2", act)
    assert seam.call("sagemaker", "ListJobsV2", {"MaxResults": 3}) == {"Jobs": [1]}
    assert asked == [{"MaxResults": 3}]


def test_a_stream_comes_as_bytes() -> None:
    body = StreamingBody(io.BytesIO(b"answer"), 6)
    answer = clients("invoke_endpoint", lambda **_: {"Body": body, "ContentType": "text/plain"})
    assert answer.call("sagemaker-runtime", "InvokeEndpoint", {}) == {
        "Body": b"answer",
        "ContentType": "text/plain",
    }


def test_a_stream_that_breaks_off_is_an_error() -> None:
    body = StreamingBody(io.BytesIO(b"answ"), 6)
    broken = clients("list_jobs", lambda **_: {"Body": body})
    error = failure(broken)
    assert error.code is None
    assert "4 read" in error.reason


def test_the_account_is_asked_once() -> None:
    asked: list[None] = []

    def act() -> Any:
        asked.append(None)
        return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ann"}

    account = clients("get_caller_identity", act)
    assert account.account == account.account == "123456789012"
    assert account.identity.endswith("user/ann")
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ExpiredToken", "have expired. Log in: aws sso login --profile work"),
        ("ExpiredTokenException", "have expired"),
        ("InvalidClientTokenId", "AWS does not take these credentials"),
        ("UnrecognizedClientException", "aws sts get-caller-identity --profile work"),
        ("AccessDeniedException", "let that identity sagemaker:ListJobs"),
        ("ThrottlingException", "wait a minute"),
        ("SlowDown", "wait a minute"),
        ("RequestTimeTooSkewed", "the clock"),
        ("ResourceLimitExceeded", "Service Quotas"),
    ],
)
def test_what_aws_refuses_has_its_code_and_a_remedy(code: str, said: str) -> None:
    error = failure(refused(code))
    assert (error.code, error.reason, error.exit_code) == (code, "said so", 11)
    assert said in (error.remedy or "")


def test_a_permission_is_named_as_policies_do() -> None:
    error = failure(refused("AccessDeniedException"), "sagemaker-runtime")
    assert "let that identity sagemaker:ListJobs" in (error.remedy or "")


def test_any_other_refusal_is_told_as_it_is() -> None:
    error = failure(refused("ValidationException", "1 validation error"))
    assert str(error) == "ListJobs failed: ValidationException: 1 validation error"
    assert error.__cause__ is not None, "what else AWS said is kept"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (exceptions.NoCredentialsError(), "aws configure --profile work"),
        (exceptions.PartialCredentialsError(provider="env", cred_var="x"), "aws sso login"),
        (exceptions.UnauthorizedSSOTokenError(), "aws sso login --profile work"),
        (exceptions.SSOTokenLoadError(error_msg="x"), "aws sso login"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="x"), "aws sso login"),
        (exceptions.CredentialRetrievalError(provider="x", error_msg="x"), "aws sso login"),
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), "has a network"),
        (exceptions.ConnectTimeoutError(endpoint_url="https://x"), "has a network"),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), "has a network"),
        (exceptions.ProxyConnectionError(proxy_url="http://p"), "HTTPS_PROXY"),
        (exceptions.SSLError(endpoint_url="https://x", error="x"), "has a network"),
        (exceptions.NoRegionError(), "set [aws] region"),
    ],
)
def test_where_nobody_answered_there_is_no_code_but_a_remedy(error: Exception, said: str) -> None:
    failed = failure(raising(error))
    assert failed.code is None
    assert said in (failed.remedy or "")


def test_wrong_parameters_and_addresses_are_told() -> None:
    report = exceptions.ParamValidationError(report="Missing: Name")
    assert "Missing: Name" in str(failure(raising(report)))
    assert "Invalid endpoint" in str(failure(raising(ValueError("Invalid endpoint: x"))))


def test_a_file_is_uploaded_as_a_stream(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(b"1,2")
    sent: list[Any] = []

    def act(file: Any, bucket: str, key: str) -> None:
        sent.append((bucket, key, file.read()))

    clients("upload_fileobj", act).upload(tmp_path / "b.csv", PLACE)
    assert sent == [("data", "a/b.csv", b"1,2")]


def test_a_download_is_whole_or_not_there(tmp_path: Path) -> None:
    def gives(_bucket: str, _key: str, file: Any) -> None:
        file.write(b"1,2")

    def breaks_off(_bucket: str, _key: str, file: Any) -> None:
        file.write(b"1")
        raise exceptions.ClientError({"Error": {"Code": "404", "Message": "Not Found"}}, "Head")

    with pytest.raises(CallFailed, match=r"s3://data/a/b\.csv: Not Found"):
        clients("download_fileobj", breaks_off).download(PLACE, tmp_path / "b.csv")
    assert list(tmp_path.iterdir()) == []
    clients("download_fileobj", gives).download(PLACE, tmp_path / "b.csv")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("b.csv", b"1,2")]


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://localhost:4566", True),
        ("http://[::1]:4566", True),
        ("http://aws.localhost:4566", True),
        ("https://sts.us-east-1.amazonaws.com", False),
        ("http://localhost.example.com", False),
    ],
)
def test_it_knows_whether_aws_or_this_machine_answers(url: str, *, local: bool) -> None:
    assert clients("x", lambda: None, endpoint_url=url).is_local() is local


def test_loopback_is_a_host_of_this_machine() -> None:
    assert is_loopback("[::1]")
    assert not is_loopback("10.0.0.1")
    assert not is_loopback("")
