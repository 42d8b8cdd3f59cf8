"""What an instance costs, as far as anybody says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devkit.targets.plan import Plan, Resource, Step
from devkit.targets.prices import Prices, cost
from tests.unit.clients_fakes import FakeClients, refusal

ENDPOINT = Resource(kind="endpoint", name="iris", arn="", hourly_cost_of="ml.m5.xlarge")


def product(price: str = "0.2300000000", unit: str = "Hrs") -> str:
    """As AWS has it: JSON in text."""
    dimension = {"unit": unit, "pricePerUnit": {"USD": price}}
    terms = {"OnDemand": {"X.Y": {"priceDimensions": {"X.Y.Z": dimension}}}}
    return json.dumps({"product": {"attributes": {}}, "terms": terms})


def prices(folder: Path, answer: Any, now: float = 0.0) -> tuple[Prices, FakeClients]:
    clients = FakeClients(GetProducts=answer)
    return Prices(clients, folder, lambda: now), clients


def test_the_price_is_that_of_use_type_and_region(tmp_path: Path) -> None:
    found, clients = prices(tmp_path, {"PriceList": [product()]})
    assert found.hourly("ml.m5.xlarge", "hosting") == 0.23
    ((service, operation, parameters),) = clients.asked
    assert (service, operation, parameters["ServiceCode"]) == (
        "pricing",
        "GetProducts",
        "AmazonSageMaker",
    )
    filters = {each["Field"]: each["Value"] for each in parameters["Filters"]}
    assert filters == {
        "instanceName": "ml.m5.xlarge",
        "platoinstancetype": "Hosting",
        "productFamily": "ML Instance",
        "regionCode": "us-east-1",
    }


@pytest.mark.parametrize(
    "answer",
    [
        refusal("GetProducts", "AccessDeniedException"),
        refusal("GetProducts", "UnknownService"),
        {},
        {"PriceList": None},
        {"PriceList": []},
        {"PriceList": ["{"]},
        {"PriceList": ["[]", "3", "null", 3, None, {}]},
        {"PriceList": ['{"terms": {"OnDemand": {}}}', '{"terms": []}']},
        {"PriceList": [product("free")]},
        {"PriceList": [product("0.0000000000")]},
        {"PriceList": [product("NaN"), product("Infinity"), product("-1"), product("1e9")]},
        {"PriceList": [product(unit="GB-Mo")]},
    ],
)
def test_whatever_else_is_answered_makes_it_unknown(tmp_path: Path, answer: Any) -> None:
    found, _ = prices(tmp_path, answer)
    assert found.hourly("ml.m5.xlarge", "hosting") is None
    assert list(tmp_path.iterdir()) == [], "what is unknown is asked again"


def test_of_several_prices_the_highest_is_told(tmp_path: Path) -> None:
    found, _ = prices(tmp_path, {"PriceList": [product("0.1"), product("0.2"), "{}"]})
    assert found.hourly("ml.m5.xlarge", "training") == 0.2


def test_a_price_is_kept_for_a_day(tmp_path: Path) -> None:
    day = 24 * 3600.0
    first, _ = prices(tmp_path, {"PriceList": [product("0.1")]})
    assert first.hourly("ml.m5.xlarge", "hosting") == 0.1
    soon, nobody = prices(tmp_path, {"PriceList": [product("0.2")]}, now=day)
    assert soon.hourly("ml.m5.xlarge", "hosting") == 0.1
    assert nobody.asked == []
    assert soon.hourly("ml.m5.xlarge", "training") == 0.2, "another use is another price"
    later, _ = prices(tmp_path, {"PriceList": [product("0.2")]}, now=day + 1)
    assert later.hourly("ml.m5.xlarge", "hosting") == 0.2


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"at": "x"}', "\x00"])
def test_a_broken_cache_is_asked_past(tmp_path: Path, content: str) -> None:
    found, _ = prices(tmp_path, {"PriceList": [product()]})
    found.hourly("ml.m5.xlarge", "hosting")
    (kept,) = (tmp_path / "prices").iterdir()
    kept.write_text(content)
    assert found.hourly("ml.m5.xlarge", "hosting") == 0.23


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found, _ = prices(tmp_path / "file", {"PriceList": [product()]})
    assert found.hourly("ml.m5.xlarge", "hosting") == 0.23


@pytest.mark.parametrize(
    ("price", "said"),
    [
        (0.23, "costs about $0.23 an hour until it is deleted"),
        (0.0575, "costs about $0.058 an hour until it is deleted"),
        (1234.5, "costs about $1,234.50 an hour until it is deleted"),
        (None, "is paid for by the hour until it is deleted; price unknown"),
    ],
)
def test_a_price_is_a_part_of_a_sentence(price: float | None, said: str) -> None:
    assert cost(price) == said


def test_a_job_costs_while_it_runs() -> None:
    assert cost(0.1, "training") == "costs about $0.10 an hour while it runs"


def test_a_plan_costs_what_it_makes(tmp_path: Path) -> None:
    found, _ = prices(tmp_path, {"PriceList": [product()]})
    three = Resource(
        kind="training-job",
        name="j",
        arn="",
        hourly_cost_of="ml.m5.large",
        instances=3,
        use="training",
    )
    bucket = Resource(kind="bucket", name="b", arn="")
    steps = (
        Step(service="x", operation="X", creates=each, says="x")
        for each in (bucket, ENDPOINT, three)
    )
    assert found.costs_of(Plan(tuple(steps))) == [
        "endpoint iris (ml.m5.xlarge) costs about $0.23 an hour until it is deleted",
        "training-job j (3 x ml.m5.large) costs about $0.69 an hour while it runs",
    ]
