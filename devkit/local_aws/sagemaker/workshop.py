"""What jobs and endpoints are run with: the project's engine, store and image; for worker threads.

All is opened when it is first needed. An engine that does not answer is asked again the next time.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from devkit import recovery
from devkit.channels.s3_reading import S3Client
from devkit.engines.base import Engine, Image, Limits
from devkit.engines.choose import open_engine
from devkit.errors import NotFound
from devkit.progress import Silent
from devkit.project import Project
from devkit.s3 import s3_client
from devkit.store import Store

if TYPE_CHECKING:
    from devkit.config import Settings
    from devkit.progress import Observer

_ECR = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/(?P<name>.+)")
_T = TypeVar("_T")
_NO_LIMITS = Limits()
_SHORT_S = 1.0


def _nothing_to_recover(_store: Store, _s3: Callable[[], S3Client]) -> None:
    """For those who leave nothing behind."""


class Workshop:
    """Engine, store and image of a project.

    Args:
        store: Opens the store.
        engine: Opens the engine.
        recover: Finishes what a killed devkit left in the store; is given the client of the local
            AWS's S3.
        build: Builds the project's image, or the environment of its program.
        tag: What the project's image is called.
        train_limits: What the containers of jobs may use.
        serve_limits: What those of endpoints may use.
    """

    def __init__(
        self,
        *,
        store: Callable[[], Store],
        engine: Callable[[], Engine],
        recover: Callable[[Store, Callable[[], S3Client]], None] = _nothing_to_recover,
        build: Callable[[], Image],
        tag: str,
        train_limits: Limits = _NO_LIMITS,
        serve_limits: Limits = _NO_LIMITS,
    ) -> None:
        self._store = _Once(store)
        self._engine = _Once(engine)
        self._recover = recover
        self._build = build
        self._building = threading.Lock()
        self.tag = tag
        self.train_limits = train_limits
        self.serve_limits = serve_limits

    @property
    def store(self) -> Store:
        """The store.

        Raises:
            StoreError: It cannot be made or written.
        """
        return self._store.value

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises:
            EngineError: None answers.
        """
        return self._engine.value

    def recover(self, s3: Callable[[], S3Client]) -> None:
        """Finish what a killed devkit left behind; what cannot be finished yet is said.

        Args:
            s3: Gives the client of the local AWS's S3.
        """
        self._recover(self.store, s3)

    def find(self, uri: str) -> Callable[[], Image]:
        """What an image URI of a request means here.

        An ECR URI means the local image of that name, or else an image that is called by the whole
        URI, or else the project's own where that has the name. To the process engine there is the
        project's own only.

        Returns:
            What gives the image; it may take its time to build it.

        Raises:
            NotFound: There is no such image.
            EngineError: No engine answers.
        """
        own = any(_complete(name) == _complete(self.tag) for name in names_of(uri))
        if self.engine.name == "process":
            if own:
                return self._built
            raise NotFound(
                f"the process engine runs the project's own image, {self.tag}, and not {uri}",
                remedy="use the docker engine: DEVKIT_ENGINE=docker devkit up",
            )
        for name in names_of(uri):
            try:
                found = self.engine.image(name)
            except NotFound:
                continue
            return lambda: found
        if own:
            return self._built
        raise NotFound(f"the engine has no image {uri}", remedy=f"docker tag … {names_of(uri)[0]}")

    def _built(self) -> Image:
        with self._building:
            return self._build()


def of_project(settings: Settings, observer: Observer) -> Workshop:
    """The workshop of a project.

    Args:
        settings: The project's.
        observer: Is told which engine was chosen, and of builds that took their time.
    """
    project = Project(settings, observer=_Calm(observer))
    return Workshop(
        store=lambda: Store(settings.root),
        engine=lambda: project.engine,
        recover=lambda store, s3: recovery.recover(
            store,
            lambda name: open_engine(settings, name),
            observer,
            lambda: s3_client(settings.s3),
            s3,
        ),
        build=project.build,
        tag=settings.image.tag,
        train_limits=settings.train.limits,
        serve_limits=settings.serve.limits,
    )


def names_of(uri: str) -> list[str]:
    """What an engine may know an image of a request by, the likeliest first."""
    ecr = _ECR.fullmatch(uri)
    return [uri] if ecr is None else [ecr["name"], uri]


def _complete(name: str) -> str:
    """A name with its tag."""
    has_tag = ":" in name.rpartition("/")[2] or "@" in name
    return name if has_tag else f"{name}:latest"


class _Calm(Silent):
    """Passes on what a user should know, whatever step it is part of."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def note(self, text: str) -> None:
        """Something a user should know."""
        self._observer.note(text)

    def done(self, step: str, detail: str, seconds: float) -> None:
        """A step that took no time is none to tell of."""
        if seconds > _SHORT_S:
            self._observer.note(f"{step} {detail} {seconds:.1f} s")


class _Once(Generic[_T]):
    """A value that is made when it is first asked for, by one thread."""

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[_T] = []

    @property
    def value(self) -> _T:
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]
