"""Lines are kept, followed and shown from the end."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from devkit.job import MetricDefinition
from devkit.logs import LogRecord, follow, tail
from devkit.metrics import MetricScanner
from devkit.progress import Silent
from devkit.store import Store

REQUEST = {"engine": "process", "image": "i", "started": "2026-01-01T00:00:00+00:00"}
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def test_a_second_reading_replaces_a_broken_off_one(store: Store) -> None:
    claim = store.claim("job", "a", REQUEST)
    record = LogRecord(claim.run, "algo-1", [MetricDefinition(name="n", regex=r"n=(\d+)")])
    record.keep(["n=1"], Silent())
    record.keep(["n=1", "n=2"], Silent())
    claim.release(finished=True)
    assert (claim.run.logs / "algo-1.log").read_text() == "n=1\nn=2\n"
    assert record.scanner.last["n"].value == 2.0


def test_the_tail_is_the_last_lines(store: Store) -> None:
    claim = store.claim("job", "a", REQUEST)
    LogRecord(claim.run, "algo-1").keep((str(n) for n in range(100)), Silent())
    claim.release(finished=True)
    assert tail(claim.run, count=3) == ["97", "98", "99"]


def test_following_ends_with_the_run_and_misses_nothing(store: Store) -> None:
    claim = store.claim("job", "a", REQUEST)
    path = claim.run.logs / "algo-1.log"
    path.write_text("first\n")
    rounds = iter([True, True, False])

    def sleep(_seconds: float) -> None:
        with path.open("a") as file:
            file.write("more\n")

    lines = list(follow(claim.run, lambda: next(rounds), sleep=sleep))
    claim.release(finished=True)
    assert lines == ["first", "more", "more"]


@pytest.mark.contract("1.11-e")
def test_every_match_in_a_line_is_a_sample() -> None:
    scanner = MetricScanner([MetricDefinition(name="a", regex=r"a=([^;]*);")])
    samples = list(scanner.scan("a=1; a=2; a=x; a=inf;", NOW))
    assert [sample.value for sample in samples] == [1.0, 2.0, float("inf")]
    assert scanner.last["a"].value == float("inf")
