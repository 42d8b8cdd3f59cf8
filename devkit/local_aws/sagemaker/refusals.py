"""What SageMaker refuses, in its own codes and words (contract, section 5)."""

from __future__ import annotations

from devkit.local_aws.errors import AwsError, validation

# How messages call a kind of resource, where that is not the ARN's word with spaces.
_CALLED = {"endpoint-config": "endpoint configuration"}


def not_found(kind: str, arn: str) -> AwsError:
    """There is no such resource."""
    if kind == "training-job":
        return validation("Requested resource not found.")
    return validation(f'Could not find {_called(kind)} "{arn}".')


def already_exists(kind: str, arn: str) -> AwsError:
    """There is such a resource."""
    if kind == "training-job":
        return AwsError(
            "ResourceInUse",
            "Training job names must be unique within an AWS account and region, and a training "
            f"job with this name already exists ({arn})",
        )
    return validation(f'Cannot create already existing {_called(kind)} "{arn}".')


def in_progress(kind: str, arn: str) -> AwsError:
    """It is being made, changed or deleted."""
    return validation(f'Cannot update in-progress {_called(kind)} "{arn}".')


def no_objects(uri: str, *, region: str, role: str, bucket: str) -> AwsError:
    """A channel of a training job has no data."""
    return validation(
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that '
        f"the bucket exists in the selected region ({region}), that objects exist under that S3 "
        f'prefix, and that the role "{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )


def no_model_data(uri: str) -> AwsError:
    """A model's artifact is not there."""
    return validation(f"Could not find model data at {uri}.")


def cannot_pull(image: str) -> str:
    """Why a job or an endpoint with this image fails; also what a request with it is refused with.

    The beginning is undocumented.
    """
    return (
        f"The image cannot be used: cannot pull {image}. Ensure that the role exists and the image "
        "was granted pull permission."
    )


def wrong_token() -> AwsError:
    """A page was asked for that no answer has named (the text is undocumented)."""
    return validation("NextToken is not one that this operation has returned for these parameters.")


def _called(kind: str) -> str:
    return _CALLED.get(kind, kind.replace("-", " "))
