"""List… operations: filters, order, pages."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from devkit.local_aws.errors import AwsError
from devkit.local_aws.sagemaker.listing import Listing, page_of
from devkit.local_aws.sagemaker.records import Record

FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)
STATUSES = ("Completed", "Failed", "InProgress")


def record(number: int) -> Record:
    moment = FIRST + timedelta(seconds=number)
    return Record(
        kind="job",
        name=f"job-{number:02}",
        created=moment,
        modified=moment + timedelta(minutes=1),
        members={"Status": STATUSES[number % 3]},
    )


RECORDS = [record(number) for number in range(25)]
LISTING = Listing(status="Status", descending=False)


def names(**parameters: Any) -> list[str]:
    return [each.name for each in LISTING.of(RECORDS, {"MaxResults": 100, **parameters})[0]]


def test_all_are_listed_in_the_order_of_their_creation() -> None:
    assert names() == [f"job-{number:02}" for number in range(25)]
    assert names(SortOrder="Descending") == names()[::-1]


def test_newest_come_first_where_the_operation_has_it_so() -> None:
    assert Listing().of(RECORDS, {})[0][0].name == "job-24"


def test_names_are_searched_for_a_part() -> None:
    assert names(NameContains="b-2") == [f"job-2{number}" for number in range(5)]


def test_times_are_limits_that_do_not_belong() -> None:
    moment = FIRST + timedelta(seconds=3)
    assert names(CreationTimeBefore=moment) == ["job-00", "job-01", "job-02"]
    assert names(CreationTimeAfter=moment)[0] == "job-04"
    changed = moment + timedelta(minutes=1)
    assert names(LastModifiedTimeBefore=changed) == ["job-00", "job-01", "job-02"]
    assert names(LastModifiedTimeAfter=changed)[0] == "job-04"


def test_one_status_can_be_asked_for() -> None:
    assert names(StatusEquals="Failed") == [f"job-{number:02}" for number in range(1, 25, 3)]


def test_an_order_by_status_is_one_by_name_within_it() -> None:
    shown = names(SortBy="Status")
    assert shown[:3] == ["job-00", "job-03", "job-06"]
    assert shown[-1] == "job-23"


@pytest.mark.parametrize("order", ["Ascending", "Descending"])
@pytest.mark.parametrize("by", ["Name", "CreationTime", "Status"])
def test_pages_are_the_whole(by: str, order: str) -> None:
    question = {"SortBy": by, "SortOrder": order, "MaxResults": 7}
    shown: list[str] = []
    token: str | None = None
    while True:
        asked = question if token is None else {**question, "NextToken": token}
        page, token = LISTING.of(RECORDS, asked)
        shown += [each.name for each in page]
        if token is None:
            break
        assert len(page) == 7
    assert shown == names(SortBy=by, SortOrder=order)


def test_ten_come_where_nobody_says_how_many() -> None:
    assert len(LISTING.of(RECORDS, {})[0]) == 10


def test_a_last_page_that_is_full_has_no_next() -> None:
    assert LISTING.of(RECORDS, {"MaxResults": 25})[1] is None


def test_what_is_deleted_between_pages_shifts_nothing() -> None:
    page, token = LISTING.of(RECORDS, {"MaxResults": 10})
    left = [each for each in RECORDS if each not in page[5:]]
    assert LISTING.of(left, {"MaxResults": 10, "NextToken": token})[0][0].name == "job-10"


@pytest.mark.parametrize("token", ["abc", "é", "W10=", "WzEsMiwzXQ=="])
def test_a_token_that_nobody_was_given_is_refused(token: str) -> None:
    with pytest.raises(AwsError, match="NextToken"):
        LISTING.of(RECORDS, {"NextToken": token})


def test_a_token_is_for_the_question_it_came_with() -> None:
    token = LISTING.of(RECORDS, {"NameContains": "job"})[1]
    with pytest.raises(AwsError, match="NextToken"):
        LISTING.of(RECORDS, {"NextToken": token})


def test_values_with_an_order_of_their_own_come_in_pages_too() -> None:
    values = list(range(5))
    page, token = page_of(values, {"MaxResults": 3})
    assert page == [0, 1, 2]
    assert page_of(values, {"MaxResults": 3, "NextToken": token}) == ([3, 4], None)
    with pytest.raises(AwsError, match="NextToken"):
        page_of(values, {"NextToken": LISTING.of(RECORDS, {})[1]})
