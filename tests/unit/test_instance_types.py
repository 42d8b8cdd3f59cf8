"""Which instance types SageMaker has, and with which processor."""

from __future__ import annotations

import pytest

from devkit.errors import ConfigError
from devkit.targets.instance_types import (
    Use,
    architecture,
    instance_types,
    require_instance_type,
)


def test_training_and_hosting_have_lists_of_their_own() -> None:
    assert "ml.m5.large" in instance_types("training")
    assert "ml.m5.large" in instance_types("hosting")
    assert set(instance_types("training")) - set(instance_types("hosting"))
    assert set(instance_types("hosting")) - set(instance_types("training"))


@pytest.mark.parametrize(
    ("name", "use", "said"),
    [
        ("ml.t3.medium", "hosting", "serve_instance = 'ml.t3.medium' is no instance type for host"),
        ("ml.t3.medium", "hosting", "it is one for training"),
        ("ml.c7g.large", "training", "it is one for hosting"),
        ("ml.m5.lage", "training", "take ml.m5.large"),
        ("ml.m5.lage", "training", "a newer boto3"),
    ],
)
def test_a_wrong_one_is_told_with_its_likes(name: str, use: Use, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        require_instance_type(name, use)
    assert said in str(error.value)


def test_a_right_one_is_taken() -> None:
    require_instance_type("ml.t3.medium", "training")
    require_instance_type("ml.c7g.large", "hosting")


@pytest.mark.parametrize(
    "name", ["ml.c7g.large", "ml.c6gn.xlarge", "ml.m6gd.large", "ml.r8g.large", "ml.p6e-gb200.36xl"]
)
def test_graviton_and_grace_are_arm(name: str) -> None:
    assert architecture(name) == "arm64"


@pytest.mark.parametrize(
    "family", ["m5", "g4dn", "g5", "g6e", "c7i-flex", "p6-b200", "trn1", "inf2"]
)
def test_all_others_are_not(family: str) -> None:
    assert architecture(f"ml.{family}.xlarge") == "amd64"
