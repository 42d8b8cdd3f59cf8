"""Functions as containers: those whose code is an image, on the docker engine.

The image brings its own runtime client; AWS's base images and ``awslambdaric`` find the Runtime API
in ``AWS_LAMBDA_RUNTIME_API``, as in AWS.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path

from devkit.engines.base import Container, ContainerSpec, Engine, Image, Limits
from devkit.errors import DevkitError, EngineError
from devkit.local_aws.lambda_ import environment
from devkit.local_aws.lambda_.definitions import ContainerImage
from devkit.local_aws.lambda_.programs import Host, OnLine, Order

_SETTLE_S = 0.03  # what a line mostly takes from a container to here
_KILLED = 137


class Containers:
    """A :class:`~devkit.local_aws.lambda_.programs.Starter`.

    Args:
        engine: Runs them.
        image: What it calls the function's image.
        code: What the function overrides of the image.
        limits: What they may use.
        variables: The function's environment.
        host: This machine, as a container sees it.
        folder: For the engine's notes on each instance.
        pool: For what waits.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self,
        engine: Engine,
        image: Image,
        code: ContainerImage,
        *,
        limits: Limits,
        variables: Mapping[str, str],
        host: Host,
        folder: Path,
        pool: Executor,
    ) -> None:
        self._engine = engine
        self._image = image
        self._code = code
        self._limits = limits
        self._variables = variables
        self.host = host
        self._folder = folder
        self._pool = pool

    async def start(self, order: Order, on_line: OnLine) -> FunctionContainer:
        """Start one."""
        spec = ContainerSpec(
            name=order.name,
            image=self._image,
            command=self._code.command,
            entrypoint=self._code.entrypoint,
            environment={**self._variables, **environment.of_instance(order)},
            limits=self._limits,
            run_folder=self._folder / order.name,
        )
        loop = asyncio.get_running_loop()
        container = await loop.run_in_executor(self._pool, self._launch, spec)
        return FunctionContainer(container, spec.run_folder, on_line, self._pool)

    async def close(self) -> None:
        """Nothing was prepared."""

    def _launch(self, spec: ContainerSpec) -> Container:
        spec.run_folder.mkdir(parents=True, exist_ok=True)
        try:
            return self._engine.start(spec)
        except BaseException:
            with suppress(OSError):
                spec.run_folder.rmdir()
            raise


class FunctionContainer:
    """A :class:`~devkit.local_aws.lambda_.programs.Program`.

    Args:
        container: What was started.
        folder: The engine's notes on it.
        on_line: Told every line.
        pool: For what waits.
    """

    def __init__(self, container: Container, folder: Path, on_line: OnLine, pool: Executor) -> None:
        self._container = container
        self._folder = folder
        self._on_line = on_line
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = self._loop.create_future()
        threading.Thread(target=self._follow, name=container.name, daemon=True).start()

    async def settle(self) -> None:
        """Give what it has written the time to come here."""
        await asyncio.sleep(_SETTLE_S)

    def peak_memory_bytes(self) -> int | None:
        """Not known; the engine sees to the limit."""
        return None

    async def end(self) -> None:
        """Kill and remove it."""
        await self._loop.run_in_executor(self._pool, self._remove)
        await self.exited

    def _remove(self) -> None:
        self._container.remove()
        with suppress(OSError):
            self._folder.rmdir()

    def _follow(self) -> None:
        try:
            for line in self._container.lines():
                self._tell(self._on_line, line.replace("\r", "\n"))
        except DevkitError:  # it has been removed meanwhile
            pass
        code: int | None = None
        with suppress(DevkitError):
            code = self._container.wait()
        self._tell(self._exit, _KILLED if code is None else code)

    def _tell(self, hear: object, what: object) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(hear, what)  # type: ignore[arg-type]

    def _exit(self, code: int) -> None:
        if not self.exited.done():
            self.exited.set_result(code)


def remove_left(engine: Engine, folder: Path) -> list[str]:
    """Remove the containers that an endpoint which was killed left; for a thread.

    Returns:
        What they were called.

    Raises:
        EngineError: The engine does not answer.
    """
    removed = []
    for notes in sorted(folder.iterdir()) if folder.is_dir() else ():
        container = engine.reopen(notes.name, notes)
        if container is not None:
            container.remove()
            removed.append(notes.name)
        with suppress(OSError):
            notes.rmdir()
    return removed


def require_docker(engine: Engine, uri: str) -> None:
    """Make sure that there are images.

    Raises:
        EngineError: The engine runs none.
    """
    if engine.name != "docker":
        raise EngineError(
            f"the {engine.name} engine cannot run a function from the image {uri}",
            remedy="use the docker engine: DEVKIT_ENGINE=docker devkit up",
        )
