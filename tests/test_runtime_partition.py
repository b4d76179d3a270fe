"""Prefixes and object keys."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.errors import PlanError
from auditlake.runtime.partition import (
    ObjectContext,
    PartitioningFailure,
    error_object_key,
    new_random_string,
    object_key,
    parse_error_prefix,
    parse_prefix,
    parse_time_zone,
    partition_values,
)

PREFIX = (
    "events/audit_type=!{partitionKeyFromLambda:audit_type}/year=!{partitionKeyFromLambda:year}"
    "/month=!{partitionKeyFromLambda:month}/day=!{partitionKeyFromLambda:day}/"
)
ERROR_PREFIX = "errors/!{firehose:error-output-type}/year=!{timestamp:yyyy}/"
UUID_1 = UUID("11111111-2222-4333-8444-555555555555")
ARRIVAL_MS = int(datetime(2026, 11, 24, 20, 30, 5, 999_000, tzinfo=UTC).timestamp() * 1000)
CONTEXT = ObjectContext("auditlake-events", ARRIVAL_MS, UUID_1, extension=".parquet")


def key_of(prefix: str, keys: dict[str, object], context: ObjectContext = CONTEXT) -> str | PartitioningFailure:
    """Evaluate a prefix from its text, as the pipeline does for one record."""
    parsed = parse_prefix(prefix)
    values = partition_values(parsed, keys)
    return values if isinstance(values, PartitioningFailure) else object_key(parsed, values, context)


def test_the_key_is_prefix_stream_version_time_uuid_and_extension() -> None:
    """An object is named as Firehose names it, with its partition keys in the path (B7)."""
    keys: dict[str, object] = {"audit_type": "login", "year": "2026", "month": "11", "day": "24", "unused": None}

    assert key_of(PREFIX, keys) == (
        "events/audit_type=login/year=2026/month=11/day=24/"
        "auditlake-events-1-2026-11-24-20-30-05-11111111-2222-4333-8444-555555555555.parquet"
    )


def test_error_objects_are_told_apart_by_type_and_arrival() -> None:
    """The error prefix holds the error type and the arrival of the oldest record."""
    context = ObjectContext("s", ARRIVAL_MS, UUID_1, error_output_type="processing-failed")

    key = error_object_key(parse_error_prefix(ERROR_PREFIX), context)

    assert key == f"errors/processing-failed/year=2026/s-1-2026-11-24-20-30-05-{UUID_1}"


def test_every_timestamp_is_in_the_custom_time_zone() -> None:
    """A custom time zone moves the date in the prefix and in the object's name (B7)."""
    context = ObjectContext("s", ARRIVAL_MS, UUID_1, time_zone=parse_time_zone("Asia/Tokyo"))

    assert (
        key_of("d=!{timestamp:yyyy-MM-dd}/!{timestamp:HH}/", {}, context)
        == f"d=2026-11-25/05/s-1-2026-11-25-05-30-05-{UUID_1}"
    )


@pytest.mark.parametrize(
    ("zone", "arrival_ms", "expected"),
    [
        ("Europe/Berlin", 1_774_745_999_999, "2026-03-29-01-59"),
        ("Europe/Berlin", 1_774_746_000_000, "2026-03-29-03-00"),
        ("Europe/Berlin", 1_792_888_200_000, "2026-10-25-02-30"),
        ("Europe/Berlin", 1_792_891_800_000, "2026-10-25-02-30"),
        ("Australia/Lord_Howe", 1_775_314_799_999, "2026-04-05-01-59"),
        ("Australia/Lord_Howe", 1_775_314_800_000, "2026-04-05-01-30"),
        ("Pacific/Apia", 1_325_239_199_999, "2011-12-29-23-59"),
        ("Pacific/Apia", 1_325_239_200_000, "2011-12-31-00-00"),
        ("Asia/Kathmandu", 1_798_761_599_999, "2027-01-01-05-44"),
    ],
)
def test_a_time_zone_that_changes_its_clock_is_written_as_java_does(zone: str, arrival_ms: int, expected: str) -> None:
    """The hour that is skipped, the one that comes twice, half hours and a day left out: what Java 17 printed."""
    context = ObjectContext("s", arrival_ms, UUID_1, time_zone=parse_time_zone(zone))

    assert str(key_of("!{timestamp:yyyy-MM-dd-HH-mm}/", {}, context)).startswith(f"{expected}/s-1-{expected}-")


def test_a_prefix_without_expressions_gets_the_hour_of_arrival() -> None:
    """Firehose appends yyyy/MM/dd/HH/ to a plain prefix, as text (C5)."""
    assert str(key_of("raw-", {})).startswith("raw-2026/11/24/20/auditlake-events-1-")


def test_a_prefix_with_expressions_gets_no_date() -> None:
    """A prefix with expressions stands as it is written (C5)."""
    assert str(key_of("t=!{partitionKeyFromLambda:t}/", {"t": "x"})).startswith("t=x/auditlake-events-1-")


def test_random_strings_are_fresh_each_time() -> None:
    """Each random-string expression takes a new string from the source it is given."""
    strings = iter(["aaaaaaaaaaa", "bbbbbbbbbbb"])
    context = ObjectContext("s", ARRIVAL_MS, UUID_1, random_string=lambda: next(strings))

    assert str(key_of("!{firehose:random-string}/!{firehose:random-string}/", {}, context)).startswith(
        "aaaaaaaaaaa/bbbbbbbbbbb/s-"
    )


