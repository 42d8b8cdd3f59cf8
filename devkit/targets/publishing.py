"""The project's image, where SageMaker finds it: pushed to ECR, or left where it is.

The local AWS, and what stands for AWS on this machine, find the local image by its name.
"""

from __future__ import annotations

from collections.abc import Callable

from devkit.config import Settings
from devkit.engines.base import Image
from devkit.progress import Observer
from devkit.targets.aws import AwsClients
from devkit.targets.names import Names


def published(
    settings: Settings,
    clients: AwsClients,
    names: Names,
    build: Callable[[], Image],
    observer: Observer,
) -> str:
    """Have the image where SageMaker finds it; returns its URI."""
    if clients.is_local() and settings.aws.registry is None:
        build()
        tag = settings.image.tag.rpartition(":")[2]
        observer.note("the local AWS takes the image of this machine: nothing is pushed")
        return f"{names.image_repository}:{tag}"
    raise NotImplementedError
