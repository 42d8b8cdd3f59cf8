"""The endpoint of a project: started, found, asked and stopped, as the commands do it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from devkit import config
from devkit.contract import LOCAL_REGION
from devkit.errors import ConfigError, DevkitError, EngineError, NotFound
from devkit.local_aws.environment import for_endpoint
from devkit.local_aws.state import AlreadyUp, Endpoint, Held, Kind, State, this_process

if TYPE_CHECKING:
    from devkit.config import Settings
    from devkit.local_aws.server import LocalAws
    from devkit.local_aws.services import Direct, Service
    from devkit.progress import Observer

_POLL_S = 0.02
_ANSWER_S = 5.0
# What the endpoint takes to stop: its servers have their grace after that of what is in flight, and
# jobs theirs and the time to collect what they have.
_STOPPING_S = 180.0
_KEY = "test"
_BEGINNING_S = 30.0
_EXITING_S = 2.0
_PROBE_S = 1
_NEEDED = ("moto", "flask", "flask_cors", "boto3", "regex", "airspeed", "jsonpath_ng", "jsonschema")


def require_installed(names: Sequence[str] = _NEEDED) -> None:
    """Make sure that what the endpoint is made of is there, before anything is begun.

    Raises:
        ConfigError: It is not.
    """
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the local AWS needs {', '.join(missing)}, which {_is(missing)} not installed",
            remedy="pip install 'devkit[local-aws]'",
        )


class Running:
    """An endpoint that runs in this process.

    Args:
        aws: It itself.
        endpoint: How commands know it.
        held: Tells them.
    """

    def __init__(self, aws: LocalAws, endpoint: Endpoint, held: Held) -> None:
        self.aws = aws
        self.endpoint = endpoint
        self._held = held

    def announce_gateway(self, url: str | None) -> None:
        """Say where the project's API is."""
        self.endpoint = replace(self.endpoint, gateway=url)
        self._held.announce(self.endpoint)


@contextmanager
def running(
    settings: Settings, state: State, *, port: int, kind: Kind, observer: Observer
) -> Iterator[Running]:
    """Run the endpoint of a project in this process until the end of the block.

    Args:
        settings: The project's.
        state: Its folder.
        port: On 127.0.0.1; 0 takes a free one.
        kind: For whom.
        observer: Is told what is not as one might expect, and of every request.

    Raises:
        AlreadyUp: It is up already.
        PortInUse: Another program listens there.
    """
    require_installed()
    from devkit.local_aws.server import LocalAws, Options  # noqa: PLC0415 - takes 0.3 s

    live = _live(settings, state, observer)
    with state.held() as held, ExitStack() as stack:
        options = Options(
            port=port,
            bridge=_bridge(settings, observer),
            journal=state.journal,
            s3_folder=state.s3_folder,
            direct=live.direct,
            services=live.services,
        )
        aws = stack.enter_context(LocalAws(options, on_event=observer.build_line))
        endpoint = Endpoint(
            url=aws.url,
            container_url=aws.url_for("docker"),
            pid=this_process(),
            started=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            kind=kind,
        )
        held.announce(endpoint)
        try:
            yield Running(aws, endpoint, held)
        finally:
            _withdraw(state, held, kind, observer)


def starter(
    settings: Settings, state: State, argv: Sequence[str], observer: Observer
) -> Callable[[], AbstractContextManager[Running]]:
    """What starts an endpoint for the length of the command that was given as ``argv``."""

    def start() -> AbstractContextManager[Running]:
        become_clean(argv)
        return running(settings, state, port=0, kind="exec", observer=observer)

    return start


def become_clean(argv: Sequence[str]) -> None:
    """Start this very command anew without the developer's AWS in its environment.

    moto asks boto3 for a session of its own now and then, and that reads whatever profile the
    environment names.
    """
    environ = config.process_environment()
    clean = for_endpoint(environ)
    if dict(environ) != clean:
        os.execve(sys.executable, _command(argv), clean)  # noqa: S606


