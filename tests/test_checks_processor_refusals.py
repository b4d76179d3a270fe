"""What AWS refuses of a stream's processors: each fault, planted alone, is found once by its name."""

import pytest

from auditlake.checks.processor_refusals import REFUSALS
from tests.broken_plans import Draft, Edit, both, names, put

ARN = "arn:aws:lambda:us-east-1:123456789012:function:auditlake-transform"


def _extraction(draft: Draft, *parameters: tuple[str, str]) -> None:
    given = [{"parameter_name": name, "parameter_value": value} for name, value in parameters]
    draft.processors.append({"type": "MetadataExtraction", "parameters": given})


def _unpartitioned(draft: Draft) -> None:
    draft.s3.update(dynamic_partitioning_configuration=[], prefix="events/!{timestamp:yyyy}/")


def _buffer(draft: Draft, size: str, interval: str) -> None:
    draft.parameter("BufferSizeInMBs", size)
    draft.parameter("BufferIntervalInSeconds", interval)


FAULTS: list[tuple[str, Edit]] = [
    ("partitioning-without-processing", lambda d: put(d.s3["processing_configuration"][0], enabled=False)),
    ("partitioning-without-processing", lambda d: put(d.s3, processing_configuration=[])),
    (
        "partition-keys-without-lambda",
        lambda d: put(d.processors[0], type="AppendDelimiterToRecord", parameters=[]),
    ),
    (
        "partition-keys-without-extraction",
        lambda d: put(d.s3, prefix=d.s3["prefix"] + "q=!{partitionKeyFromQuery:q}/"),
    ),
    (
        "extraction-without-partitioning",
        both(
            lambda d: _unpartitioned(d),
            lambda d: _extraction(d, ("JsonParsingEngine", "JQ-1.6"), ("MetadataExtractionQuery", "{q:.q}")),
        ),
    ),
    (
        "extraction-parameters",
        lambda d: _extraction(d, ("JsonParsingEngine", "JQ-1.7"), ("MetadataExtractionQuery", "{q:.q}")),
    ),
    ("extraction-parameters", lambda d: _extraction(d, ("JsonParsingEngine", "JQ-1.6"))),
    ("processor-count", lambda d: d.processors.clear()),
    (
        "processor-count",
        lambda d: d.processors.extend([{"type": "AppendDelimiterToRecord", "parameters": []}] * 5),
    ),
    ("several-lambda-processors", lambda d: d.processors.append(d.processors[0])),
    ("processor-parameter-repeated", lambda d: d.parameter("LambdaArn", ARN)),
    ("lambda-arn-missing", lambda d: put(d.processors[0], parameters=[])),
    ("lambda-arn", lambda d: put(d.processors[0]["parameters"][0], parameter_value="auditlake-transform")),
    ("lambda-buffer-half", lambda d: d.parameter("BufferIntervalInSeconds", "90")),
    ("lambda-buffer-half", lambda d: d.parameter("BufferSizeInMBs", "2")),
    ("lambda-buffer-size", lambda d: _buffer(d, "3.1", "90")),
    ("lambda-buffer-size", lambda d: _buffer(d, "0.1", "90")),
    ("lambda-buffer-interval", lambda d: _buffer(d, "2", "901")),
    ("lambda-retries", lambda d: d.parameter("NumberOfRetries", "301")),
    ("lambda-retries", lambda d: d.parameter("NumberOfRetries", "many")),
]

FINE: list[tuple[str, Edit]] = [
    ("a buffer of the Lambda", lambda d: _buffer(d, "0.2", "0")),
    ("the most retries", lambda d: d.parameter("NumberOfRetries", "300")),
    ("a LambdaArn that is not known yet", lambda d: d.processors[0]["parameters"][0].pop("parameter_value")),
    (
        "a jq query beside the Lambda",
        both(
            lambda d: _extraction(d, ("JsonParsingEngine", "JQ-1.6"), ("MetadataExtractionQuery", "{q:.q}")),
            lambda d: put(d.s3, prefix=d.s3["prefix"] + "q=!{partitionKeyFromQuery:q}/"),
        ),
    ),
]


@pytest.mark.parametrize(("name", "edit"), FAULTS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(FAULTS)])
def test_a_planted_fault_is_found_once_by_its_name(name: str, edit: Edit) -> None:
    """The default plan with one fault has one finding, the fault."""
    assert names(edit) == [name]


@pytest.mark.parametrize("edit", [edit for _, edit in FINE], ids=[what for what, _ in FINE])
def test_what_aws_takes_is_not_found(edit: Edit) -> None:
    """Values at the edge of what AWS takes, and values that are not known before the apply, have no finding."""
    assert names(edit) == []


def test_every_check_has_a_planted_fault() -> None:
    """No check is without a plan that it finds something in."""
    assert {check.name for check in REFUSALS} == {name for name, _ in FAULTS}
