"""What a request says of itself."""

from __future__ import annotations

import pytest

from devkit.local_aws.routing import Head, Route, route


def signed(service: str, *, key: str = "test", region: str = "us-east-1", **headers: str) -> Head:
    scope = f"{key}/20260101/{region}/{service}/aws4_request"
    authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    return Head(
        method="POST",
        path="/",
        headers={"authorization": authorization}
        | {name.replace("_", "-"): value for name, value in headers.items()},
    )


def unsigned(path: str, method: str = "POST", query: str = "", **headers: str) -> Head:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Head(method=method, path=path, query=query, headers=names)


def test_the_signature_names_service_region_and_key() -> None:
    found = route(signed("logs", key="AKIA", region="eu-west-1", x_amz_target="Logs.PutX"), {})

    assert found == Route(
        signing_name="logs",
        wire="json",
        operation="PutX",
        target="Logs",
        region="eu-west-1",
        access_key="AKIA",
    )


def test_a_query_names_its_operation_and_version_in_the_form() -> None:
    head = signed("iam", content_type="application/x-www-form-urlencoded; charset=utf-8")

    found = route(head, {"Action": "GetRole", "Version": "2010-05-08"})

    assert (found.wire, found.operation, found.version) == ("query", "GetRole", "2010-05-08")


def test_a_presigned_url_names_them_in_the_query_string() -> None:
    query = (
        "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AK%2F20260101%2Fus-west-2%2Fsts%2Faws4_request"
    )

    found = route(unsigned("/", "GET", query), {})

    assert (found.signing_name, found.operation, found.region, found.access_key) == (
        *("sts", "GetCallerIdentity", "us-west-2"),
        "AK",
    )


def test_cbor_names_its_operation_in_the_path() -> None:
    head = Head(
        method="POST",
        path="/service/GraniteServiceVersion20100801/operation/ListMetrics",
        headers={"smithy-protocol": "rpc-v2-cbor", **signed("monitoring").headers},
    )

    assert route(head, {}).operation == "ListMetrics"
    assert route(head, {}).wire == "cbor"


def test_a_signature_for_all_regions_has_none() -> None:
    credential = "AWS4-ECDSA-P256-SHA256 Credential=AK/20260101/s3/aws4_request, Signature=0"

    found = route(unsigned("/bucket", authorization=credential), {})

    assert (found.signing_name, found.region) == ("s3", "us-east-1")


def test_a_signature_of_version_2_is_for_s3() -> None:
    found = route(unsigned("/bucket/key", "GET", authorization="AWS AK:c2lnbmF0dXJl"), {})

    assert (found.signing_name, found.access_key) == ("s3", "AK")


@pytest.mark.parametrize(
    ("host", "service", "region"),
    [
        ("sts.eu-central-1.localhost.localstack.cloud:4566", "sts", "eu-central-1"),
        ("bucket.s3.localhost:4566", "s3", "us-east-1"),
        ("abc123.execute-api.us-west-2.localhost.localstack.cloud", "execute-api", "us-west-2"),
        ("lambda.localhost", "lambda", "us-east-1"),
    ],
)
def test_without_a_signature_the_host_may_name_the_service(
    host: str, service: str, region: str
) -> None:
    found = route(unsigned("/", host=host), {})

    assert (found.signing_name, found.region) == (service, region)


@pytest.mark.parametrize(
    ("head", "form", "service"),
    [
        (unsigned("/", x_amz_target="AWSCognitoIdentityService.GetId"), {}, "cognito-identity"),
        (
            unsigned("/", content_type="application/x-www-form-urlencoded"),
            {"Action": "AssumeRoleWithWebIdentity"},
            "sts",
        ),
        (unsigned("/endpoints/iris/invocations"), {}, "sagemaker"),
        (unsigned("/2015-03-31/functions/f/invocations"), {}, "lambda"),
        (unsigned("/bucket/key", "GET"), {}, "s3"),
        (unsigned("/moto-api/reset"), {}, "moto"),
        (unsigned("/latest/meta-data/", "GET"), {}, "moto"),
    ],
)
def test_what_needs_no_signature_is_known_by_what_it_asks(
    head: Head, form: dict[str, str], service: str
) -> None:
    assert route(head, form).signing_name == service


def test_s3_control_is_told_from_s3_by_its_path() -> None:
    head = Head(method="GET", path="/v20180820/jobs", headers=signed("s3").headers)

    assert route(head, {}).signing_name == "s3control"


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=",
        "AWS4-HMAC-SHA256 Credential=////",
        "AWS4-HMAC-SHA256 Credential=a/b",
        "Bearer x",
        "\ud800",
    ],
)
def test_a_signature_that_says_nothing_is_no_obstacle(authorization: str) -> None:
    assert route(unsigned("/", authorization=authorization), {}).signing_name == "s3"


def test_an_operation_has_a_name_or_is_none() -> None:
    assert route(signed("logs", x_amz_target="Logs.<script>"), {}).operation is None
    assert route(signed("logs", x_amz_target=""), {}).operation is None
