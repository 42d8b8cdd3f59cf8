"""How often and how fast endpoints answered, as CloudWatch is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

from devkit.front.errors import Endpoint, broken, model_error
from devkit.front.messages import Answer
from devkit.local_aws.sagemaker.hosted import Variant
from devkit.local_aws.sagemaker.invocation_metrics import InvocationMetrics
from tests.unit.sagemaker_fakes import MOMENT, Moto

ENDPOINT = Endpoint(name="demo", variant="blue")
GOOD = Answer(status=200, headers={}, body=b"")


class Counted:
    """A variant, as far as it is counted."""

    endpoint = ENDPOINT


def told(*answers: Answer) -> Mapping[str, Mapping[str, Any]]:
    """The metrics that come of these answers, which took 2 ms each and 3 ms in all."""
    moto = Moto()

    async def count() -> None:
        metrics = InvocationMetrics(lambda: MOMENT)
        metrics.begin(moto)
        for answer in answers:
            metrics.count(cast("Variant", Counted()), answer, model_s=0.002, total_s=0.003)
        await metrics.flush()
        await metrics.flush()  # nothing is sent twice
        await metrics.end()

    asyncio.run(count())
    (sent,) = moto.of("PutMetricData")
    assert sent["Namespace"] == "AWS/SageMaker"
    return {each["MetricName"]: each for each in sent["MetricData"]}


def values(metric: Mapping[str, Any]) -> tuple[float, float]:
    """How many there were, and their sum."""
    statistics = metric["StatisticValues"]
    return statistics["SampleCount"], round(statistics["Sum"], 3)


def test_invocations_and_their_latencies_are_sent_together() -> None:
    metrics = told(GOOD, GOOD)
    assert values(metrics["Invocations"]) == (2, 2)
    assert values(metrics["ModelLatency"]) == (2, 4000)
    assert values(metrics["OverheadLatency"]) == (2, 2000)
    assert values(metrics["Invocation4XXErrors"]) == (2, 0)
    assert values(metrics["Invocation5XXErrors"]) == (2, 0)
    assert metrics["ModelLatency"]["Unit"] == "Microseconds"
    assert metrics["Invocations"]["Dimensions"] == [
        {"Name": "EndpointName", "Value": "demo"},
        {"Name": "VariantName", "Value": "blue"},
    ]


def test_errors_are_those_of_the_container() -> None:
    client = model_error(ENDPOINT, 400, "bad").answer("1")
    server = model_error(ENDPOINT, 500, "worse").answer("2")
    none = broken(ENDPOINT).answer("3")
    assert isinstance(none.body, bytes)
    assert json.loads(none.body)["OriginalStatusCode"] == 0
    metrics = told(client, server, none)
    assert values(metrics["Invocation4XXErrors"]) == (3, 1)
    assert values(metrics["Invocation5XXErrors"]) == (3, 2)
