"""What moto leaves out of a REST API, done in moto itself.

A deployment is a snapshot: what changes after it is not served before the next one. moto's is a
number. And moto forgets the binary media types that an API is created or updated with, and what
the tokens of an authorizer have to look like.
Done in moto, it holds for CloudFormation, and for what the journal repeats, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.apigateway.models import RestAPI
from moto.apigateway.responses import APIGatewayResponse

from devkit.local_aws.gateway.definitions import DEPLOYED, deployed

_BINARY = "/binaryMediaTypes"
_DISABLED = "/disableExecuteApiEndpoint"
_PATTERN = "identiy_validation_expression"  # as moto writes it in one place, and not in another


def take_over() -> Callable[[], None]:
    """Have moto do so.

    Returns:
        What undoes it.
    """
    undo = (
        _replaced(RestAPI, "create_deployment", _create_deployment),
        _replaced(RestAPI, "apply_patch_operations", _apply_patch_operations),
        _replaced(RestAPI, "create_authorizer", _create_authorizer),
        _replaced(APIGatewayResponse, "create_rest_api", _create_rest_api),
    )

    def undo_all() -> None:
        for each in undo:
            each()

    return undo_all


def _replaced(owner: Any, name: str, by: Callable[..., Any]) -> Callable[[], None]:
    original = getattr(owner, name)

    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        return by(original, self, *arguments, **named)

    def undo() -> None:
        setattr(owner, name, original)

    setattr(owner, name, method)
    return undo


def _create_deployment(original: Any, api: Any, *arguments: Any, **named: Any) -> Any:
    deployment = original(api, *arguments, **named)
    setattr(deployment, DEPLOYED, deployed(api))
    return deployment


def _create_authorizer(original: Any, api: Any, *arguments: Any, **named: Any) -> Any:
    authorizer = original(api, *arguments, **named)
    authorizer.identity_validation_expression = named.get(_PATTERN)
    return authorizer


def _create_rest_api(original: Any, response: Any) -> Any:
    status, headers, body = original(response)
    types = response._get_param("binaryMediaTypes")
    if types:
        api = response.backend.get_rest_api(json.loads(body)["id"])
        api.binaryMediaTypes = list(types)
        body = json.dumps(api.to_dict())
    return status, headers, body


def _apply_patch_operations(original: Any, api: Any, operations: list[dict[str, Any]]) -> Any:
    """AWS names the type in the path: ``/binaryMediaTypes/image~1png``."""
    others = []
    for each in operations:
        path = each.get("path", "")
        if path.startswith(f"{_BINARY}/"):
            _patch_binary(api, each["op"], path.removeprefix(f"{_BINARY}/"), each.get("value"))
        elif path == _DISABLED:
            api.disableExecuteApiEndpoint = each.get("value") == "true"
        else:
            others.append(each)
    return original(api, others)


def _patch_binary(api: Any, action: str, written: str, value: str | None) -> None:
    kind = written.replace("~1", "/").replace("~0", "~")
    others = [each for each in api.binaryMediaTypes if each != kind]
    added = {"add": [kind], "replace": [value or kind]}.get(action, [])
    api.binaryMediaTypes = [*others, *added]
