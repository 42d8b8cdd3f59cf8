"""[gateway]: the API that is made, and the request that is shown for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from devkit.config import GatewaySettings
from devkit.local_aws.chain.api import make_api


class Gateway:
    """Takes what is made; identifiers follow from seeds, as moto's do."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Mapping[str, Any]]] = []

    def __call__(
        self, service: str, operation: str, parameters: Mapping[str, Any], *, seed: str
    ) -> Mapping[str, Any]:
        assert service == "apigatewayv2"
        self.made.append((operation, parameters))
        return {"ApiId": f"api of {seed}", "IntegrationId": f"to {seed.rpartition('/')[2]}"}

    def of(self, operation: str) -> list[Mapping[str, Any]]:
        return [parameters for each, parameters in self.made if each == operation]


def settings(**more: Any) -> GatewaySettings:
    given: dict[str, Any] = {
        "name": "front",
        "routes": {"POST /predict": "one", "GET /x": "two", "$default": "one"},
        "cors_origins": (),
        "stage": "$default",
        **more,
    }
    return GatewaySettings(**given)


def test_routes_lead_to_functions_by_one_integration_each() -> None:
    gateway = Gateway()
    api = make_api(settings(), gateway, "iris")
    assert gateway.of("CreateApi") == [{"Name": "front", "ProtocolType": "HTTP"}]
    integrations = gateway.of("CreateIntegration")
    assert [each["IntegrationUri"].rpartition(":")[2] for each in integrations] == ["one", "two"]
    assert {each["PayloadFormatVersion"] for each in integrations} == {"2.0"}
    routes = {each["RouteKey"]: each["Target"] for each in gateway.of("CreateRoute")}
    assert routes == {
        "POST /predict": "integrations/to one",
        "GET /x": "integrations/to two",
        "$default": "integrations/to one",
    }
    assert gateway.of("CreateStage") == [
        {"ApiId": api, "StageName": "$default", "AutoDeploy": True}
    ]
    assert all(parameters["ApiId"] == api for _, parameters in gateway.made[1:])


def test_the_identifier_follows_from_project_and_name() -> None:
    first = make_api(settings(), Gateway(), "iris")
    assert make_api(settings(routes={"$default": "two"}), Gateway(), "iris") == first
    assert make_api(settings(name="other"), Gateway(), "iris") != first
    assert make_api(settings(), Gateway(), "other") != first


def test_origins_that_may_ask_are_its_cors() -> None:
    gateway = Gateway()
    make_api(settings(cors_origins=("http://localhost:3000",), stage="v1"), gateway, "iris")
    (created,) = gateway.of("CreateApi")
    assert created["CorsConfiguration"] == {
        "AllowOrigins": ["http://localhost:3000"],
        "AllowMethods": ["*"],
        "AllowHeaders": ["*"],
    }
    assert gateway.of("CreateStage")[0]["StageName"] == "v1"


@pytest.mark.parametrize(
    ("routes", "shown"),
    [
        (["POST /predict", "$default"], ("POST", "/predict")),
        (["$default", "PUT /model"], ("PUT", "/model")),
        (["ANY /any"], ("POST", "/any")),
        (["POST /items/{id}", "POST /items"], ("POST", "/items")),
        (["GET /x", "$default"], ("POST", "/")),
        (["GET /x", "DELETE /y"], ("GET", "/x")),
        (["ANY /{proxy+}"], ("POST", "/")),
        (["POST /"], ("POST", "/")),
    ],
)
def test_the_request_that_is_shown_is_one_that_a_route_takes(
    routes: list[str], shown: tuple[str, str]
) -> None:
    assert settings(routes=dict.fromkeys(routes, "one")).first_route == shown
