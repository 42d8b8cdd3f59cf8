"""Which headers pass the front, in either direction, and what they may hold (§2.4, §2.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from devkit.front import errors
from devkit.front.errors import Endpoint

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_TEXT = re.compile(r"[\x00-\x7f]*")
_PRINTABLE = re.compile(r"[\x21-\x7e][\x20-\x7e]*")
_SESSION = re.compile(r"NEW_SESSION|[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_NEW_SESSION = re.compile(
    r"[a-zA-Z0-9](-*[a-zA-Z0-9])*;\sExpires=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII
)


@dataclass(frozen=True)
class _Field:
    """A member of InvokeEndpoint that is sent as a header, with its limits."""

    member: str
    header: str
    max_chars: int
    pattern: re.Pattern[str]
    min_chars: int = 0
    passed_on: bool = False

    def problem(self, value: str) -> str | None:
        """What InvokeEndpoint would refuse about this value, in AWS's words (§5)."""
        if len(value) > self.max_chars:
            rule = f"have length less than or equal to {self.max_chars}"
        elif len(value) < self.min_chars:
            rule = f"have length greater than or equal to {self.min_chars}"
        elif not self.pattern.fullmatch(value):
            rule = f"satisfy regular expression pattern: {self.pattern.pattern}"
        else:
            return None
        shown = value[:64] + ("…" if len(value) > 64 else "")  # noqa: PLR2004 - for people
        return (
            f"Value '{shown}' at '{self.member}' failed to satisfy constraint: Member must {rule}"
        )


_AWS = "X-Amzn-SageMaker-"
_TARGET_VARIANT = f"{_AWS}Target-Variant"
_TARGET_CONTAINER = f"{_AWS}Target-Container-Hostname"

# The headers of InvokeEndpoint and their limits (§2.4, RT). Passed on are those that AWS documents
# to reach a container (Content-Type, Accept, Custom-Attributes, Target-Model, Session-Id) and those
# that the SDK's local mode passes on besides (Target-Variant, Inference-Id). The others address the
# service; they are checked and end here.
_FIELDS = (
    _Field("contentType", "Content-Type", 1024, _TEXT, passed_on=True),
    _Field("accept", "Accept", 1024, _TEXT, passed_on=True),
    _Field("customAttributes", f"{_AWS}Custom-Attributes", 1024, _TEXT, passed_on=True),
    _Field("targetModel", f"{_AWS}Target-Model", 1024, _PRINTABLE, 1, passed_on=True),
    _Field("targetVariant", _TARGET_VARIANT, 63, _NAME, passed_on=True),
    _Field("inferenceId", f"{_AWS}Inference-Id", 64, _PRINTABLE, 1, passed_on=True),
    _Field("sessionId", f"{_AWS}Session-Id", 256, _SESSION, passed_on=True),
    _Field("targetContainerHostname", _TARGET_CONTAINER, 63, _NAME),
    _Field("enableExplanations", f"{_AWS}Enable-Explanations", 64, _TEXT, 1),
    _Field("inferenceComponentName", f"{_AWS}Inference-Component", 63, _NAME),
    _Field("prefixAwareId", f"{_AWS}Prefix-Aware-Id", 64, _PRINTABLE, 1),
)
# What a streaming or asynchronous client calls Accept and Content-Type (§2.4, RT).
_ALIASES = {"Accept": f"{_AWS}Accept", "Content-Type": f"{_AWS}Content-Type"}
_LOOKED_UP = tuple(
    (each, each.header.lower(), _ALIASES.get(each.header, "").lower()) for each in _FIELDS
)


def for_container(headers: Mapping[str, str], endpoint: Endpoint) -> dict[str, str]:
    """The headers of a client's request that reach the container; all others are stripped (§2.4).

    Raises:
        Refused: One of them holds what InvokeEndpoint does not accept.
    """
    passed, problems = {}, []
    for field, name, alias in _LOOKED_UP:
        value = headers.get(alias) if alias else None
        if value is None:
            value = headers.get(name)
        if value is None:
            continue
        problem = field.problem(value)
        if problem is not None:
            problems.append(problem)
        elif field.passed_on:
            passed[field.header] = value
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        raise errors.validation_error(f"{count}: {'; '.join(problems)}")
    _require_here(headers, endpoint)
    return passed


def _require_here(headers: Mapping[str, str], endpoint: Endpoint) -> None:
    variant = headers.get(_TARGET_VARIANT.lower())
    if variant is not None and variant != endpoint.variant:
        raise errors.unknown_variant(endpoint, variant)
    hostname = headers.get(_TARGET_CONTAINER.lower())
    if hostname is not None:  # §2.6: superfluous where the endpoint has one container
        raise errors.validation_error(
            f"TargetContainerHostname {hostname} is not allowed: endpoint {endpoint.name} is no "
            "multi-container endpoint with direct invocation."
        )


def for_client(headers: Mapping[str, str], endpoint: Endpoint, request_id: str) -> dict[str, str]:
    """The headers of the answer to a client; all others of the container's are dropped (§2.5)."""
    answer = {
        errors.REQUEST_ID: request_id,
        "x-Amzn-Invoked-Production-Variant": endpoint.variant,
    }
    for name in ("Content-Type", f"{_AWS}Custom-Attributes", f"{_AWS}Closed-Session-Id"):
        value = headers.get(name)
        if value is not None and value.isascii():
            answer[name] = value
    opened = headers.get(f"{_AWS}Session-Id")
    if opened is not None and _NEW_SESSION.fullmatch(opened):
        answer[f"{_AWS}New-Session-Id"] = opened
    return answer
