"""Virtual environments: made once for each content, shared, and never half made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import zipfile
from pathlib import Path

import pytest

from devkit.engines.environments import Environments
from devkit.errors import BuildError

_DEADLINE_S = 60.0


def _ignore(_line: str) -> None:
    """Progress that no test looks at."""


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with one package, so that no index is asked for anything."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "SIZE = 'small'\n")
        wheel.writestr(
            "tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
        )
        wheel.writestr(
            "tiny-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    return folder


@pytest.fixture
def requirements(tmp_path: Path, wheels: Path) -> Path:
    """A requirements file that names the package."""
    path = tmp_path / "requirements.txt"
    path.write_text(f"--no-index\n--find-links {wheels}\ntiny==1.0\n")
    return path


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    """Environments in a folder of their own."""
    return Environments(tmp_path / "cache", dict(os.environ))


def test_what_the_requirements_name_can_be_imported(
    environments: Environments, requirements: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    path = environments.make(requirements, tmp_path, lines.append)
    assert _python(path, "import tiny; print(tiny.SIZE)") == "small"
    assert any("Successfully installed tiny-1.0" in line for line in lines)


def test_without_requirements_there_is_a_python_and_nothing_else(
    environments: Environments, tmp_path: Path
) -> None:
    path = environments.make(None, tmp_path, _ignore)
    assert _python(path, "import sys; print(sys.prefix)") == str(path)


def test_the_second_time_nothing_is_run(
    environments: Environments, requirements: Path, tmp_path: Path
) -> None:
    path = environments.make(requirements, tmp_path, _ignore)
    lines: list[str] = []
    assert environments.make(requirements, tmp_path, lines.append) == path
    assert lines == []


def test_asking_for_an_environment_is_noted_as_its_last_use(
    environments: Environments, tmp_path: Path
) -> None:
    marker = environments.make(None, tmp_path, _ignore) / ".complete"
    os.utime(marker, (1, 1))
    environments.make(None, tmp_path, _ignore)
    assert marker.stat().st_mtime > 1


def test_other_requirements_have_another_environment(
    environments: Environments, requirements: Path, tmp_path: Path
) -> None:
    first = environments.make(requirements, tmp_path, _ignore)
    requirements.write_text(f"{requirements.read_text()}# one more line\n")
    assert environments.make(requirements, tmp_path, _ignore) != first
    assert environments.make(None, tmp_path, _ignore) != first


def test_a_change_in_an_included_file_counts(
    environments: Environments, requirements: Path, tmp_path: Path
) -> None:
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("tiny==1.0\n")
    outer = tmp_path / "outer.txt"
    outer.write_text(f"-r {requirements.name}\n-c constraints.txt  # pinned\n")
    first = environments.make(outer, tmp_path, _ignore)
    assert _python(first, "import tiny; print(tiny.SIZE)") == "small"
    constraints.write_text("tiny>=1.0\n")
    assert environments.make(outer, tmp_path, _ignore) != first


@pytest.mark.parametrize("content", [None, "-r not-there.txt\n"])
def test_a_file_that_is_not_there_is_told_before_anything_is_made(
    environments: Environments, tmp_path: Path, content: str | None
) -> None:
    requirements = tmp_path / "requirements.txt"
    if content is not None:
        requirements.write_text(content)
    with pytest.raises(BuildError, match="cannot read the requirements file"):
        environments.make(requirements, tmp_path, _ignore)
    assert not (tmp_path / "cache").exists()


def test_a_failed_installation_says_why_and_leaves_nothing(
    environments: Environments, wheels: Path, tmp_path: Path
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"--no-index\n--find-links {wheels}\nno-such-package==9.9\n")
    with pytest.raises(BuildError) as failed:
        environments.make(requirements, tmp_path, _ignore)
    assert any("no-such-package" in line for line in failed.value.log_tail)
    assert failed.value.remedy is not None
    assert _made(tmp_path) == []


def test_what_a_killed_build_left_is_made_again(
    environments: Environments, requirements: Path, tmp_path: Path
) -> None:
    path = environments.make(requirements, tmp_path, _ignore)
    (path / ".complete").unlink()
    leftover = path / "leftover"
    leftover.touch()
    assert environments.make(requirements, tmp_path, _ignore) == path
    assert not leftover.exists()
    assert _python(path, "import tiny; print(tiny.SIZE)") == "small"


def test_builds_of_the_same_environment_wait_for_each_other(
    requirements: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    made: list[Path] = []

    def build() -> None:
        other = Environments(tmp_path / "cache", dict(os.environ))
        made.append(other.make(requirements, tmp_path, said.append))

    threads = [threading.Thread(target=build) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_DEADLINE_S)
    assert len(made) == 3
    assert len(set(made)) == 1
    assert len([line for line in said if "Successfully installed" in line]) == 1


def test_an_interrupted_build_leaves_nothing(
    environments: Environments, requirements: Path, tmp_path: Path
) -> None:
    def interrupt(line: str) -> None:
        if "tiny" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        environments.make(requirements, tmp_path, interrupt)
    assert _made(tmp_path) == []
    environments.make(requirements, tmp_path, _ignore)


def test_a_build_killed_with_devkit_holds_its_lock_until_its_pip_has_ended(
    requirements: Path, tmp_path: Path
) -> None:
    script = textwrap.dedent("""
        import os, pathlib, signal, sys
        from devkit.engines.environments import Environments
        def die(line):
            if "tiny" in line:
                os.kill(os.getpid(), signal.SIGKILL)
        folder = pathlib.Path(sys.argv[1])
        Environments(folder / "cache", dict(os.environ)).make(
            folder / "requirements.txt", folder, die)
    """)
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    path = Environments(tmp_path / "cache", dict(os.environ)).make(requirements, tmp_path, _ignore)
    assert _python(path, "import tiny; print(tiny.SIZE)") == "small"


def test_pip_runs_with_the_build_environment_but_not_the_developers_own_python_settings(
    requirements: Path, wheels: Path, tmp_path: Path
) -> None:
    requirements.write_text("tiny==1.0\n")
    settings = {
        "PATH": os.defpath,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_TARGET": str(tmp_path / "elsewhere"),
        "VIRTUALENV_SYSTEM_SITE_PACKAGES": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    path = Environments(tmp_path / "cache", settings).make(requirements, tmp_path, _ignore)
    assert _python(path, "import tiny; print(tiny.SIZE)") == "small"
    assert "include-system-site-packages = false" in (path / "pyvenv.cfg").read_text()
    assert not (tmp_path / "elsewhere").exists()


def test_virtualenv_is_not_imported_into_devkit() -> None:
    script = "import sys, devkit.engines.process; print('virtualenv' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False"


def _python(environment: Path, code: str) -> str:
    python = environment / "bin" / "python"
    done = subprocess.run(
        [python, "-I", "-c", code], check=True, capture_output=True, text=True, env={}
    )
    return done.stdout.strip()


def _made(tmp_path: Path) -> list[str]:
    """The environments in the cache, whole or not."""
    return [path.name for path in (tmp_path / "cache").iterdir() if (path / "bin").exists()]
