"""The docker engine: images and containers through the Docker SDK, whatever engine answers.

``docker`` is imported by this module and its neighbours alone. No ``docker`` binary and no
Compose is used.

A container's writable folders are volumes of its own, filled and read through the engine's archive
API: what a program writes as root never becomes a root-owned file on the host.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from docker.errors import NotFound as DockerNotFound
from docker.types import DeviceRequest, LogConfig, Mount
from docker.utils.build import tar

from devkit.engines import docker_network, docker_push
from devkit.engines.base import (
    BuildRequest,
    Container,
    ContainerSpec,
    EngineName,
    Image,
    Limits,
    Network,
    OnLine,
    StartRefused,
)
from devkit.engines.docker_connection import (
    DockerSettings,
    endpoint,
    engine_errors,
    require_local,
    unreachable,
)
from devkit.engines.docker_container import DockerContainer
from devkit.engines.docker_push import Credentials, ImageFacts, Manifest
from devkit.engines.tar_stream import seed_chunks
from devkit.errors import BuildError, EngineError, NotFound
from devkit.signals import held_back

__all__ = ["DockerEngine", "DockerSettings", "connect"]

_TAIL_LINES = 30
# What an engine says that has no NVIDIA runtime, likewise one that looks for CDI, and NVIDIA's
# runtime where there is no driver or no such GPU.
_NO_GPUS = ("could not select device driver", "GPU vendor", "nvidia-container-cli")


def connect(settings: DockerSettings, *, timeout_s: int) -> DockerEngine:
    """Find the engine and make sure that it answers within ``timeout_s`` seconds.

    Raises:
        EngineError: None is configured, it does not answer, or this user may not talk to it.
    """
    host = "?"
    try:
        host, tls = endpoint(settings)
        require_local(host)
        probe = docker.APIClient(base_url=host, tls=tls, version="auto", timeout=timeout_s)
        probe.ping()
        probe.close()
        client = docker.APIClient(base_url=host, tls=tls, version=probe.api_version)
    except (DockerException, requests.RequestException, OSError, KeyError) as error:
        raise unreachable(host, error) from error
    return DockerEngine(client, host)


class DockerEngine:
    """An :class:`~devkit.engines.base.Engine` over a Docker-compatible socket."""

    name: EngineName = "docker"

    def __init__(self, client: docker.APIClient, host: str) -> None:
        self._client = client
        self._host = host

    def describe(self) -> str:
        """The engine in one phrase: version and address."""
        with engine_errors("ask the engine for its version"):
            version = self._client.version()
        return f"Docker Engine {version.get('Version', '?')} at {self._host}"

    def build(self, request: BuildRequest, on_line: OnLine) -> Image:
        """Build the image of a project; see :class:`~devkit.engines.base.Engine`."""
        if not (request.context / "Dockerfile").is_file():
            raise BuildError(
                f"there is no Dockerfile in {request.context}",
                remedy="set [image] context in devkit.toml to the folder that has it",
            )
        with engine_errors("build the image"), build_context(request.context) as context:
            events = self._client.build(
                fileobj=context,
                custom_context=True,
                tag=request.tag,
                buildargs=dict(request.build_args),
                platform=request.platform,
                decode=True,
                rm=True,
                forcerm=True,
            )
            _follow_build(events, on_line)
        return self.image(request.tag)

    def image(self, reference: str) -> Image:
        """An image the engine has; nothing is pulled."""
        with engine_errors(f"look at image {reference}"):
            try:
                found = self._client.inspect_image(reference)  # type: ignore[no-untyped-call]
            except ImageNotFound:
                raise NotFound(
                    f"the engine has no image {reference!r}",
                    remedy=f"build it, or fetch it first: docker pull {reference}",
                ) from None
        return Image(reference=reference, id=found["Id"])

    def facts(self, image: Image) -> ImageFacts:
        """The processor an image is for, and where it has been pushed to."""
        return docker_push.facts(self._client, image)

    def push(
        self,
        image: Image,
        repository: str,
        tag: str,
        credentials: Credentials | None,
        on_line: OnLine,
    ) -> None:
        """Push an image; every line of progress goes to ``on_line`` as it comes.

        Raises:
            EngineError: The registry does not take it.
        """
        docker_push.push(self._client, image, repository, tag, credentials, on_line)

    def manifest(self, reference: str, credentials: Credentials | None) -> Manifest | None:
        """What a registry has under a name; ``None`` where that is nothing.

        Raises:
            EngineError: The registry does not answer, or does not let this user look.
        """
        return docker_push.manifest(self._client, reference, credentials)

    def start(self, spec: ContainerSpec) -> Container:
        """Create and start a container; see :class:`~devkit.engines.base.Engine`."""
        identifier = self._create(spec)
        container = DockerContainer(self._client, identifier)
        try:
            self._fill(identifier, spec)
            self._start(container, spec)
        except BaseException:
            container.remove()
            raise
        return container

    def require_hosts(self, count: int) -> None:
        """Any number will do."""

    def create_network(
        self, name: str, hosts: Sequence[str], labels: Mapping[str, str], *, isolated: bool
    ) -> Network:
        """A bridge network with a fixed address for each host."""
        with engine_errors(f"create the network {name}"), held_back():
            return docker_network.create(
                self._client, name, hosts, labels=dict(labels), isolated=isolated
            )

    def remove_network(self, name: str) -> None:
        """Remove it by its name."""
        with engine_errors(f"remove the network {name}"), suppress(DockerNotFound):
            self._client.remove_network(name)

    def reopen(self, name: str, run_folder: Path) -> Container | None:  # noqa: ARG002 - the name is enough
        """A container left behind by a devkit that was killed."""
        with engine_errors(f"look for container {name}"):
            try:
                found = self._client.inspect_container(name)
            except DockerNotFound:
                return None
        container = DockerContainer(self._client, found["Id"])
        if found["State"]["Status"] == "created":  # devkit was killed before it started it
            container.remove()
            return None
        return container

    def _create(self, spec: ContainerSpec) -> str:
        limits = spec.limits
        host_config = self._client.create_host_config(
            mounts=_mounts(spec),
            port_bindings={port.number: ("127.0.0.1", None) for port in spec.ports},
            mem_limit=limits.memory_bytes,
            nano_cpus=None if limits.cpus is None else int(limits.cpus * 1e9),
            shm_size=limits.shm_bytes,
            network_mode=None if spec.network is None else spec.network.name,
            extra_hosts=None if spec.network is None else dict(spec.network.addresses),
            device_requests=_gpus(limits),
            # Logs must be readable whatever the engine's default driver is.
            log_config=LogConfig(type=LogConfig.types.JSON),
        )
        # Broken off, the engine would make a container that nobody knows of.
        with engine_errors(f"create a container from {spec.image.reference}"), held_back():
            try:
                created = self._client.create_container(
                    spec.image.id,
                    command=list(spec.command),
                    entrypoint=None if spec.entrypoint is None else list(spec.entrypoint),
                    environment=dict(spec.environment),
                    hostname=spec.hostname,
                    ports=[port.number for port in spec.ports],
                    labels=dict(spec.labels),
                    name=spec.name,
                    host_config=host_config,
                    networking_config=self._networking(spec),
                    platform=spec.image.platform,
                    use_config_proxy=False,  # a container gets what SageMaker gives it
                )
            except APIError as error:
                _explain_create(error, spec)
        return str(created["Id"])

    def _networking(self, spec: ContainerSpec) -> Any:
        """The container's place in a network of its own."""
        network, host = spec.network, spec.hostname
        if network is None or host is None or network.name == docker_network.NONE:
            return None
        endpoint = self._client.create_endpoint_config(
            aliases=[host], ipv4_address=network.addresses[host]
        )
        return self._client.create_networking_config(
            {network.name: endpoint}  # type: ignore[arg-type]  # a mapping, as its docstring says
        )

    def _fill(self, identifier: str, spec: ContainerSpec) -> None:
        if spec.folders:
            seed = seed_chunks(
                [(folder.source, folder.target) for folder in spec.folders],
                {mount.target for mount in spec.mounts},
            )
            with engine_errors("write the container's /opt/ml"):
                self._client.put_archive(identifier, "/", seed)

    def _start(self, container: DockerContainer, spec: ContainerSpec) -> None:
        with engine_errors(f"start a container from {spec.image.reference}"):
            try:
                self._client.start(container.identifier)
            except APIError as error:
                detail = error.explanation or str(error)
                if spec.limits.gpus is not None and any(text in detail for text in _NO_GPUS):
                    raise gpus_refused(detail) from error
                program = next(iter((*(spec.entrypoint or ()), *spec.command)), "")
                if "exec:" in detail or "exec format error" in detail:
                    raise StartRefused(
                        _exec_detail(detail), container.read_program(program)
                    ) from None
                raise


