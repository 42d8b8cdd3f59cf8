"""Whom wheels are for, and what an installation depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from devkit import config
from devkit.errors import BuildError
from devkit.lambda_requirements import LambdaPlatform, install_requirements
from devkit.requirements_files import local_facts


def test_amazon_linux_2023_takes_wheels_of_its_glibc_and_older_ones() -> None:
    tags = LambdaPlatform("python3.12", "x86_64").tags
    assert tags[0] == "manylinux_2_34_x86_64"
    assert tags[-2:] == ("manylinux_2_17_x86_64", "manylinux2014_x86_64")
    assert "manylinux_2_28_x86_64" in tags


def test_older_runtimes_are_on_an_older_glibc() -> None:
    tags = LambdaPlatform("python3.11", "arm64").tags
    assert tags[0] == "manylinux_2_26_aarch64"
    assert "manylinux_2_28_aarch64" not in tags


def test_markers_are_those_of_the_function() -> None:
    markers = LambdaPlatform("python3.13", "arm64").markers
    assert markers["python_version"] == "3.13"
    assert (markers["sys_platform"], markers["platform_machine"]) == ("linux", "aarch64")


def requirements(folder: Path, text: str) -> Path:
    path = folder / "requirements.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize("line", ["-e ./mine", "--editable ./mine", "  -e git+https://x/y"])
def test_an_editable_package_is_refused(tmp_path: Path, line: str) -> None:
    machine = config.machine({"DEVKIT_CACHE_DIR": str(tmp_path / "cache")})
    with pytest.raises(BuildError, match="a link to this machine"):
        install_requirements(requirements(tmp_path, f"six\n{line}\n"), machine, lambda _line: None)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "line", ["./mine", "mine[extra]", "mine @ file://{here}/mine", "./mine # x"]
)
def test_an_edit_of_a_package_named_by_its_path_counts(tmp_path: Path, line: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "code.py").write_text("1")
    file = requirements(tmp_path, line.replace("{here}", str(tmp_path)))
    before = local_facts(file)
    assert local_facts(file) == before
    (tmp_path / "mine" / "code.py").write_text("12")
    assert local_facts(file) != before


def test_what_a_build_leaves_in_such_a_package_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    file = requirements(tmp_path, "./mine")
    before = local_facts(file)
    for folder in ("build", "mine.egg-info", "__pycache__"):
        (tmp_path / "mine" / folder).mkdir()
        (tmp_path / "mine" / folder / "x").touch()
    assert local_facts(file) == before


def test_packages_of_an_index_have_no_facts_of_this_machine(tmp_path: Path) -> None:
    assert local_facts(requirements(tmp_path, "six==1.17.0\n# comment\n\n--no-index\n")) == []
