"""moto in this process: dispatched to, configured, with random numbers from seeds.

The only module that imports moto, when it is imported itself.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from random import Random
from typing import Any, cast

from moto.backends import list_of_moto_modules
from moto.core.base_backend import AccountSpecificBackend
from moto.core.config import default_user_config
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend
from moto.moto_api._internal import mock_random
from moto.moto_api._internal.moto_random import MotoRandom
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from devkit.local_aws import wsgi
from devkit.local_aws.errors import UnknownToMoto
from devkit.local_aws.gateway import snapshots
from devkit.local_aws.routing import Head

_CONFIG: Mapping[str, Mapping[str, bool]] = {
    # With these, moto would have an engine pull images from a registry.
    "lambda": {"use_docker": False},
    "batch": {"use_docker": False},
}
_ATTEMPTS, _PAUSE_S = 100, 0.02
_RESET = Head(method="POST", path="/moto-api/reset", headers={"host": "127.0.0.1"})


class Application:
    """moto in this process: its WSGI application, configured, and its random numbers."""

    def __init__(self) -> None:
        self._config = cast("dict[str, dict[str, bool]]", default_user_config)
        self._before = {name: dict(self._config[name]) for name in _CONFIG}
        self._configure(_CONFIG)
        self.call: wsgi.Application = Dispatcher(create_backend_app)
        self._random = mock_random
        self._drawing = PerCallRandom.take_over(mock_random)
        self._undo = (
            draw_backends(self._drawing),
            ManagedPolicies(self._drawing).take_over(),
            snapshots.take_over(),
        )
        self.reset()  # whatever this process has had of moto before

    def new_seed(self) -> int:
        """The next call's; follows from ``POST /moto-api/seed`` where somebody set that."""
        return self._random.getrandbits(64)

    @contextmanager
    def drawing(self, seed: int) -> Iterator[None]:
        """Let this thread draw the random numbers of a seed."""
        with self._drawing(seed):
            yield

    def reset(self) -> None:
        """Empty everything."""
        for _ in range(_ATTEMPTS - 1):
            try:
                wsgi.call(self.call, _RESET, b"")
            except RuntimeError:  # another thread imports a service: what moto goes through grows
                time.sleep(_PAUSE_S)
            else:
                return
        wsgi.call(self.call, _RESET, b"")

    def leave(self) -> None:
        """Leave moto as it was, and empty."""
        self._configure(self._before)
        for undo in self._undo:
            undo()
        self.reset()

    def _configure(self, config: Mapping[str, Mapping[str, bool]]) -> None:
        for name, values in config.items():
            self._config[name].update(values)


class Dispatcher(DomainDispatcherApplication):
    """Says so where moto has no such service; moto itself prints that, and takes it for S3."""

    def get_backend_for_host(self, host: str | None) -> Any:
        """The service behind a host name."""
        if host is not None and not self._knows(host):
            raise UnknownToMoto(host)
        return super().get_backend_for_host(host)

    @lru_cache(maxsize=1024)  # noqa: B019 - one dispatcher a process
    def _knows(self, host: str) -> bool:
        if host == "moto_api" or host in list_of_moto_modules():
            return True
        return any(pattern.match(f"http://{host}") for _, pattern in self.backend_url_patterns)


Drawing = Callable[[int], AbstractContextManager[None]]
"""Lets a thread draw the random numbers of a seed, to the end of the block."""


def draw_backends(drawing: Drawing) -> Callable[[], None]:
    """Let what services have from the start (EC2's default network) be the same every time.

    moto makes it when a service is first asked for anything, whatever that is.

    Returns:
        What undoes it.
    """
    backends: Any = AccountSpecificBackend
    original = backends.__getitem__

    def make(self: Any, region_name: str) -> Any:
        if region_name in self.keys():
            return original(self, region_name)
        place = f"{self.service_name}/{self.account_id}/{region_name}"
        with drawing(zlib.crc32(place.encode())):
            return original(self, region_name)

    def undo() -> None:
        backends.__getitem__ = original

    backends.__getitem__ = make
    return undo


class ManagedPolicies:
    """AWS's managed policies, so that they can be attached: made once, given again after a reset.

    moto makes a thousand and a half of them for each of IAM's partitions at every reset, and looks
    for an access key in every partition: that takes a second, and here some milliseconds.

    Args:
        drawing: Of moto's random numbers, so that they have the same identifiers every time.
    """

    def __init__(self, drawing: Drawing) -> None:
        self._drawing = drawing
        self._made: dict[str, list[tuple[AWSManagedPolicy, Mapping[str, Any]]]] = {}

    def take_over(self) -> Callable[[], None]:
        """Have IAM begin with these.

        Returns:
            What undoes it.
        """
        backend: Any = IAMBackend
        original = backend._init_aws_policies

        def undo() -> None:
            backend._init_aws_policies = original

        backend._init_aws_policies = lambda iam: self._of(iam.account_id, iam.region_name)
        return undo

    def _of(self, account: str, partition: str) -> list[AWSManagedPolicy]:
        if partition != "aws":
            return []
        if account not in self._made:
            self._made[account] = [(each, _members(each)) for each in self._make(account)]
        return [_as_it_was(policy, members) for policy, members in self._made[account]]

    def _make(self, account: str) -> Iterator[AWSManagedPolicy]:
        with self._drawing(zlib.crc32(account.encode())):
            for name, data in json.loads(aws_managed_policies_data).items():
                yield AWSManagedPolicy.from_data(name, account, "aws", data)


def _members(policy: AWSManagedPolicy) -> Mapping[str, Any]:
    return {**vars(policy), "versions": tuple(policy.versions)}


def _as_it_was(policy: AWSManagedPolicy, members: Mapping[str, Any]) -> AWSManagedPolicy:
    """A policy without what it was attached to, tagged with and changed into."""
    (version,) = members["versions"]
    version.is_default = True
    vars(policy).update(members, tags={}, versions=[version])
    return policy


class _Drawn(threading.local):
    source: Random | None = None


class PerCallRandom(MotoRandom):
    """moto's one source of random numbers, from which a thread can draw those of a seed."""

    _drawn = _Drawn()

    @classmethod
    def take_over(cls, source: MotoRandom) -> Drawing:
        """Make moto's source one of these; everything in moto refers to that very object."""
        source.__class__ = cls

        @contextmanager
        def drawing(seed: int) -> Iterator[None]:
            before = cls._drawn.source
            cls._drawn.source = Random(seed)  # noqa: S311 - moto's identifiers are no secrets
            try:
                yield
            finally:
                cls._drawn.source = before

        return drawing

    def random(self) -> float:
        """The next number between 0 and 1."""
        source = self._drawn.source
        return super().random() if source is None else source.random()

    def getrandbits(self, k: int) -> int:
        """The next ``k`` bits."""
        source = self._drawn.source
        return super().getrandbits(k) if source is None else source.getrandbits(k)
