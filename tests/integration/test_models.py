"""Which models a server is given, and which it is not: contract 2.2."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.kit import SERVER, Project, outcome

pytestmark = pytest.mark.usefixtures("contained")

SERVE_FILES = (
    SERVER
    + """
class Files(Handler):
    def do_POST(self):
        files = {
            path.relative_to(MODEL).as_posix(): path.read_text()
            for path in MODEL.rglob("*")
            if path.is_file()
        }
        self.answer(json.dumps(files).encode(), "application/json")


serve(Files)
"""
)
"""Answers with the model."""

S3 = tuple[str, Any]


def put(project: Project, s3: S3, objects: Mapping[str, bytes]) -> None:
    """Make these the objects of ``s3://bucket``, and that the S3 of the settings."""
    address, client = s3
    client.create_bucket(Bucket="bucket")
    for key, body in objects.items():
        client.put_object(Bucket="bucket", Key=key, Body=body)
    project.configure(f'[s3]\nendpoint_url = "{address}"\n')


def served(project: Project, model: str) -> object:
    """The files that a server of this model sees."""
    project.devkit("serve", "--model", model, "--name", "web", "--detach").succeeded()
    files = json.loads(project.devkit("invoke", "--data", "{}").succeeded().out)
    project.devkit("stop", "web").succeeded()
    assert not (project.server("web") / "opt_ml").exists()
    return files


def test_an_archive_in_s3_is_extracted(project: Project, s3: S3) -> None:
    project.with_model().write(serve=SERVE_FILES)
    put(project, s3, {"a/model.tar.gz": (project.root / "model.tar.gz").read_bytes()})
    assert served(project, "s3://bucket/a/model.tar.gz") == {"weights": "42"}


@pytest.mark.contract("2.2-g")
def test_a_prefix_in_s3_is_an_uncompressed_model(project: Project, s3: S3) -> None:
    project.write(serve=SERVE_FILES)
    put(project, s3, {"m/weights": b"1", "m/sub/labels": b"2", "m2/other": b"3"})
    assert served(project, "s3://bucket/m/") == {"weights": "1", "sub/labels": "2"}


@pytest.mark.contract("2.2-g")
def test_an_object_in_s3_is_an_uncompressed_model(project: Project, s3: S3) -> None:
    project.write(serve=SERVE_FILES)
    put(project, s3, {"m/weights.bin": b"1", "m/other": b"2"})
    assert served(project, "s3://bucket/m/weights.bin") == {"weights.bin": "1"}


@pytest.mark.contract("2.2-h")
def test_what_sagemaker_would_not_deploy_fails_with_its_key(project: Project, s3: S3) -> None:
    project.write(serve=SERVE_FILES)
    put(project, s3, {"m/": b"", "m/weights": b"1", "n/a": b"", "n/a/b": b""})
    failed = project.devkit("serve", "--model", "s3://bucket/m/", "--name", "web")
    failed.failed(6, "s3://bucket/m/ cannot be deployed: 'm/' ends with /")
    assert outcome(project.server("web"))["status"] == "Failed"
    project.devkit("serve", "--model", "s3://bucket/n/").failed(6, "'n/a' would be a file and a")
    project.devkit("serve", "--model", "s3://bucket/m").failed(6, "→ --model s3://bucket/m/")
    project.devkit("serve", "--model", "s3://bucket/gone/").failed(10, "Could not find model data")


def test_a_model_in_s3_without_an_s3_is_refused_before_any_work(project: Project) -> None:
    project.write(serve=SERVE_FILES)
    refused = project.devkit("serve", "--model", "s3://bucket/m/")
    refused.failed(2, "the model s3://bucket/m/ is in S3", "[s3] endpoint_url")
    assert not project.store.exists()


@pytest.mark.parametrize("model", ["./folder", "s3://bucket/m/", "s3://bucket/m/weights"])
def test_a_serverless_endpoint_takes_no_uncompressed_model(
    process_project: Project, model: str
) -> None:
    process_project.write(serve=SERVE_FILES)
    process_project.configure("[s3]\nendpoint_url = 'http://127.0.0.1:9'\n")
    (process_project.root / "folder").mkdir()
    refused = process_project.devkit("serve", "--profile", "serverless", "--model", model)
    refused.failed(2, "a serverless endpoint takes no uncompressed model", "model.tar.gz")
