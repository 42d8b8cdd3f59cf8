"""Log lines → metrics, by the job's metric definitions (§1.11)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from devkit.job import MetricDefinition, Sample


class MetricScanner:
    """Searches each log line for every metric; the first group is the value.

    A match that is no number is passed over, as it cannot be published.
    """

    def __init__(self, definitions: Iterable[MetricDefinition]) -> None:
        self._patterns = [(d.name, re.compile(d.regex)) for d in definitions]
        self.last: dict[str, Sample] = {}
        """The last sample of each metric seen so far."""

    def scan(self, line: str, time: datetime) -> Iterator[Sample]:
        """The samples in one line of log, read at ``time``."""
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                try:
                    value = float(match.group(1))
                except (TypeError, ValueError):
                    continue
                self.last[name] = Sample(name=name, value=value, time=time)
                yield self.last[name]


def final_values(last: Iterable[Mapping[str, Sample]]) -> dict[str, float]:
    """The last value of each metric over all instances (§1.11 FinalMetricDataList)."""
    latest: dict[str, Sample] = {}
    for samples in last:
        for name, sample in samples.items():
            if name not in latest or sample.time >= latest[name].time:
                latest[name] = sample
    return {name: sample.value for name, sample in latest.items()}
