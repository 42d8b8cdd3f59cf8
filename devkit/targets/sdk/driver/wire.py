"""What devkit and its driver say to each other: JSON, a line a message, with bytes and times."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

_BYTES = "$bytes"
_TIME = "$time"


def encode(message: dict[str, Any]) -> bytes:
    """A message as a line."""
    return json.dumps(message, default=_plain).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The message of a line.

    Raises:
        ValueError: It is none.
    """
    message = json.loads(line, object_hook=_rich)
    if not isinstance(message, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one error for all that is no message
    return message


def _plain(value: object) -> object:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return {_TIME: value.astimezone().isoformat()}  # the SDK's times are this machine's
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _rich(value: dict[str, Any]) -> Any:
    if value.keys() == {_BYTES}:
        return base64.b64decode(value[_BYTES])
    if value.keys() == {_TIME}:
        return datetime.fromisoformat(value[_TIME])
    return value
