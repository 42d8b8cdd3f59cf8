"""Functions and API of a project, whatever is behind them: made, edited, overwhelmed, refused."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.chain_kit import (
    Answer,
    Chain,
    ask,
    copy_repository,
    functions_only,
    up,
)
from tests.integration.kit import Project, Running, eventually
from tests.integration.test_full_disk import fill, mount

ECHO = """
import base64, json, secrets

INSTANCE = secrets.token_hex(8)

def handler(event, context):
    body = event.get("body", "null")
    said = json.loads(base64.b64decode(body) if event["isBase64Encoded"] else body)
    return {"said": said, "instance": INSTANCE}
"""
VERSION = 'def handler(event, context):\n    return {"version": %d}\n'
ONE = '[lambda.one]\nsource = "one"\n[gateway]\n'
FAILED = {"message": "Internal Server Error"}


@contextmanager
def watched_up(project: Project, *flags: str) -> Iterator[tuple[Chain, Running]]:
    """``devkit up`` in the foreground, whose lines can be waited for."""
    with project.start("up", "--port", "0", *flags) as running:
        running.wait_for("devkit invoke --via")
        yield Chain(project.devkit("status", "--json").succeeded().document), running
        if running.process.poll() is None:
            running.ctrl_c()
            assert running.finish().code == 130


# --- what is made ---------------------------------------------------------------------------------


def test_a_restart_has_the_same_api_and_nothing_of_it_is_in_the_journal(
    process_project: Project,
) -> None:
    project = process_project
    functions_only(project, ONE, one=VERSION % 1)
    described = []
    for _ in range(2):
        with up(project) as chain:
            assert ask(f"{chain.gateway}/anything").document == {"version": 1}
            (project.root / "one/handler.py").write_text(VERSION % 2)
            _await_version(chain, 2)
            (project.root / "one/handler.py").write_text(VERSION % 1)
            client, lambda_ = chain.client("apigatewayv2"), chain.client("lambda")
            (api,) = client.get_apis()["Items"]
            assert api["ApiEndpoint"] == chain.gateway
            parts = [
                [each["RouteId"] for each in client.get_routes(ApiId=api["ApiId"])["Items"]],
                client.get_integrations(ApiId=api["ApiId"])["Items"][0]["IntegrationId"],
                lambda_.get_function(FunctionName="one")["Configuration"]["FunctionArn"],
            ]
            described.append((api["ApiId"], parts))
        journal = (project.store / "local-aws/journal.jsonl").read_text()
        calls = [json.loads(line)["headers"]["x-amz-target"] for line in journal.splitlines()]
        assert calls == ["Logs_20140328.CreateLogGroup"]
    assert described[0] == described[1]


def test_what_the_user_makes_beside_it_is_kept_and_does_not_meet_it(
    process_project: Project,
) -> None:
    project = process_project
    functions_only(project, ONE, one=VERSION % 1)
    with up(project) as chain:
        mine = chain.client("apigatewayv2").create_api(
            Name="mine",
            ProtocolType="HTTP",
            Target="arn:aws:lambda:us-east-1:123456789012:function:one",
        )
    with up(project) as chain:
        names = {each["Name"] for each in chain.client("apigatewayv2").get_apis()["Items"]}
        assert names == {"mine", project.name}
        assert ask(f"{chain.url}/_gateway/{mine['ApiId']}/x").document == {"version": 1}
        assert ask(f"{chain.gateway}/x").document == {"version": 1}


def test_a_function_that_is_deleted_from_the_file_is_gone_after_a_restart(
    process_project: Project,
) -> None:
    project = process_project
    two = '[lambda.two]\nsource = "two"\n'
    functions_only(project, two + ONE + 'routes = { "$default" = "one" }\n', one=VERSION % 1)
    functions_only(project, two + ONE + 'routes = { "$default" = "one" }\n', two=VERSION % 2)
    with up(project) as chain:
        assert chain.invoke("two", {})["Payload"] == {"version": 2}
    functions_only(project, ONE)
    with up(project) as chain:
        functions = chain.client("lambda").list_functions()["Functions"]
        assert [each["FunctionName"] for each in functions] == ["one"]


@pytest.mark.contract("4-h", "4-i", "4-k")
def test_settings_are_the_functions(process_project: Project) -> None:
    project = process_project
    config = """
