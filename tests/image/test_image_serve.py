"""``serve`` as a process, behind nginx and without: its answers, its limits and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.image.image_programs import (
    NEEDS_NGINX,
    PATIENCE_S,
    PROGRAM,
    Server,
    ServerFactory,
    free_port,
    until,
)

if TYPE_CHECKING:
    from pathlib import Path

RECORD = b'{"petal_length": 0.4, "petal_width": 1.4}'
JSON = {"Content_Type": "application/json"}
MB = 1024 * 1024
SOON_S = 5.0


@pytest.fixture(
    params=[pytest.param(True, marks=NEEDS_NGINX, id="nginx"), pytest.param(False, id="alone")]
)
def nginx(request: pytest.FixtureRequest) -> bool:
    """Whether nginx is on PATH."""
    return bool(request.param)


def test_it_answers_pings_and_invocations(server: Server) -> None:
    assert server.request("GET", "/ping")[0] == 200
    code, answer = server.request("POST", "/invocations", RECORD, **JSON)
    assert (code, json.loads(answer)) == (200, {"category": "Iris-Setosa"})
    assert server.request("POST", "/invocations", b"{", **JSON)[0] == 400


def test_without_a_model_it_stays_up_and_the_ping_says_why(
    start_server: ServerFactory, nginx: bool, tmp_path: Path
) -> None:
    server = start_server(nginx=nginx, SM_MODEL_DIR=str(tmp_path)).ready()
    code, answer = server.request("GET", "/ping")
    assert code == 503
    assert "there is no model at" in json.loads(answer)["error"]
    assert "there is no model at" in server.log


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is this machine on Linux only")
def test_it_listens_on_every_address(server: Server) -> None:
    socket.create_connection(("127.0.0.2", server.port), timeout=PATIENCE_S).close()


def test_requests_are_logged_and_pings_are_not(start_server: ServerFactory, nginx: bool) -> None:
    server = start_server(nginx=nginx).ready()
    server.request("GET", "/ping")
    server.request("POST", "/invocations", RECORD, **JSON)
    assert server.stop() == 0
    assert server.log.count('"POST /invocations HTTP/1.1" 200') == 1
    assert "/ping" not in server.log


def test_a_body_of_25_mb_is_taken(server: Server) -> None:
    body = RECORD + b" " * (25 * MB - len(RECORD))
    assert server.request("POST", "/invocations", body, **JSON)[0] == 200


@NEEDS_NGINX
def test_a_larger_body_is_refused_with_the_reason(start_server: ServerFactory) -> None:
    server = start_server(nginx=True).ready()
    with server.connect() as client:
        client.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: model\r\nContent-Type: text/csv\r\n"
            b"Content-Length: %d\r\n\r\n" % (25 * MB + 1)
        )
        answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b'{"error": "the body is larger than 25 MB"}')


def test_a_chunked_body_is_taken(server: Server) -> None:
    with server.connect() as client:
        client.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: model\r\nContent-Type: text/csv\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            b"4\r\n0.4,\r\n3\r\n1.4\r\n0\r\n\r\n"
        )
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.endswith(b'[{"category": "Iris-Setosa"}]')


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Amzn-SageMaker-Custom-Attributes", "a" * 1024),
        ("X_Underscore", "1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Ssl", "off"),
        ("X-Forwarded-For", "nobody"),
        ("Forwarded", "for=;"),
    ],
)
def test_headers_it_does_not_know_are_no_error(server: Server, name: str, value: str) -> None:
    headers = {**JSON, name: value, "X-Forwarded-Protocol": "ssl"}
    assert server.request("POST", "/invocations", RECORD, **headers)[0] == 200


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_answered_before_it_ends(
    start_server: ServerFactory, nginx: bool, stop: signal.Signals
) -> None:
    server = start_server(nginx=nginx).ready()
    client = server.connect()
    with client:
        client.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: model\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(RECORD)
        )
        assert client.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(RECORD[:10])
        server.process.send_signal(stop)
        until(
            server.refuses_connections if nginx else lambda: "Handling signal: term" in server.log,
            "the stop to begin",
        )
        assert server.process.poll() is None
        client.sendall(RECORD[10:])
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b'{"category": "Iris-Setosa"}')
    assert server.ended() == 0


def test_it_ends_at_once_when_idle_and_leaves_nothing_behind(
    start_server: ServerFactory, nginx: bool
) -> None:
    server = start_server(nginx=nginx).ready()
    with server.connect() as client:  # that it keeps its connection is no reason to wait
        client.sendall(b"GET /ping HTTP/1.1\r\nHost: model\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert server.stop() == 0
    assert time.monotonic() - began < SOON_S
    assert list(server.temporary.iterdir()) == []
    assert server.refuses_connections()


def test_it_can_be_stopped_while_it_starts(start_server: ServerFactory, nginx: bool) -> None:
    server = start_server(nginx=nginx)
    until(lambda: f"port {server.port}" in server.log, "the first line of the log")
    assert server.stop() == 0
    assert list(server.temporary.iterdir()) == []


@NEEDS_NGINX
def test_the_death_of_gunicorn_ends_nginx_and_the_server(start_server: ServerFactory) -> None:
    server = start_server(nginx=True).ready()
    os.kill(server.gunicorn_pid(), signal.SIGKILL)
    assert server.ended() == 1
    assert "gunicorn ended by SIGKILL" in server.log
    assert server.refuses_connections()


@NEEDS_NGINX
def test_the_death_of_nginx_ends_gunicorn_and_the_server(start_server: ServerFactory) -> None:
    server = start_server(nginx=True).ready()
    gunicorn = server.gunicorn_pid()
    os.kill(server.nginx_pid(), signal.SIGTERM)
    assert server.ended() == 1
    assert "nginx ended with code 0: stopping" in server.log
    with pytest.raises(ProcessLookupError):
        os.kill(gunicorn, 0)


def test_the_death_of_gunicorn_alone_ends_the_server(start_server: ServerFactory) -> None:
    server = start_server(nginx=False).ready()
    os.kill(server.gunicorn_pid(), signal.SIGKILL)
    assert server.ended() == 1
    assert "gunicorn ended by SIGKILL" in server.log


def test_a_worker_that_dies_is_replaced(start_server: ServerFactory, nginx: bool) -> None:
    server = start_server(nginx=nginx, MODEL_SERVER_WORKERS="1").ready()
    (worker,) = booted_workers(server)
    os.kill(worker, signal.SIGKILL)
    until(lambda: len(booted_workers(server)) > 1, "a second worker")
    assert server.request("GET", "/ping")[0] == 200


def test_the_number_of_workers_can_be_chosen(start_server: ServerFactory, nginx: bool) -> None:
    server = start_server(nginx=nginx, MODEL_SERVER_WORKERS="3").ready()
    until(lambda: len(booted_workers(server)) == 3, "three workers")


def booted_workers(server: Server) -> list[int]:
    """The process ids of all workers there have been."""
    lines = [line for line in server.log.splitlines() if "Booting worker with pid" in line]
    return [int(line.rpartition(" ")[2]) for line in lines]


def test_a_bad_variable_ends_it_at_once_with_the_reason(
    start_server: ServerFactory, nginx: bool
) -> None:
    server = start_server(nginx=nginx, MODEL_SERVER_WORKERS="many")
    assert server.ended() == 1
    assert server.log == (
        "serve: cannot start: MODEL_SERVER_WORKERS='many' is not allowed: "
        "use a whole number from 1 up\n"
    )


def test_a_port_that_is_taken_ends_it_at_once_with_the_reason(
    start_server: ServerFactory, nginx: bool
) -> None:
    first = start_server(nginx=nginx).ready()
    second = start_server(nginx=nginx, SAGEMAKER_BIND_TO_PORT=str(first.port))
    assert second.ended() == 1
    assert str(first.port) in second.log
    assert "Address already in use" in second.log
    assert first.request("GET", "/ping")[0] == 200


def test_several_servers_run_side_by_side(start_server: ServerFactory, nginx: bool) -> None:
    servers = [start_server(nginx=nginx) for _ in range(2)]
    assert [server.ready().request("GET", "/ping")[0] for server in servers] == [200, 200]


def test_a_long_temporary_folder_is_no_obstacle(
    start_server: ServerFactory, nginx: bool, tmp_path: Path
) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    assert start_server(nginx=nginx, TMPDIR=str(folder)).ready().request("GET", "/ping")[0] == 200


def test_nothing_that_serves_imports_what_only_training_needs() -> None:
    program = "import sys, app_server, wsgi; print({'sklearn', 'scipy', 'pandas'} & {*sys.modules})"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=PROGRAM, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "set()\n"


SUPERVISE = """
import os, signal, sys
from supervisor import Child, Supervisor, restore_signals, watch_signals

