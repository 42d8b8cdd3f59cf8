"""What is missing in an account is made, what differs is put right, what is another's is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devkit.config import Settings
from devkit.errors import ConfigError
from devkit.targets.bootstrap import Finding, look, plan_of
from devkit.targets.clients import CallFailed
from devkit.targets.names import Names, names_of
from devkit.targets.plan import Step
from devkit.targets.role_policy import execution_policy, trust_policy
from tests.unit.clients_fakes import ACCOUNT, FakeClients, refusal
from tests.unit.test_config import load

NOTHING: dict[str, Any] = {
    "HeadBucket": refusal("HeadBucket", "404", "Not Found"),
    "DescribeRepositories": refusal("DescribeRepositories", "RepositoryNotFoundException"),
    "GetRole": refusal("GetRole", "NoSuchEntity"),
}
PRIVATE = {
    "PublicAccessBlockConfiguration": dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
}
ENCRYPTED = {
    "ServerSideEncryptionConfiguration": {
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    }
}


class Account:
    """A project, and an account in which all of it is there."""

    def __init__(self, folder: Path, text: str = "", region: str = "us-east-1") -> None:
        self.settings: Settings = load(folder, f"[project]\nname = 'iris'\n[aws]\n{text}")
        self.names: Names = names_of(self.settings, account=ACCOUNT, region=region)
        self.answers: dict[str, Any] = {
            "GetBucketTagging": refusal("GetBucketTagging", "NoSuchTagSet"),
            "GetPublicAccessBlock": PRIVATE,
            "GetBucketEncryption": ENCRYPTED,
            "DescribeRepositories": {
                "repositories": [{"imageScanningConfiguration": {"scanOnPush": True}}]
            },
            "GetRole": {"Role": {"AssumeRolePolicyDocument": trust_policy()}},
            "GetRolePolicy": {"PolicyDocument": execution_policy(self.names, self.settings)},
        }

    def look(self, **changes: Any) -> dict[str, Finding]:
        """What is found, by kind."""
        self.clients = FakeClients(**{**self.answers, **changes})
        found = look(self.clients, self.names, self.settings)
        self.steps = plan_of(found).steps
        return {each.resource.kind: each for each in found}

    def step(self, operation: str) -> Step:
        (step,) = (each for each in self.steps if each.operation == operation)
        return step


def test_in_an_empty_account_everything_is_missing(tmp_path: Path) -> None:
    account = Account(tmp_path, "tags = { team = 'ml' }")
    found = account.look(**NOTHING)
    assert {each.state for each in found.values()} == {"missing"}
    assert [step.operation for step in account.steps] == [
        "CreateBucket",
        "PutBucketTagging",
        "PutPublicAccessBlock",
        "PutBucketEncryption",
        "CreateRepository",
        "CreateRole",
        "PutRolePolicy",
    ]
    tags = [{"Key": "team", "Value": "ml"}, {"Key": "devkit:project", "Value": "iris"}]
    assert account.step("CreateRole").parameters["Tags"] == tags
    assert account.step("CreateRepository").parameters["tags"] == tags
    assert account.step("PutBucketTagging").parameters["Tagging"] == {"TagSet": tags}
    scanning = account.step("CreateRepository").parameters["imageScanningConfiguration"]
    assert scanning == {"scanOnPush": True}


def test_looking_changes_nothing(tmp_path: Path) -> None:
    account = Account(tmp_path)
    account.look()
    assert all(
        each.startswith(("Get", "Head", "Describe", "List")) for each in account.clients.operations
    )


def test_where_all_is_there_there_is_nothing_to_do(tmp_path: Path) -> None:
    account = Account(tmp_path)
    assert {each.state for each in account.look().values()} == {"there"}
    assert account.steps == ()


def test_a_bucket_is_made_in_its_region(tmp_path: Path) -> None:
    account = Account(tmp_path, region="eu-west-1")
    account.look(**NOTHING)
    location = account.step("CreateBucket").parameters["CreateBucketConfiguration"]
    assert location == {"LocationConstraint": "eu-west-1"}


def test_what_came_to_differ_is_put_right(tmp_path: Path) -> None:
    account = Account(tmp_path)
    document = json.dumps({"Statement": []})
    found = account.look(
        GetPublicAccessBlock=refusal("X", "NoSuchPublicAccessBlockConfiguration"),
        GetBucketEncryption=refusal("X", "ServerSideEncryptionConfigurationNotFoundError"),
        DescribeRepositories={"repositories": [{}]},
        GetRole={"Role": {"AssumeRolePolicyDocument": document}},
        GetRolePolicy={"PolicyDocument": document},
    )
    assert {each.state for each in found.values()} == {"differs"}
    assert [step.operation for step in account.steps] == [
        "PutPublicAccessBlock",
        "PutBucketEncryption",
        "PutImageScanningConfiguration",
        "UpdateAssumeRolePolicy",
        "PutRolePolicy",
    ]


def test_after_a_break_it_goes_on(tmp_path: Path) -> None:
    account = Account(tmp_path)
    account.look(GetRolePolicy=refusal("GetRolePolicy", "NoSuchEntity"))
    assert [step.operation for step in account.steps] == ["PutRolePolicy"]


def test_what_somebody_else_made_is_used_as_it_is(tmp_path: Path) -> None:
    account = Account(tmp_path, "bucket = 'theirs'\nrepository = 'theirs'\nrole = 'Theirs'")
    found = account.look(
        GetPublicAccessBlock=refusal("X", "NoSuchPublicAccessBlockConfiguration"),
        DescribeRepositories={"repositories": [{}]},
        GetRole={"Role": {"AssumeRolePolicyDocument": {"Statement": []}}},
    )
    assert {each.state for each in found.values()} == {"used as it is"}
    assert account.steps == ()
    assert found["role"].warning == "Theirs does not trust sagemaker.amazonaws.com"


def test_what_has_devkits_tag_is_devkits_whatever_its_name(tmp_path: Path) -> None:
    account = Account(tmp_path, "role = 'Mine'")
    tags = [{"Key": "devkit:project", "Value": "iris"}]
    account.look(GetRole={"Role": {"AssumeRolePolicyDocument": {"Statement": []}, "Tags": tags}})
    assert [step.operation for step in account.steps] == ["UpdateAssumeRolePolicy"]


def test_a_role_of_another_account_is_not_looked_at(tmp_path: Path) -> None:
    account = Account(tmp_path, "role = 'arn:aws:iam::210987654321:role/theirs'")
    found = account.look(GetRole=refusal("GetRole", "AccessDenied"))
    assert "another account" in str(found["role"].warning)


def test_a_role_by_its_arn_is_made_with_its_path(tmp_path: Path) -> None:
    account = Account(tmp_path, f"role = 'arn:aws:iam::{ACCOUNT}:role/team/ml/Trainer'")
    account.look(**NOTHING)
    parameters = account.step("CreateRole").parameters
    assert (parameters["RoleName"], parameters["Path"]) == ("Trainer", "/team/ml/")


def test_another_registry_needs_no_repository(tmp_path: Path) -> None:
    account = Account(tmp_path, "registry = 'localhost:5000'")
    assert account.look(**NOTHING).keys() == {"bucket", "role"}


def test_a_key_encrypts_bucket_and_repository(tmp_path: Path) -> None:
    account = Account(tmp_path, "kms_key = 'alias/mine'")
    account.look(**NOTHING)
    (rule,) = account.step("PutBucketEncryption").parameters["ServerSideEncryptionConfiguration"][
        "Rules"
    ]
    assert rule["ApplyServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": "alias/mine",
    }
    repository = account.step("CreateRepository").parameters
    assert repository["encryptionConfiguration"]["kmsKey"] == "alias/mine"


def test_a_bucket_of_another_account_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="another account's") as error:
        Account(tmp_path).look(HeadBucket=refusal("HeadBucket", "403", "Forbidden"))
    assert "[aws] bucket" in str(error.value)


def test_other_refusals_are_not_taken_for_absence(tmp_path: Path) -> None:
    for operation in ("HeadBucket", "DescribeRepositories", "GetRole", "GetRolePolicy"):
        with pytest.raises(CallFailed):
            Account(tmp_path).look(**{operation: refusal(operation, "ThrottlingException")})
