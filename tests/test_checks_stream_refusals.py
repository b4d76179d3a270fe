"""What AWS refuses of a delivery stream itself: each fault, planted alone, is found once by its name."""

import pytest

from auditlake.checks.stream_refusals import REFUSALS
from tests.broken_plans import Draft, Edit, names, put


def _sse(draft: Draft, **members: object) -> None:
    put(draft.stream["server_side_encryption"][0], **members)


FAULTS: list[tuple[str, Edit]] = [
    ("stream-name", lambda d: put(d.stream, name="events of today")),
    ("stream-name", lambda d: put(d.stream, name="e" * 65)),
    ("stream-key-arn-missing", lambda d: _sse(d, key_type="CUSTOMER_MANAGED_CMK")),
    ("stream-key-arn-unused", lambda d: _sse(d, key_arn="arn:aws:kms:us-east-1:123456789012:key/k")),
    ("stream-encrypted-with-source", lambda d: put(d.stream, kinesis_source_configuration=[{"role_arn": "r"}])),
    ("buffering-size", lambda d: put(d.s3, buffering_size=129)),
    ("buffering-size", lambda d: put(d.s3, buffering_size=0)),
    ("buffering-interval", lambda d: put(d.s3, buffering_interval=901)),
    ("partitioning-buffering-size", lambda d: put(d.s3, buffering_size=63)),
    ("partitioning-buffering-interval", lambda d: put(d.s3, buffering_interval=59)),
    ("partitioning-retry-duration", lambda d: put(d.s3["dynamic_partitioning_configuration"][0], retry_duration=7201)),
    ("custom-time-zone", lambda d: put(d.s3, custom_time_zone="Etc/GMT+2")),
    ("custom-time-zone", lambda d: put(d.s3, custom_time_zone="Asia/Kolkata")),
    ("custom-time-zone", lambda d: put(d.s3, custom_time_zone="Mars/Phobos")),
    ("custom-time-zone", lambda d: put(d.s3, custom_time_zone="EST")),
    ("file-extension", lambda d: put(d.s3, file_extension="parquet")),
    ("stream-log-names", lambda d: put(d.s3["cloudwatch_logging_options"][0], log_group_name=None)),
    ("stream-log-names", lambda d: put(d.s3["cloudwatch_logging_options"][0], log_stream_name="")),
    ("backup-configuration-missing", lambda d: put(d.s3, s3_backup_mode="Enabled")),
]

FINE: list[tuple[str, Edit]] = [
    ("the least buffer", lambda d: put(d.s3, buffering_size=64)),
    ("the longest interval", lambda d: put(d.s3, buffering_interval=900)),
    ("a time zone", lambda d: put(d.s3, custom_time_zone="Asia/Tokyo")),
    ("the older name of a time zone", lambda d: put(d.s3, custom_time_zone="Asia/Calcutta")),
    ("no time zone but UTC", lambda d: put(d.s3, custom_time_zone="UTC")),
    ("a file extension", lambda d: put(d.s3, file_extension=".snappy.parquet")),
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


def test_the_finding_says_what_came_and_what_aws_says() -> None:
    """A finding holds the address, the attribute, the value, AWS's own words, the fact and what to do."""
    draft = Draft()
    draft.s3["buffering_size"] = 5
    (finding,) = draft.findings()

    assert finding.address == "module.delivery.aws_kinesis_firehose_delivery_stream.events"
    assert (finding.attribute, finding.came) == ("extended_s3_configuration.buffering_size", 5)
    assert finding.aws == "BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled."
    assert (finding.fact, finding.known) == ("C1.2", "observed")
    assert finding.advice == "Set buffering_size between 64 and 128."


def test_awss_words_are_quoted_only_for_what_it_says_them_of() -> None:
    """AWS's message about the log group is not put into its mouth for the log stream, nor the zone's for a pattern."""
    said = {}
    for name in ("log_group_name", "log_stream_name"):
        draft = Draft()
        draft.s3["cloudwatch_logging_options"][0][name] = None
        said[name] = draft.findings()[0].aws
    draft = Draft()
    draft.s3["custom_time_zone"] = "Etc/GMT+2"

    assert said["log_group_name"] == "CloudWatch Log Group Name is required if CloudWatch Logging is enabled"
    assert said["log_stream_name"] == draft.findings()[0].aws == ""
