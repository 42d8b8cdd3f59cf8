"""What devkit makes of the SDK's file for Docker Compose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from devkit.targets.sdk.driver.compose import amended
from devkit.targets.sdk.driver.settings import DriverSettings

SETTINGS = DriverSettings(
    folder="/p/.devkit/sagemaker-local",
    store="/p/.devkit",
    url="http://127.0.0.1:4566",
    container_url="http://172.17.0.1:4566",
    container_environment={"AWS_ENDPOINT_URL": "http://172.17.0.1:4566", "AWS_REGION": "us-east-1"},
    bucket="b",
    session="/p/.devkit/sagemaker-local/s1",
)
RUN = Path("/p/.devkit/sagemaker-local/s1/3")


def of(**service: Any) -> dict[str, Any]:
    """A service of the SDK's file, amended."""
    document = {
        "version": "2.3",
        "services": {"algo-1-x": {"image": "iris:dev", "container_name": "c", **service}},
        "networks": {"sagemaker-local": {"name": "sagemaker-local"}},
    }
    made: dict[str, Any] = amended(document, SETTINGS, RUN)["services"]["algo-1-x"]
    return made


def test_containers_and_network_are_the_runs_own() -> None:
    document = {"services": {}, "networks": {"sagemaker-local": {"name": "sagemaker-local"}}}

    network = amended(document, SETTINGS, RUN)["networks"]["sagemaker-local"]

    assert network["name"] == "devkit-s1-3"
    assert network["labels"] == of()["labels"]
    assert of()["labels"] == {
        "devkit.store": "/p/.devkit",
        "devkit.sdk-session": "s1",
        "devkit.sdk-run": "devkit-s1-3",
    }


def test_ports_are_on_loopback_alone() -> None:
    assert of(ports=["41234:8080"])["ports"] == ["127.0.0.1:41234:8080"]
    assert "ports" not in of()


def test_containers_find_the_local_aws_and_the_job_has_precedence() -> None:
    given = [
        "AWS_ENDPOINT_URL_S3=http://127.0.0.1:4566",
        "AWS_REGION=eu-west-1",
        "ODD=a=b",
        "EMPTY=",
    ]

    assert of(environment=given)["environment"] == {
        "AWS_ENDPOINT_URL": "http://172.17.0.1:4566",
        "AWS_ENDPOINT_URL_S3": "http://172.17.0.1:4566",
        "AWS_REGION": "eu-west-1",
        "ODD": "a=b",
        "EMPTY": "",
    }


def test_dollar_signs_arrive_as_they_were_given() -> None:
    service = of(environment=["PASSWORD=pa$$word$1"], entrypoint=["sh", "-c", "echo $HOME"])

    assert service["environment"]["PASSWORD"] == "pa$$$$word$$1"
    assert service["entrypoint"] == ["sh", "-c", "echo $$HOME"]


def test_the_rest_is_the_sdks() -> None:
    service = of(tty=True, volumes=["/a:/opt/ml/model"], shm_size="128M")

    assert (service["tty"], service["volumes"], service["shm_size"]) == (
        True, ["/a:/opt/ml/model"], "128M",
    )  # fmt: skip
