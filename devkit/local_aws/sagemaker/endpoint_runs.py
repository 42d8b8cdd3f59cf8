"""The containers of an endpoint: a server of devkit's own for each variant, kept in service.

What turns bad is replaced as behind ``devkit serve``; ``devkit ps`` and ``devkit logs`` show the
servers, and the next devkit removes what is left of them after a kill.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol

from devkit import contract
from devkit.attempt import GivenUp
from devkit.channels.s3_reading import S3Client
from devkit.engines.base import Engine, Image, Limits
from devkit.errors import DevkitError, NotFound, ServingFailed
from devkit.front.errors import Endpoint
from devkit.job import ServeSpec
from devkit.local_aws.cloudwatch import CloudWatch
from devkit.local_aws.sagemaker import endpoint_plans, refusals
from devkit.local_aws.sagemaker.endpoint_plans import Plan, VariantPlan
from devkit.local_aws.sagemaker.hosted import Hosted, Variant
from devkit.local_aws.threads import started
from devkit.progress import Observer, Silent
from devkit.serving import serve
from devkit.store import Store

_ENDPOINT_CHARS = 32
_VARIANT_CHARS = 20
_INSTANCE_ID_CHARS = 17


class Workshop(Protocol):
    """What containers are run with."""

    serve_limits: Limits
    """What a container may use."""

    @property
    def store(self) -> Store:
        """Where the runs are."""

    @property
    def engine(self) -> Engine:
        """What runs them."""

    def find(self, uri: str) -> Callable[[], Image]:
        """What gives the image that a request means.

        Raises:
            NotFound: There is none.
            EngineError: No engine answers.
        """


class ImageUnusable(Exception):
    """The image of a variant cannot be had."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What all variants stand on."""

    workshop: Workshop
    s3: Callable[[], S3Client]
    environment: Callable[[VariantPlan, str], Mapping[str, str]]
    """What containers of a region find AWS by; asked in worker threads."""
    open_log: Callable[[str, str], CloudWatch]
    """Opens a log group of a region."""
    observer: Observer


class VariantRun:
    """The containers of one variant, kept by a thread of their own.

    Args:
        plan: What to run.
        variant: What leads to them.
        name: The name of the run.
        ground: What it stands on.
    """

    def __init__(self, plan: VariantPlan, variant: Variant, name: str, ground: Ground) -> None:
        self.plan, self.variant, self.name = plan, variant, name
        self.up: Future[dict[str, Any]] = Future()
        """Its ``DeployedImages`` entry once its ping is good; or why it never was."""
        self._ground = ground
        self._stopping = threading.Event()
        self._thread = started(self._run, f"endpoint {name}")

    def stop(self) -> None:
        """Give it up, or end it in good order; :meth:`join` waits for that."""
        self._stopping.set()

    def join(self) -> None:
        """Wait until nothing of it runs any more."""
        self._thread.join()

    def _run(self) -> None:
        endpoint = self.variant.endpoint
        log = self._ground.open_log(endpoint.log_group, endpoint.region)
        try:
            self._serve(log)
        except BaseException as error:
            if not self.up.done():
                self.up.set_exception(error)
            elif not isinstance(error, GivenUp):
                self._ground.observer.note(f"endpoint {self.variant.endpoint.name}: {error}")
        finally:
            log.close()
            self.variant.close()

    def _serve(self, log: CloudWatch) -> None:
        ground, plan = self._ground, self.plan
        image = self._image()
        spec = ServeSpec(
            name=self.name,
            image=image,
            model=plan.model,
            environment=plan.environment,
            platform_environment=ground.environment(plan, self.variant.endpoint.region),
            local_aws=self.variant.endpoint.region,
            startup_timeout_s=plan.startup_s,
            profile=plan.limits.profile,
            limits=ground.workshop.serve_limits,
        )
        with serve(
            spec,
            engine=ground.workshop.engine,
            store=ground.workshop.store,
            observer=_Follower(self.variant.endpoint, self.name, log, ground.observer),
            s3=ground.s3,
            open_entrance=lambda _spec: self.variant,
            given_up=self._stopping.is_set,
        ):
            self.up.set_result(
                {
                    "SpecifiedImage": plan.image,
                    "ResolvedImage": resolved(plan.image, image),
                    "ResolutionTime": datetime.now(timezone.utc),
                }
            )
            self._stopping.wait()

    def _image(self) -> Image:
        try:
            return self._ground.workshop.find(self.plan.image)()
        except NotFound as error:
            why = f"{refusals.cannot_pull(self.plan.image)} ({error.message})"
            raise ImageUnusable(why) from None


