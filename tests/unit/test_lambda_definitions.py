"""What a function is: how it is called."""

from __future__ import annotations

import pytest

from devkit.local_aws.errors import AwsError
from devkit.local_aws.lambda_.definitions import Reference

REGION = "us-east-1"


@pytest.mark.parametrize(
    ("text", "qualifier", "wanted"),
    [
        ("f", None, (REGION, "f", None)),
        ("f", "live", (REGION, "f", "live")),
        ("f:3", None, (REGION, "f", "3")),
        ("f:$LATEST", "$LATEST", (REGION, "f", "$LATEST")),
        ("123456789012:function:f", None, (REGION, "f", None)),
        ("123456789012:f:live", None, (REGION, "f", "live")),
        ("arn:aws:lambda:eu-west-1:123456789012:function:f", None, ("eu-west-1", "f", None)),
        ("arn:aws-cn:lambda:cn-north-1:123456789012:function:f:1", None, ("cn-north-1", "f", "1")),
        ("-_-", None, (REGION, "-_-", None)),
    ],
)
def test_a_function_goes_by_many_names(
    text: str, qualifier: str | None, wanted: tuple[str, str, str | None]
) -> None:
    found = Reference.parse(text, region=REGION, qualifier=qualifier)

    assert (found.region, found.name, found.qualifier) == wanted


@pytest.mark.parametrize("text", ["", "a b", "f:", "f:a:b", "../f", "arn:aws:s3:::f", "é"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(AwsError) as refused:
        Reference.parse(text, region=REGION)

    assert refused.value.code == "ValidationException"


def test_two_qualifiers_have_to_be_the_same() -> None:
    with pytest.raises(AwsError, match="does not match"):
        Reference.parse("f:1", region=REGION, qualifier="2")
