"""moto's S3 over plain files, as boto3 and the people who use the files see it."""

from __future__ import annotations

import io
import json
import os
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError

from devkit.errors import ConfigError, PortInUse, StoreError
from devkit.fake_s3 import FakeS3, fake_s3
from devkit.fake_s3.catalogue import Catalogue
from devkit.fake_s3.installing import durable_s3, require_known_moto

MEGABYTE = 1024 * 1024
PART = 5 * MEGABYTE  # S3's smallest that is not the last


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "s3"


@contextmanager
def client_of(folder: Path) -> Iterator[Any]:
    with fake_s3(folder=folder) as s3:
        client: Any = s3.client()
        yield client
        client.close()


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def read(client: Any, key: str, bucket: str = "bucket", **more: Any) -> bytes:
    return bytes(client.get_object(Bucket=bucket, Key=key, **more)["Body"].read())


def keys(client: Any, bucket: str = "bucket", **more: Any) -> list[str]:
    answer = client.list_objects_v2(Bucket=bucket, **more)
    return [each["Key"] for each in answer.get("Contents", [])]


def test_an_object_is_a_file_and_a_bucket_is_a_folder(folder: Path) -> None:
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="deep/down.txt", Body=b"hello")
        assert (folder / "bucket/deep/down.txt").read_bytes() == b"hello"
        client.delete_object(Bucket="bucket", Key="deep/down.txt")
        assert list((folder / "bucket").iterdir()) == []
        client.delete_bucket(Bucket="bucket")
        assert not (folder / "bucket").exists()


