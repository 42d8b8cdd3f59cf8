"""Settings: flags over ``DEVKIT_*`` over ``devkit.toml`` over defaults, into frozen values.

Each layer is flattened to dotted keys (``train.hyperparameters.eta``); the layers are laid over
each other, and every key is read by the reader that ``schema`` names for it. The only reader of the
process's environment, which comes in as an argument.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devkit import schema
from devkit.channels.locations import Location, S3Uri
from devkit.channels.plan import InputMode
from devkit.engines.base import Gpus, Limits
from devkit.errors import ConfigError
from devkit.readers import ChannelSetting, InstanceGroupSetting, MetricSetting, Origin, Raw
from devkit.s3 import S3Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "devkit.toml"
DEFAULTS = "default"

Overrides = Mapping[str, object]
"""Dotted keys to values, as flags and the Python API give them."""


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """``[image]``: what to build, and what of it the process engine runs."""

    context: Path
    program: Path
    program_path: str
    requirements: Path | None
    tag: str
    platform: str | None
    build_args: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """``[train]``: a training job, apart from its name."""

    hyperparameters: Mapping[str, str]
    channels: tuple[ChannelSetting, ...]
    metrics: tuple[MetricSetting, ...]
    input_mode: InputMode
    """Of channels that do not say their own."""
    entrypoint: tuple[str, ...] | None
    arguments: tuple[str, ...] | None
    checkpoints: Location | None
    checkpoint_path: str
    instances: int
    instance_type: str
    instance_groups: tuple[InstanceGroupSetting, ...]
    network_isolation: bool
    max_run_s: int
    max_wait_s: int | None
    environment: Mapping[str, str]
    memory_bytes: int | None
    cpus: float | None
    shm_bytes: int
    gpus: Gpus | None

    @property
    def limits(self) -> Limits:
        """What the container may use."""
        return _limits(self)


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """``[serve]``: a server, apart from its name and model."""

    port: int
    profile: str
    environment: Mapping[str, str]
    startup_timeout_s: int
    memory_bytes: int | None
    cpus: float | None
    shm_bytes: int
    gpus: Gpus | None

    @property
    def limits(self) -> Limits:
        """What the container may use."""
        return _limits(self)


@dataclass(frozen=True, kw_only=True)
class InvokeSettings:
    """``[invoke]``: the request that ``devkit run`` and a bare ``devkit invoke`` make."""

    content_type: str
    data: str | None


@dataclass(frozen=True, kw_only=True)
class FunctionSettings:
    """``[lambda.NAME]``: a function of Lambda."""

    name: str
    source: Path
    """A folder, or an archive that ``devkit lambda package`` has made."""
    handler: str
    runtime: str
    memory_mb: int
    timeout_s: int
    environment: Mapping[str, str]
    reserved_concurrency: int | None
    """How many invocations at once; 0 takes the function out of service."""
    requirements: Path | None


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """``[gateway]``: an HTTP API before the functions."""

    name: str
    routes: Mapping[str, str]
    """The name of a function for each route key, such as ``POST /predict``."""
    cors_origins: tuple[str, ...]
    stage: str

    @property
    def first_route(self) -> tuple[str, str]:
        """The method and the path of a request that a route takes, if possible with a body."""
        keys = [key.partition(" ") for key in self.routes if "{" not in key]
        literal = [(method, path) for method, _, path in keys if path]
        for method, path in literal:
            if method in ("POST", "PUT", "PATCH", "ANY"):
                return ("POST" if method == "ANY" else method), path
        if "$default" in self.routes or not literal:
            return "POST", "/"
        return literal[0]


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """``[endpoint]``: a SageMaker endpoint of the newest model, for the functions to call."""

    name: str


@dataclass(frozen=True, kw_only=True)
class SageMakerSettings:
    """``[sagemaker]``: the SageMaker Python SDK, whose local mode is a target."""

    python: Path | None
    """An interpreter that has it; ``None``: devkit's own."""


