"""The local AWS in this process with Lambda, and functions in it, for the tests of Lambda."""

from __future__ import annotations

import base64
import io
import json
import os
import secrets
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from devkit.engines.base import Engine
from devkit.lambda_contract import OWN_RUNTIME
from devkit.local_aws.identity import ROLE_ARN
from devkit.local_aws.lambda_.runner import Kit
from devkit.local_aws.lambda_.service import Lambda
from devkit.local_aws.sagemaker.workshop import Workshop
from devkit.local_aws.server import LocalAws, Options
from devkit.local_aws.services import Service
from devkit.progress import Silent
from tests.integration.kit import eventually

ONCE = Config(
    retries={"total_max_attempts": 1},
    s3={"addressing_style": "path"},
    max_pool_connections=64,
    read_timeout=50,
    parameter_validation=False,  # for what AWS has to refuse
)
ECHO = "def handler(event, context):\n    return event\n"

Files = Mapping[str, "str | bytes"]


@dataclass(frozen=True)
class Answer:
    """What an invocation that was waited for came to."""

    payload: bytes
    error: str | None
    log: str
    version: str
    request_id: str

    @property
    def document(self) -> Any:
        """What the handler has returned; or the error."""
        return json.loads(self.payload)

    @property
    def value(self) -> Any:
        """What the handler has returned."""
        assert self.error is None, self
        return self.document

    @property
    def kind(self) -> str:
        """Of the error."""
        assert self.error == "Unhandled", self
        return str(self.document["errorType"])


class Notes(Silent):
    """What a user is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


@dataclass
class Functions:
    """Lambda as a user has it."""

    aws: LocalAws
    folder: Path
    """Where it has its files."""
    notes: Notes
    prefix: str = field(default_factory=lambda: f"t{secrets.token_hex(4)}")
    """Of the names of all functions; it stands in the environment of all that runs of them."""
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A client of another service, or of Lambda."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.aws.url,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=ONCE,
            )
        return self._clients[service]

    def create(self, code: str | Files | bytes, name: str | None = None, **more: Any) -> str:
        """Create a function from the text of its module, its files or its archive; its name."""
        name = f"{self.prefix}-{name or secrets.token_hex(4)}"
        parameters = {
            "Runtime": OWN_RUNTIME,
            "Handler": "app.handler",
            "Role": ROLE_ARN,
            "Timeout": 20,
            "MemorySize": 256,
            **more,
        }
        self.client("lambda").create_function(
            FunctionName=name, Code={"ZipFile": as_archive(code)}, **parameters
        )
        return name

    def update(self, name: str, code: str | Files | bytes, **more: Any) -> None:
        """Give a function another code."""
        content = as_archive(code)
        self.client("lambda").update_function_code(FunctionName=name, ZipFile=content, **more)

    def invoke(self, name: str, event: Any = None, **more: Any) -> Answer:
        """Invoke a function, and wait for its answer."""
        parameters = {"LogType": "Tail", "Payload": json.dumps(event), **more}
        return as_answer(self.client("lambda").invoke(FunctionName=name, **parameters))

    def run(self, code: str | Files | bytes, event: Any = None, **more: Any) -> Answer:
        """Create a function, and invoke it once."""
        return self.invoke(self.create(code, **more), event)

    def refused(self, work: Callable[[], object]) -> tuple[int, str, str]:
        """The status, code and message by which AWS refuses something."""
        try:
            done = work()
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return status, error.response["Error"]["Code"], error.response["Error"]["Message"]
        raise AssertionError(done)

    def logged(self, name: str, text: str) -> list[str]:
        """The messages in a function's log, once one of them holds a text."""
        found: list[str] = []

        def there() -> bool:
            found[:] = self.messages(name)
            return any(text in message for message in found)

        eventually(there, lambda: (text, found))
        return found

    def messages(self, name: str) -> list[str]:
        """The messages in a function's log."""
        with suppress(self.client("logs").exceptions.ResourceNotFoundException):
            pages = self.client("logs").get_paginator("filter_log_events")
            return [
                event["message"]
                for page in pages.paginate(logGroupName=f"/aws/lambda/{name}")
                for event in page["events"]
            ]
        return []

    def processes(self, name: str | None = None) -> list[int]:
        """What runs of a function, or of all; supervisors are not counted."""
        return processes_of(name or self.prefix)

    def queue(self) -> Queue:
        """A new queue."""
        return Queue(self.client("sqs"))


class Queue:
    """A queue, read as text.

    Args:
        sqs: A client.
    """

    def __init__(self, sqs: Any) -> None:
        self._sqs = sqs
        self.url = sqs.create_queue(QueueName=f"q-{secrets.token_hex(4)}")["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn = str(found["Attributes"]["QueueArn"])

    def put(self, text: str) -> None:
        """Send a message."""
        self._sqs.send_message(QueueUrl=self.url, MessageBody=text)

    def take(self) -> Any:
        """The document in the next message; it is awaited."""
        got: list[Any] = []

        def there() -> bool:
            received = self._sqs.receive_message(QueueUrl=self.url, WaitTimeSeconds=1)
            for message in received.get("Messages", ()):
                self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                got.append(json.loads(message["Body"]))
            return bool(got)

        eventually(there, f"nothing comes to {self.url}")
        return got[0]


@contextmanager
def functions(
    folder: Path,
    *,
    namespaces: bool = True,
    engine: Callable[[], Engine] | None = None,
    services: Sequence[Service] = (),
    bridge: str | None = None,
    journal: Path | None = None,
) -> Iterator[Functions]:
    """The local AWS with Lambda; at the end nothing of it is left.

    Args:
        folder: For its files, and for a home folder with secrets in it.
        namespaces: Whether functions get some.
        engine: For functions that are images.
        services: Other live services.
        bridge: The address at which containers reach this machine.
        journal: See ``Options``.
    """
    notes = Notes()
    home = folder / "home"
    (home / ".aws").mkdir(parents=True, exist_ok=True)
    (home / ".aws" / "credentials").write_text("[default]\naws_secret_access_key = private\n")
    workshop = Workshop(
        store=nothing_runs, engine=engine or nothing_runs, build=nothing_runs, tag="nothing"
    )
    kit = Kit(
        folder=folder / "functions",
        workshop=workshop,
        homes=[home],
        observer=notes,
        namespaces=namespaces,
    )
    options = Options(services=[Lambda(kit), *services], bridge=bridge, journal=journal)
    with LocalAws(options) as aws:
        made = Functions(aws, kit.folder, notes)
        yield made
    for client in made._clients.values():
        client.close()
    assert not kit.folder.exists(), list(kit.folder.rglob("*"))[:20]
    assert made.processes() == []


def nothing_runs() -> NoReturn:
    raise AssertionError("nothing of this needs an engine")


def as_answer(response: Any) -> Answer:
    """What Invoke says."""
    return Answer(
        payload=response["Payload"].read(),
        error=response.get("FunctionError"),
        log=base64.b64decode(response.get("LogResult", "")).decode(errors="replace"),
        version=response.get("ExecutedVersion", ""),
        request_id=response["ResponseMetadata"]["RequestId"],
    )


def as_archive(code: str | Files | bytes) -> bytes:
    """A zip archive; a text alone is ``app.py``."""
    if isinstance(code, bytes):
        return code
    return zipped({"app.py": code} if isinstance(code, str) else code)


def zipped(files: Files, *, mode: int = 0o644) -> bytes:
    """A zip archive with these files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def processes_of(name: str) -> list[int]:
    """The processes in whose environment a name stands."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if name.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return [pid for pid in found if pid != os.getpid()]
