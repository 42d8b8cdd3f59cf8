"""The body of a request that brings an object: from the connection to the disk, piece by piece."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import IO
from xml.sax.saxutils import escape

from devkit.fake_s3 import digests
from devkit.fake_s3.files import CHUNK_BYTES, Disk, Staged

_CHECKSUM = "x-amz-checksum-"
_LINE_BYTES = 8192
_MAX_TRAILERS = 20


class Refused(Exception):
    """A body that S3 does not take, with S3's own error."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The error as moto's functions answer."""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self.code}</Code><Message>{escape(self.message)}</Message></Error>"
        )
        return self.status, {"content-type": "application/xml"}, body.encode()


def brings_an_object(method: str, query: Mapping[str, object], headers: Mapping[str, str]) -> bool:
    """Whether a request to a key is PutObject or UploadPart: all others have small bodies."""
    if method != "PUT" or "x-amz-copy-source" in headers:
        return False
    if headers.get("content-type", "").startswith("multipart/form-data"):
        return False  # AWS keeps the whole form; moto takes the file out of it, and may
    return not {"acl", "tagging", "retention", "legal-hold"}.intersection(query)


def receive(stream: IO[bytes], headers: Mapping[str, str], disk: Disk) -> Staged:
    """Write a body to the disk, without the framing that AWS's clients put around it.

    Raises:
        Refused: It is incomplete, or not what its checksums say.
        OSError: The disk is full, or the client is gone.
    """
    taken = {name: digests.new(name) for name in _algorithms(headers)}

    def observe(chunk: bytes) -> None:
        for digest in taken.values():
            digest.update(chunk)

    trailers: dict[str, str] = {}
    if headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        chunks = unframed(stream, trailers)
        announced = headers.get("x-amz-decoded-content-length")
    else:
        chunks = iter(lambda: stream.read(CHUNK_BYTES), b"")
        announced = headers.get("content-length")
    staged = disk.stage(chunks, observe)
    try:
        _require_whole(staged, announced)
        staged.digests = {name: digest.digest() for name, digest in taken.items()}
        staged.trailers = trailers
        _verify(staged, {**headers, **trailers})
    except BaseException:
        staged.discard()
        raise
    return staged


def checksum_headers(staged: Staged, headers: Mapping[str, str]) -> dict[str, str]:
    """The checksums that the client did not send as headers, as if it had."""
    computed = {
        f"{_CHECKSUM}{name.lower()}": base64.b64encode(digest).decode()
        for name, digest in staged.digests.items()
    }
    sent = {n: v for n, v in staged.trailers.items() if n.startswith(_CHECKSUM)}
    return {n: v for n, v in {**computed, **sent}.items() if n not in headers}


def unframed(stream: IO[bytes], trailers: dict[str, str]) -> Iterator[bytes]:
    r"""The content of a body in AWS's ``aws-chunked`` framing; ``trailers`` takes what follows.

    A chunk is ``SIZE[;chunk-signature=…]\r\n…\r\n``, its size hexadecimal; the last is empty.

    Raises:
        Refused: It is framed otherwise, or ends early.
    """
    while size := _chunk_size(stream):
        while size:
            data = stream.read(min(size, CHUNK_BYTES))
            if not data:
                raise _malformed()
            size -= len(data)
            yield data
        if stream.readline(_LINE_BYTES).strip():
            raise _malformed()
    for _ in range(_MAX_TRAILERS):
        line = stream.readline(_LINE_BYTES).strip()
        if not line:
            return
        name, _, value = line.decode("latin-1").partition(":")
        trailers[name.strip().lower()] = value.strip()


def _chunk_size(stream: IO[bytes]) -> int:
    line = stream.readline(_LINE_BYTES)
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise _malformed() from None


def _malformed() -> Refused:
    return Refused("IncompleteBody", "The request body terminated unexpectedly")


def _algorithms(headers: Mapping[str, str]) -> set[str]:
    """The checksums that a request speaks of."""
    spoken = " ".join(
        [
            *(name for name in headers if name.startswith(_CHECKSUM)),
            headers.get("x-amz-trailer", ""),
            _CHECKSUM + headers.get("x-amz-sdk-checksum-algorithm", ""),
        ]
    ).lower()
    words = spoken.replace(",", " ").split()
    return {name for name in digests.ALGORITHMS if f"{_CHECKSUM}{name.lower()}" in words}


def _require_whole(staged: Staged, announced: str | None) -> None:
    if announced and int(announced) != staged.identity.size:
        raise Refused(
            "IncompleteBody",
            "You did not provide the number of bytes specified by the Content-Length HTTP header",
        )


def _verify(staged: Staged, headers: Mapping[str, str]) -> None:
    if (sent := headers.get("content-md5")) and _decoded(sent) != bytes.fromhex(staged.md5 or ""):
        raise Refused("BadDigest", "The Content-MD5 you specified did not match what we received.")
    for name, digest in staged.digests.items():
        sent = headers.get(f"{_CHECKSUM}{name.lower()}")
        if sent and digests.is_exact(name) and _decoded(sent) != digest:
            raise Refused(
                "BadDigest", f"The {name} you specified did not match the calculated checksum."
            )


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
