"""moto's S3 with plain files on disk as its durable store.

``with fake_s3(seed="folder") as s3:`` is a server of its own, for the direct loop and for tests.
What else is served in the same process goes through :func:`installing.durable_s3`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from devkit.errors import ConfigError
from devkit.fake_s3.seeding import seed_folder

if TYPE_CHECKING:
    from botocore.client import BaseClient

__all__ = ["FakeS3", "fake_s3"]

_DUMMY_KEY = "test"
_REGION = "us-east-1"


@dataclass(frozen=True)
class FakeS3:
    """A running server.

    Args:
        endpoint_url: Where it listens.
        folder: Where its buckets are folders, and its objects files.
    """

    endpoint_url: str
    folder: Path

    def client(self) -> BaseClient:
        """A boto3 client of this server; it reads none of the developer's AWS settings."""
        import botocore.session  # noqa: PLC0415 - an extra
        from boto3 import Session  # noqa: PLC0415 - likewise
        from botocore.config import Config  # noqa: PLC0415 - likewise

        core = botocore.session.Session(
            session_vars={
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
        )
        client = Session(
            aws_access_key_id=_DUMMY_KEY,
            aws_secret_access_key=_DUMMY_KEY,
            region_name=_REGION,
            botocore_session=core,
        ).client(
            "s3",
            endpoint_url=self.endpoint_url,
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )
        return cast("BaseClient", client)


@contextmanager
def fake_s3(
    seed: str | Path | None = None, *, folder: str | Path | None = None, port: int = 0
) -> Iterator[FakeS3]:
    """Serve S3 on 127.0.0.1 for the length of the block.

    Args:
        seed: A folder of buckets to begin with; it is copied, by reference where the disk can.
        folder: Where the buckets are kept; a temporary folder, deleted afterwards, if not given.
        port: Where to listen; 0 takes a free port.

    Raises:
        ConfigError: moto is not installed, or ``seed`` is no folder of buckets, or this process
            serves S3 already.
        PortInUse: Another program listens on the port.
        StoreError: Another process serves the folder, or it cannot be one.
    """
    try:
        from devkit.fake_s3.application import moto_application  # noqa: PLC0415 - imports moto, an extra
        from devkit.fake_s3.installing import durable_s3  # noqa: PLC0415 - likewise
        from devkit.fake_s3.server import served  # noqa: PLC0415 - takes aiohttp along
    except ImportError as error:
        raise ConfigError(
            f"a local S3 needs moto's server and boto3 as devkit knows them: {error}",
            remedy="pip install 'devkit[local-aws]'",
        ) from error
    with ExitStack() as stack:
        if folder is None:
            root = Path(tempfile.mkdtemp(prefix="devkit-s3-"))
            stack.callback(shutil.rmtree, root, ignore_errors=True)
        else:
            root = Path(folder)
        if seed is not None:
            seed_folder(Path(seed), root)
        # What is deleted afterwards need not survive a power cut.
        stack.enter_context(durable_s3(root, sync=folder is not None))
        host, bound = stack.enter_context(served(moto_application(), port=port))
        yield FakeS3(f"http://{host}:{bound}", root.absolute())
