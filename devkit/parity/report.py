"""A comparison for people on a terminal, and for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from devkit.parity.comparing import Comparison, Difference, Expected
from devkit.parity.facts import Observed

UNEXPECTED = "UNEXPECTED"
"""Stands in a cell of a table."""

_SHOWN_CHARS = 100


def text(comparison: Comparison) -> str:
    """The comparison as lines for a terminal."""
    return "\n".join(_lines(comparison))


def document(comparison: Comparison) -> dict[str, object]:
    """The comparison as JSON's values."""
    return {
        "reference": comparison.observed[0].place,
        "places": [each.place for each in comparison.observed],
        "left_out": dict(comparison.left_out),
        "unexpected": [_difference(each) for each in comparison.unexpected],
        "expected": [_difference(each) for each in comparison.expected],
        "facts": {each.place: each.facts for each in comparison.observed},
        "timings_s": {
            each.place: {name: round(s, 3) for name, s in each.timings_s.items()}
            for each in comparison.observed
        },
    }


def summary(comparison: Comparison) -> str:
    """The comparison in a sentence."""
    places = ", ".join(each.place for each in comparison.observed)
    return (
        f"{places}: {_count(comparison.unexpected, 'unexpected difference')}, "
        f"{_count(comparison.expected, 'expected one')}"
    )


def counts(comparison: Comparison) -> list[tuple[str, ...]]:
    """A table: for each area how many facts there are, and for each place what differs in it."""
    reference, *others = comparison.observed
    rows = [("", reference.place, *(each.place for each in others))]
    for area in comparison.areas:
        cells = (_cell(comparison, area, other) for other in others)
        rows.append((area, _facts(reference, area), *cells))
    return rows


def timings(comparison: Comparison) -> list[tuple[str, ...]]:
    """A table: how long each step took in each place."""
    observed = comparison.observed
    names = dict.fromkeys(name for each in observed for name in each.timings_s)
    return [
        ("seconds", *(each.place for each in observed)),
        *((name, *(_seconds(each, name) for each in observed)) for name in names),
    ]


def reasons(comparison: Comparison) -> list[tuple[Expected, list[Difference]]]:
    """The differences that have a reason, by reason."""

    def place(each: Difference) -> int:
        assert each.expected is not None  # noqa: S101 - those that have one
        return order.setdefault(id(each.expected), len(order))

    order: dict[int, int] = {}
    found = []
    for _, group in groupby(sorted(comparison.expected, key=place), key=place):
        differences = list(group)
        rule = differences[0].expected
        assert rule is not None  # noqa: S101 - those that have one
        found.append((rule, differences))
    return found


def facts_named(differences: Iterable[Difference]) -> list[str]:
    """Which facts differ, each once: ``area: name``."""
    return list(dict.fromkeys(f"{each.area}: {each.name}" for each in differences))


def _lines(comparison: Comparison) -> Iterator[str]:
    yield from _table(counts(comparison))
    yield ""
    yield from _table(timings(comparison))
    for rule, differences in reasons(comparison):
        places = " and ".join(
            each.place for each in comparison.observed if each.place in rule.kinds
        )
        yield ""
        yield f"expected in {places} ({rule.source}): {rule.sentence}"
        yield from (f"  {_short(fact)}" for fact in facts_named(differences))
    for each in comparison.unexpected:
        yield ""
        yield f"unexpected: {each.area}: {each.name}"
        yield f"  {each.reference}: {_short(each.reference_value)}"
        yield f"  {each.place}: {_short(each.value)}"
    for place, why in comparison.left_out.items():
        yield ""
        yield f"left out: {place}: {why}"
    yield ""
    yield summary(comparison)


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *cells in rows:
        padded = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([f"{first:<{widths[0]}}", *padded]).rstrip()


def _facts(observed: Observed, area: str) -> str:
    if area not in observed.facts:
        return "not seen"
    return _count(observed.facts[area], "fact")


def _cell(comparison: Comparison, area: str, other: Observed) -> str:
    those = [e for e in comparison.differences if (e.area, e.place) == (area, other.place)]
    unexpected = sum(each.expected is None for each in those)
    if unexpected:
        return f"{unexpected} {UNEXPECTED}"
    return f"{len(those)} expected" if those else "the same"


def _count(things: Sequence[object] | Iterable[object], what: str) -> str:
    number = len(list(things))
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _seconds(observed: Observed, name: str) -> str:
    seconds = observed.timings_s.get(name)
    return "" if seconds is None else f"{seconds:.1f}"


def _short(value: str) -> str:
    shown = " ".join(value.split())
    return shown if len(shown) <= _SHOWN_CHARS else shown[: _SHOWN_CHARS - 1] + "…"


def _difference(each: Difference) -> dict[str, object]:
    rule = each.expected
    return {
        "area": each.area,
        "name": each.name,
        each.reference: each.reference_value,
        each.place: each.value,
        "place": each.place,
        "expected": None if rule is None else {"source": rule.source, "because": rule.sentence},
    }
