"""What devkit itself makes in the endpoint, and asks of it: LocalAws.make and LocalAws.call."""

from __future__ import annotations

from pathlib import Path

import pytest

from devkit.local_aws.errors import AwsError
from devkit.local_aws.identity import ROLE_NAME
from devkit.local_aws.server import LocalAws, Options
from tests.integration.test_up_endpoint import Greeter, client

API = {"Name": "front", "ProtocolType": "HTTP"}


def test_the_same_seed_makes_the_same_identifier_whatever_comes_between() -> None:
    made = []
    for between in ((), ("ann", "bob")):
        with LocalAws() as aws:
            for name in between:
                client(aws, "iam").create_user(UserName=name)
            made.append(aws.make("apigatewayv2", "CreateApi", API, seed="iris/front")["ApiId"])
            other = aws.make("apigatewayv2", "CreateApi", API, seed="iris/other")["ApiId"]
            assert other != made[-1]
    assert made[0] == made[1]


def test_what_is_made_is_there_for_clients_and_gone_after_a_restart(tmp_path: Path) -> None:
    options = Options(journal=tmp_path / "journal")
    with LocalAws(options) as aws:
        aws.make("apigatewayv2", "CreateApi", API, seed="s")
        assert len(client(aws, "apigatewayv2").get_apis()["Items"]) == 1
        client(aws, "iam").create_user(UserName="ann")
    with LocalAws(options) as aws:
        assert aws.wait_for_moto().calls == 1
        assert client(aws, "apigatewayv2").get_apis()["Items"] == []
        assert client(aws, "iam").get_user(UserName="ann")["User"]["UserName"] == "ann"


def test_what_cannot_be_made_is_an_error_of_awss() -> None:
    with LocalAws() as aws:
        with pytest.raises(AwsError) as missing:
            aws.make("apigatewayv2", "CreateStage", {"ApiId": "x", "StageName": "s"}, seed="s")
        assert missing.value.status == 404
        aws.make("iam", "CreateUser", {"UserName": "ann"}, seed="s")
        with pytest.raises(AwsError, match="EntityAlreadyExists"):
            aws.make("iam", "CreateUser", {"UserName": "ann"}, seed="s")


def test_a_call_is_answered_by_whoever_answers_clients() -> None:
    with LocalAws(Options(services=[Greeter("sagemaker")])) as aws:
        assert "Models" in aws.call("sagemaker", "ListModels", {"MaxResults": 1})
        aws.call("iam", "CreateUser", {"UserName": "ann"})
        assert client(aws, "iam").get_user(UserName="ann")["User"]["UserName"] == "ann"
        with pytest.raises(AwsError, match="NoSuchEntity"):
            aws.call("iam", "GetUser", {"UserName": "bob"})


def test_log_streams_of_devkits_own_are_not_kept_and_those_of_clients_are(tmp_path: Path) -> None:
    options = Options(journal=tmp_path / "journal")
    with LocalAws(options) as aws:
        aws.call("logs", "CreateLogGroup", {"logGroupName": "g"})
        for name in ("one", "two"):
            aws.call("logs", "CreateLogStream", {"logGroupName": "g", "logStreamName": name})
        client(aws, "logs").create_log_stream(logGroupName="g", logStreamName="mine")
        assert len(streams(aws)) == 3
    with LocalAws(options) as aws:
        assert streams(aws) == ["mine"]


def streams(aws: LocalAws) -> list[str]:
    found = client(aws, "logs").describe_log_streams(logGroupName="g")["logStreams"]
    return sorted(each["logStreamName"] for each in found)


def test_nothing_is_made_before_the_start_and_after_the_end() -> None:
    aws = LocalAws()
    with pytest.raises(RuntimeError, match="not started"):
        aws.make("iam", "CreateUser", {"UserName": "ann"}, seed="s")
    with aws:
        pass
    with pytest.raises(RuntimeError, match="not started"):
        aws.call("iam", "ListUsers", {})


def test_one_that_ends_before_it_has_begun_leaves_nothing_to_the_next() -> None:
    with LocalAws():
        pass
    with LocalAws() as aws:
        roles = client(aws, "iam").list_roles()["Roles"]
        assert [each["RoleName"] for each in roles].count(ROLE_NAME) == 1
