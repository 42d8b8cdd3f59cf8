"""Training jobs: CreateTrainingJob runs the image, and the others tell of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from devkit import inputs
from devkit.channels.locations import S3Uri
from devkit.channels.plan import DataType
from devkit.engines.base import Image
from devkit.errors import DevkitError, NotFound
from devkit.job import Phase, TrainingJob
from devkit.local_aws import cloudwatch
from devkit.local_aws.errors import AwsError, validation
from devkit.local_aws.sagemaker import (
    refusals,
    training_request,
    training_states,
)
from devkit.local_aws.sagemaker.arns import arn
from devkit.local_aws.sagemaker.listing import Listing
from devkit.local_aws.sagemaker.parts import Shared
from devkit.local_aws.sagemaker.records import Record
from devkit.local_aws.sagemaker.training_recovery import settle
from devkit.local_aws.sagemaker.training_states import KIND, STATUS
from devkit.local_aws.sagemaker.training_work import Place, TrainingWork
from devkit.local_aws.services import Call, Handler, Result, Surroundings

GRACE_S = 10.0
"""Seconds between SIGTERM and SIGKILL when the endpoint ends, as for Ctrl-C of a job."""

_LISTING = Listing(status=STATUS, descending=False)
_COLLECTING_S = 60.0


class TrainingJobs:
    """A :class:`~devkit.local_aws.sagemaker.parts.Part`.

    Args:
        shared: What all parts share.
    """

    kinds: Collection[str] = (KIND,)

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._working: dict[str, TrainingWork] = {}
        self._place: Place | None = None
        self._settling: Future[None] = Future()
        self.operations: Mapping[str, Handler] = {
            "CreateTrainingJob": self._create,
            "DescribeTrainingJob": self._describe,
            "ListTrainingJobs": self._list,
            "StopTrainingJob": self._stop_one,
            "DeleteTrainingJob": self._delete,
        }

    async def start(self, surroundings: Surroundings) -> None:
        """Begin; jobs that ran when the last endpoint was killed are finished meanwhile."""
        loop = asyncio.get_running_loop()
        self._place = Place(
            url_for=surroundings.url_for,
            tell=partial(cloudwatch.teller, surroundings.backend, loop),
        )
        left = [each for each in self._shared.records.all(KIND) if not _is_over(each)]
        self._settling = self._shared.pool.submit(settle, self._shared, left)

    async def reset(self) -> None:
        """Stop what runs, and forget it."""
        await self._end_all()

    async def stop(self) -> None:
        """Stop what runs; what it has is kept."""
        await self._end_all()
        await asyncio.wait([asyncio.wrap_future(self._settling)], timeout=_COLLECTING_S)

    # --- operations ---------------------------------------------------------------------------

    async def _create(self, call: Call) -> Result:
        parameters = call.parameters
        name = parameters["TrainingJobName"]
        job = training_request.training_job(
            parameters, region=call.region, limits=self._shared.workshop.train_limits
        )
        uri = training_request.image_uri(parameters)
        artifacts = training_request.artifacts(parameters)
        self._shared.records.require_unused(KIND, name, call.region)
        image = await self._shared.blocking(self._require_possible, call, job, uri)
        members = training_states.begun(parameters, artifacts, self._shared.clock())
        record = await self._shared.create(call, KIND, name, members)
        assert self._place is not None  # noqa: S101 - requests come after start()
        work = TrainingWork(record, image, self._shared, self._place)
        self._working[record.arn] = work
        work.done.add_done_callback(lambda _: self._working.pop(record.arn, None))
        work.start()
        return Result(members={"TrainingJobArn": record.arn})

    async def _describe(self, call: Call) -> Result:
        record = self._shared.records.get(KIND, call.parameters["TrainingJobName"], call.region)
        return Result(
            members={
                **record.members,
                "TrainingJobArn": record.arn,
                "CreationTime": record.created,
                "LastModifiedTime": record.modified,
            }
        )

    async def _list(self, call: Call) -> Result:
        records = self._shared.records.all(KIND, call.region)
        page, token = _LISTING.of(records, call.parameters)
        summaries = [_summary(each) for each in page]
        return Result(members={"TrainingJobSummaries": summaries, "NextToken": token})

    async def _stop_one(self, call: Call) -> Result:
        record = self._shared.records.get(KIND, call.parameters["TrainingJobName"], call.region)
        moment = self._shared.clock()
        if _is_over(record):
            raise validation(
                f"The request was rejected because the training job is in status "
                f"{record.members[STATUS]}."
            )
        await self._shared.blocking(
            self._shared.records.change,
            record.arn,
            lambda each: training_states.entered(each, Phase.STOPPING.value, moment),
        )
        work = self._working.get(record.arn)
        if work is not None:
            await self._shared.blocking(work.stop.make)
        return Result()

    async def _delete(self, call: Call) -> Result:
        """The job's folder in the project stays until another job takes its name."""
        record = self._shared.records.get(KIND, call.parameters["TrainingJobName"], call.region)
        if not _is_over(record):  # the text is undocumented
            raise AwsError(
                "ResourceInUse", f"The training job is in status {record.members[STATUS]}."
            )
        await self._shared.blocking(self._shared.records.remove, record)
        return Result()

    # --- in a thread --------------------------------------------------------------------------

    def _require_possible(self, call: Call, job: TrainingJob, uri: str) -> Callable[[], Image]:
        """Make sure that a job can begin.

        Returns:
            What gives its image.

        Raises:
            AwsError: It cannot.
        """
        self._require_data(call, job)
        workshop = self._shared.workshop
        try:
            image = workshop.find(uri)
            inputs.require_pipes(job.channels, workshop.engine.name)
            workshop.engine.require_hosts(job.instances)
            self._require_unused(call, job.name)
        except NotFound as error:
            raise validation(f"{refusals.cannot_pull(uri)} ({error.message})") from None
        except DevkitError as error:
            raise validation(error.message) from None
        return image

    def _require_unused(self, call: Call, name: str) -> None:
        """No job of the project has this name, but one of this endpoint that was forgotten.

        The project's folder of jobs knows no regions.
        """
        store = self._shared.workshop.store
        with suppress(NotFound):
            run = store.find(name, "job")
            region = run.request().get("local_aws")
            known = region is None or self._shared.records.find(KIND, name, region) is not None
            if known or store.owner(run) is not None:
                raise refusals.already_exists(KIND, arn(KIND, name, region or call.region))
            store.delete(run)

    def _require_data(self, call: Call, job: TrainingJob) -> None:
        for channel in job.channels:
            place = channel.location
            assert isinstance(place, S3Uri)  # noqa: S101 - requests name nothing else
            whole_key = channel.data_type is not DataType.PREFIX
            if not self._shared.storage.has(place, whole_key=whole_key):
                raise refusals.no_objects(
                    str(place),
                    region=call.region,
                    role=call.parameters["RoleArn"],
                    bucket=place.bucket,
                )

    async def _end_all(self) -> None:
        working = list(self._working.values())
        stops = [self._shared.blocking(each.stop.make, GRACE_S) for each in working]
        ends = [asyncio.wrap_future(each.done) for each in working]
        ending = [asyncio.ensure_future(each) for each in (*stops, *ends)]
        if ending:
            await asyncio.wait(ending, timeout=_COLLECTING_S)


def _is_over(record: Record) -> bool:
    return training_states.is_over(record)


def _summary(record: Record) -> dict[str, Any]:
    return {
        "TrainingJobName": record.name,
        "TrainingJobArn": record.arn,
        "CreationTime": record.created,
        "TrainingEndTime": record.members.get("TrainingEndTime"),
        "LastModifiedTime": record.modified,
        "TrainingJobStatus": record.members[STATUS],
        "SecondaryStatus": record.members["SecondaryStatus"],
    }
