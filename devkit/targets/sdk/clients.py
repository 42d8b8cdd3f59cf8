"""``SdkClients``: SageMaker's operations by the SDK's local mode, all others by the local AWS."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from devkit.channels.locations import S3Uri
from devkit.errors import ConfigError
from devkit.job import MetricDefinition
from devkit.local_aws.environment import DEFAULT_BUCKET, ClientFiles, for_command, for_container
from devkit.local_aws.state import Endpoint
from devkit.metrics import MetricScanner
from devkit.store import FOLDER_NAME
from devkit.targets.clients import CallFailed, Clients
from devkit.targets.sdk import limits
from devkit.targets.sdk.driver import settings as driver_settings
from devkit.targets.sdk.driver.settings import DriverSettings
from devkit.targets.sdk.logs import Logs
from devkit.targets.sdk.process import Driver, TooSlow, python_command

LAUNCH = Path(__file__).parent / "driver" / "launch.py"
_INVOCATION_S = 60.0  # §2.3 of the contract
_ERROR_STATUS = 400
_SERVER_ERROR_STATUS = 500
_SHOWN_CHARS = 1024


@dataclass(frozen=True)
class Said:
    """A line that somebody wrote."""

    by: Literal["sdk", "job", "endpoint"]
    text: str
    name: str = ""
    """The job's or the endpoint's."""
    host: str = ""
    """Which of its containers."""


class SdkClients:
    """:class:`~devkit.targets.clients.Clients` over the SDK's ``LocalSession``.

    A context manager. Jobs and endpoints live as long as the block; after it nothing is left.

    Args:
        root: The project's folder.
        aws: Clients of the local AWS; S3 is there, and all that is not SageMaker.
        endpoint: The local AWS.
        environ: What devkit was started with; nothing of the developer's AWS reaches the SDK.
        python: An interpreter that has the SageMaker SDK; else devkit's own.
        on_line: Told every line of the SDK and of containers, from threads, as they come. Those of
            containers are in ``logs`` too.
    """

    def __init__(
        self,
        root: Path,
        aws: Clients,
        endpoint: Endpoint,
        environ: Mapping[str, str],
        *,
        python: Path | None = None,
        on_line: Callable[[Said], None] = lambda _said: None,
    ) -> None:
        self._aws = aws
        self._on_line = on_line
        self._logs = Logs()
        self._metrics: dict[str, MetricScanner] = {}
        self._python = _interpreter(python)
        self._files = ClientFiles(root / FOLDER_NAME / "local-aws" / "client")
        told = DriverSettings(
            folder=str(root / FOLDER_NAME / "sagemaker-local"),
            store=str(root / FOLDER_NAME),
            url=endpoint.url,
            container_url=endpoint.container_url,
            container_environment=for_container(endpoint.container_url, {}, aws.region),
            bucket=DEFAULT_BUCKET,
        )
        environment = {
            **for_command(environ, endpoint.url, self._files),
            "AWS_MAX_ATTEMPTS": "2",  # the local AWS answers, or is gone
            "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
            driver_settings.VARIABLE: told.text(),
        }
        self._driver = Driver(
            python_command(self._python, LAUNCH),
            environment,
            on_event=self._take,
            on_text=lambda text: on_line(Said("sdk", text)),
        )

    @property
    def sdk(self) -> str:
        """The version of the SageMaker SDK."""
        return self._driver.sdk

    @property
    def region(self) -> str:
        """The local AWS's."""
        return self._aws.region

    @property
    def account(self) -> str:
        """The local AWS's."""
        return self._aws.account

    def __enter__(self) -> SdkClients:
        """Start the driver; the SDK's default bucket is there then, as the SDK itself sees to.

        Raises:
            ConfigError: The SDK or Docker Compose is missing.
            EngineError: No Docker engine answers.
            CallFailed: The local AWS makes no bucket.
        """
        self._files.write()
        self._driver.start()
        try:
            self._aws.call("s3", "CreateBucket", {"Bucket": DEFAULT_BUCKET})
        except BaseException:
            self._driver.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop what runs."""
        self._driver.close()

    def call(
        self, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Call an operation.

        Raises:
            CallFailed: It is an error, or local mode cannot do it.
            NoAnswer: The driver has ended.
        """
        if service in ("sagemaker", "sagemaker-runtime"):
            return self._ask(operation, parameters)
        if service == "logs" and self._logs.knows(parameters.get("logGroupName", "")):
            return self._logs.call(operation, parameters)
        return self._aws.call(service, operation, parameters)

    def upload(self, source: Path, place: S3Uri) -> None:
        """Upload a file to the local AWS."""
        self._aws.upload(source, place)

    def download(self, place: S3Uri, target: Path) -> None:
        """Download an object of the local AWS."""
        self._aws.download(place, target)

    def _ask(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        refused = limits.refusals(operation, parameters)
        if refused:
            raise CallFailed(
                operation,
                "ValidationException",
                f"the SageMaker SDK's local mode has no {', '.join(refused)}",
                remedy="--target local has it, and so has the local AWS: devkit exec",
            )
        if operation == "InvokeEndpoint":
            return self._invoke(parameters)
        if operation == "CreateTrainingJob":
            self._metrics.setdefault(parameters["TrainingJobName"], _scanner(parameters))
        answer = _answer(operation, self._driver.call(operation, parameters))
        if operation == "DescribeTrainingJob":
            return {**answer, **self._final_metrics(parameters["TrainingJobName"])}
        return answer

    def _final_metrics(self, job: str) -> dict[str, Any]:
        """What the SDK does not look for (§1.11 of the contract)."""
        found = list(self._metrics[job].last.values()) if job in self._metrics else ()
        metrics = [
            {"MetricName": each.name, "Value": each.value, "Timestamp": each.time} for each in found
        ]
        return {"FinalMetricDataList": metrics} if metrics else {}

    def _invoke(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            message = self._driver.call("InvokeEndpoint", parameters, timeout_s=_INVOCATION_S)
            reply = _answer("InvokeEndpoint", message)
        except TooSlow:
            reply = {"status": 0, "body": _TIMED_OUT}
        if not 0 < reply["status"] < _ERROR_STATUS:
            raise self._model_error(parameters["EndpointName"], reply["status"], reply["body"])
        members = {
            "Body": reply["body"],
            "ContentType": reply["content_type"],
            "InvokedProductionVariant": reply["variant"],
            "CustomAttributes": reply["custom_attributes"],
        }
        return {name: value for name, value in members.items() if value is not None}

    def _model_error(self, name: str, status: int, body: bytes) -> CallFailed:
        """What AWS says of a container's error (§2.6 of the contract)."""
        fault = "client" if _ERROR_STATUS <= status < _SERVER_ERROR_STATUS else "server"
        text = body.decode("utf-8", errors="replace")[:_SHOWN_CHARS]
        return CallFailed(
            "InvokeEndpoint",
            "ModelError",
            f'Received {fault} error ({status}) from primary with message "{text}". See the log '
            f"group /aws/sagemaker/Endpoints/{name} in account {self.account}.",
        )

    def _take(self, event: Mapping[str, Any]) -> None:
        kind, name, host, line = (event[each] for each in ("kind", "name", "host", "line"))
        self._logs.add(kind, name, host, line)
        if kind == "job":
            for _ in self._metrics[name].scan(line, datetime.now(timezone.utc)):
                pass
        self._on_line(Said(kind, line, name, host))


_TIMED_OUT = (
    b"Your invocation timed out while waiting for a response from container primary. Review the "
    b"latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


def _interpreter(python: Path | None) -> str:
    if python is not None:
        return str(python)
    if importlib.util.find_spec("sagemaker") is None:
        raise ConfigError(
            "the SageMaker SDK's local mode needs the SageMaker SDK, which is not installed",
            remedy="pip install 'devkit[sagemaker]' (version 2) or 'devkit[sagemaker3]'",
        )
    return sys.executable


def _scanner(job: Mapping[str, Any]) -> MetricScanner:
    definitions = job["AlgorithmSpecification"].get("MetricDefinitions", ())
    return MetricScanner(
        MetricDefinition(name=each["Name"], regex=each["Regex"]) for each in definitions
    )


def _answer(operation: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
    error = message.get("error")
    if error is not None:
        raise CallFailed(operation, error["code"], error["message"])
    answer: Mapping[str, Any] = message["answer"]
    return answer
