"""What the design relies on: one-way dependencies, one reader of the environment, few imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import devkit

ROOT = Path(devkit.__file__).parent


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        name = str(path.relative_to(ROOT))
        yield name, ast.parse(path.read_text())


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def users_of(package: str) -> set[str]:
    return {
        name
        for name, tree in modules()
        if any(each == package or each.startswith(f"{package}.") for each in imports(tree))
    }


def test_the_docker_sdk_is_imported_in_one_place() -> None:
    assert users_of("docker") == {
        "engines/docker.py",
        "engines/docker_connection.py",
        "engines/docker_container.py",
        "engines/docker_network.py",
        "engines/docker_push.py",
    }


def test_boto3_clients_are_made_for_aws_and_for_s3_and_nowhere_else() -> None:
    assert users_of("boto3") == {
        "fake_s3/__init__.py",  # for tests of one's own
        "s3.py",
        "targets/aws.py",
    }


def test_dependencies_point_one_way() -> None:
    def below(prefix: str, forbidden: tuple[str, ...]) -> list[str]:
        return [
            f"{name} imports {each}"
            for name, tree in modules()
            if name.startswith(prefix)
            for each in imports(tree)
            if each.startswith(forbidden)
        ]

    outer = ("devkit.cli", "devkit.targets", "devkit.project", "devkit.__main__")
    assert below("engines/", (*outer, "devkit.local_run", "devkit.store")) == []
    assert below("local_run.py", outer) == []
    assert below("targets/", ("devkit.cli", "devkit.project")) == []
    for pure in ("contract.py", "job.py", "errors.py"):
        assert below(pure, (*outer, "devkit.store", "devkit.local_run", "devkit.config")) == []


def test_the_environment_has_one_reader() -> None:
    readers = {
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv", "environb")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }
    in_other_programs = {
        "engines/sandbox/execution.py",
        "local_aws/hook/sitecustomize.py",
        "local_aws/lambda_/runtime/bootstrap.py",
    } | {name for name, _ in modules() if name.startswith("targets/sdk/driver/")}
    assert readers - in_other_programs == {"config.py"}


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from devkit.cli import parser\n"
        "parser.make_parser()\n"
        "print(*sorted({'docker', 'requests', 'boto3', 'moto', 'sagemaker', 'virtualenv'} "
        "& set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == ""


def test_moto_is_imported_when_it_is_needed_and_not_before() -> None:
    script = (
        "import sys\n"
        "import devkit.local_aws.server, devkit.local_aws.session\n"
        "print(*sorted({'moto', 'flask', 'boto3', 'docker'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == ""
    outside_s3 = {name for name in users_of("moto") if not name.startswith("fake_s3/")}
    assert outside_s3 == {
        "local_aws/gateway/definitions.py",
        "local_aws/gateway/snapshots.py",
        "local_aws/lambda_/definitions.py",
        "local_aws/lambda_/from_moto.py",
        "local_aws/moto_dispatch.py",
    }


def test_what_runs_in_other_programs_needs_nothing_of_devkit() -> None:
    elsewhere = {
        name: imports(tree) for name, tree in modules() if "/hook/" in name or "/driver/" in name
    }
    assert "local_aws/hook/sitecustomize.py" in elsewhere
    assert "targets/sdk/driver/serve.py" in elsewhere
    assert not [each for names in elsewhere.values() for each in names if "devkit" in each]


def test_the_public_names_are_these() -> None:
    assert sorted(devkit.__all__) == [
        "BuildError",
        "ConfigError",
        "DevkitError",
        "EngineError",
        "InvocationFailed",
        "NotFound",
        "Outcome",
        "PortInUse",
        "Project",
        "RunResult",
        "Server",
        "ServingFailed",
        "Status",
        "StoreError",
        "TrainingFailed",
        "TrainingResult",
        "__version__",
    ]
    for name in devkit.__all__:
        assert getattr(devkit, name) is not None


def test_every_kind_of_error_has_an_exit_code_of_its_own() -> None:
    from devkit import errors  # noqa: PLC0415

    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    codes = [each.exit_code for each in kinds if issubclass(each, errors.DevkitError)]
    assert len(codes) == len(set(codes)) == 11
