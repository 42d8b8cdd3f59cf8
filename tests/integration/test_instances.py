"""Jobs on several hosts (§1.5, §1.8, §1.9): the docker engine has them, the process engine not."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.integration.conftest import watched
from tests.integration.kit import (
    HEAD,
    TRAIN_UNTIL_STOPPED,
    Project,
    archive,
    base_environment,
    model,
    outcome,
    require_docker,
)

TALKS = (
    HEAD
    + """
import socket, time

config = json.loads((CONFIG / "resourceconfig.json").read_text())
me, hosts = config["current_host"], config["hosts"]


def patiently(attempt):
    deadline = time.monotonic() + 30
    while True:
        try:
            return attempt()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def hear(host):
    with socket.create_connection((host, 5000), timeout=30) as peer:
        return peer.makefile().readline().strip()


addresses = {patiently(lambda: socket.gethostbyname(host)) for host in hosts}
if me == hosts[0]:
    with socket.create_server(("0.0.0.0", 5000)) as listener:
        peers = [listener.accept()[0] for _ in hosts[1:]]  # they know all names by then
        for peer in peers:
            with peer:
                peer.sendall(f"from {me}\\n".encode())
else:
    (MODEL / f"heard-by-{me}").write_text(patiently(lambda: hear(hosts[0])))
    gone = False
    while not gone:
        try:
            hear(hosts[0])
        except OSError:
            gone = True
    addresses.add(socket.gethostbyname(hosts[0]))  # a host that has ended has its name still
(MODEL / f"{me}.json").write_text(json.dumps({"config": config, "addresses": len(addresses)}))
(MODEL / "shared").write_text(me)
(OUTPUT / "data" / me).write_text(",".join(sorted(p.name for p in (DATA / "parts").iterdir())))
say(f"done on {me}")
"""
)


@pytest.fixture
def cluster(
    tmp_path: Path, cache: Path, docker_engine: docker.APIClient | str
) -> Iterator[Project]:
    """A project on the docker engine."""
    require_docker(docker_engine)
    root = tmp_path / "project"
    root.mkdir()
    yield from watched(
        Project(
            root=root,
            environment={**base_environment(cache), "DEVKIT_ENGINE": "docker"},
            engine="docker",
            engines=None if isinstance(docker_engine, str) else docker_engine,
        )
    )


@pytest.mark.contract("1.5-h", "1.8-d")
@pytest.mark.docker
def test_hosts_reach_each_other_by_name_and_share_a_channel(cluster: Project) -> None:
    """§1.5, §1.6, §1.8."""
    cluster.write(
        train=TALKS,
        config='[train.channels]\nparts = { source = "parts", distribution = "ShardedByS3Key" }\n',
    )
    (cluster.root / "parts").mkdir()
    for number in range(5):
        (cluster.root / "parts" / f"{number}.csv").write_text(str(number))

    trained = cluster.devkit("train", "--name", "wide", "--instances", "3").succeeded()

    files = model(cluster.job("wide"))
    assert files["shared"] == b"algo-3"
    for host in ("algo-1", "algo-2", "algo-3"):
        seen = json.loads(files[f"{host}.json"])
        assert seen["config"]["current_host"] == host
        assert seen["config"]["hosts"] == ["algo-1", "algo-2", "algo-3"]
        assert seen["addresses"] == 3
        assert f"{host} │ done on {host}" in trained.err
    assert files["heard-by-algo-2"] == files["heard-by-algo-3"] == b"from algo-1"
    logs = cluster.devkit("logs", "wide").succeeded().out.splitlines()
    assert logs == [f"algo-{n} │ done on algo-{n}" for n in (1, 2, 3)]
    shards = [
        path
        for text in archive(cluster.job("wide") / "output" / "output.tar.gz").values()
        for path in text.decode().split(",")
    ]
    assert sorted(shards) == [f"{number}.csv" for number in range(5)]


@pytest.mark.contract("1.9-k")
@pytest.mark.docker
def test_one_failing_host_stops_the_others_and_is_the_reason(cluster: Project) -> None:
    """§1.9: SIGTERM to the others, whose handlers run."""
    cluster.write(
        train=HEAD
        + """
import socket, time

config = json.loads((CONFIG / "resourceconfig.json").read_text())
me, hosts = config["current_host"], config["hosts"]


def await_ready(host):
    while True:
        try:
            with socket.create_connection((host, 5000), timeout=1):
                return
        except OSError:
            time.sleep(0.05)


def stop(*_):
    (MODEL / me).write_text("stopped in good order")
    sys.exit(0)


if me == "algo-2":
    for host in hosts:
        if host != me:
            await_ready(host)
    (OUTPUT / "failure").write_text("algo-2 has had enough")
    sys.exit(9)
signal.signal(signal.SIGTERM, stop)
with socket.create_server(("0.0.0.0", 5000)):  # what it says is that SIGTERM is handled
    wait_for_ever()
"""
    )
    cluster.devkit("train", "--instances", "3").failed(
        5, "AlgorithmError: algo-2 has had enough, exit code: 9"
    )
    assert set(model(cluster.job())) == {"algo-1", "algo-3"}
    assert outcome(cluster.job())["exit_code"] == 9


@pytest.mark.docker
def test_ctrl_c_stops_every_host_and_keeps_what_they_had(cluster: Project) -> None:
    cluster.write(train=TRAIN_UNTIL_STOPPED)
    with cluster.start("train", "--name", "wide", "--instances", "2") as training:
        training.wait_for("algo-1 │ training begins")
        training.wait_for("algo-2 │ training begins")
        training.ctrl_c()
        training.finish().interrupted()
    assert outcome(cluster.job("wide"))["status"] == "Stopped"
    assert model(cluster.job("wide"))["weights"] == b"saved"


@pytest.mark.docker
def test_after_kill_9_the_next_command_removes_hosts_and_network(cluster: Project) -> None:
    cluster.write(train=TRAIN_UNTIL_STOPPED)
    with cluster.start("train", "--name", "wide", "--instances", "2") as training:
        training.wait_for("algo-2 │ training begins")
        training.send(signal.SIGKILL)
        training.finish()
    assert len(cluster.containers()) == 2
    assert len(cluster.networks()) == 1

    cluster.devkit("jobs").succeeded()

    assert cluster.leftovers() == []
    assert model(cluster.job("wide"))["checkpoint"] == b"half way"


def test_the_process_engine_refuses_several_hosts_before_any_work(
    process_project: Project,
) -> None:
    process_project.write(train=TRAIN_UNTIL_STOPPED)
    process_project.devkit("train", "--instances", "2").failed(
        3, "the process engine runs one host, not 2", "--engine docker"
    )
    assert not list((process_project.store / "jobs").iterdir())
