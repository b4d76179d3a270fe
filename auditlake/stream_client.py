"""Clients of the stream for who puts records: to a running runtime, to Data Firehose, or to Kinesis Data Streams."""

import os
from collections.abc import Callable
from typing import Any

from auditlake.bearer import bearer
from auditlake.error_store import aws_client
from auditlake.errors import RedriveError
from lambda_src.receiver.delivery import Firehose
from lambda_src.receiver.kinesis import KinesisAsFirehose

CONNECT_S, READ_S = 5, 60
"""Seconds to wait for a connection and for an answer; a batch holds 4 MiB."""


def runtime_client(url: str, token: str | None, region: str, service: str = "firehose") -> Any:  # noqa: ANN401 - boto3's
    """Return a client of `service` (firehose or kinesis) for the runtime at `url`.

    It shows the token, or signs with the AWS credentials of the environment, or, when neither is there, does not sign:
    a runtime that asks for nothing takes that.
    """
    from botocore import UNSIGNED

    signed = token is None and ("AWS_ACCESS_KEY_ID" in os.environ or "AWS_PROFILE" in os.environ)
    client = _client(service, url, region, {} if signed else {"signature_version": UNSIGNED})
    if token is not None:
        header = bearer(token)

        def show_token(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
            request.headers["Authorization"] = header

        client.meta.events.register(f"before-send.{service}", show_token)
    return client


def stream_on_aws(
    stream: str, planned_source: str | None, endpoint: str | None, region: str | None
) -> tuple[str, Firehose]:
    """Return the name of the stream that records for a delivery stream are put into, and a client that does it.

    That is the delivery stream, or the data stream that it reads, for then Firehose refuses PutRecordBatch (A6,
    documented). `planned_source` counts where the delivery stream may not be looked at; who may put need not be allowed
    to look. Raises RedriveError for a stream that is not there or does not answer, before anything is put.
    """
    firehose = _client("firehose", endpoint, region, {})
    described = _look(
        firehose, f"delivery stream {stream}", lambda: firehose.describe_delivery_stream(DeliveryStreamName=stream)
    )
    source = planned_source if described is None else _source(described)
    if source is None:
        return stream, firehose
    firehose.close()
    kinesis = _client("kinesis", endpoint, region, {})
    _look(kinesis, f"data stream {source}", lambda: kinesis.describe_stream_summary(StreamName=source))
    return source, KinesisAsFirehose(kinesis)


def _source(described: dict[str, Any]) -> str | None:
    source = described["DeliveryStreamDescription"].get("Source", {}).get("KinesisStreamSourceDescription")
    return None if source is None else str(source["KinesisStreamARN"]).rpartition("/")[2]


def _look(client: Any, what: str, describe: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:  # noqa: ANN401 - boto3's
    """Return what a stream is described as, None to whom may not look; then the first batch shows what is wrong."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return describe()
    except ClientError as error:
        if error.response["Error"].get("Code") == "ResourceNotFoundException":
            raise RedriveError(
                f"There is no {what} in {client.meta.region_name}; name the delivery stream with --stream, its region "
                "with --region."
            ) from None
        return None
    except BotoCoreError as error:
        raise RedriveError(f"The {what} cannot be reached: {str(error).rstrip('.')}.") from None


def _client(service: str, endpoint: str | None, region: str | None, config: dict[str, Any]) -> Any:  # noqa: ANN401 - boto3's
    # `deliver` itself tries again, and only what failed; the SDK would put whole batches again.
    return aws_client(
        service,
        endpoint,
        region,
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"total_max_attempts": 1},
        **config,
    )