@dataclass(frozen=True, kw_only=True)
class AwsSettings:
    """``[aws]``: an account of AWS, and what is used there; nothing here matters to other targets.

    What is ``None`` for want of a name is derived by :class:`devkit.targets.names.Names`.
    """

    region: str | None
    """``None``: the one of the profile, or of ``AWS_DEFAULT_REGION``."""
    profile: str | None
    """Of the user's own AWS configuration; ``None``: as AWS's own tools choose."""
    role: str | None
    """The execution role, by name or ARN."""
    bucket: str | None
    repository: str | None
    registry: str | None
    """A registry that stands for ECR, such as ``localhost:5000``."""
    train_instance: str
    serve_instance: str
    spot: bool
    max_wait_s: int | None
    """With :attr:`spot`: how long a job may take with all its waiting."""
    tags: Mapping[str, str]
    vpc_subnets: tuple[str, ...]
    vpc_security_groups: tuple[str, ...]
    kms_key: str | None
    """By id, ARN or alias; ``None``: AWS's own keys."""
    encrypt_between_containers: bool
    volume_gb: int
    checkpoint_uri: S3Uri | None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What comes from the machine's environment, whatever the project is."""

    docker_host: str | None = None
    docker_context: str | None = None
    docker_tls_verify: bool = False
    docker_cert_path: Path | None = None
    cache: Path
    """Where environments of the process engine are kept."""
    child_environment: Mapping[str, str] = field(default_factory=dict)
    """The environment for tools that devkit itself starts: without anything of AWS."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a command needs to know, resolved and checked."""

    root: Path
    """The project's folder: the one with ``devkit.toml``."""
    name: str
    engine: str
    target: str
    """Where jobs and servers go: ``local``, ``sagemaker-local`` or ``aws``."""
    image: ImageSettings
    train: TrainSettings
    serve: ServeSettings
    invoke: InvokeSettings
    s3: S3Settings
    functions: tuple[FunctionSettings, ...]
    """In the order of the file."""
    gateway: GatewaySettings | None
    endpoint: EndpointSettings | None
    aws: AwsSettings
    sagemaker: SageMakerSettings
    machine: Machine
    resolved: Mapping[str, Raw]
    """Every key that is set, with the value as given and where it comes from."""


def load(
    *,
    environ: Mapping[str, str],
    cwd: Path,
    root: Path | None = None,
    overrides: Overrides | None = None,
    project_required: bool = True,
) -> Settings:
    """Resolve the settings of a project.

    Args:
        environ: The environment.
        cwd: Where the command was given; relative paths of flags and variables count from here.
        root: The project's folder; else the nearest one at or above ``cwd`` with ``devkit.toml``.
        overrides: What flags say.
        project_required: Whether there must be a ``devkit.toml``; without one, ``cwd`` and the
            defaults are taken.

    Raises:
        ConfigError: A key is unknown, or a value is not what the key takes. All are named.
    """
    file = _find(cwd if root is None else cwd / root, above=root is None)
    if file is None and project_required:
        raise ConfigError(
            f"there is no {FILE_NAME} in {root or cwd}" + ("" if root else " or above it"),
            remedy=f"go to the project's folder, or make one here: touch {FILE_NAME} (every "
            "setting has a default), or name an image: --image NAME:TAG",
        )
    root = file.parent if file else (cwd if root is None else cwd / root).resolve()
    layers = [
        {} if file is None else _file_layer(file),
        _environment_layer(environ, cwd),
        _flatten(overrides or {}, Origin("flag", cwd)),
    ]
    resolved: dict[str, Raw] = {}
    for layer in layers:
        _lay_over(resolved, layer)
    return _build(root, resolved, machine(environ))


def process_environment() -> Mapping[str, str]:
    """The environment of this process; everyone else is given what they need of it."""
    return os.environ


def _limits(settings: TrainSettings | ServeSettings) -> Limits:
    return Limits(
        memory_bytes=settings.memory_bytes,
        cpus=settings.cpus,
        shm_bytes=settings.shm_bytes,
        gpus=settings.gpus,
    )


def _find(folder: Path, *, above: bool) -> Path | None:
    folder = folder.resolve()
    for candidate in (folder, *(folder.parents if above else ())):
        if (candidate / FILE_NAME).is_file():
            return candidate / FILE_NAME
    return None


def _file_layer(file: Path) -> dict[str, Raw]:
    try:
        with file.open("rb") as stream:
            document = tomllib.load(stream)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{file} is not valid TOML: {error}", remedy="mend the line it names"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
    return _flatten(document, Origin(file.name, file.parent))


