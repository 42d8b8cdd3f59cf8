"""What the tests of Lambda's parts share: a function, an invocation of it, a backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devkit.contract import LOCAL_REGION
from devkit.local_aws.errors import AwsError
from devkit.local_aws.lambda_.definitions import AfterEvents, Archive, Definition
from devkit.local_aws.lambda_.invocations import Invocation

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"


def definition(**more: Any) -> Definition:
    given: dict[str, Any] = {
        "name": "f",
        "region": "us-east-1",
        "version": "$LATEST",
        "runtime": "python3.11",
        "handler": "app.handler",
        "code": Archive.of(b"code"),
        "layers": (),
        "memory_mb": 128,
        "timeout_s": 3,
        "environment": {},
        "role": "arn:aws:iam::123456789012:role/r",
        "after_events": AfterEvents(),
        **more,
    }
    return Definition(**given)


def invocation(request_id: str = "r", payload: bytes = b"{}", **more: Any) -> Invocation:
    return Invocation(request_id=request_id, payload=payload, arn=ARN, **more)


class Asked:
    """A backend that remembers what it is asked, and answers with what it is given."""

    def __init__(self, **answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.refuses = False

    async def ask(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        access_key: str | None = None,
        region: str = LOCAL_REGION,
    ) -> dict[str, Any]:
        del access_key, region
        if self.refuses:
            raise AwsError("NotFoundException", "there is none")
        self.asked.append((f"{service}.{operation}", parameters))
        return self.answers.get(operation, {})