[lambda.one]
source = "code"
handler = "pkg/mod.run"
memory_mb = 256
timeout_s = 7
environment = { GREETING = "hello" }

[lambda.off]
source = "code"
handler = "pkg/mod.run"
reserved_concurrency = 0

[gateway]
name = "front"
stage = "v1"
cors_origins = ["http://pages.example"]
routes = { "GET /items/{id}" = "one", "POST /off" = "off" }
"""
    functions_only(project, config)
    (project.root / "code/pkg").mkdir(parents=True)
    (project.root / "code/pkg/mod.py").write_text(
        "import os\n"
        "def run(event, context):\n"
        '    return [os.environ["GREETING"], context.memory_limit_in_mb,\n'
        "            -(-context.get_remaining_time_in_millis() // 1000),\n"
        '            event["pathParameters"]["id"], event["requestContext"]["stage"]]\n'
    )
    with up(project) as chain:
        assert chain.gateway.endswith("/v1")
        page = {"Origin": "http://pages.example"}
        got = ask(f"{chain.gateway}/items/7", method="GET", headers=page)
        assert got.document == ["hello", "256", 7, "7", "v1"]
        assert got.headers["access-control-allow-origin"] == "http://pages.example"
        refused = ask(f"{chain.gateway}/items/7", method="GET", headers={"Origin": "http://x.org"})
        assert refused.status == 403
        off = ask(f"{chain.gateway}/off")
        assert (off.status, off.document) == (503, {"message": "Service Unavailable"})
        assert ask(f"{chain.gateway}/nothing").status == 404


def test_requirements_are_a_layer(process_project: Project) -> None:
    project = process_project
    code = "import colours\ndef handler(event, context):\n    return [colours.__file__]\n"
    functions_only(project, ONE, one=code)
    wheel(project.root / "one", "colours", "1.0")
    (project.root / "one/requirements.txt").write_text("./colours-1.0-py3-none-any.whl\n")
    with up(project) as chain:
        assert ask(chain.gateway).document == ["/opt/python/colours.py"]
        described = chain.client("lambda").get_function_configuration(FunctionName="one")
        (layer,) = described["Layers"]
        assert layer["Arn"].startswith(
            "arn:aws:lambda:us-east-1:123456789012:layer:one-requirements:"
        )


def test_an_archive_is_a_source_too(process_project: Project) -> None:
    project = process_project
    functions_only(project, ONE.replace('"one"', '"one.zip"'), one=VERSION % 1)
    project.devkit("lambda", "package", "one", "--output", "one.zip").succeeded()
    with watched_up(project) as (chain, running):
        assert ask(chain.gateway).document == {"version": 1}
        (project.root / "one/handler.py").write_text(VERSION % 2)
        project.devkit("lambda", "package", "one", "--output", "one.zip").succeeded()
        running.wait_for("lambda one: one.zip changed, live from now on")
        assert ask(chain.gateway).document == {"version": 2}


def _await_version(chain: Chain, version: int) -> None:
    eventually(lambda: ask(chain.gateway).document == {"version": version}, "it is not live")


# --- edits ----------------------------------------------------------------------------------------


@pytest.mark.contract("4-b")
def test_a_saved_edit_is_live_a_broken_one_fails_and_is_mended(process_project: Project) -> None:
    project = process_project
    functions_only(project, ONE, one=VERSION % 1)
    handler = project.root / "one/handler.py"
    with watched_up(project) as (chain, running):
        assert ask(chain.gateway).document == {"version": 1}

        handler.write_text(VERSION % 2)
        _await_version(chain, 2)
        running.wait_for("lambda one: handler.py changed, live from now on")

        handler.write_text("def handler(event, context)\n    return 3\n")
        eventually(lambda: ask(chain.gateway).status == 500, "it is not live")
        assert ask(chain.gateway).document == FAILED
        failed = chain.invoke("one", {})
        assert failed["FunctionError"] == "Unhandled"
        assert failed["Payload"]["errorType"] == "Runtime.UserCodeSyntaxError"
        running.wait_for(
            "lambda one: Runtime.UserCodeSyntaxError: Syntax error in module 'handler'"
        )

        handler.write_text(VERSION % 4)
        eventually(lambda: ask(chain.gateway).status == 200, "it is not live")
        assert ask(chain.gateway).document == {"version": 4}


def test_no_request_is_lost_while_edits_go_live(process_project: Project) -> None:
    project = process_project
    functions_only(project, ONE, one=VERSION % 0)
    handler = project.root / "one/handler.py"
    with up(project) as chain:
        answers: list[Answer] = []
        over = threading.Event()

        def keep_asking() -> None:
            while not over.is_set():
                answers.append(ask(chain.gateway))

        client = threading.Thread(target=keep_asking)
        client.start()
        try:
            for version in range(1, 4):
                handler.write_text(VERSION % version)
                _await_version(chain, version)
        finally:
            over.set()
            client.join()
    versions = [each.document["version"] for each in answers]
    assert {each.status for each in answers} == {200}
    assert versions == sorted(versions)


def test_a_source_that_vanishes_is_told_and_what_was_live_stays(process_project: Project) -> None:
    project = process_project
    functions_only(project, ONE, one=VERSION % 1)
    folder = project.root / "one"
    with watched_up(project) as (chain, running):
        assert ask(chain.gateway).document == {"version": 1}
        folder.rename(project.root / "elsewhere")
        running.wait_for("lambda one: handler.py changed, and the function one has no source")
        assert ask(chain.gateway).document == {"version": 1}
        (project.root / "elsewhere/handler.py").write_text(VERSION % 2)
        (project.root / "elsewhere").rename(folder)
        _await_version(chain, 2)


def test_an_edit_that_cannot_be_packed_is_told_and_what_was_live_stays(
    process_project: Project,
) -> None:
    project = process_project
    functions_only(project, ONE, one=VERSION % 1)
    with watched_up(project) as (chain, running):
        link = project.root / "one/link"
        link.symlink_to("/etc/hostname")
        running.wait_for("leads out of the folder")
        assert ask(chain.gateway).document == {"version": 1}
        link.unlink()
        running.wait_for("link changed, live from now on")
        assert ask(chain.gateway).document == {"version": 1}


def test_a_folder_of_ten_thousand_files_is_live_with_every_edit(process_project: Project) -> None:
    project = process_project
    functions_only(project, ONE, one=VERSION % 1)
    folder = project.root / "one"
    for number in range(100):
        (folder / f"data{number}").mkdir()
        for other in range(100):
            (folder / f"data{number}" / f"{other}.txt").write_text(str(other))
    with watched_up(project) as (chain, running):
        assert ask(chain.gateway).document == {"version": 1}
        (folder / "handler.py").write_text(VERSION % 2)
        running.wait_for("handler.py changed, live from now on")
        assert ask(chain.gateway).document == {"version": 2}


# --- many at once ---------------------------------------------------------------------------------

TROUBLE = """
import json, os, time

