"""Clients of the delivery stream for who puts records: to a running runtime, or to Data Firehose."""

import os
from typing import Any

from auditlake.bearer import bearer
from auditlake.error_store import aws_client
from auditlake.errors import RedriveError

CONNECT_S, READ_S = 5, 60
"""Seconds to wait for a connection and for an answer; a batch holds 4 MiB."""


def runtime_client(url: str, token: str | None, region: str) -> Any:  # noqa: ANN401 - boto3's
    """Return a Firehose client for the runtime at `url`.

    It shows the token, or signs with the AWS credentials of the environment, or, when neither is there, does not sign:
    a runtime that asks for nothing takes that.
    """
    from botocore import UNSIGNED

    signed = token is None and ("AWS_ACCESS_KEY_ID" in os.environ or "AWS_PROFILE" in os.environ)
    client = _client(url, region, {} if signed else {"signature_version": UNSIGNED})
    if token is not None:
        header = bearer(token)

        def show_token(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
            request.headers["Authorization"] = header

        client.meta.events.register("before-send.firehose", show_token)
    return client


def firehose_client(stream: str, endpoint: str | None, region: str | None) -> Any:  # noqa: ANN401 - boto3's
    """Return a Firehose client after a look at the stream, so that a wrong name shows at once; raises RedriveError.

    Who may put need not be allowed to look; then the first batch shows it.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    client = _client(endpoint, region, {})
    try:
        client.describe_delivery_stream(DeliveryStreamName=stream)
    except ClientError as error:
        if error.response["Error"].get("Code") == "ResourceNotFoundException":
            raise RedriveError(
                f"There is no delivery stream {stream} in {client.meta.region_name}; name it with --stream, its region "
                "with --region."
            ) from None
    except BotoCoreError as error:
        raise RedriveError(f"The delivery stream {stream} cannot be reached: {str(error).rstrip('.')}.") from None
    return client


def _client(endpoint: str | None, region: str | None, config: dict[str, Any]) -> Any:  # noqa: ANN401 - boto3's
    # `deliver` itself tries again, and only what failed; the SDK would put whole batches again.
    return aws_client(
        "firehose",
        endpoint,
        region,
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"total_max_attempts": 1},
        **config,
    )
