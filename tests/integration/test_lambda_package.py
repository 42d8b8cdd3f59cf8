"""devkit lambda package, with pip and the package index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from devkit import config
from devkit.lambda_package import install_requirements
from tests.integration.kit import base_environment

_DEADLINE_S = 120.0


class Folder:
    """A function's folder, and the commands that are given beside it."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root = root
        self.code = root / "code"
        self.code.mkdir()
        (self.code / "handler.py").write_text("def handler(event, context):\n    return event\n")
        self.environment = base_environment(cache)

    def requires(self, text: str) -> None:
        (self.code / "requirements.txt").write_text(text)

    def package(
        self, *flags: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "devkit", "lambda", "package", "code", *flags],
            cwd=self.root,
            env={**self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )

    def names(self) -> list[str]:
        with zipfile.ZipFile(self.root / "code.zip") as archive:
            return archive.namelist()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(tmp_path: Path, cache: Path) -> Folder:
    return Folder(tmp_path, cache)


def test_a_function_finds_what_it_requires_in_its_archive(folder: Folder) -> None:
    folder.requires("six==1.17.0\n")
    done = folder.package("--runtime", "python3.12", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["archive"], document["runtime"]) == ("code.zip", "python3.12")
    code = "import sys; sys.path.insert(0, 'code.zip'); import six, handler; print(six.__file__)"
    found = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=folder.root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "code.zip/six.py"


def test_packaging_again_gives_the_same_bytes_and_asks_nobody(folder: Folder) -> None:
    folder.requires("six==1.17.0  # again\n")
    assert folder.package().returncode == 0
    first = (folder.root / "code.zip").read_bytes()
    offline = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_NO_INDEX": "1"}
    again = folder.package(environment=offline)
    assert again.returncode == 0, again.stderr
    assert (folder.root / "code.zip").read_bytes() == first


def test_a_compiled_package_is_that_of_lambdas_python_and_processor(folder: Folder) -> None:
    folder.requires("simplejson==3.20.1\n")
    done = folder.package("--runtime", "python3.12", "--architecture", "arm64")
    assert done.returncode == 0, done.stderr
    compiled = [name for name in folder.names() if name.endswith(".so")]
    assert compiled == ["simplejson/_speedups.cpython-312-aarch64-linux-gnu.so"]
    with zipfile.ZipFile(folder.root / "code.zip") as archive:
        machine = archive.read(compiled[0])[18:20]
    assert int.from_bytes(machine, "little") == 183  # AArch64, in ELF's table


def test_markers_are_read_as_on_lambda(folder: Folder) -> None:
    folder.requires(
        'six==1.17.0; python_version == "3.13" and platform_machine == "aarch64"\n'
        'idna; python_version != "3.13"\n'
    )
    done = folder.package("--runtime", "python3.13", "--architecture", "arm64")
    assert done.returncode == 0, done.stderr
    assert "six.py" in folder.names()
    assert not [name for name in folder.names() if name.startswith("idna")]


def test_nothing_of_this_machine_is_in_the_archive(folder: Folder, cache: Path) -> None:
    mine = folder.code / "mine"
    mine.mkdir()
    (mine / "mine.py").write_text("def main():\n    print('mine')\n")
    (mine / "pyproject.toml").write_text(
        '[project]\nname = "mine"\nversion = "1"\nscripts = { mine = "mine:main" }\n'
        '[tool.setuptools]\npy-modules = ["mine"]\n'
    )
    folder.requires("./mine\n")
    done = folder.package()
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(folder.root / "code.zip") as archive:
        assert "mine.py" in archive.namelist()
        assert not [name for name in archive.namelist() if name.startswith("bin/")]
        for name in archive.namelist():
            if not name.startswith("mine/"):
                content = archive.read(name)
                assert str(folder.root).encode() not in content
                assert str(cache).encode() not in content


def test_a_package_without_a_wheel_is_named_and_nothing_is_left(folder: Folder) -> None:
    folder.requires("simplejson==3.0.0\n")
    done = folder.package("--runtime", "python3.12")
    assert done.returncode == 4
    assert "there is no wheel of simplejson==3.0.0 for python3.12 on x86_64" in done.stderr
    assert sorted(path.name for path in folder.root.iterdir()) == ["code"]


def test_two_at_once_do_not_disturb_each_other(folder: Folder) -> None:
    folder.requires("six==1.17.0\nidna\n")
    command = [sys.executable, "-m", "devkit", "lambda", "package", "code"]
    both = [
        subprocess.Popen(
            command,
            cwd=folder.root,
            env=folder.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [each.communicate(timeout=_DEADLINE_S)[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert {"six.py", "handler.py"} <= set(folder.names())
    assert sorted(path.name for path in folder.root.iterdir()) == ["code", "code.zip"]


def test_a_full_disk_leaves_what_was_there(folder: Folder) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = folder.root / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(mounted.stderr)
    try:
        assert folder.package("--output", "disk/f.zip").returncode == 0
        before = (disk / "f.zip").read_bytes()
        (folder.code / "model.bin").write_bytes(os.urandom(2 << 20))
        done = folder.package("--output", "disk/f.zip")
        assert done.returncode == 8
        assert "No space left on device" in done.stderr
        assert [path.name for path in disk.iterdir()] == ["f.zip"]
        assert (disk / "f.zip").read_bytes() == before
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_local_function_gets_a_folder_for_this_machine(folder: Folder, cache: Path) -> None:
    folder.requires("simplejson==3.20.1\n")
    machine = config.machine(folder.environment)
    lines: list[str] = []
    path = install_requirements(folder.code / "requirements.txt", machine, lines.append)
    assert path.is_relative_to(cache)
    code = "import sys; sys.path.insert(0, sys.argv[1]); from simplejson import _speedups"
    subprocess.run([sys.executable, "-I", "-c", code, path], check=True)
    lines.clear()
    assert install_requirements(folder.code / "requirements.txt", machine, lines.append) == path
    assert lines == []
