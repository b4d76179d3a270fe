"""What AWS's error answers mean."""

import pytest

from auditlake.aws_ask import Absent, CannotAsk, CouldNotLook, explained, iam_action


def answer(code: str, message: str = "", status: int = 400) -> dict[str, object]:
    """Return an error response as botocore has it."""
    return {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}


@pytest.mark.parametrize(
    ("code", "message", "action"),
    [
        ("AccessDenied", "Access Denied", "s3:GetBucketPolicy"),
        (
            "AccessDeniedException",
            "User: arn:x is not authorized to perform: kms:Decrypt on resource: y",
            "kms:Decrypt",
        ),
        ("AuthorizationError", "", "s3:GetBucketPolicy"),
    ],
)
def test_a_denial_names_the_action(code: str, message: str, action: str) -> None:
    """That which AWS names, else that which the operation needs."""
    found = explained(answer(code, message, 403), "s3:GetBucketPolicy")
    assert isinstance(found, CouldNotLook)
    assert found.action == action
    assert action in str(found)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("NoSuchBucketPolicy", ""),
        ("ObjectLockConfigurationNotFoundError", ""),
        ("EntityNotFoundException", ""),
        ("ResourceNotFoundException", ""),
        ("InvalidRequestException", "WorkGroup auditlake is not found."),
    ],
)
def test_what_is_not_there_is_an_answer(code: str, message: str) -> None:
    """An absent part of the stack is no failure of asking."""
    assert isinstance(explained(answer(code, message), "any:Action"), Absent)


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId", "UnrecognizedClientException"])
def test_bad_credentials_end_everything(code: str) -> None:
    """No further question would be answered."""
    assert isinstance(explained(answer(code), "any:Action"), CannotAsk)


@pytest.mark.parametrize("code", ["Throttling", "InternalError", "501"])
def test_any_other_refusal_is_not_taken_for_absence(code: str) -> None:
    """Nobody could look, and no permission would help."""
    found = explained(answer(code, "Page not found", 500), "any:Action")
    assert isinstance(found, CouldNotLook)
    assert (found.action, code in str(found)) == ("", True)


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("firehose", "describe_delivery_stream", "firehose:DescribeDeliveryStream"),
        ("s3", "list_objects_v2", "s3:ListBucket"),
        ("s3", "get_bucket_encryption", "s3:GetEncryptionConfiguration"),
        ("apigateway", "get_stage", "apigateway:GET"),
    ],
)
def test_actions_are_those_of_iam(service: str, operation: str, action: str) -> None:
    """An operation is not always called as the action that it needs."""
    assert iam_action(service, operation) == action
