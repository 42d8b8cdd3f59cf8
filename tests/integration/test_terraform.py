"""Terraform and AWS's provider, against the local AWS: devkit's own files, and the example's.

Where ``DEVKIT_TERRAFORM_PLUGINS`` names a folder with the provider, as ``terraform init
-plugin-dir`` takes it: nothing is fetched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.integration.kit import Project

EXAMPLE = Path(__file__).parents[2] / "examples" / "terraform"
LOCAL = """
provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  s3_use_path_style           = true
}
"""
"""What every one needs who works against an AWS that is none."""


class Terraform:
    """Terraform in a folder."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        program, plugins = shutil.which("terraform"), os.environ.get("DEVKIT_TERRAFORM_PLUGINS")
        if program is None or not plugins:
            pytest.skip("terraform is not installed, or DEVKIT_TERRAFORM_PLUGINS is not set")
        self._program = program
        self._folder = folder
        self._environment = {
            **environment,
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_IN_AUTOMATION": "1",
        }
        (folder / "override.tf").write_text(LOCAL)
        self.run("init", f"-plugin-dir={plugins}")
        self.run("validate")

    def run(self, command: str, *flags: str, variables: Mapping[str, Any] | None = None) -> str:
        (self._folder / "terraform.tfvars.json").write_text(json.dumps(variables or {}))
        done = subprocess.run(
            [self._program, command, "-no-color", *flags],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def project(process_project: Project) -> Iterator[Project]:
    """A project with a local AWS, which its commands take for AWS."""
    process_project.configure('[aws]\nregion = "us-east-1"\n')
    url = process_project.devkit("up", "--detach", "--port", "0").succeeded().out.strip()
    process_project.environment |= {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
    yield process_project
    process_project.devkit("down").succeeded()


def test_what_terraform_made_leaves_bootstrap_nothing_to_do(
    project: Project, tmp_path: Path
) -> None:
    folder = tmp_path / "infra"
    project.devkit("bootstrap", "--terraform", str(folder)).succeeded()

    Terraform(folder, project.environment).run("apply", "-auto-approve")

    found = project.devkit("bootstrap", "--json").succeeded().document
    assert [each["state"] for each in found["found"]] == ["there"] * 3
    assert found["steps"] == []


def test_the_example_is_made_and_destroyed(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLE, folder)
    terraform = Terraform(folder, project.environment)
    with zipfile.ZipFile(folder / "function.zip", "w") as archive:
        archive.write(EXAMPLE.parent / "lambda" / "handler.py", "handler.py")
    variables = {
        "project": project.name,
        "function_archive": "function.zip",
        "vpc": _default_vpc(project.environment["AWS_ENDPOINT_URL"]),
    }

    terraform.run("apply", "-auto-approve", variables=variables)

    assert "No changes" in terraform.run("plan", variables=variables)
    found = project.devkit("bootstrap", "--json").succeeded().document
    assert found["steps"] == []
    assert "17 destroyed" in terraform.run("destroy", "-auto-approve", variables=variables)


def _default_vpc(url: str) -> dict[str, Any]:
    ec2 = boto3.client(
        "ec2",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    try:
        (vpc,) = ec2.describe_vpcs()["Vpcs"]
        subnets = ec2.describe_subnets()["Subnets"]
    finally:
        ec2.close()
    return {"id": vpc["VpcId"], "subnets": [each["SubnetId"] for each in subnets[:2]]}
