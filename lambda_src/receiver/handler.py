"""The entry point of the receiver Lambda: settings, stream client, logs and metrics around `receive`."""

# ruff: noqa: E402  # the imports come after gc.disable, which is there for them

import gc

# What is imported stays for good: looking through it for garbage, now and later, takes 4 ms of a cold start.
gc.disable()

import os
import random
import time
from typing import Any, Protocol

import boto3  # from the Lambda runtime, not in the zip
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config

from lambda_src.common import settings
from lambda_src.receiver.delivery import Clock, Firehose
from lambda_src.receiver.kinesis import KinesisAsFirehose
from lambda_src.receiver.problem import Problem
from lambda_src.receiver.receive import Outcome, ReceiverSettings, receive
from lambda_src.receiver.request import parse_request
from lambda_src.receiver.response import outcome_response, problem_response

API_S = 29.0
"""How long API Gateway waits for an integration (F1, documented); what is answered later, nobody hears."""
ANSWER_S = 1.0
"""What is kept for making the answer and its way back."""
LONGEST_WAY_S = 10.0
"""What a request may have waited for this function to start (Lambda's limit); a clock that says more is wrong."""

# With a data stream before it, the delivery stream takes nothing that is put to itself (A3).
READS_KINESIS = "KINESIS_STREAM_NAME" in os.environ
SETTINGS = ReceiverSettings(
    stream=settings.text(os.environ, "KINESIS_STREAM_NAME" if READS_KINESIS else "DELIVERY_STREAM_NAME"),
    packing=settings.true_or_false(os.environ, "PACKING"),
)
logger = Logger()
metrics = Metrics()
# Retries are `deliver`'s, which knows the time left and sends only what failed; one call stays within its CALL_S.
CONFIG = Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1})
firehose: Firehose = (
    KinesisAsFirehose(boto3.client("kinesis", config=CONFIG))
    if READS_KINESIS
    else boto3.client("firehose", config=CONFIG)
)
gc.freeze()
gc.enable()


class LambdaContext(Protocol):
    """What is used of the context that Lambda passes."""

    def get_remaining_time_in_millis(self) -> int:
        """Say how long the function may still run."""


def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer POST /events/batch, and POST /events in receiver mode."""
    on_its_way_s: float = time.time() - event["requestContext"]["requestTimeEpoch"] / 1000
    started = time.monotonic() - min(max(on_its_way_s, 0.0), LONGEST_WAY_S)

    def remaining_s() -> float:
        left_here = context.get_remaining_time_in_millis() / 1000
        return min(left_here, API_S - (time.monotonic() - started)) - ANSWER_S

    clock = Clock(remaining_s, time.sleep, lambda longest: random.uniform(0, longest))  # noqa: S311  # jitter is no secret
    try:
        request = parse_request(event)
        outcome = receive(request, SETTINGS, firehose, clock)
    except Problem as problem:
        logger.warning(problem.detail, status=problem.status)
        return problem_response(problem)
    _tell(request.request_id, outcome)
    return outcome_response(request, outcome)


def _tell(request_id: str, outcome: Outcome) -> None:
    """Log and count what became of the events; never their content."""
    counts = {
        "AcceptedEvents": len(outcome.durable),
        "RejectedEvents": len(outcome.rejected),
        "RetryEvents": len(outcome.retry),
    }
    if outcome.fault is not None:
        logger.error(
            "The delivery stream refused the request.", fault=outcome.fault, request_id=request_id, counts=counts
        )
    else:
        logger.info("Received events.", request_id=request_id, counts=counts)
    for name, value in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    metrics.flush_metrics()
