"""The happy loop: train, serve, invoke, look, stop, clean."""

from __future__ import annotations

import json
import urllib.request

import docker
import pytest

from tests.integration.kit import (
    DEADLINE_S,
    HEAD,
    SERVE,
    SERVER,
    TRAIN,
    Project,
    archive,
    log,
    model,
    outcome,
    require_docker,
)

ANSWERS = (
    SERVER
    + """
class Answers(Handler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        accept = self.headers.get("Accept") or "application/json"
        if accept == "text/csv":
            self.answer(b"1,2", accept)
        elif accept == "application/octet-stream":
            self.answer(bytes([0, 255, 10]), accept)
        else:
            weights = (MODEL / "weights").read_text()
            said = {"weights": weights, "got": body, "type": self.headers["Content-Type"]}
            self.answer(json.dumps(said).encode(), "application/json")

serve(Answers)
"""
)

LEARNS = (
    HEAD
    + """
parameters = json.loads((CONFIG / "hyperparameters.json").read_text())
rows = (DATA / "training" / "rows.csv").read_text()
say("loss=0.25")
(MODEL / "weights").write_text(f"{parameters['eta']} {rows}")
(OUTPUT / "data" / "report").write_text("well done")
"""
)

LEARNS_CONFIG = """
[train]
hyperparameters = { eta = 0.5 }
channels = { training = "data" }
metrics = [{ name = "loss", regex = 'loss=(\\S+)' }]
"""


@pytest.fixture
def loop(project: Project) -> Project:
    """A project with everything a loop needs."""
    (project.root / "data").mkdir()
    (project.root / "data" / "rows.csv").write_text("1,2,3")
    config = LEARNS_CONFIG + "[invoke]\ndata = '[1, 2]'\n"
    return project.write(train=LEARNS, serve=ANSWERS, config=config)


@pytest.mark.contract("1.2-e", "1.2-f", "1.8-a", "1.9-a", "1.11-e", "1.11-f")
def test_a_job_leaves_its_model_output_log_metrics_and_outcome(loop: Project) -> None:
    done = loop.devkit("train", "--name", "first", "--hyperparameter", "eta=0.1").succeeded()

    job = loop.job("first")
    assert done.out.strip() == str(job / "output" / "model.tar.gz")
    assert model(job) == {"weights": b"0.1 1,2,3"}
    assert archive(job / "output" / "output.tar.gz") == {"report": b"well done"}
    assert log(job) == ["loss=0.25"]
    ended = outcome(job)
    assert (ended["status"], ended["exit_code"]) == ("Completed", 0)
    assert ended["metrics"] == {"loss": 0.25}


def test_train_has_one_json_document(loop: Project) -> None:
    document = loop.devkit("train", "--name", "first", "--json").succeeded().document

    assert document["job"] == "first"
    assert document["status"] == "Completed"
    assert document["model"] == str(loop.job("first") / "output" / "model.tar.gz")
    assert document["metrics"] == {"loss": 0.25}


def test_run_prints_the_answer_alone(loop: Project) -> None:
    said = {"weights": "0.5 1,2,3", "got": "[1, 2]", "type": "application/json"}

    assert json.loads(loop.devkit("run").succeeded().out) == said


def test_run_has_one_json_document(loop: Project) -> None:
    document = loop.devkit("run", "--json", "--data", "7").succeeded().document

    assert document["answer"]["got"] == "7"
    assert document["training"]["status"] == "Completed"


