"""Run moto's own tests, in their server mode, against ``devkit up``.

::

    python -m tests.moto_suite.run FOLDER [pytest arguments]

The tests come with moto's source distribution, of the version that is installed; it is kept in the
given folder. What they may fail in is in ``differences.toml``: the run fails where anything else
fails, and where something listed passes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from moto import __version__ as moto_version

HERE = Path(__file__).parent
SUITES = (
    "tests/test_s3",
    "tests/test_sagemaker",
    "tests/test_sagemakerruntime",
    "tests/test_logs",
    "tests/test_awslambda",
    "tests/test_apigateway",
    "tests/test_apigatewayv2",
)


def main(arguments: Sequence[str]) -> int:
    """Run them.

    Returns:
        pytest's exit code.
    """
    folder = Path(arguments[0]).resolve()
    given = [each for each in arguments[1:] if each.startswith("tests/")]
    options = [each for each in arguments[1:] if each not in given]
    source = moto_source(folder)
    with endpoint() as url:
        # Not the settings of a project that the folder is in, such as this one.
        settings = ("-c", os.devnull, "--rootdir", str(source))
        command = [sys.executable, "-m", "pytest", *settings, "-p", "moto_differences", "-q"]
        return subprocess.run(
            [*command, *options, *(given or SUITES)], cwd=source, env=environment(url), check=False
        ).returncode


def moto_source(folder: Path) -> Path:
    """The source distribution of the moto that is installed; fetched where it is not there yet."""
    source = folder / f"moto-{moto_version}"
    if source.exists():
        return source
    folder.mkdir(parents=True, exist_ok=True)
    what = ("--no-deps", "--no-binary", ":all:", f"moto=={moto_version}")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder), *what]
    subprocess.run(pip, check=True)
    with tempfile.TemporaryDirectory(dir=folder) as unpacked:
        with tarfile.open(folder / f"{source.name}.tar.gz") as archive:
            # Without moto itself: the tests are to import the one that is installed.
            tests = [each for each in archive if each.name.startswith(f"{source.name}/tests/")]
            archive.extractall(unpacked, members=tests, filter="data")
        (Path(unpacked) / source.name).rename(source)
    return source


@contextmanager
def endpoint() -> Iterator[str]:
    """A ``devkit up`` of a project of its own; its address."""
    with tempfile.TemporaryDirectory() as project:
        (Path(project) / "devkit.toml").touch()
        up = _devkit("up", "--detach", "--port", "0", "--json", project=project)
        try:
            yield str(json.loads(up)["url"])
        finally:
            _devkit("down", project=project)


def _devkit(*arguments: str, project: str) -> str:
    command = [sys.executable, "-m", "devkit", *arguments]
    return subprocess.run(
        command, cwd=project, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def environment(url: str) -> Mapping[str, str]:
    """Of the tests: nobody's account, and moto's server mode."""
    kept = {name: v for name, v in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}
    return {
        **kept,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONPATH": str(HERE),
        "TEST_SERVER_MODE": "true",
        # They wait for what functions log, and no function runs yet.
        "TESTS_SKIP_REQUIRES_DOCKER": "true",
        # By name: moto's tests look for it in the addresses of buckets and queues.
        "TEST_SERVER_MODE_ENDPOINT": url.replace("127.0.0.1", "localhost"),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
