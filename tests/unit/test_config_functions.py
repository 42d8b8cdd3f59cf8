"""[lambda.NAME], [gateway] and [endpoint]."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from devkit import config
from devkit.config import FunctionSettings, Settings
from devkit.errors import ConfigError
from devkit.lambda_contract import OWN_RUNTIME

_IRIS = "[lambda.iris]\nsource = 'code'\n"


def load(
    folder: Path,
    text: str,
    environ: Mapping[str, str] | None = None,
    overrides: config.Overrides | None = None,
) -> Settings:
    (folder / "devkit.toml").write_text(text)
    return config.load(environ=environ or {}, cwd=folder, overrides=overrides)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(folder, text)
    return [line.removeprefix("  - ") for line in error.value.message.splitlines()[1:]]


def test_a_project_has_no_function_and_no_gateway_until_it_says_so(tmp_path: Path) -> None:
    settings = load(tmp_path, "")
    assert (settings.functions, settings.gateway) == ((), None)


def test_a_function_is_its_source_and_lambdas_own_defaults(tmp_path: Path) -> None:
    [function] = load(tmp_path, _IRIS).functions
    assert function == FunctionSettings(
        name="iris",
        source=tmp_path / "code",
        handler="handler.handler",
        runtime=OWN_RUNTIME,
        memory_mb=128,
        timeout_s=3,
        environment={},
        reserved_concurrency=None,
        requirements=None,
    )


def test_a_function_says_all_of_it(tmp_path: Path) -> None:
    text = """
        [lambda.iris]
        source = "code"
        handler = "pkg/app.predict"
        runtime = "python3.12"
        memory_mb = 10240
        timeout_s = 900
        environment = { ENDPOINT_NAME = "iris", RETRIES = 2 }
        reserved_concurrency = 0
        requirements = "more.txt"
    """
    [function] = load(tmp_path, text).functions
    assert function == FunctionSettings(
        name="iris",
        source=tmp_path / "code",
        handler="pkg/app.predict",
        runtime="python3.12",
        memory_mb=10240,
        timeout_s=900,
        environment={"ENDPOINT_NAME": "iris", "RETRIES": "2"},
        reserved_concurrency=0,
        requirements=tmp_path / "more.txt",
    )


def test_functions_keep_the_order_of_the_file(tmp_path: Path) -> None:
    text = "".join(f"[lambda.{name}]\nsource = 'code'\n" for name in ("z", "a", "m_1"))
    assert [function.name for function in load(tmp_path, text).functions] == ["z", "a", "m_1"]


def test_the_requirements_are_those_in_the_source_folder(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "requirements.txt").touch()
    [function] = load(tmp_path, _IRIS).functions
    assert function.requirements == tmp_path / "code" / "requirements.txt"


def test_one_function_gets_every_request_unless_routes_say_otherwise(tmp_path: Path) -> None:
    gateway = load(tmp_path, f"{_IRIS}[gateway]\n[project]\nname = 'flowers'").gateway
    assert gateway is not None
    assert gateway.routes == {"$default": "iris"}
    assert (gateway.name, gateway.stage, gateway.cors_origins) == ("flowers", "$default", ())


def test_a_gateway_says_all_of_it(tmp_path: Path) -> None:
    gateway = load(
        tmp_path,
        f"""{_IRIS}
        [gateway]
        name = "api"
        routes = {{ "POST /v1.0/predict" = "iris", "GET /{{proxy+}}" = "iris" }}
        cors_origins = ["http://localhost:3000", "*"]
        stage = "dev"
        """,
    ).gateway
    assert gateway is not None
    assert gateway.routes == {"POST /v1.0/predict": "iris", "GET /{proxy+}": "iris"}
    assert (gateway.name, gateway.stage) == ("api", "dev")
    assert gateway.cors_origins == ("http://localhost:3000", "*")


def test_an_endpoint_is_called_like_the_project(tmp_path: Path) -> None:
    for text, name in (("", "flowers"), ("name = 'iris'", "iris")):
        endpoint = load(tmp_path, f"[project]\nname = 'flowers'\n[endpoint]\n{text}").endpoint
        assert endpoint is not None
        assert endpoint.name == name


def test_there_is_no_endpoint_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert load(tmp_path, "[project]\nname = 'flowers'").endpoint is None


def test_variables_change_what_has_a_name_of_its_own(tmp_path: Path) -> None:
    environ = {"DEVKIT_ENDPOINT_NAME": "other", "DEVKIT_GATEWAY_STAGE": "dev"}
    settings = load(tmp_path, f"{_IRIS}[gateway]\n[endpoint]", environ)
    assert settings.endpoint is not None
    assert settings.endpoint.name == "other"
    assert settings.gateway is not None
    assert settings.gateway.stage == "dev"


def test_a_variable_makes_no_gateway(tmp_path: Path) -> None:
    assert load(tmp_path, "", {"DEVKIT_GATEWAY_STAGE": "dev"}).gateway is None


def test_a_key_of_a_function_is_overridden_by_its_dotted_name(tmp_path: Path) -> None:
    overrides = {"lambda.iris.timeout_s": 30, "lambda.iris.environment.B1": "b"}
    text = f"{_IRIS}environment = {{ A1 = 'a' }}"
    [function] = load(tmp_path, text, overrides=overrides).functions
    assert function.timeout_s == 30
    assert function.environment == {"A1": "a", "B1": "b"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[lambda.iris]", "lambda.iris.source: must be set"),
        ("[lambda]\nsource = 'code'", "lambda.source = 'code' (devkit.toml): must be a table"),
        ("[lambda.'a b']\nsource = 'code'", "lambda.a b: a function's name is 1 to 64 letters"),
        (f"{_IRIS}timeout = 1", "lambda.iris.timeout (devkit.toml): no such key; [lambda.NAME] ta"),
        (f"{_IRIS}timeout_s = 901", "lambda.iris.timeout_s = 901 (devkit.toml): must be a whole"),
        (f"{_IRIS}memory_mb = 64", "a whole number from 128 to 10240 MB"),
        (f"{_IRIS}reserved_concurrency = -1", "a whole number from 0"),
        (f"{_IRIS}handler = 'handler'", "module.function, such as handler.handler"),
        (f"{_IRIS}runtime = 'nodejs22.x'", "one of python3.10, "),
        (f"{_IRIS}environment = 'A=1'", "lambda.iris.environment = 'A=1' (devkit.toml): must be"),
        (f"{_IRIS}environment = {{ AWS_REGION = 'x' }}", "'AWS_REGION': Lambda sets it itself"),
        (f"{_IRIS}environment = {{ AB = '{'x' * 4096}' }}", "at most 4096 in total"),
        ("[gateway]", "gateway.routes: must be set"),
        (f"{_IRIS}[lambda.b]\nsource = 'b'\n[gateway]", "there are iris, b"),
        (f"{_IRIS}[gateway]\nroutes = {{ 'post /' = 'iris' }}", "'post /' is no route"),
        (f"{_IRIS}[gateway]\nroutes = {{ 'GET /a/{{p+}}/b' = 'iris' }}", "is no route"),
        (f"{_IRIS}[gateway]\nroutes = {{ '$default' = 'other' }}", "leads to 'other': no such"),
        (f"{_IRIS}[gateway]\nroutes = {{ '$default' = {{}} }}", "gateway.routes.$default = {}"),
        (f"{_IRIS}[gateway]\ncors_origins = ['localhost']", "a list of origins, such as"),
        (f"{_IRIS}[gateway]\nstage = 'a b'", "$default, or 1 to 128 letters"),
        (f"{_IRIS}[gateway]\nroute = 1", "[gateway] takes cors_origins, name, routes, stage"),
        ("[endpoint]\nname = 'a b'", "endpoint.name = 'a b' (devkit.toml): must be 1 to 63"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    [problem] = problems(tmp_path, text)
    assert said in problem


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    text = f"""{_IRIS}timeout_s = 0
        environment = {{ A = "a", AWS_REGION = "x" }}
        [lambda.b]
        [gateway]
        routes = {{ "$default" = "c" }}
    """
    assert [problem.partition(" ")[0].rstrip(":") for problem in problems(tmp_path, text)] == [
        "lambda.iris.timeout_s",
        "lambda.iris.environment",
        "lambda.iris.environment",
        "lambda.b.source",
        "gateway.routes",
    ]


def test_explain_shows_every_function_and_where_each_setting_is_from(tmp_path: Path) -> None:
    text = f"{_IRIS}environment = {{ ENDPOINT_NAME = 'iris' }}\n[gateway]\n[endpoint]"
    settings = load(tmp_path, text, {"DEVKIT_ENDPOINT_NAME": "e"})
    said = {key: (value, source) for key, value, source in config.explain(settings)}
    assert said["lambda.iris.source"] == ("code", "devkit.toml")
    assert said["lambda.iris.environment.ENDPOINT_NAME"] == ("iris", "devkit.toml")
    assert said["lambda.iris.timeout_s"] == (3, "default")
    assert said["gateway.stage"] == ("$default", "default")
    assert said["endpoint.name"] == ("e", "DEVKIT_ENDPOINT_NAME")


def test_explain_shows_nothing_of_what_is_not_there(tmp_path: Path) -> None:
    keys = [key for key, _, _ in config.explain(load(tmp_path, ""))]
    assert not [key for key in keys if key.startswith(("lambda", "gateway"))]
