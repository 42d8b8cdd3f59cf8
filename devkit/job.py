"""The frozen values that everything else passes around: jobs, servers, and how they ended.

Each checks itself when it is made: what SageMaker would refuse is refused here, all problems at
once, before any work starts.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from devkit import contract
from devkit.channels.locations import Location
from devkit.channels.plan import ChannelPlan, Distribution, Host, InputMode
from devkit.engines.base import Image, Limits
from devkit.errors import ConfigError
from devkit.ports import MAX_PORT

_NO_LIMITS = Limits()


class Status(str, enum.Enum):
    """The status of a job or server, in SageMaker's words."""

    IN_PROGRESS = "InProgress"
    IN_SERVICE = "InService"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


class Phase(str, enum.Enum):
    """Where a training job is: SageMaker's secondary statuses (§1.10)."""

    STARTING = "Starting"
    DOWNLOADING = "Downloading"
    TRAINING = "Training"
    STOPPING = "Stopping"
    INTERRUPTED = "Interrupted"
    UPLOADING = "Uploading"


@dataclass(frozen=True, kw_only=True)
class MetricDefinition:
    """A metric: the first group of ``regex``, searched in every log line, is its value."""

    name: str
    regex: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One value of a metric."""

    name: str
    value: float
    time: datetime


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A phase of a job: a secondary status with its times (§1.10). Times are UTC."""

    status: str
    message: str
    started: datetime
    ended: datetime | None = None

    def document(self) -> dict[str, object]:
        """The transition for machines."""
        return {
            "status": self.status,
            "message": self.message,
            "started": self.started.isoformat(),
            "ended": None if self.ended is None else self.ended.isoformat(),
        }


@dataclass(frozen=True, kw_only=True)
class CheckpointPlan:
    """Checkpoints of a job: ``CheckpointConfig`` (§1.10)."""

    location: Location
    """Where they are kept: a folder, or an S3 URI."""
    path: str = contract.CHECKPOINTS
    """Where the program finds them."""


