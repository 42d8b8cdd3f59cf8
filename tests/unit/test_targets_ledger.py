"""The ledger, and what is deleted by it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from devkit.errors import StoreError
from devkit.targets.clients import CallFailed
from devkit.targets.ledger import Kind, Ledger, Resource
from devkit.targets.teardown import Teardown
from tests.unit.cloud_fakes import FakeCloud


def resource(kind: Kind, name: str = "iris", *, target: str = "aws", **more: str) -> Resource:
    return Resource(
        kind=kind,
        name=name,
        target=target,
        account="123456789012",
        region="us-east-1",
        made="2026-01-01T00:00:00+00:00",
        **more,  # type: ignore[arg-type]
    )


def test_what_is_deleted_first_comes_first(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    kinds: list[Kind] = ["object", "model", "training-job", "endpoint", "endpoint-config"]
    for kind in kinds:
        ledger.add(resource(kind))

    found = [each.kind for each in ledger.resources()]

    assert found == ["endpoint", "endpoint-config", "model", "training-job", "object"]


def test_another_devkit_sees_the_same(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger").add(resource("endpoint"))
    other = Ledger(tmp_path / "ledger")
    assert other.resources("aws") == [resource("endpoint")]
    assert other.resources("sagemaker-local") == []

    other.remove(resource("endpoint"))

    assert Ledger(tmp_path / "ledger").resources() == []


def test_a_line_that_was_cut_off_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger = Ledger(path)
    ledger.add(resource("endpoint", "one"))
    with path.open("ab") as file:
        file.write(b'{"made": {"kind": "endpo')

    ledger.add(resource("endpoint", "two"))

    assert [each.name for each in ledger.resources()] == ["one", "two"]


def test_what_cannot_be_written_down_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        Ledger(tmp_path / "file" / "ledger").add(resource("endpoint"))


def test_a_resource_knows_when_its_time_is_over() -> None:
    now = datetime.now(timezone.utc)
    past, future = (now + timedelta(seconds=s) for s in (-1, 60))
    assert resource("endpoint", until=past.isoformat()).is_overdue
    assert not resource("endpoint", until=future.isoformat()).is_overdue
    assert not resource("endpoint").is_overdue


def test_what_is_gone_already_is_taken_out(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.add(resource("endpoint"))
    ledger.add(resource("training-job"))

    left = Teardown(FakeCloud(), ledger, sleep=lambda _s: None).delete(ledger.resources())

    assert left == []
    assert ledger.resources() == []


def test_what_cannot_be_deleted_is_told_and_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.add(resource("endpoint"))
    cloud = FakeCloud()
    cloud.made["endpoint", "iris"] = {}

    def refuse(_number: int, operation: str) -> None:
        if operation == "DeleteEndpoint":
            raise CallFailed(operation, "AccessDeniedException", "you may not")

    cloud.before = refuse
    teardown = Teardown(cloud, ledger, sleep=lambda _s: None, poll_s=1, patience_s=3)

    (left,) = teardown.delete(ledger.resources())

    assert "you may not" in left.why
    assert ledger.resources() == [resource("endpoint")]
    assert cloud.calls.count("DeleteEndpoint") == 4