def test_a_random_string_is_eleven_letters_and_digits() -> None:
    """The default source makes strings of Firehose's length that differ."""
    made = {new_random_string() for _ in range(20)}

    assert len(made) == 20
    assert all(len(each) == 11 and each.isalnum() and each.isascii() for each in made)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "partitionKeys values must not be null or empty: k"),
        ({"k": None}, "partitionKeys values must not be null or empty: k"),
        ({"k": ""}, "partitionKeys values must not be null or empty: k"),
        ({"k": 7}, "partitionKeys values must be strings: k is int"),
        ({"k": "a/b"}, "partitionKeys values must not hold a slash or NUL: k"),
        ({"k": "/etc"}, "partitionKeys values must not hold a slash or NUL: k"),
        ({"k": "a\0"}, "partitionKeys values must not hold a slash or NUL: k"),
        ({"k": ".."}, "the object key cannot be stored: a part between slashes is empty, `.` or `..`"),
        ({"k": "."}, "the object key cannot be stored: a part between slashes is empty, `.` or `..`"),
        ({"k": ".bucket"}, "the object key cannot be stored: `.bucket` is the store's own directory"),
        ({"k": "x" * 300}, "the object key cannot be stored: a part between slashes is longer than 255 bytes"),
        ({"k": "x" * 600}, "the evaluated prefix is 606 characters long; allowed are 512"),
        ({"k": "\ud800"}, "the object key cannot be stored: it is not valid Unicode"),
    ],
)
def test_a_bad_key_is_an_outcome_that_says_why(keys: dict[str, object], message: str) -> None:
    """A key that is missing, empty or no safe path fails its record and raises nothing."""
    outcome = key_of("!{partitionKeyFromLambda:k}/tail/", keys)

    assert outcome == PartitioningFailure("DynamicPartitioning.PartitioningFailed", message)


safe_values = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=25)


@given(audit_type=safe_values, year=safe_values, month=safe_values, day=safe_values)
def test_the_values_come_back_from_the_key(audit_type: str, year: str, month: str, day: str) -> None:
    """Reading the key as Hive partitions gives exactly the values that were put in."""
    keys: dict[str, object] = {"audit_type": audit_type, "year": year, "month": month, "day": day}

    key = key_of(PREFIX, keys)

    assert isinstance(key, str)
    folders = key.split("/")[1:-1]
    assert dict(folder.split("=", 1) for folder in folders) == keys


@given(value=st.text(max_size=600))
def test_no_value_leaves_the_store(value: str) -> None:
    """Whatever the transform returns as a key, the object lies below the prefix's own depth or the record fails."""
    outcome = key_of("!{partitionKeyFromLambda:k}/", {"k": value})

    if isinstance(outcome, str):
        folder, name = outcome.split("/")
        assert folder == value
        assert folder not in ("", ".", "..")
        assert name.startswith("auditlake-events-1-")


@pytest.mark.parametrize(
    ("prefix", "reason"),
    [
        ("e/!{partitionKeyFromQuery:k}/", "partitioning by a jq query is not implemented"),
        ("e/!{timestamp:YYYY}/", "the pattern letter Y is not implemented"),
        ("e/!{timestamp:}/", "the pattern is empty"),
        ("e/!{firehose:error-output-type}/", "which only ErrorOutputPrefix may use"),
        ("e/!{partitionKeyFromLambda:}/", "has the expression !{partitionKeyFromLambda:}; known are"),
        ("e/!{now}/", "has the expression !{now}; known are"),
        ("e/!{timestamp:yyyy", "has a `!{` without its `}`"),
        ("e/" + "x" * 1100 + "!{timestamp:yyyy}", "is 1119 characters long; allowed are 1024"),
        ("/e/!{timestamp:yyyy}/", "a part between slashes is empty"),
        ("e/../!{timestamp:yyyy}/", "a part between slashes is empty, `.` or `..`"),
        ("x/" * 300 + "!{timestamp:yyyy}/", "the evaluated prefix is 605 characters long"),
    ],
)
def test_a_prefix_that_cannot_be_used_stops_at_start(prefix: str, reason: str) -> None:
    """A prefix with an unknown or unimplemented expression, or no possible path, is refused before any record."""
    with pytest.raises(PlanError) as caught:
        parse_prefix(prefix)

    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("prefix", "reason"),
    [
        ("errors/", "must contain !{firehose:error-output-type}"),
        ("errors/!{firehose:error-output-type}/!{partitionKeyFromLambda:k}/", "which only Prefix may use"),
    ],
)
def test_an_error_prefix_must_tell_errors_apart_without_keys(prefix: str, reason: str) -> None:
    """The error prefix holds the error type and no partition keys (C1)."""
    with pytest.raises(PlanError) as caught:
        parse_error_prefix(prefix)

    assert reason in str(caught.value)


@pytest.mark.parametrize("name", ["Mars/Olympus", "Europe", "../etc", "UTC+1"])
def test_an_unknown_time_zone_is_refused_by_name(name: str) -> None:
    """The error names the zone, and what a right one looks like."""
    with pytest.raises(PlanError, match="Asia/Tokyo") as caught:
        parse_time_zone(name)

    assert repr(name) in str(caught.value)


def test_no_time_zone_is_utc() -> None:
    """An empty CustomTimeZone means UTC (B7)."""
    assert parse_time_zone("") is UTC
