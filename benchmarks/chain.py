"""How long a request takes through the whole chain: API Gateway, Lambda, endpoint, container.

The example project is up. The same request goes, by turns and over connections that are kept, to
each part of its chain and to the very container at the end of it, all of them warm::

    python -m benchmarks.chain [--engine docker|process] [--rounds 5] [--json FILE]

Nothing of an SDK is on the asking side; in the function it is boto3 that asks the endpoint.
Everything shares the cores of this machine. Exits with 1 where the target is missed, with 2 where
it could not be run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmarks.invoke import BenchmarkFailed, hosted, latencies, write
from devkit.errors import DevkitError

TARGET_MS = 15.0
WAYS = ("container", "endpoint", "function", "gateway")
"""From the inside outwards; each has all that stands before it."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One engine's times, in milliseconds, by the part that was asked."""

    engine: str
    took_ms: Mapping[str, Sequence[float]]

    @property
    def met(self) -> bool:
        """Whether the whole chain is fast enough."""
        return median(self.took_ms["gateway"]) < TARGET_MS

    def p90(self, way: str) -> float:
        """What nine of ten requests stay below."""
        return quantiles(self.took_ms[way], n=10)[-1]

    def row(self) -> str:
        """A row of the table."""
        cells = [f"{median(self.took_ms[way]):.2f} ms ({self.p90(way):.2f})" for way in WAYS]
        cells[-1] = f"**{cells[-1]}** (below {TARGET_MS:g})"
        return f"| {' | '.join([self.engine, *cells, 'yes' if self.met else '**no**'])} |"

    def document(self) -> dict[str, object]:
        """The same for machines."""
        return {
            "engine": self.engine,
            "median_ms": {way: median(self.took_ms[way]) for way in WAYS},
            "p90_ms": {way: self.p90(way) for way in WAYS},
            "requests": len(self.took_ms["gateway"]),
            "met": self.met,
        }


def measure(engine: str, rounds: int) -> Measured:
    """Ask each part of the example's chain on an engine."""
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    with hosted(engine) as it:
        places = [getattr(it, way) for way in WAYS]
        for _ in range(rounds):
            for way, times in zip(WAYS, latencies(places, it.body, it.content_type), strict=True):
                took[way] += times
    return Measured(engine=engine, took_ms=took)


def main() -> int:
    """Measure, and print the table; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--engine", choices=("docker", "process"), action="append")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    try:
        found = [
            measure(engine, arguments.rounds)
            for engine in arguments.engine or ("docker", "process")
        ]
    except (BenchmarkFailed, DevkitError, OSError) as error:
        sys.stderr.write(f"could not be measured: {error}\n")
        return 2
    write("Medians (nine of ten requests stay below the time in brackets):\n")
    write("| engine | container alone | endpoint | lambda → endpoint | whole chain | met |")
    write("|---|---|---|---|---|---|")
    for each in found:
        write(each.row())
    write(f"\nLoad of this machine before: {before:.1f}, on {os.cpu_count()} cores.")
    if arguments.json is not None:
        text = json.dumps([each.document() for each in found], indent=1)
        arguments.json.write_text(f"{text}\n", encoding="utf-8")
    return 0 if all(each.met for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
