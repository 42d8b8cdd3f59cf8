"""``devkit up``, ``status``, ``exec`` and ``down`` as a user has them."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from devkit.local_aws.identity import ROLE_NAME
from tests.integration.kit import Project, eventually

ASSUMED = f"arn:aws:sts::123456789012:assumed-role/{ROLE_NAME}/devkit"
WHO = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
WHO_BY_NAME = (
    "import boto3\n"
    "sts = boto3.client('sts', endpoint_url='https://sts.us-east-1.amazonaws.com')\n"
    "print(sts.get_caller_identity()['Arn'])\n"
)
MAKE = "import boto3; print(boto3.client('iam').create_user(UserName='{}')['User']['UserId'])"
LIST = (
    "import boto3\n"
    "for user in boto3.client('iam').list_users()['Users']:\n"
    "    print(user['UserName'], user['UserId'])\n"
)


@pytest.fixture
def project(process_project: Project) -> Project:
    """A project in which the endpoint can be started."""
    process_project.configure("")
    return process_project


def python(project: Project, script: str, *flags: str) -> str:
    """What a Python program prints that is run against the local AWS."""
    done = project.devkit("exec", *flags, "--", sys.executable, "-c", script).succeeded()
    return done.out


def up(project: Project, *flags: str) -> dict[str, object]:
    return project.devkit("up", "--detach", "--port", "0", "--json", *flags).succeeded().document


def test_it_is_started_asked_used_and_stopped(project: Project) -> None:
    endpoint = up(project)

    status = project.devkit("status", "--json").succeeded().document
    assert status["url"] == endpoint["url"]
    assert status["pid"] == endpoint["pid"]
    assert status["services"]["sts"] == ["GetCallerIdentity"]
    assert python(project, WHO) == f"{ASSUMED}\n"
    assert python(project, WHO_BY_NAME) == f"{ASSUMED}\n"
    down = project.devkit("down").succeeded()
    assert down.out == f"{endpoint['url']} stopped\n"
    assert project.leftovers() == []


def test_in_the_foreground_it_runs_until_ctrl_c(project: Project) -> None:
    with project.start("up", "--port", "0") as running:
        running.wait_for("http://127.0.0.1:", "out")
        assert python(project, WHO) == f"{ASSUMED}\n"
        running.ctrl_c()
        running.finish().interrupted()

    project.devkit("status").failed(10, "is not up", "devkit up starts it")


def test_it_is_up_once_in_a_project(project: Project) -> None:
    endpoint = up(project)

    assert up(project)["url"] == endpoint["url"]
    project.devkit("up", "--port", "0").failed(1, "up already", str(endpoint["url"]), "devkit down")
    project.devkit("down").succeeded()


def test_there_is_nothing_to_stop_where_nothing_is_up(project: Project) -> None:
    assert project.devkit("down").succeeded().out == "not up\n"
    assert project.devkit("down", "--json").document == {"stopped": None}


@pytest.mark.parametrize("flags", [(), ("--detach",)])
def test_a_port_in_use_is_told(project: Project, flags: tuple[str, ...]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        project.devkit("up", "--port", str(port), *flags).failed(9, f"port {port}", "--port 0")

    assert project.leftovers() == []


def test_after_kill_9_the_next_command_goes_on(project: Project) -> None:
    pid = up(project)["pid"]
    identifier = python(project, MAKE.format("ann")).strip()
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)

    project.devkit("status").failed(10, "is not up")
    again = project.devkit("up", "--detach", "--port", "0").succeeded()

    assert "as before: 1 call repeated" in again.err
    assert "forgotten: " in again.err
    assert "S3" not in again.err
    assert python(project, LIST) == f"ann {identifier}\n"
    project.devkit("down").succeeded()


def test_s3_is_a_folder_that_outlives_the_endpoint(project: Project) -> None:
    endpoint = up(project)
    python(
        project,
        "import boto3\n"
        "s3 = boto3.client('s3')\n"
        "s3.create_bucket(Bucket='mine')\n"
        "s3.put_object(Bucket='mine', Key='a/b.txt', Body=b'kept', Metadata={'by': 'me'})\n",
    )
    os.kill(int(str(endpoint["pid"])), signal.SIGKILL)
    folder = project.store / "s3"
    assert (folder / "mine" / "a" / "b.txt").read_bytes() == b"kept"
    (folder / "by-hand").mkdir()
    (folder / "by-hand" / "data.csv").write_text("1,2")

    up(project)

    said = python(
        project,
        "import boto3\n"
        "s3 = boto3.client('s3')\n"
        "print([bucket['Name'] for bucket in s3.list_buckets()['Buckets']])\n"
        "print(s3.get_object(Bucket='by-hand', Key='data.csv')['Body'].read())\n"
        "print(s3.head_object(Bucket='mine', Key='a/b.txt')['Metadata'])\n",
    )
    assert said.splitlines() == ["['by-hand', 'mine']", "b'1,2'", "{'by': 'me'}"]
    project.devkit("down").succeeded()


def test_it_can_be_started_fresh(project: Project) -> None:
    python(project, MAKE.format("ann"))
    assert python(project, LIST).startswith("ann ")

    up(project, "--fresh")

    assert python(project, LIST) == ""
    project.devkit("down").succeeded()


def test_a_command_starts_one_for_as_long_as_it_runs(project: Project) -> None:
    done = project.devkit("exec", "--", sys.executable, "-c", WHO).succeeded()

    assert done.out == f"{ASSUMED}\n"
    assert "until the command ends" in done.err
    assert project.leftovers() == []
    project.devkit("status").failed(10, "is not up")


def test_one_that_a_command_started_stays_while_another_uses_it(
    project: Project, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for fifo in (first, second):
        os.mkfifo(fifo)
    script = "import sys; print('begun', flush=True); open(sys.argv[1]).read(); " + WHO

    with (
        project.start("exec", "--", sys.executable, "-c", script, str(first)) as owner,
    ):
        owner.wait_for("begun", "out")
        with project.start("exec", "--", sys.executable, "-c", script, str(second)) as user:
            user.wait_for("begun", "out")
            first.write_text("go on")
            owner.wait_for("another devkit exec uses this local AWS")
            second.write_text("go on")
            assert user.finish().succeeded().out.endswith(f"{ASSUMED}\n")
        assert owner.finish().succeeded().out.endswith(f"{ASSUMED}\n")

    assert project.leftovers() == []


def test_the_exit_code_is_the_commands(project: Project) -> None:
    endpoint = up(project)
    script = "import sys; print('said'); sys.exit(3)"

    assert project.devkit("exec", "--", sys.executable, "-c", script).code == 3

    told = project.devkit("exec", "--json", "--", sys.executable, "-c", script)
    assert (told.code, told.err) == (3, "said\n")
    assert told.document["exit_code"] == 3
    assert told.document["endpoint"]["url"] == endpoint["url"]
    project.devkit("down").succeeded()


def test_a_command_that_is_not_there_is_told(project: Project) -> None:
    project.devkit("exec", "--", "no-such-command").failed(2, "cannot run no-such-command")
    project.devkit("exec").failed(2, "no command to run")
    assert project.leftovers() == []


def test_sigterm_ends_a_command_and_its_endpoint(project: Project) -> None:
    script = "import signal; print('begun', flush=True); signal.pause()"
    with project.start("exec", "--", sys.executable, "-c", script) as running:
        running.wait_for("begun", "out")
        running.send(signal.SIGTERM)
        assert running.finish().code == 128 + signal.SIGTERM

    assert project.leftovers() == []


def test_nothing_of_the_developers_account_reaches_a_command_or_the_endpoint(
    project: Project, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "config").write_text("[profile prod]\nregion = eu-west-1\n")
    (home / ".aws" / "credentials").write_text("[prod]\naws_access_key_id = AKIAREAL\n")
    mine = {
        "HOME": str(home),
        "AWS_PROFILE": "prod",
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SECRET_ACCESS_KEY": "real-secret",
        "AWS_SESSION_TOKEN": "real-token",
        "AWS_ENDPOINT_URL_STS": "https://sts.example.com",
        "http_proxy": "http://192.0.2.1:9",
    }
    script = (
        "import json, os, boto3\n"
        "session = boto3.Session()\n"
        "keys = session.get_credentials().get_frozen_credentials()\n"
        "arn = session.client('sts').get_caller_identity()['Arn']\n"
        "print(json.dumps([dict(os.environ), keys.access_key, session.region_name,\n"
        "                  session.available_profiles, arn]))\n"
    )

    for flags in ((), ("--json",)):
        done = project.devkit("exec", *flags, "--", sys.executable, "-c", script, environment=mine)
        said = done.succeeded().err if flags else done.succeeded().out
        line = next(each for each in said.splitlines() if each.startswith("["))
        environment, key, region, profiles, arn = json.loads(line)
        assert (key, region, profiles, arn) == ("test", "us-east-1", ["default"], ASSUMED)
        assert "AKIAREAL" not in line
        assert "real-" not in line
        assert "sts.example.com" not in line
        assert environment["HOME"] == str(home)
    with project.start("up", "--port", "0") as running:
        running.wait_for("http://", "out")
        pid = project.devkit("status", "--json", environment=mine).document["pid"]
        assert b"real-" not in Path(f"/proc/{pid}/environ").read_bytes()
        running.ctrl_c()
        running.finish().interrupted()


def test_the_endpoints_own_environment_is_clean(project: Project) -> None:
    mine = {"AWS_PROFILE": "no-such-profile", "AWS_SECRET_ACCESS_KEY": "real-secret"}
    command = ("up", "--detach", "--port", "0", "--json")

    pid = project.devkit(*command, environment=mine).succeeded().document["pid"]

    assert b"real-secret" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert python(project, WHO) == f"{ASSUMED}\n"
    project.devkit("down").succeeded()


def test_without_a_project_it_says_what_to_do(project: Project) -> None:
    (project.root / "devkit.toml").unlink()

    for command in (("up",), ("down",), ("status",), ("exec", "--", "true")):
        project.devkit(*command).failed(2, "no devkit.toml")


def test_two_projects_have_an_endpoint_each(project: Project, tmp_path: Path) -> None:
    other = Project(root=tmp_path / "other", environment=project.environment, engine="process")
    other.root.mkdir()
    other.configure("")

    first, second = up(project), up(other)

    assert first["url"] != second["url"]
    python(project, MAKE.format("ann"))
    assert python(other, LIST) == ""
    for each in (project, other):
        each.devkit("down").succeeded()
        eventually(lambda each=each: not each.leftovers(), each.leftovers)  # type: ignore[misc]
