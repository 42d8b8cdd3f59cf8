"""Servers in service: one that turns bad is replaced, an edit goes live, and nothing is left."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from tests.integration.kit import (
    DEADLINE_S,
    HEAD,
    MODEL,
    SERVE,
    SERVER,
    Project,
    Running,
    eventually,
    outcome,
)

MOODY = (
    SERVER
    + """
class Moody(Handler):
    mood = b"well"

    def do_GET(self):
        if Moody.mood == b"hang":
            import time
            time.sleep(10)
        self.answer(b"a bad day", "text/plain", 500 if Moody.mood == b"sick" else 200)

    def do_POST(self):
        Moody.mood = self.rfile.read(int(self.headers["Content-Length"]))
        say("from now on: " + Moody.mood.decode())
        if Moody.mood == b"die":
            os._exit(9)
        self.answer(b"I am " + Moody.mood, "text/plain")

serve(Moody)
"""
)
"""A server that turns as bad as it is asked to; the next one is well."""


def version(text: str, *, before: str = "") -> str:
    """A server that answers with a text."""
    return (
        SERVER
        + f"""
{before}

class Version(Handler):
    def do_POST(self):
        self.answer({text!r}.encode(), "text/plain")

serve(Version)
"""
    )


NEVER_READY = HEAD + (
    'signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nsay("loading")\nwait_for_ever()\n'
)

DEBUGGER = """
import threading, socket

def debugger():
    listener = socket.create_server(("0.0.0.0", int(os.environ["DEVKIT_DEBUG_PORT"])))
    while True:
        connection, _ = listener.accept()
        connection.sendall(VERSION.encode())
        connection.close()

threading.Thread(target=debugger, daemon=True).start()
"""
"""Says to whoever comes to the debugger's port which version this is."""


@pytest.fixture
def trained(project: Project) -> Project:
    return project.with_model()


def url_of(project: Project) -> str:
    return str(json.loads((project.server("web") / "state.json").read_text())["url"])


def ask(url: str, body: str = "") -> str:
    request = urllib.request.Request(f"{url}/invocations", data=body.encode())
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
        return str(answer.read().decode())


def edit(project: Project, text: str) -> None:
    """Write ``serve`` as an editor does: beside it, and then in its place."""
    program = project.root / "image" / "program"
    (program / "serve~").write_text(text)
    (program / "serve~").chmod(0o755)
    (program / "serve~").replace(program / "serve")


def stopped(serving: Running) -> None:
    """End a server by Ctrl-C."""
    serving.ctrl_c()
    assert serving.finish().code == 130


# --- health -----------------------------------------------------------------------------------


@pytest.mark.contract("2.1-g")
def test_a_server_that_dies_is_replaced_and_answers_at_the_same_address(
    trained: Project,
) -> None:
    trained.write(serve=MOODY)

    with trained.start("serve", *MODEL, "--name", "web") as serving:
        serving.wait_for("http://", "out")
        url = url_of(trained)
        trained.devkit("invoke", "--data", "die").failed(7, "the model process exited")
        serving.wait_for("instance-2 is in service")
        assert ask(url, "well") == "I am well"
        assert url_of(trained) == url
        listed = trained.devkit("ps", "--json").succeeded().document["runs"]
        assert [(run["status"], run["note"]) for run in listed] == [("InService", url)]
        serving.ctrl_c()
        done = serving.finish().interrupted()

    assert "instance-1 ended by itself, with exit code 9" in done.err
    assert "  | from now on: die" in done.err
    assert trained.devkit("logs", "web").succeeded().out.splitlines() == [
        "instance-1 │ listening",
        "instance-1 │ from now on: die",
        "instance-2 │ listening",
        "instance-2 │ from now on: well",
    ]
    assert outcome(trained.server("web"))["status"] == "Stopped"


