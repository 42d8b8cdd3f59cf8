"""What of a request the API's description forbids, said as AWS says it (contract, section 5).

botocore checks required members, types and minima before it sends; maxima, patterns and enums are
checked by the service alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

import regex
from botocore.model import ListShape, MapShape, Shape, StructureShape

from devkit.local_aws.errors import AwsError, Protocol

_VALUE_CHARS = 256
# A thread that waits for a processor loses the time, too: the second try is for that.
_PATTERN_S = (0.2, 2.0)
_JAVA = {r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010FFFF", r"\p{all}": r"\s\S"}
_CODES: Mapping[Protocol, str] = {"query": "ValidationError", "ec2": "InvalidParameterValue"}
_CODES_OF_SERVICES = {"sagemaker-runtime": "ValidationError"}


def require_valid(
    shape: StructureShape | None,
    value: Mapping[str, Any],
    protocol: Protocol,
    *,
    service: str | None = None,
) -> None:
    """Make sure that a request is what its description allows.

    Args:
        shape: What its operation takes.
        value: What it asks for.
        protocol: What it is written in.
        service: Whose operation it is, by botocore's name.

    Raises:
        AwsError: It is not; all that is wrong is named.
    """
    found = problems(shape, value)
    if found:
        code = _CODES.get(protocol, "ValidationException")
        raise AwsError(_CODES_OF_SERVICES.get(service or "", code), message(found))


def message(found: list[str]) -> str:
    """All problems in one message."""
    count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
    return f"{count}: {'; '.join(found)}"


def problems(shape: StructureShape | None, value: Mapping[str, Any]) -> list[str]:
    """What is wrong, a sentence each; empty where nothing is."""
    return [] if shape is None else list(_structure(shape, value, ""))


def _structure(shape: StructureShape, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if name not in value and not _is_payload(shape, name):
            yield _problem(None, _below(path, name), "not be null")
    for name, each in value.items():
        yield from _any(shape.members[name], each, _below(path, name))


def _is_payload(shape: StructureShape, name: str) -> bool:
    """Bytes that are the body itself are there even where they are none."""
    return bool(
        name == shape.serialization.get("payload")
        and shape.members[name].type_name in ("blob", "string")
    )


def _any(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if getattr(shape, "is_document_type", False):
        return
    for rule in _rules(shape, value):
        yield _problem(value, path, rule)
    if isinstance(shape, StructureShape):
        yield from _structure(shape, value, path)
    elif isinstance(shape, ListShape):
        for number, each in enumerate(value, start=1):
            yield from _any(shape.member, each, f"{path}.{number}.member")
    elif isinstance(shape, MapShape):
        yield from _map(shape, value, path)


def _map(shape: MapShape, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for part, which, entries in (
        (shape.key, "keys", list(value)),
        (shape.value, "values", list(value.values())),
    ):
        if isinstance(part, (StructureShape, ListShape, MapShape)):
            for key, each in value.items():
                yield from _any(part, each, f"{path}.{key}.member")
        elif any(_rules(part, each) for each in entries):
            rules = ", ".join(f"Member must {rule}" for rule in _all_rules(part))
            yield (
                f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: "
                f"Map {which[:-1]} must satisfy constraint: [{rules}]"
            )


def _rules(shape: Shape, value: Any) -> list[str]:
    """The rules that a value breaks."""
    broken = []
    low, high = (shape.metadata.get(bound) for bound in ("min", "max"))
    size = _size(shape, value)
    if size is not None and high is not None and size > high:
        broken.append(_upper(shape, high))
    if size is not None and low is not None and size < low:
        broken.append(_lower(shape, low))
    if shape.type_name == "string":
        pattern = shape.metadata.get("pattern")
        if pattern and not _matches(pattern, value):
            broken.append(f"satisfy regular expression pattern: {pattern}")
        names = shape.metadata.get("enum")
        if names and value not in names:
            broken.append(f"satisfy enum value set: [{', '.join(names)}]")
    return broken


def _all_rules(shape: Shape) -> Iterator[str]:
    """Every rule of a shape, as AWS lists them for the entries of a map."""
    if "max" in shape.metadata:
        yield _upper(shape, shape.metadata["max"])
    if "min" in shape.metadata:
        yield _lower(shape, shape.metadata["min"])
    if "pattern" in shape.metadata:
        yield f"satisfy regular expression pattern: {shape.metadata['pattern']}"
    if "enum" in shape.metadata:
        yield f"satisfy enum value set: [{', '.join(shape.metadata['enum'])}]"


def _size(shape: Shape, value: Any) -> float | None:
    if shape.type_name in ("integer", "long", "short", "byte", "float", "double"):
        return float(value)
    if shape.type_name in ("string", "blob", "list", "map"):
        return len(value)
    return None


def _upper(shape: Shape, limit: float) -> str:
    what = "value" if _is_number(shape) else "length"
    return f"have {what} less than or equal to {limit}"


def _lower(shape: Shape, limit: float) -> str:
    what = "value" if _is_number(shape) else "length"
    return f"have {what} greater than or equal to {limit}"


def _is_number(shape: Shape) -> bool:
    return shape.type_name in ("integer", "long", "short", "byte", "float", "double")


def _matches(pattern: str, value: str) -> bool:
    for timeout_s in _PATTERN_S:
        with suppress(TimeoutError):
            return _compiled(pattern).fullmatch(value, timeout=timeout_s) is not None
    return False  # such a value is not what anybody meant by the pattern


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> regex.Pattern[str]:
    r"""A pattern of AWS's: Java's, with ``\p{L}``, and surrogates for what is beyond U+FFFF."""
    for java, ours in _JAVA.items():
        pattern = pattern.replace(java, ours)
    return regex.compile(pattern)


def _below(path: str, name: str) -> str:
    member = name[:1].lower() + name[1:]
    return f"{path}.{member}" if path else member


def _problem(value: Any, path: str, rule: str) -> str:
    shown = "null" if value is None else f"'{_shown(value)}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: Member must {rule}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}={_shown(each)}" for key, each in value.items()) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(_shown(each) for each in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= _VALUE_CHARS else f"{text[:_VALUE_CHARS]}…"
