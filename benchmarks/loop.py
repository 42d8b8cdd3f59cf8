"""How much time devkit adds to the loop: train, serve, one request, stop.

Each engine goes through the loop in two ways, by turns, and the medians are compared:

- docker: ``devkit run --engine docker``, and the same steps with the ``docker`` command alone;
- process: ``devkit run --engine process``, and the same programs as plain child processes.

Everything is built before the clock starts, and every answer is checked. ``README.md`` beside this
file says what exactly is measured. Run it with the Python that devkit is installed in::

    python benchmarks/loop.py [--engine docker|process] [--rounds 5] [--json FILE]

Exits with 1 where a target is missed, with 2 where the loop could not be run.
"""

from __future__ import annotations

import argparse
import http.client
import json
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

from devkit import Project
from devkit.errors import DevkitError

REPOSITORY = Path(__file__).resolve().parent.parent
# What the example project consists of: it is measured in a copy, so that no run of it stays.
PROJECT_FILES = ("devkit.toml", "image", "examples/iris")
DEVKIT = (sys.executable, "-m", "devkit")

LOOP_TARGET_RATIO = 1.5
HELP_TARGET_S = 0.25

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POLL_S = 0.02
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class BenchmarkFailed(Exception):
    """A step failed, or its answer was not the model's."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One thing done with devkit and without; the seconds it took, round by round."""

    what: str
    devkit: Sequence[float]
    bare: Sequence[float]
    target_ratio: float | None = None
    target_s: float | None = None

    @property
    def ratio(self) -> float:
        """The median with devkit over the bare one."""
        return median(self.devkit) / median(self.bare)

    @property
    def met(self) -> bool:
        """Whether no target is missed."""
        fast_enough = self.target_s is None or median(self.devkit) <= self.target_s
        return fast_enough and (self.target_ratio is None or self.ratio <= self.target_ratio)

    def row(self) -> str:
        """A row of the table."""
        target = f"{self.target_ratio}" if self.target_s is None else f"{self.target_s} s"
        met = "yes" if self.met else "**no**"
        cells = (self.what, spread(self.devkit), spread(self.bare), f"**{self.ratio:.2f}**")
        return f"| {' | '.join(cells)} | at most {target} | {met} |"

    def document(self) -> dict[str, object]:
        """The same for machines."""
        return {
            "what": self.what,
            "devkit_s": list(self.devkit),
            "bare_s": list(self.bare),
            "devkit_median_s": median(self.devkit),
            "bare_median_s": median(self.bare),
            "ratio": self.ratio,
            "target_ratio": self.target_ratio,
            "target_s": self.target_s,
            "met": self.met,
        }


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the bare loops train on and ask for: what the project's settings say."""

    hyperparameters: Mapping[str, str]
    training: Path
    request: bytes
    content_type: str

    @classmethod
    def of(cls, project: Project) -> Job:
        """That of the example project, which has one channel."""
        train, invoke = project.settings.train, project.settings.invoke
        (channel,) = train.channels
        return cls(
            hyperparameters=train.hyperparameters,
            training=Path(str(channel.location)),
            request=(invoke.data or "").encode(),
            content_type=invoke.content_type,
        )

    def prepare(self, opt_ml: Path) -> None:
        """Write an ``/opt/ml`` to train in."""
        for name in ("input/config", "input/data/training", "model", "output"):
            (opt_ml / name).mkdir(parents=True)
        config = opt_ml / "input" / "config" / "hyperparameters.json"
        config.write_text(json.dumps(dict(self.hyperparameters)), encoding="utf-8")


Loop = Callable[[], bytes]
"""Goes through the loop once and gives the answer."""


# --- the loop in its four forms ----------------------------------------------------------------


def devkit_loop(project: Path, engine: str) -> Loop:
    """One command, as a user starts it."""
    return lambda: output(*DEVKIT, "run", "--engine", engine, "--project", str(project))


@contextmanager
def docker_loop(image: str, job: Job) -> Iterator[Loop]:
    """The ``docker`` commands that a user would type, with an ``/opt/ml`` prepared beforehand."""
    with TemporaryDirectory(prefix="opt-ml-") as folder:
        opt_ml = Path(folder)
        job.prepare(opt_ml)
        container = f"devkit-benchmark-{os.getpid()}"

        def loop() -> bytes:
            train = ["--volume", f"{opt_ml}:/opt/ml"]
            train += ["--volume", f"{job.training}:/opt/ml/input/data/training:ro"]
            train += ["--user", f"{os.getuid()}:{os.getgid()}"]  # else the model would be root's
            output("docker", "run", "--rm", *train, image, "train")
            serve = ["--volume", f"{opt_ml}/model:/opt/ml/model:ro", "--publish", "127.0.0.1::8080"]
            output("docker", "run", "--detach", "--name", container, *serve, image, "serve")
            port = int(output("docker", "port", container, "8080").rpartition(b":")[2])
            await_ping(port)
            answer = invoke(port, job)
            output("docker", "stop", container)
            output("docker", "rm", container)
            return answer

        try:
            yield loop
        finally:
            command = ["docker", "rm", "--force", "--volumes", container]
            subprocess.run(command, capture_output=True, check=False)


