"""The supervisor's parts that need no container to be seen at work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devkit.engines import sandbox
from devkit.engines.sandbox.execution import candidates
from devkit.engines.sandbox.links import make_links, remove_links
from devkit.engines.sandbox.plan import ENTRIES, Bind, Link, Plan, PublishedPort, load
from devkit.engines.sandbox.processes import exit_code


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = Plan(
        name="a",
        run_folder=str(tmp_path),
        command=["train", "ünïcödé", os.fsdecode(b"\xff")],
        environment={"A": "b\nc"},
        working_folder="/opt/program",
        hostname="algo-1",
        labels={},
        folders={"/opt/ml/model": "/somewhere"},
        binds=[Bind("/somewhere", "/opt/ml/model", read_only=False)],
        links=[Link("/a", "/b", "nothing")],
        ports=[PublishedPort(8080, 32768)],
    )
    plan.save()
    assert load(tmp_path)._asdict() == {**plan._asdict(), "keep": [], "masks": []}


def test_a_plan_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed_on_the_way(path: Path, *_: object, **__: object) -> int:
        path.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", killed_on_the_way)
    plan = Plan(
        name="a",
        run_folder=str(tmp_path),
        command=["train"],
        environment={},
        working_folder="/",
        hostname="algo-1",
        labels={},
        folders={},
    )
    with pytest.raises(KeyboardInterrupt):
        plan.save()
    with pytest.raises(FileNotFoundError):
        load(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= set(ENTRIES)


def test_a_program_is_looked_for_in_every_folder_of_the_path() -> None:
    found = list(candidates("train", "/a:b:", "/app"))
    assert found == ["/a/train", "/app/b/train", "/app/train"]


@pytest.mark.parametrize(
    ("name", "path"),
    [("/bin/sh", "/bin/sh"), ("./train", "/app/train"), ("sub/train", "/app/sub/train")],
)
def test_a_name_with_a_slash_is_a_path(name: str, path: str) -> None:
    assert list(candidates(name, "/a", "/app")) == [path]


@pytest.mark.parametrize("displaced", ["nothing", "folder", "file"])
def test_a_link_gives_back_what_it_took_the_place_of(tmp_path: Path, displaced: str) -> None:
    source, path = tmp_path / "source", tmp_path / "outer" / "place"
    source.mkdir()
    path.parent.mkdir()
    if displaced == "folder":
        path.mkdir()
    if displaced == "file":
        path.touch()
    links = [Link(str(path), str(source), displaced)]
    make_links(links)
    assert path.readlink() == source
    remove_links(links)
    remove_links(links)
    assert not path.is_symlink()
    assert (path.is_dir(), path.is_file()) == (displaced == "folder", displaced == "file")


def test_a_link_that_somebody_replaced_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "place"
    links = [Link(str(path), str(tmp_path), "nothing")]
    make_links(links)
    path.unlink()
    path.write_text("of the program")
    remove_links(links)
    assert path.read_text() == "of the program"


@pytest.mark.parametrize(("code", "expected"), [("0", 0), ("3", 3), ("'text'", 1)])
def test_an_exit_code_is_that_of_a_shell(code: str, expected: int) -> None:
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", f"exit({code})"], {})
    assert exit_code(os.waitpid(pid, 0)[1]) == expected


def test_the_exit_code_of_a_signal_is_128_and_its_number() -> None:
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "kill -KILL $$"], {})
    assert exit_code(os.waitpid(pid, 0)[1]) == 128 + signal.SIGKILL


def test_the_supervisor_needs_nothing_but_the_standard_library() -> None:
    folder = str(Path(sandbox.__path__[0]).parent)
    script = (
        "import sys; sys.path.append(sys.argv[1]); import sandbox.supervisor; "
        "print([m for m in sys.modules if 'devkit' in m or 'dataclasses' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, folder],
        check=True,
        capture_output=True,
        text=True,
        env={},
    )
    assert done.stdout.strip() == "[]"
