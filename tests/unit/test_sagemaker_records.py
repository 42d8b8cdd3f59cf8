"""What was made in SageMaker, kept in a file each."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from devkit.local_aws.errors import AwsError
from devkit.local_aws.sagemaker.arns import arn, kind_of
from devkit.local_aws.sagemaker.records import Record, Records, now

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc)


def record(name: str = "Demo", *, kind: str = "model", region: str = "us-east-1") -> Record:
    return Record(
        kind=kind,
        name=name,
        region=region,
        created=MOMENT,
        modified=MOMENT,
        members={"Image": "iris:demo", "Nested": [{"At": MOMENT, "Weight": 0.5}]},
        tags={"team": "iris"},
    )


def test_an_arn_has_the_name_in_lower_case() -> None:
    assert arn("endpoint", "DEMO-2") == "arn:aws:sagemaker:us-east-1:123456789012:endpoint/demo-2"


def test_the_kind_is_what_stands_before_the_name() -> None:
    assert kind_of(arn("endpoint-config", "a")) == "endpoint-config"
    assert kind_of("arn:aws:sagemaker:us-east-1:123456789012:app/d-1/u/JupyterServer/x") == "app"


def test_records_are_there_again_after_a_restart(tmp_path: Path) -> None:
    Records(tmp_path).add(record())
    again = Records(tmp_path)
    assert again.load() == []
    assert again.all("model") == [record()]


def test_each_record_is_a_file_of_its_region_and_kind(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.add(record(region="eu-west-1"))
    records.add(record("d-1/user", kind="user-profile"))
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json"))
    assert files == ["eu-west-1/model/demo.json", "us-east-1/user-profile/d-1%2Fuser.json"]


def test_a_file_that_is_no_record_is_told_and_left_alone(tmp_path: Path) -> None:
    Records(tmp_path).add(record())
    broken = tmp_path / "us-east-1" / "model" / "broken.json"
    broken.write_text('{"kind": "model"')
    again = Records(tmp_path)
    assert again.load() == [broken]
    assert [each.name for each in again.all("model")] == ["Demo"]
    assert broken.exists()


def test_names_that_differ_in_case_only_are_the_same_to_make_and_not_to_find() -> None:
    records = Records()
    records.add(record("Demo"))
    with pytest.raises(AwsError, match=r'Cannot create already existing model "arn:.*:model/demo"'):
        records.add(record("demo"))
    assert records.find("model", "demo", "us-east-1") is None
    with pytest.raises(AwsError, match=r'Could not find model "arn:.*:model/demo"'):
        records.get("model", "demo", "us-east-1")


def test_regions_know_nothing_of_each_other() -> None:
    records = Records()
    records.add(record(region="eu-west-1"))
    records.add(record(region="us-east-1"))
    assert records.find("model", "Demo", "ap-south-1") is None
    assert [each.region for each in records.all("model", "eu-west-1")] == ["eu-west-1"]


def test_a_change_is_kept_and_one_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    records = Records(tmp_path)
    made = records.add(record())

    def refuse(_record: Record) -> Record:
        raise AwsError("ValidationException", "no")

    later = MOMENT + timedelta(seconds=1)
    records.change(made.arn, lambda old: old.with_members(later, Image=None, Mode="SingleModel"))
    with pytest.raises(AwsError):
        records.change(made.arn, refuse)
    again = Records(tmp_path)
    again.load()
    (kept,) = again.all("model")
    assert kept.modified == later
    assert "Image" not in kept.members
    assert kept.members["Mode"] == "SingleModel"


def test_what_is_removed_stays_removed(tmp_path: Path) -> None:
    records = Records(tmp_path)
    made = records.add(record())
    records.remove(made)
    records.remove(made)
    assert records.change(made.arn, lambda old: replace(old, tags={})) is None
    again = Records(tmp_path)
    again.load()
    assert again.all("model") == []


def test_a_reset_forgets_everything(tmp_path: Path) -> None:
    records = Records(tmp_path / "sagemaker")
    records.add(record())
    records.reset()
    assert records.all("model") == []
    assert not (tmp_path / "sagemaker").exists()
    records.add(record())


def test_the_time_is_as_fine_as_answers_are() -> None:
    assert now().microsecond % 1000 == 0
