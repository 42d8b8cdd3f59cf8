"""Which items a channel has, and which of them a host gets, in which order (§1.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from devkit.channels import manifests, recordio
from devkit.channels.items import Item, Stored
from devkit.channels.locations import source_at
from devkit.channels.plan import (
    ChannelPlan,
    Compression,
    DataType,
    Distribution,
    Host,
    RecordWrapper,
)
from devkit.channels.s3_reading import S3Client
from devkit.errors import ConfigError


def select(plan: ChannelPlan, s3: S3Client | None = None) -> tuple[Item, ...]:
    """All items of a channel, in the order of S3 or of the manifest.

    Everything that can be known before a job starts is checked here. Memory grows with the number
    of objects, not with their size.

    Raises:
        ConfigError: There are none, a manifest is wrong, or an object cannot be delivered.
    """
    try:
        items = _found(plan, s3)
    except OSError as error:
        raise ConfigError(f"channel {plan.name!r} cannot be read: {error}") from error
    if not items:
        raise ConfigError(  # the service's own words (§5)
            f'channel {plan.name!r}: No S3 objects found under S3 URL "{plan.location}" given in '
            "input data source"
        )
    if plan.record_wrapper is RecordWrapper.RECORD_IO and plan.compression is Compression.NONE:
        _refuse_too_big_for_a_record(items)
    return items


def arrange(plan: ChannelPlan, items: Sequence[Item], host: Host, epoch: int = 0) -> Iterator[Item]:
    """A host's items in the order of one epoch."""
    for index in indices(len(items), plan.distribution, plan.shuffle_seed, host, epoch):
        yield items[index]


def indices(
    count: int, distribution: Distribution, seed: int | None, host: Host, epoch: int
) -> Sequence[int]:
    """Which of ``count`` items a host gets in an epoch, and in which order.

    A pure function, so that all hosts agree without talking. Together the hosts of a sharded
    channel get every item once, and their numbers of items differ by one at most; with more hosts
    than items, some get none. The order is drawn before the items are dealt out: with a seed, a
    shard moves from host to host between epochs. AWS does not say which host gets what.
    """
    order: Sequence[int] = range(count) if seed is None else _shuffled(count, seed, epoch)
    return order[host.index :: host.count] if distribution is Distribution.SHARDED else order


def _shuffled(count: int, seed: int, epoch: int) -> Sequence[int]:
    def place(index: int) -> bytes:
        return hashlib.blake2b(f"{seed}/{epoch}/{index}".encode(), digest_size=16).digest()

    return sorted(range(count), key=place)


def _found(plan: ChannelPlan, s3: S3Client | None) -> tuple[Item, ...]:
    if plan.data_type is DataType.MANIFEST:
        return manifests.read_manifest(plan.location, s3)
    if plan.data_type is DataType.AUGMENTED_MANIFEST:
        return manifests.read_augmented_manifest(plan.location, plan.attribute_names, s3)
    source = source_at(plan.location, s3)
    return tuple(
        (Stored(source, each.key, source.path(each.key), each.size),) for each in source.objects()
    )


def _refuse_too_big_for_a_record(items: Sequence[Item]) -> None:
    for item in items:
        for part in item:
            if isinstance(part, Stored) and part.size is not None:
                recordio.check_size(part.key, part.size)
