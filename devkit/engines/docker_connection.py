"""Where the Docker engine is, and what it says when something is wrong, translated once."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import docker
import requests
from docker.errors import APIError, DockerException

from devkit.errors import EngineError


@dataclass(frozen=True, kw_only=True)
class DockerSettings:
    """Where the engine is: ``DOCKER_HOST`` and its companions, else the current context."""

    host: str | None = None
    context: str | None = None
    tls_verify: bool = False
    cert_path: Path | None = None


def endpoint(settings: DockerSettings) -> tuple[str, docker.tls.TLSConfig | bool]:
    """The engine's URL and TLS configuration, in the order the docker command looks."""
    if settings.host:
        return settings.host, _tls(settings)
    context = (
        docker.ContextAPI.get_context(settings.context)
        if settings.context
        else (docker.ContextAPI.get_current_context())
    )
    if context is None:
        raise EngineError(f"there is no Docker context named {settings.context!r}")
    host = context.Host or "unix:///var/run/docker.sock"
    return host.replace("http+unix://", "unix://"), context.TLSConfig or False


def _tls(settings: DockerSettings) -> docker.tls.TLSConfig | bool:
    if not settings.tls_verify and settings.cert_path is None:
        return False
    folder = settings.cert_path or Path.home() / ".docker"
    return docker.tls.TLSConfig(
        client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")),
        ca_cert=str(folder / "ca.pem"),
        verify=settings.tls_verify,
    )


def require_local(host: str) -> None:
    """Folders are mounted and ports published on loopback: the engine must be on this machine."""
    parts = urlsplit(host)
    if parts.scheme in ("tcp", "http", "https", "ssh") and parts.hostname not in (
        "127.0.0.1",
        "localhost",
        "::1",
    ):
        raise EngineError(
            f"the Docker engine at {host} is on another machine, where it can neither mount this "
            "machine's folders nor publish a port on its 127.0.0.1",
            remedy="use an engine on this machine (unset DOCKER_HOST, or docker context use "
            "default), or --engine process",
        )


def unreachable(host: str, error: Exception) -> EngineError:
    """Why an engine does not answer, and what to do."""
    if "Permission denied" in str(error):
        return EngineError(
            f"the Docker engine at {host} refuses this user: permission denied",
            remedy="join its group (sudo usermod -aG docker $USER, then log in again), or use "
            "--engine process",
        )
    return EngineError(
        f"no Docker engine answers at {host}: {_root_cause(error)}",
        remedy="start Docker, set DOCKER_HOST or a Docker context, or use --engine process",
    )


def _root_cause(error: BaseException) -> str:
    """The innermost reason: what surrounds it repeats it in three wrappings."""
    while True:
        inner = error.__cause__ or error.__context__
        if inner is None:
            break
        error = inner
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Translate what the SDK raises, once, at the edge."""
    try:
        yield
    except (APIError, DockerException) as error:
        reason = getattr(error, "explanation", None) or str(error)
        raise EngineError(f"the Docker engine could not {what}: {reason}") from error
    except requests.RequestException as error:
        raise EngineError(
            f"the Docker engine went away while devkit tried to {what}: {_root_cause(error)}",
            remedy="see that Docker runs; the next devkit command finishes what was under way",
        ) from error


def bridge_address(settings: DockerSettings, *, timeout_s: int) -> str | None:
    """The address at which containers on the engine's default bridge reach the engine's host.

    Returns:
        The address, or ``None`` where the engine has no such bridge.

    Raises:
        EngineError: No engine on this machine answers.
    """
    host = "?"
    try:
        host, tls = endpoint(settings)
        require_local(host)
        client = docker.APIClient(base_url=host, tls=tls, version="auto", timeout=timeout_s)
        try:
            bridge = client.inspect_network("bridge")
        finally:
            client.close()
    except docker.errors.NotFound:
        return None
    except (DockerException, requests.RequestException, OSError, KeyError) as error:
        raise unreachable(host, error) from error
    configs = (bridge.get("IPAM") or {}).get("Config") or ()
    return next((address for each in configs if (address := _gateway(each)) is not None), None)


def _gateway(config: Mapping[str, str]) -> str | None:
    """Its address; where the engine does not tell, the one that engines take: the first."""
    if config.get("Gateway"):
        return config["Gateway"]
    network = ipaddress.ip_network(config.get("Subnet", "::/0"))
    return str(network[1]) if network.version == 4 else None  # noqa: PLR2004 - IPv4
