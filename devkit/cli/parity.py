"""devkit parity: the same image, data and requests in several places; what differs, and why.

Ends with 1 where a difference has no reason in the contract or in a decision of devkit's.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from devkit.cli import options

if TYPE_CHECKING:
    from devkit.parity.facts import Kind
    from devkit.progress import Observer
    from devkit.project import Project

_PLACES = ("docker", "process", "sagemaker-local", "aws")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    parser.add_argument(
        "--places",
        metavar="PLACE,PLACE",
        type=_places,
        default=(),
        help=f"of {', '.join(_PLACES)} (default: those that are there, without aws)",
    )
    parser.add_argument(
        "--failing",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=options.assignment,
        help="a hyperparameter that the image's own train fails with: a job with it is compared "
        "too; repeatable",
    )
    parser.add_argument("--html", metavar="FILE", type=Path, help="write the report as a page, too")
    parser.add_argument(
        "--yes", action="store_true", help="aws: do not ask before anything is made"
    )


def run(arguments: argparse.Namespace) -> int:
    """Compare."""
    from devkit.parity import html, report
    from devkit.parity.places import parity

    terminal = arguments.terminal
    comparison = parity(
        partial(_open, arguments),
        terminal,
        places=arguments.places,
        failing=dict(arguments.failing),
    )
    if arguments.html is not None:
        arguments.html.write_text(html.page(comparison), encoding="utf-8")
        terminal.note(f"report: {arguments.html}")
    terminal.result(report.document(comparison), report.text(comparison))
    return 1 if comparison.unexpected else 0


def _open(arguments: argparse.Namespace, kind: Kind, observer: Observer) -> Project:
    places: dict[str, dict[str, object]] = {
        "docker": {"project.target": "local", "project.engine": "docker"},
        "process": {"project.target": "local", "project.engine": "process"},
        "sagemaker-local": {"project.target": "sagemaker-local", "project.engine": "auto"},
        "aws": {"project.target": "aws"},
    }
    return options.project(arguments, observer=observer, overrides=places[kind])


def _places(text: str) -> tuple[str, ...]:
    places = tuple(text.split(","))
    unknown = [place for place in places if place not in _PLACES]
    if unknown or len(set(places)) < 2:  # noqa: PLR2004 - one is compared with nothing
        raise argparse.ArgumentTypeError(
            f"{text!r} is not two or more of {', '.join(_PLACES)}, with commas between them"
        )
    return places
