"""The last values of a job's metrics."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

from devkit.local_aws.sagemaker.training_output import final_metrics
from devkit.store import Run, Store

FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)


def row(name: str, value: float, seconds: int) -> str:
    moment = FIRST + timedelta(seconds=seconds)
    return json.dumps({"name": name, "value": value, "time": moment.isoformat()}) + "\n"


def new_run(store: Store) -> Run:
    claim = store.claim("job", "a", {})
    claim.release(finished=True)
    return claim.run


def test_the_last_value_of_each_metric_counts_whatever_host_it_is_from(store: Store) -> None:
    run = new_run(store)
    run.metrics.mkdir()
    (run.metrics / "algo-1.jsonl").write_text(row("loss", 0.5, 1) + row("loss", 0.1, 9))
    (run.metrics / "algo-2.jsonl").write_text(row("loss", 0.3, 5) + row("accuracy", 0.9, 5))
    assert final_metrics(run) == [
        {"MetricName": "accuracy", "Value": 0.9, "Timestamp": FIRST + timedelta(seconds=5)},
        {"MetricName": "loss", "Value": 0.1, "Timestamp": FIRST + timedelta(seconds=9)},
    ]


def test_a_job_without_metrics_has_none(store: Store) -> None:
    assert final_metrics(new_run(store)) == []