watch_signals()
with Supervisor(grace_s=0.2, after_death_s=0.2) as supervisor:
    for name in sys.argv[1:]:
        pid = os.fork()
        if not pid:
            restore_signals()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if name == "mortal":
                os._exit(0)
            print(name, flush=True)
            signal.pause()
        supervisor.add(Child(name, pid, signal.SIGTERM))
    sys.exit(supervisor.run())
"""


def test_a_child_that_does_not_end_in_the_grace_is_killed_and_that_is_a_failure() -> None:
    with supervised("stubborn") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stubborn\n"
        process.send_signal(signal.SIGTERM)
        log = process.communicate()[1]
    assert process.returncode == 1
    assert "stubborn did not end in time: killing it" in log


def test_a_child_that_ends_unasked_is_a_failure_even_with_code_0() -> None:
    with supervised("stubborn", "mortal") as process:
        log = process.communicate()[1]
    assert process.returncode == 1
    assert log.splitlines() == [
        "serve: mortal ended with code 0: stopping",
        "serve: stubborn did not end in time: killing it",
    ]


def supervised(*children: str) -> subprocess.Popen[str]:
    """Start a supervisor over children that ignore SIGTERM."""
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, *children],
        cwd=PROGRAM,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_port_that_was_free_is_free_again(start_server: ServerFactory, nginx: bool) -> None:
    port = str(free_port())
    for _ in range(2):
        server = start_server(nginx=nginx, SAGEMAKER_BIND_TO_PORT=port)
        server.port = int(port)
        server.ready()
        assert server.stop() == 0
