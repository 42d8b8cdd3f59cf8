"""What SageMaker may do in a project's name: this project's things, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devkit.targets.names import names_of
from devkit.targets.role_policy import execution_policy, is_same, is_trusting, trust_policy
from tests.unit.clients_fakes import ACCOUNT
from tests.unit.test_config import load

BUCKET = f"arn:aws:s3:::devkit-iris-{ACCOUNT}-us-east-1"


def policy(folder: Path, text: str = "") -> dict[str, dict[str, Any]]:
    """The statements by their sid."""
    settings = load(folder, f"[project]\nname = 'iris'\n{text}")
    names = names_of(settings, account=ACCOUNT, region="us-east-1")
    return {each["Sid"]: each for each in execution_policy(names, settings)["Statement"]}


def test_sagemaker_alone_is_trusted() -> None:
    (statement,) = trust_policy()["Statement"]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert is_trusting(trust_policy())


@pytest.mark.parametrize(
    ("change", "trusting"),
    [
        ({"Principal": {"Service": ["ec2.amazonaws.com", "sagemaker.amazonaws.com"]}}, True),
        ({"Action": ["sts:AssumeRole", "sts:TagSession"]}, True),
        ({"Principal": {"Service": "lambda.amazonaws.com"}}, False),
        ({"Principal": "*"}, False),
        ({"Effect": "Deny"}, False),
    ],
)
def test_trust_is_found_as_iam_lets_it_be_written(
    change: dict[str, Any], *, trusting: bool
) -> None:
    (statement,) = trust_policy()["Statement"]
    assert is_trusting({"Statement": {**statement, **change}}) is trusting


def test_each_permission_is_for_the_projects_own_things(tmp_path: Path) -> None:
    found = policy(tmp_path)
    assert {sid: each["Resource"] for sid, each in found.items()} == {
        "Bucket": [BUCKET],
        "Objects": [f"{BUCKET}/*"],
        "Image": [f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/iris"],
        "RegistryToken": ["*"],
        "Logs": [f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/sagemaker/*"],
        "Metrics": ["*"],
    }
    assert found["RegistryToken"]["Action"] == ["ecr:GetAuthorizationToken"]
    assert found["Metrics"]["Condition"] == {
        "StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}
    }


def test_all_that_aws_lists_for_training_and_hosting_is_there(tmp_path: Path) -> None:
    allowed = {action for each in policy(tmp_path).values() for action in each["Action"]}
    assert allowed >= {
        "cloudwatch:PutMetricData",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "logs:CreateLogGroup",
        "logs:DescribeLogStreams",
        "s3:GetObject",
        "s3:PutObject",
        "s3:ListBucket",
        "ecr:GetAuthorizationToken",
        "ecr:BatchCheckLayerAvailability",
        "ecr:GetDownloadUrlForLayer",
        "ecr:BatchGetImage",
    }
    assert not [action for action in allowed if "*" in action]


def test_buckets_that_the_settings_name_are_added(tmp_path: Path) -> None:
    found = policy(
        tmp_path,
        "[train.channels]\na = 's3://theirs/in/'\nb = 'here'\n"
        "[aws]\ncheckpoint_uri = 's3://kept/checkpoints'",
    )
    assert found["OtherBuckets"]["Resource"] == ["arn:aws:s3:::kept", "arn:aws:s3:::theirs"]
    assert found["Channels"]["Resource"] == ["arn:aws:s3:::theirs/in/*"]
    assert found["Channels"]["Action"] == ["s3:GetObject"]
    assert found["Checkpoints"]["Resource"] == ["arn:aws:s3:::kept/checkpoints*"]
    assert "s3:PutObject" in found["Checkpoints"]["Action"]


def test_a_vpc_needs_network_interfaces(tmp_path: Path) -> None:
    text = "[aws]\nvpc_subnets = ['subnet-1']\nvpc_security_groups = ['sg-1']"
    assert "ec2:CreateNetworkInterface" in policy(tmp_path, text)["Network"]["Action"]


@pytest.mark.parametrize(
    ("key", "resource"),
    [
        ("1234-ab", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234-ab"),
        ("arn:aws:kms:us-east-1:1:key/x", "arn:aws:kms:us-east-1:1:key/x"),
        ("alias/mine", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/*"),
    ],
)
def test_a_key_may_be_used(tmp_path: Path, key: str, resource: str) -> None:
    statement = policy(tmp_path, f"[aws]\nkms_key = '{key}'")["Key"]
    assert statement["Resource"] == [resource]
    assert ("Condition" in statement) is key.startswith("alias/")


def test_another_registry_needs_no_permission_of_ecr(tmp_path: Path) -> None:
    found = policy(tmp_path, "[aws]\nregistry = 'localhost:5000'")
    assert not found.keys() & {"Image", "RegistryToken"}


def test_a_policy_is_the_same_however_its_lists_are_written(tmp_path: Path) -> None:
    mine = {"Statement": list(policy(tmp_path, "[aws]\nkms_key = 'alias/mine'").values())}
    flat = {
        "Statement": [
            {key: _alone(value) for key, value in each.items()} for each in mine["Statement"]
        ]
    }
    assert flat != mine
    assert is_same(flat, mine)
    flat["Statement"][0]["Resource"] = "*"
    assert not is_same(flat, mine)


def _alone(value: Any) -> Any:
    """As Terraform writes it."""
    if isinstance(value, dict):
        return {key: _alone(each) for key, each in value.items()}
    if isinstance(value, list):
        return value[0] if len(value) == 1 else value[::-1]
    return value
