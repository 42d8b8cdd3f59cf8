"""The memory of a server of S3 while a large object goes through it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks/s3.py"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux counts it")
def test_a_large_object_does_not_go_through_memory() -> None:
    """The benchmark fails where memory grows by half of the object, or a byte is wrong."""
    done = subprocess.run(
        [sys.executable, BENCHMARK, "--megabytes", "256"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The same bytes came back: yes." in done.stdout
