"""What an instance costs by the hour, from AWS's Price List; ``None`` where nobody says.

A price is something to show before a question, never a reason to fail: whatever goes wrong makes it
unknown. Only a real account answers; nothing on this machine has prices.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

from devkit.targets.clients import CallFailed, Clients
from devkit.targets.instance_types import Use
from devkit.targets.plan import Plan, Resource

UNKNOWN = "price unknown"
_CACHE_S = 24 * 3600
_SERVICE = "AmazonSageMaker"
_COMPONENTS: dict[Use, str] = {"training": "Training", "hosting": "Hosting"}
_MOST_PER_HOUR = 10_000.0
"""More than any instance costs: an answer beyond is nonsense."""
_CENTS_FROM = 0.1


@dataclass(frozen=True)
class Prices:
    """Looks prices up, and keeps what it is told for a day.

    Args:
        clients: Whom to ask.
        cache: A folder for what was answered.
        now: The time, in seconds.
    """

    clients: Clients
    cache: Path
    now: Callable[[], float] = time

    def hourly(self, instance_type: str, use: Use) -> float | None:
        """What one instance costs on demand, in US dollars an hour; ``None`` where unknown."""
        kept = self.cache / "prices" / self._key(instance_type, use)
        price = _read(kept, not_before=self.now() - _CACHE_S)
        if price is None:
            price = self._ask(instance_type, use)
            if price is not None:
                _write(kept, price, self.now())
        return price

    def cost_of(self, resource: Resource) -> str | None:
        """What something costs, as a sentence; ``None`` where it costs nothing by the hour."""
        if resource.hourly_cost_of is None:
            return None
        price = self.hourly(resource.hourly_cost_of, resource.use)
        many = f"{resource.instances} x " if resource.instances > 1 else ""
        what = f"{resource.kind} {resource.name} ({many}{resource.hourly_cost_of})"
        total = None if price is None else price * resource.instances
        return f"{what} {cost(total, resource.use)}"

    def costs_of(self, plan: Plan) -> list[str]:
        """What all that a plan makes costs: a sentence for each that does."""
        return [said for each in plan.creates if (said := self.cost_of(each)) is not None]

    def _ask(self, instance_type: str, use: Use) -> float | None:
        wanted = {
            "instanceName": instance_type,
            "platoinstancetype": _COMPONENTS[use],
            "productFamily": "ML Instance",
            "regionCode": self.clients.region,
        }
        filters = [
            {"Type": "TERM_MATCH", "Field": field, "Value": value}
            for field, value in wanted.items()
        ]
        try:
            answer = self.clients.call(
                "pricing", "GetProducts", {"ServiceCode": _SERVICE, "Filters": filters}
            )
        except CallFailed:
            return None
        return price_of(answer.get("PriceList") or ())

    def _key(self, instance_type: str, use: Use) -> str:
        text = f"{self.clients.region} {use} {instance_type}"
        return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def cost(dollars_per_hour: float | None, use: Use = "hosting") -> str:
    """A price as a part of a sentence: ``costs about $0.23 an hour until it is deleted``."""
    until = "until it is deleted" if use == "hosting" else "while it runs"
    if dollars_per_hour is None:
        return f"is paid for by the hour {until}; {UNKNOWN}"
    digits = 2 if dollars_per_hour >= _CENTS_FROM else 3
    return f"costs about ${dollars_per_hour:,.{digits}f} an hour {until}"


def price_of(products: Iterable[Any]) -> float | None:
    """The hourly price in a list of products; ``None`` where it has none, or is no such list."""
    prices = [price for each in products for price in _prices(each)]
    return max(prices, default=None)


def _prices(product: Any) -> list[float]:
    """What a product costs on demand: each is JSON in text, by the API's own account."""
    with suppress(ValueError, TypeError, AttributeError, KeyError):
        document = json.loads(product) if isinstance(product, str) else product
        return [
            price
            for term in document["terms"]["OnDemand"].values()
            for dimension in term["priceDimensions"].values()
            if (price := _price(dimension)) is not None
        ]
    return []


def _price(dimension: Mapping[str, Any]) -> float | None:
    price = float(dimension["pricePerUnit"]["USD"])
    is_hourly = str(dimension.get("unit", "")).lower() in ("hrs", "hours", "hour")
    return price if is_hourly and 0 < price < _MOST_PER_HOUR else None


def _read(path: Path, *, not_before: float) -> float | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(path.read_text())
        if float(kept["at"]) >= not_before:
            return float(kept["dollars_per_hour"])
    return None


def _write(path: Path, price: float, at: float) -> None:
    with suppress(OSError):  # a price that cannot be kept is asked for again
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"dollars_per_hour": price, "at": at}))