def test_a_server_left_running_answers_until_it_is_stopped(loop: Project) -> None:
    loop.devkit("train").succeeded()
    url = loop.devkit("serve", "--detach", "--name", "web").succeeded().out.strip()
    assert url.startswith("http://127.0.0.1:")

    literal = json.loads(loop.devkit("invoke", "--data", "{}").succeeded().out)
    assert literal == {"weights": "0.5 1,2,3", "got": "{}", "type": "application/json"}

    (loop.root / "rows.csv").write_text("4,5")
    from_file = loop.devkit("invoke", "--data", "@rows.csv", "--content-type", "text/csv")
    assert json.loads(from_file.succeeded().out)["type"] == "text/csv"
    assert json.loads(from_file.out)["got"] == "4,5"

    piped = loop.devkit("invoke", "--data", "-", "--server", "web", stdin=b"6")
    assert json.loads(piped.succeeded().out)["got"] == "6"

    by_url = loop.devkit("invoke", "--url", url, "--json").succeeded()
    assert by_url.document["answer"]["got"] == "[1, 2]"

    assert loop.devkit("jobs").succeeded().out.count("InService") == 1
    assert loop.devkit("stop", "web").succeeded().out == "web Stopped\n"
    assert outcome(loop.server("web"))["status"] == "Stopped"
    loop.devkit("invoke").failed(10, "no server is running", "devkit serve --detach")


def test_answers_come_as_they_are(loop: Project) -> None:
    loop.devkit("train").succeeded()
    loop.devkit("serve", "--detach").succeeded()

    assert loop.devkit("invoke", "--accept", "text/csv").succeeded().out == "1,2\n"
    as_bytes = loop.devkit("invoke", "--accept", "application/octet-stream").succeeded()
    assert as_bytes.out_bytes == bytes([0, 255, 10])
    text = loop.devkit("invoke", "--accept", "text/csv", "--json").succeeded().document
    assert text == {"answer": "1,2", "content_type": "text/csv"}
    binary = loop.devkit("invoke", "--accept", "application/octet-stream", "--json").succeeded()
    assert binary.document["answer_base64"] == "AP8K"

    loop.devkit("stop", "--all").succeeded()


def test_a_direct_server_has_nobody_before_it(loop: Project) -> None:
    loop.devkit("train").succeeded()
    url = loop.devkit("serve", "--detach", "--direct").succeeded().out.strip()

    with urllib.request.urlopen(f"{url}/invocations", data=b"7", timeout=DEADLINE_S) as answer:
        assert json.loads(answer.read())["got"] == "7"
        assert "x-amzn-RequestId" not in answer.headers

    loop.devkit("stop", "--all").succeeded()


def test_serve_jobs_logs_and_stop_have_one_json_document_each(loop: Project) -> None:
    loop.devkit("train", "--name", "first").succeeded()
    served = loop.devkit("serve", "--detach", "--name", "web", "--json").succeeded().document
    assert served["server"] == "web"
    assert served["url"].startswith("http://127.0.0.1:")

    runs = loop.devkit("jobs", "--json").succeeded().document["runs"]
    assert [(run["kind"], run["name"], run["status"]) for run in runs] == [
        ("job", "first", "Completed"),
        ("server", "web", "InService"),
    ]
    assert {run["engine"] for run in runs} == {loop.engine}
    logs = loop.devkit("logs", "first", "--json").succeeded().document
    assert logs == {"name": "first", "lines": ["loss=0.25"]}
    stopped = loop.devkit("stop", "--all", "--json").succeeded().document
    assert stopped == {"stopped": {"web": "Stopped"}}


def test_clean_deletes_what_ended_and_nothing_that_runs(loop: Project) -> None:
    loop.devkit("train", "--name", "first").succeeded()
    loop.devkit("train", "--name", "second").succeeded()
    loop.devkit("serve", "--detach", "--name", "web").succeeded()

    tried = loop.devkit("clean", "--dry-run", "--json").succeeded().document
    assert sorted(tried["would_delete"]) == ["first", "second"]
    assert tried["bytes"] > 0
    assert loop.job("first").exists()
    loop.devkit("clean").failed(2, "--yes")
    assert loop.devkit("clean", "first", "--yes", "--json").document["deleted"] == ["first"]
    assert not loop.job("first").exists()
    loop.devkit("clean", "web", "--yes").failed(8, "'web' is running", "devkit stop web")
    assert loop.devkit("clean", "--yes", "--json").document["deleted"] == ["second"]

    loop.devkit("stop", "web").succeeded()
    loop.devkit("clean", "--yes").succeeded()
    assert loop.devkit("jobs", "--json").document == {"runs": []}


