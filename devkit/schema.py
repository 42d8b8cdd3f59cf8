"""What ``devkit.toml`` may say: every key, how its value is read, and its default.

A reader takes a value as given and returns what the settings hold, or raises ValueError saying what
is allowed.
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
from devkit.errors import ConfigError


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


Reader = Callable[[Raw], Any]


# --- readers ---------------------------------------------------------------------------------


def _text(raw: Raw) -> str:
    if not isinstance(raw.value, str) or not raw.value:
        raise ValueError("text")
    return raw.value


def _url(raw: Raw) -> str:
    value = _text(raw)
    if not re.fullmatch(r"https?://[^/\s]+/?", value):
        raise ValueError("an address such as http://127.0.0.1:4566")
    return value


def _name(raw: Raw) -> str:
    value = _text(raw)
    if not contract.JOB_NAME.fullmatch(value) or len(value) > _MAX_PROJECT_NAME_CHARS:
        raise ValueError(
            f"1 to {_MAX_PROJECT_NAME_CHARS} letters, digits and dashes (job names begin with it)"
        )
    return value


def _path(raw: Raw) -> Path:
    value = raw.value if isinstance(raw.value, Path) else Path(_text(raw))
    return (raw.origin.base / value.expanduser()).absolute()


def _container_path(raw: Raw) -> str:
    value = _text(raw)
    if not PurePosixPath(value).is_absolute():
        raise ValueError("an absolute path in the image, such as /opt/program")
    return value.rstrip("/")


def _one_of(*allowed: str) -> Reader:
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


def _integer(low: int, high: int, unit: str = "") -> Reader:
    def read(raw: Raw) -> int:
        value = _number(raw)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}{unit}")
        return value

    return read


def _cpus(raw: Raw) -> float:
    try:
        value = float(raw.value) if raw.text else raw.value  # type: ignore[arg-type]  # text is str
    except ValueError:
        value = None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError("a number of CPUs above 0, such as 1.5")
    return float(value)


def _bytes(raw: Raw) -> int:
    value = raw.value
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9]{1,9})\s*([KMGT]i?B?)?", value)):
        return int(match[1]) << 10 * " KMGT".index((match[2] or " ")[0])
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError('a number of bytes, or text such as "512M" or "4G"')


def _platform(raw: Raw) -> str:
    value = _text(raw)
    if not re.fullmatch(r"linux/[a-z0-9]+(/v[0-9]+)?", value):
        raise ValueError("linux/amd64 or linux/arm64")
    return value


def _scalar_text(raw: Raw) -> str:
    if not isinstance(raw.value, (str, int, float)):
        raise ValueError("text, a number or a boolean")  # noqa: TRY004 - what a reader raises
    return contract.hyperparameter_string(raw.value)


def _words(raw: Raw) -> tuple[str, ...]:
    words = raw.value
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
        raise ValueError('a list of text, such as ["python3", "train.py"]')
    return tuple(words)


def _hyperparameter(raw: Raw) -> str:
    if not isinstance(raw.value, (str, int, float, list, dict)):
        raise ValueError("text, a number, a boolean, a list or a table")  # noqa: TRY004 - as above
    return contract.hyperparameter_string(raw.value)


def _channel(name: str, raw: Raw) -> ChannelSetting:
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
    return ChannelSetting(name, _location(Raw(source, raw.origin)), options)


def _location(raw: Raw) -> Location:
    if isinstance(raw.value, str) and "://" in raw.value:
        try:
            return parse_s3_uri(raw.value)
        except ConfigError as error:
            raise ValueError(error.message) from None
    try:
        return _path(raw)
    except ValueError:
        raise ValueError("a folder, a file, or s3://bucket/prefix") from None


def _member(kind: type[enum.Enum]) -> Reader:
    """A value of an enumeration of the API."""
    names = [str(each.value) for each in kind]

    def read(raw: Raw) -> enum.Enum:
        if raw.value not in names:
            raise ValueError(f"{raw.value!r} is not one of {', '.join(names)}")
        return kind(raw.value)

    return read


def _metrics(raw: Raw) -> tuple[MetricSetting, ...]:
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


_CHANNEL_OPTIONS: dict[str, Reader] = {
    "content_type": _text,
    "input_mode": _member(InputMode),
    "data_type": _member(DataType),
    "distribution": _member(Distribution),
    "compression": _member(Compression),
    "record_wrapper": _member(RecordWrapper),
    "attribute_names": _words,
    "shuffle_seed": _integer(0, 2**63 - 1),
}


# --- keys ------------------------------------------------------------------------------------

_MAX_PROJECT_NAME_CHARS = 32  # leaves room for a job's time and number
_MAX_PORT = 65_535
_ENGINES = ("auto", "docker", "process")

# One entry a key; the keys of TABLES have entries of the user's own naming.
READERS: dict[str, Reader] = {
    "project.name": _name,
    "project.engine": _one_of(*_ENGINES),
    "image.context": _path,
    "image.program": _path,
    "image.program_path": _container_path,
    "image.requirements": _path,
    "image.tag": _text,
    "image.platform": _platform,
    "image.build_args": _scalar_text,
    "train.hyperparameters": _hyperparameter,
    "train.channels": lambda raw: raw,
    "train.metrics": _metrics,
    "train.input_mode": _member(InputMode),
    "train.entrypoint": _words,
    "train.arguments": _words,
    "train.max_run_s": _integer(1, contract.MAX_RUN_LIMIT_S, " seconds (28 days)"),
    "train.environment": _scalar_text,
    "train.memory_bytes": _bytes,
    "train.cpus": _cpus,
    "train.shm_bytes": _bytes,
    "serve.port": _integer(0, _MAX_PORT, " (0 takes a free one)"),
    "serve.profile": _one_of("realtime", "serverless", "async", "direct"),
    "serve.environment": _scalar_text,
    "serve.startup_timeout_s": _integer(1, 3600, " seconds"),
    "serve.memory_bytes": _bytes,
    "serve.cpus": _cpus,
    "invoke.content_type": _text,
    "invoke.data": _text,
    "s3.endpoint_url": _url,
    "s3.region": _text,
    "s3.profile": _text,
}
SECTIONS = {key.partition(".")[0] for key in READERS}
TABLES = {
    "image.build_args",
    "train.hyperparameters",
    "train.channels",
    "train.environment",
    "serve.environment",
}

# What `devkit config` shows for a key that nobody set.
DEFAULT_TEXT: dict[str, object] = {
    "project.name": "(the folder's name)",
    "project.engine": "auto",
    "image.context": "image",
    "image.program": "image/program",
    "image.program_path": "/opt/program",
    "image.requirements": "image/requirements.txt, if there is one",
    "image.tag": "(the project's name):dev",
    "image.platform": "(the engine's own)",
    "train.metrics": [],
    "train.input_mode": "File",
    "train.entrypoint": "(the image's own)",
    "train.arguments": "train",
    "train.max_run_s": contract.MAX_RUN_DEFAULT_S,
    "train.memory_bytes": "(no limit)",
    "train.cpus": "(no limit)",
    "train.shm_bytes": "(the engine's own: 64M)",
    "serve.port": contract.SERVE_PORT,
    "serve.profile": "realtime",
    "serve.startup_timeout_s": contract.STARTUP_TIMEOUT_S,
    "serve.memory_bytes": "(no limit)",
    "serve.cpus": "(no limit)",
    "invoke.content_type": "application/json",
    "invoke.data": "(none)",
    "s3.endpoint_url": "(none)",
    "s3.region": contract.LOCAL_REGION,
    "s3.profile": "(none)",
}

# Variables for what changes from command to command.
SHORT_VARIABLES = {"project.engine": "DEVKIT_ENGINE"}


def variable(key: str) -> str:
    """The environment variable of a key: ``DEVKIT_SERVE_PORT`` for ``serve.port``."""
    return "DEVKIT_" + key.replace(".", "_").upper()


def takes_tables(prefix: str) -> bool:
    """Whether the values under this prefix may be tables themselves (channels, hyperparameters)."""
    return prefix in ("train.channels.", "train.hyperparameters.")


def defaults(root: Path) -> dict[str, Any]:
    """The value of every key that nobody set."""
    requirements = root / "image" / "requirements.txt"
    return {
        "project.name": _default_name(root),
        "project.engine": "auto",
        "image.context": root / "image",
        "image.program": root / "image" / "program",
        "image.program_path": "/opt/program",
        "image.requirements": requirements if requirements.exists() else None,
        "image.tag": f"{_default_name(root).lower()}:dev",
        "image.platform": None,
        "image.build_args": {},
        "train.hyperparameters": {},
        "train.channels": (),
        "train.metrics": (),
        "train.input_mode": InputMode.FILE,
        "train.entrypoint": None,
        "train.arguments": None,
        "train.max_run_s": contract.MAX_RUN_DEFAULT_S,
        "train.environment": {},
        "train.memory_bytes": None,
        "train.cpus": None,
        "train.shm_bytes": None,
        "serve.port": contract.SERVE_PORT,
        "serve.profile": "realtime",
        "serve.environment": {},
        "serve.startup_timeout_s": contract.STARTUP_TIMEOUT_S,
        "serve.memory_bytes": None,
        "serve.cpus": None,
        "invoke.content_type": "application/json",
        "invoke.data": None,
        "s3.endpoint_url": None,
        "s3.region": contract.LOCAL_REGION,
        "s3.profile": None,
    }


def read(resolved: Mapping[str, Raw], root: Path) -> tuple[dict[str, Any], list[str]]:
    """Read every key that is set, over the defaults.

    Returns:
        The values by key, and what is wrong: the key, what was given, what is allowed.
    """
    values, problems = defaults(root), []
    tables: dict[str, dict[str, Any]] = {key: {} for key in TABLES}
    for key, raw in resolved.items():
        table, entry = _entry_of(key)
        if key in TABLES and raw.value == {}:
            continue
        try:
            if table is not None:
                reads = READERS[table]
                tables[table][entry] = (
                    _channel(entry, raw) if table == "train.channels" else reads(raw)
                )
            elif key in READERS and key not in TABLES:
                values[key] = READERS[key](raw)
            else:
                problems.append(_unknown(key, raw))
        except ValueError as error:
            problems.append(f"{key} = {raw.value!r} ({raw.origin.name}): must be {error}")
    values.update(tables)
    values["train.channels"] = tuple(tables["train.channels"].values())
    if "project.name" in resolved and "image.tag" not in resolved:
        values["image.tag"] = f"{str(values['project.name']).lower()}:dev"
    return values, problems


def _entry_of(key: str) -> tuple[str | None, str]:
    for table in TABLES:
        if key.startswith(f"{table}."):
            return table, key.removeprefix(f"{table}.")
    return None, ""


def _unknown(key: str, raw: Raw) -> str:
    if key in TABLES:
        return f"{key} = {raw.value!r} ({raw.origin.name}): must be a table: {{ name = … }}"
    section = key.partition(".")[0]
    known = sorted(k.removeprefix(f"{section}.") for k in READERS if k.startswith(f"{section}."))
    if known:
        return f"{key} ({raw.origin.name}): no such key; [{section}] takes {', '.join(known)}"
    return f"{key} ({raw.origin.name}): no such table; there are {', '.join(sorted(SECTIONS))}"


def _default_name(root: Path) -> str:
    """The folder's name, as far as SageMaker takes it for a name."""
    name = re.sub(r"[^a-zA-Z0-9]+", "-", root.name).strip("-")[:_MAX_PROJECT_NAME_CHARS]
    return name.strip("-") or "project"
