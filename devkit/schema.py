"""What ``devkit.toml`` may say: every key, its reader, and its default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from devkit import (
    aws_readers,
    contract,
    function_readers,
    function_wiring,
    lambda_contract,
    readers,
)
from devkit.channels.plan import InputMode
from devkit.readers import Raw, Reader

_MAX_PORT = 65_535
_ENGINES = ("auto", "docker", "process")

# One entry a key; the keys of TABLES have entries of the user's own naming. A * is a name of the
# user's own: [lambda.NAME] is a table of keys for each.
READERS: dict[str, Reader] = {
    "project.name": readers.project_name,
    "project.engine": readers.one_of(*_ENGINES),
    "project.target": readers.one_of("local", "sagemaker-local", "aws"),
    "image.context": readers.path,
    "image.program": readers.path,
    "image.program_path": readers.container_path,
    "image.requirements": readers.path,
    "image.tag": readers.text,
    "image.platform": readers.platform_name,
    "image.build_args": readers.scalar_text,
    "train.hyperparameters": readers.hyperparameter,
    "train.channels": lambda raw: raw,
    "train.metrics": readers.metrics,
    "train.input_mode": readers.member(InputMode),
    "train.entrypoint": readers.words,
    "train.arguments": readers.words,
    "train.checkpoints": readers.location,
    "train.checkpoint_path": readers.container_path,
    "train.instances": readers.whole_number(1, contract.MAX_INSTANCES),
    "train.instance_type": readers.text,
    "train.instance_groups": readers.instance_groups,
    "train.network_isolation": readers.boolean,
    "train.max_run_s": readers.whole_number(1, contract.MAX_RUN_LIMIT_S, " seconds (28 days)"),
    "train.max_wait_s": readers.whole_number(1, contract.MAX_RUN_LIMIT_S, " seconds (28 days)"),
    "train.environment": readers.scalar_text,
    "train.memory_bytes": readers.byte_count,
    "train.cpus": readers.cpus,
    "train.shm_bytes": readers.byte_count,
    "train.gpus": readers.gpus,
    "serve.port": readers.whole_number(0, _MAX_PORT, " (0 takes a free one)"),
    "serve.profile": readers.one_of("realtime", "serverless", "async", "direct"),
    "serve.environment": readers.scalar_text,
    "serve.startup_timeout_s": readers.whole_number(1, 3600, " seconds"),
    "serve.memory_bytes": readers.byte_count,
    "serve.cpus": readers.cpus,
    "serve.shm_bytes": readers.byte_count,
    "serve.gpus": readers.gpus,
    "invoke.content_type": readers.text,
    "invoke.data": readers.text,
    "s3.endpoint_url": readers.url,
    "s3.region": readers.text,
    "s3.profile": readers.text,
    "sagemaker.python": readers.path,
    "lambda.*.source": readers.path,
    "lambda.*.handler": function_readers.handler,
    "lambda.*.runtime": readers.one_of(*lambda_contract.RUNTIMES),
    "lambda.*.memory_mb": readers.whole_number(
        lambda_contract.DEFAULT_MEMORY_MB, lambda_contract.MAX_MEMORY_MB, " MB"
    ),
    "lambda.*.timeout_s": readers.whole_number(1, lambda_contract.MAX_TIMEOUT_S, " seconds"),
    "lambda.*.environment": readers.scalar_text,
    "lambda.*.reserved_concurrency": readers.whole_number(0, lambda_contract.MAX_CONCURRENCY),
    "lambda.*.requirements": readers.path,
    "gateway.name": function_readers.gateway_name,
    "gateway.routes": readers.text,
    "gateway.cors_origins": function_readers.cors_origins,
    "gateway.stage": function_readers.stage,
    "endpoint.name": function_readers.endpoint_name,
    "aws.region": aws_readers.region,
    "aws.profile": readers.text,
    "aws.role": aws_readers.role,
    "aws.bucket": aws_readers.bucket,
    "aws.repository": aws_readers.repository,
    "aws.registry": aws_readers.registry,
    "aws.train_instance": aws_readers.instance_type,
    "aws.serve_instance": aws_readers.instance_type,
    "aws.spot": readers.boolean,
    "aws.max_wait_s": readers.whole_number(1, contract.MAX_RUN_LIMIT_S, " seconds (28 days)"),
    "aws.tags": aws_readers.tag_value,
    "aws.vpc_subnets": aws_readers.subnets,
    "aws.vpc_security_groups": aws_readers.security_groups,
    "aws.kms_key": aws_readers.kms_key,
    "aws.encrypt_between_containers": readers.boolean,
    "aws.volume_gb": readers.whole_number(1, aws_readers.MAX_VOLUME_GB, " GB"),
    "aws.checkpoint_uri": aws_readers.s3_uri,
}
SECTIONS = {key.partition(".")[0] for key in READERS}
# Sections of tables that the user names.
COLLECTIONS = {key.partition(".")[0] for key in READERS if "*" in key}
# Sections that mean something by being there.
OPTIONAL = {"endpoint", "gateway"}
TABLES = {
    "image.build_args",
    "train.hyperparameters",
    "train.channels",
    "train.environment",
    "serve.environment",
    "lambda.*.environment",
    "gateway.routes",
    "aws.tags",
}

# What `devkit config` shows for a key that nobody set.
DEFAULT_TEXT: dict[str, object] = {
    "project.name": "(the folder's name)",
    "project.engine": "auto",
    "project.target": "local",
    "image.context": "image",
    "image.program": "image/program",
    "image.program_path": "/opt/program",
    "image.requirements": "image/requirements.txt, if there is one",
    "image.tag": "(the project's name):dev",
    "image.platform": "(the engine's own)",
    "train.metrics": [],
    "train.input_mode": "File",
    "train.entrypoint": "(the image's own)",
    "train.arguments": "train",
    "train.checkpoints": "(none)",
    "train.checkpoint_path": contract.CHECKPOINTS,
    "train.instances": 1,
    "train.instance_type": contract.LOCAL_INSTANCE_TYPE,
    "train.instance_groups": [],
    "train.network_isolation": False,
    "train.max_run_s": contract.MAX_RUN_DEFAULT_S,
    "train.max_wait_s": "(no limit)",
    "train.memory_bytes": "(no limit)",
    "train.cpus": "(no limit)",
    "train.shm_bytes": "64M",
    "train.gpus": "(none)",
    "serve.port": contract.SERVE_PORT,
    "serve.profile": "realtime",
    "serve.startup_timeout_s": contract.STARTUP_TIMEOUT_S,
    "serve.memory_bytes": "(no limit)",
    "serve.cpus": "(no limit)",
    "serve.shm_bytes": "64M",
    "serve.gpus": "(none)",
    "invoke.content_type": "application/json",
    "invoke.data": "(none)",
    "s3.endpoint_url": "(none)",
    "s3.region": contract.LOCAL_REGION,
    "s3.profile": "(none)",
    "sagemaker.python": "(devkit's own)",
    "lambda.*.handler": lambda_contract.DEFAULT_HANDLER,
    "lambda.*.runtime": lambda_contract.OWN_RUNTIME,
    "lambda.*.memory_mb": lambda_contract.DEFAULT_MEMORY_MB,
    "lambda.*.timeout_s": lambda_contract.DEFAULT_TIMEOUT_S,
    "lambda.*.reserved_concurrency": "(none)",
    "lambda.*.requirements": "requirements.txt in the source folder, if there is one",
    "gateway.name": "(the project's name)",
    "gateway.cors_origins": [],
    "gateway.stage": "$default",
    "endpoint.name": "(the project's name)",
    "aws.region": "(that of the profile, or of AWS_DEFAULT_REGION)",
    "aws.profile": "(as AWS's own tools choose)",
    "aws.role": "devkit-(the project's name)",
    "aws.bucket": "devkit-(the project's name)-(account)-(region)",
    "aws.repository": "(the project's name)",
    "aws.registry": "(ECR)",
    "aws.train_instance": aws_readers.DEFAULT_TRAIN_INSTANCE,
    "aws.serve_instance": aws_readers.DEFAULT_SERVE_INSTANCE,
    "aws.spot": False,
    "aws.max_wait_s": "(as long as train.max_run_s)",
    "aws.vpc_subnets": [],
    "aws.vpc_security_groups": [],
    "aws.kms_key": "(AWS's own)",
    "aws.encrypt_between_containers": False,
    "aws.volume_gb": aws_readers.DEFAULT_VOLUME_GB,
    "aws.checkpoint_uri": "(none)",
}

# Variables for what changes from command to command.
SHORT_VARIABLES = {"project.engine": "DEVKIT_ENGINE", "project.target": "DEVKIT_TARGET"}


_T = TypeVar("_T")


def known_key(key: str) -> str:
    """A key as READERS has it: ``lambda.*.timeout_s`` for ``lambda.iris.timeout_s``."""
    section, dot, rest = key.partition(".")
    if section not in COLLECTIONS or not dot:
        return key
    _, dot, rest = rest.partition(".")
    return f"{section}.*{dot}{rest}"


def is_table(key: str) -> bool:
    """Whether an empty table may stand here: a section, ``[lambda.NAME]``, a table of entries."""
    known = known_key(key)
    return known in TABLES or known in SECTIONS or known.removesuffix(".*") in COLLECTIONS


def names(section: str, resolved: Mapping[str, Raw]) -> tuple[str, ...]:
    """What the user has named in a section of named tables, in the order of the file."""
    named = (
        key.split(".")[1]
        for key, raw in resolved.items()
        if key.startswith(f"{section}.") and not _is_misplaced(key, raw)
    )
    return tuple(dict.fromkeys(named))


def _is_misplaced(key: str, raw: Raw) -> bool:
    """Whether a value stands where a named table has to be: ``lambda.source = "…"``."""
    return known_key(key).removesuffix(".*") in COLLECTIONS and raw.value != {}


def is_there(section: str, resolved: Mapping[str, Raw]) -> bool:
    """Whether there is such a section; a variable may change one, and makes none."""
    return section not in OPTIONAL or any(
        key.partition(".")[0] == section and not raw.text for key, raw in resolved.items()
    )


def for_each(values: Mapping[str, _T], resolved: Mapping[str, Raw]) -> dict[str, _T]:
    """What is said of known keys, for the keys of this project: a ``*`` is each of the names."""
    return {
        key.replace("*", name): value
        for key, value in values.items()
        if is_there(section := key.partition(".")[0], resolved)
        for name in (names(section, resolved) if "*" in key else ("",))
    }


def variable(key: str) -> str:
    """The environment variable of a key: ``DEVKIT_SERVE_PORT`` for ``serve.port``."""
    return "DEVKIT_" + key.replace(".", "_").upper()


def takes_tables(prefix: str) -> bool:
    """Whether the values under this prefix may be tables themselves (channels, hyperparameters)."""
    return prefix in ("train.channels.", "train.hyperparameters.")


def defaults(root: Path) -> dict[str, Any]:
    """The value of every key that nobody set."""
    requirements = root / "image" / "requirements.txt"
    return {
        "project.name": _default_name(root),
        "project.engine": "auto",
        "project.target": "local",
        "image.context": root / "image",
        "image.program": root / "image" / "program",
        "image.program_path": "/opt/program",
        "image.requirements": requirements if requirements.exists() else None,
        "image.tag": f"{_default_name(root).lower()}:dev",
        "image.platform": None,
        "image.build_args": {},
        "train.hyperparameters": {},
        "train.channels": (),
        "train.metrics": (),
        "train.input_mode": InputMode.FILE,
        "train.entrypoint": None,
        "train.arguments": None,
        "train.checkpoints": None,
        "train.checkpoint_path": contract.CHECKPOINTS,
        "train.instances": 1,
        "train.instance_type": contract.LOCAL_INSTANCE_TYPE,
        "train.instance_groups": (),
        "train.network_isolation": False,
        "train.max_run_s": contract.MAX_RUN_DEFAULT_S,
        "train.max_wait_s": None,
        "train.environment": {},
        "train.memory_bytes": None,
        "train.cpus": None,
        "train.shm_bytes": contract.SHM_BYTES,
        "train.gpus": None,
        "serve.port": contract.SERVE_PORT,
        "serve.profile": "realtime",
        "serve.environment": {},
        "serve.startup_timeout_s": contract.STARTUP_TIMEOUT_S,
        "serve.memory_bytes": None,
        "serve.cpus": None,
        "serve.shm_bytes": contract.SHM_BYTES,
        "serve.gpus": None,
        "invoke.content_type": "application/json",
        "invoke.data": None,
        "s3.endpoint_url": None,
        "s3.region": contract.LOCAL_REGION,
        "s3.profile": None,
        "sagemaker.python": None,
        "lambda.*.source": None,
        "lambda.*.handler": lambda_contract.DEFAULT_HANDLER,
        "lambda.*.runtime": lambda_contract.OWN_RUNTIME,
        "lambda.*.memory_mb": lambda_contract.DEFAULT_MEMORY_MB,
        "lambda.*.timeout_s": lambda_contract.DEFAULT_TIMEOUT_S,
        "lambda.*.environment": {},
        "lambda.*.reserved_concurrency": None,
        "lambda.*.requirements": None,
        "gateway.name": None,
        "gateway.routes": {},
        "gateway.cors_origins": (),
        "gateway.stage": "$default",
        "endpoint.name": None,
        "aws.region": None,
        "aws.profile": None,
        "aws.role": None,
        "aws.bucket": None,
        "aws.repository": None,
        "aws.registry": None,
        "aws.train_instance": aws_readers.DEFAULT_TRAIN_INSTANCE,
        "aws.serve_instance": aws_readers.DEFAULT_SERVE_INSTANCE,
        "aws.spot": False,
        "aws.max_wait_s": None,
        "aws.tags": {},
        "aws.vpc_subnets": (),
        "aws.vpc_security_groups": (),
        "aws.kms_key": None,
        "aws.encrypt_between_containers": False,
        "aws.volume_gb": aws_readers.DEFAULT_VOLUME_GB,
        "aws.checkpoint_uri": None,
    }


def read(resolved: Mapping[str, Raw], root: Path) -> tuple[dict[str, Any], list[str]]:
    """Read every key that is set, over the defaults.

    Returns:
        The values by key, and what is wrong: the key, what was given, what is allowed.
    """
    values, problems = for_each(defaults(root), resolved), []
    tables: dict[str, dict[str, Any]] = {key: {} for key in values if known_key(key) in TABLES}
    for key, raw in resolved.items():
        known = known_key(key)
        table, entry = _entry_of(key)
        if raw.value == {} and is_table(key):
            continue
        try:
            if table is not None:
                reads = READERS[known_key(table)]
                tables[table][entry] = (
                    readers.channel(entry, raw) if table == "train.channels" else reads(raw)
                )
            elif known in READERS and known not in TABLES:
                values[key] = READERS[known](raw)
            else:
                problems.append(_unknown(key, raw))
        except ValueError as error:
            problems.append(f"{key} = {raw.value!r} ({raw.origin.name}): must be {error}")
    values.update(tables)
    values["train.channels"] = tuple(tables["train.channels"].values())
    if "project.name" in resolved and "image.tag" not in resolved:
        values["image.tag"] = f"{str(values['project.name']).lower()}:dev"
    functions = names("lambda", resolved)
    values |= function_wiring.derived(values, functions)
    problems += function_wiring.problems(values, functions)
    return values, [*problems, *aws_readers.problems(values)]


def _entry_of(key: str) -> tuple[str | None, str]:
    """The table that a key is an entry of, and the entry's name."""
    known = known_key(key)
    for table in TABLES:
        if known.startswith(f"{table}."):
            entry = known.removeprefix(f"{table}.")
            return key.removesuffix(f".{entry}"), entry
    return None, ""


def _unknown(key: str, raw: Raw) -> str:
    known, section = known_key(key), key.partition(".")[0]
    if known in TABLES:
        return f"{key} = {raw.value!r} ({raw.origin.name}): must be a table: {{ name = … }}"
    if _is_misplaced(key, raw):
        return f"{key} = {raw.value!r} ({raw.origin.name}): must be a table: [{section}.NAME]"
    prefix = f"{section}.*." if section in COLLECTIONS else f"{section}."
    takes = sorted(k.removeprefix(prefix) for k in READERS if k.startswith(prefix))
    if takes:
        title = prefix.rstrip(".").replace("*", "NAME")
        return f"{key} ({raw.origin.name}): no such key; [{title}] takes {', '.join(takes)}"
    return f"{key} ({raw.origin.name}): no such table; there are {', '.join(sorted(SECTIONS))}"


def _default_name(root: Path) -> str:
    """The folder's name, as far as SageMaker takes it for a name."""
    name = re.sub(r"[^a-zA-Z0-9]+", "-", root.name).strip("-")[: readers.MAX_PROJECT_NAME_CHARS]
    return name.strip("-") or "project"
