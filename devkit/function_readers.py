"""Readers of what stands in ``[lambda.NAME]``, ``[gateway]`` and ``[endpoint]``."""

from __future__ import annotations

import re

from devkit import contract, lambda_contract
from devkit.readers import Raw, text, words

_METHODS = ("ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_SEGMENT = r"(?:[^/{}\s]+|\{[\w.\-:]+\})"
_ROUTE_PATH = re.compile(rf"/|(?:/{_SEGMENT})*/(?:{_SEGMENT}|\{{[\w.\-:]+\+\}})/?")
_ORIGIN = re.compile(r"\*|https?://(?:\*|[^/\s*]+)")
_STAGE = re.compile(r"\$default|[a-zA-Z0-9_-]{1,128}")
_MAX_GATEWAY_NAME_CHARS = 128

ROUTE_KEY_HINT = 'a method and a path, such as "POST /predict", or "$default"'


def handler(raw: Raw) -> str:
    """The function in the code that Lambda calls."""
    value = text(raw)
    if (
        not lambda_contract.HANDLER.fullmatch(value)
        or len(value) > lambda_contract.MAX_HANDLER_CHARS
    ):
        raise ValueError(
            f"module.function, such as {lambda_contract.DEFAULT_HANDLER} (at most "
            f"{lambda_contract.MAX_HANDLER_CHARS} characters)"
        )
    return value


def endpoint_name(raw: Raw) -> str:
    """A SageMaker endpoint's name."""
    value = text(raw)
    if contract.name_problems("endpoint", value):
        raise ValueError("1 to 63 letters, digits and dashes, not starting or ending with -")
    return value


def gateway_name(raw: Raw) -> str:
    """An API's name."""
    value = text(raw)
    if len(value) > _MAX_GATEWAY_NAME_CHARS:
        raise ValueError(f"text of at most {_MAX_GATEWAY_NAME_CHARS} characters")
    return value


def stage(raw: Raw) -> str:
    """A stage's name."""
    value = text(raw)
    if not _STAGE.fullmatch(value):
        raise ValueError("$default, or 1 to 128 letters, digits, - and _")
    return value


def cors_origins(raw: Raw) -> tuple[str, ...]:
    """The pages that a browser lets ask the API, by their origins."""
    allowed = 'a list of origins, such as ["http://localhost:3000"], or ["*"]'
    try:
        origins = words(raw)
    except ValueError:
        raise ValueError(allowed) from None
    if not all(_ORIGIN.fullmatch(each) for each in origins):
        raise ValueError(allowed)
    return origins


def is_route_key(key: str) -> bool:
    """Whether an HTTP API takes this for a route: ``POST /predict``, ``ANY /{proxy+}``."""
    method, _, path = key.partition(" ")
    return key == "$default" or (method in _METHODS and bool(_ROUTE_PATH.fullmatch(path)))
