"""Readers of settings: from a value as given to what the settings hold.

A reader raises ValueError saying what is allowed.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from devkit import contract
from devkit.channels.locations import Location, parse_s3_uri
from devkit.channels.plan import Compression, DataType, Distribution, InputMode, RecordWrapper
from devkit.engines.base import Gpus
from devkit.errors import ConfigError

MAX_PROJECT_NAME_CHARS = 32  # leaves room for a job's time and number


@dataclass(frozen=True)
class Origin:
    """Where a value comes from, and the folder its relative paths count from."""

    name: str
    base: Path


@dataclass(frozen=True)
class Raw:
    """A value as given; ``text`` where it is a variable's, which has no other type."""

    value: object
    origin: Origin
    text: bool = False


@dataclass(frozen=True)
class ChannelSetting:
    """An entry of ``[train.channels]``."""

    name: str
    location: Location
    options: Mapping[str, Any]
    """Fields of :class:`~devkit.channels.plan.ChannelPlan`, by name."""


@dataclass(frozen=True)
class MetricSetting:
    """An entry of ``train.metrics``."""

    name: str
    regex: str


@dataclass(frozen=True)
class InstanceGroupSetting:
    """An entry of ``train.instance_groups``."""

    name: str
    instance_type: str
    count: int


Reader = Callable[[Raw], Any]


def text(raw: Raw) -> str:
    """Text, not empty."""
    if not isinstance(raw.value, str) or not raw.value:
        raise ValueError("text")
    return raw.value


def url(raw: Raw) -> str:
    """The address of a server, without a path."""
    value = text(raw)
    if not re.fullmatch(r"https?://[^/\s]+/?", value):
        raise ValueError("an address such as http://127.0.0.1:4566")
    return value


def project_name(raw: Raw) -> str:
    """The beginning of job names."""
    value = text(raw)
    if not contract.JOB_NAME.fullmatch(value) or len(value) > MAX_PROJECT_NAME_CHARS:
        raise ValueError(
            f"1 to {MAX_PROJECT_NAME_CHARS} letters, digits and dashes (job names begin with it)"
        )
    return value


def path(raw: Raw) -> Path:
    """A path of this machine, made absolute."""
    value = raw.value if isinstance(raw.value, Path) else Path(text(raw))
    return (raw.origin.base / value.expanduser()).absolute()


def container_path(raw: Raw) -> str:
    """An absolute path in the image."""
    value = text(raw)
    if not PurePosixPath(value).is_absolute():
        raise ValueError("an absolute path in the image, such as /opt/program")
    return value.rstrip("/")


def one_of(*allowed: str) -> Reader:
    """One of these words."""

    def read(raw: Raw) -> str:
        if raw.value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return str(raw.value)

    return read


def _number(raw: Raw) -> object:
    """The value of a variable as a whole number, where it looks like one."""
    if raw.text and re.fullmatch(r"[0-9]{1,18}", str(raw.value)):
        return int(str(raw.value))
    return raw.value


def whole_number(low: int, high: int, unit: str = "") -> Reader:
    """A whole number within bounds."""

    def read(raw: Raw) -> int:
        value = _number(raw)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}{unit}")
        return value

    return read


def boolean(raw: Raw) -> bool:
    """Yes or no."""
    words = {"true": True, "false": False}
    value = words.get(str(raw.value).lower()) if raw.text else raw.value
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - what a reader raises
    return value


def cpus(raw: Raw) -> float:
    """A number of CPUs."""
    try:
        value = float(raw.value) if raw.text else raw.value  # type: ignore[arg-type]  # text is str
    except ValueError:
        value = None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError("a number of CPUs above 0, such as 1.5")
    return float(value)


def gpus(raw: Raw) -> Gpus | None:
    """A number of GPUs, or all; 0 asks for none."""
    value = _number(raw)
    if value == "all":
        return "all"
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError('a whole number of GPUs, or "all"')
    return value or None


def byte_count(raw: Raw) -> int:
    """A number of bytes, or one with a unit."""
    value = raw.value
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9]{1,9})\s*([KMGT]i?B?)?", value)):
        return int(match[1]) << 10 * " KMGT".index((match[2] or " ")[0])
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError('a number of bytes, or text such as "512M" or "4G"')


def platform_name(raw: Raw) -> str:
    """A platform as Docker names it."""
    value = text(raw)
    if not re.fullmatch(r"linux/[a-z0-9]+(/v[0-9]+)?", value):
        raise ValueError("linux/amd64 or linux/arm64")
    return value


