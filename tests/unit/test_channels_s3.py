"""Objects in S3: which they are, where they stand in a channel, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from devkit.channels.locations import S3Uri, parse_location, parse_s3_uri, source_at
from devkit.channels.source import DataObject, S3Source
from devkit.errors import ConfigError, DevkitError


class ClientError(Exception):
    """Shaped as botocore's."""

    def __init__(self, code: str) -> None:
        super().__init__(f"An error occurred ({code})")
        self.response = {"Error": {"Code": code}}


class FakeS3:
    """One bucket called ``bucket``, shaped as boto3's client, two keys a page."""

    def __init__(self, objects: Mapping[str, bytes], *, cut: int = 0) -> None:
        self.content = dict(sorted(objects.items(), key=lambda item: item[0].encode()))
        self.cut = cut
        """How many bytes of each object are lost on the way."""
        self.closed = 0

    def list_objects_v2(self, **request: Any) -> Mapping[str, Any]:
        self._check(request["Bucket"])
        start = int(request.get("ContinuationToken", 0))
        keys = [key for key in self.content if key.startswith(request["Prefix"])]
        page = [{"Key": key, "Size": len(self.content[key])} for key in keys[start : start + 2]]
        more = start + 2 < len(keys)
        answer: dict[str, Any] = {"Contents": page} if page else {}
        return answer | (
            {"IsTruncated": True, "NextContinuationToken": str(start + 2)} if more else {}
        )

    def get_object(self, **request: Any) -> Mapping[str, Any]:
        self._check(request["Bucket"])
        if request["Key"] not in self.content:
            raise ClientError("NoSuchKey")
        data = self.content[request["Key"]]
        return {"Body": self._body(data[: len(data) - self.cut]), "ContentLength": len(data)}

    def _check(self, bucket: str) -> None:
        if bucket != "bucket":
            raise ClientError("NoSuchBucket" if bucket == "nowhere" else "AccessDenied")

    def _body(self, data: bytes) -> io.BytesIO:
        fake = self

        class Body(io.BytesIO):
            def close(self) -> None:
                if not self.closed:
                    fake.closed += 1
                super().close()

        return Body(data)


def keys(source: S3Source) -> list[str]:
    return [each.key for each in source.objects()]


@pytest.fixture
def s3() -> FakeS3:
    names = ("data", "data/", "data/b", "data/a.csv", "data/ä", "data/sub/c", "data2/x", "other")
    return FakeS3({name: b"" if name.endswith("/") else name.encode() for name in names})


@pytest.mark.contract("1.6-l")
def test_a_prefix_matches_every_key_that_starts_with_it_contract_1_6(s3: FakeS3) -> None:
    found = keys(S3Source(s3, "bucket", "data"))
    assert found == ["data", "data/a.csv", "data/b", "data/sub/c", "data/ä", "data2/x"]
    assert list(S3Source(s3, "bucket", "data2").objects()) == [DataObject("data2/x", 7)]


def test_an_empty_prefix_is_the_whole_bucket_contract_1_6(s3: FakeS3) -> None:
    assert len(keys(S3Source(s3, "bucket", ""))) == 7


@pytest.mark.contract("1.6-p")
@pytest.mark.parametrize(
    ("prefix", "key", "path"),
    [
        ("data/", "data/sub/c", "sub/c"),
        ("data", "data/sub/c", "sub/c"),
        ("data", "data2/x", "data2/x"),
        ("data", "data", "data"),
        ("data/su", "data/sub/c", "sub/c"),
        ("data/train", "data/train-1.csv", "train-1.csv"),
        ("data/sub/c", "data/sub/c", "c"),
        ("", "data/sub/c", "data/sub/c"),
    ],
)
def test_the_place_of_an_object_in_its_channel_contract_1_6(
    prefix: str, key: str, path: str
) -> None:
    assert S3Source(FakeS3({}), "bucket", prefix).path(key) == path


@pytest.mark.parametrize(
    "key", ["d/../x", "d//x", "d/./x", "d/..", "d/x\0y", "d/x/", "d//", "d/../../etc/passwd"]
)
def test_keys_that_would_lead_out_of_a_channel_are_refused_contract_1_6(key: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the path of a file"):
        S3Source(FakeS3({}), "bucket", "d/").path(key)


def test_an_object_is_read_as_a_stream_and_closed(s3: FakeS3) -> None:
    with S3Source(s3, "bucket", "data").open("data/a.csv") as stream:
        assert stream.read(4) == b"data"
        assert stream.read() == b"/a.csv"
    assert s3.closed == 1


@pytest.mark.parametrize(("bucket", "key"), [("bucket", "nothing"), ("nowhere", "data")])
def test_a_missing_object_is_named(s3: FakeS3, bucket: str, key: str) -> None:
    with pytest.raises(ConfigError, match=f"there is no s3://{bucket}/{key}"):
        S3Source(s3, bucket, "").open(key)


def test_what_else_s3_says_is_passed_on(s3: FakeS3) -> None:
    with pytest.raises(DevkitError, match=r"s3://secret/a cannot be read: .*AccessDenied"):
        keys(S3Source(s3, "secret", "a"))


def test_a_connection_that_breaks_off_is_an_error_and_not_a_short_file() -> None:
    s3 = FakeS3({"a": b"0123456789"}, cut=4)
    with (
        pytest.raises(DevkitError, match="broke off 4 bytes before its end"),
        S3Source(s3, "bucket", "").open("a") as stream,
    ):
        stream.read()


@pytest.mark.contract("1.13-b")
@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("s3://bucket/some/prefix", S3Uri("bucket", "some/prefix")),
        ("s3://bucket/some/prefix/", S3Uri("bucket", "some/prefix/")),
        ("s3://bucket", S3Uri("bucket", "")),
        ("s3://bucket/", S3Uri("bucket", "")),
        ("https://bucket.s3.eu-west-1.amazonaws.com/a/b", S3Uri("bucket", "a/b")),
        ("https://my.bucket.s3.amazonaws.com/a", S3Uri("my.bucket", "a")),
        ("https://s3.eu-west-1.amazonaws.com/bucket/a/b", S3Uri("bucket", "a/b")),
        ("https://s3-eu-west-1.amazonaws.com/bucket/a/b", S3Uri("bucket", "a/b")),
    ],
)
def test_s3_uris_are_taken_apart_contract_1_13(text: str, uri: S3Uri) -> None:
    assert parse_s3_uri(text) == uri


@pytest.mark.contract("1.13-b")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "bucket/key",
        "S3://b/k",
        "s3:///k",
        "ftp://b/k",
        "s3://b/a\nb",
        "https://example.com/b",
        "s3://b/" + "x" * 1024,
    ],
)
def test_what_is_no_s3_uri_is_refused_contract_1_13(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_s3_uri(text)


def test_a_location_without_a_scheme_is_a_local_path(tmp_path: Path) -> None:
    assert parse_location("data", tmp_path) == tmp_path / "data"
    assert parse_location("s3://b/k", tmp_path) == S3Uri("b", "k")


def test_s3_without_a_client_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match="no S3 is set up"):
        source_at(S3Uri("b", "k"), None)
