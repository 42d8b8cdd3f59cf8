"""devkit invoke: ask a running server for a prediction, and print its answer."""

from __future__ import annotations

import argparse
from urllib.parse import urlsplit

from devkit import runtime_client
from devkit.cli import answer, options
from devkit.engines.base import Address
from devkit.errors import ConfigError, NotFound
from devkit.project import Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_data(parser)
    parser.add_argument("--accept", metavar="TYPE", help="what the answer should be")
    parser.add_argument("--server", metavar="NAME", help="which (default: the newest running one)")
    parser.add_argument("--url", help="a server by its address, such as http://127.0.0.1:8080")


def run(arguments: argparse.Namespace) -> None:
    """Invoke."""
    project = options.project(arguments)
    settings = project.settings.invoke
    data = settings.data if arguments.data is None else arguments.data
    if data is None:
        raise ConfigError("there is nothing to invoke with", remedy="give --data")
    url = arguments.url or _server_url(project, arguments.server)
    reply = runtime_client.invoke(
        _address(url),
        options.body(data) if arguments.data is not None else data.encode(),
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


def _address(url: str) -> Address:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(f"--url {url}: must be an address such as http://127.0.0.1:8080")
    return Address(parts.hostname, parts.port or 80)
