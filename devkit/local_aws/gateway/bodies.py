"""Bodies in events: text as it is, anything else in base64."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

_TEXT = re.compile(
    r"text/.*|application/(json|xml|javascript)|application/.*\+(json|xml)", re.IGNORECASE
)


def media_type(content_type: str | None) -> str:
    """Without its parameters, in lower case."""
    return (content_type or "").partition(";")[0].strip().lower()


def http_body(body: bytes, content_type: str | None) -> tuple[str, bool]:
    """A body as an HTTP API gives it to a function, and whether that is base64.

    Which types are text AWS does not say. JSON, XML, JavaScript and ``text/*`` are, forms are not;
    that ``+json`` is, is UNVERIFIED.
    """
    kind = media_type(content_type)
    if not kind or _TEXT.fullmatch(kind):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True


def is_binary(kind: str | None, binary_types: Sequence[str]) -> bool:
    """Whether a REST API's binary media types have this one."""
    wanted = media_type(kind)
    for each in binary_types:
        pattern = each.lower()
        if pattern in ("*/*", wanted):
            return True
        if pattern.endswith("/*") and wanted.startswith(pattern[:-1]):
            return True
    return False


def from_base64(text: str) -> bytes:
    """What was in base64.

    Raises:
        ValueError: It was not.
    """
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
