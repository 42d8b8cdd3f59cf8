"""A cloud in memory: as much of SageMaker and S3 as the targets ask for, and calls that fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from devkit.channels.locations import S3Uri
from devkit.targets.clients import CallFailed

_NO_SUCH = {
    "endpoint": 'Could not find endpoint "{}".',
    "endpoint-config": 'Could not find endpoint configuration "{}".',
    "model": 'Could not find model "{}".',
    "training-job": "Requested resource not found.",
}
_MAKES = {
    "CreateModel": ("model", "ModelName"),
    "CreateEndpointConfig": ("endpoint-config", "EndpointConfigName"),
    "CreateEndpoint": ("endpoint", "EndpointName"),
    "CreateTrainingJob": ("training-job", "TrainingJobName"),
}
_DELETES = {
    "DeleteModel": ("model", "ModelName"),
    "DeleteEndpointConfig": ("endpoint-config", "EndpointConfigName"),
    "DeleteEndpoint": ("endpoint", "EndpointName"),
}
_DESCRIBES = {
    "DescribeModel": ("model", "ModelName"),
    "DescribeEndpointConfig": ("endpoint-config", "EndpointConfigName"),
    "DescribeEndpoint": ("endpoint", "EndpointName"),
    "DescribeTrainingJob": ("training-job", "TrainingJobName"),
}
Described = Mapping[str, Any]


class FakeCloud:
    """:class:`~devkit.targets.clients.Clients` without a cloud.

    What is made is ready at the second look; what is deleted is gone at the second look.

    Args:
        job: What becomes of training jobs.
        endpoint: What becomes of endpoints.
    """

    region = "us-east-1"
    account = "123456789012"

    def __init__(self, *, job: Described | None = None, endpoint: Described | None = None) -> None:
        self.job = job or {"TrainingJobStatus": "Completed", "SecondaryStatus": "Completed"}
        self.endpoint = endpoint or {"EndpointStatus": "InService"}
        self.made: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.looks: dict[tuple[str, str], int] = {}
        self.leaving: set[tuple[str, str]] = set()
        self.before: Callable[[int, str], None] = lambda _number, _operation: None
        """Called before a call is carried out, with its number; may raise."""
        self.after: Callable[[int, str], None] = lambda _number, _operation: None
        """Called when it has been, and before it is answered."""

    def call(
        self, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Carry out an operation."""
        number = len(self.calls)
        self.calls.append(operation)
        self.before(number, operation)
        answer = (
            self._s3(operation, parameters)
            if service == "s3"
            else self._answer(operation, parameters)
        )
        self.after(number, operation)
        return answer

    def upload(self, source: Path, place: S3Uri) -> None:
        """Keep a file."""
        number = len(self.calls)
        self.calls.append("upload")
        self.before(number, "upload")
        self.objects[str(place)] = source.read_bytes()
        self.after(number, "upload")

    def download(self, place: S3Uri, target: Path) -> None:
        """Give a file."""
        target.write_bytes(self.objects[str(place)])

    def names(self, kind: str) -> list[str]:
        """What there is of a kind."""
        return [name for each, name in self.made if each == kind]

    def _answer(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        if operation in _MAKES:
            kind, parameter = _MAKES[operation]
            self.made[kind, parameters[parameter]] = parameters
        elif operation in _DELETES:
            kind, parameter = _DELETES[operation]
            self._found(kind, parameters[parameter])
            self.leaving.add((kind, parameters[parameter]))
        elif operation in _DESCRIBES:
            kind, parameter = _DESCRIBES[operation]
            return self._described(kind, parameters[parameter])
        elif operation == "StopTrainingJob":
            self.job = {"TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}
        elif operation == "InvokeEndpoint":
            self._found("endpoint", parameters["EndpointName"])
            return {"Body": b'{"said": 1}', "ContentType": "application/json"}
        return {}

    def _described(self, kind: str, name: str) -> Mapping[str, Any]:
        found = self._found(kind, name)
        looks = self.looks[kind, name] = self.looks.get((kind, name), 0) + 1
        if (kind, name) in self.leaving:
            if looks > 1:
                del self.made[kind, name]
                self.leaving.discard((kind, name))
            return {**found, "EndpointStatus": "Deleting"}
        if kind == "endpoint":
            return {"EndpointStatus": "Creating"} if looks == 1 else self.endpoint
        if kind == "training-job":
            begun = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}
            return begun if looks == 1 else self.job
        return found

    def _found(self, kind: str, name: str) -> Mapping[str, Any]:
        if (kind, name) not in self.made:
            raise CallFailed("Describe", "ValidationException", _NO_SUCH[kind].format(name))
        return self.made[kind, name]

    def _s3(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        bucket = f"s3://{parameters['Bucket']}/"
        uri = bucket + parameters.get("Key", "")
        if operation == "PutObject":
            self.objects[uri] = parameters["Body"]
        elif operation == "HeadObject" and uri not in self.objects:
            raise CallFailed(operation, "404", "Not Found")
        elif operation == "DeleteObject":
            self.objects.pop(uri, None)
        elif operation == "ListObjectsV2":
            prefix = bucket + parameters["Prefix"]
            keys = [key for key in self.objects if key.startswith(prefix)]
            return {"Contents": [{"Key": key.removeprefix(bucket)} for key in keys]}
        return {}
