"""A channel's settings: what SageMaker would refuse, and what its container is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devkit.channels.locations import S3Uri
from devkit.channels.plan import (
    ChannelPlan,
    Compression,
    DataType,
    Distribution,
    Host,
    InputMode,
    RecordWrapper,
    inputdataconfig_entry,
)
from devkit.errors import ConfigError

URI = S3Uri("bucket", "prefix/")


def plan(**settings: Any) -> ChannelPlan:
    return ChannelPlan(**{"name": "training", "location": URI, **settings})


@pytest.mark.contract("1.6-d", "1.6-k", "1.6-n", "1.6-w", "1.6-y", "1.6-z")
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"name": "a/b"}, "letters, digits, dots"),
        ({"content_type": "x" * 257}, "ContentType of 257 characters: at most 256"),
        ({"location": Path("/nowhere/at/all")}, "there is no file or folder /nowhere/at/all"),
        ({"location": Path("/"), "data_type": DataType.MANIFEST}, "is not a file"),
        ({"compression": Compression.GZIP}, "Gzip counts in InputMode Pipe only"),
        ({"record_wrapper": RecordWrapper.RECORD_IO}, "RecordIO counts in InputMode Pipe only"),
        (
            {"data_type": DataType.AUGMENTED_MANIFEST, "attribute_names": ("a",)},
            "AugmentedManifestFile is for InputMode Pipe only",
        ),
        (
            {"data_type": DataType.MANIFEST, "input_mode": InputMode.FAST_FILE},
            "FastFile takes S3DataType S3Prefix only",
        ),
        (
            {"data_type": DataType.AUGMENTED_MANIFEST, "input_mode": InputMode.PIPE},
            "0 AttributeNames: 1 to 16",
        ),
        (
            {
                "data_type": DataType.AUGMENTED_MANIFEST,
                "input_mode": InputMode.PIPE,
                "attribute_names": tuple("abcdefghijklmnopq"),
            },
            "17 AttributeNames: 1 to 16",
        ),
        ({"attribute_names": ("a",)}, "AttributeNames belong to"),
    ],
)
def test_what_sagemaker_refuses_is_refused_with_its_reason_contract_1_6(
    settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        plan(**settings)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        plan(
            name="",
            content_type="x" * 300,
            compression=Compression.GZIP,
            record_wrapper=RecordWrapper.RECORD_IO,
        )
    assert refused.value.message.count("\n  - ") == 4


@pytest.mark.contract("1.4-a", "1.4-b", "1.4-c", "1.4-d", "1.4-e")
def test_the_container_is_told_what_contract_1_4_lists() -> None:
    assert inputdataconfig_entry(plan()) == {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    entry = inputdataconfig_entry(
        plan(
            input_mode=InputMode.PIPE,
            content_type="text/csv",
            distribution=Distribution.SHARDED,
            record_wrapper=RecordWrapper.RECORD_IO,
            compression=Compression.GZIP,
            shuffle_seed=7,
        )
    )
    assert entry == {
        "ContentType": "text/csv",
        "TrainingInputMode": "Pipe",
        "S3DistributionType": "ShardedByS3Key",
        "RecordWrapperType": "RecordIO",
    }


@pytest.mark.contract("1.4-e")
def test_fast_file_is_written_as_file_contract_1_4() -> None:
    assert (
        inputdataconfig_entry(plan(input_mode=InputMode.FAST_FILE))["TrainingInputMode"] == "File"
    )


@pytest.mark.parametrize(("index", "count"), [(1, 1), (-1, 2), (0, 0)])
def test_there_is_no_host_outside_the_job(index: int, count: int) -> None:
    with pytest.raises(ConfigError):
        Host(index=index, count=count)
