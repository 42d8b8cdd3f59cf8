"""The contract between SageMaker and an image, as data and pure functions.

This is the one place for paths, JSON shapes, limits and texts that Amazon SageMaker fixes. Numbers
in comments (``§1.3``) are the sections that ``docs/contract.md`` lists. Where AWS documents
nothing, the decision taken here is marked "undocumented".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

# §1.2: the layout of /opt/ml. The three folders below are what the platform mounts, and
# /opt/ml/checkpoints where a job has them (undocumented as an exact list; images that bake code
# into /opt/ml/code are known to work).
OPT_ML = "/opt/ml"
INPUT = f"{OPT_ML}/input"
MODEL = f"{OPT_ML}/model"
OUTPUT = f"{OPT_ML}/output"
CHECKPOINTS = f"{OPT_ML}/checkpoints"  # §1.10: LocalPath where the request names none

# The same places relative to /opt/ml, for whoever writes them on a host. Beside a channel's folder
# there is no <channel>-manifest (§1.6, undocumented). The members of output.tar.gz are relative to
# output/data; an empty folder is an empty archive, of the model too (§1.8, both undocumented).
CONFIG_FOLDER = "input/config"
DATA_FOLDER = "input/data"
OUTPUT_DATA_FOLDER = "output/data"

# §1.1, §2.1: the single argument the container is started with.
TRAIN_ARGUMENT = "train"
SERVE_ARGUMENT = "serve"

# §1.10, §2.1: seconds between SIGTERM and SIGKILL.
TRAIN_STOP_GRACE_S = 120.0
SERVE_STOP_GRACE_S = 30.0

# §1.9: the same for the other hosts of a job once one has failed (undocumented; their models do not
# count any more, and most programs have no handler).
PEER_STOP_GRACE_S = 10.0

# §1.10: what a spot interruption gives a container (undocumented that all of it is granted).
SPOT_STOP_GRACE_S = 120.0
MAX_LOCAL_PATH_CHARS = 4096

# §1.10
MAX_RUN_DEFAULT_S = 86_400
MAX_RUN_LIMIT_S = 28 * 86_400

# §1.5: InstanceCount has no upper bound in the API; what an account may have is its quota's. More
# containers than this are a slip of the finger on one machine.
MAX_INSTANCES = 100

# §2.3
SERVE_PORT = 8080
PORT_VARIABLE = "SAGEMAKER_BIND_TO_PORT"
# devkit's own: tells a program that a debugger may come, and on which port.
DEBUG_PORT_VARIABLE = "DEVKIT_DEBUG_PORT"
PING_PATH = "/ping"
INVOCATIONS_PATH = "/invocations"
PING_TIMEOUT_S = 2.0
# In service: how often, and how many failures in a row take a server out. Both are undocumented;
# the SDK's local mode pings every 5 s.
PING_INTERVAL_S = 5.0
PING_FAILURES = 3
STARTUP_TIMEOUT_S = 480
INVOCATION_TIMEOUT_S = 60.0

# §1.12: the size of /dev/shm. SageMaker's hosting behaves like Docker's default; what training has
# is undocumented.
SHM_BYTES = 64 * 1024 * 1024

# §1.10: StatusMessage of a secondary status. The last five are undocumented.
STATUS_MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Failed": "Training job failed",
    "Interrupted": "Training job interrupted",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
}

# §1.9
FAILURE_REASON_CHARS = 1024

# Where devkit pretends to be; no account is involved.
LOCAL_ACCOUNT = "123456789012"
LOCAL_REGION = "us-east-1"
# §1.5: instance type of a job that runs on no instance, as the SDK's local mode calls it.
LOCAL_INSTANCE_TYPE = "local"
# §1.5: the one group of a homogeneous cluster.
HOMOGENEOUS_GROUP = "homogeneousCluster"

# §1.13, §5. AWS's patterns match the whole value.
JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
CHANNEL_NAME = re.compile(r"[A-Za-z0-9.\-_]{1,64}")
ENVIRONMENT_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

MAX_START_WORDS = 100
MAX_START_WORD_CHARS = 256
MAX_CHANNELS = 20
MAX_INSTANCE_GROUPS = 5
MAX_INSTANCE_GROUP_NAME_CHARS = 64
MAX_HYPERPARAMETERS = 100
MAX_HYPERPARAMETER_KEY_CHARS = 256
MAX_HYPERPARAMETER_VALUE_CHARS = 2500
DOCUMENTED_HYPERPARAMETER_VALUE_CHARS = 256
MAX_METRIC_DEFINITIONS = 40
MAX_METRIC_NAME_CHARS = 255
MAX_METRIC_REGEX_CHARS = 500
MAX_CONTENT_TYPE_CHARS = 256
MAX_ENVIRONMENT_ENTRIES = 100
MAX_TRAINING_ENVIRONMENT_CHARS = 512
MAX_HOSTING_ENVIRONMENT_CHARS = 1024
MAX_HOSTING_ENVIRONMENT_BYTES = 32 * 1024


# --- names and values ------------------------------------------------------------------------


def name_problems(what: str, name: str) -> list[str]:
    """What SageMaker would refuse about the name of a job, model or endpoint (§5)."""
    if JOB_NAME.fullmatch(name) and len(name) <= 63:  # noqa: PLR2004 - §5
        return []
    return [f"{what} {name!r}: 1 to 63 letters, digits and dashes, not starting or ending with -"]


def hyperparameter_string(value: object) -> str:
    """A hyperparameter as SageMaker carries it: always a string (§1.3).

    Strings stay as they are; numbers, booleans, lists and tables take their JSON form.
    """
    return value if isinstance(value, str) else json.dumps(value)


def hyperparameter_problems(values: Mapping[str, str]) -> list[str]:
    """What CreateTrainingJob would refuse about these hyperparameters (§1.3)."""
    problems = []
    if len(values) > MAX_HYPERPARAMETERS:
        problems.append(f"{len(values)} hyperparameters: at most {MAX_HYPERPARAMETERS}")
    for key, value in values.items():
        if len(key) > MAX_HYPERPARAMETER_KEY_CHARS:
            problems.append(
                f"hyperparameter {key[:32]!r}…: a name of {len(key)} characters, "
                f"at most {MAX_HYPERPARAMETER_KEY_CHARS}"
            )
        if len(value) > MAX_HYPERPARAMETER_VALUE_CHARS:
            problems.append(
                f"hyperparameter {key!r}: a value of {len(value)} characters, "
                f"at most {MAX_HYPERPARAMETER_VALUE_CHARS}"
            )
        if "\n" in value:  # the pattern is `.*`, which matches no line end (undocumented)
            problems.append(f"hyperparameter {key!r}: a value with a line end")
    return problems


def hyperparameter_warnings(values: Mapping[str, str]) -> list[str]:
    """What CreateTrainingJob takes, although its own documents say otherwise (§1.3)."""
    return [
        f"hyperparameter {key!r}: a value of {len(value)} characters; AWS's documents say "
        f"{DOCUMENTED_HYPERPARAMETER_VALUE_CHARS}, and its API takes "
        f"{MAX_HYPERPARAMETER_VALUE_CHARS}"
        for key, value in values.items()
        if DOCUMENTED_HYPERPARAMETER_VALUE_CHARS < len(value) <= MAX_HYPERPARAMETER_VALUE_CHARS
    ]


def start_problems(what: str, words: Sequence[str] | None) -> list[str]:
    """What CreateTrainingJob would refuse about ContainerEntrypoint or -Arguments (§1.1)."""
    if words is None:
        return []
    problems = []
    if not 1 <= len(words) <= MAX_START_WORDS:
        problems.append(f"{what} of {len(words)} words: 1 to {MAX_START_WORDS}")
    problems.extend(
        f"{what} {word[:32]!r}…: at most {MAX_START_WORD_CHARS} characters"
        for word in words
        if len(word) > MAX_START_WORD_CHARS
    )
    return problems


def training_start(
    entrypoint: Sequence[str] | None, arguments: Sequence[str] | None
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """What a training container is started with: entrypoint and arguments (§1.1).

    Returns:
        The entrypoint that replaces the image's (``None`` keeps it), and the arguments. The image's
        CMD never counts; ``train`` is the argument where the request names neither.
    """
    if entrypoint is None:
        return None, (TRAIN_ARGUMENT,) if arguments is None else tuple(arguments)
    return tuple(entrypoint), tuple(arguments or ())


def channel_problems(names: Sequence[str]) -> list[str]:
    """What CreateTrainingJob would refuse about these channel names (§1.4, §1.6)."""
    problems = [
        f"channel {name!r}: 1 to 64 letters, digits, dots, dashes and underscores"
        for name in names
        if not CHANNEL_NAME.fullmatch(name) or name in {".", ".."}
    ]
    if len(names) > MAX_CHANNELS:
        problems.append(f"{len(names)} channels: at most {MAX_CHANNELS}")
    return problems


def checkpoint_path_problems(path: str) -> list[str]:
    """What is wrong with ``CheckpointConfig.LocalPath`` (§1.10).

    That it keeps clear of what the platform mounts is undocumented.
    """
    problems = []
    if len(path) > MAX_LOCAL_PATH_CHARS:
        problems.append(
            f"checkpoint path of {len(path)} characters: at most {MAX_LOCAL_PATH_CHARS}"
        )
    place = PurePosixPath(path)
    if not place.is_absolute() or ".." in place.parts or place == PurePosixPath("/"):
        problems.append(f"checkpoint path {path[:64]!r}: an absolute path, such as {CHECKPOINTS}")
    problems += [
        f"checkpoint path {path[:64]!r}: it overlaps {taken}"
        for taken in map(PurePosixPath, (INPUT, MODEL, OUTPUT))
        if place.is_relative_to(taken) or taken.is_relative_to(place)
    ]
    return problems


def training_environment_problems(environment: Mapping[str, str]) -> list[str]:
    """What CreateTrainingJob would refuse about ``Environment`` (§1.7)."""
    return _environment_problems(environment, MAX_TRAINING_ENVIRONMENT_CHARS)


def hosting_environment_problems(environment: Mapping[str, str]) -> list[str]:
    """What CreateModel would refuse about ``Environment`` (§2.12)."""
    problems = _environment_problems(environment, MAX_HOSTING_ENVIRONMENT_CHARS)
    total = sum(len(k.encode()) + len(v.encode()) for k, v in environment.items())
    if total > MAX_HOSTING_ENVIRONMENT_BYTES:
        problems.append(f"environment of {total} bytes: at most {MAX_HOSTING_ENVIRONMENT_BYTES}")
    return problems


def _environment_problems(environment: Mapping[str, str], max_chars: int) -> list[str]:
    problems = []
    if len(environment) > MAX_ENVIRONMENT_ENTRIES:
        problems.append(f"{len(environment)} variables: at most {MAX_ENVIRONMENT_ENTRIES}")
    for key, value in environment.items():
        if not ENVIRONMENT_KEY.fullmatch(key):
            problems.append(f"variable {key!r}: letters, digits and _, not starting with a digit")
        if len(key) > max_chars or len(value) > max_chars:
            problems.append(
                f"variable {key[:64]!r}: name and value of at most {max_chars} characters"
            )
    return problems


def metric_problems(definitions: Iterable[tuple[str, str]]) -> list[str]:
    """What CreateTrainingJob would refuse about metric definitions (name, regex) (§1.11)."""
    definitions = list(definitions)
    problems = []
    if len(definitions) > MAX_METRIC_DEFINITIONS:
        problems.append(f"{len(definitions)} metrics: at most {MAX_METRIC_DEFINITIONS}")
    for name, regex in definitions:
        if not 1 <= len(name) <= MAX_METRIC_NAME_CHARS:
            problems.append(
                f"metric {name[:32]!r}: a name of 1 to {MAX_METRIC_NAME_CHARS} characters"
            )
        if not 1 <= len(regex) <= MAX_METRIC_REGEX_CHARS:
            problems.append(
                f"metric {name[:32]!r}: a regex of 1 to {MAX_METRIC_REGEX_CHARS} characters"
            )
        problems.extend(_regex_problems(name, regex))
    return problems


def _regex_problems(name: str, regex: str) -> list[str]:
    try:
        groups = re.compile(regex).groups
    except re.error as error:
        return [f"metric {name[:32]!r}: {regex!r} is not a regular expression: {error}"]
    if groups < 1:
        return [f"metric {name[:32]!r}: {regex!r} has no group (…) around the value"]
    return []


# --- the files below /opt/ml/input/config ----------------------------------------------------


def hyperparameters_json(values: Mapping[str, str]) -> JsonValue:
    """``hyperparameters.json``: flat, every value a string (§1.3).

    ``{}`` when there are none, as ``inputdataconfig.json`` is (§1.4; both undocumented).
    """
    return dict(values)


@dataclass(frozen=True, kw_only=True)
class HostGroup:
    """Hosts of one instance type (§1.5)."""

    name: str
    instance_type: str
    hosts: tuple[str, ...]


def resourceconfig_json(current_host: str, groups: Sequence[HostGroup]) -> JsonValue:
    """``resourceconfig.json`` of one host (§1.5).

    A homogeneous cluster is one group. All hosts are sorted, those of a group are not.
    """
    own = next(group for group in groups if current_host in group.hosts)
    return {
        "current_host": current_host,
        "current_instance_type": own.instance_type,
        "current_group_name": own.name,
        "hosts": list[JsonValue](sorted(host for group in groups for host in group.hosts)),
        "instance_groups": [
            {
                "instance_group_name": group.name,
                "instance_type": group.instance_type,
                "hosts": list[JsonValue](group.hosts),
            }
            for group in groups
        ],
        "network_interface_name": "eth0",
        "topology": None,
    }


def host_names(count: int) -> tuple[str, ...]:
    """The hosts of a job: ``algo-1`` to ``algo-<count>`` (§1.5).

    The host names of their containers are the same (undocumented: real ones have EC2's).
    """
    return tuple(f"algo-{number}" for number in range(1, count + 1))


# --- environment -----------------------------------------------------------------------------


def training_job_arn(name: str, *, region: str = LOCAL_REGION, account: str = LOCAL_ACCOUNT) -> str:
    """The ARN of a training job; its resource part is lower-case (§5)."""
    return f"arn:aws:sagemaker:{region}:{account}:training-job/{name.lower()}"


def training_environment(name: str, requested: Mapping[str, str]) -> dict[str, str]:
    """What a training container finds in its environment, beyond what its image sets (§1.7).

    The platform's own names win over the request's (undocumented).
    """
    return {
        **requested,
        "AWS_REGION": LOCAL_REGION,
        "TRAINING_JOB_NAME": name,
        "TRAINING_JOB_ARN": training_job_arn(name),
    }


def hosting_environment(requested: Mapping[str, str]) -> dict[str, str]:
    """What a hosting container finds in its environment, beyond what its image sets (§2.12).

    That ``AWS_REGION`` is among it is undocumented.
    """
    return {**requested, "AWS_REGION": LOCAL_REGION}


# --- logs ------------------------------------------------------------------------------------

TRAINING_LOG_GROUP = "/aws/sagemaker/TrainingJobs"  # §1.11


def training_log_stream(job: str, host: str, started_ms: int) -> str:
    """The log stream of one host (§1.11).

    Args:
        job: The job's name.
        host: Such as ``algo-1``.
        started_ms: When the host started, in milliseconds since the epoch; that it is not seconds
            is undocumented.
    """
    return f"{job}/{host}-{started_ms}"


def endpoint_log_group(endpoint: str) -> str:
    """The log group of an endpoint (§2.13)."""
    return f"/aws/sagemaker/Endpoints/{endpoint}"


def endpoint_log_stream(variant: str, instance: str) -> str:
    """The log stream of one instance of a variant (§2.13)."""
    return f"{variant}/{instance}"


# --- how a job ends --------------------------------------------------------------------------


def failure_reason(exit_code: int, failure: str | None) -> str:
    """``FailureReason`` of a job whose container ended with ``exit_code`` (§1.8, §1.9).

    Args:
        exit_code: Not 0.
        failure: The text of ``/opt/ml/output/failure``, if the container wrote it. Its first 1024
            characters count, and so do those of the whole.

    Exit code 137, of a program that ran out of memory, has no text of its own (undocumented).
    """
    text = (failure or "")[:FAILURE_REASON_CHARS].rstrip()
    return f"AlgorithmError: {text}, exit code: {exit_code}"[:FAILURE_REASON_CHARS]


# --- how an invocation fails -----------------------------------------------------------------


def model_error_message(status: int, body: str) -> str:
    """What a caller is told when the container answers with an error status (§2.6).

    The wording for 4xx is undocumented.
    """
    who = "client" if 400 <= status < 500 else "server"  # noqa: PLR2004 - HTTP's own classes
    return f'Received {who} error ({status}) from primary with message "{body}"'


def invocation_timeout_message() -> str:
    """What a caller is told when the container does not answer in time (§2.6)."""
    return (
        'Received server error (0) from primary with message "Your invocation timed out while '
        "waiting for a response from container primary. Review the latency metrics for each "
        'container in Amazon CloudWatch, resolve the issue, and try again."'
    )
