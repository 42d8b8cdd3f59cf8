"""moto's server as a WSGI application behind :class:`devkit.wsgi_bridge.WsgiBridge`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from moto.core.request import (
    PRESERVED_HEADER_NAMES_ENVIRON_KEY,
    environ_key_for_header,
    should_preserve_original_header_name,
)
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from devkit.wsgi_bridge import RAW_HEADERS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication


def moto_application() -> WSGIApplication:
    """All of moto's services, which is what ``moto_server`` serves."""
    return keeping_names(DomainDispatcherApplication(create_backend_app))


def keeping_names(moto: WSGIApplication) -> WSGIApplication:
    """An application of moto's that is told the names of headers as they were sent."""

    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        _keep_underscores(environ)
        return moto(environ, start_response)

    return application


def _keep_underscores(environ: dict[str, Any]) -> None:
    """User metadata may have underscores in its names; moto asks its own server for them."""
    names: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in environ.get(RAW_HEADERS, []):
        variable = environ_key_for_header(name)
        if should_preserve_original_header_name(name) and variable not in environ:
            names.setdefault(variable, name)
            values.setdefault(variable, []).append(value)
    environ.update({variable: ",".join(each) for variable, each in values.items()})
    environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = names
