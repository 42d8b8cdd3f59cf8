"""Apps: what runs for a person or in a space, had this been SageMaker."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from devkit.local_aws.errors import validation
from devkit.local_aws.sagemaker.listing import Listing
from devkit.local_aws.sagemaker.parts import Shared, StillPart
from devkit.local_aws.sagemaker.records import Record
from devkit.local_aws.sagemaker.studio.residents import (
    APP,
    DOMAIN,
    SPACE,
    USER_PROFILE,
    Residents,
    some,
)
from devkit.local_aws.services import Call, Handler, Result

_LISTING = Listing(descending=False)
_SUMMARY = (
    *("DomainId", "UserProfileName", "SpaceName", "AppType", "AppName"),
    *("Status", "CreationTime", "ResourceSpec"),
)
_SYSTEM = {"JupyterServer": "system"}
_INSTANCE = "ml.t3.medium"


class Apps(StillPart):
    """A :class:`~devkit.local_aws.sagemaker.parts.Part`.

    Args:
        shared: What all parts share.
    """

    kinds: Collection[str] = (APP,)

    def __init__(self, shared: Shared) -> None:
        self._residents = Residents(shared)
        self.operations: Mapping[str, Handler] = {
            "CreateApp": self._create,
            "DescribeApp": self._describe,
            "ListApps": self._list,
            "DeleteApp": self._delete,
        }

    async def _create(self, call: Call) -> Result:
        given = call.parameters
        domain = self._residents.get(DOMAIN, given["DomainId"], call.region)
        kind, owner = _owner(given)
        resident = self._residents.get(kind, f"{domain.name}/{owner}", call.region)
        self._residents.require_in_service(resident)
        instance = _SYSTEM.get(given["AppType"], _INSTANCE)
        spec = {"InstanceType": instance, **given.get("ResourceSpec", {})}
        owned_by = some(resident.members, "UserProfileName", "SpaceName")
        members = {**given, **owned_by, "ResourceSpec": spec}
        record = await self._residents.create(call, APP, _name(given), members)
        return Result(members={"AppArn": record.arn})

    async def _describe(self, call: Call) -> Result:
        record = self._get(call)
        described = self._residents.description(record)
        del described["LastModifiedTime"]
        if described["Status"] == "InService":
            described["LastHealthCheckTimestamp"] = record.created
            described["LastUserActivityTimestamp"] = record.created
        return Result(members={**described, "AppArn": record.arn})

    async def _list(self, call: Call) -> Result:
        given = call.parameters
        wanted = {
            name: given[f"{name}Equals"].lower()
            for name in ("UserProfileName", "SpaceName")
            if f"{name}Equals" in given
        }
        found = [
            record
            for record in self._residents.all(APP, call.region, given.get("DomainIdEquals"))
            if all(record.members.get(n, "").lower() == value for n, value in wanted.items())
        ]
        page, token = _LISTING.of(found, given)
        apps = [some(self._residents.description(record), *_SUMMARY) for record in page]
        return Result(members={"Apps": apps, "NextToken": token})

    async def _delete(self, call: Call) -> Result:
        record = self._get(call)
        if self._residents.status(record) == "Deleted":
            raise validation(f"App [{record.arn}] has already been deleted.")
        await self._residents.delete(record)
        return Result()

    def _get(self, call: Call) -> Record:
        return self._residents.get(APP, _name(call.parameters), call.region)


def _owner(parameters: Mapping[str, Any]) -> tuple[str, str]:
    """Whose app it is: kind and name.

    Raises:
        AwsError: Nobody's, or two's (the text is undocumented).
    """
    person, space = (parameters.get(name) for name in ("UserProfileName", "SpaceName"))
    if person is not None and space is None:
        return USER_PROFILE, str(person)
    if space is not None and person is None:
        return SPACE, str(space)
    raise validation("Specify either UserProfileName or SpaceName, and not both.")


def _name(parameters: Mapping[str, Any]) -> str:
    _, owner = _owner(parameters)
    return f"{parameters['DomainId']}/{owner}/{parameters['AppType']}/{parameters['AppName']}"
