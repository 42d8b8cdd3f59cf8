"""The Flask app: /ping says whether the model can answer, and /invocations asks it."""

from __future__ import annotations

import os

from flask import Flask, Response, jsonify, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    NotAcceptable,
    ServiceUnavailable,
    UnsupportedMediaType,
)

from model import (
    JSON,
    MEDIA_TYPES,
    BadRecordError,
    LogisticRegressionGD,
    ModelError,
    UnsupportedMediaTypeError,
    input_fn,
    output_fn,
)
from places import Places

A_RECORD = b'{"petal_length": 1.4, "petal_width": 0.2}'


def create_app(places: Places | None = None) -> Flask:
    """Make the app, and load its model: once, whatever the number of workers and requests.

    A model that cannot be loaded does not end the program: it would only be started again and
    again, and nobody could ask it for the reason.
    """
    app = Flask(__name__, static_folder=None)
    folder = (places or Places.from_environment(os.environ)).model
    model: LogisticRegressionGD | ModelError
    try:
        model = LogisticRegressionGD.load(folder)
    except ModelError as error:
        app.logger.error("%s", error)  # noqa: TRY400 - the message says it all
        model = error

    @app.get("/ping")
    def ping() -> Response:
        return Response(_answer(model, A_RECORD, JSON, JSON), mimetype=JSON)

    @app.post("/invocations")
    def invocations() -> Response:
        accept = _accepted()
        body = request.get_data(cache=False)
        return Response(_answer(model, body, request.content_type or "", accept), mimetype=accept)

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> tuple[Response, int]:
        code = error.code or BadRequest.code
        app.logger.warning("%s %s answered with %d: %s", request.method, request.path, code, error)
        return jsonify(error=error.description), code

    return app


def _answer(
    model: LogisticRegressionGD | ModelError, body: bytes, content_type: str, accept: str
) -> str:
    """Predict a body's records; what refuses them becomes the HTTP error that says so."""
    if isinstance(model, ModelError):
        raise ServiceUnavailable(str(model))
    try:
        features = input_fn(body, content_type)
    except UnsupportedMediaTypeError as error:
        raise UnsupportedMediaType(str(error)) from error
    except BadRecordError as error:
        raise BadRequest(str(error)) from error
    return output_fn(model.predict(features), accept)


def _accepted() -> str:
    """The media type the client prefers: JSON if it does not say, or takes anything."""
    if not request.accept_mimetypes:
        return JSON
    # Without their parameters: no charset in them makes the answer a different one.
    asked_for = ((name.partition(";")[0].strip(), q) for name, q in request.accept_mimetypes)
    accept = MIMEAccept(asked_for).best_match(MEDIA_TYPES)
    if accept is None:
        asked = request.headers["Accept"][:80]
        raise NotAcceptable(f"cannot answer in {asked!r}: accept {' or '.join(MEDIA_TYPES)}")
    return accept
