"""Train, serve and invoke in terms of an engine: what SageMaker does around an image.

``training`` and ``serving`` have the two halves; this is their public face.
"""

from __future__ import annotations

from devkit.serving import Server, serve
from devkit.training import TrainingResult, train
from devkit.training_run import StopRequest

__all__ = ["Server", "StopRequest", "TrainingResult", "serve", "train"]
