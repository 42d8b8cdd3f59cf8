"""A fake of the seam to AWS's APIs: answers by operation, and what was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from devkit.channels.locations import S3Uri
from devkit.targets.clients import CallFailed

ACCOUNT = "123456789012"
Answer: TypeAlias = "Mapping[str, Any] | CallFailed | Callable[[Mapping[str, Any]], Any]"


def refusal(operation: str, code: str, message: str = "said so") -> CallFailed:
    return CallFailed(operation, code, message)


class FakeClients:
    """:class:`~devkit.targets.clients.Clients` with answers by operation.

    An answer is members, an error, or a function of the parameters; a list of them is given one
    after the other, the last one for ever. What has none is answered with nothing.
    """

    def __init__(self, **answers: Answer | list[Answer]) -> None:
        self.region = "us-east-1"
        self.account = ACCOUNT
        self.answers = answers
        self.asked: list[tuple[str, str, Mapping[str, Any]]] = []
        self.uploads: list[tuple[Path, S3Uri]] = []

    @property
    def operations(self) -> list[str]:
        """What was called, in order."""
        return [operation for _, operation, _ in self.asked]

    def call(
        self, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        self.asked.append((service, operation, parameters))
        answer = self.answers.get(operation, {})
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, CallFailed):
            raise answer
        return answer(parameters) if callable(answer) else answer

    def upload(self, source: Path, place: S3Uri) -> None:
        self.uploads.append((source, place))

    def download(self, place: S3Uri, target: Path) -> None:
        raise NotImplementedError
