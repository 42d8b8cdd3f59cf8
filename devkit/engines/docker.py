"""The docker engine: images and containers through the Docker SDK, whatever engine answers.

The only module that imports ``docker``. No ``docker`` binary and no Compose is used.

A container's writable folders are volumes of its own, filled and read through the engine's archive
API: what a program writes as root never becomes a root-owned file on the host.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, NoReturn
from urllib.parse import urlsplit

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from docker.errors import NotFound as DockerNotFound
from docker.types import LogConfig, Mount

from devkit.engines.base import (
    Address,
    BuildRequest,
    Container,
    ContainerSpec,
    EngineName,
    Folder,
    Image,
    OnLine,
    ProgramFile,
    StartRefused,
)
from devkit.errors import BuildError, EngineError, NotFound, PortInUse
from devkit.signals import held_back

_HEAD_BYTES = 4096
_TAIL_LINES = 30
_ARCHIVE_CHUNK_BYTES = 1024 * 1024
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A container is removed in the background now and then; this is how long that may take.
_REMOVAL_TIMEOUT_S = 30
_CONFLICT = 409


@dataclass(frozen=True, kw_only=True)
class DockerSettings:
    """Where the engine is: ``DOCKER_HOST`` and its companions, else the current context."""

    host: str | None = None
    context: str | None = None
    tls_verify: bool = False
    cert_path: Path | None = None


def connect(settings: DockerSettings, *, timeout_s: int) -> DockerEngine:
    """Find the engine and make sure that it answers within ``timeout_s`` seconds.

    Raises:
        EngineError: None is configured, it does not answer, or this user may not talk to it.
    """
    host = "?"
    try:
        host, tls = _endpoint(settings)
        _require_local(host)
        probe = docker.APIClient(base_url=host, tls=tls, version="auto", timeout=timeout_s)
        probe.ping()
        probe.close()
        client = docker.APIClient(base_url=host, tls=tls, version=probe.api_version)
    except (DockerException, requests.RequestException, OSError, KeyError) as error:
        raise _unreachable(host, error) from error
    return DockerEngine(client, host)


class DockerEngine:
    """An :class:`~devkit.engines.base.Engine` over a Docker-compatible socket."""

    name: EngineName = "docker"

    def __init__(self, client: docker.APIClient, host: str) -> None:
        self._client = client
        self._host = host

    def describe(self) -> str:
        """The engine in one phrase: version and address."""
        with _engine_errors("ask the engine for its version"):
            version = self._client.version()
        return f"Docker Engine {version.get('Version', '?')} at {self._host}"

    def build(self, request: BuildRequest, on_line: OnLine) -> Image:
        """Build the image of a project; see :class:`~devkit.engines.base.Engine`."""
        if not (request.context / "Dockerfile").is_file():
            raise BuildError(
                f"there is no Dockerfile in {request.context}",
                remedy="set [image] context in devkit.toml to the folder that has it",
            )
        with _engine_errors("build the image"):
            events = self._client.build(
                path=str(request.context),
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
        with _engine_errors(f"look at image {reference}"):
            try:
                found = self._client.inspect_image(reference)  # type: ignore[no-untyped-call]
            except ImageNotFound:
                raise NotFound(
                    f"the engine has no image {reference!r}",
                    remedy=f"build it, or fetch it first: docker pull {reference}",
                ) from None
        return Image(reference=reference, id=found["Id"])

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

    def reopen(self, name: str, run_folder: Path) -> Container | None:  # noqa: ARG002 - the name is enough
        """A container left behind by a devkit that was killed."""
        with _engine_errors(f"look for container {name}"):
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
        ports: dict[int | str, Any] = (
            {}
            if spec.container_port is None
            else {f"{spec.container_port}/tcp": ("127.0.0.1", spec.host_port or None)}
        )
        host_config = self._client.create_host_config(
            mounts=_mounts(spec),
            port_bindings=ports,
            mem_limit=limits.memory_bytes,
            nano_cpus=None if limits.cpus is None else int(limits.cpus * 1e9),
            shm_size=limits.shm_bytes,
            # Logs must be readable whatever the engine's default driver is.
            log_config=LogConfig(type=LogConfig.types.JSON),
        )
        # Broken off, the engine would make a container that nobody knows of.
        with _engine_errors(f"create a container from {spec.image.reference}"), held_back():
            try:
                created = self._client.create_container(
                    spec.image.id,
                    command=list(spec.command),
                    entrypoint=None if spec.entrypoint is None else list(spec.entrypoint),
                    environment=dict(spec.environment),
                    hostname=spec.hostname,
                    ports=[] if spec.container_port is None else [spec.container_port],
                    labels=dict(spec.labels),
                    name=spec.name,
                    host_config=host_config,
                    platform=spec.image.platform,
                    use_config_proxy=False,  # a container gets what SageMaker gives it
                )
            except APIError as error:
                _explain_create(error, spec)
        return str(created["Id"])

    def _fill(self, identifier: str, spec: ContainerSpec) -> None:
        if spec.folders:
            mounted = {mount.target for mount in spec.mounts}
            with _engine_errors("write the container's /opt/ml"):
                self._client.put_archive(identifier, "/", _seed(spec.folders, mounted))

    def _start(self, container: DockerContainer, spec: ContainerSpec) -> None:
        with _engine_errors(f"start a container from {spec.image.reference}"):
            try:
                self._client.start(container.identifier)
            except APIError as error:
                detail = error.explanation or str(error)
                if "port is already allocated" in detail or "address already in use" in detail:
                    raise PortInUse(spec.host_port) from None
                program = next(iter((*(spec.entrypoint or ()), *spec.command)), "")
                if "exec:" in detail or "exec format error" in detail:
                    raise StartRefused(
                        _exec_detail(detail), container.read_program(program)
                    ) from None
                raise


class DockerContainer:
    """An :class:`~devkit.engines.base.Container` of the docker engine."""

    def __init__(self, client: docker.APIClient, identifier: str) -> None:
        self._client = client
        self.identifier = identifier

    @property
    def name(self) -> str:
        """Its name."""
        return str(self._inspect()["Name"]).lstrip("/")

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        labels: Mapping[str, str] = self._inspect()["Config"]["Labels"] or {}
        return labels

    def address(self) -> Address | None:
        """Where its port is published."""
        for bindings in (self._inspect()["NetworkSettings"]["Ports"] or {}).values():
            for binding in bindings or ():
                return Address(binding["HostIp"], int(binding["HostPort"]))
        return None

    def lines(self) -> Iterator[str]:
        """All its output, live."""
        with _engine_errors("follow the container's output"):
            yield from _lines(self._output())

    def exit_code(self) -> int | None:
        """Its exit code, or ``None`` while it runs."""
        state = self._inspect()["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for its end."""
        with _engine_errors("wait for the container"):
            try:
                ended = self._client.wait(
                    self.identifier,
                    timeout=timeout_s,  # type: ignore[arg-type]  # requests takes fractions
                )
                return int(ended["StatusCode"])
            except requests.Timeout:
                return None
            except requests.ConnectionError as error:
                if timeout_s is not None and "Read timed out" in str(error):
                    return None
                raise

    def signal(self, signum: int) -> None:
        """Send a signal to its main process."""
        with _engine_errors("signal the container"):
            try:
                self._client.kill(self.identifier, signal=signum)
            except APIError as error:
                if error.status_code not in (_CONFLICT, 404):  # it has ended, or is gone
                    raise

    def stop(self, grace_s: float) -> int:
        """``docker stop``: its stop signal (SIGTERM), then SIGKILL after the grace."""
        with _engine_errors("stop the container"):
            self._client.stop(self.identifier, timeout=max(0, round(grace_s)))
        return self.wait() or 0

    @contextmanager
    def read_folder(self, target: str) -> Iterator[IO[bytes]]:
        """A folder as a tar stream, straight from the engine."""
        with _engine_errors(f"read {target} from the container"):
            chunks, _ = self._client.get_archive(
                self.identifier, f"{target}/.", chunk_size=_ARCHIVE_CHUNK_BYTES
            )
            stream = io.BufferedReader(_ChunkReader(chunks), _ARCHIVE_CHUNK_BYTES)
            with stream:
                yield stream

    def read_program(self, program: str) -> ProgramFile | None:
        """The file that the container's PATH leads to."""
        with suppress(EngineError):
            config = self._inspect()["Config"]
            environment = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
            return self._find_program(
                program, environment.get("PATH", _DEFAULT_PATH), config.get("WorkingDir") or "/"
            )
        return None

    def remove(self) -> None:
        """Remove it with its volumes, running or not."""
        with _engine_errors("remove the container"):
            try:
                self._client.remove_container(self.identifier, v=True, force=True)
            except DockerNotFound:
                return
            except APIError as error:
                if error.status_code != _CONFLICT:
                    raise
                with suppress(APIError):  # somebody else is removing it: wait until it is gone
                    self._client.wait(
                        self.identifier, timeout=_REMOVAL_TIMEOUT_S, condition="removed"
                    )

    def _output(self) -> Iterator[bytes]:
        """Its output as it comes, and then what the engine left out of it.

        Engines may end the stream they are followed on before they have written down what a
        container said last (Docker 20.10 does, now and then); once it has ended, all of it is there.
        """
        given = 0
        for chunk in self._logs(follow=True):
            given += len(chunk)
            yield chunk
        self._client.wait(self.identifier)
        for chunk in self._logs(follow=False):
            yield chunk[given:]
            given = max(0, given - len(chunk))

    def _logs(self, *, follow: bool) -> Iterator[bytes]:
        chunks: Iterator[bytes] = self._client.logs(
            self.identifier, stdout=True, stderr=True, stream=True, follow=follow
        )
        return chunks

    def _inspect(self) -> dict[str, Any]:
        with _engine_errors("look at the container"):
            found: dict[str, Any] = self._client.inspect_container(self.identifier)
            return found

    def _find_program(self, program: str, path: str, workdir: str) -> ProgramFile | None:
        folders = path.split(":") if "/" not in program else [""]
        for folder in folders:
            candidate = str(PurePosixPath(workdir, folder, program))
            found = self._read_file(candidate)
            if found is not None:
                return found
        return None

    def _read_file(self, path: str) -> ProgramFile | None:
        try:
            chunks, stat = self._client.get_archive(self.identifier, path)
        except DockerNotFound:
            return None
        with tarfile.open(fileobj=io.BufferedReader(_ChunkReader(chunks)), mode="r|") as tar:
            member = tar.next()
            content = tar.extractfile(member) if member and member.isreg() else None
            head = content.read(_HEAD_BYTES) if content else b""
        return ProgramFile(path, int(stat["mode"]) & 0o777, head)


