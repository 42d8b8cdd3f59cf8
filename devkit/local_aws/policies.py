"""What IAM policies allow: the part of their evaluation that needs nothing but the documents.

Allow and Deny, actions and resources with wildcards and their opposites, and conditions with the
common operators. A condition on a key whose value nobody gave does not hold, and the key is named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

Decision = Literal["allowed", "explicitDeny", "implicitDeny"]

_VARIABLE = re.compile(r"\$\{([^}]+)\}")


class Unsupported(Exception):
    """A policy holds what is not evaluated here; the text says what."""


@dataclass(frozen=True)
class Policy:
    """A policy's document, and what it is called in an answer."""

    name: str
    kind: str
    """``user``, ``group``, ``role``, ``aws-managed``, ``user-managed`` or ``none``."""
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """Whether an action on a resource is allowed, and by what."""

    decision: Decision
    matched: tuple[Policy, ...]
    missing: tuple[str, ...]
    """Condition keys without a value."""


def parse(text: str) -> Mapping[str, Any]:
    """A policy document.

    Raises:
        Unsupported: It is none.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise Unsupported("a policy is not JSON") from None
    if not isinstance(document, dict):
        raise Unsupported("a policy is not a JSON object")
    return document


def evaluate(
    policies: Iterable[Policy], action: str, resource: str, context: Mapping[str, Sequence[str]]
) -> Evaluation:
    """Whether the policies together allow an action on a resource.

    Args:
        policies: All that apply.
        action: Such as ``s3:PutObject``.
        resource: An ARN, or ``*``.
        context: Values of condition keys, by key in lower case.

    Raises:
        Unsupported: A condition uses an operator that is not evaluated here.
    """
    denied: list[Policy] = []
    allowed: list[Policy] = []
    missing: set[str] = set()
    for policy in policies:
        for statement in _list(policy.document.get("Statement")):
            if not isinstance(statement, Mapping):
                raise Unsupported(f"a statement of policy {policy.name} is not a JSON object")
            if not _applies(statement, action, resource, context):
                continue
            holds, unknown = _conditions(statement.get("Condition") or {}, context)
            missing |= unknown
            if holds:
                (denied if statement.get("Effect") == "Deny" else allowed).append(policy)
    decision: Decision = "explicitDeny" if denied else "allowed" if allowed else "implicitDeny"
    return Evaluation(decision, tuple(denied or allowed), tuple(sorted(missing)))


def _applies(
    statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, Sequence[str]]
) -> bool:
    if "NotAction" in statement:
        if _matches_any(statement["NotAction"], action, ignore_case=True):
            return False
    elif not _matches_any(statement.get("Action"), action, ignore_case=True):
        return False
    if "NotResource" in statement:
        return not _matches_any(_filled(statement["NotResource"], context), resource)
    return _matches_any(_filled(statement.get("Resource", "*"), context), resource)


def _filled(patterns: Any, context: Mapping[str, Sequence[str]]) -> list[str]:
    """With the values of ``${aws:username}`` and its like."""

    def value(variable: re.Match[str]) -> str:
        values = context.get(variable[1].lower())
        return values[0] if values else variable[0]

    return [_VARIABLE.sub(value, str(pattern)) for pattern in _list(patterns)]


def _matches_any(patterns: Any, text: str, *, ignore_case: bool = False) -> bool:
    if ignore_case:
        return any(_matches(str(p).lower(), text.lower()) for p in _list(patterns))
    return any(_matches(str(pattern), text) for pattern in _list(patterns))


def _matches(pattern: str, text: str) -> bool:
    return _glob(pattern).fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    """A pattern with ``*`` and ``?``, neither of which stops at a colon or slash."""
    parts = re.split(r"([*?])", re.sub(r"\*+", "*", pattern))
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(part) or re.escape(part) for part in parts), re.DOTALL)


def _conditions(
    conditions: Mapping[str, Any], context: Mapping[str, Sequence[str]]
) -> tuple[bool, set[str]]:
    """Whether all conditions hold, and which keys have no value."""
    holds, unknown = True, set()
    for operator, keys in _object(conditions).items():
        for key, wanted in _object(keys).items():
            values = context.get(key.lower())
            if values is None and operator != "Null" and not operator.endswith("IfExists"):
                unknown.add(key)
                holds = holds and _is_negative(operator)
            else:
                holds = holds and _holds(operator, [str(w) for w in _list(wanted)], values)
    return holds, unknown


def _holds(operator: str, wanted: list[str], values: Sequence[str] | None) -> bool:
    if operator == "Null":
        return (values is None) == (wanted in (["true"], ["True"]))
    if values is None:
        return True  # …IfExists
    name = operator.removesuffix("IfExists")
    every, _, bare = name.rpartition(":")
    negative = _is_negative(bare)
    positive = bare.replace("Not", "", 1) if negative else bare
    if positive not in _COMPARE or every not in ("", "ForAllValues", "ForAnyValue"):
        raise Unsupported(f"the condition operator {operator} is not evaluated by devkit")
    compare = _COMPARE[positive]
    found = [any(compare(w, value) for w in wanted) != negative for value in values]
    return all(found) if every == "ForAllValues" or negative else any(found)


def _is_negative(operator: str) -> bool:
    return "Not" in operator.rpartition(":")[2]


_COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, value: wanted == value,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": _matches,
    "ArnEquals": _matches,
    "ArnLike": _matches,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
}


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unsupported("a condition is not a JSON object")
    return value


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
