"""What AWS refuses of a function's definition, and moto does not."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from devkit.lambda_contract import (
    DEFAULT_MEMORY_MB,
    ENVIRONMENT_KEY,
    MAX_DIRECT_ARCHIVE_BYTES,
    MAX_ENVIRONMENT_BYTES,
    MAX_MEMORY_MB,
    MAX_TIMEOUT_S,
    environment_bytes,
    reserved_keys,
)
from devkit.local_aws.errors import AwsError
from devkit.local_aws.lambda_.unpacking import require_zip

_LIMITS = {
    "MemorySize": (DEFAULT_MEMORY_MB, MAX_MEMORY_MB),
    "Timeout": (1, MAX_TIMEOUT_S),
}


def require_creatable(parameters: Mapping[str, Any]) -> None:
    """Make sure that CreateFunction asks for what there can be.

    Raises:
        AwsError: It does not.
    """
    require_configuration(parameters)
    require_code(parameters["Code"])
    if parameters.get("PackageType", "Zip") == "Zip":
        for name in ("Runtime", "Handler"):
            if not parameters.get(name):
                raise _invalid(
                    "Runtime and Handler are mandatory parameters for functions created with "
                    "deployment packages."
                )
    elif "ImageUri" not in parameters["Code"]:
        raise _invalid("Please provide ImageUri when updating a function with packageType Image.")


def require_code(code: Mapping[str, Any]) -> None:
    """Make sure that code is what AWS takes; for a thread.

    Raises:
        AwsError: It is not.
    """
    content = code.get("ZipFile")
    if content is None:
        return
    if len(content) > MAX_DIRECT_ARCHIVE_BYTES:
        raise AwsError(
            "RequestEntityTooLargeException",
            f"Request must be smaller than {MAX_DIRECT_ARCHIVE_BYTES} bytes for the zip archive: "
            "larger ones come from S3",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )
    if not content:
        raise _invalid("Uploaded file must be a non-empty zip")
    require_zip(content)


def require_configuration(parameters: Mapping[str, Any]) -> None:
    """Make sure that limits and variables are what AWS takes.

    Raises:
        AwsError: They are not.
    """
    for name, (least, most) in _LIMITS.items():
        value = parameters.get(name)
        if value is not None and not least <= value <= most:
            bound = (
                f"less than or equal to {most}"
                if value > most
                else (f"greater than or equal to {least}")
            )
            member = name[0].lower() + name[1:]
            raise AwsError(
                "ValidationException",
                f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy "
                f"constraint: Member must have value {bound}",
            )
    variables = (parameters.get("Environment") or {}).get("Variables") or {}
    _require_variables(variables)


def _require_variables(variables: Mapping[str, str]) -> None:
    for name in variables:
        if name not in reserved_keys(variables) and not ENVIRONMENT_KEY.fullmatch(name):
            raise AwsError(
                "ValidationException",
                f"1 validation error detected: Value '{name}' at 'environment.variables' failed to "
                "satisfy constraint: Map keys must satisfy constraint: [Member must satisfy "
                f"regular expression pattern: {ENVIRONMENT_KEY.pattern}]",
            )
    reserved = reserved_keys(variables)
    if reserved:
        raise _invalid(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            f"for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    size = environment_bytes(variables)
    if size > MAX_ENVIRONMENT_BYTES:
        raise _invalid(
            "Lambda was unable to configure your environment variables because the environment "
            f"variables you have provided exceeded the 4KB limit. String measured: {size} bytes"
        )


def _invalid(message: str) -> AwsError:
    return AwsError(
        "InvalidParameterValueException", message, HTTPStatus.BAD_REQUEST, {"Type": "User"}
    )
