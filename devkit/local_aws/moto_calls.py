"""Calls to moto that are made here: botocore writes the request and reads the answer."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from devkit.local_aws.errors import AwsError, WireAnswer
from devkit.local_aws.models import Api
from devkit.local_aws.routing import Head


def request(
    api: Api, operation: str, parameters: Mapping[str, Any], access_key: str, region: str
) -> tuple[Head, bytes]:
    """The request for an operation, signed with no secret."""
    serializer = create_serializer(api.model.resolved_protocol, include_validation=False)
    sent = serializer.serialize_to_request(dict(parameters), api.operation(operation))
    body = sent["body"]
    content = urlencode(body).encode() if isinstance(body, dict) else body
    content = content.encode() if isinstance(content, str) else content or b""
    scope = f"{access_key}/20260101/{region}/{api.model.signing_name}/aws4_request"
    headers = {name.lower(): str(value) for name, value in sent["headers"].items()}
    headers |= {
        "host": f"{api.model.endpoint_prefix}.{region}.amazonaws.com",
        "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none",
    }
    return (
        Head(
            method=sent["method"],
            path=sent["url_path"],
            query=urlencode(sent["query_string"]),
            headers=headers,
        ),
        content,
    )


def parsed(api: Api, operation: str, answer: WireAnswer) -> dict[str, Any]:
    """The members of an answer.

    Raises:
        AwsError: It is an error.
    """
    headers = HeadersDict()
    for name, value in answer.headers.items():
        headers[name] = value
    response = {"status_code": answer.status, "headers": headers, "body": answer.body}
    parser = create_parser(api.model.resolved_protocol)
    members: dict[str, Any] = parser.parse(response, api.operation(operation).output_shape)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        error = members.get("Error", {})
        code, message = error.get("Code", str(answer.status)), error.get("Message", "")
        raise AwsError(str(code), str(message), answer.status)
    members.pop("ResponseMetadata", None)
    return members