def _command(argv: Sequence[str]) -> list[str]:
    """As this process was started; ``-m`` would look for modules in the current folder too."""
    if list(argv) == sys.argv[1:]:
        return [sys.executable, *sys.orig_argv[1:]]
    return [sys.executable, "-m", "devkit", *argv]


def wait_for_ever() -> None:
    """Until a signal comes."""
    while True:
        signal.pause()


@contextmanager
def for_a_command(
    state: State,
    start: Callable[[], AbstractContextManager[Running]],
    observer: Observer,
) -> Iterator[Endpoint]:
    """The endpoint that is up, or one that ``start`` makes for as long as the block lasts.

    Args:
        state: The project's folder.
        start: Gives a context manager, as :func:`running` does.
        observer: Is told that one is started.
    """
    deadline = time.monotonic() + _BEGINNING_S
    while True:
        with ExitStack() as stack:
            endpoint = _found(state, stack) or _started(start, stack, observer)
            if endpoint is not None:
                yield endpoint
                return
        if time.monotonic() > deadline:
            raise AlreadyUp(state.endpoint())
        time.sleep(_POLL_S)


def _found(state: State, stack: ExitStack) -> Endpoint | None:
    """The endpoint that is up; it stays for as long as the stack."""
    with ExitStack() as using:
        stays = using.enter_context(state.used())
        endpoint = state.endpoint() if stays else None
        if endpoint is not None:
            stack.push(using.pop_all())
        return endpoint


def _started(
    start: Callable[[], AbstractContextManager[Running]],
    stack: ExitStack,
    observer: Observer,
) -> Endpoint | None:
    """A new endpoint; ``None`` where another one begins or ends at this moment."""
    try:
        endpoint = stack.enter_context(start()).endpoint
    except AlreadyUp:
        return None
    observer.note(f"local AWS at {endpoint.url}, until the command ends")
    return endpoint


def status(state: State) -> tuple[Endpoint, Mapping[str, Any]]:
    """The endpoint that is up, and what it says of itself.

    Raises:
        NotFound: None is up.
        DevkitError: It does not answer.
    """
    endpoint = state.endpoint()
    if endpoint is None:
        raise NotFound("the local AWS of this project is not up", remedy="devkit up starts it")
    try:
        return endpoint, _ask(endpoint.url)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _no_answer(endpoint, error) from None


def stop_job(state: State, name: str, region: str) -> None:
    """Have the endpoint that is up stop one of its training jobs; it ends some time later.

    One that has ended meanwhile is no error.

    Raises:
        DevkitError: The endpoint does not answer.
    """
    endpoint = state.endpoint()
    if endpoint is not None:
        _call(endpoint, "sagemaker", "SageMaker.StopTrainingJob", {"TrainingJobName": name}, region)


def register_image(state: State, name: str, image_id: str) -> None:
    """Let the ECR of the endpoint that is up know an image; nothing where none is up.

    Raises:
        DevkitError: The endpoint does not answer.
    """
    from devkit.local_aws import ecr  # noqa: PLC0415 - only where it is needed

    endpoint = state.endpoint()
    for operation, parameters in () if endpoint is None else ecr.registration(name, image_id):
        assert endpoint is not None  # noqa: S101 - there are no calls without one
        _call(endpoint, ecr.SERVICE, f"{ecr.TARGET}.{operation}", parameters, LOCAL_REGION)


