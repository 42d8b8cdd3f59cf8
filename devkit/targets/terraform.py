"""What ``devkit bootstrap`` makes, as Terraform files.

The names and the policy are those of the plan, with Terraform's own expressions for what only an
account knows. The same settings give the same bytes. A file says in its first line what the rest of
it was when devkit wrote it: one that has been edited since is never written over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devkit.config import Settings
from devkit.errors import ConfigError
from devkit.targets.bootstrap import TAG
from devkit.targets.hcl import Block, Ref, Value, document
from devkit.targets.names import Names, names_of
from devkit.targets.role_policy import POLICY_NAME, SERVICE, execution_policy

_HEAD = "# Written by devkit bootstrap --terraform. Once edited, it is yours: devkit leaves it. "
_ROLE = "execution"


def files(settings: Settings) -> Mapping[str, str]:
    """The files by name."""
    names = names_of(
        settings, account="${local.account}", region="${var.region}", partition="${local.partition}"
    )
    texts = {
        "main.tf": document(_main(settings, names)),
        "outputs.tf": document(_outputs(settings, names)),
        "variables.tf": document(_variables(settings)),
    }
    return {name: f"{_HEAD}{_digest(text)}\n\n{text}" for name, text in texts.items()}


def write(files: Mapping[str, str], folder: Path) -> None:
    """Write them, all or none.

    Raises:
        ConfigError: One that is there has been edited, or was not written by devkit.
    """
    edited = [name for name in files if is_edited(folder / name)]
    if edited:
        raise ConfigError(
            f"{' and '.join(str(folder / name) for name in edited)}: edited since devkit wrote "
            "it, or somebody else's",
            remedy="name another folder: --terraform DIR, and take over what has changed",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def is_edited(path: Path) -> bool:
    """Whether a file is there that is not as devkit wrote it."""
    try:
        head, _, text = path.read_text(encoding="utf-8").partition("\n\n")
    except FileNotFoundError:
        return False
    except UnicodeDecodeError:
        return True
    return head != f"{_HEAD}{_digest(text)}"


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _variables(settings: Settings) -> list[Block]:
    region: dict[str, Value] = {
        "description": "Where everything is made.",
        "type": Ref("string"),
    }
    if settings.aws.region is not None:
        region["default"] = settings.aws.region
    tags: dict[str, Value] = {
        "description": "On everything that is made.",
        "type": Ref("map(string)"),
        "default": {**settings.aws.tags, TAG: settings.name},
    }
    return [Block("variable", ("region",), region), Block("variable", ("tags",), tags)]


def _outputs(settings: Settings, names: Names) -> list[Block]:
    made: dict[str, tuple[str, Value]] = {"bucket": ("[aws] bucket", Ref("aws_s3_bucket.data.id"))}
    if settings.aws.registry is None:
        made["repository_url"] = (
            "Where devkit push pushes the image",
            Ref("aws_ecr_repository.image.repository_url"),
        )
    role: Value = Ref(f"aws_iam_role.{_ROLE}.arn") if _makes_role(settings) else names.role_arn
    made["role_arn"] = ("[aws] role", role)
    return [
        Block("output", (name,), {"description": f"{says}.", "value": value})
        for name, (says, value) in made.items()
    ]


def _main(settings: Settings, names: Names) -> list[Block]:
    return [
        *_head(),
        *_bucket(settings, names),
        *(_repository(settings, names) if settings.aws.registry is None else ()),
        *(_role(settings, names) if _makes_role(settings) else ()),
    ]


def _makes_role(settings: Settings) -> bool:
    """A role that the settings name by its ARN is somebody's already."""
    return not (settings.aws.role or "").startswith("arn:")


