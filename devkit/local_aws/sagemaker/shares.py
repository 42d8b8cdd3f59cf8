"""Which variant of an endpoint answers the next request (contract, section 2.13)."""

from __future__ import annotations

from collections.abc import Mapping


class Shares:
    """Deals requests out by weight, evenly: of any few in a row each variant has its share.

    SageMaker draws at random; with this, what a test sees does not depend on luck.

    Args:
        weights: By variant; one of weight 0 has nothing.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = {name: weight for name, weight in weights.items() if weight > 0}
        self._total = sum(self._weights.values())
        self._owed = dict.fromkeys(self._weights, 0.0)

    def next(self) -> str | None:
        """The variant for one more request; ``None`` where all weights are 0."""
        if len(self._weights) == 1:
            return next(iter(self._weights))
        for name, weight in self._weights.items():
            self._owed[name] += weight
        chosen = max(self._owed, key=lambda name: self._owed[name], default=None)
        if chosen is not None:
            self._owed[chosen] -= self._total
        return chosen