def _gpus(limits: Limits) -> list[DeviceRequest] | None:
    """As ``docker run --gpus``."""
    if limits.gpus is None:
        return None
    count = -1 if limits.gpus == "all" else limits.gpus
    return [DeviceRequest(count=count, capabilities=[["gpu"]])]


def gpus_refused(detail: str) -> EngineError:
    """Why an engine gives a container no GPU, and what to do."""
    return EngineError(
        f"the Docker engine has no GPU to give to the container: {detail}",
        remedy="install the NVIDIA driver and the NVIDIA Container Toolkit where the engine runs, "
        "or take gpus out of the settings",
    )


def _mounts(spec: ContainerSpec) -> list[Mount]:
    volumes = [
        # no_copy: what the image has there is hidden, as it is in SageMaker (§1.1).
        Mount(
            target=folder.target,
            source=None,
            type="volume",
            no_copy=True,
            labels=dict(spec.labels),
        )
        for folder in spec.folders
    ]
    binds = [
        Mount(target=mount.target, source=str(mount.source), type="bind", read_only=True)
        for mount in spec.mounts
    ]
    return volumes + binds + _program_mount(spec.image)


def _program_mount(image: Image) -> list[Mount]:
    """The program folder of the host over the image's own, where one is asked for."""
    if image.program is None or image.program_path is None:
        return []
    return [
        Mount(target=image.program_path, source=str(image.program), type="bind", read_only=True)
    ]


