"""Requests are dealt out by weight (contract, section 2.13)."""

from __future__ import annotations

from collections import Counter

from devkit.local_aws.sagemaker.shares import Shares


def dealt(shares: Shares, count: int) -> Counter[str | None]:
    return Counter(shares.next() for _ in range(count))


def test_each_variant_has_its_share_exactly() -> None:
    assert dealt(Shares({"a": 3.0, "b": 1.0}), 40) == {"a": 30, "b": 10}
    assert dealt(Shares({"a": 0.7, "b": 0.2, "c": 0.1}), 100) == {"a": 70, "b": 20, "c": 10}


def test_shares_are_even_over_few_requests() -> None:
    shares = Shares({"a": 1.0, "b": 1.0})
    assert all(dealt(shares, 2) == {"a": 1, "b": 1} for _ in range(5))


def test_a_variant_of_weight_0_has_nothing() -> None:
    assert dealt(Shares({"a": 1.0, "b": 0.0}), 5) == {"a": 5}


def test_without_any_weight_nobody_answers() -> None:
    assert Shares({"a": 0.0, "b": 0.0}).next() is None
