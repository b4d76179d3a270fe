"""Questions to AWS: one boto3 call each, with time-outs, and what a refusal means in a sentence.

An answer is one of three: what was asked for, that it is not there (`Absent`), or that nobody could look
(`CouldNotLook`), with the IAM action that was missing. What stops every question is `CannotAsk`.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from auditlake.error_store import aws_client
from auditlake.errors import AuditlakeError

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 15
ATTEMPTS = 2

_DENIED = re.compile(r"AccessDenied|^403$|Unauthorized(Operation|Access)?$|AuthorizationError|NotAuthorized")
_CREDENTIALS = re.compile(
    r"ExpiredToken|InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch|InvalidAccessKeyId|InvalidToken|"
    r"MissingAuthenticationToken|IncompleteSignature|InvalidSignature|AuthFailure"
)
_ABSENT = re.compile(r"NotFound|^NoSuch|NonExistent|^404$")
_NAMED = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z*]+)")

# Where IAM's action is not called as the operation is, by the service authorization reference.
_ACTIONS = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "cloudwatch:GetMetricData": "cloudwatch:GetMetricData",
}


class Absent(Exception):  # noqa: N818 - an answer, not an error
    """What was asked about is not there; the message is AWS's."""


class CouldNotLook(Exception):  # noqa: N818 - an answer, not an error
    """A question was not answered; `action` is the IAM action that was missing, empty for another reason."""

    def __init__(self, why: str, action: str = "") -> None:
        """Say why in a sentence."""
        super().__init__(why)
        self.action = action


class CannotAsk(AuditlakeError):  # noqa: N818 - as its two siblings
    """Nothing can be asked: no credentials, no region, or nobody answers."""


@dataclass
class Aws:
    """boto3's clients of an account and region, made when they are first needed; `endpoint` is None for AWS."""

    endpoint: str | None = None
    region: str | None = None
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3's
        """Return the client of a service; raises CannotAsk without boto3 or a region."""
        if service not in self._clients:
            retries = {"max_attempts": ATTEMPTS, "mode": "standard"}
            try:
                made = aws_client(
                    service,
                    self.endpoint,
                    self.region or os.environ.get("AWS_REGION") or None,  # boto3 reads AWS_DEFAULT_REGION alone
                    connect_timeout=CONNECT_TIMEOUT_S,
                    read_timeout=READ_TIMEOUT_S,
                    retries=retries,
                )
            except AuditlakeError as error:
                raise CannotAsk(str(error)) from None
            if not made.meta.region_name:
                raise CannotAsk("No AWS region is known: give --region, or set AWS_REGION or AWS_PROFILE.")
            self._clients[service] = made
        return self._clients[service]

    def region_name(self) -> str:
        """Return the region that is asked; raises CannotAsk when none is known."""
        return str(self.client("firehose").meta.region_name)

    def account_id(self) -> str:
        """Return the account of the credentials, which needs no permission; raises CannotAsk."""
        try:
            return str(self.ask("sts", "get_caller_identity")["Account"])
        except (Absent, CouldNotLook) as error:
            raise CannotAsk(f"AWS does not say whose credentials these are: {error}") from None

    def ask(self, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:  # noqa: ANN401 - boto3's
        """Return the answer to one operation; raises Absent, CouldNotLook or CannotAsk."""
        call = getattr(self.client(service), operation)
        answer: Mapping[str, Any] = self._explained(service, operation, lambda: call(**parameters))
        return answer

    def pages(self, service: str, operation: str, limit: int, **parameters: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401
        """Yield at most `limit` pages of an operation; raises as `ask`."""
        pages = iter(self.client(service).get_paginator(operation).paginate(**parameters))
        for _ in range(limit):
            page = self._explained(service, operation, lambda: next(pages, None))
            if page is None:
                return
            yield page

    def _explained(self, service: str, operation: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - boto3's
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            HTTPClientError,
            NoCredentialsError,
            PartialCredentialsError,
        )
        from botocore.exceptions import ConnectionError as NoConnectionError

        action = iam_action(service, operation)
        try:
            return call()
        except ClientError as error:
            raise explained(error.response, action) from None
        except (NoCredentialsError, PartialCredentialsError):
            raise CannotAsk(
                "No AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                "log in by: aws sso login"
            ) from None
        except (NoConnectionError, HTTPClientError) as error:
            sentence = f"{service} does not answer: {str(error).rstrip('.')}."
            raise (CannotAsk(sentence) if service == "sts" else CouldNotLook(sentence)) from None
        except BotoCoreError as error:
            kind = CannotAsk if "redential" in type(error).__name__ or "Token" in type(error).__name__ else CouldNotLook
            raise kind(f"{service} cannot be asked: {str(error).rstrip('.')}.") from None


def iam_action(service: str, operation: str) -> str:
    """Return the IAM action that an operation of boto3 needs, e.g. `firehose:DescribeDeliveryStream`."""
    if service == "apigateway":
        return "apigateway:GET"
    name = "".join(part.capitalize() for part in operation.split("_")).replace("Sns", "SNS")
    action = f"{service}:{name}"
    return _ACTIONS.get(action, action)


def explained(response: Mapping[str, Any], action: str) -> Exception:
    """Return what an error answer of AWS means; `action` is the one that the question needs, if AWS names none."""
    error = response.get("Error", {})
    code, message = str(error.get("Code", "")), str(error.get("Message", "")).rstrip(".")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if _CREDENTIALS.search(code):
        return CannotAsk(f"AWS refuses these credentials: {code}: {message}. Renew them, or see AWS_PROFILE.")
    if _DENIED.search(code):
        named = _NAMED.search(message)
        missing = named[1] if named else action
        return CouldNotLook(f"these credentials need {missing}", missing)
    # Athena says InvalidRequestException of a workgroup that is not there.
    if _ABSENT.search(code) or (status < 500 and re.search(r"not found|does not exist", message, re.IGNORECASE)):
        return Absent(f"{code}: {message}")
    return CouldNotLook(f"{action} was answered {code}: {message or 'without a message'}")