def _environment_layer(environ: Mapping[str, str], cwd: Path) -> dict[str, Raw]:
    """``DEVKIT_SERVE_PORT`` is ``serve.port``; keys of a name of their own, and no tables."""
    layer = {}
    for key in schema.READERS:
        if key in schema.TABLES or "*" in key:
            continue
        for variable in (schema.variable(key), schema.SHORT_VARIABLES.get(key, "")):
            if environ.get(variable):
                layer[key] = Raw(environ[variable], Origin(variable, cwd), text=True)
    return layer


def _flatten(document: Mapping[str, object], origin: Origin, prefix: str = "") -> dict[str, Raw]:
    flat: dict[str, Raw] = {}
    for name, value in document.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and not schema.takes_tables(prefix):
            if schema.known_key(key) in schema.TABLES or not value:
                flat[key] = Raw({}, origin)
            flat |= _flatten(value, origin, f"{key}.")
        else:
            flat[key] = Raw(value, origin)
    return flat


def _lay_over(below: dict[str, Raw], above: Mapping[str, Raw]) -> None:
    """Later layers win key by key; a table keeps the entries that the later layer does not name."""
    for key, raw in above.items():
        if schema.is_table(key) and raw.value == {} and key in below:
            continue
        below[key] = raw


def _build(root: Path, resolved: Mapping[str, Raw], of_machine: Machine) -> Settings:
    values, problems = schema.read(resolved, root)
    if problems:
        raise ConfigError(
            "\n".join(["the settings are wrong:", *(f"  - {problem}" for problem in problems)]),
            remedy="devkit config shows every setting and where it comes from",
        )

    def table(name: str) -> dict[str, Any]:
        prefix = f"{name}."
        return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}

    return Settings(
        root=root,
        name=values["project.name"],
        engine=values["project.engine"],
        target=values["project.target"],
        image=ImageSettings(**table("image")),
        train=TrainSettings(**table("train")),
        serve=ServeSettings(**table("serve")),
        invoke=InvokeSettings(**table("invoke")),
        s3=S3Settings(**table("s3")),
        sagemaker=SageMakerSettings(**table("sagemaker")),
        functions=tuple(
            FunctionSettings(name=name, **table(f"lambda.{name}"))
            for name in schema.names("lambda", resolved)
        ),
        gateway=(
            GatewaySettings(**table("gateway")) if schema.is_there("gateway", resolved) else None
        ),
        endpoint=(
            EndpointSettings(**table("endpoint")) if schema.is_there("endpoint", resolved) else None
        ),
        aws=AwsSettings(**table("aws")),
        machine=of_machine,
        resolved=resolved,
    )


def machine(environ: Mapping[str, str]) -> Machine:
    """What the environment says, whatever the project is."""
    cache = environ.get("DEVKIT_CACHE_DIR") or _default_cache(environ)
    cert_path = environ.get("DOCKER_CERT_PATH")
    return Machine(
        docker_host=environ.get("DOCKER_HOST") or None,
        docker_context=environ.get("DOCKER_CONTEXT") or None,
        docker_tls_verify=bool(environ.get("DOCKER_TLS_VERIFY")),
        docker_cert_path=Path(cert_path) if cert_path else None,
        cache=Path(cache).expanduser().absolute(),
        child_environment=without_aws(environ),
    )


def _default_cache(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base, "devkit")
    home = Path(environ.get("HOME") or Path.home())
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "devkit"


def without_aws(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without the developer's AWS account: no key, profile or endpoint."""
    return {name: value for name, value in environ.items() if not name.startswith("AWS_")}


def explain(settings: Settings) -> Iterable[tuple[str, object, str]]:
    """Every setting that has been set or has a default: key, value as given, where it is from."""
    defaults = schema.for_each(schema.DEFAULT_TEXT, settings.resolved)
    for key in sorted(defaults.keys() | settings.resolved.keys()):
        raw = settings.resolved.get(key)
        if raw is None:
            yield key, defaults[key], DEFAULTS
        elif not (schema.is_table(key) and raw.value == {}):
            yield key, raw.value, raw.origin.name
