"""A pool whose threads nobody waits for."""

from __future__ import annotations

import threading
from concurrent.futures import wait

import pytest

from devkit.local_aws.threads import DaemonPool


def test_work_is_done_and_its_result_told() -> None:
    pool = DaemonPool(2, "test")

    assert pool.submit(divmod, 7, 2).result(10) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 7, 0).result(10)
    pool.shutdown()


def test_there_are_no_more_threads_than_were_asked_for() -> None:
    pool = DaemonPool(2, "test")
    seen: set[int] = set()

    def work() -> None:
        seen.add(threading.get_ident())

    wait([pool.submit(work) for _ in range(50)], 10)

    assert 1 <= len(seen) <= 2
    pool.shutdown()


def test_two_things_can_wait_for_each_other() -> None:
    pool = DaemonPool(2, "test")
    barrier = threading.Barrier(2)

    both = [pool.submit(barrier.wait, 10) for _ in range(2)]

    assert sorted(each.result(10) for each in both) == [0, 1]
    pool.shutdown()


def test_a_pool_that_is_shut_down_takes_nothing() -> None:
    pool = DaemonPool(1, "test")
    pool.shutdown()

    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(divmod, 7, 2)