@dataclass(frozen=True, kw_only=True)
class InstanceGroup:
    """A group of a heterogeneous cluster: ``ResourceConfig.InstanceGroups`` (§1.5)."""

    name: str
    instance_type: str
    count: int


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """One training run, complete.

    Raises:
        ConfigError: SageMaker would refuse it.
    """

    name: str
    image: Image
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[ChannelPlan, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    platform_environment: Mapping[str, str] = field(default_factory=dict)
    """What the platform adds to the environment, such as where AWS is; counts for no limit."""
    local_aws: str | None = None
    """The region, where it is one of the local AWS's: there is its S3, and there it is stopped."""
    entrypoint: tuple[str, ...] | None = None
    """Replaces the image's ENTRYPOINT; then there is no ``train`` argument (§1.1)."""
    arguments: tuple[str, ...] | None = None
    """Replace the argument ``train`` (§1.1)."""
    metrics: tuple[MetricDefinition, ...] = ()
    instances: int = 1
    """How many hosts it runs on; of a heterogeneous cluster, its groups say that."""
    instance_type: str = contract.LOCAL_INSTANCE_TYPE
    """What the hosts are told they are; nothing here depends on it."""
    instance_groups: tuple[InstanceGroup, ...] = ()
    """Of a heterogeneous cluster."""
    network_isolation: bool = False
    """Whether it reaches nothing but its own hosts: ``EnableNetworkIsolation`` (§1.12)."""
    checkpoints: CheckpointPlan | None = None
    interrupt_after_s: tuple[float, ...] = ()
    """When to interrupt it as spot capacity is: seconds of training, from each start anew."""
    max_run_s: int = contract.MAX_RUN_DEFAULT_S
    max_wait_s: int | None = None
    """How long it may take with all interruptions; ``None`` sets no limit."""
    limits: Limits = _NO_LIMITS

    def __post_init__(self) -> None:
        """Check everything, and name every problem."""
        words = (*(self.entrypoint or ()), *(self.arguments or ()))
        names = [channel.name for channel in self.channels]
        _refuse(
            f"training job {self.name!r} would be refused",
            [
                *contract.name_problems("job name", self.name),
                *contract.hyperparameter_problems(self.hyperparameters),
                *contract.start_problems("entrypoint", self.entrypoint),
                *contract.start_problems("arguments", self.arguments),
                *contract.channel_problems(names),
                *contract.training_environment_problems(self.environment),
                *contract.metric_problems((m.name, m.regex) for m in self.metrics),
                *_script_problems(words, self.channels),
                *_instances_problems(self.host_count),
                *_group_problems(self.instance_groups, self.channels),
                *_max_run_problems(self.max_run_s),
                *_spot_problems(self.interrupt_after_s, self.max_run_s, self.max_wait_s),
                *_checkpoint_problems(self.checkpoints),
            ],
        )

    @property
    def host_count(self) -> int:
        """How many hosts it runs on."""
        groups = self.instance_groups
        return sum(group.count for group in groups) if groups else self.instances

    @property
    def groups(self) -> tuple[contract.HostGroup, ...]:
        """Its hosts, numbered through all groups (§1.5)."""
        names = iter(contract.host_names(self.host_count))
        groups = self.instance_groups or (
            InstanceGroup(
                name=contract.HOMOGENEOUS_GROUP,
                instance_type=self.instance_type,
                count=self.instances,
            ),
        )
        return tuple(
            contract.HostGroup(
                name=group.name,
                instance_type=group.instance_type,
                hosts=tuple(itertools.islice(names, group.count)),
            )
            for group in groups
        )

    def share(self, channel: ChannelPlan, host: str) -> Host | None:
        """Which of the hosts that get a channel this one is; ``None`` where it does not get it.

        That a sharded channel is dealt out among the hosts of its groups is undocumented.
        """
        named = channel.instance_group_names
        hosts = [
            h for group in self.groups if not named or group.name in named for h in group.hosts
        ]
        return Host(index=hosts.index(host), count=len(hosts)) if host in hosts else None


@dataclass(frozen=True, kw_only=True)
class ServeSpec:
    """One server to start.

    Raises:
        ConfigError: SageMaker would refuse it.
    """

    name: str
    image: Image
    model: Location | None
    """A ``model.tar.gz`` or a folder, here or in S3; ``None`` leaves ``/opt/ml/model`` empty."""
    environment: Mapping[str, str] = field(default_factory=dict)
    platform_environment: Mapping[str, str] = field(default_factory=dict)
    """As for a :class:`TrainingJob`."""
    local_aws: str | None = None
    """The region, where it is one of the local AWS's, which keeps and ends it."""
    host_port: int = 0
    """The port on 127.0.0.1; 0 takes a free one."""
    startup_timeout_s: float = contract.STARTUP_TIMEOUT_S
    """How long the ping may take to answer 200."""
    profile: str | None = "realtime"
    """Whose limits and errors stand before the container (``realtime``, ``serverless``, ``async``);
    ``None`` leaves the container as it is."""
    limits: Limits = _NO_LIMITS
    reload: bool = False
    """Whether an edit of ``image.program`` goes live."""
    build_files: tuple[Path, ...] = ()
    """What the image is built from besides that folder: its edits are told."""
    debug_port: int | None = None
    """A port of the container that is reached at the same number of 127.0.0.1."""

    def __post_init__(self) -> None:
        """Check everything, and name every problem."""
        _refuse(
            f"server {self.name!r} would be refused",
            [
                *contract.name_problems("server name", self.name),
                *contract.hosting_environment_problems(self.environment),
                *_debug_port_problems(self.debug_port),
            ],
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job or server ended. Times are UTC."""

    status: Status
    secondary_status: str
    """SageMaker's finer word, such as ``MaxRuntimeExceeded`` for a job that was stopped."""
    exit_code: int | None
    """Of the container; ``None`` where it never started."""
    failure_reason: str | None
    started: datetime
    ended: datetime
    model: Path | None = None
    """The job's ``model.tar.gz``."""
    output: Path | None = None
    """The job's ``output.tar.gz``."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The last value of each metric."""
    transitions: tuple[Transition, ...] = ()
    """The phases of a job, oldest first."""

    def document(self) -> dict[str, object]:
        """The outcome for machines: ``outcome.json``, and in ``--json``."""
        return {
            "status": self.status.value,
            "secondary_status": self.secondary_status,
            "exit_code": self.exit_code,
            "failure_reason": self.failure_reason,
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat(),
            "duration_s": self.duration_s,
            "model": None if self.model is None else str(self.model),
            "output": None if self.output is None else str(self.output),
            "metrics": dict(self.metrics),
            "transitions": [each.document() for each in self.transitions],
        }

    @property
    def duration_s(self) -> float:
        """From the start to the last artifact."""
        return (self.ended - self.started).total_seconds()


def _refuse(summary: str, problems: Sequence[str]) -> None:
    if problems:
        raise ConfigError("\n".join([f"{summary}:", *(f"  - {problem}" for problem in problems)]))


def _script_problems(words: Sequence[str], channels: Sequence[ChannelPlan]) -> list[str]:
    """A script that stands in a channel has to be there whole, on every host (§1.1)."""
    folder = f"{contract.OPT_ML}/{contract.DATA_FOLDER}/"
    named = {word[len(folder) :].partition("/")[0] for word in words if word.startswith(folder)}
    return [
        f"channel {each.name!r}: it has what the container is started with, so it must be "
        f"{InputMode.FILE.value} and {Distribution.FULLY_REPLICATED.value}"
        for each in channels
        if each.name in named
        and (
            each.input_mode is not InputMode.FILE
            or each.distribution is not Distribution.FULLY_REPLICATED
        )
    ]


def _group_problems(groups: Sequence[InstanceGroup], channels: Sequence[ChannelPlan]) -> list[str]:
    names = [group.name for group in groups]
    problems = []
    if len(groups) > contract.MAX_INSTANCE_GROUPS:
        problems.append(f"{len(groups)} instance groups: at most {contract.MAX_INSTANCE_GROUPS}")
    problems += [
        f"instance group {name!r}: named twice" for name in set(names) if names.count(name) > 1
    ]
    for group in groups:
        if not 1 <= len(group.name) <= contract.MAX_INSTANCE_GROUP_NAME_CHARS:
            problems.append(
                f"instance group {group.name[:32]!r}: a name of 1 to "
                f"{contract.MAX_INSTANCE_GROUP_NAME_CHARS} characters"
            )
        if group.count < 1:
            problems.append(
                f"instance group {group.name[:32]!r}: count = {group.count}: at least 1"
            )
    for channel in channels:
        unknown = sorted(set(channel.instance_group_names) - set(names))
        if unknown:
            problems.append(f"channel {channel.name!r}: there is no instance group {unknown[0]!r}")
    return problems


def _instances_problems(instances: int) -> list[str]:
    if 1 <= instances <= contract.MAX_INSTANCES:
        return []
    return [f"instances = {instances}: 1 to {contract.MAX_INSTANCES}"]


def _spot_problems(
    interrupt_after_s: Sequence[float], max_run_s: int, max_wait_s: int | None
) -> list[str]:
    problems = [f"interruption after {s:g} s: above 0" for s in interrupt_after_s if not s > 0]
    if max_wait_s is not None and max_wait_s < max_run_s:
        problems.append(f"max_wait_s = {max_wait_s}: at least max_run_s = {max_run_s}")
    return problems


def _checkpoint_problems(checkpoints: CheckpointPlan | None) -> list[str]:
    if checkpoints is None:
        return []
    problems = contract.checkpoint_path_problems(checkpoints.path)
    if isinstance(checkpoints.location, Path) and checkpoints.location.is_file():
        problems.append(f"checkpoints: {checkpoints.location} is a file; name a folder")
    return problems


def _debug_port_problems(port: int | None) -> list[str]:
    if port is None or (1 <= port <= MAX_PORT and port != contract.SERVE_PORT):
        return []
    why = "it is the same in the container and on this machine"
    return [f"debug port {port}: 1 to {MAX_PORT}, and not {contract.SERVE_PORT}: {why}"]


def _max_run_problems(max_run_s: int) -> list[str]:
    if 1 <= max_run_s <= contract.MAX_RUN_LIMIT_S:
        return []
    return [f"max_run_s = {max_run_s}: 1 to {contract.MAX_RUN_LIMIT_S} seconds (28 days)"]