def test_a_taken_name_is_refused_before_anything_is_built(loop: Project) -> None:
    loop.devkit("train", "--name", "first").succeeded()
    before = outcome(loop.job("first"))

    again = loop.devkit("train", "--name", "first")

    again.failed(8, "there is already a job named 'first'", "devkit clean first")
    assert "build" not in again.err
    assert outcome(loop.job("first")) == before


def test_logs_can_be_followed_to_the_end(project: Project) -> None:
    train = HEAD + (
        'signal.signal(signal.SIGTERM, lambda *_: (say("last"), sys.exit(0)))\n'
        'say("begun")\nwait_for_ever()\n'
    )
    project.write(train=train)

    with project.start("train", "--name", "slow") as training:
        training.wait_for("begun")
        with project.start("logs", "-f", "slow") as following:
            following.wait_for("begun", "out")
            project.devkit("stop", "slow").succeeded()
            assert following.finish().succeeded().out == "begun\nlast\n"
        training.finish().interrupted(143)


def test_two_runs_at_the_same_time_both_succeed(loop: Project) -> None:
    with loop.start("run", "--data", "1") as first, loop.start("run", "--data", "2") as second:
        answers = [json.loads(each.finish().succeeded().out)["got"] for each in (first, second)]

    assert answers == ["1", "2"]
    assert len(list((loop.store / "jobs").iterdir())) == 2


@pytest.mark.contract("1.11-a")
def test_every_line_written_right_before_the_end_is_kept(project: Project) -> None:
    project.write(
        train=HEAD + 'sys.stdout.write("".join(f"line {n}\\n" for n in range(5000)) + "the end")'
    )

    project.devkit("train", "--name", "chatty", "--quiet").succeeded()

    lines = project.devkit("logs", "chatty").succeeded().out.splitlines()
    assert lines == [*(f"line {n}" for n in range(5000)), "the end"]


@pytest.mark.contract("1.7-j", "2.12-f")
@pytest.mark.usefixtures("contained")
def test_the_image_may_know_nothing_of_devkit(project: Project) -> None:
    project.write(train=PLAIN_TRAIN, serve=PLAIN_SERVE)
    project.devkit("train").succeeded()

    assert model(project.job()) == {"weights": b"no SM_ variables"}
    first = project.devkit("serve", "--detach", "--name", "one").succeeded().out.strip()
    second = project.devkit("serve", "--detach", "--name", "two").succeeded().out.strip()
    assert first != second
    for name in ("one", "two"):
        answer = project.devkit("invoke", "--server", name, "--data", "x").succeeded()
        assert answer.out == "no SM_ variables\n"
    project.devkit("stop", "--all").succeeded()


PLAIN_TRAIN = """#!/usr/bin/env python3
import os
told = [name for name in os.environ if name.startswith(("SM_", "SAGEMAKER_"))]
with open("/opt/ml/input/config/resourceconfig.json"), open("/opt/ml/model/weights", "w") as model:
    model.write(f"{', '.join(told) or 'no SM_ variables'}")
"""

PLAIN_SERVE = """#!/usr/bin/env python3
import os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
told = [name for name in os.environ if name.startswith(("SM_", "SAGEMAKER_"))]
assert not told, told
weights = open("/opt/ml/model/weights", "rb").read()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(weights)


HTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


@pytest.mark.docker
def test_an_image_by_name_needs_no_project(
    process_project: Project, docker_engine: docker.APIClient | str
) -> None:
    require_docker(docker_engine)
    built = process_project.write(train=TRAIN, serve=SERVE)
    built.environment["DEVKIT_ENGINE"] = "docker"
    image = built.devkit("build").succeeded().out.strip()
    (built.root / "devkit.toml").unlink()

    built.devkit("train", "--image", image, "--name", "bare").succeeded()
    answer = built.devkit("run", "--image", image, "--data", "ping").succeeded().out

    assert model(built.job("bare")) == {"weights": b"42"}
    assert answer == "ping\n"
    built.devkit("train", "--image", "nobody/has:this").failed(10, "nobody/has:this", "docker pull")