def _head() -> list[Block]:
    return [
        Block(
            "terraform",
            attributes={"required_version": ">= 1.3"},
            blocks=(
                Block(
                    "required_providers",
                    attributes={"aws": {"source": "hashicorp/aws", "version": ">= 5.0"}},
                ),
            ),
        ),
        Block(
            "provider",
            ("aws",),
            {"region": Ref("var.region")},
            (Block("default_tags", attributes={"tags": Ref("var.tags")}),),
        ),
        Block("data", ("aws_caller_identity", "current")),
        Block("data", ("aws_partition", "current")),
        Block(
            "locals",
            attributes={
                "account": Ref("data.aws_caller_identity.current.account_id"),
                "partition": Ref("data.aws_partition.current.partition"),
            },
        ),
    ]


def _bucket(settings: Settings, names: Names) -> list[Block]:
    its: dict[str, Value] = {"bucket": Ref("aws_s3_bucket.data.id")}
    key = settings.aws.kms_key
    default: dict[str, Value] = {"sse_algorithm": "AES256"}
    if key is not None:
        default = {"sse_algorithm": "aws:kms", "kms_master_key_id": key}
    return [
        Block("resource", ("aws_s3_bucket", "data"), {"bucket": names.bucket}),
        Block(
            "resource",
            ("aws_s3_bucket_public_access_block", "data"),
            {
                **its,
                "block_public_acls": True,
                "block_public_policy": True,
                "ignore_public_acls": True,
                "restrict_public_buckets": True,
            },
        ),
        Block(
            "resource",
            ("aws_s3_bucket_server_side_encryption_configuration", "data"),
            its,
            (
                Block(
                    "rule",
                    attributes={"bucket_key_enabled": True} if key is not None else {},
                    blocks=(Block("apply_server_side_encryption_by_default", (), default),),
                ),
            ),
        ),
    ]


def _repository(settings: Settings, names: Names) -> list[Block]:
    blocks = [Block("image_scanning_configuration", attributes={"scan_on_push": True})]
    if settings.aws.kms_key is not None:
        encryption: dict[str, Value] = {
            "encryption_type": "KMS",
            "kms_key": settings.aws.kms_key,
        }
        blocks.append(Block("encryption_configuration", (), encryption))
    return [
        Block(
            "resource",
            ("aws_ecr_repository", "image"),
            {"name": names.repository},
            tuple(blocks),
        )
    ]


def _role(settings: Settings, names: Names) -> list[Block]:
    trust = Block(
        "statement",
        attributes={"actions": ["sts:AssumeRole"]},
        blocks=(Block("principals", attributes={"type": "Service", "identifiers": [SERVICE]}),),
    )
    statements = execution_policy(names, settings)["Statement"]
    return [
        Block("data", ("aws_iam_policy_document", "trust"), {}, (trust,)),
        Block(
            "data",
            ("aws_iam_policy_document", _ROLE),
            {},
            tuple(_statement(each) for each in statements),
        ),
        Block(
            "resource",
            ("aws_iam_role", _ROLE),
            {
                "name": names.role,
                "description": f"What SageMaker may do for the devkit project {settings.name}",
                "assume_role_policy": Ref("data.aws_iam_policy_document.trust.json"),
            },
        ),
        Block(
            "resource",
            ("aws_iam_role_policy", _ROLE),
            {
                "name": POLICY_NAME,
                "role": Ref(f"aws_iam_role.{_ROLE}.id"),
                "policy": Ref(f"data.aws_iam_policy_document.{_ROLE}.json"),
            },
        ),
    ]


def _statement(statement: Mapping[str, Any]) -> Block:
    conditions = [
        Block(
            "condition",
            attributes={
                "test": test,
                "variable": variable,
                "values": value if isinstance(value, list) else [value],
            },
        )
        for test, of in statement.get("Condition", {}).items()
        for variable, value in of.items()
    ]
    return Block(
        "statement",
        attributes={
            "sid": statement["Sid"],
            "actions": statement["Action"],
            "resources": statement["Resource"],
        },
        blocks=tuple(conditions),
    )
