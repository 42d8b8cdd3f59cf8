"""A project's chain: made at once, its edits followed, and what goes wrong told."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from devkit import config
from devkit.errors import ConfigError
from devkit.local_aws.chain.bringing_up import BringingUp
from devkit.local_aws.errors import AwsError
from devkit.local_aws.server import LocalAws
from devkit.progress import Silent

DEADLINE_S = 20.0
CONFIG = """
[lambda.one]
source = "one"
[lambda.two]
source = "two"
[gateway]
routes = { "POST /" = "one" }
"""


class Aws:
    """A local AWS that knows what was made."""

    url = "http://127.0.0.1:4566"

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.made: list[tuple[str, Mapping[str, Any]]] = []
        self.fails: Exception | None = None
        self.call_fails: Exception | None = None

    def make(
        self, service: str, operation: str, parameters: Mapping[str, Any], *, seed: str
    ) -> Mapping[str, Any]:
        del service, seed
        if self.fails is not None:
            raise self.fails
        name = parameters.get("FunctionName")
        if operation == "CreateFunction" and name in [
            each.get("FunctionName") for _, each in self.made
        ]:
            raise AwsError("ResourceConflictException", "there is one", 409)
        self.made.append((operation, parameters))
        return {"ApiId": "abc", "IntegrationId": "i", "LayerVersionArn": "arn"}

    def call(
        self, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        del service, operation, parameters
        if self.call_fails is not None:
            raise self.call_fails
        return {"EndpointStatus": "InService", "EndpointConfigName": "mine"}

    def of(self, operation: str) -> list[str]:
        return [each.get("FunctionName", "") for name, each in self.made if name == operation]


class Told(Silent):
    """What a user is told; it can be waited for."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._changed = threading.Condition()

    def note(self, text: str) -> None:
        with self._changed:
            self.texts.append(text)
            self._changed.notify_all()

    def wait_for(self, text: str) -> None:
        with self._changed:
            told = self._changed.wait_for(lambda: any(text in t for t in self.texts), DEADLINE_S)
        assert told, self.texts


@contextmanager
def chain(root: Path, aws: Aws, told: Told, text: str = CONFIG) -> Iterator[BringingUp]:
    (root / "devkit.toml").write_text(text)
    for name in ("one", "two"):
        (root / name).mkdir()
        (root / name / "handler.py").write_text("")
    settings = config.load(environ={"HOME": str(root)}, cwd=root)
    with BringingUp(settings, cast(LocalAws, aws), told) as chain:
        yield chain


def test_functions_and_their_api_are_made_at_once(tmp_path: Path) -> None:
    aws, told = Aws(), Told()
    with chain(tmp_path, aws, told) as up:
        assert up.make() == "http://127.0.0.1:4566/_gateway/abc"
    assert next(name for name, _ in aws.made) == "CreateRole"
    assert aws.of("CreateFunction") == ["one", "two"]


def test_a_stage_is_part_of_the_url(tmp_path: Path) -> None:
    with chain(tmp_path, Aws(), Told(), f'{CONFIG}stage = "v1"\n') as up:
        assert up.make() == "http://127.0.0.1:4566/_gateway/abc/v1"


def test_a_project_without_functions_has_nothing_to_make(tmp_path: Path) -> None:
    aws = Aws()
    ready = threading.Event()
    with chain(tmp_path, aws, Told(), "") as up:
        assert up.make() is None
        up.begin(ready.set)
        up.wait()
    assert aws.made == []
    assert ready.is_set()


def test_only_what_is_edited_is_made_anew(tmp_path: Path) -> None:
    aws, told = Aws(), Told()
    with chain(tmp_path, aws, told) as up:
        up.make()
        up.begin(lambda: None)
        (tmp_path / "two/handler.py").write_text("an edit\n")
        told.wait_for("lambda two: handler.py changed, live from now on")
        (tmp_path / "one/a.py").write_text("")
        (tmp_path / "one/b.py").write_text("")
        told.wait_for("lambda one: ")
    assert aws.of("UpdateFunctionCode")[:2] == ["two", "one"]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (AwsError("InvalidParameterValueException", "no"), "AWS would refuse the function one"),
        (ConfigError("something is wrong"), "something is wrong"),
    ],
)
def test_an_edit_that_cannot_go_live_is_told_and_the_next_one_is_tried(
    tmp_path: Path, failure: Exception, said: str
) -> None:
    aws, told = Aws(), Told()
    with chain(tmp_path, aws, told) as up:
        up.make()
        up.begin(lambda: None)
        aws.fails = failure
        (tmp_path / "one/handler.py").write_text("an edit\n")
        told.wait_for(said)
        aws.fails = None
        (tmp_path / "one/handler.py").write_text("a second edit\n")
        told.wait_for("lambda one: handler.py changed, live from now on")


def test_a_project_without_an_endpoint_is_ready_at_once(tmp_path: Path) -> None:
    ready = threading.Event()
    with chain(tmp_path, Aws(), Told()) as up:
        up.make()
        up.begin(ready.set)
        up.wait()
        assert up.problem is None
    assert ready.is_set()


def test_an_endpoint_that_sagemaker_refuses_is_told_and_nothing_is_ready(tmp_path: Path) -> None:
    aws, told = Aws(), Told()
    aws.call_fails = AwsError("ValidationException", "no such thing")
    ready = threading.Event()
    text = f"{CONFIG}[endpoint]\n[project]\nengine = 'process'\n"
    with chain(tmp_path, aws, told, text) as up:
        up.make()
        up.begin(ready.set)
        up.wait()
        assert up.problem is not None
    # there is no model, and the project has no program that could make one
    assert "no model could be trained for the endpoint" in told.texts[-1]
    assert not ready.is_set()


def test_the_end_is_not_waited_for_by_what_follows_edits(tmp_path: Path) -> None:
    before = threading.active_count()
    with chain(tmp_path, Aws(), Told()) as up:
        up.make()
        up.begin(lambda: None)
    assert threading.active_count() == before
