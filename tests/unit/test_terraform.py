"""The Terraform files of ``devkit bootstrap``: valid, formatted, the same each time, kept."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import hcl2
import pytest

from devkit.errors import ConfigError
from devkit.targets import terraform
from devkit.targets.hcl import Block, Ref, document
from tests.unit.test_config import load

ALL = """
region = "eu-west-1"
kms_key = "alias/mine"
tags = { team = "ml", "cost.center" = "4 2" }
vpc_subnets = ["subnet-1"]
vpc_security_groups = ["sg-1"]
checkpoint_uri = "s3://kept/checkpoints"
"""


def files(folder: Path, text: str = "") -> dict[str, str]:
    return dict(terraform.files(load(folder, f"[project]\nname = 'iris'\n[aws]\n{text}")))


@pytest.mark.parametrize(
    "text", ["", ALL, "registry = 'localhost:5000'", "role = 'arn:aws:iam::123456789012:role/x'"]
)
def test_they_are_terraform(tmp_path: Path, text: str) -> None:
    for name, content in files(tmp_path, text).items():
        assert hcl2.loads(content), name
        assert_formatted(content)


def test_the_policy_is_that_of_the_plan(tmp_path: Path) -> None:
    text = files(tmp_path)["main.tf"]
    assert (
        'resources = ["arn:${local.partition}:s3:::devkit-iris-${local.account}-${var.region}"]'
        in text
    )
    for sid in ("Bucket", "Objects", "Image", "RegistryToken", "Logs", "Metrics"):
        assert f'"{sid}"' in text
    assert 'identifiers = ["sagemaker.amazonaws.com"]' in text


def test_what_is_not_to_be_made_is_not_in_them(tmp_path: Path) -> None:
    text = "registry = 'localhost:5000'\nrole = 'arn:aws:iam::123456789012:role/x'"
    found = files(tmp_path, text)
    assert "aws_iam_role" not in found["main.tf"]
    assert "aws_ecr_repository" not in found["main.tf"]
    assert "repository_url" not in found["outputs.tf"]
    assert '"arn:aws:iam::123456789012:role/x"' in found["outputs.tf"]


def test_the_same_settings_give_the_same_bytes(tmp_path: Path) -> None:
    assert files(tmp_path, ALL) == files(tmp_path, ALL)


def test_they_are_written_again_where_nobody_edited_them(tmp_path: Path) -> None:
    folder = tmp_path / "infra" / "terraform"
    terraform.write(files(tmp_path), folder)
    changed = files(tmp_path, ALL)
    terraform.write(changed, folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == changed


@pytest.mark.parametrize("content", [b"# mine\n", b"\xff", None])
def test_an_edited_one_is_kept_and_none_is_written(tmp_path: Path, content: bytes | None) -> None:
    folder = tmp_path / "terraform"
    before = files(tmp_path)
    terraform.write(before, folder)
    edited = folder / "outputs.tf"
    edited.write_bytes(edited.read_bytes() + b"# mine\n" if content is None else content)
    kept = edited.read_bytes()
    with pytest.raises(ConfigError, match=r"outputs\.tf: edited since"):
        terraform.write(files(tmp_path, ALL), folder)
    assert edited.read_bytes() == kept
    assert (folder / "main.tf").read_text() == before["main.tf"]


def test_neighbours_are_aligned_and_long_lists_have_a_line_an_entry() -> None:
    block = Block(
        "resource",
        ("a", "b"),
        {
            "short": True,
            "much_longer": 1,
            "several": ["x" * 50, "y" * 50],
            "next": Ref("var.x"),
            "map": {"a": 'say "x"', "b c": "${var.y}"},
        },
        (Block("inner"),),
    )
    text = document([block])
    assert text == (
        'resource "a" "b" {\n'
        "  short       = true\n"
        "  much_longer = 1\n"
        "  several = [\n"
        f'    "{"x" * 50}",\n'
        f'    "{"y" * 50}",\n'
        "  ]\n"
        "  next = var.x\n"
        "  map = {\n"
        '    a     = "say \\"x\\""\n'
        '    "b c" = "${var.y}"\n'
        "  }\n"
        "\n"
        "  inner {}\n"
        "}\n"
    )
    assert_formatted(text)


EXAMPLE = Path(__file__).parents[2] / "examples" / "terraform"


@pytest.mark.parametrize("path", sorted(EXAMPLE.glob("*.tf")), ids=lambda path: path.name)
def test_the_example_is_terraform(path: Path) -> None:
    text = path.read_text()
    assert hcl2.loads(text)
    assert_formatted(text)


def test_the_examples_role_may_do_what_devkits_own_may(tmp_path: Path) -> None:
    def statements(text: str) -> list[str]:
        begun = text.index('data "aws_iam_policy_document" "execution"')
        body = text[begun : text.index('resource "aws_iam_role"')].splitlines()
        return [line for line in body if "resources" not in line and "arn:" not in line]

    example = statements((EXAMPLE / "execution_role.tf").read_text())
    assert example == statements(files(tmp_path)["main.tf"])


def assert_formatted(text: str) -> None:
    """As ``terraform fmt`` has it, where that is installed."""
    program = shutil.which("terraform")
    if program is not None:
        shown = subprocess.run(
            [program, "fmt", "-"], input=text, capture_output=True, text=True, check=False
        )
        assert shown.stdout == text, shown.stderr
