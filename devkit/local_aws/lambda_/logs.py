"""Where functions' lines go: a log group a function, a stream an instance."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime

from devkit.local_aws.cloudwatch import CloudWatch, teller
from devkit.local_aws.lambda_.definitions import Definition
from devkit.local_aws.services import Backend


class Logs:
    """All log groups; belongs to one event loop.

    Args:
        backend: Whose CloudWatch it is.
        on_problem: Told once a group where CloudWatch does not take something.
    """

    def __init__(self, backend: Backend, on_problem: Callable[[str], None]) -> None:
        self._backend = backend
        self._on_problem = on_problem
        self._groups: dict[tuple[str, str], CloudWatch] = {}
        self._loop = asyncio.get_running_loop()

    def open(self, definition: Definition, stream: str) -> Callable[[str], None]:
        """A new stream; returns what takes its lines."""
        key = (definition.region, definition.log_group)
        group = self._groups.get(key)
        if group is None:
            tell = teller(self._backend, self._loop, definition.region)
            group = CloudWatch(definition.log_group, tell, self._on_problem)
            self._groups[key] = group
        group.open(stream)
        return lambda line: group.line(stream, line)

    async def close(self) -> None:
        """Send what is left."""
        groups, self._groups = list(self._groups.values()), {}
        await asyncio.gather(*(asyncio.to_thread(each.close) for each in groups))


def stream_name(definition: Definition, moment: datetime) -> str:
    """What AWS calls the stream of a new instance."""
    return f"{moment:%Y/%m/%d}/[{definition.version}]{uuid.uuid4().hex}"
