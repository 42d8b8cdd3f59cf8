"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_leaks_into_the_environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    after = dict(os.environ)
    for changing in ("PYTEST_CURRENT_TEST", "COVERAGE_RCFILE"):
        before.pop(changing, None)
        after.pop(changing, None)
    assert after == before, "a test changed os.environ"
