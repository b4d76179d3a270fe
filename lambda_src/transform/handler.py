"""The entry point of the transform Lambda: settings, logs and metrics around `answer_records`."""

# ruff: noqa: E402  # the imports come after gc.disable, which is there for them

import gc

# What is imported stays for good: looking through it for garbage, now and later, takes 4 ms of a cold start.
gc.disable()

import os
import sys
from typing import Any

from lambda_src.common.quick_import import loading_lazily, without_typing_extensions

UNUSED = ("ast", "tokenize", "random", "aws_lambda_powertools.utilities.jmespath_utils")
"""What the logger imports for sampling, correlation ids and reading source text, none of which happens here."""

with without_typing_extensions(), loading_lazily(*UNUSED):
    import msgspec
    from aws_lambda_powertools import Logger, Metrics
    from aws_lambda_powertools.metrics import MetricUnit

from lambda_src.common import settings
from lambda_src.transform.answer import Answer, answer_records

RULE = settings.partition_rule(os.environ)
logger = Logger()
metrics = Metrics()
gc.freeze()
# A batch makes some objects a record and no cycles: looking for these at every 700 objects takes a tenth of its time.
gc.set_threshold(100_000)
gc.enable()


def handle(event: dict[str, Any], _context: object) -> object:
    """Answer one invocation by Firehose (B1, B2, documented)."""
    answer = answer_records(event["records"], RULE)
    _log(event, answer)
    _count(answer)
    return _result(answer.text)


def _result(text: str) -> object:
    """Give the text in the form that the runtime client need not encode again.

    Lambda's runtime client for Python encodes with simplejson, which passes a RawJSON through (read in awslambdaric
    4.2.2); it has loaded that module before this one. Any other caller gets the plain object.
    """
    simplejson = sys.modules.get("simplejson")
    if simplejson is None:
        return msgspec.json.decode(text)
    return simplejson.RawJSON(text)


def _log(event: dict[str, Any], answer: Answer) -> None:
    """Say why a record failed; a line a record, since each is one that somebody has to redrive. Never its content."""
    for failure in answer.failures:
        logger.error(
            failure.reason,
            record_id=failure.record_id,
            invocation_id=event.get("invocationId"),
            result="ProcessingFailed",
        )


def _count(answer: Answer) -> None:
    counts = answer.counts
    for name, value in (
        ("Events", counts.events),
        ("EventsWithProblems", counts.problems),
        ("LateEvents", counts.late),
        ("OtherTypeEvents", counts.other_type),
        ("FailedRecords", len(answer.failures)),
    ):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    metrics.flush_metrics()
