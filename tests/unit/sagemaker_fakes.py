"""SageMaker's service with fakes around it: an S3 in memory, a backend that remembers."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar, cast

from botocore.exceptions import ClientError

from devkit.engines.base import EngineName
from devkit.errors import EngineError, StoreError
from devkit.event_loop import LoopThread
from devkit.local_aws.errors import AwsError
from devkit.local_aws.sagemaker.parts import Shared
from devkit.local_aws.sagemaker.records import Record, Records, now
from devkit.local_aws.sagemaker.service import SageMaker, all_parts
from devkit.local_aws.sagemaker.storage import Storage
from devkit.local_aws.sagemaker.workshop import Workshop
from devkit.local_aws.services import Backend, Call, Result
from devkit.store import Store
from tests.unit.fakes import IMAGE, FakeEngine, Notes

_T = TypeVar("_T")
MOMENT = datetime(2026, 1, 1, tzinfo=timezone.utc)
ARN = "arn:aws:sagemaker:us-east-1:123456789012:"


class Bucket:
    """An S3 with one bucket, ``data``."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = dict(objects)
        self.buckets = ["data"]

    def list_objects_v2(self, **request: Any) -> Mapping[str, Any]:
        self._require(request["Bucket"])
        found = sorted(key for key in self.objects if key.startswith(request["Prefix"]))
        entries = [
            {"Key": key, "Size": len(self.objects[key]), "LastModified": MOMENT} for key in found
        ]
        return {"Contents": entries[: request.get("MaxKeys", 1000)]}

    def get_object(self, **request: Any) -> Mapping[str, Any]:
        self._require(request["Bucket"])
        content = self.objects[request["Key"]]
        return {"Body": io.BytesIO(content), "ContentLength": len(content)}

    def upload_fileobj(self, Fileobj: IO[bytes], Bucket: str, Key: str) -> None:  # noqa: N803
        self._require(Bucket)
        self.objects[Key] = Fileobj.read()

    def list_buckets(self) -> Mapping[str, Any]:
        return {"Buckets": [{"Name": name} for name in self.buckets]}

    def create_bucket(self, *, Bucket: str) -> None:  # noqa: N803
        self.buckets.append(Bucket)

    def _require(self, bucket: str) -> None:
        if bucket not in self.buckets:
            raise ClientError({"Error": {"Code": "NoSuchBucket"}}, "S3")


class WatchedRecords(Records):
    """Records that tell of their changes."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(folder)
        self.changed = threading.Condition()
        self.disk_is_full = False

    def change(self, record_arn: str, change: Callable[[Record], Record]) -> Record | None:
        if self.disk_is_full:
            raise StoreError("the disk is full")
        changed = super().change(record_arn, change)
        with self.changed:
            self.changed.notify_all()
        return changed


class Moto:
    """A backend that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Mapping[str, Any]]] = []
        self.answer: dict[str, Any] = {}
        self.errors: dict[str, AwsError] = {}

    async def ask(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        access_key: str | None = None,  # noqa: ARG002
        region: str = "us-east-1",  # noqa: ARG002
    ) -> dict[str, Any]:
        self.asked.append((service, operation, parameters))
        if operation in self.errors:
            raise self.errors[operation]
        return {**self.answer, "ResponseMetadata": {}}

    def of(self, operation: str) -> list[Mapping[str, Any]]:
        """The parameters of all calls of an operation."""
        return [parameters for _, name, parameters in self.asked if name == operation]


class NoObjects:
    """A backend that holds nothing one could look at."""

    revision = 0

    async def look(self, reading: Callable[[], _T]) -> _T:
        return reading()


class _Surroundings:
    url = "http://127.0.0.1:4566"
    objects = NoObjects()

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def url_for(self, engine: EngineName) -> str:
        return f"http://{engine}:4566"


def nothing_runs() -> NoReturn:
    """For what needs no engine."""
    raise EngineError("nothing of this needs an engine")


class Service:
    """The service in an event loop of its own, asked from here."""

    def __init__(self, shared: Shared, moto: Moto) -> None:
        self.shared = shared
        self.moto = moto
        self.service = SageMaker(shared, all_parts(shared))
        self._thread = LoopThread("sagemaker")
        self.wait(self.service.start(_Surroundings(moto)))

    def call(self, operation: str, *, region: str = "us-east-1", **parameters: Any) -> Any:
        """What it answers."""
        call = Call(
            service="sagemaker",
            operation=operation,
            parameters=parameters,
            backend=self.moto,
            request_id="1",
            region=region,
        )
        handler = self.service.operations[operation](call)
        return self.wait(cast("Coroutine[Any, Any, Result]", handler)).members

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a record has changed so that this holds."""
        changed = self.shared.records.changed  # type: ignore[attr-defined]
        with changed:
            assert changed.wait_for(condition, 10)

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something in the loop, and wait for it."""
        return self._thread.call(work)

    def end(self) -> None:
        """As the endpoint ends it."""
        self.wait(self.service.finish())
        self.wait(self.service.stop())
        self._thread.end()


@contextmanager
def sagemaker(
    *,
    workshop: Workshop | None = None,
    bucket: Bucket | None = None,
    folder: Path | None = None,
    moto: Moto | None = None,
    notes: Notes | None = None,
    clock: Any = now,
) -> Iterator[Service]:
    """The service for the length of the block.

    Args:
        workshop: What jobs are run with; by default nothing can be.
        bucket: S3.
        folder: Where records are kept.
        moto: The backend.
        notes: Is told what is not as one might expect.
        clock: The time.
    """
    s3 = bucket or Bucket()
    shared = Shared(
        workshop=workshop
        or Workshop(store=nothing_runs, engine=nothing_runs, build=nothing_runs, tag="iris"),
        records=WatchedRecords(folder),
        storage=Storage(lambda _settings: s3),
        observer=notes or Notes(),
        clock=clock,
    )
    service = Service(shared, moto or Moto())
    try:
        yield service
    finally:
        service.end()


def workshop_of(engine: FakeEngine, store: Store) -> Workshop:
    """A workshop whose project's image is ``iris:dev``."""
    return Workshop(
        store=lambda: store, engine=lambda: engine, build=lambda: IMAGE, tag=IMAGE.reference
    )


class Gate:
    """Lets a fake program go on when a test says so."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def pass_through(self) -> None:
        """The program is here, and waits."""
        self.reached.set()
        assert self.opened.wait(10)
