"""What a request says of itself: which service it is for, which operation, where, and by whom.

Nothing is looked up here. What takes AWS's description of the service to know is in ``models``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from urllib.parse import parse_qsl, unquote

from devkit.contract import LOCAL_REGION

Wire = Literal["json", "query", "cbor", "rest"]

_FORM = "application/x-www-form-urlencoded"
_SIGNATURE = re.compile(r"AWS4-(HMAC|ECDSA-P256)-SHA256\s+.*?Credential=([^,\s]+)", re.ASCII)
_SIGNATURE_2 = re.compile(r"AWS ([^:\s]+):", re.ASCII)
_CBOR_PATH = re.compile(r"/service/[^/]+/operation/([A-Za-z0-9]+)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,127}", re.ASCII)
_PORT = re.compile(r":\d*$")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d", re.ASCII)
_LOCAL_SUFFIXES = (".localhost.localstack.cloud", ".localhost", ".amazonaws.com")
_SCOPE_PARTS = 5
_SCOPE_PARTS_WITHOUT_REGION = 4

# What comes without a signature, by what it names its operation with.
_UNSIGNED_TARGETS = {
    "AWSCognitoIdentityProviderService": "cognito-idp",
    "AWSCognitoIdentityService": "cognito-identity",
    "AWSSSOPortalService": "sso",
    "SageMaker": "sagemaker",
    "Logs_20140328": "logs",
}
_UNSIGNED_ACTIONS = {"AssumeRoleWithSAML": "sts", "AssumeRoleWithWebIdentity": "sts"}
# What people ask by hand, with curl.
_UNSIGNED_PATHS = (
    (re.compile(r"/endpoints/[^/]+/(invocations|async-invocations)"), "sagemaker"),
    (re.compile(r"/2015-03-31/functions(/|$)"), "lambda"),
)
_DEFAULT = "s3"  # whose objects are public, and whose paths are anything
# What moto has besides AWS's services.
_MOTO_PATHS = ("/moto-api", "/latest/meta-data/", "/latest/api/")
MOTO = "moto"
_S3_CONTROL_PATH = "/v20180820/"


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a request says before its body.

    ``path`` is as it was sent, still encoded; names of ``headers`` are in lower case.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def arguments(self) -> dict[str, str]:
        """The query string's."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


@dataclass(frozen=True, kw_only=True)
class Route:
    """Whom a request is for, as far as it says so itself."""

    signing_name: str
    wire: Wire
    operation: str | None = None
    """``None`` where method and path tell it."""
    target: str | None = None
    """What precedes the operation in ``X-Amz-Target``; it belongs to one service alone."""
    version: str | None = None
    """Of the API, where the request names it."""
    region: str = LOCAL_REGION
    access_key: str | None = None


def route(head: Head, form: Mapping[str, str]) -> Route:
    """Whom a request is for.

    Args:
        head: Its head.
        form: The fields of its body, where that is a form.
    """
    arguments = {**head.arguments, **form}
    wire = wire_of(head, arguments)
    operation, target = _named_operation(head, wire, arguments)
    key, region, name = _signature(head, arguments)
    if name is None:
        name, host_region = _from_host(head.headers.get("host", ""))
        region = region or host_region
    return Route(
        signing_name=_service(head, name) or _unsigned(head, operation, target),
        wire=wire,
        operation=operation,
        target=target,
        version=arguments.get("Version"),
        region=region or LOCAL_REGION,
        access_key=key,
    )


def is_form(head: Head) -> bool:
    """Whether the body is a form."""
    return head.headers.get("content-type", "").lower().startswith(_FORM)


def wire_of(head: Head, arguments: Mapping[str, str]) -> Wire:
    """How the request, and so its answer, is written."""
    if head.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return "cbor"
    if "x-amz-target" in head.headers:
        return "json"
    if "Action" in arguments and (is_form(head) or "Version" in arguments):
        return "query"
    return "rest"


def _named_operation(
    head: Head, wire: Wire, arguments: Mapping[str, str]
) -> tuple[str | None, str | None]:
    target = None
    operation: str | None = None
    if wire == "json":
        target, _, operation = head.headers["x-amz-target"].rpartition(".")
    elif wire == "query":
        operation = arguments["Action"]
    elif wire == "cbor":
        match = _CBOR_PATH.search(head.path)
        operation = match[1] if match else None
    return operation if _NAME.fullmatch(operation or "") else None, target or None


def _signature(
    head: Head, arguments: Mapping[str, str]
) -> tuple[str | None, str | None, str | None]:
    """Access key, region and signing name, from the header or a presigned URL."""
    header = head.headers.get("authorization", "")
    match = _SIGNATURE.match(header)
    credential = match[2] if match else arguments.get("X-Amz-Credential", "")
    parts = unquote(credential).split("/")
    if len(parts) >= _SCOPE_PARTS:  # a key may hold slashes
        key, (region, name) = "/".join(parts[:-4]), parts[-3:-1]
        return key, region, name.lower() or None
    if len(parts) == _SCOPE_PARTS_WITHOUT_REGION:  # SigV4A signs for every region
        return parts[0], None, parts[2].lower() or None
    old = _SIGNATURE_2.match(header)
    key_2 = old[1] if old else arguments.get("AWSAccessKeyId")
    return key_2, None, "s3" if old else None


def _from_host(host: str) -> tuple[str | None, str | None]:
    """Signing name and region out of ``sts.us-east-1.localhost.localstack.cloud`` and its like."""
    name = _PORT.sub("", host)
    for suffix in _LOCAL_SUFFIXES:
        if name.endswith(suffix):
            labels = name.removesuffix(suffix).split(".")
            region = next((each for each in labels if _REGION.fullmatch(each)), None)
            services = [each for each in labels if each != region]
            return (services[-1].lower() if services else None), region
    return None, None


def _service(head: Head, signed: str | None) -> str | None:
    """Two that share the S3's signature or have none are told by their paths."""
    if head.path.startswith(_MOTO_PATHS):
        return MOTO
    if signed == "s3" and head.path.startswith(_S3_CONTROL_PATH):
        return "s3control"
    return signed


def _unsigned(head: Head, operation: str | None, target: str | None) -> str:
    if target is not None:
        return _UNSIGNED_TARGETS.get(target, target.lower())
    if operation in _UNSIGNED_ACTIONS:
        return _UNSIGNED_ACTIONS[operation]
    for pattern, name in _UNSIGNED_PATHS:
        if pattern.match(head.path):
            return name
    return _DEFAULT
