"""Which image of this machine a request means. Nothing is pulled: that would leave the machine."""

from __future__ import annotations

import re
from collections.abc import Callable

_ECR = re.compile(r"\d{12}\.dkr\.ecr\.[^/]+/(?P<name>.+)")


def local_image(reference: str, has_image: Callable[[str], bool]) -> str | None:
    """The image: a URI of ECR means the local one of that name, else the one called so."""
    match = _ECR.fullmatch(reference)
    names = [match["name"], reference] if match else [reference]
    return next((name for name in names if has_image(name)), None)
