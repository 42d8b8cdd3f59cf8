"""devkit invoke: ask a running server for a prediction, and print its answer.

With --via, the request takes the way of the project's chain in devkit up, through a function or the
API in front of it, and the time of each hop is told.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from devkit.cli import answer, options
from devkit.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from devkit.chain_client import ChainAnswer
    from devkit.config import Settings
    from devkit.engines.base import Address
    from devkit.local_aws.state import Endpoint
    from devkit.project import Project
    from devkit.runtime_client import Reply

_HTTP_PORT = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    options.add_target(parser)
    options.add_data(parser)
    parser.add_argument("--accept", metavar="TYPE", help="what the answer should be")
    parser.add_argument(
        "--server",
        metavar="NAME",
        help="which, or with --target aws the endpoint (default: the newest)",
    )
    parser.add_argument("--url", help="a server by its address, such as http://127.0.0.1:8080")
    parser.add_argument(
        "--via",
        metavar="lambda:NAME|gateway[:/PATH]",
        help="ask the chain of devkit up: a function, or the project's API",
    )


def run(arguments: argparse.Namespace) -> None:
    """Invoke."""
    from devkit import runtime_client

    project = options.project(arguments)
    settings = project.settings.invoke
    data = settings.data if arguments.data is None else arguments.data
    if data is None:
        raise ConfigError("there is nothing to invoke with", remedy="give --data")
    body = data.encode() if arguments.data is None else options.body(data)
    if arguments.via is not None:
        _through_chain(arguments, project.settings, body)
        return
    if project.settings.target != "local":
        _in_cloud(arguments, project, body)
        return
    address, path = _place(arguments.url or _server_url(project, arguments.server))
    reply = runtime_client.invoke(
        address,
        body,
        path=path,
        content_type=settings.content_type,
        accept=arguments.accept,
    )
    _show(arguments, reply, {})


def _show(arguments: argparse.Namespace, reply: Reply, more: Mapping[str, Any]) -> None:
    from devkit import runtime_client

    if arguments.json:
        document = answer.fields(runtime_client.decode(reply))
        document["content_type"] = reply.content_type
        arguments.terminal.result({**document, **more}, None)
    else:
        ends_line = reply.body.endswith(b"\n") or not reply.content_type.startswith(
            ("text/", "application/json")
        )
        arguments.terminal.raw(reply.body if ends_line else reply.body + b"\n")


def _in_cloud(arguments: argparse.Namespace, project: Project, body: bytes) -> None:
    from devkit.targets.choose import ledger_of

    name = arguments.server
    if name is None:
        made = ledger_of(project.settings.root).resources(project.settings.target)
        endpoints = sorted((each for each in made if each.kind == "endpoint"), key=lambda e: e.made)
        if not endpoints:
            raise NotFound(
                "this project has no endpoint there",
                remedy="devkit deploy makes one; --server names one of somebody else's",
            )
        name = endpoints[-1].name
    server = project.cloud.server(name)
    content_type = project.settings.invoke.content_type
    _show(arguments, server.reply(body, content_type=content_type, accept=arguments.accept), {})


def _through_chain(arguments: argparse.Namespace, settings: Settings, body: bytes) -> None:
    from devkit.local_aws import session
    from devkit.local_aws.state import State
    from devkit.runtime_client import Reply

    if arguments.url or arguments.server:
        raise ConfigError("--via asks the chain, and not a server: leave --url and --server away")
    endpoint, _ = session.status(State(settings.root))
    reached = _asked(arguments.via, settings, endpoint, body)
    for hop in reached.hops:
        arguments.terminal.note(f"{hop.seconds * 1000:8.1f} ms  {hop.name}")
    hops = [{"hop": hop.name, "seconds": hop.seconds} for hop in reached.hops]
    _show(arguments, Reply(HTTPStatus.OK, reached.content_type, reached.body), {"hops": hops})


def _asked(via: str, settings: Settings, endpoint: Endpoint, body: bytes) -> ChainAnswer:
    from devkit.chain_client import invoke_function, invoke_gateway

    kind, _, what = via.partition(":")
    if kind == "lambda" and what:
        return invoke_function(endpoint.url, what, body)
    if kind != "gateway":
        raise ConfigError(f"--via {via}: must be lambda:NAME, gateway or gateway:/PATH")
    if endpoint.gateway is None or settings.gateway is None:
        raise ConfigError(
            "the local AWS has no API of this project",
            remedy="say [gateway] in devkit.toml, then devkit up again",
        )
    method, path = ("POST", what) if what else settings.gateway.first_route
    return invoke_gateway(
        endpoint.url, endpoint.gateway, method, path, body, settings.invoke.content_type
    )


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
