"""A project with a function, an API and a small model, and its chain as clients see it."""

from __future__ import annotations

import http.client
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from tests.integration.kit import HEAD, SERVER, Project

REPOSITORY = Path(__file__).parents[2]
FLOWER = {"petal_length": 0.4, "petal_width": 1.4}
ANSWER_S = 60.0
"""Longer than anything on the way may take."""

TRAIN = HEAD + (
    'given = json.loads((CONFIG / "hyperparameters.json").read_text())\n'
    '(MODEL / "weights").write_text(given.get("answer", "Iris-Setosa"))\n'
)
"""A model that answers what a hyperparameter says."""

SERVE = (
    SERVER
    + """
import time

class Flowers(Handler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        category = (MODEL / "weights").read_text()
        self.answer(json.dumps({"category": category}).encode(), "application/json")

time.sleep(float(os.environ.get("START_S", "0")))
serve(Flowers)
"""
)

CONFIG = """
[endpoint]
name = "iris"

[lambda.iris]
source = "function"
timeout_s = 29
environment = { ENDPOINT_NAME = "iris" }

[gateway]
routes = { "POST /predict" = "iris", "$default" = "iris" }

[invoke]
data = '{"petal_length": 0.4, "petal_width": 1.4}'
"""


@dataclass(frozen=True)
class Answer:
    """What a URL answers."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


def ask(
    url: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    timeout_s: float = ANSWER_S,
) -> Answer:
    """Ask as ``curl -d`` does: a form by its content type, whatever it is."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=timeout_s)
    path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, response.read())
    finally:
        connection.close()


@dataclass(frozen=True)
class Chain:
    """What is up."""

    document: dict[str, Any]
    """As ``devkit up --json`` tells it."""

    @property
    def url(self) -> str:
        """Of the local AWS."""
        return str(self.document["url"])

    @property
    def gateway(self) -> str:
        """Of the API."""
        return str(self.document["gateway"])

    @property
    def pid(self) -> int:
        return int(self.document["pid"])

    def predict(self, body: bytes | None = None) -> Answer:
        """What the API answers about a flower."""
        sent = json.dumps(FLOWER).encode() if body is None else body
        return ask(f"{self.gateway}/predict", sent)

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=64),
        )

    def invoke(self, function: str, event: object) -> dict[str, Any]:
        """What Lambda answers."""
        sent = json.dumps(event).encode()
        answer = self.client("lambda").invoke(FunctionName=function, Payload=sent)
        return {**answer, "Payload": json.loads(answer["Payload"].read())}


@contextmanager
def up(project: Project, *flags: str) -> Iterator[Chain]:
    """``devkit up --detach`` for the length of the block, unless it is ended before."""
    chosen = ("--port", "0") if "--port" not in flags else ()
    done = project.devkit("up", "--detach", "--json", *chosen, *flags, timeout_s=600.0)
    try:
        yield Chain(done.succeeded().document)
    finally:
        project.devkit("down")


def copy_repository(project: Project) -> None:
    """Make it this repository's project, whole."""
    for name in ("devkit.toml", "image", "examples"):
        source, copy = REPOSITORY / name, project.root / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, copy)


def small_chain(project: Project, config: str = "") -> None:
    """The repository's function before a model of a few lines."""
    tag = f'[image]\ntag = "{project.name}:dev"\n'
    project.write(config=tag + CONFIG + config, train=TRAIN, serve=SERVE)
    shutil.copytree(REPOSITORY / "examples/lambda", project.root / "function")


def functions_only(project: Project, config: str, **handlers: str) -> None:
    """Functions of a few lines, and no model: ``name`` is the folder of one."""
    project.configure(config)
    for name, text in handlers.items():
        folder = project.root / name
        folder.mkdir(exist_ok=True)
        (folder / "handler.py").write_text(text)
