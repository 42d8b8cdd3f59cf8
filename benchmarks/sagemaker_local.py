"""``devkit run --target sagemaker-local``, and the same steps with the SageMaker SDK alone.

Both train, deploy, ask and delete in the SDK's local mode, by turns: with the same interpreter for
the SDK (version 2), the same image and data, and the same S3 and AWS APIs, those of ``devkit up``.
The SDK alone is the script below, as the SDK's documentation has it. A third turn is the same
script with ``wait=False``: what it then leaves out is a sleep of 30 s. Run it with the Python that
devkit is installed in::

    python benchmarks/sagemaker_local.py [--python INTERPRETER] [--rounds 3]

Exits with 1 where the target is missed, with 2 where it could not be run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).resolve().parent.parent
DEVKIT = (sys.executable, "-m", "devkit")
CONFIG = """
[project]
name = "iris"
[train]
hyperparameters = { eta = 0.05, n_iter = 1000, random_state = 1 }
channels = { training = { source = "examples/iris/data", content_type = "text/csv" } }
[invoke]
data = '{"petal_length": 0.4, "petal_width": 1.4}'
"""

TARGET_RATIO = 0.5
ANSWER = b'{"category": "Iris-Setosa"}'

SCRIPT = """
import sys
from sagemaker import get_execution_role
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.local import LocalSession

session = LocalSession()
session.config = {"local": {"serving_port": int(sys.argv[1])}}
data = session.upload_data("examples/iris/data", key_prefix="iris/data")
estimator = Estimator(
    image_uri="iris:dev",
    role=get_execution_role(),
    instance_count=1,
    instance_type="local",
    hyperparameters={"eta": "0.05", "n_iter": "1000", "random_state": "1"},
    sagemaker_session=session,
)
estimator.fit({"training": TrainingInput(data, content_type="text/csv")})
predictor = estimator.deploy(1, "local", wait=sys.argv[2] == "wait")
answer = predictor.predict(
    '{"petal_length": 0.4, "petal_width": 1.4}', initial_args={"ContentType": "application/json"}
)
predictor.delete_endpoint()
sys.stdout.buffer.write(b"\\n" + answer)
"""


class BenchmarkFailed(Exception):
    """A step failed, or its answer was not the model's."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where it is measured."""

    project: Path
    python: str
    """The interpreter that has the SDK."""
    environment: Mapping[str, str]
    """What ``devkit exec`` runs commands in."""

    def devkit(self) -> bytes:
        """One command, as a user starts it."""
        environment = {**os.environ, "DEVKIT_SAGEMAKER_PYTHON": self.python}
        return output(
            *DEVKIT, "run", "--target", "sagemaker-local", cwd=self.project, env=environment
        )

    def alone(self, wait: str) -> bytes:
        """The SDK's script."""
        command = (self.python, "-c", SCRIPT, str(free_port()), wait)
        return output(*command, cwd=self.project, env=self.environment)

    def tidy(self) -> None:
        """Remove the containers that the SDK leaves: those of this folder."""
        label = "com.docker.compose.project.working_dir"
        shown = output("docker", "ps", "--all", "--format", f'{{{{.ID}}}} {{{{.Label "{label}"}}}}')
        for line in shown.decode().splitlines():
            identifier, _, folder = line.partition(" ")
            if folder.startswith(self.environment["TMPDIR"]):
                output("docker", "rm", "--force", "--volumes", identifier)


@contextmanager
def bench(python: str) -> Iterator[Bench]:
    """A project with its image built, and its local AWS up."""
    with TemporaryDirectory(prefix="devkit-benchmark-", ignore_cleanup_errors=True) as name:
        project = Path(name).resolve() / "project"
        project.mkdir()
        for folder in ("image", "examples/iris"):
            shutil.copytree(REPOSITORY / folder, project / folder)
        (project / "devkit.toml").write_text(CONFIG, encoding="utf-8")
        temporary = project.parent / "tmp"
        temporary.mkdir()
        output(*DEVKIT, "build", cwd=project)
        output(*DEVKIT, "up", "--detach", "--port", "0", cwd=project)
        try:
            shown = output(*DEVKIT, "exec", "--", "env", "-0", cwd=project).decode()
            pairs = (each.partition("=") for each in shown.split("\0") if each)
            environment = {name: value for name, _, value in pairs} | {"TMPDIR": str(temporary)}
            ready = Bench(project=project, python=python, environment=environment)
            try:
                yield ready
            finally:
                ready.tidy()
        finally:
            output(*DEVKIT, "down", cwd=project)


def measure(ready: Bench, rounds: int) -> list[list[float]]:
    """The seconds of each way, round by round, after one round that does not count."""
    ways = (ready.devkit, lambda: ready.alone("wait"), lambda: ready.alone("no wait"))
    times: list[list[float]] = [[] for _ in ways]
    for number in range(rounds + 1):
        for way, seconds in zip(ways, times, strict=True):
            taken = timed(way)
            ready.tidy()
            if number:
                seconds.append(taken)
    return times


def timed(way: Callable[[], bytes]) -> float:
    """How long a way takes; its answer has to be the model's."""
    begun = time.perf_counter()
    said = way()
    taken = time.perf_counter() - begun
    if said.strip().splitlines()[-1].strip() != ANSWER:
        raise BenchmarkFailed(f"{said[-200:]!r} does not end with the answer {ANSWER!r}")
    return taken


def report(times: Sequence[Sequence[float]]) -> bool:
    """Write the table; whether the target is met."""
    devkit, *alone = times
    targets = (TARGET_RATIO, None)
    names = ("the SDK alone", "the SDK alone, `deploy(wait=False)`")
    write("| compared with | devkit | it | ratio | target |")
    write("|---|---|---|---|---|")
    ratios = [median(devkit) / median(each) for each in alone]
    for name, seconds, ratio, target in zip(names, alone, ratios, targets, strict=True):
        wanted = "" if target is None else f"at most {target}"
        cells = (name, spread(devkit), spread(seconds), f"**{ratio:.2f}**", wanted)
        write(f"| {' | '.join(cells)} |")
    return ratios[0] <= TARGET_RATIO


def output(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> bytes:
    """The standard output of a command that has to succeed."""
    done = subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise BenchmarkFailed(f"{command[0]} … exit code {done.returncode}\n{said}")
    return done.stdout


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spread(seconds: Sequence[float]) -> str:
    """Median and range, for people."""
    return f"{median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"


def write(line: str) -> None:
    """A line of the table, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Measure, and write the table; 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="has version 2 of the SDK")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (default: 3)")
    arguments = parser.parse_args()
    try:
        with bench(arguments.python) as ready:
            times = measure(ready, arguments.rounds)
    except BenchmarkFailed as failed:
        sys.stderr.write(f"error: {failed}\n")
        return 2
    return 0 if report(times) else 1


if __name__ == "__main__":
    sys.exit(main())
