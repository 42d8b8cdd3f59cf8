"""What Studio's resources have in common: they come and go in a moment, and belong to a domain.

What state one is in follows from the times that its record holds: nothing has to happen for it to
change, and a restart of the endpoint changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from devkit.local_aws.errors import AwsError
from devkit.local_aws.sagemaker.arns import arn
from devkit.local_aws.sagemaker.parts import Shared
from devkit.local_aws.sagemaker.records import Record
from devkit.local_aws.services import Call

DOMAIN, USER_PROFILE, SPACE, APP = "domain", "user-profile", "space", "app"
SETTLES = timedelta(milliseconds=200)
"""How long one is Pending, Updating or Deleting; minutes, in SageMaker."""

_NOUNS = {DOMAIN: "Domain", USER_PROFILE: "UserProfile", SPACE: "Space", APP: "App"}
_REMEMBERED = {APP: timedelta(hours=24)}
_DELETED = "_DeletionTime"


class Residents:
    """Studio's records, as they are at this moment.

    Args:
        shared: What all parts share.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def status(self, record: Record) -> str:
        """Which state it is in, in SageMaker's words."""
        now = self._shared.clock()
        deleted = record.members.get(_DELETED)
        if deleted is not None:
            return "Deleting" if now < deleted + SETTLES else "Deleted"
        if now >= record.modified + SETTLES:
            return "InService"
        return "Pending" if record.modified == record.created else "Updating"

    def find(self, kind: str, name: str, region: str) -> Record | None:
        """The record of this name, if there still is one; names are not case sensitive."""
        record = self._shared.records.by_arn(arn(kind, name, region))
        return None if record is None or self._is_forgotten(record) else record

    def get(self, kind: str, name: str, region: str) -> Record:
        """The record of this name.

        Raises:
            AwsError: There is none (the text is undocumented).
        """
        record = self.find(kind, name, region)
        if record is None:
            raise AwsError(
                "ResourceNotFound", f"{_NOUNS[kind]} [{arn(kind, name, region)}] does not exist."
            )
        return record

    def all(self, kind: str, region: str, domain: str | None = None) -> list[Record]:
        """All there still are of a kind; of one domain, where that is given."""
        return [
            record
            for record in self._shared.records.all(kind, region)
            if not self._is_forgotten(record) and domain in (None, record.members["DomainId"])
        ]

    async def create(
        self, call: Call, kind: str, name: str, members: Mapping[str, Any] | None = None
    ) -> Record:
        """A new record; see :meth:`~devkit.local_aws.sagemaker.parts.Shared.create`.

        Raises:
            AwsError: There is one of this name (the text is undocumented).
        """
        before = self._shared.records.by_arn(arn(kind, name, call.region))
        if before is not None:
            if self.status(before) != "Deleted":
                raise in_use(f"{_NOUNS[kind]} [{before.arn}] already exists.")
            await self._shared.blocking(self._shared.records.remove, before)
        return await self._shared.create(call, kind, name, members)

    async def change(self, record: Record, **members: Any) -> None:
        """Give a record that is in service other members; it is Updating from now on.

        Raises:
            AwsError: It is not in service.
        """
        self.require_in_service(record)
        moment = self._shared.clock()
        await self._shared.blocking(
            self._shared.records.change,
            record.arn,
            lambda current: current.with_members(moment, **members),
        )

    async def delete(self, record: Record, *dependants: Record) -> None:
        """Begin to delete a record, which nothing may depend on; forget what was deleted before.

        Raises:
            AwsError: Something depends on it.
        """
        for each in dependants:
            if self.status(each) != "Deleted":
                raise in_use(
                    f"Unable to delete {_NOUNS[record.kind]} [{record.arn}] because "
                    f"{_NOUNS[each.kind]}(s) are associated with it."
                )
        moment = self._shared.clock()
        await self._shared.blocking(
            self._shared.records.change,
            record.arn,
            lambda current: current.with_members(moment, **{_DELETED: moment}),
        )
        await self._shared.blocking(self._forget)

    def require_in_service(self, record: Record) -> None:
        """Make sure that something can be done with it.

        Raises:
            AwsError: It cannot yet, or no more (the text is undocumented).
        """
        status = self.status(record)
        if status != "InService":
            raise in_use(f"{_NOUNS[record.kind]} [{record.arn}] is {status}, and not InService.")

    def description(self, record: Record) -> dict[str, Any]:
        """What all descriptions and lists tell of a record."""
        return {
            **{name: value for name, value in record.members.items() if name != _DELETED},
            "Status": self.status(record),
            "CreationTime": record.created,
            "LastModifiedTime": record.modified,
        }

    def next_uid(self, domain: Record) -> str:
        """The POSIX user of the next home folder in a domain."""
        taken = [
            int(record.members["HomeEfsFileSystemUid"])
            for kind in (USER_PROFILE, SPACE)
            for record in self.all(kind, domain.region, domain.name)
        ]
        return str(max(taken, default=200000) + 1)

    def _is_forgotten(self, record: Record) -> bool:
        deleted = record.members.get(_DELETED)
        stays = SETTLES + _REMEMBERED.get(record.kind, timedelta())
        return deleted is not None and self._shared.clock() >= deleted + stays

    def _forget(self) -> None:
        for kind in _NOUNS:
            for record in self._shared.records.all(kind):
                if self._is_forgotten(record):
                    self._shared.records.remove(record)


def in_use(message: str) -> AwsError:
    """It exists already, or something depends on it, or it is not ready."""
    return AwsError("ResourceInUse", message)


def merged(settings: Mapping[str, Any] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings after an update: what it does not name stays as it is."""
    return {**(settings or {}), **given}


def some(members: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The members of these names that are there."""
    return {name: members[name] for name in names if name in members}
