"""The Flask app: what it answers to pings and to every kind of client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from model import MODEL_FILE
from places import Places
from wsgi import create_app

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

RECORD = b'{"petal_length": 0.4, "petal_width": 1.4}'


def client_for(model: Path) -> FlaskClient:
    return create_app(Places.from_environment({"SM_MODEL_DIR": str(model)})).test_client()


@pytest.fixture
def client(trained: Path) -> FlaskClient:
    return client_for(trained)


def test_the_ping_is_answered_by_the_model_itself(client: FlaskClient) -> None:
    response = client.get("/ping")
    assert response.status_code == 200
    assert response.json == {"category": "Iris-Setosa"}


def test_without_a_model_the_ping_gives_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_for(tmp_path)
    for response in (client.get("/ping"), client.post("/invocations", json={})):
        assert response.status_code == 503
        assert response.json == {
            "error": f"there is no model at {tmp_path / MODEL_FILE}: run train first"
        }
    assert str(tmp_path / MODEL_FILE) in caplog.text


def test_with_a_corrupt_model_the_ping_gives_the_reason(tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_text("{")
    response = client_for(tmp_path).get("/ping")
    assert response.status_code == 503
    assert "cannot be read" in response.get_json()["error"]


def test_the_model_is_loaded_once_not_once_a_request(trained: Path, tmp_path: Path) -> None:
    file = tmp_path / MODEL_FILE
    file.write_bytes((trained / MODEL_FILE).read_bytes())
    client = client_for(tmp_path)
    file.unlink()
    assert client.post("/invocations", data=RECORD, content_type="application/json").json == {
        "category": "Iris-Setosa"
    }


def test_csv_is_answered_in_json_unless_csv_is_accepted(client: FlaskClient) -> None:
    body = "petal_length,petal_width\n0.4,1.4\n4.7,1.4\n"
    response = client.post("/invocations", data=body, content_type="text/csv; charset=utf-8")
    assert response.json == [{"category": "Iris-Setosa"}, {"category": "Iris-Versicolour"}]
    response = client.post(
        "/invocations", data=body, content_type="text/csv", headers={"Accept": "text/csv"}
    )
    assert response.mimetype == "text/csv"
    assert response.text == "Iris-Setosa\nIris-Versicolour\n"


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("APPLICATION/JSON; charset=utf-8", "application/json"),
        ("application/*", "application/json"),
        ("text/*", "text/csv"),
        ("text/csv;q=0.9, application/json;q=0.1", "text/csv"),
        ("application/xml, text/csv;q=0.5", "text/csv"),
        ("text/html, */*;q=0.1", "application/json"),
    ],
)
def test_the_accept_header_chooses_the_answer(
    client: FlaskClient, accept: str | None, mimetype: str
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    response = client.post(
        "/invocations", data=RECORD, content_type="application/json", headers=headers
    )
    assert (response.status_code, response.mimetype) == (200, mimetype)


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "nonsense"])
def test_an_accept_header_that_cannot_be_met_is_406(client: FlaskClient, accept: str) -> None:
    response = client.post(
        "/invocations", data=RECORD, content_type="application/json", headers={"Accept": accept}
    )
    assert response.status_code == 406
    assert "accept application/json or text/csv" in response.get_json()["error"]


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "multipart/form-data", ";", "é"])
def test_a_wrong_content_type_is_415(client: FlaskClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = client.post("/invocations", data=RECORD, headers=headers)
    assert response.status_code == 415
    assert "send application/json or text/csv" in response.get_json()["error"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[]", b"true", b'{"petal_length": 1}', b"[" * 100_000, b"\0"]
)
@pytest.mark.parametrize("content_type", ["application/json", "text/csv"])
def test_a_bad_body_is_400_with_the_reason(
    client: FlaskClient, body: bytes, content_type: str
) -> None:
    response = client.post("/invocations", data=body, content_type=content_type)
    assert response.status_code == 400
    assert response.get_json()["error"]


def test_headers_the_app_does_not_know_are_no_error(client: FlaskClient) -> None:
    headers = {
        "X-Amzn-SageMaker-Custom-Attributes": "trace=1" * 100,
        "X-Amzn-SageMaker-Target-Variant": "blue",
        "X-Amzn-SageMaker-Forwarded-Api": "?",
    }
    response = client.post(
        "/invocations", data=RECORD, content_type="application/json", headers=headers
    )
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("GET", "/invocations", 405), ("POST", "/ping", 405), ("GET", "/execution-parameters", 404)],
)
def test_what_the_contract_does_not_name_is_refused_in_json(
    client: FlaskClient, method: str, path: str, code: int
) -> None:
    response = client.open(path, method=method)
    assert response.status_code == code
    assert response.get_json()["error"]
