"""What every engine does alike: one suite over all of them."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import tarfile
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from devkit.engines.base import (
    BuildRequest,
    Container,
    ContainerSpec,
    Engine,
    Folder,
    Gpus,
    Image,
    Limits,
    Mount,
    Port,
    ProgramFile,
    StartRefused,
)
from devkit.errors import EngineError, NotFound

_DEADLINE_S = 30.0
_PYTHON = "#!/usr/bin/env python\n"
PORT = Port(number=8080, variable="SAGEMAKER_BIND_TO_PORT")
SECOND_PORT = Port(number=5678, variable="SECOND_PORT")

PROGRAMS = {
    "many-lines": "for n in range(10_000): print('line', n)",
    "odd-ends": """
import os
os.write(1, b'bytes \\xff\\xfe\\n')
os.write(2, b'on standard error\\n')
os.write(1, b'no line end')
""",
    "huge-line": "print('x' * 3_000_000)",
    "exits": "import sys; sys.exit(int(sys.argv[1]))",
    "environment": "import os\nfor name, value in os.environ.items(): print(f'{name}={value!r}')",
    "where": "import os, socket; print(os.getcwd()); print(socket.gethostname())",
    "copies": """
import os, pathlib, shutil
model = pathlib.Path(os.environ.get('SM_MODEL_DIR', '/opt/ml/model'))
config = pathlib.Path(os.environ.get('SM_INPUT_CONFIG_DIR', '/opt/ml/input/config'))
channel = pathlib.Path(os.environ.get('SM_CHANNEL_TRAINING', '/opt/ml/input/data/training'))
print((model / 'before').read_text())
(model / 'before').unlink()
(model / 'deep').mkdir()
shutil.copy(config / 'hyperparameters.json', model / 'deep')
(model / 'numbers').write_text((channel / 'a.csv').read_text() * 2)
(model / 'link').symlink_to('numbers')
inside = os.environ.get('SM_INPUT_DIR', '/opt/ml/input')
print((pathlib.Path(inside) / 'data' / 'training' / 'a.csv').read_text())
""",
    "shared-memory": "import os; s = os.statvfs('/dev/shm'); print(s.f_blocks * s.f_frsize)",
    "nvidia": "import pathlib; print(len(list(pathlib.Path('/dev').glob('nvidia[0-9]*'))))",
    "writes": """
import sys
try:
    open(sys.argv[1], 'a')
except OSError as error:
    print(error.errno, error.strerror)
""",
    "handles-sigterm": """
import os, pathlib, signal, sys
def stop(*_):
    print('saving', flush=True)
    sys.exit(7)
signal.signal(signal.SIGTERM, stop)
print('ready', flush=True)
while True: signal.pause()
""",
    "ignores-sigterm": """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready', flush=True)
while True: signal.pause()
""",
    "serves": """
import http.server, os, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self): self.answer(os.environ.get('WHO', 'nobody').encode())
    def do_POST(self): self.answer(self.rfile.read(int(self.headers['Content-Length'])))
    def answer(self, body):
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
port = int(os.environ.get('SAGEMAKER_BIND_TO_PORT', 8080))
server = http.server.ThreadingHTTPServer((sys.argv[1], port), Handler)
class Second(Handler):
    def do_GET(self): self.answer(b'the second port')
if sys.argv[2:]:
    second = int(os.environ.get('SECOND_PORT', sys.argv[2]))
    second = http.server.ThreadingHTTPServer((sys.argv[1], second), Second)
    threading.Thread(target=second.serve_forever, daemon=True).start()
print('ready', flush=True)
server.serve_forever()
""",
    "leaves-children": """
