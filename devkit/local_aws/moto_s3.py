"""moto's S3, with bodies that are streamed; objects are kept in memory only."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.parsers.expat import ExpatError

from devkit.local_aws import errors
from devkit.local_aws.errors import AwsError, WireAnswer
from devkit.local_aws.models import Models
from devkit.local_aws.routing import route
from devkit.local_aws.wsgi_bridge import WsgiBridge

if TYPE_CHECKING:
    from aiohttp import web

    from devkit.local_aws.moto_app import Moto
    from devkit.local_aws.routing import Head

_THREADS = 16
_MALFORMED = AwsError(
    "MalformedXML",
    "The XML you provided was not well-formed or did not validate against our published schema",
)


class MotoS3:
    """A :class:`~devkit.local_aws.services.RawService`.

    Args:
        moto: Whose S3 it is.
        models: To name what moto does not have.
    """

    def __init__(self, moto: Moto, models: Models) -> None:
        self._moto = moto
        self._models = models
        self._bridge: WsgiBridge | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        await self._moto.ready()
        if self._bridge is None:
            self._bridge = WsgiBridge(
                self._moto.application, threads=_THREADS, on_error=self._on_error
            )
        return await self._bridge.handle(request)

    async def reset(self) -> None:
        """It is reset with the rest of moto."""

    async def stop(self) -> None:
        """Take no more requests."""
        if self._bridge is not None:
            await self._bridge.stop()

    def _on_error(self, head: Head, error: BaseException) -> WireAnswer:
        what = self._models.identify(route(head, {}), head)
        told = _MALFORMED if isinstance(error, ExpatError) else self._moto.failed(error, what)
        return errors.render(told, what.protocol, errors.new_request_id())
