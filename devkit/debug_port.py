"""The port of a program's debugger: the same number in the container and on 127.0.0.1."""

from __future__ import annotations

from devkit import contract
from devkit.engines.base import Container, Port
from devkit.errors import PortInUse
from devkit.front.relay import Relay


class DebugPort:
    """Listens on 127.0.0.1 and leads to the newest container, as soon as that has started.

    A program may wait for its debugger before it answers any ping.

    Args:
        number: Of the port.

    Raises:
        PortInUse: Another program listens there.
    """

    def __init__(self, number: int) -> None:
        self.port = Port(number=number, variable=contract.DEBUG_PORT_VARIABLE)
        try:
            self._relay = Relay(number)
        except PortInUse:
            raise PortInUse(number, other="--debug-port") from None

    def lead_to(self, container: Container | None) -> None:
        """Lead debuggers that come from now on to this container."""
        self._relay.switch(None if container is None else container.address(self.port.number))

    @property
    def in_use(self) -> bool:
        """Whether a debugger is connected."""
        return self._relay.in_use

    def close(self) -> None:
        """Listen no more."""
        self._relay.close()
