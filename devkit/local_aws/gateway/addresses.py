"""Which API a request is for, by its path or its host name."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOST = re.compile(
    r"(?P<api>[a-z0-9]+)\.execute-api(\.(?P<region>[a-z]{2}(-[a-z]+)+-\d))?"
    r"\.(localhost\.localstack\.cloud|localhost|amazonaws\.com)(:\d*)?",
    re.ASCII | re.IGNORECASE,
)
_PATH = re.compile(r"/(?:_gateway|_aws/execute-api)/(?P<api>[A-Za-z0-9]+)(?P<rest>/.*)?", re.DOTALL)
_USER_REQUEST = re.compile(
    r"/restapis/(?P<api>[A-Za-z0-9]+)/(?P<stage>[^/]+)/_user_request_(?P<rest>/.*)?", re.DOTALL
)
_IN_HOST = ".execute-api."
_IN_PATH = ("/_gateway/", "/_aws/execute-api/", "/restapis/")


@dataclass(frozen=True, kw_only=True)
class Address:
    """An API, and what is asked of it."""

    api_id: str
    path: str
    """With the stage, still encoded."""
    host: str | None
    """The name it was asked by, without the port, where that names the API."""


def may_be_address(host: str, path: str) -> bool:
    """Whether it is worth looking closer: every request to the endpoint comes by here."""
    return path.startswith(_IN_PATH) or _IN_HOST in host.lower()


def address_of(host: str, path: str) -> Address | None:
    """The API that a request is for; ``None`` where it is for none.

    Args:
        host: Its ``Host`` header.
        path: Its path, still encoded, without the query.
    """
    named = _HOST.fullmatch(host)
    if named is not None:
        name = host.partition(":")[0]
        return Address(api_id=named["api"].lower(), path=path or "/", host=name)
    match = _PATH.fullmatch(path)
    if match is not None:
        return Address(api_id=match["api"], path=match["rest"] or "/", host=None)
    match = _USER_REQUEST.fullmatch(path)
    if match is not None:
        whole = f"/{match['stage']}{match['rest'] or '/'}"
        return Address(api_id=match["api"], path=whole, host=None)
    return None