def test_a_restart_keeps_everything_that_s3_knows_of_an_object(folder: Path) -> None:
    asked = {"Bucket": "bucket", "Key": "key"}
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket", ObjectLockEnabledForBucket=True)
        client.put_object(
            **asked,
            Body=b"hello",
            ContentType="text/plain",
            ContentEncoding="identity",
            CacheControl="no-cache",
            Metadata={
                "with_underscore": "1",
                "with-dash": "2",
                "empty": "",
            },
            Tagging="a=1&b=2",
            StorageClass="STANDARD_IA",
            ServerSideEncryption="aws:kms",
            ChecksumAlgorithm="SHA256",
            ACL="public-read",
            ObjectLockMode="GOVERNANCE",
            ObjectLockRetainUntilDate=datetime(2099, 1, 1, tzinfo=timezone.utc),
            WebsiteRedirectLocation="/other",
        )
        before = _all_about(client, asked)
    assert before["head"]["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    assert before["head"]["ChecksumSHA256"]
    with client_of(folder) as client:
        assert _all_about(client, asked) == before
        assert read(client, "key") == b"hello"


def _all_about(client: Any, asked: dict[str, str]) -> dict[str, Any]:
    answers = {
        "head": client.head_object(**asked, ChecksumMode="ENABLED"),
        "tags": client.get_object_tagging(**asked),
        "acl": client.get_object_acl(**asked),
    }
    return {n: {k: v for k, v in a.items() if k != "ResponseMetadata"} for n, a in answers.items()}


SETTINGS: dict[str, tuple[dict[str, Any], str, str]] = {
    "versioning": (
        {"VersioningConfiguration": {"Status": "Enabled"}},
        "put_bucket_versioning",
        "get_bucket_versioning",
    ),
    "tagging": (
        {"Tagging": {"TagSet": [{"Key": "a", "Value": "1"}]}},
        "put_bucket_tagging",
        "get_bucket_tagging",
    ),
    "policy": (
        {"Policy": json.dumps({"Version": "2012-10-17", "Statement": []})},
        "put_bucket_policy",
        "get_bucket_policy",
    ),
    "cors": (
        {
            "CORSConfiguration": {
                "CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["http://a"]}]
            }
        },
        "put_bucket_cors",
        "get_bucket_cors",
    ),
    "lifecycle": (
        {
            "LifecycleConfiguration": {
                "Rules": [
                    {
                        "ID": "1",
                        "Status": "Enabled",
                        "Filter": {"And": {"Prefix": "p", "Tags": [{"Key": "a", "Value": "b"}]}},
                        "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}],
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 3},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
                    },
                    {
                        "ID": "2",
                        "Status": "Enabled",
                        "Filter": {"Tag": {"Key": "a", "Value": "b"}},
                        "Expiration": {"Days": 1},
                    },
                ]
            }
        },
        "put_bucket_lifecycle_configuration",
        "get_bucket_lifecycle_configuration",
    ),
    "encryption": (
        {
            "ServerSideEncryptionConfiguration": {
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            }
        },
        "put_bucket_encryption",
        "get_bucket_encryption",
    ),
    "website": (
        {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "index.html"}}},
        "put_bucket_website",
        "get_bucket_website",
    ),
    "public access": (
        {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "IgnorePublicAcls": False}},
        "put_public_access_block",
        "get_public_access_block",
    ),
    "ownership": (
        {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
        "put_bucket_ownership_controls",
        "get_bucket_ownership_controls",
    ),
    "acl": ({"ACL": "public-read"}, "put_bucket_acl", "get_bucket_acl"),
    "acceleration": (
        {"AccelerateConfiguration": {"Status": "Enabled"}},
        "put_bucket_accelerate_configuration",
        "get_bucket_accelerate_configuration",
    ),
    "notification": (
        {
            "NotificationConfiguration": {
                "QueueConfigurations": [
                    {
                        "QueueArn": "arn:aws:sqs:eu-west-1:123456789012:q",
                        "Events": ["s3:ObjectCreated:*"],
                        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "p"}]}},
                    }
                ]
            }
        },
        "put_bucket_notification_configuration",
        "get_bucket_notification_configuration",
    ),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_restart_keeps_a_bucket_s_settings(folder: Path, setting: str) -> None:
    value, put, get = SETTINGS[setting]
    with client_of(folder) as client:
        client.create_bucket(
            Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        getattr(client, put)(Bucket="bucket", **value)
        before = getattr(client, get)(Bucket="bucket")
    with client_of(folder) as client:
        after = getattr(client, get)(Bucket="bucket")
        assert client.get_bucket_location(Bucket="bucket")["LocationConstraint"] == "eu-west-1"
    for answer in (before, after):
        answer.pop("ResponseMetadata")
    assert before
    assert after == before


def test_a_restart_keeps_versions_and_delete_markers(folder: Path) -> None:
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        ids = [
            client.put_object(Bucket="bucket", Key="key", Body=body, Tagging=f"n={body.decode()}")[
                "VersionId"
            ]
            for body in (b"1", b"2", b"3")
        ]
        assert (folder / "bucket/key").read_bytes() == b"3"
        client.delete_object(Bucket="bucket", Key="key")
        assert not (folder / "bucket/key").exists()
        before = _versions(client)
    with client_of(folder) as client:
        assert _versions(client) == before
        assert len(before) == 4
        for version, body in zip(ids, (b"1", b"2", b"3"), strict=True):
            assert read(client, "key", VersionId=version) == body
            tags = client.get_object_tagging(Bucket="bucket", Key="key", VersionId=version)
            assert tags["TagSet"] == [{"Key": "n", "Value": body.decode()}]
        marker = before[0][0]
        client.delete_object(Bucket="bucket", Key="key", VersionId=marker)
        assert read(client, "key") == b"3"
        assert (folder / "bucket/key").read_bytes() == b"3"
        client.delete_object(Bucket="bucket", Key="key", VersionId=ids[2])
        assert (folder / "bucket/key").read_bytes() == b"2"
    with client_of(folder) as client:
        assert read(client, "key") == b"2"


def _versions(client: Any) -> list[tuple[str, bool, str]]:
    answer = client.list_object_versions(Bucket="bucket")
    found = [*answer.get("DeleteMarkers", []), *answer.get("Versions", [])]
    return [(each["VersionId"], each["IsLatest"], each.get("ETag", "")) for each in found]


def test_a_restart_keeps_an_unfinished_upload_and_the_parts_of_a_finished_one(
    folder: Path,
) -> None:
    asked = {"Bucket": "bucket", "Key": "large"}
    first, second = os.urandom(PART), os.urandom(100)
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        upload = client.create_multipart_upload(
            **asked, Metadata={"a": "b"}, ChecksumAlgorithm="CRC32"
        )["UploadId"]
        tag_1 = client.upload_part(**asked, UploadId=upload, PartNumber=1, Body=first)["ETag"]
        client.upload_part(**asked, UploadId=upload, PartNumber=2, Body=b"replaced later")
    with client_of(folder) as client:
        tag_2 = client.upload_part(**asked, UploadId=upload, PartNumber=2, Body=second)["ETag"]
        assert [part["Size"] for part in client.list_parts(**asked, UploadId=upload)["Parts"]] == [
            PART,
            100,
        ]
        parts = [{"PartNumber": 1, "ETag": tag_1}, {"PartNumber": 2, "ETag": tag_2}]
        etag = client.complete_multipart_upload(
            **asked, UploadId=upload, MultipartUpload={"Parts": parts}
        )["ETag"]
        assert etag.endswith('-2"')
        assert list((folder / ".meta/staged").iterdir()) == []
    with client_of(folder) as client:
        assert read(client, "large") == first + second
        head = client.head_object(**asked, PartNumber=1, ChecksumMode="ENABLED")
        assert head["PartsCount"] == 2
        assert head["ContentLength"] == PART
        assert client.head_object(**asked)["ETag"] == etag
        assert client.head_object(**asked)["Metadata"] == {"a": "b"}
        assert client.list_multipart_uploads(Bucket="bucket").get("Uploads") is None
        again = client.complete_multipart_upload(
            **asked, UploadId=upload, MultipartUpload={"Parts": parts}
        )
        assert again["ETag"] == etag  # as a client asks that has not had the answer


def test_an_upload_that_is_given_up_leaves_nothing(folder: Path) -> None:
    asked = {"Bucket": "bucket", "Key": "large"}
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        upload = client.create_multipart_upload(**asked)["UploadId"]
        client.upload_part(**asked, UploadId=upload, PartNumber=1, Body=b"part")
        client.abort_multipart_upload(**asked, UploadId=upload)
        assert list((folder / ".meta/staged").iterdir()) == []
        with pytest.raises(ClientError) as error:
            client.upload_part(**asked, UploadId=upload, PartNumber=1, Body=b"part")
        assert code_of(error) == "NoSuchUpload"


def test_objects_and_ranges_of_them_are_copied(folder: Path) -> None:
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        body = os.urandom(PART + 10)
        client.put_object(Bucket="bucket", Key="from", Body=body, Metadata={"a": "b"})
        source = {"Bucket": "bucket", "Key": "from"}
        client.copy_object(Bucket="bucket", Key="copies/to", CopySource=source)
        assert (folder / "bucket/copies/to").read_bytes() == body
        head = client.head_object(Bucket="bucket", Key="copies/to")
        assert head["Metadata"] == {"a": "b"}
        assert head["ETag"] == client.head_object(Bucket="bucket", Key="from")["ETag"]
        asked = {"Bucket": "bucket", "Key": "joined"}
        upload = client.create_multipart_upload(**asked)["UploadId"]
        tags = [
            client.upload_part_copy(
                **asked, UploadId=upload, PartNumber=n, CopySource=source, CopySourceRange=cut
            )["CopyPartResult"]["ETag"]
            for n, cut in ((1, f"bytes=10-{PART + 9}"), (2, "bytes=0-9"))
        ]
        parts = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
        client.complete_multipart_upload(**asked, UploadId=upload, MultipartUpload={"Parts": parts})
        assert read(client, "joined") == body[10:] + body[:10]


@pytest.mark.parametrize(
    ("cut", "expected"),
    [("bytes=0-0", b"0"), ("bytes=3-5", b"345"), ("bytes=7-", b"789"), ("bytes=-2", b"89")],
)
def test_ranges_are_read(folder: Path, cut: str, expected: bytes) -> None:
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="key", Body=b"0123456789")
        assert read(client, "key", Range=cut) == expected
        with pytest.raises(ClientError) as error:
            read(client, "key", Range="bytes=10-")
        assert code_of(error) == "InvalidRange"


