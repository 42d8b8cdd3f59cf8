"""The input data of one training host: its channels as mounts, and as pipes (§1.6)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from devkit import contract
from devkit.channels import selection
from devkit.channels.delivery import Delivery, deliver
from devkit.channels.items import Item
from devkit.channels.pipes import PipeFeeder
from devkit.channels.plan import ChannelPlan, Host, InputMode
from devkit.channels.s3_reading import S3Client
from devkit.engines.base import Mount
from devkit.errors import ConfigError, DevkitError

DATA = f"{contract.OPT_ML}/{contract.DATA_FOLDER}"


class Inputs:
    """The channels of one host, ready to be mounted.

    Args:
        channels: The host's channels, each with which of the hosts that get it this one is.
        folder: A new host folder for what has to be fetched, and for the pipes.
        s3: Gives the client for channels in S3; called only where there is one.

    Raises:
        ConfigError: The data is not there, or not what the channel says.
        DevkitError: It could not be fetched.
    """

    def __init__(
        self,
        channels: Sequence[tuple[ChannelPlan, Host]],
        folder: Path,
        s3: Callable[[], S3Client],
    ) -> None:
        self._pipes = folder / "pipes"
        client = s3() if any(not isinstance(c.location, Path) for c, _ in channels) else None
        self._piped: list[tuple[ChannelPlan, Host, tuple[Item, ...]]] = [
            (channel, host, selection.select(channel, client))
            for channel, host in channels
            if channel.input_mode is InputMode.PIPE
        ]
        deliveries = [
            deliver(channel, folder / "fetched" / channel.name, s3=client, host=host)
            for channel, host in channels
            if channel.input_mode is not InputMode.PIPE
        ]
        self.notes = tuple(delivery.note for delivery in deliveries if delivery.note)
        """What a user should know is not as in SageMaker."""
        self.mounts = self._mounts(deliveries)
        """What the container sees below ``/opt/ml/input/data``."""

    @contextmanager
    def feeding(self, on_error: Callable[[DevkitError], None]) -> Iterator[None]:
        """Feed the pipes for the length of the block.

        Args:
            on_error: Told from another thread when the program has been fed less than its data.

        Raises:
            DevkitError: At the end of the block, where that has happened.
        """
        with ExitStack() as stack:
            for channel, host, items in self._piped:
                feeder = PipeFeeder(self._pipes, channel, items, host=host, on_error=on_error)
                stack.enter_context(feeder)
            yield

    def _mounts(self, deliveries: Sequence[Delivery]) -> tuple[Mount, ...]:
        mounts = tuple(delivery.mount for delivery in deliveries)
        if not self._piped:
            return mounts
        self._pipes.mkdir(parents=True)
        for delivery in deliveries:  # what is mounted below the pipes needs a place there
            place = self._pipes / Path(delivery.target).relative_to(DATA)
            if delivery.source.is_dir():
                place.mkdir()
            else:
                place.parent.mkdir()
                place.touch()
        return (Mount(target=DATA, source=self._pipes), *mounts)


def require_pipes(
    channels: Sequence[ChannelPlan], engine: str, platform: str = sys.platform
) -> None:
    """Make sure that Pipe mode can work on this engine and system.

    Raises:
        ConfigError: A named pipe of this machine does not reach a container: Docker on macOS and
            Windows runs in a virtual machine.
    """
    piped = [channel.name for channel in channels if channel.input_mode is InputMode.PIPE]
    if piped and engine == "docker" and platform != "linux":
        raise ConfigError(
            f"channel {piped[0]!r}: InputMode Pipe needs Linux: here Docker runs in a virtual "
            "machine, which named pipes do not reach",
            remedy="use InputMode File or FastFile, or --engine process",
        )
