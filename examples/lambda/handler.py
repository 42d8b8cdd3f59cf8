"""The function in front of the iris model: a flower's measures in, its species out.

It is called through API Gateway (an HTTP API or a REST proxy), where every answer is JSON and a
failure has a status of its own; or as it is, with ``{"petal_length": 1.4, "petal_width": 0.2}``,
where a failure is raised so that Lambda reports it. ``ENDPOINT_NAME`` names the model's endpoint.
"""

import base64
import json
import logging
import os
import sys
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

FIELDS = ("petal_length", "petal_width")

# What a caller is told for an error of SageMaker's; every other one is unexpected.
ERRORS = {
    "ModelError": (502, "The model could not answer."),
    "ValidationError": (503, "The model is not in service."),
    "ModelNotReadyException": (503, "The model is not in service."),
    "ServiceUnavailable": (503, "The model is not in service."),
    "ThrottlingException": (429, "Too many requests: try again later."),
}

logger = logging.getLogger()

# Made once, and kept for the invocations that follow. Two attempts end before API Gateway gives
# up, which it does after 29 seconds.
sagemaker = boto3.client(
    "sagemaker-runtime",
    config=Config(
        connect_timeout=1,
        read_timeout=12,
        retries={"mode": "standard", "total_max_attempts": 2},
    ),
)


class Failed(Exception):
    """A failure that a caller may know of."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def handler(event: Any, _context: object) -> dict[str, Any]:
    """What Lambda calls."""
    if not isinstance(event, dict) or "requestContext" not in event:
        return predict(event)
    try:
        return answer(200, predict(body(event)))
    except Failed as failed:
        return answer(failed.status, {"message": str(failed)})
    except Exception:
        logger.exception("unexpected")
        return answer(500, {"message": "Internal server error"})


def body(event: dict[str, Any]) -> Any:
    """The JSON document of an API Gateway event."""
    try:
        text = event.get("body") or ""
        return json.loads(base64.b64decode(text) if event.get("isBase64Encoded") else text)
    except (ValueError, RecursionError):
        raise Failed(400, "The body is not valid JSON.") from None


def predict(flower: Any) -> dict[str, Any]:
    """Ask the model about a flower."""
    said = ask_the_model(json.dumps(measures(flower)))
    try:
        return {"category": json.loads(said)["category"]}
    except (ValueError, LookupError, TypeError) as error:
        raise Failed(502, "The model's answer is not understood.") from error


def ask_the_model(request: str) -> bytes:
    """Invoke the endpoint; its errors become those that a caller may know of."""
    try:
        response = sagemaker.invoke_endpoint(
            EndpointName=os.environ["ENDPOINT_NAME"],
            ContentType="application/json",
            Accept="application/json",
            Body=request,
        )
        return response["Body"].read()
    except ClientError as error:
        known = ERRORS.get(error.response["Error"]["Code"])
        if known is None:
            raise
        logger.warning("%s", error)
        raise Failed(*known) from error
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        raise Failed(504, "The model did not answer in time.") from error


def measures(flower: Any) -> dict[str, float]:
    """The fields that the model needs, which are numbers."""
    if not isinstance(flower, dict):
        raise Failed(400, f"The body must be an object with {' and '.join(FIELDS)}.")
    wrong = [field for field in FIELDS if not is_number(flower.get(field))]
    if wrong:
        raise Failed(400, f"These fields must be numbers: {', '.join(wrong)}.")
    return {field: flower[field] for field in FIELDS}


def is_number(value: Any) -> bool:
    """Whether this is a number that a float can hold: not NaN, not infinite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= sys.float_info.max


def answer(status: int, document: dict[str, Any]) -> dict[str, Any]:
    """What API Gateway makes a response of."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(document),
    }