ODD_KEYS = [
    *("a", "a/b", "a/b/c", "dir/", "dir//x", "/lead", "./x", "x/../y", "..", "k" * 300),
    *("n/" * 400 + "x", "per%2Fcent", "café", "Case", "case", "a\\b", "a:b", "a\tb"),
]


def test_keys_that_are_no_names_of_files_work_and_survive(folder: Path) -> None:
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        for key in ODD_KEYS:
            client.put_object(Bucket="bucket", Key=key, Body=key.encode())
    with client_of(folder) as client:
        assert keys(client) == sorted(ODD_KEYS)
        for key in ODD_KEYS:
            assert read(client, key) == key.encode()
        client.put_object(Bucket="bucket", Key="a/b", Body=b"new")
        assert read(client, "a/b") == b"new"
        for key in ODD_KEYS:
            client.delete_object(Bucket="bucket", Key=key)
        assert keys(client) == []
        left = [path for path in folder.rglob("*") if path.is_file()]
        assert [path for path in left if path.parent != folder / ".meta"] == []
        client.delete_bucket(Bucket="bucket")
        assert not (folder / "bucket").exists()


def test_a_folder_dropped_in_is_a_bucket_also_while_running(folder: Path) -> None:
    (folder / "before/deep").mkdir(parents=True)
    (folder / "before/deep/file.txt").write_text("hello")
    with client_of(folder) as client:
        assert read(client, "deep/file.txt", "before") == b"hello"
        (folder / "while/deep").mkdir(parents=True)
        (folder / "while/deep/file.txt").write_text("hello")
        assert [b["Name"] for b in client.list_buckets()["Buckets"]] == ["before", "while"]
        listed = client.list_objects_v2(Bucket="while", Prefix="deep/")["Contents"]
        assert [(each["Key"], each["Size"]) for each in listed] == [("deep/file.txt", 5)]
        assert listed[0]["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
        with pytest.raises(ClientError) as error:
            client.delete_bucket(Bucket="while")
        assert code_of(error) == "BucketNotEmpty"


def test_a_link_to_a_folder_is_a_bucket_and_its_deletion_spares_the_folder(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/file").write_text("hello")
    folder.mkdir()
    (folder / "linked").symlink_to(tmp_path / "data")
    with client_of(folder) as client:
        assert read(client, "file", "linked") == b"hello"
        client.put_object(Bucket="linked", Key="new", Body=b"new")
        assert (tmp_path / "data/new").read_bytes() == b"new"
        for key in ("file", "new"):
            client.delete_object(Bucket="linked", Key=key)
        client.delete_bucket(Bucket="linked")
    assert (tmp_path / "data").is_dir()
    assert not (folder / "linked").is_symlink()


def test_files_changed_by_hand_are_changed_objects(folder: Path) -> None:
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        for key in ("edited", "touched", "removed"):
            client.put_object(
                Bucket="bucket", Key=key, Body=b"old", ContentType="text/plain", Tagging="a=b"
            )
        (folder / "bucket/edited").write_text("by hand")
        os.utime(folder / "bucket/touched", (1, 1))
        (folder / "bucket/removed").unlink()
        assert read(client, "edited") == b"by hand"
        assert client.get_object_tagging(Bucket="bucket", Key="edited")["TagSet"] == []
        touched = client.head_object(Bucket="bucket", Key="touched")
        assert touched["ContentType"] == "text/plain"
        with pytest.raises(ClientError) as error:
            read(client, "removed")
        assert code_of(error) == "NoSuchKey"
        assert keys(client) == ["edited", "touched"]
        (folder / "bucket/edited").unlink()
        assert keys(client) == ["touched"]
    (folder / "bucket/touched").write_text("while nothing ran")
    with client_of(folder) as client:
        assert read(client, "touched") == b"while nothing ran"


def test_files_changed_by_hand_where_there_are_versions(folder: Path) -> None:
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        first = client.put_object(Bucket="bucket", Key="key", Body=b"1")["VersionId"]
        client.put_object(Bucket="bucket", Key="key", Body=b"2")
        (folder / "bucket/key").write_text("by hand")
        assert read(client, "key") == b"by hand"
        (folder / "bucket/key").unlink()
        with pytest.raises(ClientError) as error:
            read(client, "key")
        assert code_of(error) == "NoSuchKey"
        assert read(client, "key", VersionId=first) == b"1"
        (folder / "bucket/key").write_text("again")
        assert read(client, "key") == b"again"
    with client_of(folder) as client:
        assert read(client, "key") == b"again"
        assert read(client, "key", VersionId=first) == b"1"


def test_a_folder_removed_by_hand_is_no_bucket(folder: Path) -> None:
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        (folder / "bucket").rmdir()
        with pytest.raises(ClientError) as error:
            client.list_objects_v2(Bucket="bucket")
        assert code_of(error) == "NoSuchBucket"
        client.create_bucket(Bucket="bucket")
        assert keys(client) == []


def test_the_etag_of_a_large_file_made_by_hand_says_that_it_is_no_md5(folder: Path) -> None:
    (folder / "bucket").mkdir(parents=True)
    (folder / "bucket/large").touch()
    os.truncate(folder / "bucket/large", 9 * MEGABYTE)
    with client_of(folder) as client:
        etag = client.head_object(Bucket="bucket", Key="large")["ETag"]
        assert etag.endswith('-1"')
    with client_of(folder) as client:
        assert client.head_object(Bucket="bucket", Key="large")["ETag"] == etag


def test_versions_that_are_added_at_once_are_all_kept(folder: Path) -> None:
    with client_of(folder) as client, ThreadPoolExecutor(8) as pool:
        client.create_bucket(Bucket="bucket")
        client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        answers = pool.map(
            lambda n: client.put_object(Bucket="bucket", Key="key", Body=b"%d" % n), range(40)
        )
        ids = {answer["VersionId"] for answer in answers}
        assert len(ids) == 40
        assert {version for version, _, _ in _versions(client)} == ids


def test_a_download_is_what_it_began_as_whatever_becomes_of_the_object(folder: Path) -> None:
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="key", Body=b"a" * 30 * MEGABYTE)
        body = client.get_object(Bucket="bucket", Key="key")["Body"]
        first = body.read(1)
        client.put_object(Bucket="bucket", Key="key", Body=b"b" * 30 * MEGABYTE)
        assert set(first + body.read()) == set(b"a")
        assert read(client, "key", Range="bytes=0-3") == b"bbbb"


def test_wrong_bytes_are_refused_and_change_nothing(folder: Path) -> None:
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="key", Body=b"old")
        with pytest.raises(ClientError) as error:
            client.put_object(
                Bucket="bucket", Key="key", Body=b"new", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg=="
            )
        assert code_of(error) == "BadDigest"
        with pytest.raises(ClientError) as error:
            client.put_object(Bucket="missing", Key="key", Body=b"new")
        assert code_of(error) == "NoSuchBucket"
        assert read(client, "key") == b"old"
        assert list((folder / ".meta/staged").iterdir()) == []


