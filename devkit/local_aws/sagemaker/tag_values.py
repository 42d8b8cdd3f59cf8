"""Tags as requests and answers have them, and what of them is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from devkit.local_aws.errors import validation

MAX_TAGS = 50
_RESERVED = "aws:"


def of_request(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Tags of a request, by key.

    Raises:
        AwsError: They cannot be given to anything (the texts are undocumented).
    """
    keys = [each["Key"] for each in given]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise validation(f"Duplicate tag keys found: {', '.join(twice)}.")
    reserved = [key for key in keys if key.lower().startswith(_RESERVED)]
    if reserved:
        raise validation(f"Tag keys that start with '{_RESERVED}' are reserved: {reserved[0]}.")
    return {each["Key"]: each["Value"] for each in given}


def of_answer(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as answers have them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def require_room(tags: Mapping[str, str]) -> None:
    """Make sure that one resource can have all these tags.

    Raises:
        AwsError: It cannot (the text is undocumented).
    """
    if len(tags) > MAX_TAGS:
        raise validation(
            f"A resource can have {MAX_TAGS} tags at most, and this one would have {len(tags)}."
        )