@contextmanager
def process_loop(program: Path, environment: Path, job: Job) -> Iterator[Loop]:
    """The image's two programs as they are, told their places and their port in variables."""
    with TemporaryDirectory(prefix="opt-ml-") as folder:
        opt_ml = Path(folder)
        job.prepare(opt_ml)
        python = str(environment / "bin" / "python")
        port = free_port()
        variables = {
            "PATH": f"{program}:{environment}/bin:{SYSTEM_PATH}",
            "PYTHONDONTWRITEBYTECODE": "1",  # as in the image
            "PYTHONUNBUFFERED": "1",
            "SM_INPUT_DIR": f"{opt_ml}/input",
            "SM_CHANNEL_TRAINING": str(job.training),
            "SM_MODEL_DIR": f"{opt_ml}/model",
            "SM_OUTPUT_DIR": f"{opt_ml}/output",
            "SAGEMAKER_BIND_TO_PORT": str(port),
        }

        def loop() -> bytes:
            output(python, "train", cwd=program, env=variables)
            with (
                (opt_ml / "serve.log").open("wb") as log,
                subprocess.Popen(
                    [python, "serve"], cwd=program, env=variables, stdout=log, stderr=log
                ) as server,
            ):
                try:
                    await_ping(port)
                    answer = invoke(port, job)
                finally:
                    server.terminate()
                    server.wait(STOP_TIMEOUT_S)
            return answer

        yield loop


# --- their steps -------------------------------------------------------------------------------


def output(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> bytes:
    """The standard output of a command that has to succeed."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        raise BenchmarkFailed(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise BenchmarkFailed(f"{' '.join(command)}: exit code {done.returncode}\n{said}")
    return done.stdout


def await_ping(port: int) -> None:
    """Poll ``/ping`` until it is good."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if request(port, "GET", "/ping")[0] == http.HTTPStatus.OK:
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(POLL_S)
    raise BenchmarkFailed(f"the ping was not good within {START_TIMEOUT_S:g} s")


def invoke(port: int, job: Job) -> bytes:
    """One request."""
    status, body = request(port, "POST", "/invocations", job.request, job.content_type)
    if status != http.HTTPStatus.OK:
        raise BenchmarkFailed(f"HTTP {status}: {body!r}")
    return body


def request(
    port: int, method: str, path: str, body: bytes | None = None, content_type: str | None = None
) -> tuple[int, bytes]:
    """One HTTP request to 127.0.0.1."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT_S)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- measuring ---------------------------------------------------------------------------------


def compare_docker(folder: Path, rounds: int) -> Comparison:
    """The docker engine and the docker command."""
    project = Project.load(folder, overrides={"project.engine": "docker"})
    with docker_loop(project.build().id, Job.of(project)) as bare:
        return compare_loops("docker", devkit_loop(folder, "docker"), bare, rounds)


def compare_process(folder: Path, rounds: int) -> Comparison:
    """The process engine and plain processes, in the same environment."""
    project = Project.load(folder, overrides={"project.engine": "process"})
    image = project.build()
    if image.program is None or image.environment is None:
        raise BenchmarkFailed("the process engine gave no environment")
    with process_loop(image.program, image.environment, Job.of(project)) as bare:
        return compare_loops("process", devkit_loop(folder, "process"), bare, rounds)


def compare_loops(engine: str, devkit: Loop, bare: Loop, rounds: int) -> Comparison:
    """Both loops by turns, after one round of each that does not count."""
    expected = json.loads(bare())

    def checked(loop: Loop) -> Callable[[], None]:
        def step() -> None:
            answer = json.loads(loop())
            if answer != expected:
                raise BenchmarkFailed(f"{answer} is not the answer {expected}")

        return step

    checked(devkit)()
    times = by_turns(checked(devkit), checked(bare), rounds)
    return Comparison(
        what=f"`devkit run --engine {engine}`",
        devkit=times[0],
        bare=times[1],
        target_ratio=LOOP_TARGET_RATIO,
    )


def compare_help(rounds: int) -> Comparison:
    """``devkit --help``, and a Python that does nothing."""
    devkit, bare = (*DEVKIT, "--help"), (sys.executable, "-c", "pass")
    output(*devkit)
    times = by_turns(lambda: output(*devkit), lambda: output(*bare), rounds)
    return Comparison(
        what="`devkit --help`", devkit=times[0], bare=times[1], target_s=HELP_TARGET_S
    )


def by_turns(
    first: Callable[[], object], second: Callable[[], object], rounds: int
) -> tuple[list[float], list[float]]:
    """The seconds that each takes, round by round: first, second, first, second."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for step, seconds in zip((first, second), times, strict=True):
            begun = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - begun)
    return times


# --- the command -------------------------------------------------------------------------------


def main() -> int:
    """Measure, and write the table; 1 where a target is missed."""
    arguments = parse()
    try:
        comparisons = list(measure(arguments.engine, arguments.rounds))
    except (BenchmarkFailed, DevkitError) as failed:
        sys.stderr.write(f"error: {failed}\n")
        return 2
    if arguments.json is not None:
        document = [comparison.document() for comparison in comparisons]
        arguments.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0 if all(comparison.met for comparison in comparisons) else 1


def measure(engines: Sequence[str], rounds: int) -> Iterator[Comparison]:
    """Measure everything, one row of the table after another."""
    write("| | devkit | without | ratio | target | met |")
    write("|---|---|---|---|---|---|")
    with TemporaryDirectory(prefix="devkit-benchmark-") as name:
        folder = Path(name).resolve()
        copy_project(folder)
        steps = {"docker": compare_docker, "process": compare_process}
        for engine in engines:
            comparison = steps[engine](folder, rounds)
            write(comparison.row())
            yield comparison
    comparison = compare_help(rounds)
    write(comparison.row())
    yield comparison


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    engines = ("docker", "process")
    parser.add_argument("--engine", choices=engines, nargs="+", default=engines)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all times there, too")
    return parser.parse_args()


def copy_project(folder: Path) -> None:
    """The example project in a folder of its own."""
    for name in PROJECT_FILES:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)


def spread(seconds: Sequence[float]) -> str:
    """Median and range, for people."""
    return f"{median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def write(line: str) -> None:
    """A line of the table, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
