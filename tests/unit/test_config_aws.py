"""``[aws]`` of ``devkit.toml``."""

from __future__ import annotations

from pathlib import Path

import pytest

from devkit import config
from devkit.channels.locations import S3Uri
from devkit.config import AwsSettings
from devkit.errors import ConfigError
from tests.unit.test_config import load


def aws(folder: Path, text: str) -> AwsSettings:
    return load(folder, f"[aws]\n{text}").aws


def test_everything_has_a_default(tmp_path: Path) -> None:
    settings = load(tmp_path).aws
    assert settings.region is settings.profile is settings.role is settings.bucket is None
    assert (settings.train_instance, settings.serve_instance) == ("ml.m5.large", "ml.m5.xlarge")
    assert (settings.spot, settings.max_wait_s, settings.volume_gb) == (False, None, 30)
    assert settings.tags == {}


def test_all_keys_are_read(tmp_path: Path) -> None:
    settings = aws(
        tmp_path,
        """
        region = "eu-central-1"
        profile = "work"
        role = "arn:aws:iam::123456789012:role/service-role/Trainer"
        bucket = "my.bucket-1"
        repository = "team/iris"
        registry = "localhost:5000"
        train_instance = "ml.g5.xlarge"
        serve_instance = "ml.c7g.large"
        spot = true
        max_wait_s = 90000
        tags = { team = "ml", "cost.center" = "42" }
        vpc_subnets = ["subnet-0a1", "subnet-0a2"]
        vpc_security_groups = ["sg-0a1"]
        kms_key = "alias/mine"
        encrypt_between_containers = true
        volume_gb = 100
        checkpoint_uri = "s3://my.bucket-1/checkpoints"
        """,
    )
    assert settings == AwsSettings(
        region="eu-central-1",
        profile="work",
        role="arn:aws:iam::123456789012:role/service-role/Trainer",
        bucket="my.bucket-1",
        repository="team/iris",
        registry="localhost:5000",
        train_instance="ml.g5.xlarge",
        serve_instance="ml.c7g.large",
        spot=True,
        max_wait_s=90_000,
        tags={"team": "ml", "cost.center": "42"},
        vpc_subnets=("subnet-0a1", "subnet-0a2"),
        vpc_security_groups=("sg-0a1",),
        kms_key="alias/mine",
        encrypt_between_containers=True,
        volume_gb=100,
        checkpoint_uri=S3Uri("my.bucket-1", "checkpoints"),
    )


def test_variables_go_over_the_file(tmp_path: Path) -> None:
    environ = {"DEVKIT_AWS_REGION": "us-west-2", "DEVKIT_AWS_SPOT": "true"}
    settings = load(tmp_path, "[aws]\nregion = 'us-east-1'", environ).aws
    assert (settings.region, settings.spot) == ("us-west-2", True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("region = 'virginia'", "a region, such as us-east-1"),
        ("role = 'arn:aws:iam::1:role/x'", "the name or the ARN of an IAM role"),
        ("bucket = 'Mine'", "3 to 63 lower-case letters"),
        ("bucket = '192.168.0.1'", "the name of a bucket"),
        ("bucket = 'a..b'", "the name of a bucket"),
        ("repository = 'Iris'", "the name of a repository"),
        ("repository = 'i'", "2 to 256"),
        ("registry = 'http://localhost:5000'", "a registry without a scheme"),
        ("train_instance = 'm5.large'", "an instance type, such as ml.m5.large"),
        ("spot = 'yes'", "true or false"),
        ("kms_key = 'a b'", "the id, the ARN or the alias"),
        ("volume_gb = 0", "a whole number from 1 to 16384 GB"),
        ("checkpoint_uri = 'checkpoints'", "a place in S3: s3://bucket/prefix"),
        ("vpc_subnets = ['vpc-1']", "up to 16 subnets"),
        ("vpc_security_groups = 'sg-1'", "up to 5 security groups"),
        ("vpc_subnets = ['subnet-1']", "a VPC needs both"),
        ("tags = { 'aws:x' = 'y' }", "'aws:x' is no key of a tag"),
        ("tags = { 'devkit:project' = 'y' }", "no key of a tag"),
        ("tags = { x = 'a;b' }", "aws.tags.x = 'a;b'"),
        ("max_wait_s = 100000", "only spot capacity is waited for"),
        ("spot = true\nmax_wait_s = 10", "must be at least train.max_run_s (86400)"),
    ],
)
def test_what_aws_would_refuse_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        aws(tmp_path, text)
    assert said in str(error.value)


def test_an_instance_type_is_not_looked_up_before_it_is_needed(tmp_path: Path) -> None:
    assert aws(tmp_path, "train_instance = 'ml.x9.huge'").train_instance == "ml.x9.huge"


def test_config_shows_what_names_will_be(tmp_path: Path) -> None:
    said = {key: value for key, value, _ in config.explain(load(tmp_path))}
    assert said["aws.bucket"] == "devkit-(the project's name)-(account)-(region)"
