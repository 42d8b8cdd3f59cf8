"""Which engine a command uses: the one that was asked for, or the one that answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from devkit.config import Settings
from devkit.engines.base import Engine
from devkit.errors import ConfigError, EngineError

_PROBE_TIMEOUT_S = 1
_CONNECT_TIMEOUT_S = 5


@dataclass(frozen=True)
class Choice:
    """An engine, and why it was taken."""

    engine: Engine
    why: str


def choose(settings: Settings) -> Choice:
    """The engine of ``settings.engine``; ``auto`` takes docker where it answers within a second.

    Raises:
        EngineError: docker was asked for, and does not answer.
    """
    if settings.engine != "auto":
        return Choice(open_engine(settings, settings.engine), "as asked for")
    try:
        return Choice(_docker(settings, _PROBE_TIMEOUT_S), "auto: it answers")
    except EngineError as error:
        return Choice(_process(settings), f"auto: {error.message}")


def open_engine(settings: Settings, name: str) -> Engine:
    """The engine of a name.

    Raises:
        EngineError: It does not answer.
        ConfigError: There is no such engine.
    """
    openers: dict[str, Callable[[], Engine]] = {
        "docker": lambda: _docker(settings, _CONNECT_TIMEOUT_S),
        "process": lambda: _process(settings),
    }
    if name not in openers:
        raise ConfigError(f"there is no engine {name!r}", remedy=f"one of {', '.join(openers)}")
    return openers[name]()


def _docker(settings: Settings, timeout_s: int) -> Engine:
    from devkit.engines.docker import DockerSettings, connect  # noqa: PLC0415 - takes 0.2 s

    machine = settings.machine
    return connect(
        DockerSettings(
            host=machine.docker_host,
            context=machine.docker_context,
            tls_verify=machine.docker_tls_verify,
            cert_path=machine.docker_cert_path,
        ),
        timeout_s=timeout_s,
    )


def _process(settings: Settings) -> Engine:
    from devkit.engines.process import ProcessEngine  # noqa: PLC0415 - only where it is used

    return ProcessEngine(
        cache=settings.machine.cache, build_environment=settings.machine.child_environment
    )