def test_streams_of_unknown_length_in_aws_framing_are_taken_off_it(folder: Path) -> None:
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        client.upload_fileobj(io.BytesIO(b"x" * 9 * MEGABYTE), "bucket", "key")
        assert read(client, "key") == b"x" * 9 * MEGABYTE


def test_a_seed_is_what_the_store_begins_with_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "seed/bucket").mkdir(parents=True)
    (tmp_path / "seed/bucket/file").write_text("hello")
    with fake_s3(seed=tmp_path / "seed") as s3:
        client: Any = s3.client()
        assert read(client, "file") == b"hello"
        client.put_object(Bucket="bucket", Key="file", Body=b"changed")
        kept = s3.folder
        client.close()
    assert (tmp_path / "seed/bucket/file").read_text() == "hello"
    assert not kept.exists()


def test_only_one_can_serve_a_folder_and_a_process_only_one(folder: Path, tmp_path: Path) -> None:
    with fake_s3(folder=folder):
        with pytest.raises(ConfigError, match="moto has room for one"), fake_s3():
            pass
        script = (
            "import sys\nfrom devkit.fake_s3 import fake_s3\nfrom devkit.errors import StoreError\n"
            "try:\n    with fake_s3(folder=sys.argv[1]): print('served')\n"
            "except StoreError as error: print(error)"
        )
        shown = subprocess.run(
            [sys.executable, "-c", script, folder], capture_output=True, text=True, check=True
        )
        assert "served by another process" in shown.stdout
    with fake_s3(folder=folder), pytest.raises(ConfigError), durable_s3(tmp_path):
        pass


