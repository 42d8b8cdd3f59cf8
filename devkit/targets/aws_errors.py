"""What botocore raises, translated once: what happened and what to do about it.

``CallFailed.code`` is AWS's own name of the error; ``None`` where no service answered.
"""

from __future__ import annotations

from typing import Any

from devkit.targets.clients import CallFailed

_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
)
_INVALID = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException"}
)
_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
_PERMISSIONS = {"sagemaker-runtime": "sagemaker"}  # of what service they are
_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
_QUOTA = frozenset({"ResourceLimitExceeded", "ServiceQuotaExceededException"})


def translated(
    error: Exception, *, service: str, operation: str, profile: str | None, about: str = ""
) -> CallFailed:
    """The error of a call as devkit's own.

    Args:
        error: A ``BotoCoreError``, a ``ClientError`` or an address that is none.
        service: By botocore's name.
        operation: By AWS's name.
        profile: The one that the settings name.
        about: What the call was about, where the error does not say it.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415 - an extra

    prefix = f"{about}: " if about else ""
    if isinstance(error, ClientError):
        answer: dict[str, Any] = error.response.get("Error", {})
        code = str(answer.get("Code") or "Unknown")
        message = str(answer.get("Message") or "it gives no reason")
        remedy = _remedy_of_code(code, service, operation, profile)
        return CallFailed(operation, code, prefix + message, remedy=remedy)
    remedy = _remedy_of_kind(error, profile)
    return CallFailed(operation, None, prefix + str(error), remedy=remedy)


def log_in(profile: str | None) -> str:
    """What to do about credentials."""
    flag = f" --profile {profile}" if profile else ""
    return (
        f"log in: aws sso login{flag}, or aws configure{flag}; [aws] profile in devkit.toml or "
        "AWS_PROFILE names another profile"
    )


def _remedy_of_code(code: str, service: str, operation: str, profile: str | None) -> str | None:
    who = f"aws sts get-caller-identity{f' --profile {profile}' if profile else ''}"
    action = f"{_PERMISSIONS.get(service, service)}:{operation}"
    remedies = (
        (_EXPIRED, f"the credentials have expired. {_capital(log_in(profile))}"),
        (_INVALID, f"AWS does not take these credentials: see {who}. {_capital(log_in(profile))}"),
        (
            _DENIED,
            f"{who} shows who you are; let that identity {action}, or name another [aws] profile",
        ),
        (_THROTTLED, "AWS slows you down, after several tries: wait a minute, and try again"),
        (_CLOCK, "set the clock of this machine"),
        (_QUOTA, "ask for more in the console of Service Quotas, or take another instance type"),
    )
    return next((remedy for codes, remedy in remedies if code in codes), None)


def _remedy_of_kind(error: Exception, profile: str | None) -> str | None:
    from botocore import exceptions  # noqa: PLC0415 - an extra

    credentials = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.SSOError,
        exceptions.TokenRetrievalError,
        exceptions.InvalidConfigError,
        exceptions.RefreshWithMFAUnsupportedError,
    )
    network = (exceptions.ConnectionError, exceptions.HTTPClientError)
    if isinstance(error, credentials):
        return log_in(profile)
    if isinstance(error, network):
        return (
            "see that this machine has a network, and that [aws] region, HTTPS_PROXY and "
            "AWS_ENDPOINT_URL are right"
        )
    if isinstance(error, exceptions.NoRegionError):
        return "set [aws] region in devkit.toml, or AWS_DEFAULT_REGION"
    return None


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
