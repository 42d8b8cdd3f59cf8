"""What AWS refuses of a request, in AWS's words (contract, section 5)."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.model import StructureShape

from devkit.local_aws.errors import AwsError
from devkit.local_aws.models import Models
from devkit.local_aws.validation import message, problems, require_valid

SHAPE = Models().api("sagemaker").operation("CreateTrainingJob").input_shape  # type: ignore[union-attr]
SOUND: dict[str, Any] = {
    "TrainingJobName": "job",
    "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
    "RoleArn": "arn:aws:iam::123456789012:role/R",
    "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}


def found(**changes: Any) -> list[str]:
    assert isinstance(SHAPE, StructureShape)
    return problems(SHAPE, {**SOUND, **changes})


def test_nothing_is_wrong_with_what_is_allowed() -> None:
    assert found() == []
    assert problems(None, {}) == []


def test_a_pattern_is_told() -> None:
    (only,) = found(TrainingJobName="no_good")

    assert only == (
        "Value 'no_good' at 'trainingJobName' failed to satisfy constraint: Member must satisfy "
        "regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_a_length_is_told() -> None:
    first, second = found(TrainingJobName="a" * 64)

    assert first.endswith("Member must have length less than or equal to 63")
    assert "pattern" in second


def test_an_enum_is_told_with_its_values() -> None:
    (only,) = found(
        AlgorithmSpecification={"TrainingImage": "i", "TrainingInputMode": "Carrier pigeon"}
    )

    assert only.startswith(
        "Value 'Carrier pigeon' at 'algorithmSpecification.trainingInputMode' failed to satisfy "
        "constraint: Member must satisfy enum value set: ["
    )
    assert "FastFile" in only


def test_a_number_is_told() -> None:
    (only,) = found(StoppingCondition={"MaxRuntimeInSeconds": 0})

    assert only.endswith("Member must have value greater than or equal to 1")


def test_what_is_missing_is_null() -> None:
    assert problems(SHAPE, {k: v for k, v in SOUND.items() if k != "RoleArn"}) == [
        "Value null at 'roleArn' failed to satisfy constraint: Member must not be null"
    ]


def test_a_member_of_a_list_is_told_by_its_number() -> None:
    (only,) = found(Tags=[{"Key": "a", "Value": "b"}, {"Key": "a"}])

    assert "at 'tags.2.member.value'" in only


def test_the_entries_of_a_map_are_told_with_all_their_rules() -> None:
    (only,) = found(HyperParameters={"eta": "x" * 2501})

    assert "at 'hyperParameters' failed to satisfy constraint: Map value must satisfy" in only
    assert "[Member must have length less than or equal to 2500, " in only


def test_letters_of_all_scripts_are_letters() -> None:
    assert found(Tags=[{"Key": "größe", "Value": "日本"}]) == []


def test_all_that_is_wrong_is_in_one_message() -> None:
    two = found(TrainingJobName="no_good", StoppingCondition={"MaxRuntimeInSeconds": 0})

    assert message(two).startswith("2 validation errors detected: Value 'no_good' at ")
    assert message(two).count("; Value '0' at ") == 1
    assert message(two[:1]).startswith("1 validation error detected: ")


def test_the_code_is_that_of_the_protocol() -> None:
    for protocol, code in (("json", "ValidationException"), ("query", "ValidationError")):
        with pytest.raises(AwsError) as refused:
            require_valid(SHAPE, {}, protocol)  # type: ignore[arg-type]
        assert refused.value.code == code


def test_a_value_that_a_pattern_would_take_for_ever_is_refused() -> None:
    first, *_ = reversed(found(TrainingJobName="a-" * 30 + "_"))

    assert "pattern" in first


def test_long_values_are_shown_in_part() -> None:
    first, *_ = found(TrainingJobName="a" * 10_000)

    assert len(first) < 500
