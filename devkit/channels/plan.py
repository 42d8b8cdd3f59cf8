"""What a channel is: the values of one entry of ``InputDataConfig``, checked (§1.4, §1.6)."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from devkit import contract
from devkit.channels.locations import Location, S3Uri
from devkit.contract import JsonValue
from devkit.errors import ConfigError

MAX_ATTRIBUTE_NAMES = 16
MAX_ATTRIBUTE_NAME_CHARS = 256


class InputMode(str, enum.Enum):
    """How the data comes into the container: ``InputMode``."""

    FILE = "File"
    FAST_FILE = "FastFile"
    PIPE = "Pipe"


class DataType(str, enum.Enum):
    """What the location names: ``S3DataType``."""

    PREFIX = "S3Prefix"
    MANIFEST = "ManifestFile"
    AUGMENTED_MANIFEST = "AugmentedManifestFile"


class Distribution(str, enum.Enum):
    """Which host gets what: ``S3DataDistributionType``."""

    FULLY_REPLICATED = "FullyReplicated"
    SHARDED = "ShardedByS3Key"


class Compression(str, enum.Enum):
    """What is undone on the way into a pipe: ``CompressionType``."""

    NONE = "None"
    GZIP = "Gzip"


class RecordWrapper(str, enum.Enum):
    """What each object is wrapped in on the way into a pipe: ``RecordWrapperType``."""

    NONE = "None"
    RECORD_IO = "RecordIO"


@dataclass(frozen=True, kw_only=True)
class Host:
    """Which of a job's hosts, counted from 0.

    Raises:
        ConfigError: There is no such host.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        """Check that it is one of them."""
        if not 0 <= self.index < self.count:
            raise ConfigError(f"host {self.index} of {self.count}: count from 0")


@dataclass(frozen=True, kw_only=True)
class ChannelPlan:
    """One channel, complete.

    Raises:
        ConfigError: SageMaker would refuse it, or a local location is not there.
    """

    name: str
    location: Location
    """An S3 URI, or a local folder or file in its place."""
    input_mode: InputMode = InputMode.FILE
    data_type: DataType = DataType.PREFIX
    distribution: Distribution = Distribution.FULLY_REPLICATED
    compression: Compression = Compression.NONE
    record_wrapper: RecordWrapper = RecordWrapper.NONE
    content_type: str | None = None
    attribute_names: tuple[str, ...] = ()
    """What of each line of an augmented manifest is streamed, in this order."""
    instance_group_names: tuple[str, ...] = ()
    """The groups of a heterogeneous cluster that get it; none named is all of them (§1.6)."""
    shuffle_seed: int | None = None
    """``ShuffleConfig.Seed``; ``None`` keeps S3's or the manifest's order.

    The API takes it in every mode, so it is taken here; where files are delivered it decides only
    which host gets which.
    """

    def __post_init__(self) -> None:
        """Check everything, and name every problem."""
        _refuse(
            f"channel {self.name!r} would be refused",
            [
                *contract.channel_problems([self.name]),
                *_location_problems(self.location, self.data_type),
                *_mode_problems(self),
                *_attribute_problems(self.data_type, self.attribute_names),
                *_content_type_problems(self.content_type),
            ],
        )


def inputdataconfig_entry(plan: ChannelPlan) -> dict[str, JsonValue]:
    """What ``inputdataconfig.json`` says of a channel (§1.4).

    FastFile is written ``File``: a program cannot tell, and need not. ``ContentType`` is left out
    of a channel that has none.
    """
    pipe = plan.input_mode is InputMode.PIPE
    entry: dict[str, JsonValue] = {}
    if plan.content_type is not None:
        entry["ContentType"] = plan.content_type
    return entry | {
        "TrainingInputMode": InputMode.PIPE.value if pipe else InputMode.FILE.value,
        "S3DistributionType": plan.distribution.value,
        "RecordWrapperType": plan.record_wrapper.value,
    }


def _refuse(summary: str, problems: Iterable[str]) -> None:
    problems = list(problems)
    if problems:
        raise ConfigError("\n".join([f"{summary}:", *(f"  - {problem}" for problem in problems)]))


def _location_problems(location: Location, data_type: DataType) -> Iterator[str]:
    if isinstance(location, S3Uri):
        if not location.bucket:
            yield "an S3 URI without a bucket"
        return
    if not location.exists():
        yield f"there is no file or folder {location}"
    elif data_type is not DataType.PREFIX and not location.is_file():
        yield f"S3DataType {data_type.value}, but {location} is not a file"


def _mode_problems(plan: ChannelPlan) -> Iterator[str]:
    mode = plan.input_mode
    if plan.data_type is DataType.AUGMENTED_MANIFEST and mode is not InputMode.PIPE:
        yield f"S3DataType AugmentedManifestFile is for InputMode Pipe only, not {mode.value}"
    if plan.data_type is DataType.MANIFEST and mode is InputMode.FAST_FILE:
        yield "InputMode FastFile takes S3DataType S3Prefix only, not ManifestFile"
    if mode is InputMode.PIPE:
        return
    if plan.compression is not Compression.NONE:
        yield (
            f"CompressionType {plan.compression.value} counts in InputMode Pipe only: "
            f"{mode.value} delivers the objects as they are; leave it unset"
        )
    if plan.record_wrapper is not RecordWrapper.NONE:
        yield (
            f"RecordWrapperType {plan.record_wrapper.value} counts in InputMode Pipe only: "
            f"{mode.value} delivers the objects as they are; leave it unset"
        )


def _attribute_problems(data_type: DataType, names: tuple[str, ...]) -> Iterator[str]:
    if data_type is not DataType.AUGMENTED_MANIFEST:
        if names:
            yield "AttributeNames belong to S3DataType AugmentedManifestFile"
        return
    if not 1 <= len(names) <= MAX_ATTRIBUTE_NAMES:
        yield f"{len(names)} AttributeNames: 1 to {MAX_ATTRIBUTE_NAMES}"
    for name in names:
        if not 1 <= len(name) <= MAX_ATTRIBUTE_NAME_CHARS:
            yield (f"AttributeName {name[:32]!r}: 1 to {MAX_ATTRIBUTE_NAME_CHARS} characters")


def _content_type_problems(content_type: str | None) -> Iterator[str]:
    limit = contract.MAX_CONTENT_TYPE_CHARS
    if content_type is not None and len(content_type) > limit:
        yield f"ContentType of {len(content_type)} characters: at most {limit}"
