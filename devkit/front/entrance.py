"""What clients of a server talk to: one address, while containers come and go behind it."""

from __future__ import annotations

from typing import Protocol

from devkit.engines.base import Address


class Entrance(Protocol):
    """SageMaker's front (``server.py``), or a relay that adds nothing (``relay.py``)."""

    @property
    def address(self) -> Address:
        """Where it listens."""

    @property
    def url(self) -> str:
        """What ``/invocations`` is below."""

    def switch(self, backend: Address | None) -> None:
        """Lead what comes later to another container, or to none."""

    def busy(self, backend: Address) -> bool:
        """Whether a container that was switched away from still owes an answer."""

    def stop(self, grace_s: float) -> None:
        """Take nothing more, and give what is in flight this long to finish."""

    def close(self) -> None:
        """End it; nothing is left of it. Closing twice is not an error."""
