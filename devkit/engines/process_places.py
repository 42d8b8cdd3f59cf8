"""Where ``/opt/ml`` is on the host, for programs that get no ``/opt/ml`` of their own.

Such a program is told its places in the variables of SageMaker's training toolkit (§1.7); a folder
or file mounted inside another folder stands there as a symbolic link for as long as it runs.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from devkit.engines.base import ContainerSpec, Folder, Mount
from devkit.engines.sandbox.plan import Link

_OPT_ML = PurePosixPath("/opt/ml")
_DATA = _OPT_ML / "input/data"
_VARIABLES = {
    "SM_MODEL_DIR": _OPT_ML / "model",
    "SM_INPUT_DIR": _OPT_ML / "input",
    "SM_INPUT_CONFIG_DIR": _OPT_ML / "input/config",
    "SM_OUTPUT_DIR": _OPT_ML / "output",
    "SM_OUTPUT_DATA_DIR": _OPT_ML / "output/data",
}


class Places:
    """The folders and mounts of a container, as host paths.

    Args:
        spec: The container.
        rest: Host folder for what of ``/opt/ml`` is in none of its folders and mounts.
    """

    def __init__(self, spec: ContainerSpec, rest: Path) -> None:
        entries: list[Folder | Mount] = sorted([*spec.folders, *spec.mounts], key=_depth)
        self._entries = {PurePosixPath(entry.target): entry for entry in entries}
        self._rest = rest

    def host(self, target: PurePosixPath) -> Path:
        """The host path of a path in the container."""
        entry = self._entries.get(target)
        return self._inside(target) if entry is None else entry.source

    def links(self) -> list[Link]:
        """What makes everything stand at its place, outer places first."""
        return [
            Link(str(path), str(entry.source), _displaced(path))
            for target, entry in self._entries.items()
            if _OPT_ML in target.parents and self._may_change(target.parent)
            for path in (self._inside(target),)
            if _has_room(path)
        ]

    def variables(self) -> dict[str, str]:
        """The toolkit's variables for the places this container has."""
        places = {name: place for name, place in _VARIABLES.items() if self._has(place)}
        for target in self._entries:
            if _DATA in target.parents:
                channel = target.relative_to(_DATA).parts[0]
                places[f"SM_CHANNEL_{channel.upper()}"] = _DATA / channel
        return {name: str(self.host(place)) for name, place in places.items()}

    def _inside(self, target: PurePosixPath) -> Path:
        """The host path of ``target`` within whatever surrounds it."""
        for parent in target.parents:
            if parent in self._entries:
                return self._entries[parent].source / target.relative_to(parent)
        if _OPT_ML in target.parents:
            return self._rest / target.relative_to(_OPT_ML)
        return Path(target)

    def _may_change(self, place: PurePosixPath) -> bool:
        """Whether a link may be put there: a mount is the user's own, and read-only."""
        around = (self._entries.get(parent) for parent in (place, *place.parents))
        nearest = next((entry for entry in around if entry is not None), None)
        return not isinstance(nearest, Mount)

    def _has(self, place: PurePosixPath) -> bool:
        return any(
            place == target or place in target.parents or target in place.parents
            for target in self._entries
        )


def _depth(entry: Folder | Mount) -> int:
    return len(PurePosixPath(entry.target).parts)


def _displaced(path: Path) -> str:
    if path.is_dir():
        return "folder"
    return "file" if path.exists() else "nothing"


def _has_room(path: Path) -> bool:
    if path.is_symlink():
        return False
    if path.is_dir():
        return not any(path.iterdir())
    return not path.exists() or path.stat().st_size == 0
