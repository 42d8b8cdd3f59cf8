"""The developer's AWS account reaches no program, file or child; files are the user's own."""

from __future__ import annotations

import grp
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.kit import (
    HEAD,
    SERVER,
    Project,
    model,
    outcome,
)

KEY = "AKIAIOSFODNN7NEVERSEE"
SECRET = "wJalrXUtnFEMI/K7MDENG/neversee"
PROFILE = "production-neversee"
REGION = "eu-neversee-1"
ACCOUNT = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": SECRET,
    "AWS_PROFILE": PROFILE,
    "AWS_DEFAULT_REGION": REGION,
}

SEEN = """
from os.path import expanduser

def seen():
    files = [expanduser("~/.aws/credentials"), os.environ["REAL_HOME"] + "/.aws/credentials"]
    texts = [f"{name}={value}" for name, value in os.environ.items()]
    for file in files:
        try:
            texts.append(Path(file).read_text())
        except OSError:
            pass
    return "\\n".join(texts)

"""
TRAIN = HEAD + SEEN + '(MODEL / "seen").write_text(seen())\nsay(seen())\n'
SERVE = (
    SERVER
    + SEEN
    + """
class Tells(Handler):
    def do_POST(self):
        self.answer(seen().encode(), "text/plain")

say(seen())
serve(Tells)
"""
)


@pytest.fixture
def signed_in(project: Project, tmp_path: Path) -> Project:
    """A project of a developer with an AWS account, in the environment and in a file."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "credentials").write_text(
        f"[{PROFILE}]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    )
    project.environment |= {**ACCOUNT, "HOME": str(home)}
    project.write(train=TRAIN, serve=SERVE)
    (project.root / "devkit.toml").write_text(
        f'[project]\nname = "{project.name}"\n'
        f'[train]\nenvironment = {{ REAL_HOME = "{home}", MARKER = "{project.name}" }}\n'
        f'[serve]\nenvironment = {{ REAL_HOME = "{home}", MARKER = "{project.name}" }}\n'
    )
    return project


def secrets_in(text: str) -> list[str]:
    return [secret for secret in (KEY, SECRET, PROFILE, REGION) if secret in text]


@pytest.mark.contract("1.7-e", "2.12-c")
@pytest.mark.usefixtures("contained")
def test_train_and_serve_see_no_credentials(signed_in: Project) -> None:
    signed_in.devkit("train").succeeded()
    answer = signed_in.devkit("run", "--data", "1").succeeded()

    assert "REAL_HOME=" in answer.out
    assert secrets_in(answer.out + answer.err) == []
    for job in (signed_in.store / "jobs").iterdir():
        assert secrets_in(model(job)["seen"].decode()) == []


def test_the_environment_of_plain_processes_has_no_credentials(signed_in: Project) -> None:
    signed_in.devkit("train").succeeded()

    seen = model(signed_in.job())["seen"].decode()
    assert "REAL_HOME=" in seen
    assert "AWS_ACCESS_KEY_ID" not in seen
    assert "AWS_PROFILE" not in seen


@pytest.mark.usefixtures("contained")
def test_no_file_of_the_store_holds_credentials(signed_in: Project) -> None:
    signed_in.devkit("run", "--data", "1").succeeded()
    signed_in.devkit("serve", "--detach").succeeded()
    signed_in.devkit("config").succeeded()
    signed_in.devkit("stop", "--all").succeeded()

    files = [path for path in signed_in.store.rglob("*") if path.is_file()]
    assert len(files) > 5
    held = {path: secrets_in(path.read_bytes().decode(errors="replace")) for path in files}
    assert [path for path, secrets in held.items() if secrets] == []


def test_a_detached_devkit_and_all_below_it_have_no_credentials(signed_in: Project) -> None:
    signed_in.devkit("train").succeeded()
    signed_in.devkit("serve", "--detach").succeeded()

    running = signed_in.processes()
    assert running
    for process in running:
        assert secrets_in(Path(f"/proc/{process}/environ").read_bytes().decode()) == []
    signed_in.devkit("stop", "--all").succeeded()


def test_servers_listen_on_loopback_alone(signed_in: Project) -> None:
    signed_in.devkit("train").succeeded()
    url = signed_in.devkit("serve", "--detach").succeeded().out.strip()
    port = int(url.rpartition(":")[2])

    assert listening(port) == {"0100007F"}
    signed_in.devkit("stop", "--all").succeeded()


def listening(port: int) -> set[str]:
    """The addresses that are listened on at a port of this machine, as the kernel writes them."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            address, _, hexadecimal = line.split()[1].partition(":")
            if int(hexadecimal, 16) == port and line.split()[3] == "0A":
                found.add(address)
    return found


