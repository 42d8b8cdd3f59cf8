"""Studio's domains, user profiles, spaces and apps, as their handlers answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NoReturn

import pytest

from devkit.local_aws.errors import AwsError
from devkit.local_aws.sagemaker.parts import Shared
from devkit.local_aws.sagemaker.records import Records
from devkit.local_aws.sagemaker.service import SageMaker, all_parts
from devkit.local_aws.sagemaker.studio.residents import SETTLES
from devkit.local_aws.sagemaker.workshop import Workshop
from devkit.local_aws.services import Call, Result

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
ARN = "arn:aws:sagemaker:us-east-1:123456789012:"


def nothing_runs() -> NoReturn:
    raise AssertionError("nothing of this needs an engine")


NOTHING_RUNS = Workshop(store=nothing_runs, engine=nothing_runs, build=nothing_runs, tag="iris")


class Nobody:
    """A backend that is not to be asked."""

    async def ask(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        access_key: str | None = None,
        region: str = "us-east-1",
    ) -> dict[str, Any]:
        raise AssertionError((service, operation, parameters, access_key, region))


class Studio:
    """Calls handlers as the endpoint does, at a time that the test tells."""

    def __init__(self, folder: Path | None = None) -> None:
        self.now = BEGIN
        self.records = Records(folder)
        shared = Shared(workshop=NOTHING_RUNS, records=self.records, clock=lambda: self.now)
        self._service = SageMaker(shared, all_parts(shared))

    def __getattr__(self, operation: str) -> Callable[..., Mapping[str, Any]]:
        handler = self._service.operations[operation]

        def answer(**parameters: Any) -> Mapping[str, Any]:
            call = Call(
                service="sagemaker",
                operation=operation,
                parameters=parameters,
                backend=Nobody(),
                request_id="1",
            )
            coroutine: Coroutine[Any, Any, Result] = handler(call)  # type: ignore[assignment]
            return asyncio.run(coroutine).members

        return answer

    def later(self, time: timedelta = SETTLES) -> None:
        self.now += time

    def domain(self, **members: Any) -> str:
        parameters = {
            "DomainName": "team",
            "AuthMode": "IAM",
            "DefaultUserSettings": {"ExecutionRole": ROLE},
            "SubnetIds": ["subnet-1"],
            "VpcId": "vpc-1",
            **members,
        }
        made = str(self.CreateDomain(**parameters)["DomainId"])
        self.later()
        return made

    def person(self, domain: str, name: str = "anna", **members: Any) -> str:
        made = self.CreateUserProfile(DomainId=domain, UserProfileName=name, **members)
        self.later()
        return str(made["UserProfileArn"])


def refused(code: str, text: str) -> Any:
    return pytest.raises(AwsError, match=f"^{code}: .*{text}")


def test_a_domain_is_described_with_what_the_service_adds() -> None:
    studio = Studio()
    domain = studio.domain()

    described = dict(studio.DescribeDomain(DomainId=domain))

    assert described.pop("HomeEfsFileSystemId").startswith("fs-")
    assert described == {
        "DomainArn": f"{ARN}domain/{domain}",
        "DomainId": domain,
        "DomainName": "team",
        "Status": "InService",
        "CreationTime": BEGIN,
        "LastModifiedTime": BEGIN,
        "AuthMode": "IAM",
        "DefaultUserSettings": {
            "ExecutionRole": ROLE,
            "DefaultLandingUri": "studio::",
            "StudioWebPortal": "ENABLED",
            "AutoMountHomeEFS": "Enabled",
        },
        "AppNetworkAccessType": "PublicInternetOnly",
        "TagPropagation": "DISABLED",
        "SubnetIds": ["subnet-1"],
        "VpcId": "vpc-1",
        "Url": f"https://{domain}.studio.us-east-1.sagemaker.aws",
    }


def test_a_domain_is_pending_and_then_in_service() -> None:
    studio = Studio()
    made = studio.CreateDomain(
        DomainName="team", AuthMode="IAM", DefaultUserSettings={"ExecutionRole": ROLE}
    )
    domain = made["DomainId"]
    assert studio.DescribeDomain(DomainId=domain)["Status"] == "Pending"
    with refused("ResourceInUse", "is Pending"):
        studio.person(domain)

    studio.later()

    assert studio.DescribeDomain(DomainId=domain)["Status"] == "InService"
    studio.person(domain)


def test_a_domain_without_a_file_system_has_none() -> None:
    studio = Studio()
    domain = studio.domain(HomeEfsFileSystemCreation="Disabled")
    assert "HomeEfsFileSystemId" not in studio.DescribeDomain(DomainId=domain)


def test_an_update_changes_what_it_names_and_nothing_else() -> None:
    studio = Studio()
    domain = studio.domain()
    before = studio.DescribeDomain(DomainId=domain)
    lab: dict[str, list[str]] = {"LifecycleConfigArns": []}

    studio.UpdateDomain(
        DomainId=domain,
        DefaultUserSettings={"JupyterLabAppSettings": lab},
        DomainSettingsForUpdate={"ExecutionRoleIdentityConfig": "USER_PROFILE_NAME"},
        TagPropagation="ENABLED",
    )

    assert studio.DescribeDomain(DomainId=domain)["Status"] == "Updating"
    with refused("ResourceInUse", "is Updating"):
        studio.UpdateDomain(DomainId=domain)
    studio.later()
    assert studio.DescribeDomain(DomainId=domain) == {
        **before,
        "DefaultUserSettings": {**before["DefaultUserSettings"], "JupyterLabAppSettings": lab},
        "DomainSettings": {"ExecutionRoleIdentityConfig": "USER_PROFILE_NAME"},
        "TagPropagation": "ENABLED",
        "LastModifiedTime": studio.now - SETTLES,
    }


def test_a_domain_that_has_people_is_not_deleted() -> None:
    studio = Studio()
    domain = studio.domain()
    studio.person(domain)

    with refused("ResourceInUse", ""):
        studio.DeleteDomain(DomainId=domain)
    with pytest.raises(AwsError) as error:
        studio.DeleteDomain(DomainId=domain)

    assert error.value.message == (
        f"Unable to delete Domain [{ARN}domain/{domain}] because UserProfile(s) are associated "
        "with it."
    )


def test_what_is_deleted_is_deleting_and_then_gone() -> None:
    studio = Studio()
    domain = studio.domain()
    studio.person(domain)
    studio.DeleteUserProfile(DomainId=domain, UserProfileName="anna")
    with refused("ResourceInUse", "because UserProfile"):
        studio.DeleteDomain(DomainId=domain)
    studio.later()

    studio.DeleteDomain(DomainId=domain)

    assert studio.DescribeDomain(DomainId=domain)["Status"] == "Deleting"
    studio.later()
    with refused("ResourceNotFound", f"domain/{domain}"):
        studio.DescribeDomain(DomainId=domain)
    assert studio.ListDomains()["Domains"] == []
    with refused("ResourceNotFound", ""):
        studio.DeleteDomain(DomainId=domain)


def test_a_person_who_has_apps_or_spaces_is_not_deleted() -> None:
    studio = Studio()
    domain = studio.domain()
    studio.person(domain)
    app = {"DomainId": domain, "UserProfileName": "Anna", "AppType": "Canvas", "AppName": "default"}
    studio.CreateApp(**app)
    with refused("ResourceInUse", r"because App\(s\) are associated with it"):
        studio.DeleteUserProfile(DomainId=domain, UserProfileName="anna")
    studio.DeleteApp(**app)
    studio.later()
    studio.CreateSpace(
        DomainId=domain,
        SpaceName="hers",
        OwnershipSettings={"OwnerUserProfileName": "anna"},
        SpaceSharingSettings={"SharingType": "Private"},
    )
    with refused("ResourceInUse", r"because Space\(s\) are associated with it"):
        studio.DeleteUserProfile(DomainId=domain, UserProfileName="anna")


def test_people_are_found_whatever_the_case_of_their_names() -> None:
    studio = Studio()
    domain = studio.domain()
    arn = studio.person(domain, "Anna")

    described = studio.DescribeUserProfile(DomainId=domain, UserProfileName="anna")

    assert described["UserProfileName"] == "Anna"
    assert described["UserProfileArn"] == arn == f"{ARN}user-profile/{domain}/anna"
    assert described["HomeEfsFileSystemUid"] == "200001"
    with refused("ResourceInUse", "already exists"):
        studio.person(domain, "ANNA")


def test_only_domains_with_a_directory_name_its_users() -> None:
    studio = Studio()
    plain, directory = studio.domain(), studio.domain(AuthMode="SSO")
    sign_on = {"SingleSignOnUserIdentifier": "UserName", "SingleSignOnUserValue": "anna"}

    studio.person(plain)
    studio.person(directory, **sign_on)

    with refused("ValidationException", "required"):
        studio.person(directory, "bert")
    with refused("ValidationException", "cannot be given"):
        studio.person(plain, "bert", **sign_on)
    described = studio.DescribeDomain(DomainId=directory)
    assert described["SingleSignOnApplicationArn"].startswith("arn:aws:sso::123456789012:")


def test_lists_tell_those_of_a_domain_oldest_first() -> None:
    studio = Studio()
    domain, other = studio.domain(), studio.domain()
    for name in ("anna", "bert", "cleo"):
        studio.person(domain, name)
    studio.person(other, "dora")

    first = studio.ListUserProfiles(DomainIdEquals=domain, MaxResults=2)
    rest = studio.ListUserProfiles(
        DomainIdEquals=domain, MaxResults=2, NextToken=first["NextToken"]
    )

    names = [each["UserProfileName"] for each in (*first["UserProfiles"], *rest["UserProfiles"])]
    assert names == ["anna", "bert", "cleo"]
    assert rest["NextToken"] is None
    (found,) = studio.ListUserProfiles(UserProfileNameContains="OR")["UserProfiles"]
    assert found["DomainId"] == other


def test_a_space_is_somebodys_and_has_a_volume() -> None:
    studio = Studio()
    domain = studio.domain()
    space = {
        "DomainId": domain,
        "SpaceName": "hers",
        "SpaceSettings": {"AppType": "JupyterLab"},
        "OwnershipSettings": {"OwnerUserProfileName": "anna"},
        "SpaceSharingSettings": {"SharingType": "Private"},
    }
    with refused("ResourceNotFound", "UserProfile"):
        studio.CreateSpace(**space)
    studio.person(domain)
    with refused("ValidationException", "together"):
        studio.CreateSpace(**{k: v for k, v in space.items() if k != "OwnershipSettings"})

    studio.CreateSpace(**space)
    studio.later()

    settings = {
        "AppType": "JupyterLab",
        "SpaceStorageSettings": {"EbsStorageSettings": {"EbsVolumeSizeInGb": 5}},
    }
    described = studio.DescribeSpace(DomainId=domain, SpaceName="hers")
    assert described["SpaceArn"] == f"{ARN}space/{domain}/hers"
    assert described["SpaceSettings"] == settings
    (listed,) = studio.ListSpaces(DomainIdEquals=domain)["Spaces"]
    assert listed["SpaceSettingsSummary"] == settings
    assert listed["OwnershipSettingsSummary"] == {"OwnerUserProfileName": "anna"}


def test_a_plain_space_is_listed_without_empty_summaries() -> None:
    studio = Studio()
    studio.CreateSpace(DomainId=studio.domain(), SpaceName="ours")
    (listed,) = studio.ListSpaces()["Spaces"]
    assert not [name for name in listed if name.endswith("Summary")]


def test_an_app_is_remembered_for_a_day_after_its_end() -> None:
    studio = Studio()
    domain = studio.domain()
    studio.person(domain)
    app = {
        "DomainId": domain,
        "UserProfileName": "anna",
        "AppType": "JupyterServer",
        "AppName": "default",
    }
    made = studio.CreateApp(**app)
    assert made["AppArn"] == f"{ARN}app/{domain}/anna/jupyterserver/default"
    studio.later()
    described = studio.DescribeApp(**app)
    assert described["Status"] == "InService"
    assert described["ResourceSpec"] == {"InstanceType": "system"}

    studio.DeleteApp(**app)
    studio.later()

    assert studio.DescribeApp(**app)["Status"] == "Deleted"
    (listed,) = studio.ListApps(UserProfileNameEquals="anna")["Apps"]
    assert listed["Status"] == "Deleted"
    with refused("ValidationException", "has already been deleted"):
        studio.DeleteApp(**app)
    studio.CreateApp(**app)
    assert studio.DescribeApp(**app)["Status"] == "Pending"
    studio.later()
    studio.DeleteApp(**app)
    studio.later(timedelta(days=1, seconds=1))
    with refused("ResourceNotFound", "App"):
        studio.DescribeApp(**app)


def test_an_app_is_one_persons_or_one_spaces() -> None:
    studio = Studio()
    domain = studio.domain()
    studio.person(domain)
    app = {"DomainId": domain, "AppType": "JupyterLab", "AppName": "default"}
    with refused("ValidationException", "either"):
        studio.CreateApp(**app)
    with refused("ValidationException", "either"):
        studio.CreateApp(**app, UserProfileName="anna", SpaceName="ours")
    with refused("ResourceNotFound", "Space"):
        studio.CreateApp(**app, SpaceName="ours")


def test_domains_are_tagged() -> None:
    studio = Studio()
    domain = studio.domain(Tags=[{"Key": "team", "Value": "a"}])
    arn = f"{ARN}domain/{domain}"
    studio.AddTags(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "dev"}])
    tags = studio.ListTags(ResourceArn=arn)["Tags"]
    assert tags == [{"Key": "team", "Value": "a"}, {"Key": "stage", "Value": "dev"}]
    assert "Tags" not in studio.DescribeDomain(DomainId=domain)
    assert studio.DescribeDomain(DomainId=domain)["Status"] == "InService"


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    domain = studio.domain()
    studio.person(domain)
    studio.DeleteUserProfile(DomainId=domain, UserProfileName="anna")

    again = Studio(tmp_path)
    again.records.load()
    again.now = studio.now

    assert again.DescribeDomain(DomainId=domain) == studio.DescribeDomain(DomainId=domain)
    (person,) = again.ListUserProfiles()["UserProfiles"]
    assert person["Status"] == "Deleting"
