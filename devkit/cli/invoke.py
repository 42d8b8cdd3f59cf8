"""devkit invoke: ask a running server for a prediction, and print its answer."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from devkit.cli import answer, options
from devkit.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from devkit.engines.base import Address
    from devkit.project import Project

_HTTP_PORT = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_data(parser)
    parser.add_argument("--accept", metavar="TYPE", help="what the answer should be")
    parser.add_argument("--server", metavar="NAME", help="which (default: the newest running one)")
    parser.add_argument("--url", help="a server by its address, such as http://127.0.0.1:8080")


def run(arguments: argparse.Namespace) -> None:
    """Invoke."""
    from devkit import runtime_client

    project = options.project(arguments)
    settings = project.settings.invoke
    data = settings.data if arguments.data is None else arguments.data
    if data is None:
        raise ConfigError("there is nothing to invoke with", remedy="give --data")
    body = data.encode() if arguments.data is None else options.body(data)
    address, path = _place(arguments.url or _server_url(project, arguments.server))
    reply = runtime_client.invoke(
        address,
        body,
        path=path,
        content_type=settings.content_type,
        accept=arguments.accept,
    )
    if arguments.json:
        document = answer.fields(runtime_client.decode(reply))
        document["content_type"] = reply.content_type
        arguments.terminal.result(document, None)
    else:
        ends_line = reply.body.endswith(b"\n") or not reply.content_type.startswith(
            ("text/", "application/json")
        )
        arguments.terminal.raw(reply.body if ends_line else reply.body + b"\n")


def _server_url(project: Project, name: str | None) -> str:
    running = project.running_servers()
    if name is not None:
        running = [run for run in running if run.name == name]
    if not running:
        raise NotFound(
            "no server is running" if name is None else f"no server {name!r} is running",
            remedy="start one: devkit serve --detach",
        )
    return str(running[-1].state()["url"])


def _place(url: str) -> tuple[Address, str]:
    """Where a server is asked: its address, and the path of its invocations."""
    from devkit.contract import INVOCATIONS_PATH
    from devkit.engines.base import Address

    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # half an IPv6 address, or a port that is no number
        parts, port = urlsplit(""), None
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(f"--url {url}: must be an address such as http://127.0.0.1:8080")
    path = f"{parts.path.rstrip('/')}{INVOCATIONS_PATH}"
    return Address(parts.hostname, port or _HTTP_PORT), path
