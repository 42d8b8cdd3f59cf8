"""The life of the endpoint in this process: started, stopped, started anew as it was."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from devkit.errors import PortInUse
from devkit.local_aws.server import LocalAws, Options
from tests.integration.test_up_endpoint import Greeter, client, http_request


def test_a_port_in_use_is_told_and_leaves_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortInUse):
            LocalAws(Options(port=taken.getsockname()[1])).start()

    with LocalAws() as aws:
        assert client(aws, "sts").get_caller_identity()["Account"] == "123456789012"


def test_there_is_one_a_process() -> None:
    with LocalAws(), pytest.raises(RuntimeError, match="already"):
        LocalAws().start()


def test_services_are_started_reset_and_stopped() -> None:
    greeter = Greeter("sagemaker")
    with LocalAws(Options(services=[greeter])) as aws:
        assert greeter.url == aws.url
        http_request(aws, "POST", "/moto-api/reset")

    assert greeter.events == ["start", "reset", "stop"]


def test_what_was_told_is_known_after_a_restart(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with LocalAws(Options(journal=journal)) as aws:
        vpc = client(aws, "ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
        group = client(aws, "ec2").create_security_group(GroupName="g", Description="d", VpcId=vpc)[
            "GroupId"
        ]
        user = client(aws, "iam").create_user(UserName="ann")["User"]["UserId"]
        api = client(aws, "apigateway").create_rest_api(name="a")["id"]
        client(aws, "sqs").create_queue(QueueName="gone")
        url = client(aws, "sqs").create_queue(QueueName="q")["QueueUrl"]
        client(aws, "sqs").delete_queue(QueueUrl=url.replace("/q", "/gone"))
        client(aws, "sqs").send_message(QueueUrl=url, MessageBody="m")

    with LocalAws(Options(journal=journal)) as aws:
        replay = aws.wait_for_moto()
        assert replay.failed == ()
        assert replay.calls == 6
        assert client(aws, "ec2").describe_vpcs()["Vpcs"][0]["VpcId"] == vpc
        groups = client(aws, "ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
        assert groups[0]["GroupName"] == "g"
        assert client(aws, "iam").get_user(UserName="ann")["User"]["UserId"] == user
        assert client(aws, "apigateway").get_rest_api(restApiId=api)["name"] == "a"
        urls = client(aws, "sqs").list_queues()["QueueUrls"]
        assert [each.rpartition("/")[2] for each in urls] == ["q"]
        assert urls[0].startswith(aws.url)


def test_calls_at_the_same_time_are_made_again_with_their_own_identifiers(tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    def users(aws: LocalAws) -> dict[str, str]:
        return {
            user["UserName"]: user["UserId"] for user in client(aws, "iam").list_users()["Users"]
        }

    with LocalAws(Options(journal=journal)) as aws:
        iam = client(aws, "iam")
        threads = [
            threading.Thread(target=iam.create_user, kwargs={"UserName": f"u{number}"})
            for number in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        before = users(aws)

    with LocalAws(Options(journal=journal)) as aws:
        assert len(before) == 20
        assert users(aws) == before


def test_a_reset_is_a_reset_after_a_restart_too(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with LocalAws(Options(journal=journal)) as aws:
        client(aws, "iam").create_user(UserName="ann")
        http_request(aws, "POST", "/moto-api/reset")

    with LocalAws(Options(journal=journal)) as aws:
        assert client(aws, "iam").list_users()["Users"] == []


def test_what_cannot_be_made_again_is_told(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with LocalAws(Options(journal=journal)) as aws:
        client(aws, "iam").create_user(UserName="ann")
    journal.write_text(journal.read_text() * 2)  # a second user of that name there cannot be

    with LocalAws(Options(journal=journal)) as aws:
        replay = aws.wait_for_moto()

    assert replay.failed == ("iam CreateUser answers 409 and not 200",)


def test_after_the_end_the_next_one_is_empty() -> None:
    with LocalAws() as aws:
        client(aws, "iam").create_user(UserName="ann")

    with LocalAws() as aws:
        assert client(aws, "iam").list_users()["Users"] == []


def test_a_long_poll_does_not_keep_it_from_ending() -> None:
    aws = LocalAws()
    aws.start()
    sqs = client(aws, "sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    polling = threading.Thread(target=_poll, args=(sqs, url))
    polling.start()
    # The answer to another request means that the endpoint has had the time to take the first.
    client(aws, "sqs").list_queues()

    aws.stop(grace_s=0.1)

    polling.join(15)
    assert not polling.is_alive()


def _poll(sqs: Any, url: str) -> None:
    with suppress(Exception):  # however it is cut off
        sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