def test_a_page_of_this_machine_may_read_it_where_the_bucket_lets_it(folder: Path) -> None:
    with fake_s3(folder=folder) as s3:
        client: Any = s3.client()
        client.create_bucket(Bucket="bucket", ACL="public-read")
        client.put_object(Bucket="bucket", Key="key", Body=b"hello", ACL="public-read")
        assert _allowed_origin(s3) is None
        rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["http://localhost:3000"]}
        client.put_bucket_cors(Bucket="bucket", CORSConfiguration={"CORSRules": [rule]})
        assert _allowed_origin(s3) == "http://localhost:3000"
        client.close()


def test_a_bucket_that_there_is_no_room_for_is_not_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with fake_s3(folder=folder) as s3:
        client: Any = s3.client()
        with monkeypatch.context() as patched:
            patched.setattr(Catalogue, "put_bucket", full)
            with pytest.raises(ClientError, match="nothing was changed: database or disk is full"):
                client.create_bucket(Bucket="bucket")
        assert client.list_buckets()["Buckets"] == []
        assert not (folder / "bucket").exists()
        client.create_bucket(Bucket="bucket")
        client.close()


def test_no_page_of_another_machine_may_ask_whatever_the_bucket_says(folder: Path) -> None:
    with fake_s3(folder=folder) as s3:
        client: Any = s3.client()
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="key", Body=b"hello")
        rule = {"AllowedMethods": ["POST"], "AllowedOrigins": ["*"]}
        client.put_bucket_cors(Bucket="bucket", CORSConfiguration={"CORSRules": [rule]})
        # A page needs nobody's leave to send this much.
        delete = urllib.request.Request(
            f"{s3.endpoint_url}/bucket?delete",
            b"<Delete><Object><Key>key</Key></Object></Delete>",
            {"Origin": "http://page.example", "Content-Type": "text/plain"},
        )
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(delete)
        assert client.get_object(Bucket="bucket", Key="key")["Body"].read() == b"hello"
        client.close()


