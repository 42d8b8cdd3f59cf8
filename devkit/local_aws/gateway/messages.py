"""What a client asks of an API and what it is answered, as values that know no server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

Pairs = tuple[tuple[str, str], ...]
"""Names and values, in their order; a name may come twice."""

JSON = "application/json"

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_UNSENDABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Headers:
    """Names, whose case is kept and means nothing, and values."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.pairs: Pairs = tuple(pairs)
        self._values: dict[str, list[str]] = {}
        self._names: dict[str, str] = {}
        for name, value in self.pairs:
            key = name.lower()
            self._values.setdefault(key, []).append(value)
            self._names.setdefault(key, name)

    def all(self, name: str) -> Sequence[str]:
        """A header's values, in the order they came in."""
        return self._values.get(name.lower(), ())

    def get(self, name: str) -> str | None:
        """A header's last value."""
        values = self.all(name)
        return values[-1] if values else None

    def joined(self, name: str) -> str | None:
        """A header's values as one."""
        values = self.all(name)
        return ",".join(values) if values else None

    def lists(self) -> Mapping[str, list[str]]:
        """All values by the name as it was first written."""
        return {self._names[key]: list(values) for key, values in self._values.items()}

    def lower(self) -> Mapping[str, list[str]]:
        """All values by the name in lower case."""
        return {key: list(values) for key, values in self._values.items()}

    def without(self, *names: str) -> Headers:
        """The other ones."""
        gone = {name.lower() for name in names}
        return Headers(pair for pair in self.pairs if pair[0].lower() not in gone)

    def plus(self, *pairs: tuple[str, str]) -> Headers:
        """These and some more."""
        return Headers((*self.pairs, *pairs))

    def replacing(self, *pairs: tuple[str, str]) -> Headers:
        """These with other values for some."""
        return self.without(*(name for name, _ in pairs)).plus(*pairs)


def can_be_sent(name: str, value: str) -> bool:
    """Whether this is a header (RFC 9110, section 5)."""
    return _NAME.fullmatch(name) is not None and _UNSENDABLE.search(value) is None


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What a request is part of."""

    root: str
    """``1-`` and the time and a number, in hexadecimal."""
    header: str
    """As ``X-Amzn-Trace-Id`` hands it on."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request to an API."""

    method: str
    path: str
    """After the API's address: with the stage, as it was sent."""
    query: str
    headers: Headers
    body: bytes
    source_ip: str
    domain_name: str
    received: datetime
    request_id: str
    extended_request_id: str
    trace: Trace
    protocol: str = "HTTP/1.1"

    @cached_property
    def arguments(self) -> Pairs:
        """The query string's, decoded."""
        return tuple(parse_qsl(self.query, keep_blank_values=True))

    @cached_property
    def argument_lists(self) -> Mapping[str, list[str]]:
        """The query string's, by name."""
        lists: dict[str, list[str]] = {}
        for name, value in self.arguments:
            lists.setdefault(name, []).append(value)
        return lists

    @property
    def user_agent(self) -> str:
        """What the client calls itself."""
        return self.headers.get("User-Agent") or ""

    @property
    def epoch_ms(self) -> int:
        """When it came, in milliseconds."""
        return int(self.received.timestamp() * 1000)

    @property
    def time(self) -> str:
        """When it came, as in the log of a web server."""
        at = self.received
        return f"{at.day:02}/{_MONTHS[at.month - 1]}/{at.year}:{at:%H:%M:%S} +0000"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a client is sent."""

    status: int
    headers: Headers
    body: bytes

    def with_headers(self, headers: Headers) -> Answer:
        """The same with other headers."""
        return Answer(status=self.status, headers=headers, body=self.body)


def json_answer(status: int, document: Mapping[str, Any], *more: tuple[str, str]) -> Answer:
    """An answer that is a document."""
    headers = Headers((("Content-Type", JSON), *more))
    return Answer(
        status=status,
        headers=headers,
        body=json.dumps(document, separators=(",", ":")).encode(),
    )


class DevkitRefusal(Exception):
    """What AWS would do, and devkit does not; never a 5xx, which clients would repeat."""

    def __init__(self, message: str, status: int = HTTPStatus.FORBIDDEN) -> None:
        super().__init__(message)
        self.message = message
        self.status = status

    def answer(self) -> Answer:
        """For the client."""
        return json_answer(self.status, {"message": self.message})
