"""What a hosting container finds, and what reaches it and its clients: contract 2.1 to 2.13."""

from __future__ import annotations

import http.client
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from devkit.engines.base import Address
from devkit.front.limits import PROFILES, Limits
from devkit.front.server import Front
from tests.integration.kit import (
    DEADLINE_S,
    HEAD,
    MODEL,
    SERVE,
    SERVER,
    TRAIN,
    Project,
    eventually,
    log,
)

pytestmark = pytest.mark.usefixtures("contained")

AWS = "X-Amzn-SageMaker-"
REALTIME = PROFILES["realtime"]

LOOKS_AROUND = (
    SERVER
    + """
def problem(path):
    try:
        path.write_text("new")
    except OSError as error:
        return error.strerror

say(json.dumps({
    "arguments": sys.argv[1:],
    "user": os.getuid(),
    "environment": dict(os.environ),
    "model": {path.name: path.read_text() for path in MODEL.iterdir()},
    "new file": problem(MODEL / "new"),
    "old file": problem(MODEL / "weights"),
}))
serve()
"""
)
"""A server that says what it finds before it listens."""

LATE = (
    SERVER
    + """
pings = 0

class Late(Handler):
    def do_GET(self):
        global pings
        pings += 1
        say(f"GET {self.path}")
        self.answer(b"loading", "text/plain", 200 if pings > 3 else 503)

    def do_POST(self):
        say(f"POST {self.path}")
        super().do_POST()

serve(Late)
"""
)
"""A server whose first three pings are bad; it says what it is asked."""

TELLS_HEADERS = (
    SERVER
    + """
class Tells(Handler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(dict(self.headers)).encode()
        self.send_response(201)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "X-Amzn-SageMaker-Custom-Attributes": "back",
            "X-Mine": "private",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

serve(Tells)
"""
)

FAILS = (
    SERVER
    + """
class Fails(Handler):
    def do_POST(self):
        status = int(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(b"no such column", "text/plain", status)

serve(Fails)
"""
)
"""A server that answers with the status it is asked for."""

WAITS = (
    SERVER
    + """
import threading
from http.server import ThreadingHTTPServer as HTTPServer

go_on = threading.Event()

class Waits(Handler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        if self.rfile.read(int(self.headers["Content-Length"])) == b"go on":
            go_on.set()
            self.answer(b"", "text/plain")
        else:
            say("computing")
            go_on.wait()
            self.answer(b"x" * 10_000_000, "text/plain")
            say("finished")

"""
)
"""A server whose answer waits until it is asked once more; it says when it has sent all of it."""

STREAMS = (
    WAITS
    + """
class Streams(Waits):
    def do_POST(self):
        if self.headers["Accept"] != "text/plain":
            return super().do_POST()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\\r\\nfirst\\r\\n")
        go_on.wait()
        self.wfile.write(b"4\\r\\nlast\\r\\n0\\r\\n\\r\\n")

serve(Streams)
"""
)
"""Such a server, whose answer begins at once."""

BREAKS = (
    SERVER
    + """
class Breaks(Handler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        said = b"accepting " + self.headers["Accept"].encode()
        self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(said), said))
        self.close_connection = True

serve(Breaks)
"""
)
"""A server whose answer has no end."""

SESSIONS = (
    SERVER
    + """
class Sessions(Handler):
    def do_POST(self):
        self.send_response(200)
        if self.headers["X-Amzn-SageMaker-Session-Id"] == "NEW_SESSION":
            opened = "s-1; Expires=2030-01-02T03:04:05Z"
            self.send_header("X-Amzn-SageMaker-Session-Id", opened)
        else:
            self.send_header("X-Amzn-SageMaker-Closed-Session-Id", "s-1")
        self.send_header("Content-Length", "0")
        self.end_headers()

serve(Sessions)
"""
)
"""A server that opens a session when it is asked to, and closes any other."""

PATHS = (
    SERVER
    + """
class Paths(Handler):
    def do_POST(self):
        say(self.path)
        super().do_POST()

serve(Paths)
"""
)
"""An echo that says what its clients ask for."""


@contextmanager
def serving(project: Project, serve: str) -> Iterator[str]:
    """A server of this program; gives its address."""
    yield start(project.with_model().write(serve=serve))
    project.devkit("stop", "web").succeeded()


def start(project: Project, *flags: str, model: str = MODEL[1]) -> str:
    served = project.devkit("serve", "--model", model, "--name", "web", "--detach", *flags)
    return served.succeeded().out.strip()


@contextmanager
def impatient(url: str, limits: Limits) -> Iterator[str]:
    """The front before a container, with less patience than SageMaker's; gives its address."""
    host, _, port = urlsplit(url).netloc.partition(":")
    front = Front(name="web", limits=limits)
    address = front.start(Address(host, int(port)))
    try:
        yield address.url
    finally:
        front.stop(DEADLINE_S)


