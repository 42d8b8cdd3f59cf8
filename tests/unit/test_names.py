"""What things in an account are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from devkit import aws_readers
from devkit.readers import Origin, Raw
from devkit.targets.names import Names, names_of
from tests.unit.test_config import load

ACCOUNT = "123456789012"


def names(folder: Path, text: str = "", region: str = "us-east-1") -> Names:
    settings = load(folder, f"[project]\nname = 'Iris-2'\n[aws]\n{text}")
    return names_of(settings, account=ACCOUNT, region=region)


def test_names_follow_from_the_projects(tmp_path: Path) -> None:
    found = names(tmp_path)
    assert found.role == "devkit-Iris-2"
    assert found.role_arn == f"arn:aws:iam::{ACCOUNT}:role/devkit-Iris-2"
    assert found.bucket == f"devkit-iris-2-{ACCOUNT}-us-east-1"
    assert found.bucket_arn == f"arn:aws:s3:::devkit-iris-2-{ACCOUNT}-us-east-1"
    assert found.repository == "iris-2"
    assert found.repository_arn == f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/iris-2"
    assert found.image_repository == f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/iris-2"


def test_names_that_are_set_are_taken(tmp_path: Path) -> None:
    role = "arn:aws:iam::210987654321:role/service-role/Trainer"
    found = names(
        tmp_path,
        f"role = '{role}'\nbucket = 'mine'\nrepository = 'a/b'\nregistry = 'localhost:5000'",
    )
    assert (found.role_arn, found.role) == (role, "Trainer")
    assert (found.bucket, found.image_repository) == ("mine", "localhost:5000/a/b")
    assert names(tmp_path, "role = 'mine'").role_arn == f"arn:aws:iam::{ACCOUNT}:role/mine"


@pytest.mark.parametrize(
    ("region", "partition", "host"),
    [
        ("cn-north-1", "aws-cn", "dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "dkr.ecr.us-gov-west-1.amazonaws.com"),
    ],
)
def test_other_partitions_have_arns_and_hosts_of_their_own(
    tmp_path: Path, region: str, partition: str, host: str
) -> None:
    found = names(tmp_path, region=region)
    assert found.role_arn.startswith(f"arn:{partition}:iam::")
    assert found.registry == f"{ACCOUNT}.{host}"


@pytest.mark.parametrize("project", ["a", "a" * 32, "A--b", "x-" * 15 + "xx"])
def test_every_project_has_names_that_aws_takes(tmp_path: Path, project: str) -> None:
    settings = load(tmp_path, f"[project]\nname = '{project}'")
    found = names_of(settings, account=ACCOUNT, region="ap-southeast-1")
    origin = Origin("test", tmp_path)
    assert aws_readers.bucket(Raw(found.bucket, origin)) == found.bucket
    assert aws_readers.repository(Raw(found.repository, origin)) == found.repository
    assert aws_readers.role(Raw(found.role_arn, origin)) == found.role_arn