def scalar_text(raw: Raw) -> str:
    """Text, or what has a text of its own."""
    if not isinstance(raw.value, (str, int, float)):
        raise ValueError("text, a number or a boolean")  # noqa: TRY004 - what a reader raises
    return contract.hyperparameter_string(raw.value)


def words(raw: Raw) -> tuple[str, ...]:
    """A list of text."""
    words = raw.value
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
        raise ValueError('a list of text, such as ["python3", "train.py"]')
    return tuple(words)


def hyperparameter(raw: Raw) -> str:
    """A hyperparameter, as the text SageMaker makes of it."""
    if not isinstance(raw.value, (str, int, float, list, dict)):
        raise ValueError("text, a number, a boolean, a list or a table")  # noqa: TRY004 - as above
    return contract.hyperparameter_string(raw.value)


def channel(name: str, raw: Raw) -> ChannelSetting:
    """A channel of ``[train.channels]``."""
    table = dict(raw.value) if isinstance(raw.value, Mapping) else {"source": raw.value}
    unknown = set(table) - {"source"} - set(_CHANNEL_OPTIONS)
    if unknown:
        raise ValueError(
            f"a source, or a table of source, {', '.join(_CHANNEL_OPTIONS)}; "
            f"not {', '.join(sorted(unknown))}"
        )
    source = table.pop("source", None)
    try:
        options = {
            key: _CHANNEL_OPTIONS[key](Raw(value, raw.origin)) for key, value in table.items()
        }
    except ValueError as error:
        raise ValueError(f"a channel whose options are right: {error}") from None
    return ChannelSetting(name, location(Raw(source, raw.origin)), options)


def location(raw: Raw) -> Location:
    """A place for data: a path of this machine, or an S3 URI."""
    if isinstance(raw.value, str) and "://" in raw.value:
        try:
            return parse_s3_uri(raw.value)
        except ConfigError as error:
            raise ValueError(error.message) from None
    try:
        return path(raw)
    except ValueError:
        raise ValueError("a folder, a file, or s3://bucket/prefix") from None


def member(kind: type[enum.Enum]) -> Reader:
    """A value of an enumeration of the API."""
    names = [str(each.value) for each in kind]

    def read(raw: Raw) -> enum.Enum:
        if raw.value not in names:
            raise ValueError(f"{raw.value!r} is not one of {', '.join(names)}")
        return kind(raw.value)

    return read


def metrics(raw: Raw) -> tuple[MetricSetting, ...]:
    """The metric definitions."""
    allowed = r"a list of { name = '…', regex = '…(\S+)…' }"
    if not isinstance(raw.value, (list, tuple)):
        raise ValueError(allowed)  # noqa: TRY004 - as above
    metrics = []
    for entry in raw.value:
        if not isinstance(entry, Mapping) or set(entry) != {"name", "regex"}:
            raise ValueError(allowed)
        metrics.append(MetricSetting(str(entry["name"]), str(entry["regex"])))
    problems = contract.metric_problems((m.name, m.regex) for m in metrics)
    if problems:
        raise ValueError(f"{allowed}; {'; '.join(problems)}")
    return tuple(metrics)


def instance_groups(raw: Raw) -> tuple[InstanceGroupSetting, ...]:
    """The groups of a heterogeneous cluster."""
    allowed = "a list of { name = '…', instance_type = '…', count = 1 }"
    if not isinstance(raw.value, (list, tuple)):
        raise ValueError(allowed)  # noqa: TRY004 - as above
    groups = []
    for entry in raw.value:
        if not isinstance(entry, Mapping) or set(entry) != {"name", "instance_type", "count"}:
            raise ValueError(allowed)
        count = whole_number(1, contract.MAX_INSTANCES)(Raw(entry["count"], raw.origin))
        name, kind = (text(Raw(entry[key], raw.origin)) for key in ("name", "instance_type"))
        groups.append(InstanceGroupSetting(name, kind, count))
    return tuple(groups)


_CHANNEL_OPTIONS: dict[str, Reader] = {
    "content_type": text,
    "input_mode": member(InputMode),
    "data_type": member(DataType),
    "distribution": member(Distribution),
    "compression": member(Compression),
    "record_wrapper": member(RecordWrapper),
    "attribute_names": words,
    "instance_group_names": words,
    "shuffle_seed": whole_number(0, 2**63 - 1),
}
