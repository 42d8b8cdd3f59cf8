"""Errors on the wire, read back by the parsers of a client nobody here wrote: botocore's."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser

from devkit.local_aws import errors
from devkit.local_aws.errors import AwsError, Protocol, render

ERROR = AwsError("ValidationException", "What <is> & was\x00 wrong é", 400)


def parsed(error: AwsError, protocol: Protocol) -> dict[str, Any]:
    answer = render(error, protocol, "the-id")
    headers = HeadersDict()
    for name, value in answer.headers.items():
        headers[name] = value
    parser = create_parser("rest-xml" if protocol == "s3" else protocol)
    found: dict[str, Any] = parser.parse(
        {"status_code": answer.status, "headers": headers, "body": answer.body}, None
    )
    return found


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_a_client_reads_code_and_message_in_every_protocol(protocol: Protocol) -> None:
    found = parsed(ERROR, protocol)

    assert found["Error"]["Code"] == "ValidationException"
    assert found["Error"]["Message"].replace("\ufffd", "\x00") == ERROR.message
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_further_members_of_an_error_are_told() -> None:
    error = AwsError("ModelError", "no", 424, {"OriginalStatusCode": 500})

    assert b'"OriginalStatusCode": 500' in render(error, "rest-json", "id").body


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_what_nobody_implements_names_itself_and_is_not_asked_again(protocol: Protocol) -> None:
    error = errors.not_implemented("textract", "ListAdapters", protocol)

    assert "textract.ListAdapters" in error.message
    assert 400 <= error.status < 500
    assert error.status not in (408, 429)


def test_what_has_no_name_is_named_by_its_service() -> None:
    assert "textract" in errors.not_implemented("textract", None, "rest-json").message


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_text_that_cannot_be_encoded_is_no_obstacle(protocol: Protocol) -> None:
    assert render(AwsError("A", "\ud800\x01\uffff"), protocol, "id").body
