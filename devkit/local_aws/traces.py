"""Where the time of a request went: the hops of a trace, by the id that AWS's own clients pass on.

A request to API Gateway begins a trace (``X-Amzn-Trace-Id: Root=1-…``); Lambda gives it to the
function, whose AWS SDK sends it with its own requests. ``GET /_devkit/traces/<root>`` tells the
hops, outer ones last, with how long each took and all that is inside it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import web

    from devkit.local_aws.services import Answering

PATH = "/_devkit/traces/"
TRACE_HEADER = "X-Amzn-Trace-Id"
_MOST = 1000
_MOST_HOPS = 100


class Traces:
    """The newest traces, a :class:`~devkit.local_aws.services.Direct`; of one event loop."""

    answers_pages = False

    def __init__(self) -> None:
        self._hops: OrderedDict[str, list[tuple[str, float]]] = OrderedDict()

    def add(self, root: str, hop: str, seconds: float) -> None:
        """A hop is over.

        Args:
            root: The trace's id.
            hop: What it was, such as ``lambda iris``.
            seconds: How long it took.
        """
        hops = self._hops.setdefault(root, [])
        if len(hops) < _MOST_HOPS:
            hops.append((hop, seconds))
        while len(self._hops) > _MOST:
            self._hops.popitem(last=False)

    def takes(self, request: web.BaseRequest) -> Answering | None:
        """What answers a request, where that is for a trace."""
        return self._tell if request.path.startswith(PATH) else None

    async def _tell(self, request: web.BaseRequest) -> web.StreamResponse:
        hops: list[dict[str, Any]] = [
            {"hop": hop, "seconds": round(seconds, 6)}
            for hop, seconds in self._hops.get(request.path.removeprefix(PATH), ())
        ]
        from aiohttp import web  # noqa: PLC0415 - who asks has it

        return web.json_response({"hops": hops})


def root_of(trace_id: str) -> str:
    """What all parts of a trace have in common: the ``Root`` of an ``X-Amzn-Trace-Id``."""
    for part in trace_id.split(";"):
        name, _, value = part.strip().partition("=")
        if name.lower() == "root":
            return value
    return trace_id
