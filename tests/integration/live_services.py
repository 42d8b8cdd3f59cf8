"""The local AWS in this process, with its live services and nothing that they could run."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from devkit.local_aws.sagemaker.service import live
from devkit.local_aws.sagemaker.workshop import Workshop
from devkit.local_aws.server import LocalAws, Options
from devkit.progress import Silent


def live_aws(s3_folder: Path) -> LocalAws:
    """An endpoint, to be started, with its S3 in a folder."""
    nothing = Workshop(store=nothing_runs, engine=nothing_runs, build=nothing_runs, tag="iris")
    services = live(None, nothing, Silent())
    return LocalAws(Options(services=services, s3_folder=s3_folder))


def nothing_runs() -> NoReturn:
    raise AssertionError("nothing of this needs an engine")
