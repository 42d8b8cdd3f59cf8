"""JSONPath, as mappings and templates use it to look into a body."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any


def first_value(body: bytes | str, path: str) -> Any:
    """The first value at a path of a JSON document; ``None`` where there is none."""
    try:
        return value_at(json.loads(body), path)
    except (ValueError, RecursionError):
        return None


def value_at(document: Any, path: str) -> Any:
    """The value at a path; a list of them where the path may mean several.

    Raises:
        ValueError: The path is none.
    """
    if path in ("$", ""):
        return document
    find, is_several = _compiled(path)
    found = find(document)
    if is_several:
        return found
    return found[0] if found else None


@lru_cache(maxsize=1024)
def _compiled(path: str) -> tuple[Callable[[Any], list[Any]], bool]:
    from jsonpath_ng.exceptions import JSONPathError  # noqa: PLC0415 - takes 0.1 s
    from jsonpath_ng.ext import parse  # noqa: PLC0415

    try:
        parsed = parse(path)
    except JSONPathError as error:
        raise ValueError(f"{path} is no JSONPath: {error}") from error
    is_several = any(sign in path for sign in ("*", "..", "?", ":", ","))
    return lambda document: [match.value for match in parsed.find(document)], is_several
