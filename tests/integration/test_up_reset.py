"""``POST /moto-api/reset`` empties the endpoint; what AWS has from the start is as it was."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from devkit.local_aws.identity import ROLE_NAME
from devkit.local_aws.server import LocalAws

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
DOCUMENT = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"},
    }
)


@pytest.fixture
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


def reset(aws: LocalAws) -> None:
    request = urllib.request.Request(f"{aws.url}/moto-api/reset", method="POST")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def iam(aws: LocalAws) -> Any:
    return boto3.client(
        "iam",
        endpoint_url=aws.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_what_was_made_is_gone_and_the_execution_role_is_there(aws: LocalAws) -> None:
    iam(aws).create_user(UserName="anna")

    reset(aws)

    assert iam(aws).list_users()["Users"] == []
    assert [role["RoleName"] for role in iam(aws).list_roles()["Roles"]] == [ROLE_NAME]


def test_managed_policies_are_as_they_were(aws: LocalAws) -> None:
    before = iam(aws).get_policy(PolicyArn=READ_ONLY)["Policy"]
    iam(aws).create_user(UserName="anna")
    iam(aws).attach_user_policy(UserName="anna", PolicyArn=READ_ONLY)
    iam(aws).create_policy_version(PolicyArn=READ_ONLY, PolicyDocument=DOCUMENT, SetAsDefault=True)
    assert iam(aws).get_policy(PolicyArn=READ_ONLY)["Policy"] != before

    reset(aws)

    assert iam(aws).get_policy(PolicyArn=READ_ONLY)["Policy"] == before
    (version,) = iam(aws).list_policy_versions(PolicyArn=READ_ONLY)["Versions"]
    assert version["IsDefaultVersion"]
