"""What the tests of Lambda's parts share: a function, an invocation of it, moto's side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from devkit.contract import LOCAL_REGION
from devkit.local_aws.errors import AwsError
from devkit.local_aws.lambda_.definitions import AfterEvents, Archive, Definition
from devkit.local_aws.lambda_.invocations import Invocation

_T = TypeVar("_T")
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


class Held:
    """What moto holds, as a revision and what reading it gives."""

    def __init__(self) -> None:
        self.revision = 0
        self.looked = 0

    async def look(self, reading: Callable[[], _T]) -> _T:
        self.looked += 1
        return reading()
