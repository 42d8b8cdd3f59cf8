"""The head of a request, out of aiohttp's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devkit.local_aws.routing import Head

if TYPE_CHECKING:
    from aiohttp import web


def head_of(request: web.BaseRequest) -> Head:
    """The head of a request; where a header comes twice, both values."""
    path, _, query = request.raw_path.partition("?")
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    return Head(method=request.method, path=_path(path), query=query, headers=headers)


def _path(path: str) -> str:
    """The path of a target that may be a whole URL, as one sent to a proxy is."""
    if path.startswith("/"):
        return path
    _, _, rest = path.partition("://")
    return "/" + rest.partition("/")[2]
