"""What AWS Lambda fixes about a function, as data and pure checks (contract, section 4).

For Lambda what :mod:`devkit.contract` is for SageMaker. Where AWS documents nothing, the decision
taken here is marked "undocumented".
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping

# A function's own name; the API takes ARNs of up to 140 characters in its place.
FUNCTION_NAME = re.compile(r"[a-zA-Z0-9-_]{1,64}")
# Python's half of AWS's pattern: pkg/module.function is pkg.module, and function.
HANDLER = re.compile(r"[^\s.][^\s]*\.[^\s.]+")
ENVIRONMENT_KEY = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")

DEFAULT_HANDLER = "handler.handler"
MAX_HANDLER_CHARS = 128

DEFAULT_TIMEOUT_S = 3
MAX_TIMEOUT_S = 900
DEFAULT_MEMORY_MB = 128
MAX_MEMORY_MB = 10_240
# Of an account; what it may have is its quota's. 0 takes a function out of service.
MAX_CONCURRENCY = 1_000

MAX_ENVIRONMENT_BYTES = 4 * 1024
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
MAX_EVENT_PAYLOAD_BYTES = 1024 * 1024
LOG_TAIL_BYTES = 4 * 1024

# In the request itself; a larger archive is read from S3.
MAX_DIRECT_ARCHIVE_BYTES = 50 * 1024 * 1024
# Of a function's code and its layers, unpacked.
MAX_CODE_BYTES = 250 * 1024 * 1024

RUNTIMES = tuple(f"python3.{minor}" for minor in range(10, 16))
# What devkit's own Python is; local functions run on it.
OWN_RUNTIME = f"python3.{sys.version_info.minor}"

ARCHITECTURES = ("x86_64", "arm64")

# What Lambda itself sets, or keeps for itself; a function's configuration may not name it.
RESERVED_VARIABLES = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_MAX_CONCURRENCY",
        "AWS_LAMBDA_METADATA_API",
        "AWS_LAMBDA_METADATA_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)


def check_environment(environment: Mapping[str, str]) -> list[str]:
    """What CreateFunction would refuse about a function's variables."""
    problems = [
        f"variable {key[:64]!r}: two or more letters, digits and _, starting with a letter"
        for key in environment
        if key not in RESERVED_VARIABLES and not ENVIRONMENT_KEY.fullmatch(key)
    ]
    problems += [f"variable {key!r}: Lambda sets it itself" for key in reserved_keys(environment)]
    size = environment_bytes(environment)
    if size > MAX_ENVIRONMENT_BYTES:
        problems.append(f"variables of {size} bytes: at most {MAX_ENVIRONMENT_BYTES} in total")
    return problems


def reserved_keys(environment: Mapping[str, str]) -> list[str]:
    """The variables among these that are Lambda's own."""
    return sorted(RESERVED_VARIABLES & set(environment))


def environment_bytes(environment: Mapping[str, str]) -> int:
    """The size that counts: AWS's message on it shows the JSON that it has measured."""
    return len(json.dumps(environment, separators=(",", ":"), ensure_ascii=False).encode())
