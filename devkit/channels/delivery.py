"""File and FastFile: a channel as files, mounted where they are or fetched first (§1.6).

A local folder that a host gets whole is mounted in place. Everything else (S3, a manifest, a
shard) is fetched into a folder of its own, as streams, and is there whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from devkit import contract
from devkit.channels import selection
from devkit.channels.fetching import fetch
from devkit.channels.items import Item, Stored
from devkit.channels.locations import S3Uri
from devkit.channels.plan import ChannelPlan, DataType, Distribution, Host, InputMode
from devkit.channels.s3_reading import S3Client
from devkit.channels.source import clash
from devkit.engines.base import Mount
from devkit.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A channel's files on this machine, and where they belong in the container."""

    source: Path
    """A folder; or, for a channel of one local file, that file. Absolute."""
    target: str
    """Absolute path in the container."""
    fetched: bool
    """Whether the files are a copy made for this host (else the user's own, in place)."""
    note: str | None = None
    """What a user should know is not as in SageMaker."""

    @property
    def mount(self) -> Mount:
        """The delivery as an engine takes it: in place, read-only."""
        return Mount(target=self.target, source=self.source)


def deliver(
    plan: ChannelPlan, folder: Path, *, s3: S3Client | None = None, host: Host | None = None
) -> Delivery:
    """Make a File or FastFile channel readable on this machine.

    Args:
        plan: The channel; not one for pipes.
        folder: Where to fetch to, if anything has to be fetched. It must not exist; it is made
            whole or not at all, also where this is interrupted.
        s3: What reads S3.
        host: Whose files; the only host's where it is left out.

    Raises:
        ConfigError: The data is not there or cannot be files.
        DevkitError: It could not be read or written.
    """
    if plan.input_mode is InputMode.PIPE:
        raise ValueError(f"channel {plan.name!r} is fed through pipes")
    target = f"{contract.OPT_ML}/{contract.DATA_FOLDER}/{plan.name}"
    if in_place(plan) and isinstance(plan.location, Path):
        if plan.location.is_file():
            target = f"{target}/{plan.location.name}"
        return Delivery(source=plan.location.resolve(), target=target, fetched=False)
    items = selection.select(plan, s3)
    if plan.input_mode is InputMode.FAST_FILE:
        _refuse_partial_folder(plan, _stored(items))
    own = list(_stored(selection.arrange(plan, items, host or Host())))
    fetch(f"channel {plan.name!r}", _without_clashes(plan, own), folder)
    return Delivery(
        source=folder.resolve(), target=target, fetched=True, note=_note(plan, len(own))
    )


def in_place(plan: ChannelPlan) -> bool:
    """Whether the channel needs no copy: a local folder or file that each host gets whole."""
    return (
        isinstance(plan.location, Path)
        and plan.data_type is DataType.PREFIX
        and plan.distribution is Distribution.FULLY_REPLICATED
    )


def _stored(items: Iterable[Item]) -> Iterator[Stored]:
    return (part for item in items for part in item if isinstance(part, Stored))


def _note(plan: ChannelPlan, count: int) -> str | None:
    if plan.input_mode is not InputMode.FAST_FILE:
        return None
    return (
        f"channel {plan.name!r}: FastFile is not streamed on this machine; its {count} objects "
        "were fetched before the start"
    )


def _refuse_partial_folder(plan: ChannelPlan, stored: Iterable[Stored]) -> None:
    """FastFile shows folders, so a prefix must be one, with its ``/``, or a file name's beginning.

    AWS refuses ``train`` and ``train-01`` where there is ``train-01/data.csv`` (§1.6).
    """
    uri = plan.location
    if not isinstance(uri, S3Uri) or not uri.prefix or uri.prefix.endswith("/"):
        return
    inside = next((part for part in stored if "/" in part.key[len(uri.prefix) :]), None)
    if inside is not None:
        raise ConfigError(
            f"channel {plan.name!r}: InputMode FastFile does not take {uri}, which is only part "
            f"of the name of a folder: it matches {inside.key!r}",
            remedy="end the S3Uri with /",
        )


def _without_clashes(plan: ChannelPlan, stored: Iterable[Stored]) -> list[Stored]:
    """Each file once, where they can all stand in one folder."""
    by_path: dict[str, Stored] = {}
    for part in stored:
        first = by_path.setdefault(part.path, part)
        if first.key != part.key:
            raise ConfigError(
                f"channel {plan.name!r}: {first.key!r} and {part.key!r} would both be the file "
                f"{part.path!r}"
            )
    found = clash(by_path)
    if found is not None:
        above, path = found
        raise ConfigError(
            f"channel {plan.name!r}: {above!r} would be a file and a folder, "
            f"because there is {path!r} as well",
            remedy="rename one of the objects, or use InputMode Pipe",
        )
    return list(by_path.values())