@contextmanager
def asking(
    url: str,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    path: str = "/invocations",
) -> Iterator[http.client.HTTPResponse]:
    """A request as any client may send it."""
    with closing(connected(url)) as connection:
        connection.request("POST", path, body, dict(headers or {}))
        yield connection.getresponse()


def connected(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=DEADLINE_S)


def written(project: Project, line: str) -> None:
    """Wait until the server has written a line."""
    eventually(lambda: line in log(project.server("web")), lambda: log(project.server("web")))


def found(project: Project, model: str = MODEL[1]) -> Any:
    """What a server finds when it starts."""
    start(project, model=model)
    project.devkit("stop", "web").succeeded()
    return json.loads(log(project.server("web"))[0])


@pytest.fixture
def looking(project: Project) -> Project:
    """A project whose server looks around."""
    return project.with_model().write(serve=LOOKS_AROUND)


# --- how it is started -----------------------------------------------------------------------


@pytest.mark.contract("2.1-a", "2.1-e")
def test_serve_is_started_without_arguments_and_as_root(looking: Project) -> None:
    finds = found(looking)

    assert (finds["arguments"], finds["user"]) == ([], 0)


@pytest.mark.parametrize(
    "engine", [pytest.param("docker", marks=pytest.mark.docker)], indirect=True
)
@pytest.mark.contract("2.1-a")
def test_the_images_entrypoint_gets_the_one_argument_serve(project: Project) -> None:
    project.with_model().write(start=LOOKS_AROUND)
    with (project.root / "image" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write('ENTRYPOINT ["start", "always"]\nCMD ["never"]\n')

    assert found(project)["arguments"] == ["always", "serve"]


@pytest.mark.contract("2.1-b")
def test_hosting_has_no_entrypoint_of_its_own(process_project: Project) -> None:
    project = process_project.write(train=TRAIN, serve=SERVE, config="[serve]\nentrypoint = []\n")

    project.devkit("serve").failed(2, "serve.entrypoint (devkit.toml): no such key")


@pytest.mark.contract("2.1-c", "2.12-a", "2.12-b", "2.12-c")
def test_the_environment_is_the_requests_and_a_region(looking: Project) -> None:
    with (looking.root / "devkit.toml").open("a") as settings:  # ends with [serve.environment]
        settings.write("SAGEMAKER_PROGRAM = 'inference.py'\nSAGEMAKER_MODEL_SERVER_WORKERS = '3'\n")

    variables = found(looking)["environment"]

    assert variables["MARKER"] == looking.name
    assert {name: text for name, text in variables.items() if name.startswith("SAGEMAKER_")} == {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_MODEL_SERVER_WORKERS": "3",
    }
    assert {name: text for name, text in variables.items() if name.startswith("AWS_")} == {
        "AWS_REGION": "us-east-1"
    }


@pytest.mark.parametrize(
    "engine", [pytest.param("docker", marks=pytest.mark.docker)], indirect=True
)
@pytest.mark.contract("2.1-c")
def test_the_requests_variables_go_over_the_images(looking: Project) -> None:
    with (looking.root / "image" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write("ENV OF_THE_IMAGE=1 OF_BOTH=image\n")
    with (looking.root / "devkit.toml").open("a") as settings:
        settings.write("OF_BOTH = 'request'\n")

    variables = found(looking)["environment"]

    assert (variables["OF_THE_IMAGE"], variables["OF_BOTH"]) == ("1", "request")


# --- its model -------------------------------------------------------------------------------


@pytest.mark.contract("2.2-a", "2.2-b")
def test_the_model_is_there_at_the_start_and_cannot_be_changed(looking: Project) -> None:
    finds = found(looking)

    assert finds["model"] == {"weights": "42"}
    assert finds["new file"] == finds["old file"] == "Read-only file system"


@pytest.mark.contract("2.2-b", "2.2-f")
def test_a_model_may_be_a_folder_and_cannot_be_changed_either(looking: Project) -> None:
    (looking.root / "model").mkdir()
    (looking.root / "model" / "weights").write_text("43")

    finds = found(looking, model="./model")

    assert finds["model"] == {"weights": "43"}
    assert finds["new file"] == finds["old file"] == "Read-only file system"


@pytest.mark.contract("2.2-c")
def test_a_model_with_a_symbolic_link_is_refused(looking: Project) -> None:
    link = tarfile.TarInfo("latest")
    link.type, link.linkname = tarfile.SYMTYPE, "weights"
    with tarfile.open(looking.root / "linked.tar.gz", "w:gz") as archive:
        archive.addfile(link)

    refused = looking.devkit("serve", "--model", "linked.tar.gz")

    refused.failed(6, "'latest'", "is a link")


# --- ping and invocations --------------------------------------------------------------------


@pytest.mark.contract("2.3-b", "2.3-e")
def test_no_invocation_comes_before_the_first_good_ping(project: Project) -> None:
    project.with_model().write(serve=LATE)

    project.devkit("run", "--data", "1").succeeded()

    (server,) = (project.store / "servers").iterdir()
    asked = [line for line in log(server) if line.startswith(("GET", "POST"))]
    assert asked[:5] == ["GET /ping"] * 4 + ["POST /invocations"]


@pytest.mark.contract("2.3-h", "2.4-a", "2.4-b", "2.4-c", "2.5-a", "2.5-b")
def test_headers_that_the_api_knows_pass_and_no_others(project: Project) -> None:
    passed = {
        "Content-Type": "text/csv",
        "Accept": "application/json",
        f"{AWS}Custom-Attributes": "there",
        f"{AWS}Target-Model": "a.tar.gz",
        f"{AWS}Inference-Id": "id-1",
    }
    stripped = {"Authorization": "AWS4", "X-Mine": "1", "Cookie": "a=b", f"{AWS}Other": "1"}
    with (
        serving(project, TELLS_HEADERS) as url,
        asking(url, b"1,2", passed | stripped) as response,
    ):
        reached = json.loads(response.read())

    assert {name: reached.get(name) for name in passed} == passed
    assert set(reached) - set(passed) == {"Host", "Content-Length"}
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers[f"{AWS}Custom-Attributes"] == "back"
    assert response.headers["x-Amzn-Invoked-Production-Variant"] == "AllTraffic"
    assert "X-Mine" not in response.headers


@pytest.mark.contract("2.6-a", "2.6-b", "2.6-c")
def test_an_error_of_the_container_is_a_model_error_with_its_text(project: Project) -> None:
    with serving(project, FAILS) as url:
        for status, who in ((400, "client"), (415, "client"), (500, "server"), (503, "server")):
            with asking(url, str(status).encode()) as response:
                members = json.loads(response.read())
            assert response.status == 424
            assert response.headers["x-amzn-ErrorType"] == "ModelError"
            assert members["OriginalStatusCode"] == status
            assert members["OriginalMessage"] == "no such column"
            assert members["LogStreamArn"].endswith(":/aws/sagemaker/Endpoints/web")
            assert members["Message"] == (
                f'Received {who} error ({status}) from primary with message "no such column". '
                "See https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1"
                "#logEventViewer:group=/aws/sagemaker/Endpoints/web in account 123456789012 for "
                "more information."
            )


@pytest.mark.contract("2.7-a")
def test_a_chunk_is_with_the_client_before_the_server_has_finished(project: Project) -> None:
    with (
        serving(project, STREAMS) as url,
        asking(url, b"begin", {"Accept": "text/plain"}) as response,
    ):
        assert response.read1(100) == b"first"
        with asking(url, b"go on") as second:
            assert second.status == 200
        assert response.read() == b"last"


@pytest.mark.contract("2.3-i", "2.3-k", "2.6-e")
def test_a_late_container_is_a_model_error_and_is_not_interrupted(project: Project) -> None:
    project.with_model().write(serve=WAITS + "serve(Waits)\n")
    url = start(project, "--direct")
    with impatient(url, replace(REALTIME, invocation_s=0.3)) as front:
        with asking(front, b"slow") as response:
            members = json.loads(response.read())
        assert (response.status, members["OriginalStatusCode"]) == (424, 0)
        assert members["Message"].startswith(
            'Received server error (0) from primary with message "Your invocation timed out while '
            "waiting for a response from container primary. Review the latency metrics for each "
            'container in Amazon CloudWatch, resolve the issue, and try again."'
        )
        assert "finished" not in log(project.server("web"))
        with asking(url, b"go on"):
            written(project, "finished")
    project.devkit("stop", "web").succeeded()


@pytest.mark.contract("2.3-l")
def test_a_client_that_goes_away_does_not_interrupt_the_container(project: Project) -> None:
    with serving(project, WAITS + "serve(Waits)\n") as url:
        with closing(connected(url)) as connection:
            connection.request("POST", "/invocations", b"slow")
            written(project, "computing")
        with asking(url, b"go on"):
            written(project, "finished")


@pytest.mark.contract("2.3-m", "2.3-n")
def test_a_request_has_at_most_25_megabytes(project: Project) -> None:
    most = b"x" * 25 * 1024 * 1024
    with serving(project, PATHS) as url:
        with asking(url, most) as response:
            assert response.read() == most
        with asking(url, most + b"x", {"Expect": "100-continue"}) as response:
            assert response.status == 413

    assert log(project.server("web")).count("/invocations") == 1


@pytest.mark.contract("2.4-f", "2.6-h", "2.6-i")
def test_the_runtime_apis_path_is_invocations_to_the_container(project: Project) -> None:
    with serving(project, PATHS) as url:
        with asking(url, b"1", path="/endpoints/web/invocations") as response:
            assert (response.status, response.read()) == (200, b"1")
        with asking(url, b"1", path="/endpoints/other/invocations") as response:
            assert json.loads(response.read()) == {
                "Message": "Endpoint other of account 123456789012 not found."
            }
            assert (response.status, response.headers["x-amzn-ErrorType"]) == (
                400,
                "ValidationError",
            )
        with asking(url, b"1", {f"{AWS}Target-Variant": "green"}) as response:
            assert response.headers["x-amzn-ErrorType"] == "ValidationError"

    assert [line for line in log(project.server("web")) if "/" in line] == ["/invocations"]


@pytest.mark.contract("2.4-e", "2.6-g", "2.6-j")
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("Inference-Id", "x" * 65, "'inferenceId' failed to satisfy constraint"),
        ("Custom-Attributes", "x" * 1025, "'customAttributes' failed to satisfy constraint"),
        ("Target-Container-Hostname", "first", "TargetContainerHostname first is not allowed"),
    ],
)
def test_what_the_api_refuses_does_not_reach_the_container(
    project: Project, name: str, value: str, said: str
) -> None:
    with serving(project, PATHS) as url, asking(url, b"1", {f"{AWS}{name}": value}) as response:
        message = json.loads(response.read())["Message"]

    assert (response.status, response.headers["x-amzn-ErrorType"]) == (400, "ValidationError")
    assert said in message
    assert log(project.server("web")) == ["listening"]


