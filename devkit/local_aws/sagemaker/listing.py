"""List… operations: what is asked for of all there is, in an order, a page at a time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devkit.local_aws.sagemaker import refusals
from devkit.local_aws.sagemaker.records import Record

PAGE = 10
"""How many come at a time where the request does not say."""

_ASCENDING, _DESCENDING = "Ascending", "Descending"
_NOT_OF_THE_QUESTION = {"NextToken", "MaxResults"}
_SortKey = Callable[[Record], str]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """How an operation lists records."""

    status: str | None = None
    """The member that is a record's status, for ``StatusEquals`` and ``SortBy``."""
    descending: bool = True
    """The order where the request does not say."""
    page: int = PAGE

    def of(
        self, records: Iterable[Record], parameters: Mapping[str, Any]
    ) -> tuple[Sequence[Record], str | None]:
        """What a request asks for, and the token of the page after it.

        A token tells a place in the order, not a number: what is made or deleted between two pages
        changes nothing of the others.

        Raises:
            AwsError: The request's token is none.
        """
        key = self._sort_key(str(parameters.get("SortBy", "CreationTime")))
        order = parameters.get("SortOrder", _DESCENDING if self.descending else _ASCENDING)
        backwards = order == _DESCENDING
        found = [each for each in records if self._is_meant(each, parameters)]
        found.sort(key=lambda each: (key(each), each.name), reverse=backwards)
        token = parameters.get("NextToken")
        if token:
            last = _read(token, _question(parameters))
            found = [each for each in found if _is_after((key(each), each.name), last, backwards)]
        size = int(parameters.get("MaxResults", self.page))
        page = found[:size]
        if len(found) <= size:
            return page, None
        return page, _written((key(page[-1]), page[-1].name), _question(parameters))

    def _sort_key(self, by: str) -> _SortKey:
        keys: dict[str, _SortKey] = {
            "Name": lambda record: record.name,
            "CreationTime": lambda record: _sortable(record.created),
            "LastModifiedTime": lambda record: _sortable(record.modified),
            "Status": lambda record: str(record.members.get(self.status or "", "")),
        }
        return keys.get(by, keys["CreationTime"])

    def _is_meant(self, record: Record, parameters: Mapping[str, Any]) -> bool:
        part, status = parameters.get("NameContains"), parameters.get("StatusEquals")
        if part and part not in record.name:
            return False
        if status and record.members.get(self.status or "") != status:
            return False
        return all(
            test(parameters[name], getattr(record, moment))
            for name, (moment, test) in _TIMES.items()
            if name in parameters
        )


def _is_before(limit: datetime, moment: datetime) -> bool:
    return moment < limit


def _is_later(limit: datetime, moment: datetime) -> bool:
    return moment > limit


_TIMES: Mapping[str, tuple[str, Callable[[datetime, datetime], bool]]] = {
    "CreationTimeBefore": ("created", _is_before),
    "CreationTimeAfter": ("created", _is_later),
    "LastModifiedTimeBefore": ("modified", _is_before),
    "LastModifiedTimeAfter": ("modified", _is_later),
}


def page_of(
    values: Sequence[Any], parameters: Mapping[str, Any], *, size: int = PAGE
) -> tuple[Sequence[Any], str | None]:
    """A page of what has its own order, such as tags, and the token of the page after it.

    Raises:
        AwsError: The request's token is none.
    """
    token = parameters.get("NextToken")
    begin = 0
    if token:
        (number, _) = _read(token, _question(parameters))
        if not number.isdigit():
            raise refusals.wrong_token()
        begin = int(number)
    end = begin + int(parameters.get("MaxResults", size))
    if end >= len(values):
        return values[begin:], None
    return values[begin:end], _written((str(end), ""), _question(parameters))


def _is_after(place: tuple[str, str], last: tuple[str, str], backwards: bool) -> bool:
    return place < last if backwards else place > last


def _sortable(moment: datetime) -> str:
    return f"{moment.timestamp():017.6f}"


def _question(parameters: Mapping[str, Any]) -> str:
    """What a token is for: all of the request but the page."""
    asked = {key: str(value) for key, value in parameters.items()}
    asked = {key: value for key, value in asked.items() if key not in _NOT_OF_THE_QUESTION}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def _written(place: tuple[str, str], question: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([*place, question]).encode()).decode()


def _read(token: str, question: str) -> tuple[str, str]:
    try:
        first, second, asked = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise refusals.wrong_token() from None
    if asked != question or not isinstance(first, str) or not isinstance(second, str):
        raise refusals.wrong_token()
    return first, second
