"""A container of the docker engine: its output, its end, its folders."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import IO, Any

import docker
import requests
from docker.errors import APIError
from docker.errors import NotFound as DockerNotFound

from devkit.engines.base import Address, ProgramFile
from devkit.engines.docker_connection import engine_errors
from devkit.errors import EngineError

_HEAD_BYTES = 4096
_ARCHIVE_CHUNK_BYTES = 1024 * 1024
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A container is removed in the background now and then; this is how long that may take.
_REMOVAL_TIMEOUT_S = 30
_CONFLICT = 409


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

    def address(self, port: int) -> Address | None:
        """Where one of its ports is published."""
        published = self._inspect()["NetworkSettings"]["Ports"] or {}
        for binding in published.get(f"{port}/tcp") or ():
            return Address(binding["HostIp"], int(binding["HostPort"]))
        return None

    def lines(self) -> Iterator[str]:
        """All its output, live."""
        with engine_errors("follow the container's output"):
            yield from _lines(self._output())

    def exit_code(self) -> int | None:
        """Its exit code, or ``None`` while it runs."""
        state = self._inspect()["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for its end."""
        with engine_errors("wait for the container"):
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
        with engine_errors("signal the container"):
            try:
                self._client.kill(self.identifier, signal=signum)
            except APIError as error:
                if error.status_code not in (_CONFLICT, 404):  # it has ended, or is gone
                    raise

    def stop(self, grace_s: float) -> int:
        """``docker stop``: its stop signal (SIGTERM), then SIGKILL after the grace."""
        with engine_errors("stop the container"):
            self._client.stop(self.identifier, timeout=max(0, round(grace_s)))
        return self.wait() or 0

    @contextmanager
    def read_folder(self, target: str) -> Iterator[IO[bytes]]:
        """A folder as a tar stream, straight from the engine."""
        with engine_errors(f"read {target} from the container"):
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
        with engine_errors("remove the container"):
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
        container said last (Docker 20.10 does, now and then). Once it has ended, all is there.
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
        with engine_errors("look at the container"):
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
        with (
            io.BufferedReader(_ChunkReader(chunks)) as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            member = tar.next()
            content = tar.extractfile(member) if member and member.isreg() else None
            head = content.read(_HEAD_BYTES) if content else b""
        return ProgramFile(path, int(stat["mode"]) & 0o777, head)


class _ChunkReader(io.RawIOBase):
    """The chunks of a response as a readable stream.

    Closing it ends the request: until then the engine holds the container for it, and answers
    nothing else about that container.
    """

    def __init__(self, chunks: Generator[bytes, None, None]) -> None:
        self._chunks = chunks
        self._rest = b""

    def close(self) -> None:
        self._chunks.close()
        super().close()

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
