"""What does harm in a delivery stream and its transform: each trap, planted alone, is found once by its name."""

from typing import Any

import pytest

from auditlake.checks.stream_warnings import WARNINGS
from tests.broken_plans import Draft, Edit, both, names, put

TYPES = ",".join(f"type{n}" for n in range(60))
ROLE = "arn:aws:iam::123456789012:role/auditlake-events"


def _transform(draft: Draft) -> dict[str, Any]:
    return draft.values("aws_lambda_function", "transform")


def _variables(draft: Draft, **variables: str) -> None:
    put(_transform(draft)["environment"][0]["variables"], **variables)


def _encrypted(draft: Draft) -> None:
    """Have the bucket encrypt with KMS, with a bucket key."""
    rule = draft.values("aws_s3_bucket_server_side_encryption_configuration", '["events"]')["rule"][0]
    put(rule, bucket_key_enabled=True)
    put(rule["apply_server_side_encryption_by_default"][0], sse_algorithm="aws:kms", kms_master_key_id="k")


def _buffer(draft: Draft, size: str, interval: str) -> None:
    draft.parameter("BufferSizeInMBs", size)
    draft.parameter("BufferIntervalInSeconds", interval)


def _own_role(draft: Draft, role: str) -> None:
    draft.s3["role_arn"] = ROLE
    draft.parameter("RoleArn", role)


def _unpartitioned(draft: Draft, prefix: str) -> None:
    draft.s3.update(dynamic_partitioning_configuration=[], prefix=prefix)


TRAPS: list[tuple[str, Edit]] = [
    ("open-partitions", lambda d: _variables(d, AUDIT_TYPES=TYPES)),
    ("open-partitions", lambda d: _variables(d, EVENT_DAYS_BACK="40")),
    ("transform-timeout-short", lambda d: put(_transform(d), timeout=3)),
    ("transform-timeout-short", lambda d: put(_transform(d), timeout=59)),
    ("transform-timeout-long", lambda d: put(_transform(d), timeout=301)),
    ("processor-default-written", lambda d: d.parameter("NumberOfRetries", "3")),
    ("processor-default-written", lambda d: _buffer(d, "1", "90")),
    ("processor-default-written", lambda d: _buffer(d, "2", "60")),
    ("processor-default-written", lambda d: _own_role(d, ROLE)),
    ("lambda-answer-size", lambda d: _buffer(d, "3", "90")),
    ("stream-not-logged", lambda d: put(d.s3["cloudwatch_logging_options"][0], enabled=False)),
    ("stream-not-logged", lambda d: d.s3.pop("cloudwatch_logging_options")),
    (
        "errors-among-events",
        lambda d: put(d.s3, error_output_prefix="events/errors/!{firehose:error-output-type}/"),
    ),
    ("kms-key-not-named", _encrypted),
    ("partition-by-arrival", lambda d: _unpartitioned(d, "events/")),
    (
        "hive-json-serde",
        lambda d: put(
            d.conversion["input_format_configuration"][0]["deserializer"][0],
            open_x_json_ser_de=[],
            hive_json_ser_de=[{"timestamp_formats": ["millis"]}],
        ),
    ),
]

FINE: list[tuple[str, Edit]] = [
    ("500 partitions, the most of a stream", lambda d: _variables(d, AUDIT_TYPES="a,b,c", EVENT_DAYS_BACK="123")),
    ("a transform without variables", lambda d: put(_transform(d), environment=[])),
    ("a minute for the transform", lambda d: put(_transform(d), timeout=60)),
    ("as long as Firehose waits", lambda d: put(_transform(d), timeout=300)),
    ("a role of the processor's own", lambda d: _own_role(d, ROLE + "-transform")),
    (
        "parameters that are no defaults",
        both(lambda d: d.parameter("NumberOfRetries", "5"), lambda d: _buffer(d, "2.5", "90")),
    ),
    ("the bucket's key, named", both(lambda d: _encrypted(d), lambda d: put(d.s3, kms_key_arn="k"))),
    ("the bucket's key, not known yet", both(lambda d: _encrypted(d), lambda d: d.s3.pop("kms_key_arn"))),
    (
        "errors beside the events",
        lambda d: put(d.s3, error_output_prefix="events-errors/!{firehose:error-output-type}/"),
    ),
]


@pytest.mark.parametrize(("name", "edit"), TRAPS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(TRAPS)])
def test_a_planted_trap_is_found_once_by_its_name(name: str, edit: Edit) -> None:
    """The default plan with one trap has one finding, the trap."""
    assert names(edit) == [name]


@pytest.mark.parametrize("edit", [edit for _, edit in FINE], ids=[what for what, _ in FINE])
def test_what_does_no_harm_is_not_found(edit: Edit) -> None:
    """Values at the edge of harm, and values that are not known before the apply, have no finding."""
    assert names(edit) == []


def test_every_check_has_a_planted_trap() -> None:
    """No check is without a plan that it finds something in."""
    assert {check.name for check in WARNINGS} == {name for name, _ in TRAPS}


def test_the_open_partitions_are_counted() -> None:
    """The sentence tells types, days and their product, with one type more for `other` and a day for today."""
    draft = Draft()
    _variables(draft, AUDIT_TYPES=TYPES)
    (finding,) = draft.findings()

    assert finding.says.startswith("61 audit types over 9 days are 549 partitions that can be open at once")
    assert finding.came == 549
    assert finding.address == "module.delivery.aws_lambda_function.transform"


def test_a_function_whose_arn_is_not_known_yet_is_found_when_it_is_the_only_one() -> None:
    """A plan that makes the function by reference still tells its timeout."""
    draft = Draft()
    del draft.processors[0]["parameters"][0]["parameter_value"]
    put(_transform(draft), timeout=3)
    assert [finding.check for finding in draft.findings()] == []

    draft.drop("aws_lambda_function", "receiver")
    assert [finding.check for finding in draft.findings()] == ["transform-timeout-short"]