def _allowed_origin(s3: FakeS3) -> str | None:
    asked = urllib.request.Request(
        f"{s3.endpoint_url}/bucket/key", headers={"Origin": "http://localhost:3000"}
    )
    with urllib.request.urlopen(asked) as answer:
        assert answer.read() == b"hello"
        return cast("str | None", answer.headers["Access-Control-Allow-Origin"])


def test_what_cannot_be_served_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match="cannot be an S3 store"),
        fake_s3(folder=tmp_path / "file"),
    ):
        pass
    with fake_s3() as s3:
        taken = int(s3.endpoint_url.rpartition(":")[2])
    with (
        socket.create_server(("127.0.0.1", taken)),
        pytest.raises(PortInUse),
        fake_s3(port=taken),
    ):
        pass


def test_moto_keeps_nothing_for_ever_while_it_serves(folder: Path) -> None:
    from moto.core.model_instances import model_data  # noqa: PLC0415

    with fake_s3(folder=folder) as s3:
        client: Any = s3.client()
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="key", Body=b"hello")
        client.close()
        tracked = {name: vars(each)["instances_tracked"] for name, each in model_data["s3"].items()}
    assert "FakeAcl" in tracked
    assert not any(tracked.values())


def test_moto_is_itself_again_afterwards(folder: Path) -> None:
    from moto.s3 import models, responses  # noqa: PLC0415

    before = (models.FakeKey, models.FakeBucket, models.s3_backends.backend)
    backends = dict(models.s3_backends)
    with fake_s3(folder=folder):
        assert models.FakeKey is not before[0]
    assert (models.FakeKey, models.FakeBucket, models.s3_backends.backend) == before
    assert type(responses.S3Response()) is responses.S3Response
    assert dict(models.s3_backends) == backends


