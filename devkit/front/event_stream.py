"""AWS's event stream format (``application/vnd.amazon.eventstream``), as far as it is sent (§2.7).

A message is: its length, the length of its headers and a CRC-32 of these two; the headers, each a
name and a string; the payload; a CRC-32 of everything before. Numbers are big-endian.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_PRELUDE = struct.Struct("!II")
_CRC = struct.Struct("!I")
_STRING = 7
_FRAME_BYTES = _PRELUDE.size + 2 * _CRC.size


def payload_part(data: bytes) -> bytes:
    """A part of the container's response."""
    return event("PayloadPart", data, "application/octet-stream")


def event(kind: str, payload: bytes, content_type: str) -> bytes:
    """An event of a stream."""
    headers = {
        ":message-type": "event",
        ":event-type": kind,
        ":content-type": content_type,
    }
    return _message(headers, payload)


def model_stream_error(code: str, message: str) -> bytes:
    """The end of a response that the container did not finish.

    ``code`` is ``ModelInvocationTimeExceeded`` or ``StreamBroken``.
    """
    return _exception("ModelStreamError", {"ErrorCode": code, "Message": message})


def _exception(name: str, members: Mapping[str, str]) -> bytes:
    headers = {
        ":message-type": "exception",
        ":exception-type": name,
        ":content-type": "application/json",
    }
    return _message(headers, json.dumps(members).encode())


def _message(headers: Mapping[str, str], payload: bytes) -> bytes:
    encoded = b"".join(
        struct.pack(f"!B{len(name)}sBH", len(name), name.encode(), _STRING, len(value))
        + value.encode()
        for name, value in headers.items()
    )
    prelude = _PRELUDE.pack(_FRAME_BYTES + len(encoded) + len(payload), len(encoded))
    checked = prelude + _CRC.pack(zlib.crc32(prelude)) + encoded + payload
    return checked + _CRC.pack(zlib.crc32(checked))
