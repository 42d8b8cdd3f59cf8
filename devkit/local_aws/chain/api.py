"""The HTTP API of a project, in front of its functions; made anew with every start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devkit.config import GatewaySettings
from devkit.contract import LOCAL_REGION
from devkit.local_aws.chain.functions import Make
from devkit.local_aws.lambda_.definitions import function_arn


def make_api(settings: GatewaySettings, make: Make, project: str) -> str:
    """Make the API; returns its id, which is the same with every start.

    Args:
        settings: What the project says of it.
        make: Makes it.
        project: Whose it is.
    """

    def made(operation: str, parameters: Mapping[str, Any], what: str = "") -> Mapping[str, Any]:
        seed = f"{project}/{settings.name}/{operation}/{what}"
        return make("apigatewayv2", operation, parameters, seed=seed)

    parameters: dict[str, Any] = {"Name": settings.name, "ProtocolType": "HTTP"}
    if settings.cors_origins:
        parameters["CorsConfiguration"] = {
            "AllowOrigins": list(settings.cors_origins),
            "AllowMethods": ["*"],
            "AllowHeaders": ["*"],
        }
    api = str(made("CreateApi", parameters)["ApiId"])
    integrations = {
        function: made(
            "CreateIntegration",
            {
                "ApiId": api,
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": function_arn(LOCAL_REGION, function),
                "PayloadFormatVersion": "2.0",
            },
            function,
        )["IntegrationId"]
        for function in dict.fromkeys(settings.routes.values())
    }
    for key, function in settings.routes.items():
        route = {
            "ApiId": api,
            "RouteKey": key,
            "Target": f"integrations/{integrations[function]}",
        }
        made("CreateRoute", route, key)
    stage = {"ApiId": api, "StageName": settings.stage, "AutoDeploy": True}
    made("CreateStage", stage)
    return api