class Deployment:
    """All variants of an endpoint, of one configuration.

    Args:
        endpoint: What the endpoint is called.
        plan: What to run.
        weights: By variant, where they are not the plan's.
        url: The root URL of the local AWS.
        token: Tells the runs of one deployment from those of another.
        ground: What it stands on.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        plan: Plan,
        weights: Mapping[str, float],
        *,
        url: str,
        token: str,
        ground: Ground,
    ) -> None:
        self.plan = plan
        self.weights = {each.name: weights.get(each.name, each.weight) for each in plan.variants}
        variants = {
            each.name: Variant(
                Endpoint(
                    name=endpoint.name,
                    variant=each.name,
                    region=endpoint.region,
                    account=endpoint.account,
                ),
                each.limits,
                url,
            )
            for each in plan.variants
        }
        self.hosted = Hosted(endpoint, variants, self.weights, plan.asynchronous)
        self._runs = [
            VariantRun(each, variants[each.name], run_name(endpoint.name, each.name, token), ground)
            for each in plan.variants
        ]

    async def up(self) -> dict[str, dict[str, Any]]:
        """Wait until all variants are in service; the images they run, by variant.

        Raises:
            Exception: Why one of them is not; :func:`failure_reason` tells it.
        """
        futures = {run.plan.name: asyncio.wrap_future(run.up) for run in self._runs}
        try:
            await asyncio.gather(*futures.values())
        except Exception as error:
            failed = next(n for n, each in futures.items() if each.done() and each.exception())
            raise NotUp(failed, futures[failed].exception() or error) from error
        return {name: future.result() for name, future in futures.items()}

    def stop(self) -> None:
        """Give it up, or end it in good order."""
        for run in self._runs:
            run.stop()

    def join(self) -> None:
        """Wait until nothing of it runs any more; in a worker thread."""
        for run in self._runs:
            run.join()


class NotUp(Exception):
    """A deployment did not come up."""

    def __init__(self, variant: str, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.variant = variant
        self.cause = cause

    @property
    def failure_reason(self) -> str:
        """Why, as DescribeEndpoint says it (§2.14), and then what devkit knows."""
        cause = self.cause
        if isinstance(cause, ServingFailed):
            reason = f"{endpoint_plans.ping_failure(self.variant)} ({cause.message})"
        elif isinstance(cause, DevkitError):
            reason = f"Variant {self.variant}: {cause.message}"
        elif isinstance(cause, ImageUnusable):
            reason = str(cause)
        else:
            reason = f"devkit failed: {type(cause).__name__}: {cause}"
        return endpoint_plans.shortened(reason)


class _Follower(Silent):
    """Passes on what is told of one variant's server."""

    def __init__(self, endpoint: Endpoint, run: str, log: CloudWatch, observer: Observer) -> None:
        self._endpoint, self._run, self._log, self._observer = endpoint, run, log, observer
        self._streams: dict[str, str] = {}

    def line(self, host: str, line: str) -> None:
        """A container's line, into the endpoint's log."""
        stream = self._streams.get(host)
        if stream is None:
            identifier = instance_id(self._run, host)
            stream = contract.endpoint_log_stream(self._endpoint.variant, identifier)
            self._streams[host] = stream
            self._log.open(stream)
        self._log.line(stream, line)

    def note(self, text: str) -> None:
        """What happens to the server."""
        where = f"endpoint {self._endpoint.name}, variant {self._endpoint.variant}"
        self._observer.note(f"{where}: {text}")


def resolved(uri: str, image: Image) -> str:
    """An image as DescribeEndpoint pins it: by a digest, where the engine has one."""
    if not image.id.startswith("sha256:"):
        return uri
    repository, slash, name = uri.partition("@")[0].rpartition("/")
    return f"{repository}{slash}{name.partition(':')[0]}@{image.id}"


def run_name(endpoint: str, variant: str, token: str) -> str:
    """The name of a variant's server in the store: short enough, and used once."""
    parts = (endpoint[:_ENDPOINT_CHARS], variant[:_VARIANT_CHARS], token)
    return "-".join(part.strip("-") for part in parts)


def instance_id(run: str, instance: str) -> str:
    """What CloudWatch calls an instance; the same for one container always."""
    digest = hashlib.sha256(f"{run}/{instance}".encode()).hexdigest()
    return f"i-{digest[:_INSTANCE_ID_CHARS]}"
