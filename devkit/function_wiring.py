"""What has to fit together: functions, the gateway before them, the endpoint behind them.

Plain functions on values by their dotted keys, as ``schema`` has read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from devkit.function_readers import ROUTE_KEY_HINT, is_route_key
from devkit.lambda_contract import FUNCTION_NAME, check_environment

Values = Mapping[str, Any]


def derived(values: Values, functions: Sequence[str]) -> dict[str, Any]:
    """The settings that nobody made and that follow from others."""
    found: dict[str, Any] = {}
    for name in functions:
        if values[f"lambda.{name}.requirements"] is None:
            found[f"lambda.{name}.requirements"] = _requirements_in(values[f"lambda.{name}.source"])
    for key in ("gateway.name", "endpoint.name"):
        if key in values and values[key] is None:
            found[key] = values["project.name"]
    if values.get("gateway.routes") == {} and len(functions) == 1:
        found["gateway.routes"] = {"$default": functions[0]}
    return found


def problems(values: Values, functions: Sequence[str]) -> Iterator[str]:
    """What does not fit together, each with its key."""
    for name in functions:
        yield from _function_problems(name, values)
    if "gateway.routes" in values:
        yield from _route_problems(values["gateway.routes"], functions)


def _function_problems(name: str, values: Values) -> Iterator[str]:
    key = f"lambda.{name}"
    if not FUNCTION_NAME.fullmatch(name):
        yield f"{key}: a function's name is 1 to 64 letters, digits, - and _"
    if values[f"{key}.source"] is None:
        yield f"{key}.source: must be set: the folder with the function's code"
    for problem in check_environment(values[f"{key}.environment"]):
        yield f"{key}.environment: {problem}"


def _route_problems(routes: Mapping[str, str], functions: Sequence[str]) -> Iterator[str]:
    there_are = f"there are {', '.join(functions)}" if functions else "there is no [lambda.NAME]"
    if not routes and len(functions) != 1:
        yield f'gateway.routes: must be set, such as {{ "POST /predict" = "NAME" }}; {there_are}'
    for key, function in routes.items():
        if not is_route_key(key):
            yield f"gateway.routes: {key!r} is no route: {ROUTE_KEY_HINT}"
        if function not in functions:
            yield f"gateway.routes: {key!r} leads to {function!r}: no such function; {there_are}"


def _requirements_in(source: Path | None) -> Path | None:
    """The requirements of a folder that has some; a built archive has them in it."""
    if source is None or not (source / "requirements.txt").is_file():
        return None
    return source / "requirements.txt"
