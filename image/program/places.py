"""Where SageMaker puts what the programs read, and expects what they write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Places:
    """The files and folders of the container contract that this image uses."""

    hyperparameters: Path
    """A JSON object of strings; need not exist."""

    training: Path
    """The folder of the ``training`` channel; exists only where the job has that channel."""

    model: Path
    """What training saves here becomes model.tar.gz; serving finds it here again, read-only."""

    failure: Path
    """The reason of a failed job: its first 1024 characters become FailureReason."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Places:
        """The contract's places under /opt/ml, or those the ``SM_*`` variables name.

        SageMaker itself sets no ``SM_*`` variable: its training toolkit does, and so does an
        engine that cannot give the program an /opt/ml of its own.
        """
        inputs = environment.get("SM_INPUT_DIR", "/opt/ml/input")
        config = environment.get("SM_INPUT_CONFIG_DIR", f"{inputs}/config")
        output = environment.get("SM_OUTPUT_DIR", "/opt/ml/output")
        return cls(
            hyperparameters=Path(config, "hyperparameters.json"),
            training=Path(environment.get("SM_CHANNEL_TRAINING", f"{inputs}/data/training")),
            model=Path(environment.get("SM_MODEL_DIR", "/opt/ml/model")),
            failure=Path(output, "failure"),
        )
