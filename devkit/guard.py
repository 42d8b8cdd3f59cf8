"""Whom devkit's servers answer: who names this machine as it does itself, and its own pages.

A page in the developer's browser can send requests to 127.0.0.1, under the page's own Origin, or
under a name of its own that it makes point there (DNS rebinding). Neither may start a container.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

_EXACT = frozenset({"127.0.0.1", "localhost", "localhost.localstack.cloud", "host.docker.internal"})
# Names under these point to this machine and to no other, whoever asks.
_BELOW = (".localhost", ".localhost.localstack.cloud")


def refusal_of(headers: CIMultiDictProxy[str], *, bridges: Collection[str] = ()) -> str | None:
    """The same of a request's headers."""
    return refusal(headers.getall("Host", ()), headers.getall("Origin", ()), bridges=bridges)


def refusal(
    hosts: Sequence[str], origins: Sequence[str], *, bridges: Collection[str] = ()
) -> str | None:
    """Why a request is not answered, or ``None`` where it is.

    Args:
        hosts: Its ``Host`` headers; there must be exactly one.
        origins: Its ``Origin`` headers.
        bridges: Addresses of this machine on which containers reach it.
    """
    if len(hosts) != 1:
        return "A request names one Host: ask 127.0.0.1."
    if not _is_here(_hostname(f"//{hosts[0]}"), bridges):
        return f"Host {hosts[0]!r} is not this machine: ask 127.0.0.1."
    for origin in origins:
        if not _is_here(_hostname(origin), bridges):
            return f"Pages of {origin!r} may not ask this server."
    return None


def _is_here(name: str | None, bridges: Collection[str]) -> bool:
    return name is not None and (name in _EXACT or name in bridges or name.endswith(_BELOW))


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
