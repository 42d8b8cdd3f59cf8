"""Mapping templates of REST APIs: Velocity, with what API Gateway lets it see.

The language is airspeed's, in LocalStack's edition, which renders as AWS does.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from devkit.local_aws.gateway.json_paths import value_at

_ESCAPES = {"'": "\\'", '"': '\\"', "\\": "\\\\", "/": "\\/"}
_CONTROLS = {"\b": "\\b", "\n": "\\n", "\t": "\\t", "\f": "\\f", "\r": "\\r"}
_PLAIN = range(0x20, 0x7F)


class TemplateFailed(Exception):
    """A template is no Velocity, or does what cannot be done."""


class JavaMap(dict[str, Any]):
    """A map as Java has and prints it."""

    def __str__(self) -> str:
        """Such as ``{a=1, b=true}``."""
        return "{" + ", ".join(f"{name}={_printed(each)}" for name, each in self.items()) + "}"

    toString = __str__  # noqa: N815 - Java's, as all that follow

    def size(self) -> int:
        """How many there are."""
        return len(self)

    def isEmpty(self) -> bool:  # noqa: N802
        """Whether there is none."""
        return not self

    def containsKey(self, name: str) -> bool:  # noqa: N802
        """Whether there is such a member."""
        return name in self

    def keySet(self) -> list[str]:  # noqa: N802
        """The names."""
        return JavaList(self)

    def entrySet(self) -> list[Any]:  # noqa: N802
        """Names and values."""
        return JavaList(JavaMap(key=name, value=each) for name, each in self.items())

    def put(self, name: str, value: Any) -> Any:
        """Set a member; returns what it was."""
        before = self.get(name)
        self[name] = value
        return before

    def putAll(self, values: Mapping[str, Any]) -> None:  # noqa: N802
        """Set several."""
        self.update(values)


class JavaList(list[Any]):
    """A list as Java has and prints it."""

    def __str__(self) -> str:
        """Such as ``[1, null]``."""
        return "[" + ", ".join(_printed(each) for each in self) + "]"

    def size(self) -> int:
        """How many there are."""
        return len(self)

    def isEmpty(self) -> bool:  # noqa: N802
        """Whether there is none."""
        return not self

    def get(self, index: int) -> Any:
        """One of them."""
        return self[index]

    def contains(self, value: Any) -> bool:
        """Whether it is there."""
        return value in self

    def add(self, value: Any) -> bool:
        """One more."""
        self.append(value)
        return True


def java(value: Any) -> Any:
    """JSON's values as templates see them."""
    if isinstance(value, Mapping):
        return JavaMap((name, java(each)) for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return JavaList(java(each) for each in value)
    return value


def _printed(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


class Input:
    """``$input``: the body, and the parameters that a request came with.

    Args:
        payload: The body.
        path: The path's variables.
        querystring: The arguments.
        header: The headers.
    """

    def __init__(
        self,
        payload: bytes | str,
        path: Mapping[str, str] | None = None,
        querystring: Mapping[str, str] | None = None,
        header: Mapping[str, str] | None = None,
    ) -> None:
        self.body = payload if isinstance(payload, str) else payload.decode(errors="replace")
        self._parameters = java(
            {"path": path or {}, "querystring": querystring or {}, "header": header or {}}
        )

    def json(self, path: str) -> str:
        """What is at a JSONPath, as JSON."""
        return json.dumps(self._at(path), separators=(",", ":"), ensure_ascii=False)

    def path(self, path: str) -> Any:
        """What is at a JSONPath, as an object."""
        return java(self._at(path))

    def params(self, name: str | None = None) -> Any:
        """All parameters, or the first of a name: in the path, the arguments, the headers."""
        if name is None:
            return self._parameters
        for kind in ("path", "querystring"):
            if name in self._parameters[kind]:
                return self._parameters[kind][name]
        headers = self._parameters["header"].items()
        return next((value for each, value in headers if each.lower() == name.lower()), "")

    def _at(self, path: str) -> Any:
        if not self.body:
            return {} if path == "$" else ""
        try:
            document = json.loads(self.body)
        except ValueError:
            return self.body if path == "$" else ""
        found = value_at(document, path)
        return "" if found is None else found


class Util:
    """``$util``."""

    def escapeJavaScript(self, text: Any) -> str:  # noqa: N802 - API Gateway's name
        """Text as it stands in a string of JavaScript."""
        return "".join(_escaped(character) for character in str(text))

    def parseJson(self, text: Any) -> Any:  # noqa: N802 - likewise
        """The object that JSON stands for."""
        return java(json.loads(str(text)))

    def urlEncode(self, text: Any) -> str:  # noqa: N802 - likewise
        """As in a form."""
        return quote_plus(str(text))

    def urlDecode(self, text: Any) -> str:  # noqa: N802 - likewise
        """Out of a form."""
        return unquote_plus(str(text))

    def base64Encode(self, data: Any) -> str:  # noqa: N802 - likewise
        """In base64."""
        return base64.b64encode(str(data).encode()).decode()

    def base64Decode(self, text: Any) -> str:  # noqa: N802 - likewise
        """Out of base64."""
        return base64.b64decode(str(text)).decode(errors="replace")


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character in _CONTROLS:
        return _CONTROLS[character]
    if ord(character) in _PLAIN:
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex().upper()}" for i in range(0, len(units), 2))


def rendered(
    template: str, given: Input, context: dict[str, Any], variables: Mapping[str, str]
) -> str:
    """What a template makes.

    Args:
        template: Its text.
        given: The request, or the integration's answer.
        context: ``$context``; what the template sets in it (``responseOverride``) is there after.
        variables: The stage's.

    Raises:
        TemplateFailed: The template is wrong.
    """
    seen = java(context)
    try:
        text: str = _compiled(template).merge(
            {"input": given, "context": seen, "util": Util(), "stageVariables": java(variables)}
        )
    except Exception as error:  # whatever airspeed, and what it calls, raises
        raise TemplateFailed(f"{type(error).__name__}: {error}") from error
    context.update(seen)
    return text


@lru_cache(maxsize=512)
def _compiled(template: str) -> Any:
    from airspeed import Template  # noqa: PLC0415 - only where there are templates

    return Template(template)
