"""The lines of the SDK's containers, as CloudWatch Logs gives them."""

from __future__ import annotations

from typing import Any

import pytest

from devkit.targets.clients import CallFailed
from devkit.targets.sdk.logs import Logs

JOBS = "/aws/sagemaker/TrainingJobs"


def messages(page: Any) -> list[str]:
    return [each["message"] for each in page["events"]]


def test_each_container_has_a_stream_in_the_group_of_its_kind() -> None:
    logs = Logs()
    logs.add("job", "a", "algo-1", "one")
    logs.add("job", "a", "algo-2", "two")
    logs.add("job", "b", "algo-1", "other")
    logs.add("endpoint", "e", "algo-1", "up")

    found = logs.call(
        "DescribeLogStreams", {"logGroupName": JOBS, "logStreamNamePrefix": "a/"}
    )["logStreams"]  # fmt: skip

    names = [each["logStreamName"] for each in found]
    assert [name.rpartition("-")[0] for name in names] == ["a/algo-1", "a/algo-2"]
    assert logs.knows("/aws/sagemaker/Endpoints/e")
    assert not logs.knows("/aws/sagemaker/Endpoints/other")


def test_pages_go_on_where_the_last_one_ended() -> None:
    logs = Logs()
    for number in range(3):
        logs.add("job", "a", "algo-1", str(number))
    (stream,) = logs.call("DescribeLogStreams", {"logGroupName": JOBS})["logStreams"]
    request = {
        "logGroupName": JOBS,
        "logStreamName": stream["logStreamName"],
        "startFromHead": True,
        "limit": 2,
    }

    first = logs.call("GetLogEvents", request)
    second = logs.call("GetLogEvents", {**request, "nextToken": first["nextForwardToken"]})
    third = logs.call("GetLogEvents", {**request, "nextToken": second["nextForwardToken"]})

    assert [messages(each) for each in (first, second, third)] == [["0", "1"], ["2"], []]
    assert third["nextForwardToken"] == second["nextForwardToken"]
    assert messages(logs.call("GetLogEvents", {**request, "startFromHead": False})) == ["1", "2"]


def test_a_stream_that_is_not_there_is_told_in_awss_words() -> None:
    logs = Logs()
    logs.add("job", "a", "algo-1", "one")

    with pytest.raises(CallFailed) as error:
        logs.call("GetLogEvents", {"logGroupName": JOBS, "logStreamName": "b/algo-1"})
    assert error.value.code == "ResourceNotFoundException"
