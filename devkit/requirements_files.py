"""Requirements files, and how pip is run on one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from devkit.errors import BuildError
from devkit.source_files import source_files

_INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)(?:\s+|=)?([^\s#]+)", re.MULTILINE)
_KEY_CHARACTERS = 24
# Settings of the developer's own Python that would have pip install elsewhere, or nothing at all.
_MISLEADING = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")

INSTALL = ("install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off")


def pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment that pip runs with: the developer's, but for what would mislead it."""
    kept = {name: value for name, value in environment.items() if name not in _MISLEADING}
    return {**kept, "PYTHONUNBUFFERED": "1", "PIP_USER": "0"}


def key(requirements: Path | None, *facts: str) -> str:
    """What an installation depends on, as the name of a folder.

    Args:
        requirements: The file; with it count the local files that it includes.
        facts: What else it depends on.

    Raises:
        BuildError: A file cannot be read.
    """
    digest = hashlib.sha256(repr(facts).encode())
    for content in () if requirements is None else _contents(requirements, set()):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:_KEY_CHARACTERS]


def editable_lines(requirements: Path) -> list[str]:
    """The lines that ask for a link to a package instead of the package."""
    return [line for line in _lines(requirements) if line.startswith(("-e", "--editable"))]


def local_facts(requirements: Path) -> list[str]:
    """What tells whether packages that are named by their path have changed.

    Relative paths count from the file's folder.
    """
    facts = []
    for line in _lines(requirements):
        name = line.partition(";")[0].partition("#")[0].rpartition("file://")[2].strip()
        path = requirements.parent / name.partition("[")[0]
        if name and path.exists():
            facts += [_fact(file) for file in source_files(path) if not _is_built(file, path)]
            facts.append(_fact(path) if path.is_file() else str(path))
    return facts


def _is_built(file: Path, package: Path) -> bool:
    """Whether a build puts the file into the package's folder; pip's own would change it."""
    top = file.relative_to(package).parts[0]
    return top in ("build", "dist") or any("egg-info" in part for part in file.parts)


def _fact(path: Path) -> str:
    status = path.lstat()
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def _lines(requirements: Path) -> Iterator[str]:
    for content in _contents(requirements, set()):
        yield from map(str.strip, content.decode("utf-8", "replace").splitlines())


def _contents(requirements: Path, seen: set[Path]) -> Iterator[bytes]:
    """A requirements file and the local files it includes, each once."""
    if requirements in seen:
        return
    seen.add(requirements)
    try:
        content = requirements.read_bytes()
    except OSError as error:
        raise BuildError(
            f"cannot read the requirements file {requirements}: {error.strerror}",
            remedy="make it, or set requirements in devkit.toml to the file that is meant",
        ) from error
    yield content
    for included in _INCLUDE.findall(content.decode("utf-8", "replace")):
        if "://" not in included:
            yield from _contents((requirements.parent / included).resolve(), seen)
