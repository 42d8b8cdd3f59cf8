"""moto's S3, with bodies that are streamed; its objects are files (:mod:`devkit.fake_s3`)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast
from xml.parsers.expat import ExpatError

from aiohttp import web

from devkit.local_aws import errors
from devkit.local_aws.errors import AwsError
from devkit.local_aws.heads import head_of
from devkit.local_aws.models import Identified, Models
from devkit.local_aws.routing import route
from devkit.wsgi_bridge import IncompleteBody, WsgiBridge

if TYPE_CHECKING:
    from devkit.local_aws.moto_app import Moto

_THREADS = 16
_MALFORMED = AwsError(
    "MalformedXML",
    "The XML you provided was not well-formed or did not validate against our published schema",
)
_INCOMPLETE = AwsError(
    "IncompleteBody",
    "You did not provide the number of bytes specified by the Content-Length HTTP header",
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
            from devkit.fake_s3.application import keeping_names  # noqa: PLC0415 - imports moto

            application = keeping_names(cast("Any", self._moto.application))
            self._bridge = WsgiBridge(application, threads=_THREADS, on_error=self._instead)
        return await self._bridge.handle(request)

    async def reset(self) -> None:
        """It is reset with the rest of moto."""

    async def stop(self) -> None:
        """Take no more requests."""
        if self._bridge is not None:
            await asyncio.to_thread(self._bridge.close)

    def _instead(self, request: web.BaseRequest, error: Exception) -> web.Response:
        head = head_of(request)
        what = self._models.identify(route(head, {}), head)
        answer = errors.render(self._told(error, what), what.protocol, errors.new_request_id())
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    def _told(self, error: Exception, what: Identified) -> AwsError:
        if isinstance(error, ExpatError):
            return _MALFORMED
        if isinstance(error, IncompleteBody):
            return _INCOMPLETE
        return self._moto.failed(error, what)
