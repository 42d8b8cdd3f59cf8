"""AddTags, ListTags and DeleteTags, on everything that is live; the rest is moto's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from devkit.local_aws.sagemaker import refusals, tag_values
from devkit.local_aws.sagemaker.arns import kind_of
from devkit.local_aws.sagemaker.listing import page_of
from devkit.local_aws.sagemaker.parts import Shared, StillPart
from devkit.local_aws.sagemaker.records import Record
from devkit.local_aws.services import Call, Handler, Result


class Tags(StillPart):
    """A :class:`~devkit.local_aws.sagemaker.parts.Part` for the tags of all of them.

    Args:
        shared: What all parts share.
        live: The kinds of which there are records.
    """

    kinds: Collection[str] = ()

    def __init__(self, shared: Shared, live: Collection[str]) -> None:
        self._shared = shared
        self._live = frozenset(live)
        self.operations: Mapping[str, Handler] = {
            "AddTags": self._add,
            "ListTags": self._list,
            "DeleteTags": self._delete,
        }

    async def _add(self, call: Call) -> Result:
        if not self._is_live(call):
            return await _from_moto(call)
        given = tag_values.of_request(call.parameters["Tags"])

        def add(record: Record) -> Record:
            tags = {**record.tags, **given}
            tag_values.require_room(tags)
            return replace(record, tags=tags)

        record = await self._change(call, add)
        return Result(members={"Tags": tag_values.of_answer(record.tags)})

    async def _delete(self, call: Call) -> Result:
        if not self._is_live(call):
            return await _from_moto(call)
        keys = set(call.parameters["TagKeys"])

        def delete(record: Record) -> Record:
            kept = {key: value for key, value in record.tags.items() if key not in keys}
            return replace(record, tags=kept)

        await self._change(call, delete)
        return Result()

    async def _list(self, call: Call) -> Result:
        if not self._is_live(call):
            return await _from_moto(call)
        record = self._shared.records.by_arn(call.parameters["ResourceArn"])
        if record is None:
            raise _not_found(call)
        tags = tag_values.of_answer(record.tags)
        page, token = page_of(tags, call.parameters, size=tag_values.MAX_TAGS)
        return Result(members={"Tags": page, "NextToken": token})

    async def _change(self, call: Call, change: Callable[[Record], Record]) -> Record:
        arn = call.parameters["ResourceArn"]
        record = await self._shared.blocking(self._shared.records.change, arn, change)
        if record is None:
            raise _not_found(call)
        return record

    def _is_live(self, call: Call) -> bool:
        return kind_of(call.parameters["ResourceArn"]) in self._live


def _not_found(call: Call) -> Exception:
    arn = call.parameters["ResourceArn"]
    return refusals.not_found(kind_of(arn), arn)


async def _from_moto(call: Call) -> Result:
    answer = await call.backend.ask(
        call.service,
        call.operation,
        call.parameters,
        access_key=call.access_key,
        region=call.region,
    )
    return Result(members={key: answer[key] for key in answer if key != "ResponseMetadata"})
