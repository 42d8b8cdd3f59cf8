"""Endpoints: made, updated and deleted, with containers behind them (contract, section 2.14).

An operation writes the endpoint's record and begins a task; what comes of that is in the record.
A new deployment takes the place of the old one once all its variants are in service; one that does
not come up changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

from devkit import contract
from devkit.background_tasks import BackgroundTasks
from devkit.front.errors import Endpoint
from devkit.local_aws.errors import validation
from devkit.local_aws.sagemaker import endpoint_plans, refusals
from devkit.local_aws.sagemaker.endpoint_plans import Plan
from devkit.local_aws.sagemaker.endpoint_runs import Deployment, Ground, NotUp
from devkit.local_aws.sagemaker.hosted import AsyncOutput, Directory
from devkit.local_aws.sagemaker.listing import Listing
from devkit.local_aws.sagemaker.parts import Shared
from devkit.local_aws.sagemaker.records import Record
from devkit.local_aws.services import Backend, Call, Handler, Result, Surroundings

KIND = "endpoint"

_CREATING, _IN_SERVICE, _UPDATING = "Creating", "InService", "Updating"
_RESTARTING, _DELETING, _FAILED = "SystemUpdating", "Deleting", "Failed"
_SETTLED = (_IN_SERVICE, _FAILED)
_LISTING = Listing(status="EndpointStatus")
_SNAPSHOT = "Deployed"
"""What runs, in the record; no member of the API."""
_DESCRIBED = (
    "EndpointConfigName",
    "EndpointStatus",
    "FailureReason",
    "ProductionVariants",
    "PendingDeploymentSummary",
    "AsyncInferenceConfig",
    "LastDeploymentConfig",
)
Announce = Callable[[AsyncOutput, str, Backend], Awaitable[None]]

_INTERRUPTED = "The update was broken off by the end of devkit up."


class Endpoints:
    """A :class:`~devkit.local_aws.sagemaker.parts.Part`.

    Args:
        shared: What all parts share.
        directory: Where the runtime finds what takes requests.
        ground: What containers are run with.
        announce: Tells the topics of an asynchronous endpoint that there is one.
    """

    kinds: Collection[str] = (KIND,)

    def __init__(
        self, shared: Shared, directory: Directory, ground: Ground, announce: Announce
    ) -> None:
        self._shared, self._directory, self._ground = shared, directory, ground
        self._announce = announce
        self._url = ""
        self._deployments: dict[str, Deployment] = {}
        """By ARN: what takes requests, or is to when it is up for the first time."""
        self._tasks = BackgroundTasks(self._tell)
        self._all: set[Deployment] = set()
        """Everything of which a container may run."""
        self._ending = False
        self.operations: Mapping[str, Handler] = {
            "CreateEndpoint": self._create,
            "DescribeEndpoint": self._describe,
            "ListEndpoints": self._list,
            "UpdateEndpoint": self._update,
            "UpdateEndpointWeightsAndCapacities": self._weigh,
            "DeleteEndpoint": self._delete,
        }

    async def start(self, surroundings: Surroundings) -> None:
        """Begin, with the endpoints that there were when the last devkit ended."""
        self._url = surroundings.url
        for record in self._shared.records.all(KIND):
            status = record.members["EndpointStatus"]
            if status == _DELETING:
                await self._shared.blocking(self._shared.records.remove, record)
            elif status == _CREATING:
                plan = endpoint_plans.of_snapshot(record.members[_SNAPSHOT])
                self._tasks.begin(self._bring_up(record, plan))
            elif status != _FAILED:
                await self._start_again(record, interrupted=status == _UPDATING)

    async def reset(self) -> None:
        """End all endpoints."""
        await self._end()
        self._ending = False

    async def stop(self) -> None:
        """End all endpoints in good order; their records stay as they are."""
        await self._end()

    # --- operations ---------------------------------------------------------------------------

    async def _create(self, call: Call) -> Result:
        name = call.parameters["EndpointName"]
        self._shared.records.require_unused(KIND, name, call.region)
        plan = self._plan(call)
        members = {
            "EndpointConfigName": plan.config,
            "EndpointStatus": _CREATING,
            "LastDeploymentConfig": call.parameters.get("DeploymentConfig"),
            _SNAPSHOT: plan.snapshot,
        }
        given = {key: value for key, value in members.items() if value is not None}
        record = await self._shared.create(call, KIND, name, given)
        await self._tell_topics(plan, call)
        self._tasks.begin(self._bring_up(record, plan))
        return Result(members={"EndpointArn": record.arn})

    async def _describe(self, call: Call) -> Result:
        record = self._record(call)
        members = {key: record.members[key] for key in _DESCRIBED if key in record.members}
        snapshot = record.members[_SNAPSHOT]
        if snapshot.get("AsyncInferenceConfig"):
            members["AsyncInferenceConfig"] = snapshot["AsyncInferenceConfig"]
        capture = snapshot.get("DataCaptureConfig")
        if capture:
            members["DataCaptureConfig"] = {
                "EnableCapture": capture.get("EnableCapture", False),
                "CaptureStatus": "Stopped",
                "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
                "DestinationS3Uri": capture["DestinationS3Uri"],
                "KmsKeyId": capture.get("KmsKeyId", ""),
            }
        return Result(members={**members, **_summary(record)})

    async def _list(self, call: Call) -> Result:
        records = self._shared.records.all(KIND, call.region)
        page, token = _LISTING.of(records, call.parameters)
        return Result(members={"Endpoints": [_summary(each) for each in page], "NextToken": token})

    async def _update(self, call: Call) -> Result:
        record = self._record(call)
        _require_in_service(record)
        plan = self._plan(call)
        running = self._deployments[record.arn]
        if plan.is_serverless and not running.plan.is_serverless:  # §2.9
            raise validation(
                f'Endpoint "{record.arn}" cannot be updated from instances to serverless.'
            )
        weights = _kept_weights(record, call.parameters)
        given = call.parameters.get("DeploymentConfig")
        kept = call.parameters.get("RetainDeploymentConfig", False)
        last = record.members.get("LastDeploymentConfig") if kept else given
        record = await self._change(
            record,
            _require_in_service,
            EndpointStatus=_UPDATING,
            FailureReason=None,
            LastDeploymentConfig=last,
            PendingDeploymentSummary=_pending(plan, self._shared.clock()),
        )
        await self._tell_topics(plan, call)
        self._tasks.begin(self._replace(record, plan, weights))
        return Result(members={"EndpointArn": record.arn})

    async def _weigh(self, call: Call) -> Result:
        record = self._record(call)
        asked = {e["VariantName"]: e for e in call.parameters["DesiredWeightsAndCapacities"]}
        _require_in_service(record)
        known = {each["VariantName"] for each in record.members["ProductionVariants"]}
        for name in asked:
            if name not in known:
                raise validation(f'Could not find variant "{name}" of endpoint "{record.arn}".')
        variants = [
            _weighed(each, asked.get(each["VariantName"], {}))
            for each in record.members["ProductionVariants"]
        ]
        record = await self._change(record, _require_in_service, ProductionVariants=variants)
        deployment = self._deployments[record.arn]
        deployment.hosted.weigh(_weights(record))
        return Result(members={"EndpointArn": record.arn})

    async def _delete(self, call: Call) -> Result:
        record = self._record(call)
        record = await self._change(record, _require_settled, EndpointStatus=_DELETING)
        self._directory.remove(record.region, record.name)
        self._tasks.begin(self._take_down(record))
        return Result()

    async def _tell_topics(self, plan: Plan, call: Call) -> None:
        if plan.asynchronous is not None:
            await self._announce(plan.asynchronous, call.region, call.backend)

    def _record(self, call: Call) -> Record:
        return self._shared.records.get(KIND, call.parameters["EndpointName"], call.region)

    def _plan(self, call: Call) -> Plan:
        records = self._shared.records
        name = call.parameters["EndpointConfigName"]
        config = records.get(endpoint_plans.CONFIG_KIND, name, call.region)
        return endpoint_plans.make(config, records)

    # --- what comes of them -------------------------------------------------------------------

    async def _bring_up(self, record: Record, plan: Plan) -> None:
        deployment = self._deploy(record, plan, {})
        try:
            images = await deployment.up()
        except NotUp as problem:
            await self._fail(record, deployment, problem)
            return
        self._directory.put(deployment.hosted)
        await self._note(
            record,
            EndpointStatus=_IN_SERVICE,
            ProductionVariants=_variants(deployment, images),
        )

    async def _start_again(self, record: Record, *, interrupted: bool) -> None:
        """Begin to bring an endpoint back that was there before; until it is up it answers 503."""
        await self._note(record, EndpointStatus=_RESTARTING, PendingDeploymentSummary=None)
        plan = endpoint_plans.of_snapshot(record.members[_SNAPSHOT])
        deployment = self._deploy(record, plan, _weights(record))
        self._directory.put(deployment.hosted)
        reason = _INTERRUPTED if interrupted else record.members.get("FailureReason")
        self._tasks.begin(self._bring_back(record, deployment, reason))

    async def _bring_back(self, record: Record, deployment: Deployment, reason: str | None) -> None:
        try:
            await deployment.up()
        except NotUp as problem:
            self._directory.remove(record.region, record.name)
            await self._fail(record, deployment, problem)
            return
        await self._note(record, EndpointStatus=_IN_SERVICE, FailureReason=reason)

    async def _replace(self, record: Record, plan: Plan, weights: Mapping[str, float]) -> None:
        before = self._deployments[record.arn]
        after = self._deploy(record, plan, weights)
        try:
            images = await after.up()
        except NotUp as problem:
            self._deployments[record.arn] = before
            await self._finish(after)
            await self._note(
                record,
                EndpointStatus=_IN_SERVICE,
                FailureReason=problem.failure_reason,
                PendingDeploymentSummary=None,
            )
            return
        self._directory.put(after.hosted)
        await self._note(
            record,
            EndpointStatus=_IN_SERVICE,
            EndpointConfigName=plan.config,
            PendingDeploymentSummary=None,
            ProductionVariants=_variants(after, images),
            **{_SNAPSHOT: plan.snapshot},
        )
        await self._finish(before)

    async def _fail(self, record: Record, deployment: Deployment, problem: NotUp) -> None:
        self._deployments.pop(record.arn, None)
        await self._finish(deployment)
        await self._note(record, EndpointStatus=_FAILED, FailureReason=problem.failure_reason)

    async def _take_down(self, record: Record) -> None:
        deployment = self._deployments.pop(record.arn, None)
        if deployment is not None:
            await self._finish(deployment)
        if not self._ending:
            await self._shared.blocking(self._shared.records.remove, record)

    # --- how it is done -----------------------------------------------------------------------

    def _deploy(self, record: Record, plan: Plan, weights: Mapping[str, float]) -> Deployment:
        deployment = Deployment(
            Endpoint(name=record.name, region=record.region, account=contract.LOCAL_ACCOUNT),
            plan,
            weights,
            url=self._url,
            token=secrets.token_hex(3),
            ground=self._ground,
        )
        self._deployments[record.arn] = deployment
        self._all.add(deployment)
        return deployment

    async def _finish(self, deployment: Deployment) -> None:
        """End a deployment in good order, and wait for that."""
        deployment.stop()
        await self._shared.blocking(deployment.join)
        self._all.discard(deployment)

    async def _end(self) -> None:
        self._ending = True
        for deployment in tuple(self._all):
            for variant in deployment.hosted.variants.values():
                variant.switch(None)
            deployment.stop()
        for deployment in tuple(self._all):
            await self._finish(deployment)
        await self._tasks.finished()
        for deployment in tuple(self._deployments.values()):
            endpoint = deployment.hosted.endpoint
            self._directory.remove(endpoint.region, endpoint.name)
        self._deployments.clear()

    def _tell(self, error: BaseException) -> None:
        self._ground.observer.note(f"an endpoint could not be dealt with: {error}")

    async def _change(
        self, record: Record, require: Callable[[Record], None], **members: Any
    ) -> Record:
        """Change a record, if it is then still what it has to be.

        Raises:
            AwsError: It is not, or there is none any more.
        """
        moment = self._shared.clock()

        def change(found: Record) -> Record:
            require(found)
            return found.with_members(moment, **members)

        changed = await self._shared.blocking(self._shared.records.change, record.arn, change)
        if changed is None:
            raise refusals.not_found(KIND, record.arn)
        return changed

    async def _note(self, record: Record, **members: Any) -> None:
        """Keep what came of a task; at the end of devkit the record stays as it is."""
        if self._ending:
            return
        moment = self._shared.clock()
        await self._shared.blocking(
            self._shared.records.change,
            record.arn,
            lambda found: found.with_members(moment, **members),
        )


def _summary(record: Record) -> dict[str, Any]:
    return {
        "EndpointName": record.name,
        "EndpointArn": record.arn,
        "CreationTime": record.created,
        "LastModifiedTime": record.modified,
        "EndpointStatus": record.members["EndpointStatus"],
    }


def _require_settled(record: Record) -> None:
    if record.members["EndpointStatus"] not in _SETTLED:
        raise refusals.in_progress(KIND, record.arn)


def _require_in_service(record: Record) -> None:
    _require_settled(record)
    if record.members["EndpointStatus"] == _FAILED:  # the text is undocumented
        raise validation(f'Cannot update failed endpoint "{record.arn}": it can only be deleted.')


def _variants(deployment: Deployment, images: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "VariantName": plan.name,
            "DeployedImages": [images[plan.name]],
            "CurrentWeight": deployment.weights[plan.name],
            "DesiredWeight": deployment.weights[plan.name],
            **_capacity(plan.instances, plan.serverless),
        }
        for plan in deployment.plan.variants
    ]


def _capacity(instances: int | None, serverless: Mapping[str, Any] | None) -> dict[str, Any]:
    if serverless is not None:
        return {
            "CurrentInstanceCount": 0,
            "CurrentServerlessConfig": dict(serverless),
            "DesiredServerlessConfig": dict(serverless),
        }
    return {"CurrentInstanceCount": instances, "DesiredInstanceCount": instances}


def _pending(plan: Plan, moment: Any) -> dict[str, Any]:
    variants = [
        {
            "VariantName": each.name,
            "DesiredWeight": each.weight,
            **{
                key: value
                for key, value in _capacity(each.instances, each.serverless).items()
                if key.startswith("Desired")
            },
            "VariantStatus": [{"Status": "Creating", "StartTime": moment}],
        }
        for each in plan.variants
    ]
    return {
        "EndpointConfigName": plan.config,
        "ProductionVariants": variants,
        "StartTime": moment,
    }


def _weighed(variant: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """A variant's summary with what UpdateEndpointWeightsAndCapacities asks for."""
    weighed = dict(variant)
    for desired, current, member in (
        ("DesiredWeight", "CurrentWeight", "DesiredWeight"),
        ("DesiredInstanceCount", "CurrentInstanceCount", "DesiredInstanceCount"),
    ):
        if member in asked:
            weighed[desired] = weighed[current] = asked[member]
    if "ServerlessUpdateConfig" in asked and "CurrentServerlessConfig" in weighed:
        config = {**weighed["CurrentServerlessConfig"], **asked["ServerlessUpdateConfig"]}
        weighed["CurrentServerlessConfig"] = weighed["DesiredServerlessConfig"] = config
    return weighed


def _weights(record: Record) -> dict[str, float]:
    variants: Iterable[Mapping[str, Any]] = record.members.get("ProductionVariants", ())
    return {each["VariantName"]: float(each["CurrentWeight"]) for each in variants}


def _kept_weights(record: Record, parameters: Mapping[str, Any]) -> dict[str, float]:
    """The weights that UpdateEndpoint leaves as they are (RetainAllVariantProperties)."""
    if not parameters.get("RetainAllVariantProperties", False):
        return {}
    excluded = parameters.get("ExcludeRetainedVariantProperties", ())
    if any(each["VariantPropertyType"] == "DesiredWeight" for each in excluded):
        return {}
    return _weights(record)
