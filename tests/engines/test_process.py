"""The process engine: what a program sees, what it must not see, and what is left of it."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from devkit.engines.base import Folder, Image, Limits, Mount
from devkit.engines.process import ProcessEngine
from devkit.errors import BuildError, EngineError
from tests.engines.process_bench import DEADLINE_S, MARK, PORT, ProcessBench, eventually, marked

CREDENTIALS = "[default]\naws_secret_access_key = the-developers-secret\n"

NAMESPACES, PLAIN = "namespaces", "plain"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A developer's home with credentials in it, where programs could see it (not in /tmp)."""
    with TemporaryDirectory(dir="/var/tmp") as folder:
        home = Path(folder)
        (home / ".aws").mkdir()
        (home / ".aws" / "credentials").write_text(CREDENTIALS)
        yield home


@pytest.fixture(scope="module")
def engines(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ProcessEngine]:
    """An engine in each mode."""
    cache = tmp_path_factory.mktemp("cache")
    environment = {**os.environ, "HOME": str(home)}
    return {
        NAMESPACES: ProcessEngine(cache, environment),
        PLAIN: ProcessEngine(cache, environment, namespaces=False),
    }


@pytest.fixture
def contained(engines: dict[str, ProcessEngine], tmp_path: Path) -> Iterator[ProcessBench]:
    """Programs in namespaces of their own."""
    description = engines[NAMESPACES].describe()
    if "own namespaces" not in description:
        pytest.skip(description)
    bench = ProcessBench(engines[NAMESPACES], tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def plain(engines: dict[str, ProcessEngine], tmp_path: Path) -> Iterator[ProcessBench]:
    """Programs without namespaces."""
    bench = ProcessBench(engines[PLAIN], tmp_path)
    yield bench
    bench.close()


@pytest.fixture(params=[NAMESPACES, PLAIN])
def either(request: pytest.FixtureRequest) -> ProcessBench:
    """Programs in one mode and in the other."""
    name = "contained" if request.param == NAMESPACES else "plain"
    bench: ProcessBench = request.getfixturevalue(name)
    return bench


def test_it_says_which_way_it_runs_programs_and_why(
    engines: dict[str, ProcessEngine], contained: ProcessBench
) -> None:
    assert contained.engine.describe() == "processes in their own namespaces"
    assert engines[PLAIN].describe() == (
        "plain processes (as asked for); programs get SM_* variables instead of /opt/ml"
    )


def test_the_environment_is_complete_and_clean(
    either: ProcessBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    lines = either.run("import os\nfor n, t in os.environ.items(): print(f'{n}={t}')")
    variables = dict(line.split("=", 1) for line in lines)
    variables.pop("LC_CTYPE", None)  # Python's own doing
    image = either.image()
    assert set(variables) == {
        "PATH", "HOME", "LANG", "HOSTNAME", "PYTHONUNBUFFERED", "VIRTUAL_ENV", MARK,
    }  # fmt: skip
    assert variables["PATH"].split(":")[1] == f"{image.environment}/bin"
    assert variables["VIRTUAL_ENV"] == str(image.environment)


@pytest.mark.contract("1.7-e", "2.12-c")
def test_the_developers_credentials_are_not_there_to_be_read(
    contained: ProcessBench, home: Path
) -> None:
    lines = contained.run(f"""
        import os, pathlib
        print(os.listdir({str(home / ".aws")!r}))
        print(list(pathlib.Path.home().iterdir()))
    """.replace("\n        ", "\n"))  # fmt: skip
    assert lines == ["[]", "[]"]
    assert (home / ".aws" / "credentials").read_text() == CREDENTIALS


def test_the_program_runs_in_its_folder_in_the_image_and_cannot_change_it(
    contained: ProcessBench,
) -> None:
    lines = contained.run(
        "import os, sys\n"
        "print(os.getcwd(), os.getpid(), os.listdir())\n"
        "for place in ('new', sys.prefix + '/new'):\n"
        "    try: open(place, 'w')\n"
        "    except OSError as error: print(error.strerror)\n"
    )
    assert lines == [
        "/opt/program 1 ['train']",
        "Read-only file system",
        "Read-only file system",
    ]


def test_the_hosts_opt_stays_visible_and_is_not_changed(contained: ProcessBench) -> None:
    before = sorted(path.name for path in Path("/opt").iterdir())
    lines = contained.run(
        "import os\n"
        "print(sorted(os.listdir('/opt')))\n"
        "open('/opt/new', 'w').close()\n"
        "open('/opt/ml/new', 'w').close()\n"
        "print(os.path.exists('/opt/new'), os.listdir('/opt/ml'))\n"
    )
    assert lines == [repr(sorted({*before, "ml", "program"})), "True ['new']"]
    assert sorted(path.name for path in Path("/opt").iterdir()) == before


def test_no_mount_is_seen_on_the_host(contained: ProcessBench, tmp_path: Path) -> None:
    before = _mount_points()
    model = tmp_path / "model"
    model.mkdir()
    contained.write("print('ready', flush=True)\nimport signal; signal.pause()")
    contained.ready(folders=(Folder(target="/opt/ml/model", source=model),))
    new = _mount_points() - before
    assert not [path for path in new if path.startswith(("/opt", "/tmp", "/dev", "/etc", "/proc"))]


def test_tmp_and_shared_memory_are_each_programs_own(contained: ProcessBench) -> None:
    program = (
        "import os\n"
        "for place in ('/tmp/socket', '/dev/shm/name'):\n"
        "    os.close(os.open(place, os.O_CREAT | os.O_EXCL))\n"
        "print('ready', flush=True)\nimport signal; signal.pause()"
    )
    contained.write(program)
    contained.ready()
    contained.ready()
    assert not Path("/tmp/socket").exists()


@pytest.mark.contract("1.12-a")
def test_shared_memory_has_the_size_that_was_asked_for(contained: ProcessBench) -> None:
    lines = contained.run(
        "import os; s = os.statvfs('/dev/shm'); print(s.f_blocks * s.f_frsize)",
        limits=Limits(shm_bytes=64 * 1024 * 1024),
    )
    assert lines == [str(64 * 1024 * 1024)]


def test_a_container_with_a_long_name_can_look_itself_up(contained: ProcessBench) -> None:
    lines = contained.run("import socket; print(socket.getfqdn())", name=f"test-{'x' * 57}-long")
    assert lines == [f"test-{'x' * 57}"]


@pytest.mark.contract("1.5-g")
def test_the_host_name_leads_to_the_container(contained: ProcessBench) -> None:
    text = "import socket; print(socket.gethostname(), socket.gethostbyname('algo-1'))"
    assert contained.run(text, hostname="algo-1") == ["algo-1 127.0.0.1"]
    lines = contained.run(text, hostname="algo-1", ports=(PORT,))
    assert lines == ["algo-1 169.254.178.3"]


def test_a_program_without_a_handler_ignores_sigterm_as_process_1_does(
    contained: ProcessBench,
) -> None:
    contained.write("print('ready', flush=True)\nimport signal; signal.pause()")
    container = contained.ready()
    container.signal(signal.SIGTERM)
    assert container.wait(0.1) is None
    assert container.stop(0) == 137


def test_only_the_programs_own_processes_are_in_its_proc(contained: ProcessBench) -> None:
    if "/proc/kcore" in _mount_points():
        pytest.skip("the container around us has masked its /proc, so nobody may mount another")
    lines = contained.run("import os; print([n for n in os.listdir('/proc') if n.isdigit()])")
    assert lines == ["['1']"]


def test_it_runs_in_a_session_of_its_own(either: ProcessBench) -> None:
    lines = either.run("import os; print(os.getsid(0) == os.getpid(), os.isatty(0))")
    assert lines == ["True False"]


def test_a_mount_is_the_host_folder_itself(contained: ProcessBench, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    contained.write(
        "import os, signal\n"
        "signal.signal(signal.SIGUSR1, lambda *_: print(os.listdir('/opt/ml/input/data/x')))\n"
        "print('ready', flush=True)\nsignal.pause()"
    )
    container = contained.ready(mounts=(Mount(target="/opt/ml/input/data/x", source=data),))
    (data / "later").touch()
    container.signal(signal.SIGUSR1)
    assert list(container.lines()) == ["ready", "['later']"]


def test_a_plain_program_is_told_its_places(plain: ProcessBench, tmp_path: Path) -> None:
    for name in ("input", "model", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "data" / "a.csv").touch()
    (tmp_path / "input" / "data" / "training").mkdir(parents=True)
    lines = plain.run(
        "import os\n"
        "for n, t in sorted(os.environ.items()):\n"
        "    if n.startswith('SM_'): print(f'{n}={t}')\n"
        "print(os.listdir(os.environ['SM_INPUT_DIR'] + '/data/training'))\n"
        "print(os.listdir(os.environ['SM_INPUT_DIR'] + '/data/file'))\n",
        folders=(
            Folder(target="/opt/ml/input", source=tmp_path / "input"),
            Folder(target="/opt/ml/model", source=tmp_path / "model"),
        ),
        mounts=(
            Mount(target="/opt/ml/input/data/training", source=tmp_path / "data"),
            Mount(target="/opt/ml/input/data/file/a.csv", source=tmp_path / "data" / "a.csv"),
        ),
    )
    assert lines == [
        f"SM_CHANNEL_FILE={tmp_path}/input/data/file",
        f"SM_CHANNEL_TRAINING={tmp_path}/data",
        f"SM_INPUT_CONFIG_DIR={tmp_path}/input/config",
        f"SM_INPUT_DIR={tmp_path}/input",
        f"SM_MODEL_DIR={tmp_path}/model",
        "['a.csv']",
        "['a.csv']",
    ]
    training = tmp_path / "input" / "data" / "training"
    assert training.is_dir()
    assert not training.is_symlink()
    assert list((tmp_path / "input" / "data" / "file").iterdir()) == []


def test_a_plain_program_without_an_input_folder_finds_its_channels_all_the_same(
    plain: ProcessBench, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    lines = plain.run(
        "import os; print(os.listdir(os.environ['SM_INPUT_DIR'] + '/data'))",
        mounts=(Mount(target="/opt/ml/input/data/training", source=tmp_path / "data"),),
    )
    assert lines == ["['training']"]


def test_what_a_program_started_ends_with_it_even_in_another_session(
    either: ProcessBench,
) -> None:
    either.write(
        "import subprocess, sys\n"
        "sleep = 'import signal; print(1, flush=True); signal.pause()'\n"
        "child = subprocess.Popen(\n"
        "    [sys.executable, '-c', sleep], start_new_session=True, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print('ready')\n"
    )
    container = either.ready()
    assert container.wait(DEADLINE_S) == 0
    assert marked(either.mark) == []


@pytest.mark.parametrize("mode", [NAMESPACES, PLAIN])
def test_a_killed_devkit_takes_its_programs_with_it(
    request: pytest.FixtureRequest, mode: str, tmp_path: Path
) -> None:
    bench: ProcessBench = request.getfixturevalue("contained" if mode == NAMESPACES else "plain")
    bench.write(
        "import subprocess, sys, signal\n"
        "sleep = 'import signal; signal.pause()'\n"
        "subprocess.Popen([sys.executable, '-c', sleep], start_new_session=True)\n"
        "print('ready', flush=True)\nsignal.pause()"
    )
    devkit = _devkit(bench, "abandoned", mode, fork=False)
    assert marked(bench.mark) != []
    devkit.kill()
    devkit.communicate(timeout=DEADLINE_S)
    assert eventually(lambda: marked(bench.mark) == [])
    found = bench.engine.reopen("abandoned", tmp_path / "runs" / "abandoned")
    assert found is not None
    assert found.wait(DEADLINE_S) == 137
    assert list(found.lines()) == ["ready"]
    found.remove()
    assert not (tmp_path / "runs" / "abandoned").exists()


def test_a_forked_child_of_devkit_does_not_keep_its_programs_alive(
    either: ProcessBench,
) -> None:
    either.write("print('ready', flush=True)\nimport signal; signal.pause()")
    mode = NAMESPACES if "own namespaces" in either.engine.describe() else PLAIN
    devkit = _devkit(either, "forked", mode, fork=True)
    devkit.kill()
    assert eventually(lambda: marked(either.mark) == [])
    devkit.communicate(timeout=DEADLINE_S)


def test_a_program_whose_supervisor_is_killed_ends_with_it(either: ProcessBench) -> None:
    either.write("print('ready', flush=True)\nimport signal; signal.pause()")
    container = either.ready()
    (program,) = marked(either.mark)
    status = Path(f"/proc/{program}/status").read_text().split()
    os.kill(int(status[status.index("PPid:") + 1]), signal.SIGKILL)
    assert container.wait(DEADLINE_S) == 137
    assert eventually(lambda: marked(either.mark) == [])


# The standard library's own open() leaves its file to the garbage collector when interrupted.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("delay_ms", range(1, 60, 3))
def test_ctrl_c_at_any_moment_of_a_start_leaves_nothing(
    either: ProcessBench, delay_ms: int
) -> None:
    either.write("import signal; signal.pause()")
    spec = either.spec()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, delay_ms / 1000)
        try:
            container = either.engine.start(spec)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        assert not spec.run_folder.exists()
    else:
        container.remove()
    finally:
        signal.signal(signal.SIGALRM, before)
        gc.collect()
    assert marked(either.mark) == []


def test_removing_deletes_even_what_the_program_locked(either: ProcessBench) -> None:
    either.run(
        "import os, pathlib\n"
        "locked = pathlib.Path.home() / 'locked' / 'deeper'\n"
        "locked.mkdir(parents=True)\n"
        "(locked / 'file').touch()\n"
        "locked.chmod(0)\n"
        "locked.parent.chmod(0o500)\n"
    )
    container = either.containers[-1]
    container.remove()
    assert list((either.folder / "runs").iterdir()) == []


def test_what_the_engine_did_not_make_stays_in_the_run_folder(either: ProcessBench) -> None:
    either.run("print('done')")
    container = either.containers[-1]
    kept = either.folder / "runs" / container.name / "of-somebody-else"
    kept.touch()
    container.remove()
    assert [path.name for path in kept.parent.iterdir()] == ["of-somebody-else"]


def test_a_name_is_taken_until_its_container_is_removed(either: ProcessBench) -> None:
    either.write("print('ready', flush=True)\nimport signal; signal.pause()")
    container = either.ready(name="taken")
    with pytest.raises(EngineError, match="taken"):
        either.start(name="taken")
    assert container.exit_code() is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"limits": Limits(memory_bytes=1)}, "memory"),
        ({"limits": Limits(cpus=1.0)}, "CPU"),
        ({"limits": Limits(gpus=1)}, "GPU"),
        ({"image": Image(reference="iris:dev", id="sha256:0")}, "iris:dev"),
        ({"mounts": (Mount(target="/data", source=Path("/")),)}, "/data"),
        ({"mounts": (Mount(target="/opt/ml/x", source=Path("/no/such")),)}, "/no/such"),
        ({"environment": {"A": "\0"}}, "NUL"),
    ],
)
def test_what_it_cannot_do_is_refused_before_anything_is_started(
    either: ProcessBench, fields: dict[str, object], said: str
) -> None:
    either.write("print('never')")
    with pytest.raises(EngineError, match=said):
        either.start(**fields)
    assert not (either.folder / "runs").exists()


