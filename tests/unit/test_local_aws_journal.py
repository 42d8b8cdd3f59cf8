"""What moto was told is kept, and nothing else."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from devkit.local_aws.journal import Entry, Journal, is_kept
from devkit.local_aws.routing import Head

HEAD = Head(
    method="POST",
    path="/a%2Fb",
    query="x=1",
    headers={
        "authorization": "AWS4-HMAC-SHA256 Credential=K/20260101/us-east-1/iam/aws4_request, "
        "SignedHeaders=host, Signature=5ec7e7",
        "content-type": "application/x-www-form-urlencoded",
        "x-amz-security-token": "a token",
        "cookie": "a cookie",
    },
)
ENTRY = Entry(seed=42, head=HEAD, body=b"Action=CreateRole\x00\xff", status=200)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.add(ENTRY)
    journal.close()

    (found,) = Journal(tmp_path / "journal").entries()

    assert (found.seed, found.body, found.status) == (42, ENTRY.body, 200)
    assert (found.head.method, found.head.path, found.head.query) == ("POST", "/a%2Fb", "x=1")


def test_no_signature_token_or_cookie_is_kept() -> None:
    line = ENTRY.line

    assert "Credential=K/20260101/us-east-1/iam" in line
    for secret in ("5ec7e7", "token", "cookie"):
        assert secret not in line


def test_it_is_in_the_file_before_anybody_closes_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.add(ENTRY)

    assert len(list(Journal(tmp_path / "journal").entries())) == 1
    journal.close()


def test_a_line_that_was_cut_off_is_passed_over_and_does_not_spoil_the_next(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal"
    path.write_text(ENTRY.line + "\n" + ENTRY.line[:50])
    journal = Journal(path)

    journal.add(ENTRY)
    journal.close()

    assert len(list(Journal(path).entries())) == 2


def test_what_there_is_no_room_for_is_told_and_leaves_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.add(ENTRY)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))
    try:
        with pytest.raises(OSError, match="large"):
            journal.add(ENTRY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before

    journal.add(ENTRY)

    assert path.read_bytes() == 2 * before
    journal.close()


@pytest.mark.parametrize("line", ["null", "[]", "{}", '{"seed": 1}', "x"])
def test_what_is_no_entry_is_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever of them
        Entry.from_line(line)


def test_a_journal_can_be_cleared_and_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.add(ENTRY)
    journal.clear()
    assert list(journal.entries()) == []

    journal.add(ENTRY)

    assert len(list(journal.entries())) == 1
    journal.close()


def test_without_a_file_nothing_is_kept() -> None:
    journal = Journal(None)
    journal.add(ENTRY)
    journal.clear()

    assert list(journal.entries()) == []


@pytest.mark.parametrize(
    ("service", "operation", "method"),
    [
        ("iam", "CreateRole", "POST"),
        ("iam", "DeleteRole", "POST"),
        ("dynamodb", "PutItem", "POST"),
        ("lambda", "CreateFunction", "POST"),
        ("sqs", "CreateQueue", "POST"),
        ("apigateway", None, "PUT"),
    ],
)
def test_what_changes_something_is_kept(service: str, operation: str | None, method: str) -> None:
    assert is_kept(service, operation, method)


@pytest.mark.parametrize(
    ("service", "operation", "method"),
    [
        ("iam", "ListRoles", "POST"),
        ("dynamodb", "Query", "POST"),
        ("lambda", "GetFunction", "GET"),
        ("sqs", "SendMessage", "POST"),
        ("sqs", "ReceiveMessage", "POST"),
        ("monitoring", "PutMetricData", "POST"),
        ("sts", "AssumeRole", "POST"),
        ("lambda", "Invoke", "POST"),
        ("sagemaker", "InvokeEndpoint", "POST"),
        ("s3", "PutObject", "PUT"),
        ("s3", None, "PUT"),
        ("moto", None, "POST"),
    ],
)
def test_what_reads_or_flows_is_not(service: str, operation: str | None, method: str) -> None:
    assert not is_kept(service, operation, method)
