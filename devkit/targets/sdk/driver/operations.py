"""The operations of SageMaker's API, by the SDK's ``LocalSession``.

The SDK does in the call what SageMaker does after it: ``create_training_job`` returns when the job
has ended. So each job and each endpoint has a thread and, for its folder and its port, a session of
its own; what a session knows of models and endpoint configurations, all know.
"""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import tools, wire
from .folders import remove, remove_labelled
from .images import local_image
from .runs import Ending, Kind, Run, failure_reason, free_port
from .settings import RUN_LABEL, DriverSettings, project_name

_OK = 200
_PING_S = 2.0
_POLL_S = 0.02
_STARTUP_S = 480  # §2.3 of the contract
_DAY_S = 86_400
_CLOSING_S = 45.0
_DESCRIBED = (
    "HyperParameters", "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig",
    "ResourceConfig", "StoppingCondition", "Environment",
)  # fmt: skip


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Operations:
    """Everything that was made in this session.

    Args:
        settings: What devkit told.
        tell: Sends an event.
    """

    make_session: Callable[..., Any]
    """Makes a ``LocalSession``; set before the first call."""

    def __init__(self, settings: DriverSettings, tell: Callable[..., None]) -> None:
        self._settings = settings
        self._tell = tell
        self._lock = threading.Lock()
        self._runs: dict[tuple[Kind, str], Run] = {}
        self._all: list[Run] = []
        self._base: Any = None

    def call(self, operation: str, parameters: dict[str, Any]) -> Mapping[str, Any]:
        """Answer a request.

        Raises:
            Refused: It is an error.
        """
        handlers: dict[str, Callable[[dict[str, Any]], Mapping[str, Any]]] = {
            "CreateTrainingJob": self._create_training_job,
            "DescribeTrainingJob": self._describe_training_job,
            "StopTrainingJob": self._stop_training_job,
            "CreateModel": self._create_model,
            "CreateEndpointConfig": self._create_endpoint_config,
            "CreateEndpoint": self._create_endpoint,
            "DescribeModel": self._of_sdk("describe_model", "ModelName"),
            "DescribeEndpointConfig": self._of_sdk(
                "describe_endpoint_config", "EndpointConfigName"
            ),
            "DescribeEndpoint": self._describe_endpoint,
            "InvokeEndpoint": self._invoke_endpoint,
            "DeleteModel": self._of_sdk("delete_model", "ModelName"),
            "DeleteEndpointConfig": self._of_sdk("delete_endpoint_config", "EndpointConfigName"),
            "DeleteEndpoint": self._delete_endpoint,
        }
        if operation not in handlers:
            raise Refused("UnknownOperationException", f"the SDK's local mode has no {operation}")
        return handlers[operation](parameters)

    def close(self) -> None:
        """Stop what runs, with a short grace; a job's artifacts are collected all the same."""
        running = [run for run in self._all if not run.over.is_set() or run.process is not None]
        for run in running:
            run.stop("Stopped", signal.SIGINT)
        deadline = time.monotonic() + _CLOSING_S
        for run in running:
            run.over.wait(max(0.0, deadline - time.monotonic()))
            if run.process is not None:
                with suppress(Exception):  # whatever is left is swept by the next session
                    run.process.wait(max(0.1, deadline - time.monotonic()))

    # --- what the SDK calls -------------------------------------------------------------------

    def follow(self, process: Any) -> int:
        """Follow the compose program of a run to its end.

        Raises:
            RuntimeError: A job failed, as the SDK has it.
        """
        file = Path(process.args[process.args.index("-f") + 1])
        run = next(run for run in self._all if run.folder == file.parent.parent)
        run.process = process
        run.started = _now()
        run.secondary = "Training"
        if run.stopped_by:
            run.signal(signal.SIGTERM)
        limit = self._limit(run)
        ending, said = self._read(run, process)
        limit.cancel()
        code: int = process.wait()
        if ending is None:
            remove_labelled(RUN_LABEL, project_name(self._settings, run.folder))
        if said:
            run.reason = f"Docker Compose failed: {' '.join(said)}"
        run.secondary = "Uploading"
        run.ending = ending or Ending(code)
        if run.kind == "job" and code != 0 and not run.stopped_by:
            raise RuntimeError(run.reason or failure_reason(run.ending))
        return code

    def _limit(self, run: Run) -> threading.Timer:
        """Stops a job once its time is up, which the SDK does not; an endpoint has no end."""
        stopping = run.request.get("StoppingCondition", {})
        limit = threading.Timer(
            stopping.get("MaxRuntimeInSeconds", _DAY_S), run.stop, ["MaxRuntimeExceeded"]
        )
        limit.daemon = True
        if run.kind == "job":
            limit.start()
        return limit

    def _read(self, run: Run, process: Any) -> tuple[Ending | None, list[str]]:
        ending, said = None, []
        with process.stdout:
            for line in process.stdout:
                message = wire.decode(line)
                if "line" in message:
                    host = message["host"].rsplit("-", 1)[0]  # the SDK's have a random end
                    self._tell(
                        event="line", kind=run.kind, name=run.name, host=host, line=message["line"]
                    )
                elif "ended" in message:
                    ending = Ending(**message["ended"])
                else:
                    said += message["said"]
        return ending, said

    def await_ping(self, port: int, timeout: float | None = None) -> None:  # noqa: ARG002 - the SDK's
        """Wait until the endpoint at a port answers its ping.

        Raises:
            RuntimeError: It will not.
        """
        run = next(run for run in self._all if run.port == port)
        variant = run.request["variant"]
        startup_s = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", _STARTUP_S)
        deadline = time.monotonic() + startup_s
        while not _answers_ping(port):
            if run.ending is not None:
                raise RuntimeError(run.reason or f"it exited with code {run.ending.code}")
            if run.stopped_by:
                raise RuntimeError("it was stopped")
            if time.monotonic() > deadline:
                raise RuntimeError(f"it does not answer 200 within {startup_s} s")
            time.sleep(_POLL_S)

    # --- training -----------------------------------------------------------------------------

    def _create_training_job(self, parameters: dict[str, Any]) -> Mapping[str, Any]:
        name = parameters["TrainingJobName"]
        specification = parameters["AlgorithmSpecification"]
        image = self._image(specification["TrainingImage"])
        run = self._begin("job", name, parameters)
        own = {**parameters, "AlgorithmSpecification": {**specification, "TrainingImage": image}}
        threading.Thread(target=self._train, args=(run, own), daemon=True).start()
        return {"TrainingJobArn": f"local:training-job/{name}"}

    def _train(self, run: Run, parameters: dict[str, Any]) -> None:
        status, reason = "Completed", None
        try:
            run.session = self._session(run)
            run.secondary = "Downloading" if parameters.get("InputDataConfig") else "Starting"
            client = run.session.sagemaker_client
            client.create_training_job(**parameters)
            described = client.describe_training_job(TrainingJobName=run.name)
            run.model = described["ModelArtifacts"]["S3ModelArtifacts"]
        except Exception as error:  # whatever the SDK raises, it is the job's failure
            status = "Failed"
            ran = run.ending is not None and run.ending.code != 0
            reason = str(error) if ran else f"ClientError: {type(error).__name__}: {error}"
        remove(run.folder)
        run.status = "Stopped" if run.stopped_by else status
        run.secondary = run.stopped_by or status
        run.reason = reason
        run.ended = _now()
        run.over.set()

    def _describe_training_job(self, parameters: dict[str, Any]) -> Mapping[str, Any]:
        name = parameters["TrainingJobName"]
        run = self._runs.get(("job", name))
        if run is None:
            raise Refused("ValidationException", "Requested resource not found.")
        return {
            **{each: run.request[each] for each in _DESCRIBED if each in run.request},
            **_given(
                TrainingJobName=name,
                TrainingJobArn=f"local:training-job/{name}",
                TrainingJobStatus=run.status,
                SecondaryStatus=run.secondary,
                FailureReason=run.reason,
                ModelArtifacts=run.model and {"S3ModelArtifacts": run.model},
                CreationTime=run.created,
                TrainingStartTime=run.started,
                TrainingEndTime=run.ended,
            ),
        }

    def _stop_training_job(self, parameters: dict[str, Any]) -> Mapping[str, Any]:
        run = self._runs.get(("job", parameters["TrainingJobName"]))
        if run is None:
            raise Refused("ValidationException", "Requested resource not found.")
        if run.over.is_set():
            raise Refused(
                "ValidationException",
                f"The request was rejected because the training job is in status {run.status}.",
            )
        run.status = run.secondary = "Stopping"
        run.stop("Stopped")
        return {}

    # --- hosting ------------------------------------------------------------------------------

    def _create_model(self, parameters: dict[str, Any]) -> Mapping[str, Any]:
        name, container = parameters["ModelName"], parameters["PrimaryContainer"]
        own = {
            "Environment": {},  # the SDK takes all of these for granted
            "ModelDataUrl": self._empty(),
            **container,
            "Image": self._image(container["Image"]),
        }
        self._client().create_model(ModelName=name, PrimaryContainer=own)
        return {"ModelArn": f"local:model/{name}"}

    def _create_endpoint_config(self, parameters: dict[str, Any]) -> Mapping[str, Any]:
        name, variants = parameters["EndpointConfigName"], parameters["ProductionVariants"]
        self._client().create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
        return {"EndpointConfigArn": f"local:endpoint-config/{name}"}

    def _create_endpoint(self, parameters: dict[str, Any]) -> Mapping[str, Any]:
        name, config = parameters["EndpointName"], parameters["EndpointConfigName"]
        described = self._client().describe_endpoint_config(config)
        variant = described["ProductionVariants"][0]
        self._client().describe_model(variant["ModelName"])
        run = self._begin("endpoint", name, {**parameters, "variant": variant})
        run.status = "Creating"
        threading.Thread(target=self._deploy, args=(run, config), daemon=True).start()
        return {"EndpointArn": f"local:endpoint/{name}"}

    def _deploy(self, run: Run, config: str) -> None:
        try:
            run.session = self._session(run)
            run.session.sagemaker_client.create_endpoint(
                EndpointName=run.name, EndpointConfigName=config
            )
            run.status = "InService"
        except Exception as error:  # whatever the SDK raises, it is the endpoint's failure
            self._take_down(run)
            run.reason = _ping_failed(run, error)
            run.status = "Failed"
        run.over.set()

    def _describe_endpoint(self, parameters: dict[str, Any]) -> Mapping[str, Any]:
        run = self._endpoint(parameters["EndpointName"], "ValidationException")
        if run.status == "InService" and run.ending is not None:
            run.status = "Failed"
            run.reason = _ping_failed(run, f"it exited with code {run.ending.code}")
        return _given(
            EndpointName=run.name,
            EndpointArn=f"local:endpoint/{run.name}",
            EndpointConfigName=run.request["EndpointConfigName"],
            ProductionVariants=[{"VariantName": run.request["variant"]["VariantName"]}],
            EndpointStatus=run.status,
            FailureReason=run.reason,
            CreationTime=run.created,
        )

    def _invoke_endpoint(self, parameters: dict[str, Any]) -> Mapping[str, Any]:
        """The container's answer; devkit says what of it is an error of the API."""
        run = self._endpoint(parameters["EndpointName"], "ValidationError")
        if run.status != "InService":
            raise Refused("ValidationError", f"Endpoint {run.name} is {run.status}.")
        variant = run.request["variant"]["VariantName"]
        try:
            answer = run.session.sagemaker_runtime_client.invoke_endpoint(**parameters)
            response = answer["Body"]
            body = response.read()
        except Exception as error:  # of urllib3, which is the SDK's affair
            return {"status": 0, "body": str(error).encode(), "variant": variant}
        response.release_conn()
        headers = response.headers
        return {
            "status": response.status,
            "body": body,
            "variant": variant,
            "content_type": headers.get("Content-Type"),
            "custom_attributes": headers.get("X-Amzn-SageMaker-Custom-Attributes"),
        }

    def _delete_endpoint(self, parameters: dict[str, Any]) -> Mapping[str, Any]:
        run = self._endpoint(parameters["EndpointName"], "ValidationException")
        if not run.over.is_set():  # its thread takes it down
            run.stop("Deleted")
            run.over.wait()
        run.status = "Deleting"
        self._take_down(run)
        with self._lock:
            self._runs.pop(("endpoint", run.name), None)
        return {}

    def _take_down(self, run: Run) -> None:
        """End an endpoint's container; nothing of it is left."""
        run.stop("Deleted")
        if run.process is not None:
            run.process.wait()
        if run.session is not None:
            with suppress(Exception):  # the folder may not be as the SDK left it
                run.session.sagemaker_client.delete_endpoint(run.name)
        remove(run.folder)

    # --- what all need ------------------------------------------------------------------------

    def _begin(self, kind: Kind, name: str, request: Mapping[str, Any]) -> Run:
        with self._lock:
            if (kind, name) in self._runs:
                raise Refused("ResourceInUse", f"there is already one with the name {name}")
            folder = Path(self._settings.session, str(len(self._all) + 1))
            folder.mkdir()
            run = Run(kind, name, folder, free_port(), request)
            self._runs[kind, name] = run
            self._all.append(run)
        return run

    def _endpoint(self, name: str, code: str) -> Run:
        run = self._runs.get(("endpoint", name))
        if run is None:
            raise Refused(code, f'Could not find endpoint "{name}".')
        return run

    def _session(self, run: Run) -> Any:
        return self.make_session(self._settings.bucket, run.folder, run.port)

    def _client(self) -> Any:
        """For what all sessions have in common."""
        with self._lock:
            if self._base is None:
                folder = Path(self._settings.session, "tmp")
                self._base = self.make_session(self._settings.bucket, folder, 0)
        return self._base.sagemaker_client

    def _of_sdk(self, method: str, key: str) -> Callable[[dict[str, Any]], Mapping[str, Any]]:
        def call(parameters: dict[str, Any]) -> Mapping[str, Any]:
            answer: Mapping[str, Any] | None = getattr(self._client(), method)(parameters[key])
            return answer or {}

        return call

    def _image(self, reference: str) -> str:
        image = local_image(reference, tools.has_image)
        if image is None:
            raise Refused(
                "ValidationException",
                f"there is no image {reference} on this machine, and nothing is pulled: "
                "devkit build makes the project's own, docker pull fetches another",
            )
        return image

    def _empty(self) -> str:
        """A place of the model for an endpoint that has none."""
        folder = Path(self._settings.session, "tmp", "no-model")
        folder.mkdir(exist_ok=True)
        return f"file://{folder}"


def _answers_ping(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PING_S)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _ping_failed(run: Run, why: object) -> str:
    """SageMaker's words (§2.14 of the contract), and what happened."""
    variant = run.request["variant"]["VariantName"]
    return (
        f"The primary container for production variant {variant} did not pass the ping health "
        f"check. Please check CloudWatch logs for this endpoint. ({why})"
    )


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _now() -> datetime:
    return datetime.now(timezone.utc)
