"""devkit lambda package: make the zip that Lambda takes, with what the code imports.

The folder's files and the packages of its requirements, installed for Lambda's Python and
processor whatever this machine has. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from devkit import lambda_contract

if TYPE_CHECKING:
    from devkit.lambda_package import Package


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder with the code")
    parser.add_argument(
        "--output", metavar="FILE.zip", type=Path, help="default: FOLDER's name and .zip, here"
    )
    parser.add_argument(
        "--requirements",
        metavar="FILE",
        type=Path,
        help="what the code imports (default: requirements.txt in FOLDER, if there is one)",
    )
    parser.add_argument(
        "--runtime",
        choices=lambda_contract.RUNTIMES,
        default=lambda_contract.OWN_RUNTIME,
        metavar="python3.N",
        help="the function's runtime (default: %(default)s, which devkit runs on)",
    )
    parser.add_argument(
        "--architecture",
        choices=lambda_contract.ARCHITECTURES,
        default=lambda_contract.ARCHITECTURES[0],
        help="default: %(default)s",
    )


def run(arguments: argparse.Namespace) -> None:
    """Package."""
    from devkit.lambda_package import check, package
    from devkit.progress import step

    folder = arguments.folder
    target = arguments.output or Path(f"{folder.resolve().name}.zip")
    check(folder, target)
    dependencies = _dependencies(arguments)
    with step(arguments.terminal, "package") as under_way:
        made = package(folder, target, dependencies)
        under_way.detail = _summary(made)
    for note in made.notes:
        arguments.terminal.note(note)
    arguments.terminal.result(_document(made, arguments), str(made.path))


def _dependencies(arguments: argparse.Namespace) -> Path | None:
    """The folder with what the code imports; ``None`` where it says nothing of that."""
    from devkit import config
    from devkit.lambda_package import LambdaPlatform, install_requirements
    from devkit.progress import step

    requirements = arguments.requirements or arguments.folder / "requirements.txt"
    if arguments.requirements is None and not requirements.is_file():
        return None
    machine = config.machine(config.process_environment())
    platform = LambdaPlatform(arguments.runtime, arguments.architecture)
    with step(arguments.terminal, "install") as under_way:
        under_way.detail = f"{requirements} for {platform.runtime} on {platform.architecture}"
        on_line = arguments.terminal.build_line
        return install_requirements(requirements, machine, on_line, platform=platform)


def _summary(made: Package) -> str:
    files = "1 file" if made.files == 1 else f"{made.files} files"
    return f"{files}, {made.archive_bytes / (1 << 20):.3g} MB"


def _document(made: Package, arguments: argparse.Namespace) -> dict[str, object]:
    return {
        "archive": str(made.path),
        "runtime": arguments.runtime,
        "architecture": arguments.architecture,
        "files": made.files,
        "archive_bytes": made.archive_bytes,
        "code_bytes": made.code_bytes,
        "sha256": made.sha256,
        "notes": list(made.notes),
    }
