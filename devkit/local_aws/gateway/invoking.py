"""Functions behind integrations and authorizers: found by URI, invoked, and waited for a while."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from devkit.local_aws.functions import FunctionAnswer, Functions

_VARIABLE = re.compile(r"\$\{stageVariables\.([A-Za-z0-9_]+)\}")
_PATH = re.compile(
    r"arn:aws[a-z-]*:apigateway:(?P<region>[a-z0-9-]+):lambda:path/[^/]+/functions/"
    r"(?P<function>.+)/invocations"
)
_ARN = re.compile(r"arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):[^:]*:function:.+")


class TimedOut(Exception):
    """A function has not answered in time; it goes on."""


class NoFunction(Exception):
    """A URI names no function."""


def with_stage_variables(text: str, variables: Mapping[str, str]) -> str:
    """A URI with its ``${stageVariables.x}`` filled in."""
    return _VARIABLE.sub(lambda match: variables.get(match[1], ""), text)


def function_of(uri: str, variables: Mapping[str, str], region: str) -> tuple[str, str]:
    """The function that a URI names, as ``Invoke`` takes it, and its region.

    Raises:
        NoFunction: It names none.
    """
    filled = with_stage_variables(uri, variables)
    path = _PATH.fullmatch(filled)
    function = path["function"] if path else filled
    arn = _ARN.fullmatch(function)
    if arn is not None:
        return function, arn["region"]
    if path is None:
        raise NoFunction(filled)
    return function, path["region"] or region


class Invoker:
    """Invokes functions; one that takes too long is no longer waited for, and not ended either.

    Args:
        functions: Lambda.
    """

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._running: set[asyncio.Task[Any]] = set()

    async def invoke(
        self,
        uri: str,
        event: bytes,
        *,
        variables: Mapping[str, str],
        region: str,
        trace: str,
        timeout_s: float,
    ) -> FunctionAnswer:
        """What a function answers.

        Raises:
            NoFunction: The URI names none.
            TimedOut: It takes longer than that.
            AwsError: It cannot be invoked.
        """
        task = self.launch(uri, event, variables=variables, region=region, trace=trace)
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
        if not done:
            raise TimedOut
        return task.result()

    def launch(
        self, uri: str, event: bytes, *, variables: Mapping[str, str], region: str, trace: str
    ) -> asyncio.Task[FunctionAnswer]:
        """Invoke a function; nobody has to wait for it.

        Raises:
            NoFunction: The URI names none.
        """
        function, at = function_of(uri, variables, region)
        task = asyncio.create_task(self._invoked(function, event, at, trace))
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def _invoked(self, function: str, event: bytes, at: str, trace: str) -> FunctionAnswer:
        return await self._functions.invoke(function, event, region=at, trace_id=trace)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be waiting for it any more

    async def stop(self) -> None:
        """Wait for nothing any more."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
