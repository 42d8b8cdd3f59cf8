"""[lambda.NAME]: what a folder becomes in Lambda, and what of its edits is noticed."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from devkit.config import FunctionSettings
from devkit.errors import ConfigError, DevkitError
from devkit.lambda_archive import PackageRefused
from devkit.local_aws.chain.functions import ROLE_NAME, ProjectFunction, make_role
from devkit.local_aws.errors import AwsError
from devkit.local_aws.lambda_.definitions import function_arn


class Lambda:
    """Takes what is made, and knows which functions there are; so do real ones."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Mapping[str, Any]]] = []
        self.seeds: list[str] = []
        self.names: set[str] = set()
        self.versions = 0

    def __call__(
        self, service: str, operation: str, parameters: Mapping[str, Any], *, seed: str
    ) -> Mapping[str, Any]:
        if operation == "CreateFunction":
            if parameters["FunctionName"] in self.names:
                raise AwsError("ResourceConflictException", "Function already exist", 409)
            self.names.add(parameters["FunctionName"])
        self.made.append((operation, parameters))
        self.seeds.append(f"{service} {seed}")
        if operation == "PublishLayerVersion":
            self.versions += 1
            return {"LayerVersionArn": f"{parameters['LayerName']}:{self.versions}"}
        return {}

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.made]

    def of(self, operation: str) -> Mapping[str, Any]:
        return dict(self.made)[operation]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "handler.py").write_text("def handler(event, context): ...\n")
    return folder


def function(source: Path, make: Lambda, **more: Any) -> ProjectFunction:
    given: dict[str, Any] = {
        "name": "one",
        "source": source,
        "handler": "handler.handler",
        "runtime": "python3.12",
        "memory_mb": 256,
        "timeout_s": 29,
        "environment": {"NAME": "value"},
        "reserved_concurrency": None,
        "requirements": None,
        **more,
    }
    return ProjectFunction(FunctionSettings(**given), make, _installed)


def _installed(requirements: Path) -> Path:
    folder = requirements.parent.parent / "installed"
    folder.mkdir(exist_ok=True)
    (folder / "module.py").write_text(requirements.read_text())
    return folder


