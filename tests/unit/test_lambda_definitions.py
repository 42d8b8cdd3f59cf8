"""What a function is: how it is called."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

import pytest

from devkit.local_aws.errors import AwsError
from devkit.local_aws.lambda_.definitions import Definitions, Reference

REGION = "us-east-1"
_T = TypeVar("_T")


@pytest.mark.parametrize(
    ("text", "qualifier", "wanted"),
    [
        ("f", None, (REGION, "f", None)),
        ("f", "live", (REGION, "f", "live")),
        ("f:3", None, (REGION, "f", "3")),
        ("f:$LATEST", "$LATEST", (REGION, "f", "$LATEST")),
        ("123456789012:function:f", None, (REGION, "f", None)),
        ("123456789012:f:live", None, (REGION, "f", "live")),
        ("arn:aws:lambda:eu-west-1:123456789012:function:f", None, ("eu-west-1", "f", None)),
        ("arn:aws-cn:lambda:cn-north-1:123456789012:function:f:1", None, ("cn-north-1", "f", "1")),
        ("-_-", None, (REGION, "-_-", None)),
    ],
)
def test_a_function_goes_by_many_names(
    text: str, qualifier: str | None, wanted: tuple[str, str, str | None]
) -> None:
    found = Reference.parse(text, region=REGION, qualifier=qualifier)

    assert (found.region, found.name, found.qualifier) == wanted


@pytest.mark.parametrize("text", ["", "a b", "f:", "f:a:b", "../f", "arn:aws:s3:::f", "é"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(AwsError) as refused:
        Reference.parse(text, region=REGION)

    assert refused.value.code == "ValidationException"


def test_two_qualifiers_have_to_be_the_same() -> None:
    with pytest.raises(AwsError, match="does not match"):
        Reference.parse("f:1", region=REGION, qualifier="2")


def function(**more: Any) -> SimpleNamespace:
    """A version of a function, as moto holds it."""
    given: dict[str, Any] = {
        "function_arn": "arn",
        "function_name": "f",
        "region": REGION,
        "version": "$LATEST",
        "run_time": "python3.11",
        "handler": "app.handler",
        "code": {},
        "code_bytes": b"code",
        "layers": [],
        "memory_size": 128,
        "timeout": 3,
        "environment_vars": {},
        "role": "r",
        "reserved_concurrency": None,
        "event_invoke_config": [],
        **more,
    }
    return SimpleNamespace(**given)


class Moto:
    """One function with two versions and an alias."""

    def __init__(self) -> None:
        self.revision = 0
        self.looked = 0
        self.latest = function()
        self.alias = SimpleNamespace(
            function_version="1", routing_config={"AdditionalVersionWeights": {"2": 0.25}}
        )

    async def look(self, reading: Callable[[], _T]) -> _T:
        self.looked += 1
        return reading()

    def get_backend(self, _account: str, _region: str) -> Any:
        versions = [function(version=1), function(version=2)]
        group = {"latest": self.latest, "versions": versions}
        lambdas = SimpleNamespace(_functions={"f": group}, _aliases={"arn": {"live": self.alias}})
        return SimpleNamespace(_lambdas=lambdas)


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Moto:
    """Stands in for moto, which is not installed with these tests."""
    moto = Moto()
    module: Any = ModuleType("moto.awslambda.utils")
    module.get_backend = moto.get_backend
    for name in ("moto", "moto.awslambda"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "moto.awslambda.utils", module)
    return moto


def test_a_function_is_looked_for_again_only_when_it_may_have_changed(moto: Moto) -> None:
    async def scene() -> None:
        definitions = Definitions(moto)
        reference = Reference(REGION, "f", None)
        first = await definitions.find(reference)
        assert await definitions.find(reference) is first
        assert moto.looked == 1

        moto.revision += 1
        assert await definitions.find(reference) == first
        moto.latest = function(timeout=9)
        moto.revision += 1
        changed = await definitions.find(reference)
        assert (changed.timeout_s, changed == first) == (9, False)

    asyncio.run(scene())


@pytest.mark.parametrize(("drawn", "version"), [(0.0, "1"), (0.74, "1"), (0.76, "2"), (0.99, "2")])
def test_an_alias_gives_each_version_its_part(moto: Moto, drawn: float, version: str) -> None:
    found = Definitions(moto, lambda: drawn).find(Reference(REGION, "f", "live"))

    assert asyncio.run(found).version == version


@pytest.mark.parametrize(("name", "qualifier"), [("g", None), ("f", "3"), ("f", "nobody")])
def test_what_there_is_not_is_told(moto: Moto, name: str, qualifier: str | None) -> None:
    with pytest.raises(AwsError, match="Function not found: arn:aws:lambda:us-east-1:") as told:
        asyncio.run(Definitions(moto).find(Reference(REGION, name, qualifier)))

    assert told.value.code == "ResourceNotFoundException"
