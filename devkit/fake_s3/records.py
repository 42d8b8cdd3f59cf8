"""moto's objects as JSON texts, and back.

Of an object, the attributes are kept that differ from those of a new one: what a later moto adds
has its default then. Only the kinds named here are made from a record, whatever it says: a store
may come from somebody else.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from moto.core.common_models import BaseModel
from moto.s3 import models
from moto.utilities.utils import LowercaseDict
from requests.structures import CaseInsensitiveDict

_KIND = "!"
_MAPPINGS: dict[str, Callable[..., Any]] = {
    "dict": dict,
    "LowercaseDict": LowercaseDict,
    "CaseInsensitiveDict": CaseInsensitiveDict,
}
_SCALARS = (str, int, float, bool, type(None))


class UnknownKind(TypeError):
    """A value that no record can hold: moto keeps something new."""


def dumps(value: object) -> str:
    """The text of what :func:`encode` or :func:`fields` made."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def fields(
    thing: object, *, leave_out: Iterable[str], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The attributes of an object that are not as they were when it was new.

    Args:
        thing: The object.
        leave_out: Attributes that are stored otherwise, or not at all.
        defaults: The attributes of a new one, encoded.
    """
    encoded = {name: encode(value) for name, value in vars(thing).items() if name not in leave_out}
    return {n: v for n, v in encoded.items() if n not in defaults or defaults[n] != v}


def encode(value: object) -> Any:
    """A value in terms of JSON.

    Raises:
        UnknownKind: It has no form there.
    """
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, datetime):
        return {_KIND: "time", "at": value.isoformat()}
    if isinstance(value, bytes):
        return {_KIND: "bytes", "base64": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [encode(each) for each in value]
    if isinstance(value, tuple):
        return {_KIND: "tuple", "items": [encode(each) for each in value]}
    return _encode_structure(value)


def decode(value: Any) -> Any:
    """What :func:`encode` was given."""
    if isinstance(value, list):
        return [decode(each) for each in value]
    if not isinstance(value, dict):
        return value
    kind = value[_KIND]
    if kind in _READERS:
        return _READERS[kind](value)
    if kind in _MAPPINGS:
        return _MAPPINGS[kind]([(key, decode(each)) for key, each in value["items"]])
    model = _models()[kind]
    thing: Any = object.__new__(model)  # moto's own would keep it for ever
    thing.__dict__.update({name: decode(each) for name, each in value["fields"].items()})
    return thing


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "time": lambda value: datetime.fromisoformat(value["at"]),
    "bytes": lambda value: base64.b64decode(value["base64"]),
    "tuple": lambda value: tuple(decode(each) for each in value["items"]),
}


def _encode_structure(value: object) -> Any:
    if isinstance(value, Mapping):
        kind = "dict" if isinstance(value, dict) else type(value).__name__
        if kind in _MAPPINGS:
            return {_KIND: kind, "items": [[key, encode(each)] for key, each in value.items()]}
    kind = type(value).__name__
    if _models().get(kind) is type(value):
        attributes = {name: encode(each) for name, each in vars(value).items()}
        return {_KIND: kind, "fields": attributes}
    raise UnknownKind(f"moto keeps a {type(value).__qualname__}, which devkit cannot store")


@cache
def _models() -> dict[str, Any]:
    """What moto's settings of buckets and objects are made of."""
    return {
        name: each
        for name, each in vars(models).items()
        if isinstance(each, type)
        and each.__module__ == models.__name__
        and issubclass(each, BaseModel)
        and not issubclass(each, (models.FakeKey, models.FakeBucket, models.FakeMultipart))
    }
