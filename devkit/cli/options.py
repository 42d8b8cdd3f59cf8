"""Flags that several commands share, and the project they name."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devkit.progress import Observer
    from devkit.project import Approve, Project

_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smh]?)")
_UNITS_S = {"s": 1, "m": 60, "h": 3600}


def add_image(parser: argparse.ArgumentParser) -> None:
    """``--image``."""
    parser.add_argument(
        "--image",
        metavar="NAME:TAG",
        help="run this image instead of the project's own; needs no project (docker engine)",
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """What a training job takes."""
    parser.add_argument(
        "--hyperparameter",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=assignment,
        help="a hyperparameter, over that of devkit.toml; repeatable",
    )
    parser.add_argument(
        "--channel",
        metavar="NAME=PATH",
        action="append",
        default=[],
        type=assignment,
        help="a channel: a folder, a file or s3://…, seen at /opt/ml/input/data/NAME; repeatable",
    )
    parser.add_argument(
        "--checkpoints",
        metavar="FOLDER|s3://…",
        help="keep /opt/ml/checkpoints here: copied in at the start, kept in step while it trains",
    )
    parser.add_argument(
        "--instances",
        metavar="N",
        type=int,
        help="run on N hosts, algo-1 to algo-N, in a network of their own (docker engine)",
    )
    parser.add_argument(
        "--max-run", metavar="SECONDS", type=int, help="stop the job after this long"
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """The body of a request."""
    parser.add_argument(
        "--data",
        metavar="TEXT|@FILE|-",
        help="the request's body: literal text, @FILE, or - for standard input "
        "(default: [invoke] data of devkit.toml)",
    )
    parser.add_argument("--content-type", metavar="TYPE", help="default: application/json")


def add_target(parser: argparse.ArgumentParser) -> None:
    """``--target``."""
    parser.add_argument(
        "--target",
        choices=("local", "sagemaker-local", "aws"),
        help="where it happens: on an engine here (local), in the SageMaker SDK's local mode, or "
        "in AWS (default: local)",
    )


def add_approval(parser: argparse.ArgumentParser) -> None:
    """``--yes`` and ``--dry-run``, for what makes something in an account."""
    parser.add_argument(
        "--yes", action="store_true", help="--target aws: do not ask before anything is made"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be made, and make nothing"
    )


def assignment(text: str) -> tuple[str, str]:
    """A ``NAME=VALUE``.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    name, found, value = text.partition("=")
    if not found or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def seconds(text: str) -> float:
    """A time such as ``30s``, ``5m`` or ``2h``.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, such as 30s or 5m")
    return float(match[1]) * _UNITS_S[match[2] or "s"]


def add_startup_timeout(parser: argparse.ArgumentParser) -> None:
    """How long a server may take to come up."""
    parser.add_argument(
        "--startup-timeout",
        metavar="SECONDS",
        type=int,
        help="how long the ping may take to be good (default: 480, as SageMaker)",
    )


def add_profile(parser: argparse.ArgumentParser) -> None:
    """What stands before the container."""
    parser.add_argument(
        "--profile",
        choices=("realtime", "serverless", "async", "direct"),
        help="whose limits and errors stand before the container; direct: nobody's "
        "(default: realtime)",
    )
    parser.add_argument(
        "--direct", dest="profile", action="store_const", const="direct", help="--profile direct"
    )


def project(
    arguments: argparse.Namespace,
    *,
    observer: Observer | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Project:
    """The project that the flags name, with what they override.

    Args:
        arguments: The flags.
        observer: Is told what goes on, in place of the terminal.
        overrides: Settings over those of the flags, by their dotted key.
    """
    from devkit.project import Project

    image = getattr(arguments, "image", None)
    loaded = Project.load(
        arguments.project,
        image=image,
        observer=observer or arguments.terminal,
        overrides={**_overrides(arguments), **(overrides or {})},
        argv=arguments.argv,
        approve=approval(arguments),
    )
    arguments.stack.callback(loaded.close)
    _warn_of_overdue(arguments, loaded)
    return loaded


def _warn_of_overdue(arguments: argparse.Namespace, project: Project) -> None:
    """Whoever has said for how long something is to be there hears of it afterwards."""
    from devkit.targets.choose import LEDGER
    from devkit.targets.ledger import Ledger, overdue

    path = project.settings.root / LEDGER
    if path.exists():
        text = overdue(Ledger(path).resources())
        if text is not None:
            arguments.terminal.note(text)


def approval(arguments: argparse.Namespace) -> Approve:
    """Who is asked before anything is made in an account."""
    from devkit.cli.approving import Approval

    return Approval(
        arguments.terminal,
        yes=getattr(arguments, "yes", False),
        dry_run=getattr(arguments, "dry_run", False),
    )


def body(data: str) -> bytes:
    """The body that ``--data`` means.

    Raises:
        ConfigError: Its file cannot be read.
    """
    if data == "-":
        return sys.stdin.buffer.read()
    if not data.startswith("@"):
        return data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise ConfigError(f"--data {data}: {error.strerror or error}") from None


def _overrides(arguments: argparse.Namespace) -> dict[str, object]:
    flags = vars(arguments)
    single = {
        "project.engine": "engine",
        "project.target": "target",
        "image.tag": "tag",
        "train.checkpoints": "checkpoints",
        "train.instances": "instances",
        "train.max_run_s": "max_run",
        "serve.startup_timeout_s": "startup_timeout",
        "serve.profile": "profile",
        "invoke.content_type": "content_type",
    }
    overrides = {key: flags[flag] for key, flag in single.items() if flags.get(flag) is not None}
    for table, flag in (("hyperparameters", "hyperparameter"), ("channels", "channel")):
        for name, value in flags.get(flag) or ():
            overrides[f"train.{table}.{name}"] = value
    return overrides