class _ChunkReader(io.RawIOBase):
    """The chunks of a response as a readable stream."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _endpoint(settings: DockerSettings) -> tuple[str, docker.tls.TLSConfig | bool]:
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


def _require_local(host: str) -> None:
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


def _unreachable(host: str, error: Exception) -> EngineError:
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
def _engine_errors(what: str) -> Iterator[None]:
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


def _mounts(spec: ContainerSpec) -> list[Mount]:
    volumes = [
        # no_copy: what the image has there is hidden, as it is in SageMaker (§1.1).
        Mount(target=folder.target, source=None, type="volume", no_copy=True)
        for folder in spec.folders
    ]
    binds = [
        Mount(target=mount.target, source=str(mount.source), type="bind", read_only=True)
        for mount in spec.mounts
    ]
    return volumes + binds


def _seed(folders: Iterable[Folder], mounted: set[str]) -> bytes:
    """The folders' content as a tar relative to ``/``; what is mounted over is left out."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in folders:
            root = PurePosixPath(folder.target)
            for path in (folder.source, *sorted(folder.source.rglob("*"))):
                target = root / path.relative_to(folder.source).as_posix()
                if str(target) not in mounted:
                    tar.add(path, arcname=str(target).lstrip("/"), recursive=False, filter=_as_root)
    return buffer.getvalue()


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755 if member.isdir() else 0o644
    return member


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


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest: list[bytes] = []
    for chunk in chunks:
        *complete, last = chunk.split(b"\n")
        for line in complete:
            yield b"".join([*rest, line]).decode("utf-8", errors="replace").removesuffix("\r")
            rest = []
        if last:
            rest.append(last)
    if rest:
        yield b"".join(rest).decode("utf-8", errors="replace")


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
