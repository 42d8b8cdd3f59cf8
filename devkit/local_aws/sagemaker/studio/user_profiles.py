"""User profiles: the people in a domain."""

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
_SIGN_ON = ("SingleSignOnUserIdentifier", "SingleSignOnUserValue")
_SUMMARY = ("DomainId", "UserProfileName", "Status", "CreationTime", "LastModifiedTime")


class UserProfiles(StillPart):
    """A :class:`~devkit.local_aws.sagemaker.parts.Part`.

    Args:
        shared: What all parts share.
    """

    kinds: Collection[str] = (USER_PROFILE,)

    def __init__(self, shared: Shared) -> None:
        self._residents = Residents(shared)
        self.operations: Mapping[str, Handler] = {
            "CreateUserProfile": self._create,
            "DescribeUserProfile": self._describe,
            "UpdateUserProfile": self._update,
            "ListUserProfiles": self._list,
            "DeleteUserProfile": self._delete,
        }

    async def _create(self, call: Call) -> Result:
        domain = self._residents.get(DOMAIN, call.parameters["DomainId"], call.region)
        self._residents.require_in_service(domain)
        _require_sign_on(call.parameters, domain)
        uid = self._residents.next_uid(domain)
        members = {**call.parameters, "HomeEfsFileSystemUid": uid}
        record = await self._residents.create(call, USER_PROFILE, _name(call.parameters), members)
        return Result(members={"UserProfileArn": record.arn})

    async def _describe(self, call: Call) -> Result:
        record = self._get(call)
        described = self._residents.description(record)
        return Result(members={**described, "UserProfileArn": record.arn})

    async def _update(self, call: Call) -> Result:
        record = self._get(call)
        given = call.parameters.get("UserSettings", {})
        settings = merged(record.members.get("UserSettings"), given)
        await self._residents.change(record, UserSettings=settings or None)
        return Result(members={"UserProfileArn": record.arn})

    async def _list(self, call: Call) -> Result:
        domain = call.parameters.get("DomainIdEquals")
        part = call.parameters.get("UserProfileNameContains", "")
        found = [
            record
            for record in self._residents.all(USER_PROFILE, call.region, domain)
            if part.lower() in record.members["UserProfileName"].lower()
        ]
        page, token = _LISTING.of(found, call.parameters)
        people = [some(self._residents.description(record), *_SUMMARY) for record in page]
        return Result(members={"UserProfiles": people, "NextToken": token})

    async def _delete(self, call: Call) -> Result:
        record = self._get(call)
        domain, name = record.members["DomainId"], record.members["UserProfileName"]
        apps = [
            each
            for each in self._residents.all(APP, call.region, domain)
            if each.members.get("UserProfileName") == name
        ]
        spaces = [
            each
            for each in self._residents.all(SPACE, call.region, domain)
            if _owner(each) == name.lower()
        ]
        await self._residents.delete(record, *apps, *spaces)
        return Result()

    def _get(self, call: Call) -> Record:
        return self._residents.get(USER_PROFILE, _name(call.parameters), call.region)


def _name(parameters: Mapping[str, Any]) -> str:
    return f"{parameters['DomainId']}/{parameters['UserProfileName']}"


def _owner(space: Record) -> str:
    owner: str = space.members.get("OwnershipSettings", {}).get("OwnerUserProfileName", "")
    return owner.lower()


def _require_sign_on(parameters: Mapping[str, Any], domain: Record) -> None:
    """A user of the directory is named in domains that have one, and in no other.

    Raises:
        AwsError: It is not so (the texts are undocumented).
    """
    for name in _SIGN_ON:
        if domain.members["AuthMode"] == "SSO" and name not in parameters:
            raise validation(f"{name} is required in a domain whose AuthMode is SSO.")
        if domain.members["AuthMode"] != "SSO" and name in parameters:
            raise validation(f"{name} cannot be given in a domain whose AuthMode is IAM.")