@contextmanager
def build_context(folder: Path) -> Iterator[IO[bytes]]:
    """A build's context as a tar, without what ``.dockerignore`` names.

    In a file without a name: the one that the SDK would make stays behind where devkit is killed.
    """
    ignored = folder / ".dockerignore"
    lines = ignored.read_text("utf-8").splitlines() if ignored.is_file() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    with tempfile.TemporaryFile() as context:
        tar(folder, exclude=patterns, dockerfile=("Dockerfile", None), fileobj=context)
        context.seek(0)
        yield context


def _follow_build(events: Iterable[Mapping[str, Any]], on_line: OnLine) -> None:
    tail: list[str] = []
    try:
        for event in events:
            for line in _build_lines(event):
                on_line(line)
                tail = [*tail[-_TAIL_LINES:], line]
            if "error" in event:
                raise BuildError(
                    f"the image did not build: {str(event['error']).strip()}", log_tail=tail
                )
    except json.JSONDecodeError as error:
        raise BuildError(f"the engine's answer broke off: {error}", log_tail=tail) from error


def _build_lines(event: Mapping[str, Any]) -> list[str]:
    if "stream" in event:
        return [line for line in str(event["stream"]).splitlines() if line.strip()]
    if "status" in event and "progressDetail" not in event:
        return [f"{event.get('id', '')} {event['status']}".strip()]
    return []


def _explain_create(error: APIError, spec: ContainerSpec) -> NoReturn:
    detail = error.explanation or str(error)
    if "bind source path does not exist" in detail:
        raise EngineError(
            f"the Docker engine does not see this machine's folders: {detail}",
            remedy="share the folder with the engine (Docker Desktop: Settings → Resources → File "
            "sharing), or use --engine process",
        ) from error
    if "no command specified" in detail.lower():
        raise StartRefused(f"image {spec.image.reference} names nothing to run", None) from error
    raise error


def _exec_detail(detail: str) -> str:
    """``exec: "train": …`` out of what the container runtime wraps it in."""
    _, found, rest = detail.partition("exec: ")
    return f"exec: {rest}".removesuffix(": unknown") if found else detail
