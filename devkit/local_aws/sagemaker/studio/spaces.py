"""Spaces: what the people of a domain share, or what one of them keeps."""

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
    merged,
    some,
)
from devkit.local_aws.services import Call, Handler, Result

_LISTING = Listing(descending=False)
_SUMMARY = (
    *("DomainId", "SpaceName", "Status", "CreationTime", "LastModifiedTime"),
    "SpaceDisplayName",
)
_SETTINGS_SUMMARY = ("AppType", "RemoteAccess", "SpaceStorageSettings")
# The apps that have a volume of their own, and its size where nobody says another.
_WITH_VOLUME = ("JupyterLab", "CodeEditor")
_VOLUME_GB = 5


class Spaces(StillPart):
    """A :class:`~devkit.local_aws.sagemaker.parts.Part`.

    Args:
        shared: What all parts share.
    """

    kinds: Collection[str] = (SPACE,)

    def __init__(self, shared: Shared) -> None:
        self._residents = Residents(shared)
        self.operations: Mapping[str, Handler] = {
            "CreateSpace": self._create,
            "DescribeSpace": self._describe,
            "UpdateSpace": self._update,
            "ListSpaces": self._list,
            "DeleteSpace": self._delete,
        }

    async def _create(self, call: Call) -> Result:
        domain = self._residents.get(DOMAIN, call.parameters["DomainId"], call.region)
        self._residents.require_in_service(domain)
        self._require_owner(call)
        members = {**call.parameters, "HomeEfsFileSystemUid": self._residents.next_uid(domain)}
        if "SpaceSettings" in members:
            members["SpaceSettings"] = _completed(members["SpaceSettings"])
        if domain.members["AuthMode"] == "SSO":
            members["Url"] = f"{domain.members['Url']}/spaces/{call.parameters['SpaceName']}"
        record = await self._residents.create(call, SPACE, _name(call.parameters), members)
        return Result(members={"SpaceArn": record.arn})

    def _require_owner(self, call: Call) -> None:
        """Make sure that a space that is somebody's has an owner (the text is undocumented)."""
        owner, sharing = (
            call.parameters.get(name) for name in ("OwnershipSettings", "SpaceSharingSettings")
        )
        if (owner is None) != (sharing is None):
            raise validation("OwnershipSettings and SpaceSharingSettings must be given together.")
        if owner is not None:
            name = f"{call.parameters['DomainId']}/{owner['OwnerUserProfileName']}"
            self._residents.get(USER_PROFILE, name, call.region)

    async def _describe(self, call: Call) -> Result:
        record = self._get(call)
        return Result(members={**self._residents.description(record), "SpaceArn": record.arn})

    async def _update(self, call: Call) -> Result:
        record = self._get(call)
        changed = some(call.parameters, "SpaceDisplayName")
        if "SpaceSettings" in call.parameters:
            before = record.members.get("SpaceSettings")
            changed["SpaceSettings"] = merged(before, call.parameters["SpaceSettings"])
        await self._residents.change(record, **changed)
        return Result(members={"SpaceArn": record.arn})

    async def _list(self, call: Call) -> Result:
        domain = call.parameters.get("DomainIdEquals")
        part = call.parameters.get("SpaceNameContains", "")
        found = [
            record
            for record in self._residents.all(SPACE, call.region, domain)
            if part.lower() in record.members["SpaceName"].lower()
        ]
        page, token = _LISTING.of(found, call.parameters)
        spaces = [self._summary(record) for record in page]
        return Result(members={"Spaces": spaces, "NextToken": token})

    def _summary(self, record: Record) -> dict[str, Any]:
        described = self._residents.description(record)
        parts = {
            "SpaceSettingsSummary": some(described.get("SpaceSettings", {}), *_SETTINGS_SUMMARY),
            "SpaceSharingSettingsSummary": described.get("SpaceSharingSettings"),
            "OwnershipSettingsSummary": described.get("OwnershipSettings"),
        }
        given = {name: value for name, value in parts.items() if value}
        return {**some(described, *_SUMMARY), **given}

    async def _delete(self, call: Call) -> Result:
        record = self._get(call)
        apps = [
            each
            for each in self._residents.all(APP, call.region, record.members["DomainId"])
            if each.members.get("SpaceName") == record.members["SpaceName"]
        ]
        await self._residents.delete(record, *apps)
        return Result()

    def _get(self, call: Call) -> Record:
        return self._residents.get(SPACE, _name(call.parameters), call.region)


def _name(parameters: Mapping[str, Any]) -> str:
    return f"{parameters['DomainId']}/{parameters['SpaceName']}"


def _completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """With the volume that the service adds."""
    if settings.get("AppType") not in _WITH_VOLUME or "SpaceStorageSettings" in settings:
        return dict(settings)
    volume = {"EbsStorageSettings": {"EbsVolumeSizeInGb": _VOLUME_GB}}
    return {**settings, "SpaceStorageSettings": volume}