def names_in(archive: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return file.namelist()


def test_a_folder_becomes_a_function_with_its_settings(source: Path) -> None:
    make = Lambda()
    function(source, make).make()
    assert make.operations == ["CreateFunction"]
    created = dict(make.of("CreateFunction"))
    assert names_in(created.pop("Code")["ZipFile"]) == ["handler.py"]
    assert created == {
        "FunctionName": "one",
        "Runtime": "python3.12",
        "Role": f"arn:aws:iam::123456789012:role/{ROLE_NAME}",
        "Handler": "handler.handler",
        "MemorySize": 256,
        "Timeout": 29,
        "Environment": {"Variables": {"NAME": "value"}},
        "Layers": [],
    }


def test_the_same_function_has_the_same_seeds_and_another_one_others(source: Path) -> None:
    first, second, other = Lambda(), Lambda(), Lambda()
    function(source, first).make()
    function(source, second).make()
    function(source, other, name="two").make()
    assert first.seeds == second.seeds
    assert first.seeds != other.seeds


def test_the_second_time_it_is_brought_up_to_date(source: Path) -> None:
    make = Lambda()
    one = function(source, make)
    one.make()
    (source / "more.py").write_text("")
    one.make()
    assert make.operations[1:] == ["UpdateFunctionConfiguration", "UpdateFunctionCode"]
    code = make.of("UpdateFunctionCode")
    assert code["FunctionName"] == "one"
    assert names_in(code["ZipFile"]) == ["handler.py", "more.py"]


def test_requirements_are_a_layer_as_python_finds_it(source: Path) -> None:
    make = Lambda()
    (source / "requirements.txt").write_text("x==1\n")
    function(source, make, requirements=source / "requirements.txt").make()
    layer = make.of("PublishLayerVersion")
    assert layer["LayerName"] == "one-requirements"
    assert names_in(layer["Content"]["ZipFile"]) == ["python/module.py"]
    assert make.of("CreateFunction")["Layers"] == ["one-requirements:1"]


def test_a_built_archive_is_taken_as_it_is(source: Path, tmp_path: Path) -> None:
    archive = tmp_path / "one.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("handler.py", "")
    make = Lambda()
    function(archive, make, requirements=source / "requirements.txt").make()
    assert make.operations == ["CreateFunction"]
    assert make.of("CreateFunction")["Code"] == {"ZipFile": archive.read_bytes()}


def test_concurrency_is_reserved_where_the_settings_say_so(source: Path) -> None:
    make = Lambda()
    function(source, make, reserved_concurrency=0).make()
    assert make.of("PutFunctionConcurrency") == {
        "FunctionName": "one",
        "ReservedConcurrentExecutions": 0,
    }


def test_what_there_is_no_source_of_is_named(tmp_path: Path) -> None:
    make = Lambda()
    with pytest.raises(ConfigError, match="the function one has no source") as missing:
        function(tmp_path / "none", make).make()
    assert missing.value.remedy == "set [lambda.one] source to the folder with its handler"
    assert make.made == []


def test_what_aws_refuses_is_told_in_its_words(source: Path, tmp_path: Path) -> None:
    no_archive = tmp_path / "one.zip"
    no_archive.write_bytes(b"no zip")
    for wrong in (
        function(source, Lambda(), timeout_s=901),
        function(source, Lambda(), environment={"A_VERY_LONG": "x" * 5000}),
        function(no_archive, Lambda()),
    ):
        with pytest.raises(DevkitError, match="AWS would refuse the function one: "):
            wrong.make()


def test_edits_are_told_once_they_have_settled(source: Path) -> None:
    one = function(source, Lambda())
    assert one.changed() == []
    (source / "handler.py").write_text("an edit\n")
    (source / "new.py").write_text("")
    assert one.changed() == []  # somebody may still be writing
    assert one.changed() == ["handler.py", "new.py"]
    assert one.changed() == []


def test_requirements_elsewhere_are_looked_after_too(source: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "reqs.txt"
    elsewhere.write_text("x==1\n")
    one = function(source, Lambda(), requirements=elsewhere)
    elsewhere.write_text("x==22\n")
    one.changed()
    assert one.changed() == ["reqs.txt"]


def test_a_source_that_goes_and_comes_is_a_change_each_time(source: Path) -> None:
    one = function(source, Lambda())
    away = source.with_name("away")
    source.rename(away)
    one.changed()
    assert one.changed() == ["handler.py"]
    away.rename(source)
    os.utime(source / "handler.py", ns=(1, 1))
    one.changed()
    assert one.changed() == ["handler.py"]


def test_the_role_of_functions_trusts_lambda() -> None:
    make = Lambda()
    make_role(make)
    ((operation, parameters),) = make.made
    assert (operation, parameters["RoleName"]) == ("CreateRole", ROLE_NAME)
    statement = json.loads(parameters["AssumeRolePolicyDocument"])["Statement"][0]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert function_arn("us-east-1", "one").endswith(":function:one")


def test_what_is_not_packed_is_no_edit(source: Path) -> None:
    one = function(source, Lambda())
    for name in (".devkit/local-aws/journal.jsonl", "venv/pyvenv.cfg", "venv/lib/x.py"):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (source / "__pycache__").mkdir()
    (source / "__pycache__/handler.cpython-311.pyc").write_text("")
    one.changed()
    assert one.changed() == []
    (source / "sub").mkdir()
    (source / "sub/handler.py").write_text("")
    one.changed()
    assert one.changed() == ["sub/handler.py"]


def test_a_folder_that_lambda_would_not_take_is_refused_before_it_is_read(source: Path) -> None:
    with (source / "data.bin").open("wb") as file:
        file.truncate(300 * 1024 * 1024)  # takes no room
    make = Lambda()
    with pytest.raises(PackageRefused, match=r"unpacked; the largest: data\.bin 300"):
        function(source, make).make()
    assert make.made == []
