"""Which route, which resource: AWS's precedence."""

from __future__ import annotations

import pytest

from devkit.local_aws.gateway.http_routing import route_of, staged
from devkit.local_aws.gateway.rest_routing import resource_of, stage_of
from devkit.local_aws.gateway.values import (
    Deployed,
    HttpApi,
    HttpRoute,
    Method,
    Resource,
    RestApi,
    RestStage,
)

KEYS = (
    "$default",
    "GET /",
    "ANY /{proxy+}",
    "GET /pets/{proxy+}",
    "GET /pets/dog/{id}",
    "GET /pets/dog/1",
    "ANY /pets/dog/1",
)


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/pets/dog/1", "GET /pets/dog/1", {}),
        ("POST", "/pets/dog/1", "ANY /pets/dog/1", {}),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}", {"id": "2"}),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}", {"proxy": "cat/1"}),
        ("POST", "/pets/cat/1", "ANY /{proxy+}", {"proxy": "pets/cat/1"}),
        ("GET", "/pets/dog/2/", "GET /pets/{proxy+}", {"proxy": "dog/2/"}),
        ("GET", "/", "GET /", {}),
        ("POST", "/", "$default", {}),
        ("GET", "/pets/dog/a%20b", "GET /pets/dog/{id}", {"id": "a b"}),
        ("GET", "/pets/dog/a%2Fb", "GET /pets/dog/{id}", {"id": "a/b"}),
    ],
)
def test_the_most_specific_route_is_taken(
    method: str, path: str, key: str, parameters: dict[str, str]
) -> None:
    api = HttpApi(id="a", region="r", routes=tuple(HttpRoute(id=key, key=key) for key in KEYS))

    routed = route_of(api, method, path)

    assert routed is not None
    assert (routed.route.key, routed.parameters) == (key, parameters)


def test_no_route_is_taken_where_none_fits() -> None:
    api = HttpApi(id="a", region="r", routes=(HttpRoute(id="1", key="GET /a"),))

    assert route_of(api, "GET", "/b") is None
    assert route_of(api, "POST", "/a") is None


def test_the_first_segment_is_a_stage_only_where_there_is_such_a_stage() -> None:
    api = HttpApi(id="a", region="r", stages={"$default": {}, "dev": {}})

    dev, other = staged(api, "/dev/x"), staged(api, "/prod/x")
    spelt = staged(api, "/$default/x")

    assert dev is not None
    assert other is not None
    assert spelt is not None
    assert (dev.stage, dev.path, dev.whole) == ("dev", "/x", "/dev/x")
    assert (other.stage, other.path, other.whole) == ("$default", "/prod/x", "/prod/x")
    assert (spelt.stage, spelt.path, spelt.whole) == ("$default", "/x", "/x")
    assert staged(HttpApi(id="a", region="r", stages={"dev": {}}), "/prod/x") is None


def _resource(path: str, *methods: str) -> Resource:
    return Resource(id=path, path=path, methods={name: Method(name=name) for name in methods})


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/", "/"),
        ("/pets", "/{proxy+}"),  # the resource is there, without a method
        ("/pets/1", "/pets/{id}"),
        ("/pets/1/", "/pets/{id}"),
        ("/pets/mine", "/pets/mine"),
        ("/pets/1/2", "/{proxy+}"),
    ],
)
def test_the_most_specific_resource_is_taken(path: str, resource: str) -> None:
    deployed = Deployed(
        resources=(
            _resource("/", "GET"),
            _resource("/{proxy+}", "ANY"),
            _resource("/pets"),
            _resource("/pets/{id}", "GET"),
            _resource("/pets/mine", "POST"),
        )
    )

    matched = resource_of(deployed, path)

    assert matched is not None
    assert matched.resource.path == resource


def test_any_answers_what_has_no_method_of_its_own() -> None:
    matched = resource_of(Deployed(resources=(_resource("/a", "GET", "ANY"),)), "/a")

    assert matched is not None
    methods = [matched.method("GET"), matched.method("PUT")]
    assert [each and each.name for each in methods] == ["GET", "ANY"]


def test_a_rest_api_has_no_path_without_a_stage() -> None:
    api = RestApi(id="a", region="r", stages={"dev": RestStage(name="dev", deployed=Deployed())})

    stage, path = stage_of(api, "/dev/x/y")

    assert stage is api.stages["dev"]
    assert path == "/x/y"
    assert stage_of(api, "/x")[0] is None
