"""Compares what was seen in places: a pure function of facts and of what is to be expected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from devkit.parity.facts import Facts, Kind, Observed

ABSENT = "(absent)"
"""What is said of a fact in a place that has none of that name."""

PRESENCE = "(seen)"
"""The name of the fact that an area was seen at all."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A difference that has a reason."""

    kinds: frozenset[Kind]
    """The places that are as it says."""
    area: str
    name: str = ".*"
    """A regular expression for the whole name of the fact."""
    value: str = ".*"
    """Another one, for its value in such a place."""
    source: str
    """A section of the contract, or a decision."""
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A fact that is another one in a place than in the one it is compared with."""

    area: str
    name: str
    reference: Kind
    reference_value: str
    place: Kind
    value: str
    expected: Expected | None = None
    """Why; ``None`` is a failure."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came of comparing places."""

    observed: Sequence[Observed]
    """The first is the reference."""
    differences: Sequence[Difference]
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Places that were not compared, and why."""

    @property
    def unexpected(self) -> list[Difference]:
        """Those without a reason."""
        return [each for each in self.differences if each.expected is None]

    @property
    def expected(self) -> list[Difference]:
        """Those with one."""
        return [each for each in self.differences if each.expected is not None]

    @property
    def areas(self) -> list[str]:
        """All areas, in the order of the first place that has them."""
        return list(dict.fromkeys(area for each in self.observed for area in each.facts))


def compare(
    observed: Sequence[Observed],
    table: Sequence[Expected],
    left_out: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare all places with the first one.

    Args:
        observed: What was seen in each.
        table: What is to be expected.
        left_out: Places that there was nothing to see in, and why.
    """
    reference, *others = observed
    differences = [each for other in others for each in _differences(reference, other, table)]
    return Comparison(observed=observed, differences=differences, left_out=left_out or {})


def _differences(
    reference: Observed, other: Observed, table: Sequence[Expected]
) -> Iterator[Difference]:
    for area, name, reference_value, value in _unequal(reference.facts, other.facts):
        difference = Difference(
            area=area,
            name=name,
            reference=reference.place,
            reference_value=reference_value,
            place=other.place,
            value=value,
        )
        yield _explained(difference, table)


def _unequal(first: Facts, second: Facts) -> Iterator[tuple[str, str, str, str]]:
    for area in dict.fromkeys([*first, *second]):
        if area not in first or area not in second:
            yield area, PRESENCE, _presence(area in first), _presence(area in second)
            continue
        for name in dict.fromkeys([*first[area], *second[area]]):
            values = first[area].get(name, ABSENT), second[area].get(name, ABSENT)
            if values[0] != values[1]:
                yield area, name, *values


def _presence(seen: bool) -> str:
    return "yes" if seen else "no"


def _explained(difference: Difference, table: Iterable[Expected]) -> Difference:
    for rule in table:
        if _explains(rule, difference):
            return Difference(**{**vars(difference), "expected": rule})
    return difference


def _explains(rule: Expected, difference: Difference) -> bool:
    """Whether one of the two places is as the rule says."""
    seen = (
        (difference.place, difference.value),
        (difference.reference, difference.reference_value),
    )
    return (
        re.fullmatch(rule.area, difference.area) is not None
        and re.fullmatch(rule.name, difference.name) is not None
        and any(
            kind in rule.kinds and re.fullmatch(rule.value, value, re.DOTALL) is not None
            for kind, value in seen
        )
    )
