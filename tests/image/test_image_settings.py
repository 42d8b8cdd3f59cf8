"""Settings of the server: variables are checked, and CPUs counted as the container has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from settings import SettingError, Settings, cpu_quota, usable_cpus

if TYPE_CHECKING:
    from pathlib import Path


def settings(**environment: str) -> Settings:
    return Settings.from_environment(environment, usable_cpus=3)


def test_without_variables_the_contract_decides() -> None:
    assert settings() == Settings(port=8080, workers=3, timeout_s=60, payload_mb=25)
    assert settings(SAGEMAKER_BIND_TO_PORT="", MODEL_SERVER_WORKERS="") == settings()


def test_each_variable_is_heeded() -> None:
    given = settings(
        SAGEMAKER_BIND_TO_PORT="9000", MODEL_SERVER_WORKERS="7", MODEL_SERVER_TIMEOUT="120"
    )
    assert given == Settings(port=9000, workers=7, timeout_s=120, payload_mb=25)


@pytest.mark.parametrize(("given", "limit"), [("100", 100), ("6", 25), ("0", 0)])
def test_batch_transform_can_raise_the_limit_of_bodies_but_not_lower_it(
    given: str, limit: int
) -> None:
    assert settings(SAGEMAKER_MAX_PAYLOAD_IN_MB=given).payload_mb == limit


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "http", "from 1 to 65535"),
        ("SAGEMAKER_BIND_TO_PORT", "0", "from 1 to 65535"),
        ("SAGEMAKER_BIND_TO_PORT", "65536", "from 1 to 65535"),
        ("MODEL_SERVER_WORKERS", "0", "from 1 up"),
        ("MODEL_SERVER_WORKERS", "-1", "from 1 up"),
        ("MODEL_SERVER_WORKERS", "two", "from 1 up"),
        ("MODEL_SERVER_TIMEOUT", "60s", "from 1 up"),
        ("MODEL_SERVER_TIMEOUT", "0.5", "from 1 up"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1", "from 0 up"),
    ],
)
def test_a_bad_variable_is_named_with_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingError) as caught:
        settings(**{name: value})
    assert str(caught.value) == f"{name}={value!r} is not allowed: use a whole number {allowed}"


@pytest.mark.parametrize(
    ("allowed", "quota", "workers"),
    [(8, None, 8), (8, 2.0, 2), (8, 1.5, 2), (8, 0.25, 1), (1, 4.0, 1), (2, 100.0, 2)],
)
def test_there_are_as_many_workers_as_cpus_can_be_kept_busy(
    allowed: int, quota: float | None, workers: int
) -> None:
    assert usable_cpus(allowed, quota) == workers


@pytest.mark.parametrize(
    ("content", "quota"), [("150000 100000\n", 1.5), ("max 100000\n", None), ("", None)]
)
def test_the_quota_of_control_groups_version_2_is_read(
    tmp_path: Path, content: str, quota: float | None
) -> None:
    (tmp_path / "cpu.max").write_text(content)
    assert cpu_quota(tmp_path) == quota


@pytest.mark.parametrize(("quota_us", "quota"), [("50000\n", 0.5), ("-1\n", None), ("what?", None)])
def test_the_quota_of_control_groups_version_1_is_read(
    tmp_path: Path, quota_us: str, quota: float | None
) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota_us)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu_quota(tmp_path) == quota


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None