def test_a_moto_that_is_built_otherwise_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.s3.responses import S3Response  # noqa: PLC0415

    require_known_moto()
    monkeypatch.setattr(S3Response, "_get_key", lambda self: (self, False))
    monkeypatch.setitem(
        require_known_moto.__globals__["_RELIED_ON"], S3Response._get_key, "validate_storage_class"
    )
    with pytest.raises(ConfigError, match=r"moto 5.* has no validate_storage_class"):
        require_known_moto()


def test_a_reset_of_moto_deletes_all_buckets(folder: Path) -> None:
    with fake_s3(folder=folder) as s3:
        client: Any = s3.client()
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="key", Body=b"")
        (folder / "by-hand").mkdir()
        urllib.request.urlopen(f"{s3.endpoint_url}/moto-api/reset", data=b"").close()
        assert client.list_buckets()["Buckets"] == []
        assert sorted(path.name for path in folder.iterdir()) == [".meta"]
        client.close()


def test_other_services_of_moto_use_the_same_store(folder: Path) -> None:
    with fake_s3(folder=folder) as s3:
        client: Any = s3.client()
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="key", Body=b"hello")
        from moto.s3.models import s3_backends  # noqa: PLC0415

        backend = s3_backends["123456789012"]["aws"]
        assert backend.get_object("bucket", "key").value == b"hello"  # type: ignore[union-attr]
        backend.put_object("bucket", "logs", b"from inside")
        client.close()
    assert (folder / "bucket/logs").read_bytes() == b"from inside"
    with client_of(folder) as client:
        assert read(client, "logs") == b"from inside"


def test_events_are_sent_when_the_object_is_there(folder: Path) -> None:
    with fake_s3(folder=folder) as s3:
        client: Any = s3.client()
        made = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        sqs: Any = boto3.client(
            "sqs", endpoint_url=s3.endpoint_url, region_name="us-east-1", **made
        )
        queue = sqs.create_queue(QueueName="q")["QueueUrl"]
        client.create_bucket(Bucket="bucket")
        client.put_bucket_notification_configuration(
            Bucket="bucket",
            NotificationConfiguration={
                "QueueConfigurations": [
                    {
                        "QueueArn": "arn:aws:sqs:us-east-1:123456789012:q",
                        "Events": ["s3:ObjectCreated:*"],
                    }
                ]
            },
        )
        client.put_object(Bucket="bucket", Key="key", Body=b"hello")
        bodies = [
            json.loads(message["Body"])
            for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
        ]
        names = [each["Records"][0]["s3"]["object"]["key"] for each in bodies if "Records" in each]
        assert names == ["key"]
        sqs.close()
        client.close()


def test_the_developer_s_aws_settings_are_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_PROFILE": "missing",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_CONFIG_FILE": "/nowhere",
        "http_proxy": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    with client_of(folder) as client:
        client.create_bucket(Bucket="bucket")
        assert keys(client) == []


def test_a_full_disk_is_an_error_and_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_s3(folder=folder) as s3:
        client: Any = s3.client()
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="key", Body=b"old", Metadata={"a": "b"})
        from devkit.fake_s3.catalogue import Catalogue  # noqa: PLC0415

        def full(*_args: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Catalogue, "put_object", full)
            with pytest.raises(ClientError, match="No space left") as error:
                client.put_object(Bucket="bucket", Key="key", Body=b"new")
        assert code_of(error) == "InternalError"
        assert read(client, "key") == b"old"
        assert client.head_object(Bucket="bucket", Key="key")["Metadata"] == {"a": "b"}
        client.put_object(Bucket="bucket", Key="key", Body=b"new")
        assert read(client, "key") == b"new"
        client.close()


def test_what_is_served_is_a_value_of_its_own(folder: Path) -> None:
    with fake_s3(folder=folder) as s3:
        assert isinstance(s3, FakeS3)
        assert s3.endpoint_url.startswith("http://127.0.0.1:")
        assert s3.folder == folder.absolute()
    with pytest.raises(StoreError, match="cannot be read"):
        _open_damaged(folder)


def _open_damaged(folder: Path) -> None:
    for path in (folder / ".meta").glob("catalogue*"):
        path.write_bytes(b"damaged" * 1000)
    with fake_s3(folder=folder):
        pass
