"""Containers of the docker engine reach the local AWS, at the address that it tells."""

from __future__ import annotations

import docker
import pytest

from devkit.local_aws.identity import ROLE_NAME
from tests.integration.kit import Project, require_docker

ASK = """
import sys, urllib.request
request = urllib.request.Request(
    sys.argv[1],
    data=b"Action=GetCallerIdentity&Version=2011-06-15",
    headers={"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sts/"
             "aws4_request, SignedHeaders=host, Signature=0"},
)
print(urllib.request.urlopen(request, timeout=20).read().decode())
"""


@pytest.fixture(params=[pytest.param("docker", marks=pytest.mark.docker)])
def engine(request: pytest.FixtureRequest, docker_engine: docker.APIClient | str) -> str:
    """The engine that devkit is told to use."""
    require_docker(docker_engine)
    return str(request.param)


def test_a_container_reaches_it(project: Project) -> None:
    assert project.engines is not None
    project.configure("")
    up = project.devkit("up", "--detach", "--port", "0", "--json").succeeded().document

    said = run(project.engines, project, up["container_url"])

    assert up["container_url"] != up["url"]
    assert f"assumed-role/{ROLE_NAME}/devkit" in said
    project.devkit("down").succeeded()


def run(engine: docker.APIClient, project: Project, url: str) -> str:
    """What the program says in a container."""
    created = engine.create_container(
        "python:3.11-slim-bookworm",
        ["python", "-c", ASK, url],
        labels={"devkit.store": str(project.store)},
        # What an engine in a virtual machine has by itself.
        host_config=engine.create_host_config(extra_hosts={"host.docker.internal": "host-gateway"}),
    )
    try:
        engine.start(created["Id"])
        engine.wait(created["Id"], timeout=60)
        return str(engine.logs(created["Id"]).decode())
    finally:
        engine.remove_container(created["Id"], force=True)
