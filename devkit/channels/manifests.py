"""The two kinds of manifest, read into items with every problem named (§1.6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TypeVar

from devkit.channels.items import Item, Literal, Stored
from devkit.channels.locations import Location, S3Uri, parse_location, parse_s3_uri, source_at
from devkit.channels.s3_reading import S3Client, open_object
from devkit.channels.source import LocalSource, ObjectSource, checked_path
from devkit.contract import JsonValue
from devkit.errors import ConfigError

# More than these help nobody.
_PROBLEMS_SHOWN = 10

_T = TypeVar("_T")


def read_manifest(location: Location, s3: S3Client | None) -> tuple[Item, ...]:
    """The objects of a ``ManifestFile``: ``[{"prefix": …}, "suffix", …]``.

    Prefix and suffix are put together as they are, without a ``/`` between them. The prefix of a
    local manifest may be a local path, relative to the manifest. An object's place in the channel
    is its suffix (undocumented).

    Raises:
        ConfigError: It is no such manifest, or a local file that it lists is not there.
    """
    with _opened(location, s3) as file:
        prefix, suffixes = _manifest(location, file.read())
    source, beginning = _prefixed(location, prefix, s3)

    def item(suffix: str) -> Item:
        key = beginning + suffix
        size = source.object(key).size if isinstance(source, LocalSource) else None
        return (Stored(source, key, checked_path(suffix), size),)

    return _all(location, item, suffixes)


def read_augmented_manifest(
    location: Location, names: Sequence[str], s3: S3Client | None
) -> tuple[Item, ...]:
    """The lines of an ``AugmentedManifestFile``: of each the named attributes, in their order.

    An attribute whose name ends in ``-ref`` stands for the object at its S3 URI (or, in a local
    manifest, at a path relative to the manifest); any other for its string form: a string as it
    is, anything else as compact JSON (AWS shows only that 1 becomes "1").

    Raises:
        ConfigError: A line is no JSON object, or lacks an attribute, or a local file is not there.
    """

    def item(line: tuple[int, bytes]) -> Item:
        number, content = line
        try:
            values = _json(content)
            if not isinstance(values, dict):
                raise ConfigError("is not a JSON object")  # noqa: TRY301 - gets its number
            return tuple(_attribute(location, values, name, s3) for name in names)
        except ConfigError as error:
            raise ConfigError(f"line {number}: {error.message}") from error

    with _opened(location, s3) as file:
        lines = ((n, line) for n, line in enumerate(file, start=1) if line.strip())
        return _all(location, item, lines)


def _attribute(
    location: Location, values: dict[str, JsonValue], name: str, s3: S3Client | None
) -> Stored | Literal:
    if name not in values:
        raise ConfigError(f"has no attribute {name!r}")
    value = values[name]
    if name.endswith("-ref"):
        if not isinstance(value, str):
            raise ConfigError(f"{name!r} is not the URI of an object")
        return _referred(location, value, s3)
    text = value if isinstance(value, str) else _compact(value)
    return Literal(text.encode())


def _referred(location: Location, uri: str, s3: S3Client | None) -> Stored:
    target = _relative_to(location, uri)
    source = source_at(target, s3)
    if isinstance(target, S3Uri):
        if not target.prefix or target.prefix.endswith("/"):
            raise ConfigError(f"{uri!r} names no object")
        return Stored(source, target.prefix, source.path(target.prefix))
    if not target.is_file():
        raise ConfigError(f"there is no file {target}")
    return Stored(source, target.name, target.name, target.stat().st_size)


def _manifest(location: Location, content: bytes) -> tuple[str, Sequence[str]]:
    """Its prefix and its suffixes."""
    form = 'an array of {"prefix": "s3://bucket/prefix/"} and one or more suffixes'
    try:
        elements = _json(content)
    except ConfigError as error:
        raise ConfigError(f"the manifest {location} {error.message}: it is {form}") from error
    if not isinstance(elements, list) or not elements:
        raise ConfigError(f"the manifest {location} is not {form}")
    first, *suffixes = elements
    prefix = first.get("prefix") if isinstance(first, dict) and len(first) == 1 else None
    if not isinstance(prefix, str) or not prefix:
        raise ConfigError(
            f"the manifest {location} does not begin with a prefix, but with "
            f"{_compact(first)[:80]}: it is {form}"
        )
    strings = [each for each in suffixes if isinstance(each, str)]
    if len(strings) < len(suffixes):
        wrong = next(n for n, each in enumerate(suffixes, 2) if not isinstance(each, str))
        raise ConfigError(f"the manifest {location}: its element {wrong} is not a string")
    return prefix, strings


def _prefixed(location: Location, prefix: str, s3: S3Client | None) -> tuple[ObjectSource, str]:
    """Where the objects are, and how their keys there begin."""
    target = _relative_to(location, prefix)
    if isinstance(target, S3Uri):
        return source_at(target, s3), target.prefix
    folder, _, beginning = prefix.rpartition("/")
    below = Path(location.parent if isinstance(location, Path) else "") / (
        folder or ("/" if prefix.startswith("/") else ".")
    )
    if not below.is_dir():
        raise ConfigError(f"the manifest {location}: its prefix {prefix!r} names no folder")
    return LocalSource(below), beginning


def _relative_to(location: Location, text: str) -> Location:
    """What a manifest names: in S3 only what is in S3."""
    if isinstance(location, Path):
        return parse_location(text, location.parent)
    return parse_s3_uri(text)


def _opened(location: Location, s3: S3Client | None) -> IO[bytes]:
    if isinstance(location, Path):
        return location.open("rb")
    source_at(location, s3)
    if s3 is None:
        raise AssertionError  # source_at has refused it
    return open_object(s3, location.bucket, location.prefix)


def _all(location: Location, make: Callable[[_T], Item], entries: Iterable[_T]) -> tuple[Item, ...]:
    problems: list[str] = []

    def good() -> Iterator[Item]:
        for entry in entries:
            try:
                yield make(entry)
            except ConfigError as error:
                problems.append(error.message)

    items = tuple(good())
    if problems:
        shown = [f"  - {problem}" for problem in problems[:_PROBLEMS_SHOWN]]
        if len(problems) > len(shown):
            shown.append(f"  … and {len(problems) - len(shown)} more")
        raise ConfigError("\n".join([f"the manifest {location} would be refused:", *shown]))
    return items


def _json(content: bytes) -> JsonValue:
    try:
        value: JsonValue = json.loads(content.decode("utf-8-sig"))
    except ValueError as error:  # not UTF-8, or not JSON
        raise ConfigError(f"is not JSON: {error}") from error
    return value


def _compact(value: JsonValue) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
