"""The operations on function URLs, where moto's answers are not what is so here.

moto keeps one URL a function, and says that it is on AWS. Those of aliases are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from devkit.local_aws.errors import AwsError
from devkit.local_aws.lambda_.definitions import Reference
from devkit.local_aws.lambda_.url_definitions import id_of
from devkit.local_aws.services import Call, Handler, Result, Surroundings

PATH = "/_function-url/"
_BUFFERED = "BUFFERED"
_MEMBERS = (
    "FunctionUrl",
    "FunctionArn",
    "AuthType",
    "Cors",
    "CreationTime",
    "LastModifiedTime",
    "InvokeMode",
)
_NOT_FOUND = "ResourceNotFoundException"


class UrlConfigs:
    """Asks moto, and says where the URLs are."""

    def __init__(self) -> None:
        self._surroundings: Surroundings | None = None
        self.handlers: Mapping[str, Handler] = {
            "CreateFunctionUrlConfig": self._create,
            "DeleteFunctionUrlConfig": self._delete,
            "GetFunctionUrlConfig": self._get,
            "ListFunctionUrlConfigs": self._list,
            "UpdateFunctionUrlConfig": self._update,
        }

    def start(self, surroundings: Surroundings) -> None:
        """Say so from now on."""
        self._surroundings = surroundings

    async def _create(self, call: Call) -> Result:
        reference = _reference(call)
        if await self._found(call, reference) is not None:
            raise AwsError(
                "ResourceConflictException",
                f"Failed to create function url config for [functionArn = {reference.arn}]. Error "
                "message:  FunctionUrlConfig exists for this Lambda function",
                HTTPStatus.CONFLICT,
                {"Type": "User"},
            )
        return Result(members=self._told(await _ask(call, "CreateFunctionUrlConfig", reference)))

    async def _get(self, call: Call) -> Result:
        return Result(members=await self._required(call, _reference(call)))

    async def _update(self, call: Call) -> Result:
        reference = _reference(call)
        await self._required(call, reference)
        return Result(members=self._told(await _ask(call, "UpdateFunctionUrlConfig", reference)))

    async def _delete(self, call: Call) -> Result:
        reference = _reference(call)
        await self._required(call, reference)
        await _ask(call, "DeleteFunctionUrlConfig", reference)
        return Result()

    async def _list(self, call: Call) -> Result:
        found = await self._found(call, _reference(call))
        return Result(members={"FunctionUrlConfigs": [] if found is None else [found]})

    async def _required(self, call: Call, reference: Reference) -> dict[str, Any]:
        found = await self._found(call, reference)
        if found is None:
            raise AwsError(
                _NOT_FOUND,
                "The resource you requested does not exist.",
                HTTPStatus.NOT_FOUND,
                {"Type": "User"},
            )
        return found

    async def _found(self, call: Call, reference: Reference) -> dict[str, Any] | None:
        """The URL of a function, if it has one.

        Raises:
            AwsError: There is no such function.
        """
        await _do(call, "GetFunction", {"FunctionName": reference.name}, reference.region)
        try:
            name = {"FunctionName": reference.name}
            return self._told(await _do(call, "GetFunctionUrlConfig", name, reference.region))
        except AwsError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None

    def _told(self, config: Mapping[str, Any]) -> dict[str, Any]:
        assert self._surroundings is not None, "start() comes first"  # noqa: S101
        members = {name: config[name] for name in _MEMBERS if config.get(name) is not None}
        members["FunctionUrl"] = f"{self._surroundings.url}{PATH}{id_of(config['FunctionUrl'])}/"
        members["InvokeMode"] = str(config.get("InvokeMode", _BUFFERED)).upper()
        return members


def _reference(call: Call) -> Reference:
    """The function.

    Raises:
        AwsError: An alias of one is meant.
    """
    reference = Reference.parse(
        call.parameters["FunctionName"],
        region=call.region,
        qualifier=call.parameters.get("Qualifier"),
    )
    if reference.qualifier is not None:
        raise AwsError(
            "UnsupportedOperationException",
            "devkit's local AWS has function URLs of functions, and not of their aliases.",
        )
    return reference


async def _ask(call: Call, operation: str, reference: Reference) -> dict[str, Any]:
    parameters = {**call.parameters, "FunctionName": reference.name}
    return await _do(call, operation, parameters, reference.region)


async def _do(
    call: Call, operation: str, parameters: Mapping[str, Any], region: str
) -> dict[str, Any]:
    return await call.backend.ask(
        call.service, operation, parameters, access_key=call.access_key, region=region
    )
