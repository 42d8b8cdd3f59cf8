"""``devkit bootstrap`` in an account: that of the local AWS."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.integration.kit import DEADLINE_S, Project, base_environment

ACCOUNT = "123456789012"
KINDS = ["bucket", "repository", "role"]


@pytest.fixture
def project(process_project: Project) -> Iterator[Project]:
    """A project with a local AWS, which its commands take for AWS."""
    process_project.configure("")
    url = process_project.devkit("up", "--detach", "--port", "0").succeeded().out.strip()
    process_project.environment |= {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "DEVKIT_AWS_REGION": "eu-central-1",
    }
    yield process_project
    process_project.devkit("down").succeeded()


@pytest.fixture
def client(project: Project) -> Iterator[Any]:
    """Makes clients for it."""
    made = []

    def client(service: str) -> Any:
        made.append(
            boto3.client(
                service,
                region_name="eu-central-1",
                endpoint_url=project.environment["AWS_ENDPOINT_URL"],
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        )
        return made[-1]

    yield client
    for each in made:
        each.close()


def test_what_is_missing_is_made_and_a_second_time_there_is_nothing_to_do(
    project: Project, client: Any
) -> None:
    bucket = f"devkit-{project.name}-{ACCOUNT}-eu-central-1"

    first = project.devkit("bootstrap", "--yes", "--json").succeeded().document
    second = project.devkit("bootstrap", "--json").succeeded().document

    assert (first["account"], first["region"]) == (ACCOUNT, "eu-central-1")
    assert f":{ACCOUNT}:" in first["identity"]
    assert [(each["kind"], each["state"]) for each in first["found"]] == [
        (kind, "missing") for kind in KINDS
    ]
    assert first["done"] is True
    assert [each["state"] for each in second["found"]] == ["there"] * 3
    assert (second["steps"], second["done"]) == ([], False)

    s3 = client("s3")
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "eu-central-1"
    access = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(access.values()) == {True}
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    (repository,) = client("ecr").describe_repositories(repositoryNames=[project.name])[
        "repositories"
    ]
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    iam, name = client("iam"), f"devkit-{project.name}"
    role = iam.get_role(RoleName=name)["Role"]
    assert role["Arn"] == first["role"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert {"Key": "devkit:project", "Value": project.name} in role["Tags"]
    policy = iam.get_role_policy(RoleName=name, PolicyName="devkit")["PolicyDocument"]
    resources = {each["Sid"]: each["Resource"] for each in policy["Statement"]}
    assert resources["Objects"] == [f"arn:aws:s3:::{bucket}/*"]
    assert resources["Image"] == [f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/{project.name}"]
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []


def test_only_what_differs_is_put_right(project: Project, client: Any) -> None:
    project.devkit("bootstrap", "--yes").succeeded()
    project.environment["DEVKIT_AWS_CHECKPOINT_URI"] = "s3://kept/checkpoints"

    again = project.devkit("bootstrap", "--yes", "--json").succeeded().document

    assert [step["operation"] for step in again["steps"]] == ["PutRolePolicy"]
    policy = client("iam").get_role_policy(RoleName=f"devkit-{project.name}", PolicyName="devkit")[
        "PolicyDocument"
    ]
    assert "Checkpoints" in {each["Sid"] for each in policy["Statement"]}


def test_a_dry_run_shows_all_and_makes_nothing(project: Project, client: Any) -> None:
    shown = project.devkit("bootstrap", "--dry-run").succeeded().out
    assert f"account   {ACCOUNT}" in shown
    assert "region    eu-central-1" in shown
    assert f"create the execution role devkit-{project.name}" in shown
    told = project.devkit("bootstrap", "--dry-run", "--json").succeeded().document
    assert len(told["steps"]) == 7
    assert told["done"] is False
    assert client("s3").list_buckets()["Buckets"] == []


def test_without_a_terminal_it_does_not_go_on_unasked(project: Project) -> None:
    project.devkit("bootstrap").failed(12, "nobody is here to ask", "--yes")


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 12), ("\n", 12)])
def test_it_asks_on_a_terminal(project: Project, answer: str, code: int) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "devkit", "bootstrap"],
        cwd=project.root,
        env=project.environment,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while b"[y/N] " not in shown:
        assert select.select([ours], [], [], DEADLINE_S)[0], shown
        shown += os.read(ours, 65536)
    os.write(ours, answer.encode())
    process.communicate(timeout=DEADLINE_S)
    os.close(ours)
    assert b"create the bucket" in shown
    assert process.returncode == code


def test_terraform_files_need_no_account(process_project: Project, tmp_path: Path) -> None:
    process_project.configure("")
    folder = tmp_path / "infra"
    written = process_project.devkit("bootstrap", "--terraform", str(folder)).succeeded()
    assert [Path(line).name for line in written.out.splitlines()] == [
        "main.tf",
        "outputs.tf",
        "variables.tf",
    ]
    (folder / "main.tf").write_text("# mine\n")
    process_project.devkit("bootstrap", "--terraform", str(folder)).failed(2, "edited since")


def test_what_keeps_aws_away_is_told_with_a_remedy(
    process_project: Project, tmp_path: Path, cache: Path
) -> None:
    process_project.configure("")
    nothing = {
        **base_environment(cache),
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    region = {"DEVKIT_AWS_REGION": "us-east-1"}

    def told(code: int, *texts: str, **variables: str) -> None:
        done = process_project.devkit("bootstrap", environment={**nothing, **variables})
        done.failed(code, *texts)

    told(2, "in which region", "AWS_DEFAULT_REGION")
    told(2, "no-such", "list-profiles", DEVKIT_AWS_PROFILE="no-such")
    told(11, "credentials", "aws configure", **region)
    told(
        11,
        "Could not connect",
        "AWS_ENDPOINT_URL",
        **region,
        **keys,
        AWS_ENDPOINT_URL="http://127.0.0.1:1",
    )
    told(11, "Invalid endpoint", **region, **keys, AWS_ENDPOINT_URL="nowhere")