# --- an ordinary user ------------------------------------------------------------------------


@pytest.fixture
def ordinary(project: Project) -> Iterator[tuple[Project, int]]:
    """A project of an ordinary user, who may use the Docker engine; with the user's id."""
    if os.geteuid() != 0:
        yield project, os.geteuid()
        return
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv, which runs a command as somebody else, is not installed")
    user = 54321
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are for root alone
    folder.chmod(0o755)
    project.root = folder / "project"
    project.root.mkdir()
    cache, home = folder / "cache", folder / "home"
    cache.mkdir()
    home.mkdir()
    project.environment |= {"DEVKIT_CACHE_DIR": str(cache), "HOME": str(home)}
    project.prefix = as_user(user)
    project.python = readable_python(project.prefix, project.environment)
    for path in (project.root, cache, home):
        os.chown(path, user, user)
    yield project, user
    project.clean_up()
    shutil.rmtree(folder)


def as_user(user: int) -> tuple[str, ...]:
    try:
        groups = f"--groups={grp.getgrnam('docker').gr_gid}"
    except KeyError:
        groups = "--clear-groups"
    # env, because it is only the program after setpriv's own that has no capability of root's
    return ("setpriv", f"--reuid={user}", f"--regid={user}", groups, "--inh-caps=-all", "env")


def readable_python(prefix: tuple[str, ...], environment: dict[str, str]) -> str:
    """A Python with devkit in it that an ordinary user can run; one in root's home is none."""
    site = next(path for path in sys.path if path.endswith("site-packages"))
    for folder in Path(site).parents:
        if folder.name == ".tox":  # tox keeps it to itself; what is in it is no secret
            folder.chmod(folder.stat().st_mode | 0o011)
    environment["PYTHONPATH"] += f":{site}"
    probe = ["-c", "import sys, devkit, docker, virtualenv; assert sys.version_info >= (3, 10)"]
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        done = subprocess.run(
            [*prefix, python, *probe], env=environment, cwd="/", capture_output=True, check=False
        )
        if done.returncode == 0:
            return python
    pytest.skip("no Python here can be run by an ordinary user with devkit in it")


def give(project: Project, user: int) -> None:
    """Let the user own the project's files."""
    for path in project.root.rglob("*"):
        os.chown(path, user, user)


WRITES_AS_IT_LIKES = HEAD + (
    '(MODEL / "deep").mkdir(mode=0o700)\n'
    '(MODEL / "deep" / "weights").write_text("42")\n'
    '(MODEL / "deep" / "weights").chmod(0o400)\n'
    '(OUTPUT / "failure").write_text("no")\n'
    '(OUTPUT / "data" / "report").write_text("well done")\n'
)


def test_everything_in_the_store_belongs_to_the_user(ordinary: tuple[Project, int]) -> None:
    project, user = ordinary
    project.write(train=WRITES_AS_IT_LIKES, serve=SERVER + "serve()\n")
    give(project, user)
    done = project.devkit("run", "--data", "1")
    if "permission denied" in done.err:
        pytest.skip(done.err)
    done.succeeded()

    paths = [project.store, *project.store.rglob("*")]
    assert len(paths) > 10
    assert [path for path in paths if path.lstat().st_uid != user] == []
    assert model(project.job()) == {"deep/weights": b"42"}
    removed = subprocess.run(
        [*project.prefix, "rm", "-rf", str(project.store)], capture_output=True, check=False
    )
    assert (removed.returncode, removed.stderr) == (0, b"")
    assert not project.store.exists()


def test_a_killed_job_of_a_user_is_collected_by_the_user(ordinary: tuple[Project, int]) -> None:
    project, user = ordinary
    project.write(train=WRITES_AS_IT_LIKES + 'say("written")\nwait_for_ever()\n')
    give(project, user)

    with project.start("train", "--name", "lost") as training:
        training.wait_for("│ written")
        training.process.kill()
        training.finish()
    project.devkit("jobs").succeeded()

    assert outcome(project.job("lost"))["status"] == "Stopped"
    assert model(project.job("lost")) == {"deep/weights": b"42"}


@pytest.mark.parametrize("locked", ["project", ".devkit", ".devkit/jobs"])
def test_a_store_that_cannot_be_written_is_named(
    ordinary: tuple[Project, int], locked: str
) -> None:
    project, user = ordinary
    project.write(train=WRITES_AS_IT_LIKES)
    give(project, user)
    folder = project.root if locked == "project" else project.root / locked
    if locked != "project":
        project.devkit("jobs").succeeded()
    mode = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(0o555)

    refused = project.devkit("train")

    folder.chmod(mode)
    refused.failed(8, f"cannot write {project.store}", f"make {project.root} writable")