@pytest.mark.parametrize(
    ("mood", "problem"), [("sick", "HTTP 500 a bad day"), ("hang", "no answer within 2 s")]
)
@pytest.mark.contract("2.3-f", "2.3-g")
def test_a_server_whose_ping_turns_bad_is_replaced(
    trained: Project, mood: str, problem: str
) -> None:
    trained.write(serve=MOODY)

    with trained.start("serve", *MODEL, "--name", "web") as serving:
        serving.wait_for("http://", "out")
        url = url_of(trained)
        assert ask(url, mood) == f"I am {mood}"
        serving.wait_for(f"instance-1 is unhealthy: GET /ping: {problem} (3 times in a row)")
        serving.wait_for("instance-2 is in service")
        assert ask(url, "well") == "I am well"
        eventually(lambda: len(instances(trained)) == 1, "the old one is still there")
        stopped(serving)


def instances(project: Project) -> list[str]:
    return [path.name for path in (project.server("web") / "engine").iterdir()]


def test_a_container_that_is_killed_from_outside_is_replaced(trained: Project) -> None:
    trained.write(serve=SERVE)

    with trained.start("serve", *MODEL, "--name", "web", "--direct") as serving:
        serving.wait_for("http://", "out")
        kill_program(trained)
        serving.wait_for("instance-1 ended by itself, with exit code 137")
        serving.wait_for("instance-2 is in service")
        assert ask(url_of(trained), "x") == "x"
        stopped(serving)


def kill_program(project: Project) -> None:
    if project.engine == "docker":
        assert project.engines is not None
        (container,) = project.containers()
        project.engines.kill(container)
        return
    (notes,) = (project.server("web") / "engine").iterdir()
    supervisor = json.loads((notes / "running.json").read_text())["supervisor"]
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)


@pytest.mark.contract("2.1-g")
def test_a_server_that_does_not_come_up_again_is_tried_again(trained: Project) -> None:
    trained.write(serve=MOODY)

    with trained.start("serve", *MODEL, "--name", "web", "--reload") as serving:
        serving.wait_for("http://", "out")
        edit(trained, HEAD + 'say("no weights")\nsys.exit(4)\n')
        serving.wait_for("instance-1 stays in service until it is mended")
        trained.devkit("invoke", "--data", "die").failed(7)
        serving.wait_for("starting another instance in 1 s")
        serving.wait_for("starting another instance in 2 s")
        trained.devkit("invoke", "--data", "1").failed(7, "ServiceUnavailable")
        edit(trained, version("mended"))
        serving.wait_for("the edit is live")
        assert ask(url_of(trained)) == "mended"
        stopped(serving)


# --- reload -----------------------------------------------------------------------------------


def test_an_edit_is_live_a_broken_one_is_not_and_a_mended_one_is(trained: Project) -> None:
    trained.write(serve=version("one"))

    with trained.start("serve", *MODEL, "--name", "web", "--reload") as serving:
        serving.wait_for("http://", "out")
        url = url_of(trained)
        assert ask(url) == "one"
        edit(trained, version("two"))
        serving.wait_for("the edit is live: instance-2 is in service")
        assert ask(url) == "two"
        edit(trained, version("three", before="1 / 0"))
        serving.wait_for("│ ZeroDivisionError: division by zero")
        serving.wait_for(
            "the edit did not come up: server web ended with exit code 1 before its ping was good: "
            "instance-2 stays in service until it is mended"
        )
        assert ask(url) == "two"
        edit(trained, version("four"))
        serving.wait_for("the edit is live: instance-4 is in service")
        assert ask(url) == "four"
        eventually(lambda: instances(trained) == ["instance-4"], "the others are still there")
        serving.ctrl_c()
        done = serving.finish()

    assert done.code == 130
    assert "│ Traceback (most recent call last):" in done.err


def test_a_request_in_flight_is_answered_by_the_server_it_went_to(trained: Project) -> None:
    slow = version("one").replace(
        "self.answer('one'", "say('computing'); __import__('time').sleep(2); self.answer('one'"
    )
    trained.write(serve=slow)

    with trained.start("serve", *MODEL, "--name", "web", "--reload") as serving:
        serving.wait_for("http://", "out")
        with trained.start("invoke", "--data", "x") as invoking:
            serving.wait_for("│ computing")
            edit(trained, version("two"))
            serving.wait_for("the edit is live")
            assert ask(url_of(trained)) == "two"
            assert invoking.finish().succeeded().out.strip() == "one"
        stopped(serving)