def stop(state: State) -> Endpoint | None:
    """Stop the endpoint, and wait until it has ended; ``None`` where none was up.

    Raises:
        DevkitError: It does not end.
    """
    endpoint = state.endpoint()
    if endpoint is None:
        return None
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(endpoint.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOPPING_S
    while state.is_held():
        if time.monotonic() > deadline:
            raise DevkitError(
                f"the local AWS at {endpoint.url} does not end",
                remedy=f"kill -9 {endpoint.pid}; nothing that it holds is lost",
            )
        time.sleep(_POLL_S)
    _await_exit(endpoint.pid)
    return endpoint


def _await_exit(pid: int) -> None:
    """Wait a moment for a process that has nothing left to do but to exit."""
    deadline = time.monotonic() + _EXITING_S
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(_POLL_S)


@dataclass(frozen=True)
class _Live:
    """What answers for real in a project's endpoint, besides STS and IAM."""

    services: Sequence[Service]
    direct: Sequence[Direct]


def _live(settings: Settings, state: State, observer: Observer) -> _Live:
    from devkit.engines.process import homes_of  # noqa: PLC0415 - likewise
    from devkit.local_aws.ecr import Repositories  # noqa: PLC0415 - likewise
    from devkit.local_aws.gateway.service import gateway  # noqa: PLC0415 - likewise
    from devkit.local_aws.lambda_.runner import Kit  # noqa: PLC0415 - imports aiohttp
    from devkit.local_aws.lambda_.service import Lambda  # noqa: PLC0415 - likewise
    from devkit.local_aws.sagemaker.service import live  # noqa: PLC0415 - imports botocore
    from devkit.local_aws.sagemaker.workshop import of_project  # noqa: PLC0415 - likewise
    from devkit.local_aws.traces import Traces  # noqa: PLC0415 - likewise

    workshop = of_project(settings, observer)
    traces = Traces()
    sagemaker, runtime = live(state.sagemaker, workshop, observer, traces.add)
    functions = Lambda(
        Kit(
            folder=state.functions,
            workshop=workshop,
            homes=homes_of(settings.machine.child_environment),
            observer=observer,
            on_span=traces.add,
        )
    )
    front = gateway(functions, on_span=traces.add)
    return _Live([Repositories(), sagemaker, functions, front, runtime], [runtime, front, traces])


def _bridge(settings: Settings, observer: Observer) -> str | None:
    """Where containers of the docker engine reach this machine, where that engine is in use."""
    if settings.engine == "process":
        return None
    from devkit.engines.docker_connection import (  # noqa: PLC0415 - takes 0.2 s
        DockerSettings,
        bridge_address,
    )

    machine = settings.machine
    docker = DockerSettings(
        host=machine.docker_host,
        context=machine.docker_context,
        tls_verify=machine.docker_tls_verify,
        cert_path=machine.docker_cert_path,
    )
    try:
        return bridge_address(docker, timeout_s=_PROBE_S)
    except EngineError as error:
        if settings.engine == "docker":
            observer.note(f"containers cannot reach the local AWS: {error.message}")
        return None


def _withdraw(state: State, held: Held, kind: Kind, observer: Observer) -> None:
    """Be found no more; one that belongs to a command stays while other commands use it."""
    if kind == "up":
        held.withdraw()
        return
    with state.unused(lambda: observer.note("another devkit exec uses this local AWS: waiting")):
        held.withdraw()


def _ask(url: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_exchange(url, "GET", "/_devkit/status"))
    return document


def _call(
    endpoint: Endpoint, service: str, target: str, parameters: Mapping[str, Any], region: str
) -> None:
    """Call an operation; whether it can be done is the endpoint's affair."""
    scope = f"{_KEY}/20260101/{region}/{service}/aws4_request"
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": target,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none",
    }
    try:
        _exchange(endpoint.url, "POST", "/", json.dumps(parameters), headers)
    except (OSError, http.client.HTTPException) as error:
        raise _no_answer(endpoint, error) from None


def _exchange(
    url: str,
    method: str,
    path: str,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        str(parts.hostname), parts.port or 80, timeout=_ANSWER_S
    )
    try:
        connection.request(method, path, body, headers or {})
        return connection.getresponse().read()
    finally:
        connection.close()


def _no_answer(endpoint: Endpoint, error: Exception) -> DevkitError:
    return DevkitError(
        f"the local AWS at {endpoint.url} (process {endpoint.pid}) does not answer: {error}",
        remedy="devkit down stops it",
    )


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
