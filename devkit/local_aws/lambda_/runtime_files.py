"""What is in ``/var/runtime``: AWS's runtime client for Python and boto3, and nothing else.

All of it is installed beside devkit (the extra ``local-aws``). A function finds these modules by
links in a folder of their own, and so none of devkit's other dependencies: what it imports besides
has to be in its zip or a layer, as in AWS.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from devkit.errors import ConfigError

BOOTSTRAP = "bootstrap.py"
_SOURCE = Path(__file__).parent / "runtime"
_DISTRIBUTIONS = ("awslambdaric", "boto3")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_NOT_MODULES = ("..", "__pycache__", "bin")


def require_runtime_client() -> None:
    """Make sure that AWS's runtime client is installed.

    Raises:
        ConfigError: It is not.
    """
    try:
        metadata.distribution(_DISTRIBUTIONS[0])
    except metadata.PackageNotFoundError:
        raise ConfigError(
            "functions run under AWS's runtime client, awslambdaric, which is not installed",
            remedy="pip install 'devkit[local-aws]'; on macOS, pip builds it: see its README",
        ) from None


def lay_out(folder: Path) -> list[Path]:
    """Make the folder anew.

    Returns:
        The folders that its links lead to.

    Raises:
        ConfigError: The runtime client is not installed.
        OSError: It cannot be made.
    """
    require_runtime_client()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(_SOURCE / BOOTSTRAP, folder / BOOTSTRAP)
    places = set()
    for name, found in sorted(_modules()):
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(found)
            places.add(found.parent)
    return sorted(places)


def _modules() -> Iterator[tuple[str, Path]]:
    """The top-level entries of the distributions, by name."""
    for distribution in _closure():
        for file in distribution.files or ():
            name = file.parts[0]
            if name not in _NOT_MODULES:
                yield name, Path(str(distribution.locate_file(name))).resolve()


def _closure() -> list[metadata.Distribution]:
    """The distributions, with what they need and is installed."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(_DISTRIBUTIONS)
    while waiting:
        name = waiting.pop()
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if name not in found:
            found[name] = distribution
            waiting += [_required(each) for each in distribution.requires or () if ";" not in each]
    return list(found.values())


def _required(requirement: str) -> str:
    match = _NAME.match(requirement)
    return match[0] if match else requirement