def handler(event, context):
    what = event["rawPath"]
    if what == "/crash":
        os._exit(7)
    if what == "/raise":
        raise ValueError("no")
    if what == "/late":
        time.sleep(60)
    return "x" * 7 * 1024 * 1024
"""


@pytest.mark.contract("4-c", "4-d", "4-e", "4-f", "4-g")
def test_200_at_once_get_their_own_answers_whatever_others_come_to(
    process_project: Project,
) -> None:
    project = process_project
    config = """
[lambda.echo]
source = "echo"
timeout_s = 29

[lambda.trouble]
source = "trouble"
timeout_s = 2

[gateway]
routes = { "POST /echo" = "echo", "POST /{what}" = "trouble" }
"""
    functions_only(project, config, echo=ECHO, trouble=TROUBLE)
    with up(project) as chain:

        def echo(number: int) -> tuple[int, Answer]:
            body = json.dumps({"number": number, "text": f"{number}" * 100}).encode()
            return number, ask(f"{chain.gateway}/echo", body)

        troubles = ("crash", "raise", "late", "large") * 3
        with ThreadPoolExecutor(200 + len(troubles)) as pool:
            failing = [pool.submit(ask, f"{chain.gateway}/{what}") for what in troubles]
            answers = list(pool.map(echo, range(200)))
            failed = [each.result() for each in failing]

        for number, answer in answers:
            assert answer.status == 200, answer
            assert answer.document["said"] == {"number": number, "text": f"{number}" * 100}
        assert {answer.status for answer in failed} == {500}
        assert all(answer.document == FAILED for answer in failed)

        assert echo(200)[1].status == 200
        kinds = {
            what: _error_of(chain, what)["errorType"]
            for what in ("crash", "raise", "late", "large")
        }
        assert kinds == {
            "crash": "Runtime.ExitError",
            "raise": "ValueError",
            "late": "Sandbox.Timedout",
            "large": "Function.ResponseSizeTooLarge",
        }


def _error_of(chain: Chain, what: str) -> dict[str, Any]:
    answer = chain.invoke("trouble", {"rawPath": f"/{what}"})
    assert answer["FunctionError"] == "Unhandled"
    error: dict[str, Any] = answer["Payload"]
    return error


# --- devkit invoke --via --------------------------------------------------------------------------


@pytest.mark.contract("4-a")
def test_what_fails_through_the_chain_is_told_with_its_log(process_project: Project) -> None:
    project = process_project
    code = 'def handler(event, context):\n    print("about to")\n    raise ValueError("no good")\n'
    functions_only(project, ONE, one=code)
    with up(project) as chain:
        failed = project.devkit("invoke", "--via", "lambda:one", "--data", "{}")
        assert failed.code == 7
        lines = [line.strip(" |") for line in failed.err.splitlines()]
        assert lines[0] == "error: lambda one failed: ValueError: no good"
        assert {"about to", "[ERROR] ValueError: no good"} <= set(lines)
        told = project.devkit("invoke", "--via", "lambda:one", "--data", "{}", "--json")
        assert told.document["error"]["message"] == "lambda one failed: ValueError: no good"
        project.devkit("invoke", "--via", "gateway", "--data", "{}").failed(
            7, 'the gateway answers 500: {"message":"Internal Server Error"}'
        )
        project.devkit("invoke", "--via", "lambda:two", "--data", "{}").failed(
            7, "ResourceNotFoundException: Function not found"
        )
        project.devkit("invoke", "--via", "lambda:one", "--data", "{").failed(
            7, "InvalidRequestContentException: Could not parse request body into json"
        )
        for wrong in ("lambda", "lambda:", "endpoint:one"):
            refused = project.devkit("invoke", "--via", wrong, "--data", "{}")
            refused.failed(2, f"--via {wrong}: must be lambda:NAME, gateway or gateway:/PATH")
        both = ("--via", "lambda:one", "--server", "x", "--data", "{}")
        project.devkit("invoke", *both).failed(2, "leave --url and --server away")
        # a detached one leaves the failures in its log
        log = (project.store / "background.log").read_text()
        assert "lambda one: ValueError: no good" in log
        assert chain.pid


def test_without_devkit_up_there_is_no_chain(process_project: Project) -> None:
    functions_only(process_project, ONE, one=VERSION % 1)
    for via in ("lambda:one", "gateway"):
        refused = process_project.devkit("invoke", "--via", via, "--data", "{}")
        refused.failed(10, "the local AWS of this project is not up", "devkit up starts it")


def test_without_gateway_only_functions_can_be_asked(process_project: Project) -> None:
    project = process_project
    functions_only(project, '[lambda.one]\nsource = "one"\n', one=VERSION % 1)
    with up(project) as chain:
        assert chain.document["gateway"] is None
        project.devkit("invoke", "--via", "lambda:one", "--data", "{}").succeeded()
        project.devkit("invoke", "--via", "gateway", "--data", "{}").failed(
            2, "the local AWS has no API of this project", "say [gateway] in devkit.toml"
        )


def test_a_path_of_the_api_can_be_asked(process_project: Project) -> None:
    project = process_project
    code = 'def handler(event, context):\n    return [event["rawPath"], event["rawQueryString"]]\n'
    functions_only(project, ONE, one=code)
    with up(project):
        done = project.devkit("invoke", "--via", "gateway:/a/b?c=d", "--data", "{}").succeeded()
        assert json.loads(done.out) == ["/a/b", "c=d"]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('[lambda.one]\nsource = "none"\n', "the function one has no source"),
        ("[lambda.one]\n", "lambda.one.source: must be set"),
        ('[lambda."a b"]\nsource = "one"\n', "a function's name is 1 to 64 letters"),
        ('[lambda.one]\nsource = "one"\ntimeout_s = 901\n', "lambda.one.timeout_s"),
        ('[lambda.one]\nsource = "one"\nmemory_mb = 1\n', "lambda.one.memory_mb"),
        ('[lambda.one]\nsource = "one"\nhandler = "x"\n', "lambda.one.handler"),
        (
            '[lambda.one]\nsource = "one"\nenvironment = { AWS_REGION = "x" }\n',
            "variable 'AWS_REGION': Lambda sets it itself",
        ),
        ('[gateway]\nroutes = { "POST /" = "two" }\n', "no such function"),
        (ONE + 'routes = { "FETCH /" = "one" }\n', "'FETCH /' is no route"),
        ('[endpoint]\nname = "-"\n', "endpoint.name"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    process_project: Project, config: str, said: str
) -> None:
    functions_only(process_project, config, one=VERSION % 1)
    for flags in ((), ("--detach",)):
        process_project.devkit("up", "--port", "0", *flags).failed(2, said)
    assert process_project.devkit("status").code != 0


def test_a_function_that_cannot_be_packed_is_refused(process_project: Project) -> None:
    functions_only(process_project, ONE, one=VERSION % 1)
    (process_project.root / "one/link").symlink_to("/etc/hostname")
    refused = process_project.devkit("up", "--port", "0", "--detach")
    refused.failed(2, "leads out of the folder", "copy what it leads to")


def test_requirements_that_cannot_be_installed_are_refused_with_pips_lines(
    process_project: Project,
) -> None:
    functions_only(process_project, ONE, one=VERSION % 1)
    (process_project.root / "one/requirements.txt").write_text("./nowhere-1.0-py3-none-any.whl\n")
    refused = process_project.devkit("up", "--port", "0", "--detach")
    refused.failed(4, "pip could not install", "nowhere-1.0")


# --- requests that nobody would send --------------------------------------------------------------


@pytest.mark.contract("4-l")
def test_malformed_and_huge_requests_end_with_an_error_of_their_own(
    process_project: Project,
) -> None:
    project = process_project
    functions_only(project, ONE, one=ECHO)
    with up(project) as chain:
        cases: list[tuple[Callable[[], Answer], set[int]]] = [
            (lambda: ask(chain.gateway, b"x" * (10 * 1024 * 1024 + 1)), {413}),
            (lambda: ask(chain.gateway, b"x" * (7 * 1024 * 1024)), {413}),
            (lambda: ask(chain.gateway, headers={f"X{n}": "y" * 4_000 for n in range(3)}), {431}),
            (lambda: ask(chain.gateway, headers={"X": "y" * 11_000}), {400, 431}),
            (lambda: ask(f"{chain.gateway}/{'a' * 9_000}"), {431, 400, 414, 500}),
            (lambda: ask(f"{chain.gateway}/%00%ff%2e%2e/%zz?%zz=%00&&=="), {200}),
            (lambda: ask(chain.gateway, b"\xff\xfe", headers={"Content-Type": "\xff"}), {500}),
            (lambda: ask(chain.gateway, headers={"Host": "evil.example"}), {403}),
            (lambda: ask(chain.gateway, headers={"Origin": "http://evil.example"}), {403}),
            (lambda: ask(f"{chain.url}/_gateway/none/x"), {404}),
        ]
        for number, (send, allowed) in enumerate(cases):
            assert send().status in allowed, number
        assert ask(chain.gateway, b'{"a": 1}').document["said"] == {"a": 1}


# --- a full disk ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(process_project: Project) -> Iterator[Project]:
    """The project on a disk of its own, which is soon full."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = mount(process_project, "size=8m")
    if mounted.returncode != 0:
        pytest.skip(mounted.stderr)
    yield process_project
    shutil.rmtree(process_project.store, ignore_errors=True)
    subprocess.run(["umount", "--lazy", process_project.root], check=True)


