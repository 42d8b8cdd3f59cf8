"""Opens the target that the settings name, with clients for whoever stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.engines.base import Engine
from devkit.errors import ConfigError
from devkit.targets.ledger import Ledger
from devkit.targets.push import tag_of
from devkit.targets.requests import Cloud
from devkit.targets.sagemaker import SageMakerTarget

if TYPE_CHECKING:
    from devkit.config import Settings
    from devkit.progress import Observer
    from devkit.targets.names import Names

_POLL_S = {True: 0.1, False: 3.0}
"""How long between two looks: at this machine, and at AWS."""

LEDGER = Path(".devkit", "cloud", "ledger.jsonl")
"""Below a project's folder."""


def ledger_of(root: Path) -> Ledger:
    """The ledger of a project."""
    return Ledger(root / LEDGER)


def open_target(
    settings: Settings,
    observer: Observer,
    stack: ExitStack,
    *,
    engine: Callable[[], Engine],
    argv: Sequence[str] = (),
    ttl_s: float | None = None,
) -> SageMakerTarget:
    """The target ``sagemaker-local`` or ``aws``.

    Args:
        settings: The project's.
        observer: Is told how it goes.
        stack: Ends what is started for it.
        engine: Gives the engine that has the image.
        argv: Of the command.
        ttl_s: After what time deployments are to be deleted.

    Raises:
        ConfigError: Something for it is not installed, or the settings are wrong.
        CallFailed: AWS does not know who asks.
    """
    if settings.target == "sagemaker-local":
        return _sagemaker_local(settings, observer, stack, argv, ttl_s)
    return _aws(settings, observer, engine, ttl_s)


def _aws(
    settings: Settings,
    observer: Observer,
    engine: Callable[[], Engine],
    ttl_s: float | None,
) -> SageMakerTarget:
    from devkit.targets.aws import aws_clients  # noqa: PLC0415 - imports boto3
    from devkit.targets.names import names_of  # noqa: PLC0415 - only where it is needed
    from devkit.targets.prices import Prices  # noqa: PLC0415 - likewise
    from devkit.targets.publishing import publish  # noqa: PLC0415 - likewise

    clients = aws_clients(settings.aws)
    names = names_of(settings, account=clients.account, region=clients.region)
    return SageMakerTarget(
        name="aws",
        clients=clients,
        cloud=_cloud(settings, names),
        ledger=ledger_of(settings.root),
        observer=observer,
        uri=_uri(settings, names, is_local=clients.is_local()),
        publish=lambda build: publish(settings, clients, engine, build, observer),
        poll_s=_POLL_S[clients.is_local()],
        is_paid=not clients.is_local(),
        costs=Prices(clients, settings.machine.cache).costs_of,
        ttl_s=ttl_s,
    )


def _sagemaker_local(
    settings: Settings,
    observer: Observer,
    stack: ExitStack,
    argv: Sequence[str],
    ttl_s: float | None,
) -> SageMakerTarget:
    from devkit import config  # noqa: PLC0415 - only where it is needed
    from devkit.local_aws import session  # noqa: PLC0415 - likewise
    from devkit.local_aws.environment import DEFAULT_BUCKET  # noqa: PLC0415 - likewise
    from devkit.local_aws.identity import ROLE_ARN  # noqa: PLC0415 - likewise
    from devkit.local_aws.state import State  # noqa: PLC0415 - likewise
    from devkit.targets.aws import local_aws_clients  # noqa: PLC0415 - imports boto3
    from devkit.targets.sdk.clients import SdkClients  # noqa: PLC0415 - only where it is needed

    if settings.engine == "process":
        raise ConfigError(
            "the SageMaker SDK's local mode runs containers, and the process engine has none",
            remedy="leave --engine process away, with a Docker engine running",
        )
    state = State(settings.root)
    start = session.starter(settings, state, argv, observer)
    endpoint = stack.enter_context(session.for_a_command(state, start, observer))
    clients = stack.enter_context(
        SdkClients(
            settings.root,
            local_aws_clients(endpoint.url),
            endpoint,
            config.process_environment(),
            python=settings.sagemaker.python,
            on_line=lambda said: observer.build_line(said.text),
        )
    )
    return SageMakerTarget(
        name="sagemaker-local",
        clients=clients,
        cloud=Cloud(role_arn=ROLE_ARN, bucket=DEFAULT_BUCKET, prefix=f"{settings.name}/"),
        ledger=ledger_of(settings.root),
        observer=observer,
        uri=settings.image.tag,
        publish=lambda build: build().reference,
        poll_s=_POLL_S[True],
        ttl_s=ttl_s,
    )


def _cloud(settings: Settings, names: Names) -> Cloud:
    aws = settings.aws
    return Cloud(
        role_arn=names.role_arn,
        bucket=names.bucket,
        prefix=f"{settings.name}/",
        train_instance=aws.train_instance,
        serve_instance=aws.serve_instance,
        volume_gb=aws.volume_gb,
        spot=aws.spot,
        max_wait_s=aws.max_wait_s,
        subnets=aws.vpc_subnets,
        security_groups=aws.vpc_security_groups,
        kms_key=aws.kms_key,
        encrypt_between_containers=aws.encrypt_between_containers,
        tags=aws.tags,
        checkpoints=aws.checkpoint_uri,
    )


def _uri(settings: Settings, names: Names, *, is_local: bool) -> str:
    """What the image is called before it is pushed."""
    if is_local and settings.aws.registry is None:
        return f"{names.registry}/{settings.image.tag}"
    return f"{names.image_repository}:{tag_of(settings.image.tag)}"
