"""Parameters out of requests, and answers out of results, as an API's description has them.

For the services that devkit itself answers for: in AWS's JSON, REST JSON and query protocols.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.utils import parse_timestamp

from devkit.local_aws.errors import Protocol, WireAnswer, serialization

PROTOCOLS: frozenset[Protocol] = frozenset({"json", "rest-json", "query"})
"""Those that can be read and written here."""

_MISSING = object()
_KINDS = {bool: "Boolean", int: "Number", float: "Number", str: "String", list: "List", dict: "Map"}


# --- requests -------------------------------------------------------------------------------------


def parameters_of(
    operation: OperationModel,
    protocol: Protocol,
    *,
    headers: Mapping[str, str],
    labels: Mapping[str, str],
    arguments: Mapping[str, list[str]],
    body: bytes,
) -> dict[str, Any]:
    """The parameters of a request, by the names and types of the operation's description.

    A payload that is bytes is not among them: it comes as ``Call.body``.

    Args:
        operation: Which was asked for.
        protocol: What the request is written in.
        headers: By lower-case name.
        labels: From the path.
        arguments: The query string's, and the form's in the query protocol.
        body: The whole body.

    Raises:
        AwsError: It is not written as the description says.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    if protocol == "query":
        form = {name: values[-1] for name, values in arguments.items()}
        found = _from_form(shape, form, "")
        return {} if found is _MISSING else dict(found)
    if protocol == "json":
        return dict(_from_json(shape, _document(body), ""))
    return _rest_parameters(shape, headers, labels, arguments, body)


def has_bytes_for_payload(operation: OperationModel) -> bool:
    """Whether the body is no document, but what the operation is about."""
    shape = operation.input_shape
    payload = None if shape is None else shape.serialization.get("payload")
    return payload is not None and shape.members[payload].type_name in ("blob", "string")


def _rest_parameters(
    shape: StructureShape,
    headers: Mapping[str, str],
    labels: Mapping[str, str],
    arguments: Mapping[str, list[str]],
    body: bytes,
) -> dict[str, Any]:
    payload = shape.serialization.get("payload")
    places: dict[str, Callable[[Shape, str], Any]] = {
        "uri": lambda _member, key: labels.get(key),
        "header": lambda _member, key: headers.get(key.lower()),
        "headers": lambda _member, key: _prefixed(headers, key.lower()),
        "querystring": lambda member, key: _argument(member, key, arguments),
    }
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        place = places.get(member.serialization.get("location", ""))
        key = member.serialization.get("name", name)
        text = None if place is None else place(member, key)
        if text is not None:
            found[name] = _from_text(member, text, name)
    if payload is None:
        document = _document(body) if body.strip() else {}
        found |= _from_json(shape, document, "", only_body=True)
    elif shape.members[payload].type_name not in ("blob", "string") and body.strip():
        found[payload] = _from_json(shape.members[payload], _document(body), payload)
    return found


def _prefixed(headers: Mapping[str, str], prefix: str) -> dict[str, str] | None:
    found = {name[len(prefix) :]: v for name, v in headers.items() if name.startswith(prefix)}
    return found or None


def _argument(member: Shape, key: str, arguments: Mapping[str, list[str]]) -> Any:
    if member.type_name == "map":
        return {name: values[-1] for name, values in arguments.items()}
    values = arguments.get(key)
    if values is None:
        return None
    return values if member.type_name == "list" else values[-1]


def require_document(body: bytes) -> None:
    """Make sure that a body is JSON, or empty.

    Raises:
        AwsError: It is not.
    """
    _document(body)


