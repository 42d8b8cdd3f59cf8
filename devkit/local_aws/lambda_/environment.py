"""The environment variables of a function (contract, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from devkit.local_aws import environment
from devkit.local_aws.lambda_.definitions import Definition
from devkit.local_aws.lambda_.programs import Order

TASK = "/var/task"
RUNTIME = "/var/runtime"
LAYERS = "/opt"


@dataclass(frozen=True)
class Places:
    """Where a function has its code, AWS's modules and its layers."""

    task: str = TASK
    runtime: str = RUNTIME
    layers: str = LAYERS


def of_function(
    definition: Definition, *, url: str, credentials: Mapping[str, str]
) -> dict[str, str]:
    """What all instances of a function are told.

    Args:
        definition: The function.
        url: The local AWS's, as the function reaches it.
        credentials: ``AWS_ACCESS_KEY_ID`` and its like.
    """
    return {
        "TZ": ":UTC",
        **definition.environment,
        **environment.for_container(url, definition.environment, definition.region),
        **credentials,
        "_HANDLER": definition.handler,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{definition.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": definition.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(definition.memory_mb),
        "AWS_LAMBDA_FUNCTION_VERSION": definition.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": definition.log_group,
        "AWS_DEFAULT_REGION": definition.region,
        "AWS_REGION": definition.region,
    }


def of_instance(order: Order) -> dict[str, str]:
    """What one instance is told besides."""
    return {
        "AWS_LAMBDA_RUNTIME_API": order.runtime_api,
        "AWS_LAMBDA_LOG_STREAM_NAME": order.log_stream,
    }


def of_process(places: Places) -> dict[str, str]:
    """What tells a process where things are, but for what its own variables say."""
    return {
        "PATH": f"{places.layers}/bin:/usr/local/bin:/usr/bin:/bin",
        "LD_LIBRARY_PATH": f"{places.task}/lib:{places.layers}/lib",
        "PYTHONPATH": places.runtime,
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "LAMBDA_TASK_ROOT": places.task,
        "LAMBDA_RUNTIME_DIR": places.runtime,
    }
