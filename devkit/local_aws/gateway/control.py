"""API Gateway's own operations, where moto's answer is not what is so here.

``ApiEndpoint`` is an address on which the API answers, and CreateApi with a target makes the
integration, the route and the stage as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from devkit.local_aws.errors import AwsError, validation
from devkit.local_aws.gateway.http_routing import DEFAULT
from devkit.local_aws.services import Call, Handler, Result, Surroundings

SERVICE = "apigatewayv2"
_QUICK = ("Target", "RouteKey", "CredentialsArn")


class Operations:
    """Asks moto, and says where the APIs are."""

    def __init__(self) -> None:
        self._surroundings: Surroundings | None = None
        self.handlers: Mapping[str, Handler] = {
            "CreateApi": self._create,
            "GetApi": self._told(_ask),
            "GetApis": self._told(_ask),
            "ReimportApi": self._told(_ask),
            "UpdateApi": self._told(_update),
        }

    def start(self, surroundings: Surroundings) -> None:
        """Say so from now on."""
        self._surroundings = surroundings

    def _told(self, ask: Callable[[Call], Awaitable[dict[str, Any]]]) -> Handler:
        async def answer(call: Call) -> Result:
            return Result(members=self._rewritten(await ask(call)))

        return answer

    async def _create(self, call: Call) -> Result:
        if "Target" not in call.parameters:
            return Result(members=self._rewritten(await _ask(call)))
        if call.parameters.get("ProtocolType") != "HTTP":
            raise validation("Target is for HTTP APIs")
        api = {name: value for name, value in call.parameters.items() if name not in _QUICK}
        created = await _do(call, "CreateApi", api)
        try:
            await _quickly(call, created["ApiId"])
        except AwsError:
            await _do(call, "DeleteApi", {"ApiId": created["ApiId"]})
            raise
        return Result(members=self._rewritten(created))

    def _rewritten(self, answer: dict[str, Any]) -> dict[str, Any]:
        for api in (answer, *answer.get("Items", ())):
            if api.get("ProtocolType") == "HTTP":
                assert self._surroundings is not None, "start() comes first"  # noqa: S101
                api["ApiEndpoint"] = f"{self._surroundings.url}/_gateway/{api['ApiId']}"
        return answer


async def _quickly(call: Call, api_id: str) -> None:
    """What else a quick create makes."""
    target: str = call.parameters["Target"]
    integration: dict[str, Any] = {"ApiId": api_id, "IntegrationUri": target}
    if target.startswith("arn:"):
        integration |= {"IntegrationType": "AWS_PROXY", "PayloadFormatVersion": "2.0"}
    else:
        integration |= {
            "IntegrationType": "HTTP_PROXY",
            "IntegrationMethod": "ANY",
            "PayloadFormatVersion": "1.0",
        }
    if "CredentialsArn" in call.parameters:
        integration["CredentialsArn"] = call.parameters["CredentialsArn"]
    made = await _do(call, "CreateIntegration", integration)
    route = {
        "ApiId": api_id,
        "RouteKey": call.parameters.get("RouteKey", DEFAULT),
        "Target": f"integrations/{made['IntegrationId']}",
    }
    await _do(call, "CreateRoute", route)
    await _do(call, "CreateStage", {"ApiId": api_id, "StageName": DEFAULT, "AutoDeploy": True})


async def _update(call: Call) -> dict[str, Any]:
    if any(name in call.parameters for name in _QUICK):
        raise AwsError(
            "UnsupportedOperationException",
            "devkit's local AWS does not update what a quick create has made through UpdateApi: "
            "use UpdateIntegration and UpdateRoute.",
        )
    return await _ask(call)


async def _ask(call: Call) -> dict[str, Any]:
    return await _do(call, call.operation, call.parameters)


async def _do(call: Call, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    answer = await call.backend.ask(
        SERVICE, operation, parameters, access_key=call.access_key, region=call.region
    )
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}
