"""The project's image, where SageMaker finds it: pushed to ECR, or left where it is.

The local AWS finds the image of this machine by its name.
"""

from __future__ import annotations

from collections.abc import Callable

from devkit.config import Settings
from devkit.engines.base import Engine, Image
from devkit.errors import EngineError
from devkit.progress import Observer, step
from devkit.targets.aws import AwsClients
from devkit.targets.instance_types import require_instance_type
from devkit.targets.push import Destination, PushedImage, Pusher, destination, push_image


def publish(
    settings: Settings,
    clients: AwsClients,
    engine: Callable[[], Engine],
    build: Callable[[], Image],
    observer: Observer,
) -> str:
    """Have the image where SageMaker finds it; returns its URI, by digest where it was pushed.

    Raises:
        BuildError: It cannot be built, or is for another processor than the instances have.
        CallFailed: ECR has no such repository, or gives no credentials.
        EngineError: The registry does not take it.
    """
    require_instance_types(settings)
    place = destination(settings, lambda: clients)
    if isinstance(place, str):
        build()
        observer.note("the local AWS takes the image of this machine: nothing is pushed")
        return place
    pushed = push(settings, place, engine(), build(), observer)
    for note in pushed.notes:
        observer.note(note)
    return pushed.uri


def push(
    settings: Settings, place: Destination, engine: Engine, image: Image, observer: Observer
) -> PushedImage:
    """Push an image, unless the registry has it already.

    Raises:
        BuildError: It is for another processor than the instances have.
        EngineError: The engine has no images, or the registry does not take it.
    """
    if not isinstance(engine, Pusher):
        raise EngineError(
            f"the {engine.name} engine has no image that could be pushed",
            remedy="use the docker engine: --engine docker",
        )
    aws = settings.aws
    with step(observer, "push") as pushing:
        pushing.detail = place.repository
        pushed = push_image(
            engine,
            image,
            place,
            instance_types=(aws.train_instance, aws.serve_instance),
            on_line=observer.build_line,
        )
        if not pushed.pushed:
            pushing.detail = f"{place.repository} has it already"
    return pushed


def require_instance_types(settings: Settings) -> None:
    """Make sure that SageMaker has the instance types of the settings.

    Raises:
        ConfigError: It has not.
    """
    require_instance_type(settings.aws.train_instance, "training")
    require_instance_type(settings.aws.serve_instance, "hosting")
