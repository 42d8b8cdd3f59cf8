"""Domains: what a team's people, spaces and apps belong to."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Collection, Mapping
from typing import Any

from devkit.contract import LOCAL_ACCOUNT
from devkit.local_aws.sagemaker.listing import Listing
from devkit.local_aws.sagemaker.parts import Shared, StillPart
from devkit.local_aws.sagemaker.records import Record
from devkit.local_aws.sagemaker.studio.residents import (
    DOMAIN,
    SPACE,
    USER_PROFILE,
    Residents,
    merged,
    some,
)
from devkit.local_aws.services import Call, Handler, Result

_LISTING = Listing(descending=False)
_DEFAULTS = {"AppNetworkAccessType": "PublicInternetOnly", "TagPropagation": "DISABLED"}
_USER_DEFAULTS = {
    "DefaultLandingUri": "studio::",
    "StudioWebPortal": "ENABLED",
    "AutoMountHomeEFS": "Enabled",
}
_REPLACED = (
    "AppNetworkAccessType",
    "AppSecurityGroupManagement",
    "HomeEfsFileSystemCreation",
    "SubnetIds",
    "TagPropagation",
    "VpcId",
)
_R_STUDIO = "RStudioServerProDomainSettings"
_SUMMARY = (
    *("DomainArn", "DomainId", "DomainName", "Status", "CreationTime", "LastModifiedTime"),
    "Url",
)


def new_id(characters: str, length: int) -> str:
    """An identifier of the service's making."""
    return "".join(secrets.choice(characters) for _ in range(length))


class Domains(StillPart):
    """A :class:`~devkit.local_aws.sagemaker.parts.Part`.

    Args:
        shared: What all parts share.
        new_id: Makes an identifier of these characters, of this length.
    """

    kinds: Collection[str] = (DOMAIN,)

    def __init__(self, shared: Shared, new_id: Callable[[str, int], str] = new_id) -> None:
        self._shared = shared
        self._new_id = new_id
        self._residents = Residents(shared)
        self.operations: Mapping[str, Handler] = {
            "CreateDomain": self._create,
            "DescribeDomain": self._describe,
            "UpdateDomain": self._update,
            "ListDomains": self._list,
            "DeleteDomain": self._delete,
        }

    async def _create(self, call: Call) -> Result:
        domain_id = f"d-{self._new_id(string.ascii_lowercase + string.digits, 12)}"
        settings = call.parameters["DefaultUserSettings"]
        members = {
            **_DEFAULTS,
            **call.parameters,
            "DomainId": domain_id,
            "DefaultUserSettings": {**_USER_DEFAULTS, **settings},
            "Url": f"https://{domain_id}.studio.{call.region}.sagemaker.aws",
            **self._file_system(call.parameters),
            **self._single_sign_on(call.parameters),
        }
        record = await self._residents.create(call, DOMAIN, domain_id, members)
        return Result(members=some(self._description(record), "DomainArn", "DomainId", "Url"))

    def _file_system(self, parameters: Mapping[str, Any]) -> dict[str, str]:
        if parameters.get("HomeEfsFileSystemCreation") == "Disabled":
            return {}
        return {"HomeEfsFileSystemId": f"fs-{self._new_id(string.hexdigits[:16], 17)}"}

    def _single_sign_on(self, parameters: Mapping[str, Any]) -> dict[str, str]:
        if parameters["AuthMode"] != "SSO":
            return {}
        instance, application = (self._new_id(string.hexdigits[:16], 16) for _ in range(2))
        return {
            "SingleSignOnManagedApplicationInstanceId": f"ins-{instance}",
            "SingleSignOnApplicationArn": (
                f"arn:aws:sso::{LOCAL_ACCOUNT}:application/ssoins-{instance}/apl-{application}"
            ),
        }

    async def _describe(self, call: Call) -> Result:
        return Result(members=self._description(self._get(call)))

    async def _update(self, call: Call) -> Result:
        record = self._get(call)
        given = call.parameters
        changed = some(given, *_REPLACED)
        for name in ("DefaultUserSettings", "DefaultSpaceSettings"):
            if name in given:
                changed[name] = merged(record.members.get(name), given[name])
        if "DomainSettingsForUpdate" in given:
            settings = dict(given["DomainSettingsForUpdate"])
            if f"{_R_STUDIO}ForUpdate" in settings:
                settings[_R_STUDIO] = settings.pop(f"{_R_STUDIO}ForUpdate")
            changed["DomainSettings"] = merged(record.members.get("DomainSettings"), settings)
        await self._residents.change(record, **changed)
        return Result(members={"DomainArn": record.arn})

    async def _list(self, call: Call) -> Result:
        page, token = _LISTING.of(self._residents.all(DOMAIN, call.region), call.parameters)
        domains = [some(self._description(record), *_SUMMARY) for record in page]
        return Result(members={"Domains": domains, "NextToken": token})

    async def _delete(self, call: Call) -> Result:
        record = self._get(call)
        people, spaces = (
            self._residents.all(kind, call.region, record.name) for kind in (USER_PROFILE, SPACE)
        )
        await self._residents.delete(record, *people, *spaces)
        return Result()

    def _get(self, call: Call) -> Record:
        return self._residents.get(DOMAIN, call.parameters["DomainId"], call.region)

    def _description(self, record: Record) -> dict[str, Any]:
        return {**self._residents.description(record), "DomainArn": record.arn}