def test_an_image_by_name_leads_to_the_docker_engine(either: ProcessBench) -> None:
    with pytest.raises(EngineError) as refused:
        either.engine.image("iris:dev")
    assert "docker" in str(refused.value.remedy)


def test_a_build_without_a_program_folder_is_refused(either: ProcessBench) -> None:
    either.program.rmdir()
    with pytest.raises(BuildError, match="no program folder"):
        either.image()


def test_an_image_id_tells_one_state_of_the_program_from_another(either: ProcessBench) -> None:
    either.write("print(1)")
    first = either.image()
    assert either.image() == first
    either.write("print(1) # changed")
    assert either.image().id != first.id


def test_a_damaged_note_is_an_error_and_not_a_crash(either: ProcessBench) -> None:
    run_folder = either.folder / "runs" / "damaged"
    run_folder.mkdir(parents=True)
    (run_folder / "plan.json").write_text('{"name": "damaged"')
    with pytest.raises(EngineError, match="cannot read the notes"):
        either.engine.reopen("damaged", run_folder)


def _mount_points() -> set[str]:
    table = Path("/proc/self/mountinfo").read_text()
    return {line.split()[4] for line in table.splitlines()}


def _devkit(bench: ProcessBench, name: str, mode: str, *, fork: bool) -> subprocess.Popen[bytes]:
    """A devkit of its own that starts ``train`` and then only waits."""
    image = bench.image()
    script = textwrap.dedent("""
        import os, pathlib, signal, sys
        from devkit.engines.base import ContainerSpec, Image
        from devkit.engines.process import ProcessEngine
        folder, name, mode, program, environment, mark, value, fork = sys.argv[1:]
        engine = ProcessEngine(pathlib.Path(folder) / "cache", {}, namespaces=mode == "namespaces")
        container = engine.start(ContainerSpec(
            name=name,
            command=("train",),
            image=Image(
                reference="x", id="x", program=pathlib.Path(program),
                program_path="/opt/program", environment=pathlib.Path(environment)),
            environment={mark: value},
            run_folder=pathlib.Path(folder) / "runs" / name,
        ))
        if fork == "True" and os.fork() == 0:
            os.read(0, 1)
            os._exit(0)
        print(next(container.lines()), flush=True)
        signal.pause()
    """)
    arguments = (bench.folder, name, mode, image.program, image.environment, MARK, bench.mark, fork)
    devkit = subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert devkit.stdout is not None
    assert devkit.stdout.readline() == b"ready\n"
    return devkit
