"""The driver's plain parts: what is said over the pipe, which image is meant, why a job failed."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from devkit import contract
from devkit.targets.sdk.driver import wire
from devkit.targets.sdk.driver.images import local_image
from devkit.targets.sdk.driver.runs import Ending, failure_reason

ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/iris:dev"


def test_bytes_and_times_arrive_as_they_were_sent() -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    message = {"id": 1, "parameters": {"Body": bytes(range(256)), "Times": [time], "Text": "ä\n"}}

    line = wire.encode(message)

    assert wire.decode(line) == message
    assert line.count(b"\n") == 1


@pytest.mark.parametrize("line", [b"", b"Traceback", b"[1]", b"null", b"\xff\xfe", b'{"half":'])
def test_what_is_no_message_is_told_apart(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        wire.decode(line)


def test_a_uri_of_ecr_means_the_local_image_of_that_name() -> None:
    assert local_image(ECR, {"team/iris:dev", ECR}.__contains__) == "team/iris:dev"
    assert local_image(ECR, {ECR}.__contains__) == ECR
    assert local_image("iris:dev", {"iris:dev"}.__contains__) == "iris:dev"
    assert local_image("iris:dev", set[str]().__contains__) is None


def test_a_failed_job_has_sagemakers_words() -> None:
    assert failure_reason(Ending(1)) == "AlgorithmError: , exit code: 1"
    assert failure_reason(Ending(2, failure="no data")) == "AlgorithmError: no data, exit code: 2"
    assert "out of memory" in failure_reason(Ending(137, out_of_memory=True))
    for text in (None, "no data\n", "x" * 1000, "x" * 5000):
        assert failure_reason(Ending(3, failure=text)) == contract.failure_reason(3, text)
