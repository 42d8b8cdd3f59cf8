"""The program's own view of files: a container's ``/opt/ml`` over the host's file system.

Runs in the program's process, inside a mount namespace of its own, before the program does.
Everything that is going to be shown somewhere is opened first, because ``/opt`` and ``/tmp`` cover
what the host has there.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from . import linux
from .namespaces import Refused
from .plan import HOSTS, OPT_ML, SCRATCH, Bind, Plan

_OPT = Path("/opt")
_VAR = Path("/var")
_TMP = Path("/tmp")  # noqa: S108 - the container's, which is private
_SHM = Path("/dev/shm")  # noqa: S108 - likewise


class NotShown(Exception):
    """A file or folder of the container could not be put where it belongs."""

    def __init__(self, bind: Bind, cause: OSError) -> None:
        super().__init__(f"cannot show {bind.source} at {bind.target}: {cause.strerror}")
        self.errno = cause.errno


class _Shown(NamedTuple):
    """Something of the host, held open, and where the program will see it."""

    bind: Bind
    handle: int


def present(plan: Plan) -> None:
    """Give the calling process its own mounts, as ``plan`` has them.

    Raises:
        Refused: This machine does not allow it at all.
        NotShown: One of the plan's binds cannot be made.
    """
    try:
        linux.unshare(linux.CLONE_NEWNS)
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
        base = _hold(_base(plan))
    except OSError as cause:
        raise Refused("a mount namespace", cause) from cause
    shown: list[_Shown] = []
    for bind in sorted(plan.binds, key=lambda bind: _depth(bind.target)):
        # Outer targets first, so that one folder can be shown inside another.
        with _or_not_shown(bind):
            shown += _hold([bind])
    try:
        _cover_opt()
        if any(PurePosixPath(bind.target).is_relative_to(_VAR) for bind in plan.binds):
            _rebuild(_VAR)
        for each in base:
            _show(each)
        _mount_shm(plan.shm_bytes)
        _mask(plan.masks)
    except OSError as cause:
        raise Refused("mounting over /opt, /tmp and /var", cause) from cause
    for each in shown:
        with _or_not_shown(each.bind):
            _show(each)
    with suppress(OSError):  # refused where the /proc around us is itself confined
        flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
        linux.mount("proc", "/proc", "proc", flags)


def _base(plan: Plan) -> list[Bind]:
    """What every container has, whatever is in it."""
    run_folder = Path(plan.run_folder)
    binds = [
        Bind(str(run_folder / OPT_ML), "/opt/ml", read_only=False),
        Bind(str(run_folder / SCRATCH), str(_TMP), read_only=False),
    ]
    covered = [path for path in plan.keep if PurePosixPath(path).is_relative_to(_TMP)]
    binds += [Bind(path, path, read_only=False) for path in sorted(covered, key=_depth)]
    if Path("/etc/hosts").exists():
        binds.append(Bind(str(run_folder / HOSTS), "/etc/hosts", read_only=False))
    return binds


def _hold(binds: Iterable[Bind]) -> list[_Shown]:
    return [_Shown(bind, os.open(bind.source, os.O_PATH | os.O_CLOEXEC)) for bind in binds]


@contextmanager
def _or_not_shown(bind: Bind) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        raise NotShown(bind, cause) from cause


def _depth(path: str) -> int:
    return len(PurePosixPath(path).parts)


def _show(shown: _Shown) -> None:
    bind = shown.bind
    _make_mountpoint(shown)
    source = f"/proc/self/fd/{shown.handle}"
    linux.mount(source, bind.target, None, linux.MS_BIND | linux.MS_REC)
    os.close(shown.handle)
    if bind.read_only:
        for mountpoint in (bind.target, *_mounts_below(Path(bind.target))):
            _make_read_only(mountpoint)


def _make_mountpoint(shown: _Shown) -> None:
    target = Path(shown.bind.target)
    if target.exists():
        return
    if stat.S_ISDIR(os.fstat(shown.handle).st_mode):
        target.mkdir(parents=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()


def _make_read_only(mountpoint: str) -> None:
    """Remount read-only. A user namespace may not drop the flags that the mount already has."""
    kept = os.statvfs(mountpoint).f_flag & (os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC)
    flags = linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | kept
    linux.mount(None, mountpoint, None, flags)


def _mounts_below(folder: Path) -> list[str]:
    """Mount points strictly below a folder, outer ones first; mount points that it hides too."""
    table = Path("/proc/self/mountinfo").read_bytes()
    paths = {_unescaped(line.split()[4]) for line in table.splitlines()}
    below = [path for path in paths if folder in Path(path).parents]
    return sorted(below, key=_depth)


def _unescaped(field: bytes) -> str:
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), field))


def _cover_opt() -> None:
    """Make ``/opt`` writable for this program alone, with what the host has there still in it."""
    try:
        _overlay_opt()
    except OSError:  # no overlay in user namespaces before Linux 5.11
        _rebuild(_OPT, without="ml")


def _overlay_opt() -> None:
    mounts = [path for path in _mounts_below(_OPT) if not path.startswith("/opt/ml")]
    kept = _hold([Bind(path, path, read_only=False) for path in mounts])
    # The layer's own storage is mounted on /tmp for a moment: a path that needs no quoting.
    linux.mount("tmpfs", str(_TMP), "tmpfs", 0)
    layers = 0
    try:
        for name in ("upper", "work"):
            (_TMP / name).mkdir()
        options = f"lowerdir={_OPT},upperdir={_TMP}/upper,workdir={_TMP}/work"
        _mount_overlay(options)
        layers = 1
        for each in kept:  # an overlay shows no file systems mounted below it
            _show(each)
        (_OPT / "ml").mkdir(exist_ok=True)
    except OSError:
        if layers:
            linux.unmount(str(_OPT))
        raise
    finally:
        linux.unmount(str(_TMP))


def _mount_overlay(options: str) -> None:
    try:
        linux.mount("overlay", str(_OPT), "overlay", 0, f"{options},userxattr")
    except OSError:  # real root keeps its marks in trusted attributes
        linux.mount("overlay", str(_OPT), "overlay", 0, options)


def _rebuild(folder: Path, *, without: str | None = None) -> None:
    """An empty folder that can be written, with every entry of the host's shown in it again."""
    entries = [path for path in folder.iterdir() if path.name != without]
    links = {path: path.readlink() for path in entries if path.is_symlink()}
    kept = [path for path in entries if path not in links]
    shown = _hold([Bind(str(path), str(path), read_only=False) for path in kept])
    linux.mount("tmpfs", str(folder), "tmpfs", 0, "mode=755")
    for path, destination in links.items():
        path.symlink_to(destination)
    for each in shown:
        _show(each)


def _mount_shm(size: int | None) -> None:
    """A ``/dev/shm`` of its own: two servers may use the same names in it."""
    if _SHM.is_dir():
        options = "mode=1777" if size is None else f"mode=1777,size={size}"
        linux.mount("tmpfs", str(_SHM), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)


def _mask(folders: Iterable[str]) -> None:
    for folder in folders:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):  # nothing to hide
            if stat.S_ISDIR(Path(folder).stat().st_mode):
                _hide(folder)


def _hide(folder: str) -> None:
    try:
        linux.mount("tmpfs", folder, "tmpfs", linux.MS_RDONLY, "size=4k,mode=755")
    except PermissionError as cause:
        raise Refused(f"hiding {folder}", cause) from cause
