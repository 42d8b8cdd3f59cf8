"""Requests to APIs, as the gateway has them after it has read them."""

from __future__ import annotations

from datetime import datetime, timezone

from devkit.local_aws.gateway.events import Place
from devkit.local_aws.gateway.messages import Headers, Request, Trace


def asked(
    method: str = "GET", path: str = "/", *, query: str = "", body: bytes = b"", **headers: str
) -> Request:
    return Request(
        method=method,
        path=path,
        query=query,
        headers=Headers((name.replace("_", "-"), value) for name, value in headers.items()),
        body=body,
        source_ip="127.0.0.1",
        domain_name="abc.execute-api.us-east-1.amazonaws.com",
        received=datetime(2020, 3, 12, 19, 3, 58, 390000, tzinfo=timezone.utc),
        request_id="id",
        extended_request_id="xid=",
        trace=Trace(root="1-2-3", header="Root=1-2-3"),
    )


def at(**more: object) -> Place:
    place = {
        "api_id": "abc",
        "stage": "dev",
        "route_key": "GET /a/{b}",
        "resource_path": "/a/{b}",
        "resource_id": "r",
        "path": "/a/1",
        "whole_path": "/dev/a/1",
        **more,
    }
    return Place(**place)  # type: ignore[arg-type] # tests say which
