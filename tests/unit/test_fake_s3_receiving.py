"""Bodies as AWS's clients send them."""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from pathlib import Path

import pytest

from devkit.fake_s3 import digests
from devkit.fake_s3.files import Disk
from devkit.fake_s3.receiving import (
    Refused,
    brings_an_object,
    checksum_headers,
    receive,
    unframed,
)

CRC = base64.b64encode(zlib.crc32(b"hello world").to_bytes(4, "big")).decode()
FRAMED = (
    b"6;chunk-signature=abc\r\nhello \r\n5\r\nworld\r\n0;chunk-signature=def\r\n"
    b"x-amz-checksum-crc32:" + CRC.encode() + b"\r\nx-amz-trailer-signature: f\r\n\r\n"
)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path, sync=False)


def test_framing_is_taken_off_and_trailers_are_kept() -> None:
    trailers: dict[str, str] = {}
    assert b"".join(unframed(io.BytesIO(FRAMED), trailers)) == b"hello world"
    assert trailers == {"x-amz-checksum-crc32": CRC, "x-amz-trailer-signature": "f"}


@pytest.mark.parametrize(
    "framed", [b"", b"6\r\nhel", b"3\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"5\r\nhello\r\n"]
)
def test_framing_that_is_broken_is_refused(framed: bytes) -> None:
    with pytest.raises(Refused, match="terminated"):
        list(unframed(io.BytesIO(framed), {}))


def test_a_framed_body_is_received_and_its_checksum_is_a_header_from_then_on(disk: Disk) -> None:
    headers = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": "11",
        "content-length": str(len(FRAMED)),
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    staged = receive(io.BytesIO(FRAMED), headers, disk)
    assert staged.path.read_bytes() == b"hello world"
    assert checksum_headers(staged, headers) == {"x-amz-checksum-crc32": CRC}


def test_a_checksum_that_only_was_spoken_of_is_computed(disk: Disk) -> None:
    headers = {"content-length": "5", "x-amz-sdk-checksum-algorithm": "SHA256"}
    staged = receive(io.BytesIO(b"hello"), headers, disk)
    sha256 = base64.b64encode(hashlib.sha256(b"hello").digest()).decode()
    assert checksum_headers(staged, headers) == {"x-amz-checksum-sha256": sha256}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"content-length": "6"}, "IncompleteBody"),
        ({"content-md5": base64.b64encode(hashlib.md5(b"other").digest()).decode()}, "BadDigest"),
        ({"content-md5": "no base64"}, "BadDigest"),
        ({"x-amz-checksum-crc32": CRC}, "BadDigest"),
        ({"x-amz-checksum-sha1": CRC}, "BadDigest"),
    ],
)
def test_a_body_that_is_not_what_it_should_be_is_refused_and_leaves_nothing(
    disk: Disk, headers: dict[str, str], code: str
) -> None:
    with pytest.raises(Refused) as refused:
        receive(io.BytesIO(b"hello"), headers, disk)
    assert refused.value.code == code
    status, _, body = refused.value.answer()
    assert status == 400
    assert f"<Code>{code}</Code>".encode() in body
    assert list(disk.staging.iterdir()) == []


@pytest.mark.parametrize(
    ("method", "query", "headers", "brings"),
    [
        ("PUT", {}, {}, True),
        ("PUT", {"uploadId": "1", "partNumber": "1"}, {}, True),
        ("PUT", {"X-Amz-Signature": "1"}, {}, True),
        ("PUT", {"tagging": ""}, {}, False),
        ("PUT", {"acl": ""}, {}, False),
        ("PUT", {}, {"x-amz-copy-source": "a/b"}, False),
        ("PUT", {}, {"content-type": "multipart/form-data; boundary=x"}, False),
        ("POST", {"uploadId": "1"}, {}, False),
        ("GET", {}, {}, False),
    ],
)
def test_which_requests_bring_an_object(
    method: str, query: dict[str, str], headers: dict[str, str], brings: bool
) -> None:
    assert brings_an_object(method, query, headers) is brings


def test_checksums_are_what_they_are_called() -> None:
    for algorithm, expected in [
        ("CRC32", zlib.crc32(b"hello world").to_bytes(4, "big")),
        ("SHA1", hashlib.sha1(b"hello world").digest()),
        ("SHA256", hashlib.sha256(b"hello world").digest()),
    ]:
        digest = digests.new(algorithm)
        digest.update(b"hello ")
        digest.update(b"world")
        assert digest.digest() == expected
        assert digests.is_exact(algorithm)
