"""How ``serve`` is set up: from the environment, and from the CPUs this container may use."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PORT = 8080
HIGHEST_PORT = 65535
DEFAULT_TIMEOUT_S = 60
DEFAULT_PAYLOAD_MB = 25
CGROUPS = Path("/sys/fs/cgroup")


class SettingError(ValueError):
    """A variable of the environment has a value that serving cannot use."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the environment decides about serving."""

    port: int
    """SAGEMAKER_BIND_TO_PORT, else 8080."""

    workers: int
    """MODEL_SERVER_WORKERS: processes that answer requests; else one for each usable CPU."""

    timeout_s: int
    """MODEL_SERVER_TIMEOUT: the longest a request may take; SageMaker itself allows 60 s."""

    payload_mb: int
    """The largest body that is taken; 0 for no limit. Real-time endpoints send up to 25 MB;
    batch transform says what it sends in SAGEMAKER_MAX_PAYLOAD_IN_MB."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, usable_cpus: int) -> Settings:
        """Read and check the variables; an empty one counts as unset.

        Raises:
            SettingError: Names the variable, its value and what is allowed.
        """

        def whole(name: str, default: int, lowest: int = 1, highest: float = math.inf) -> int:
            return _whole(name, environment.get(name) or str(default), lowest, highest)

        payload_mb = whole("SAGEMAKER_MAX_PAYLOAD_IN_MB", DEFAULT_PAYLOAD_MB, lowest=0)
        return cls(
            port=whole("SAGEMAKER_BIND_TO_PORT", DEFAULT_PORT, highest=HIGHEST_PORT),
            workers=whole("MODEL_SERVER_WORKERS", usable_cpus),
            timeout_s=whole("MODEL_SERVER_TIMEOUT", DEFAULT_TIMEOUT_S),
            payload_mb=payload_mb and max(payload_mb, DEFAULT_PAYLOAD_MB),
        )


def usable_cpus(allowed: int, quota: float | None) -> int:
    """How many CPUs can be kept busy, at least 1.

    Args:
        allowed: The CPUs the process may be scheduled on.
        quota: The CPU time it may use of them, in CPUs; None for all of it.
    """
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def allowed_cpus() -> int:
    """The CPUs this process may be scheduled on: ``docker run --cpuset-cpus`` limits them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(cgroups: Path = CGROUPS) -> float | None:
    """The CPU time, in CPUs, that ``docker run --cpus`` leaves this container.

    Args:
        cgroups: Where the container's control groups are mounted, version 2 or 1.

    Returns:
        None where there is no limit, or no control group to read.
    """
    try:
        quota, period = (cgroups / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroups / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroups / "cpu" / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        cpus = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # version 2 writes "max" where there is no limit
        return None
    return cpus if cpus > 0 else None  # and version 1 writes -1


def _whole(name: str, text: str, lowest: int, highest: float) -> int:
    try:
        number = int(text)
    except ValueError:
        number = lowest - 1
    if not lowest <= number <= highest:
        limit = f"from {lowest} " + (f"to {highest}" if highest < math.inf else "up")
        raise SettingError(f"{name}={text!r} is not allowed: use a whole number {limit}")
    return number
