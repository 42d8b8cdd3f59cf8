"""The example project in an account of AWS: ``tox -e aws``, with whatever credentials there are.

Costs some cents in a real account: training jobs of some minutes on ml.m5.large, and endpoints for
some minutes on ml.m5.xlarge. Everything but what ``devkit bootstrap`` makes is deleted afterwards.
With ``AWS_ENDPOINT_URL`` set to the address of ``devkit up`` it costs nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
_PATIENCE_S = 3600

pytestmark = pytest.mark.skipif(
    os.environ.get("DEVKIT_AWS_ACCOUNT") != "1",
    reason="it makes things in an account: DEVKIT_AWS_ACCOUNT=1, as tox -e aws sets it",
)


class Here:
    """A copy of the example project, and commands in it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def devkit(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "devkit", *arguments],
            cwd=self._root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done
        return done.stdout

    def document(self, *arguments: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.devkit(*arguments, "--json"))
        return document


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    for name in ("image", "examples"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    shutil.copy(REPOSITORY / "devkit.toml", tmp_path)
    here = Here(tmp_path)
    here.devkit("bootstrap", "--yes")
    try:
        yield here
    finally:
        here.devkit("down", "--target", "aws")
        assert here.document("status", "--target", "aws") == {"resources": []}


def test_the_whole_loop(here: Here) -> None:
    answer = here.devkit("run", "--target", "aws", "--yes")

    assert json.loads(answer) == {"category": "Iris-Setosa"}


def test_an_endpoint_that_stays_until_it_is_deleted(here: Here) -> None:
    job = here.document("train", "--target", "aws", "--yes")
    assert "iteration=1000/1000" in here.devkit("logs", job["job"], "--target", "aws")

    deployed = here.document(
        "deploy", "--target", "aws", "--yes", "--ttl", "1h", "--model", job["model"]
    )
    answer = here.devkit("invoke", "--target", "aws")

    assert json.loads(answer) == {"category": "Iris-Setosa"}
    names = [each["name"] for each in here.document("status", "--target", "aws")["resources"]]
    assert deployed["endpoint"] in names