def _document(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise serialization("The request's body is not JSON.") from None


def _from_json(shape: Shape, value: Any, path: str, *, only_body: bool = False) -> Any:
    if getattr(shape, "is_document_type", False):
        return value
    if isinstance(shape, StructureShape):
        _require(value, dict, path, "a structure")
        return {
            name: _from_json(member, value[key], f"{path}.{name}")
            for name, member in shape.members.items()
            if (key := member.serialization.get("name", name)) in value
            and value[key] is not None
            and not (only_body and "location" in member.serialization)
        }
    if isinstance(shape, ListShape):
        _require(value, list, path, "a list")
        return [_from_json(shape.member, each, path) for each in value if each is not None]
    if isinstance(shape, MapShape):
        _require(value, dict, path, "a map")
        return {
            k: _from_json(shape.value, v, f"{path}.{k}") for k, v in value.items() if v is not None
        }
    return _JSON_SCALARS[shape.type_name](value, path)


def _require(value: Any, kind: type, path: str, what: str) -> None:
    if not isinstance(value, kind):
        raise _cannot(value, path, what)


def _cannot(value: Any, path: str, what: str) -> Exception:
    kind = _KINDS.get(type(value), "null")
    where = f" at {path.lstrip('.')}" if path.strip(".") else ""
    return serialization(f"{kind} can not be converted to {what}{where}")


def _json_string(value: Any, path: str) -> str:
    _require(value, str, path, "a String")
    return str(value)


def _json_integer(value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _cannot(value, path, "an Integer")
    if isinstance(value, float) and not value.is_integer():
        raise serialization(f"{value} can not be converted to an Integer at {path.lstrip('.')}")
    return int(value)


def _json_float(value: Any, path: str) -> float:
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _cannot(value, path, "a Float")
    return float(value)


def _json_boolean(value: Any, path: str) -> bool:
    _require(value, bool, path, "a Boolean")
    return bool(value)


def _json_timestamp(value: Any, path: str) -> datetime:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _cannot(value, path, "a Timestamp")
    try:
        moment: datetime = parse_timestamp(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError, OSError, RuntimeError):
        raise _cannot(value, path, "a Timestamp") from None


def _json_blob(value: Any, path: str) -> bytes:
    _require(value, str, path, "a Blob")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise _cannot(value, path, "a Blob") from None


_JSON_SCALARS: Mapping[str, Callable[[Any, str], Any]] = {
    "string": _json_string,
    "character": _json_string,
    "integer": _json_integer,
    "long": _json_integer,
    "short": _json_integer,
    "byte": _json_integer,
    "float": _json_float,
    "double": _json_float,
    "bigdecimal": _json_float,
    "boolean": _json_boolean,
    "timestamp": _json_timestamp,
    "blob": _json_blob,
}


def _from_text(shape: Shape, value: Any, path: str) -> Any:
    """From headers, paths, query strings and forms, where everything is text."""
    if isinstance(shape, ListShape):
        values = value if isinstance(value, list) else [each.strip() for each in value.split(",")]
        return [_from_text(shape.member, each, path) for each in values]
    if isinstance(shape, MapShape):
        return {key: _from_text(shape.value, each, path) for key, each in value.items()}
    kind = shape.type_name
    if kind == "boolean":
        if value.lower() not in ("true", "false"):
            raise _cannot(value, path, "a Boolean")
        return value.lower() == "true"
    if kind in ("integer", "long", "short", "byte", "float", "double"):
        try:
            number = float(value) if kind in ("float", "double") else int(value)
        except ValueError:
            raise _cannot(value, path, "a Number") from None
        return number
    if kind in ("timestamp", "blob"):
        return _JSON_SCALARS[kind](value, path)
    return value


def _from_form(shape: Shape, form: Mapping[str, str], prefix: str) -> Any:
    if isinstance(shape, StructureShape):
        found = {}
        for name, member in shape.members.items():
            key = member.serialization.get("name", name)
            value = _from_form(member, form, f"{prefix}.{key}" if prefix else key)
            if value is not _MISSING:
                found[name] = value
        return found or _MISSING
    if isinstance(shape, ListShape):
        return _list_from_form(shape, form, prefix)
    if isinstance(shape, MapShape):
        flat = shape.serialization.get("flattened")
        entries = f"{prefix}" if flat else f"{prefix}.entry"
        pairs = _members(form, entries)
        key, value = (
            f".{part.serialization.get('name', default)}"
            for part, default in ((shape.key, "key"), (shape.value, "value"))
        )
        return {form.get(p + key, ""): _from_form(shape.value, form, p + value) for p in pairs} or (
            _MISSING
        )
    return _from_text(shape, form[prefix], prefix) if prefix in form else _MISSING


def _list_from_form(shape: ListShape, form: Mapping[str, str], prefix: str) -> Any:
    if form.get(prefix) == "":
        return []
    flat = shape.serialization.get("flattened")
    name = shape.member.serialization.get("name", "member")
    values = [
        _from_form(shape.member, form, each)
        for each in _members(form, prefix if flat else f"{prefix}.{name}")
    ]
    return [value for value in values if value is not _MISSING] or _MISSING


def _members(form: Mapping[str, str], prefix: str) -> list[str]:
    """``<prefix>.1``, ``<prefix>.2`` …, as far as there are such fields."""
    start = f"{prefix}."
    numbers = {name[len(start) :].partition(".")[0] for name in form if name.startswith(start)}
    return [f"{start}{n}" for n in sorted(int(n) for n in numbers if n.isascii() and n.isdigit())]


# --- answers --------------------------------------------------------------------------------------


def answer_of(
    operation: OperationModel,
    protocol: Protocol,
    members: Mapping[str, Any],
    *,
    request_id: str,
    json_version: str = "1.1",
    status: int | None = None,
) -> WireAnswer:
    """What a client is sent for a result.

    Raises:
        TypeError: The result is not of the operation's output.
    """
    shape = operation.output_shape
    headers = {"x-amzn-RequestId": request_id}
    status = status or int(operation.http.get("responseCode", 200))
    known = set() if shape is None else set(shape.members)
    if unknown := set(members) - known:
        raise TypeError(f"{operation.name} has no {', '.join(sorted(unknown))} in its output")
    given = {name: value for name, value in members.items() if value is not None}
    if protocol == "query":
        body = _xml_result(operation, shape, given, request_id)
        return WireAnswer(status=status, headers={**headers, "Content-Type": "text/xml"}, body=body)
    if protocol == "json":
        document = {} if shape is None else _to_json(shape, given, "unixtimestamp")
        headers["Content-Type"] = f"application/x-amz-json-{json_version}"
        return WireAnswer(status=status, headers=headers, body=json.dumps(document).encode())
    return _rest_answer(shape, given, status, headers)


def _rest_answer(
    shape: StructureShape | None, members: dict[str, Any], status: int, headers: dict[str, str]
) -> WireAnswer:
    body: dict[str, Any] = {}
    payload = None if shape is None else shape.serialization.get("payload")
    for name, value in members.items():
        assert shape is not None  # noqa: S101 - there are no members without one
        member = shape.members[name]
        where, key = (member.serialization.get(part) for part in ("location", "name"))
        if where == "statusCode":
            status = int(value)
        elif where == "header":
            headers[key or name] = _header(member, value)
        elif where == "headers":
            headers |= {f"{key or ''}{each}": str(text) for each, text in value.items()}
        elif name != payload:
            body[key or name] = _to_json(member, value, "unixtimestamp")
    content, kind = json.dumps(body).encode(), "application/json"
    if payload is not None and shape is not None:
        value, member = members.get(payload), shape.members[payload]
        if member.type_name in ("blob", "string"):
            content, kind = _bytes(value), headers.get("Content-Type", "application/octet-stream")
        else:
            content = json.dumps(_to_json(member, value or {}, "unixtimestamp")).encode()
    return WireAnswer(status=status, headers={"Content-Type": kind, **headers}, body=content)


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


def _header(shape: Shape, value: Any) -> str:
    if shape.type_name == "timestamp":
        return str(_timestamp(shape, value, "rfc822"))
    if shape.type_name == "boolean":
        return "true" if value else "false"
    return str(value)


def _to_json(shape: Shape, value: Any, timestamps: str) -> Any:
    if getattr(shape, "is_document_type", False):
        return value
    if isinstance(shape, StructureShape):
        return {
            member.serialization.get("name", name): _to_json(member, value[name], timestamps)
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [_to_json(shape.member, each, timestamps) for each in value]
    if isinstance(shape, MapShape):
        return {key: _to_json(shape.value, each, timestamps) for key, each in value.items()}
    return _scalar_to_json(shape, value, timestamps)


def _scalar_to_json(shape: Shape, value: Any, timestamps: str) -> Any:
    if shape.type_name == "timestamp":
        return _timestamp(shape, value, timestamps)
    if shape.type_name == "blob":
        return base64.b64encode(_bytes(value)).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    return value


def _timestamp(shape: Shape, value: datetime, default: str) -> str | float:
    moment = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    style = str(shape.serialization.get("timestampFormat", default)).lower()
    if style == "unixtimestamp":
        return round(moment.timestamp(), 3)
    if style == "rfc822":
        return format_datetime(moment.astimezone(timezone.utc), usegmt=True)
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _xml_result(
    operation: OperationModel,
    shape: StructureShape | None,
    members: Mapping[str, Any],
    request_id: str,
) -> bytes:
    namespace = operation.service_model.metadata.get("xmlNamespace", "")
    inner = "" if shape is None else _xml_members(shape, members)
    wrapper = None if shape is None else shape.serialization.get("resultWrapper")
    if wrapper:
        inner = f"<{wrapper}>{inner}</{wrapper}>"
    name = f"{operation.name}Response"
    return (
        f'<{name} xmlns="{escape(str(namespace))}">{inner}'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}>"
    ).encode()


def _xml_members(shape: StructureShape, value: Mapping[str, Any]) -> str:
    return "".join(
        _to_xml(member, member.serialization.get("name", name), value[name])
        for name, member in shape.members.items()
        if value.get(name) is not None
    )


def _to_xml(shape: Shape, tag: str, value: Any) -> str:
    if isinstance(shape, StructureShape):
        return f"<{tag}>{_xml_members(shape, value)}</{tag}>"
    flat = bool(shape.serialization.get("flattened"))
    if isinstance(shape, ListShape):
        name = shape.member.serialization.get("name", tag if flat else "member")
        inner = "".join(_to_xml(shape.member, name, each) for each in value)
        return inner if flat else f"<{tag}>{inner}</{tag}>"
    if isinstance(shape, MapShape):
        entry = tag if flat else "entry"
        names = [
            part.serialization.get("name", default)
            for part, default in ((shape.key, "key"), (shape.value, "value"))
        ]
        inner = "".join(
            f"<{entry}>{_to_xml(shape.key, names[0], key)}"
            f"{_to_xml(shape.value, names[1], each)}</{entry}>"
            for key, each in value.items()
        )
        return inner if flat else f"<{tag}>{inner}</{tag}>"
    return f"<{tag}>{escape(_xml_text(shape, value))}</{tag}>"


def _xml_text(shape: Shape, value: Any) -> str:
    if shape.type_name == "timestamp":
        return str(_timestamp(shape, value, "iso8601"))
    if shape.type_name == "blob":
        return base64.b64encode(_bytes(value)).decode()
    if shape.type_name == "boolean":
        return "true" if value else "false"
    return str(value)