@pytest.mark.contract("2.5-c", "2.5-d")
def test_a_container_opens_and_closes_sessions(project: Project) -> None:
    with serving(project, SESSIONS) as url:
        with asking(url, b"", {f"{AWS}Session-Id": "NEW_SESSION"}) as response:
            opened = response.headers[f"{AWS}New-Session-Id"]
        with asking(url, b"", {f"{AWS}Session-Id": "s-1"}) as response:
            closed = response.headers[f"{AWS}Closed-Session-Id"]

    assert opened == "s-1; Expires=2030-01-02T03:04:05Z"
    assert closed == "s-1"


@pytest.mark.contract("2.6-d")
def test_a_long_error_is_shortened(project: Project) -> None:
    long = FAILS.replace('b"no such column"', 'b"x" * 5000')
    with serving(project, long) as url, asking(url, b"500") as response:
        members = json.loads(response.read())

    assert members["OriginalMessage"] == "x" * 2048
    assert len(members["Message"]) == 2048


@pytest.mark.contract("2.4-d", "2.7-a", "2.7-b", "2.7-d")
def test_a_stream_that_breaks_ends_with_an_error(project: Project) -> None:
    headers = {f"{AWS}Accept": "text/plain"}
    path = "/endpoints/web/invocations-response-stream"
    with serving(project, BREAKS) as url, asking(url, b"", headers, path) as response:
        events = response.read()

    assert response.headers[f"{AWS}Content-Type"] == "text/plain"
    assert events.count(b"PayloadPart") == 1
    assert b"accepting text/plain" in events
    assert events.index(b"PayloadPart") < events.index(b"ModelStreamError")
    assert b"StreamBroken" in events


@pytest.mark.contract("2.7-c")
def test_a_stream_that_takes_too_long_ends_with_an_error(project: Project) -> None:
    project.with_model().write(serve=STREAMS)
    url = start(project, "--direct")
    headers = {"Accept": "text/plain"}
    path = "/endpoints/web/invocations-response-stream"
    with (
        impatient(url, replace(REALTIME, stream_s=2.0)) as front,
        asking(front, b"", headers, path) as response,
    ):
        events = response.read()
    with asking(url, b"go on"):
        pass
    project.devkit("stop", "web").succeeded()

    assert b"first" in events
    assert b"ModelInvocationTimeExceeded" in events


# --- its log ---------------------------------------------------------------------------------


@pytest.mark.contract("2.13-b")
def test_the_log_of_a_server_has_every_line_to_its_last(project: Project) -> None:
    project.with_model().write(
        serve=HEAD + 'os.write(2, b"one\\n")\nos.write(1, b"\\xff\\n")\nos.write(1, b"the end")\n'
    )

    project.devkit("serve", *MODEL, "--name", "web").failed(6, "exit code 0")

    assert sorted(log(project.server("web"))) == sorted(["one", "\ufffd", "the end"])