import subprocess, sys
subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'], start_new_session=True)
""",
}


class Bench:
    """Starts programs on an engine and removes their containers."""

    _numbers = itertools.count()

    def __init__(self, engine: Engine, image: Image, folder: Path) -> None:
        self.engine = engine
        self.image = image
        self.folder = folder
        self.containers: list[Container] = []

    def spec(self, *command: str, **fields: object) -> ContainerSpec:
        """A container with an ``/opt/ml`` of its own."""
        name = f"devkit-test-{os.getpid()}-{next(self._numbers)}"
        known: dict[str, object] = {
            "name": name,
            "image": self.image,
            "command": command,
            "labels": {"devkit.test": "yes"},
            "run_folder": self.folder / name,
        }
        return ContainerSpec(**(known | fields))  # type: ignore[arg-type]

    def start(self, *command: str, **fields: object) -> Container:
        """Start a program."""
        container = self.engine.start(self.spec(*command, **fields))
        self.containers.append(container)
        return container

    def output(self, *command: str, **fields: object) -> list[str]:
        """Run a program to its end; what it printed."""
        return list(self.start(*command, **fields).lines())

    def ready(self, *command: str, **fields: object) -> Container:
        """Start a program and wait until it says that it is ready."""
        container = self.start(*command, **fields)
        assert next(iter(container.lines())) == "ready"
        return container

    def failure(self, program: str) -> tuple[str, ProgramFile | None]:
        """Why a program cannot be executed: some engines refuse it, some start it and fail."""
        try:
            container = self.start(program)
        except StartRefused as refused:
            return refused.detail, refused.program
        assert container.wait(_DEADLINE_S) not in (None, 0)
        return "\n".join(container.lines()), container.read_program(program)

    def serve(self, listen_on: str = "0.0.0.0", **fields: object) -> Container:
        """Start a server, as a container does: on every interface of its own."""
        return self.ready("serves", listen_on, ports=(PORT,), **fields)


@pytest.fixture(scope="session")
def image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """All the programs in one image."""
    context = tmp_path_factory.mktemp("an image")
    program = context / "program"
    program.mkdir()
    for name, text in PROGRAMS.items():
        _program(program, name, _PYTHON + text)
    _program(program, "not-executable", _PYTHON, mode=0o644)
    _program(program, "windows-line-ends", "#!/bin/sh\r\necho hello\r\n")
    _program(program, "no-interpreter", "#!/no/such/interpreter\n")
    _program(program, "script.sh", "echo from a script: $1\n", mode=0o644)
    (context / "Dockerfile").write_text(
        "FROM python:3.11-slim-bookworm\n"
        "COPY program /opt/program\n"
        "ENV PATH=/opt/program:$PATH PYTHONUNBUFFERED=1\n"
        "WORKDIR /opt/program\n"
    )
    request = BuildRequest(
        tag="devkit-contract-test:latest",
        context=context,
        program=program,
        program_path="/opt/program",
        requirements=None,
    )
    return engine.build(request, lambda _line: None)


@pytest.fixture
def bench(engine: Engine, image: Image, tmp_path: Path) -> Iterator[Bench]:
    """A place to start containers; afterwards all is gone, and the host's files are the user's."""
    bench = Bench(engine, image, tmp_path)
    yield bench
    for container in bench.containers:
        container.remove()
    assert {path.lstat().st_uid for path in tmp_path.rglob("*")} <= {os.geteuid()}


@pytest.mark.contract("1.11-a", "2.13-b")
def test_every_line_arrives_of_a_program_that_writes_and_exits_at_once(bench: Bench) -> None:
    assert bench.output("many-lines") == [f"line {n}" for n in range(10_000)]


@pytest.mark.contract("1.11-a", "1.11-b")
def test_what_is_no_proper_line_arrives_too(bench: Bench) -> None:
    assert sorted(bench.output("odd-ends")) == sorted(
        ["bytes \ufffd\ufffd", "on standard error", "no line end"]
    )


@pytest.mark.contract("1.11-a")
def test_a_line_of_megabytes_arrives_whole(bench: Bench) -> None:
    assert bench.output("huge-line") == ["x" * 3_000_000]


def test_lines_are_given_from_the_first_one_on_each_time(bench: Bench) -> None:
    container = bench.start("many-lines")
    first = list(container.lines())
    assert list(container.lines()) == first


def test_lines_come_while_the_program_runs(bench: Bench) -> None:
    container = bench.start("handles-sigterm")
    lines = container.lines()
    assert next(lines) == "ready"
    assert container.exit_code() is None
    container.signal(signal.SIGTERM)
    assert list(lines) == ["saving"]


@pytest.mark.usefixtures("only_contained")
def test_shared_memory_is_64_mb_unless_a_size_is_asked_for_contract_1_12(bench: Bench) -> None:
    assert bench.output("shared-memory") == [str(64 << 20)]
    assert bench.output("shared-memory", limits=Limits(shm_bytes=8 << 20)) == [str(8 << 20)]


@pytest.mark.parametrize("gpus", [1, "all"])
def test_gpus_are_given_or_it_is_said_why_they_are_not(bench: Bench, gpus: Gpus) -> None:
    spec = bench.spec("nvidia", limits=Limits(gpus=gpus))
    refused = None
    try:
        bench.containers.append(bench.engine.start(spec))
    except EngineError as error:
        refused = error
    if refused is None:  # a machine with GPUs
        assert int(next(bench.containers[0].lines())) >= 1
        return
    assert "GPU" in refused.message
    assert refused.remedy is not None
    assert bench.engine.reopen(spec.name, spec.run_folder) is None


@pytest.mark.parametrize("code", [0, 3, 255])
def test_the_exit_code_is_the_programs(bench: Bench, code: int) -> None:
    container = bench.start("exits", str(code))
    assert container.wait(_DEADLINE_S) == code
    assert container.exit_code() == code


@pytest.mark.contract("1.9-f")
def test_a_killed_program_has_the_exit_code_of_its_signal(bench: Bench) -> None:
    container = bench.ready("ignores-sigterm")
    container.signal(signal.SIGKILL)
    assert container.wait(_DEADLINE_S) == 128 + signal.SIGKILL


def test_waiting_gives_up_when_its_time_is_over(bench: Bench) -> None:
    assert bench.ready("ignores-sigterm").wait(0.05) is None


def test_a_signal_after_the_end_does_nothing(bench: Bench) -> None:
    container = bench.start("exits", "0")
    container.wait(_DEADLINE_S)
    container.signal(signal.SIGTERM)
    assert container.stop(0) == 0


@pytest.mark.contract("1.7-e", "2.12-c")
def test_the_environment_is_the_containers_and_not_the_developers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-developers-secret")
    monkeypatch.setenv("OF_THE_DEVELOPER", "yes")
    lines = bench.output("environment", environment={"TRAINING_JOB_NAME": "a job\nof two lines"})
    assert r"TRAINING_JOB_NAME='a job\nof two lines'" in lines
    assert not [line for line in lines if "DEVELOPER" in line or "secret" in line]
    home = next(line for line in lines if line.startswith("HOME="))
    assert home != f"HOME={str(Path.home())!r}" or os.geteuid() == 0


@pytest.mark.contract("1.1-o", "1.5-g")
@pytest.mark.usefixtures("only_contained")
def test_the_host_name_and_the_working_folder_are_the_containers(bench: Bench) -> None:
    assert bench.output("where", hostname="algo-1") == ["/opt/program", "algo-1"]


def test_an_entrypoint_replaces_the_search_for_the_program(bench: Bench) -> None:
    lines = bench.output("script.sh", "hello", entrypoint=("/bin/sh",))
    assert lines == ["from a script: hello"]


def test_folders_and_mounts_stand_below_opt_ml_and_come_back(bench: Bench) -> None:
    source, model, data = _opt_ml(bench.folder)
    container = bench.start(
        "copies",
        folders=(
            Folder(target="/opt/ml/input", source=source),
            Folder(target="/opt/ml/model", source=model),
        ),
        mounts=(Mount(target="/opt/ml/input/data/training", source=data),),
    )
    assert list(container.lines()) == ["was here", "1,2", ""]
    assert container.wait(_DEADLINE_S) == 0
    with container.read_folder("/opt/ml/model") as stream:
        content = _content_of(stream)
    assert content == {"deep/hyperparameters.json": "{}", "numbers": "1,2\n1,2\n"}
    assert [path.name for path in data.iterdir()] == ["a.csv"]


def test_a_file_can_be_mounted_alone(bench: Bench) -> None:
    source, model, data = _opt_ml(bench.folder)
    (source / "data" / "training").mkdir(parents=True)
    container = bench.start(
        "copies",
        folders=(
            Folder(target="/opt/ml/input", source=source),
            Folder(target="/opt/ml/model", source=model),
        ),
        mounts=(Mount(target="/opt/ml/input/data/training/a.csv", source=data / "a.csv"),),
    )
    assert list(container.lines()) == ["was here", "1,2", ""]


@pytest.mark.contract("1.6-b", "2.2-b")
@pytest.mark.usefixtures("only_contained")
def test_a_mount_is_read_only(bench: Bench) -> None:
    _, _, data = _opt_ml(bench.folder)
    mounts = (
        Mount(target="/opt/ml/input/data/training", source=data),
        Mount(target="/opt/ml/model/one-file", source=data / "a.csv"),
    )
    for place in ("/opt/ml/input/data/training/new", "/opt/ml/model/one-file"):
        assert bench.output("writes", place, mounts=mounts) == ["30 Read-only file system"]


def test_a_folder_that_the_container_does_not_have_cannot_be_read(bench: Bench) -> None:
    container = bench.start("exits", "0")
    with pytest.raises(EngineError), container.read_folder("/opt/ml/nothing"):
        pass


@pytest.mark.contract("1.1-k", "1.10-b")
def test_sigterm_leaves_time_to_save(bench: Bench) -> None:
    container = bench.ready("handles-sigterm")
    assert container.stop(_DEADLINE_S) == 7
    assert list(container.lines()) == ["ready", "saving"]


@pytest.mark.contract("1.10-a", "2.1-f")
def test_sigkill_follows_where_sigterm_is_ignored(bench: Bench) -> None:
    container = bench.ready("ignores-sigterm")
    assert container.stop(1) == 128 + signal.SIGKILL


def test_a_second_stop_may_shorten_the_grace(bench: Bench) -> None:
    container = bench.ready("ignores-sigterm")
    codes: list[int] = []
    patient = threading.Thread(target=lambda: codes.append(container.stop(600)))
    patient.start()
    assert container.stop(0) == 128 + signal.SIGKILL
    patient.join(_DEADLINE_S)
    assert codes == [128 + signal.SIGKILL]


def test_nothing_that_a_program_started_outlives_it(bench: Bench) -> None:
    container = bench.start("leaves-children")
    assert container.wait(_DEADLINE_S) == 0
    assert list(container.lines()) == []


@pytest.mark.parametrize("program", ["no-such-program", "not-executable"])
def test_a_program_that_is_not_to_be_found_is_refused(bench: Bench, program: str) -> None:
    spec = bench.spec(program)
    with pytest.raises(StartRefused, match=r"not found in \$PATH|permission denied") as refused:
        bench.engine.start(spec)
    file = refused.value.program
    assert (file is None) == (program == "no-such-program")
    assert file is None or file.mode & 0o111 == 0
    assert bench.engine.reopen(spec.name, spec.run_folder) is None


@pytest.mark.parametrize("program", ["windows-line-ends", "no-interpreter"])
def test_a_program_without_its_interpreter_is_told_with_its_file(
    bench: Bench, program: str
) -> None:
    said, file = bench.failure(program)
    assert "no such file or directory" in said
    assert file is not None
    assert file.path.endswith(f"/{program}")
    assert file.head.startswith(b"#!/")


def test_the_file_behind_a_program_can_be_read_after_its_end(bench: Bench) -> None:
    container = bench.start("exits", "0")
    container.wait(_DEADLINE_S)
    found = container.read_program("exits")
    assert found is not None
    assert found.head.decode().startswith(_PYTHON)
    assert found.mode == 0o755
    assert container.read_program("no-such-program") is None


def test_a_server_is_reached_on_the_loopback_of_the_host(bench: Bench) -> None:
    container = bench.serve(environment={"WHO": "me"})
    address = container.address(8080)
    assert address is not None
    assert address.host == "127.0.0.1"
    assert _get(container) == "me"


def test_a_body_of_many_megabytes_goes_both_ways(bench: Bench) -> None:
    body = os.urandom(1024 * 1024) * 25
    container = bench.serve()
    request = urllib.request.Request(f"{_url(container)}/invocations", data=body)
    with urllib.request.urlopen(request, timeout=_DEADLINE_S) as answer:
        assert answer.read() == body


@pytest.mark.usefixtures("only_contained")
def test_a_server_is_not_reached_on_any_other_interface(bench: Bench) -> None:
    address = bench.serve().address(8080)
    assert address is not None
    for host in _other_addresses():
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((host, address.port), timeout=_DEADLINE_S)


@pytest.mark.contract("2.3-a")
@pytest.mark.usefixtures("only_contained")
def test_a_server_that_listens_on_its_own_loopback_only_is_not_reached(bench: Bench) -> None:
    container = bench.serve("127.0.0.1")
    with pytest.raises(OSError, match=r"reset|closed|refused"):
        _get(container)


def test_several_ports_are_published_each_for_itself(bench: Bench) -> None:
    container = bench.ready("serves", "0.0.0.0", "5678", ports=(PORT, SECOND_PORT))
    assert (_get(container), _get(container, 5678)) == ("nobody", "the second port")
    assert container.address(9999) is None


def test_two_servers_can_have_the_same_port_each(bench: Bench) -> None:
    first = bench.serve(environment={"WHO": "first"})
    second = bench.serve(environment={"WHO": "second"})
    assert (_get(first), _get(second)) == ("first", "second")


def test_a_container_without_a_port_has_no_address(bench: Bench) -> None:
    assert bench.start("exits", "0").address(8080) is None


def test_removing_leaves_nothing_and_may_be_repeated(bench: Bench) -> None:
    container = bench.serve()
    name, url, run_folder = container.name, _url(container), bench.folder / container.name
    container.remove()
    container.remove()
    assert bench.engine.reopen(name, run_folder) is None
    assert not run_folder.exists()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=_DEADLINE_S)


def test_removing_leaves_what_the_folders_came_from(bench: Bench) -> None:
    _, model, _ = _opt_ml(bench.folder)
    container = bench.start("exits", "0", folders=(Folder(target="/opt/ml/model", source=model),))
    container.remove()
    assert (model / "before").read_text() == "was here"


def test_a_container_is_found_again_by_its_name(bench: Bench) -> None:
    container = bench.ready("handles-sigterm")
    found = bench.engine.reopen(container.name, bench.folder / container.name)
    assert found is not None
    assert found.name == container.name
    assert found.labels["devkit.test"] == "yes"
    assert found.exit_code() is None
    assert found.stop(_DEADLINE_S) == 7
    assert list(found.lines()) == ["ready", "saving"]
    assert container.wait(_DEADLINE_S) == 7
    name = container.name
    found.remove()
    assert bench.engine.reopen(name, bench.folder / name) is None


def test_an_ended_container_is_found_again_with_its_exit_code(bench: Bench) -> None:
    container = bench.start("exits", "3")
    container.wait(_DEADLINE_S)
    found = bench.engine.reopen(container.name, bench.folder / container.name)
    assert found is not None
    assert found.exit_code() == 3
    assert found.wait() == 3


def test_a_name_that_was_never_started_is_not_found(bench: Bench) -> None:
    assert bench.engine.reopen("devkit-test-never-started", bench.folder / "nothing") is None


def test_an_image_that_does_not_exist_is_an_error(bench: Bench) -> None:
    with pytest.raises((EngineError, NotFound), match="no-such-image"):
        bench.engine.image("no-such-image:latest")


def _program(folder: Path, name: str, text: str, mode: int = 0o755) -> None:
    path = folder / name
    path.write_bytes(text.encode())
    path.chmod(mode)


def _opt_ml(folder: Path) -> tuple[Path, Path, Path]:
    """Host folders as a job has them: its input, its model, and a channel elsewhere."""
    source, model, data = folder / "input", folder / "model", folder / "a channel, ünïcödé"
    (source / "config").mkdir(parents=True)
    (source / "config" / "hyperparameters.json").write_text("{}")
    model.mkdir()
    (model / "before").write_text("was here")
    data.mkdir()
    (data / "a.csv").write_text("1,2\n")
    return source, model, data


def _content_of(stream: object) -> Mapping[str, str]:
    content: dict[str, str] = {}
    with tarfile.open(fileobj=stream, mode="r|") as tar:  # type: ignore[call-overload]
        for member in tar:
            assert (member.uid, member.gid) == (0, 0)
            file = tar.extractfile(member) if member.isreg() else None
            if file is not None:
                content[member.name.removeprefix("./")] = file.read().decode()
            if member.issym():
                assert member.linkname == "numbers"
    return content


def _url(container: Container, port: int = 8080) -> str:
    address = container.address(port)
    assert address is not None
    return address.url


def _get(container: Container, port: int = 8080) -> str:
    with urllib.request.urlopen(f"{_url(container, port)}/ping", timeout=_DEADLINE_S) as answer:
        return str(answer.read().decode())


def _other_addresses() -> list[str]:
    """This machine's own addresses that are not 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only picks a way out
        except OSError:
            return ["127.0.0.2"]
        return ["127.0.0.2", str(probe.getsockname()[0])]
