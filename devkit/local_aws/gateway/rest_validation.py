"""Request validators and API keys of REST APIs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from devkit.local_aws.gateway.bodies import media_type
from devkit.local_aws.gateway.messages import JSON, Request
from devkit.local_aws.gateway.rest_errors import Failed, misconfigured
from devkit.local_aws.gateway.values import Method


def require_valid(method: Method, request: Request, path: Mapping[str, str], schemas: Any) -> None:
    """Make sure that a request is as its method's validator wants it.

    Args:
        method: With what it needs.
        request: The request.
        path: The path's variables.
        schemas: The API's models, by name.

    Raises:
        Failed: It is not.
    """
    if method.validates_parameters:
        missing = [
            name.rpartition(".")[2]
            for name, is_required in method.parameters.items()
            if is_required and not _is_there(name, request, path)
        ]
        if missing:
            names = ", ".join(missing)
            raise Failed(
                "BAD_REQUEST_PARAMETERS", f"Missing required request parameters: [{names}]"
            )
    if method.validates_body:
        _require_body(method, request, schemas)


def _is_there(name: str, request: Request, path: Mapping[str, str]) -> bool:
    _, _, kind, member = name.split(".", 3) if name.count(".") > 2 else ("", "", "", "")  # noqa: PLR2004 - method.request.kind.name
    if kind == "header":
        return bool(request.headers.get(member))
    if kind == "querystring":
        return any(request.argument_lists.get(member, ()))
    return bool(path.get(member))


def _require_body(method: Method, request: Request, schemas: Mapping[str, Any]) -> None:
    kind = media_type(request.headers.get("Content-Type")) or JSON
    model = method.models.get(kind) or method.models.get("$default")
    if model is None or model not in schemas:
        return
    try:
        document = json.loads(request.body or b"null")
    except (ValueError, RecursionError):
        raise _invalid("not JSON") from None
    errors = _errors(schemas[model], document, schemas)
    if errors:
        raise _invalid(f"[{', '.join(errors)}]")


def _errors(schema: Any, document: Any, schemas: Mapping[str, Any]) -> list[str]:
    from jsonschema import Draft4Validator  # noqa: PLC0415 - takes 0.1 s
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415
    from referencing import Registry, Resource  # noqa: PLC0415
    from referencing.exceptions import NoSuchResource, Unresolvable  # noqa: PLC0415
    from referencing.jsonschema import DRAFT4  # noqa: PLC0415

    def model(uri: str) -> Resource[Any]:
        """Of ``https://apigateway.amazonaws.com/restapis/ID/models/NAME``; nothing is fetched."""
        name = uri.rpartition("/")[2]
        if name not in schemas:
            raise NoSuchResource(uri)
        return Resource(contents=schemas[name], specification=DRAFT4)

    try:
        Draft4Validator.check_schema(schema)
        validator = Draft4Validator(schema, registry=Registry(retrieve=model))
        return [error.message for error in validator.iter_errors(document)]
    except (SchemaError, Unresolvable):
        raise misconfigured() from None


def _invalid(reason: str) -> Failed:
    return Failed("BAD_REQUEST_BODY", "Invalid request body", reason=reason)


def key_of(method: Method, keys: Mapping[str, str], given: str | None) -> tuple[str, str] | None:
    """The API key that a request came with: value and identifier.

    Raises:
        Failed: The method needs one, and this is none of the stage's usage plans.
    """
    if given is not None and given in keys:
        return given, keys[given]
    if method.needs_key:
        raise Failed("INVALID_API_KEY", "Forbidden")
    return None