def test_on_a_full_disk_an_edit_is_an_error_until_there_is_room(small_disk: Project) -> None:
    project = small_disk
    large = "#" * 200_000 + "\n"
    functions_only(project, ONE, one=VERSION % 1 + large)
    with watched_up(project) as (chain, running):
        assert ask(chain.gateway).document == {"version": 1}
        filling = fill(project.root)
        handler = project.root / "one/handler.py"
        for number in range(5):  # unpacked, it takes more room than what was live gives back
            (project.root / f"one/more{number}.py").hardlink_to(handler)
        with handler.open("r+b") as file:  # it has its room
            file.write((VERSION % 2).encode())
        running.wait_for("files changed, live from now on")

        refused = ask(chain.gateway)
        assert (refused.status, refused.document) == (500, FAILED)
        with pytest.raises(ClientError, match="disk is not full"):
            chain.invoke("one", {})
        filling.unlink()
        assert ask(chain.gateway).document == {"version": 2}


# --- what it takes --------------------------------------------------------------------------------

NO_NAMESPACE = 77
NO_NETWORK = """
import ctypes, fcntl, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x40000000) != 0:  # CLONE_NEWNET
    sys.exit(77)
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 0x49))
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_the_whole_chain_answers_on_a_machine_without_network(process_project: Project) -> None:
    project = process_project
    copy_repository(project)
    project.devkit("train", timeout_s=600.0).succeeded()  # makes the environment

    devkit = f"{sys.executable} -m devkit"
    script = (
        f"{devkit} up --detach --port 0 && {devkit} invoke --via gateway; "
        f"{devkit} down; cat /proc/net/route"
    )
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK, "sh", "-c", script],
        cwd=project.root,
        env={**project.environment, "MARKER": project.name},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == NO_NAMESPACE:
        pytest.skip("there can be no other network here")
    assert '{"category": "Iris-Setosa"}' in done.stdout, done
    assert done.stdout.rstrip().endswith("IRTT"), "there was a network"


def wheel(folder: Path, name: str, version: str) -> None:
    """A wheel of one module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f'"""{name}"""\n',
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }

    def line(path: str, text: str) -> str:
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        return f"{path},sha256={digest.decode()},{len(text)}\n"

    files[f"{info}/RECORD"] = "".join(line(*each) for each in files.items()) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