def test_direct_servers_and_debuggers_keep_their_ports_over_an_edit(trained: Project) -> None:
    trained.write(serve=version("one", before=f"VERSION = 'debug one'\n{DEBUGGER}"))
    port = free_port()

    with trained.start(
        "serve", *MODEL, "--name", "web", "--reload", "--direct", "--debug-port", str(port)
    ) as serving:
        serving.wait_for("http://", "out")
        url = url_of(trained)
        assert (ask(url), debugged(port)) == ("one", "debug one")
        edit(trained, version("two", before=f"VERSION = 'debug two'\n{DEBUGGER}"))
        serving.wait_for("the edit is live")
        assert (ask(url), debugged(port)) == ("two", "debug two")
        stopped(serving)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def debugged(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
        return connection.recv(100).decode()


def test_without_a_debug_port_a_program_is_told_of_none(trained: Project) -> None:
    trained.write(serve=SERVE.replace("serve()", 'say("DEVKIT_DEBUG_PORT" in os.environ)\nserve()'))

    with trained.start("serve", *MODEL, "--name", "web") as serving:
        serving.wait_for("│ False")
        serving.wait_for("http://", "out")
        stopped(serving)


def test_an_edit_of_the_requirements_is_told_to_need_a_build(trained: Project) -> None:
    trained.write(serve=SERVE)
    (trained.root / "image" / "requirements.txt").write_text("")

    with trained.start("serve", *MODEL, "--name", "web", "--reload") as serving:
        serving.wait_for("http://", "out")
        (trained.root / "image" / "requirements.txt").write_text("# numpy\n")
        serving.wait_for("requirements.txt has changed: that needs a build, restart devkit serve")
        stopped(serving)


def test_ctrl_c_while_an_edit_comes_up_stops_both(trained: Project) -> None:
    trained.write(serve=version("one"))

    with trained.start("serve", *MODEL, "--name", "web", "--reload") as serving:
        serving.wait_for("http://", "out")
        edit(trained, NEVER_READY)
        serving.wait_for("│ loading")
        assert len(instances(trained)) == 2
        serving.ctrl_c()
        serving.finish().interrupted()

    assert trained.leftovers() == []
    assert outcome(trained.server("web"))["status"] == "Stopped"


def test_an_edit_while_another_comes_up_is_the_one_that_goes_live(trained: Project) -> None:
    trained.write(serve=version("one"))

    with trained.start("serve", *MODEL, "--name", "web", "--reload") as serving:
        serving.wait_for("http://", "out")
        edit(trained, NEVER_READY)
        serving.wait_for("│ loading")
        edit(trained, version("two"))
        serving.wait_for("the edit is live: instance-3 is in service")
        assert ask(url_of(trained)) == "two"
        stopped(serving)


def test_without_a_program_folder_there_is_nothing_to_reload(process_project: Project) -> None:
    project = process_project.with_model()
    project.configure('[image]\nprogram = "nowhere"\n')

    failed = project.devkit("serve", *MODEL, "--image", "built:elsewhere", "--reload")

    failed.failed(2, "there is no folder", "of built:elsewhere there is only the image")


def test_a_debug_port_in_use_is_told_before_anything_starts(process_project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        failed = process_project.with_model().devkit("serve", *MODEL, "--debug-port", str(port))
    failed.failed(9, f"port {port} on 127.0.0.1 is in use", "choose another port: --debug-port")
    assert not (process_project.store / "servers").exists()


def test_a_program_that_is_not_where_edits_are_shown_is_told(trained: Project) -> None:
    trained.write(serve=SERVE, config='[image]\nprogram_path = "/srv/elsewhere"\n')

    with trained.start("serve", *MODEL, "--name", "web", "--reload") as serving:
        serving.wait_for("http://", "out")
        serving.ctrl_c()
        done = serving.finish().interrupted()

    told = "this image runs /opt/program/serve, which is not in /srv/elsewhere" in done.err
    assert told == (trained.engine == "docker")  # a process has but the one program folder


@pytest.mark.parametrize("port", ["0", "8080", "65536"])
def test_a_debug_port_that_cannot_be_is_refused(process_project: Project, port: str) -> None:
    process_project.with_model().devkit("serve", *MODEL, "--debug-port", port).failed(
        2, f"debug port {port}"
    )
