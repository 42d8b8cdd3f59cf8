"""A pytest plugin: moto's tests, with what is expected of them here.

What ``differences.toml`` lists has to fail; an entry that names no test is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import requests
from moto import settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DIFFERENCES = Path(__file__).with_name("differences.toml")
# Where moto's tests spell out the address of its server.
_SPELLED_OUT = "http://localhost:5000/"


def pytest_configure(config: pytest.Config) -> None:
    """Send what is for ``localhost:5000`` to the endpoint."""
    for name in ("network", "requires_docker", "aws_verified", "requires_clean_slate"):
        config.addinivalue_line("markers", f"{name}: moto's")
    ask = requests.Session.request

    @wraps(ask)
    def ask_endpoint(
        self: requests.Session, method: str, url: str, *args: Any, **named: Any
    ) -> Any:
        if url.startswith(_SPELLED_OUT):
            endpoint = settings.test_server_mode_endpoint()
            url = f"{endpoint}/{url.removeprefix(_SPELLED_OUT)}"
        return ask(self, method, url, *args, **named)

    requests.Session.request = ask_endpoint  # type: ignore[method-assign,assignment]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Expect the failures that are listed."""
    document = tomllib.loads(DIFFERENCES.read_text("utf-8"))
    elsewhere, expected = (dict(reasons(document[kind])) for kind in ("elsewhere", "difference"))
    listed = {*elsewhere, *expected}
    if not config.option.keyword and (wrong := sorted(stale(listed, items))):
        raise pytest.UsageError(f"{DIFFERENCES.name} lists what is no test: {', '.join(wrong)}")
    gone = [item for item in items if names(item) & elsewhere.keys()]
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if item not in gone]
    for item in items:
        for name in names(item) & expected.keys():
            item.add_marker(pytest.mark.xfail(reason=expected[name], strict=True))


def stale(listed: set[str], items: list[pytest.Item]) -> Iterator[str]:
    """What is listed of the files that are run, and is no test of theirs."""
    there = {name for item in items for name in names(item)}
    files = {name.partition("::")[0] for name in there}
    return (each for each in listed - there if each.partition("::")[0] in files)


def reasons(entries: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Of each test that is listed, why it is."""
    for entry in entries:
        for test in entry["tests"]:
            yield test, entry["reason"]


def names(item: pytest.Item) -> set[str]:
    """What a test may be listed as: with its parameters, and without."""
    return {item.nodeid, item.nodeid.partition("[")[0]}
