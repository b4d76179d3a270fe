"""The entry point of the canary Lambda: posts the event of this interval, looks for an earlier one, counts both."""

import os
import time
from collections.abc import Callable
from typing import Any, Protocol

import boto3  # from the Lambda runtime, not in the zip
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

from lambda_src.canary.find import Clock, FindError, Table, is_found
from lambda_src.canary.post import PostError, event, post
from lambda_src.common import settings

SLOTS_BACK = 2
"""The event that is looked for was posted so many intervals ago, so that a slow delivery is no absence."""

ENDPOINT = settings.text(os.environ, "ENDPOINT")
INTERVAL_S = settings.whole_number(os.environ, "INTERVAL_S", 60, 86_400)
TABLE = Table(
    settings.text(os.environ, "WORKGROUP"),
    settings.text(os.environ, "DATABASE"),
    settings.text(os.environ, "TABLE"),
    settings.text(os.environ, "AUDIT_TYPE"),
)
logger = Logger()
metrics = Metrics()
session = boto3.Session()
athena = session.client("athena")


class LambdaContext(Protocol):
    """What is used of the context that Lambda passes."""

    def get_remaining_time_in_millis(self) -> int:
        """Say how long the function may still run."""


def handle(_event: dict[str, Any], context: LambdaContext, now: Callable[[], float] = time.time) -> None:
    """Post and look; what fails is counted as 0, which the alarm looks at, and logged with its reason."""
    slot_s = int(now()) // INTERVAL_S * INTERVAL_S
    clock = Clock(lambda: context.get_remaining_time_in_millis() / 1000, time.sleep)
    _count("CanaryPosted", _posted(slot_s))
    _count("CanaryFound", _found(slot_s - SLOTS_BACK * INTERVAL_S, clock))
    metrics.flush_metrics()


def _posted(slot_s: int) -> bool:
    credentials = session.get_credentials()
    if credentials is None:
        logger.error("The function has no credentials to sign with.")
        return False
    try:
        post(f"{ENDPOINT}/events", str(session.region_name), credentials, event(slot_s))
    except PostError as error:
        logger.error("The canary's event was not accepted.", reason=str(error))
        return False
    return True


def _found(slot_s: int, clock: Clock) -> bool:
    try:
        found = is_found(athena, TABLE, slot_s, clock)
    except (FindError, ClientError, BotoCoreError) as error:
        logger.error("Athena did not say whether the canary's event is there.", reason=str(error))
        return False
    if not found:
        logger.error("The canary's event is not in the table.", slot_s=slot_s)
    return found


def _count(name: str, value: bool) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=int(value))
