"""What the numbers of a deployed stream mean."""

from datetime import UTC, datetime

import pytest

from auditlake.aws_stack import Names
from auditlake.aws_status import Part, State, Stream, Window, exit_code, metric_parts, stream_part, type_prefixes

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
NAMES = Names("us-east-1", "123456789012", "b", "s")


def states(values: dict[str, list[float]], interval_s: int = 60) -> list[State]:
    """Return the states of freshness, success and throttling."""
    return [part.state for part in metric_parts(values, interval_s, Window(NOW))]


@pytest.mark.parametrize(
    ("interval_s", "freshness_s", "state"),
    [(60, 900, State.OK), (60, 901, State.WRONG), (900, 1800, State.OK), (900, 1801, State.WRONG)],
)
def test_freshness_goes_by_the_buffer(interval_s: int, freshness_s: int, state: State) -> None:
    """Twice the interval, at least 15 minutes, is not late."""
    assert states({"freshness_s": [freshness_s, 99999]}, interval_s)[0] is state


def test_the_newest_success_counts_and_all_throttling() -> None:
    """A delivery that works again is well; what was throttled was refused for good."""
    assert states({"success": [1, 0]})[1] is State.OK
    assert states({"success": [0, 1]})[1] is State.WRONG
    assert states({"throttled": [0, 1]})[2] is State.WRONG
    assert states({}) == [State.OK] * 3


@pytest.mark.parametrize(
    ("status", "encryption", "bucket", "words"),
    [
        ("CREATING", "ENABLED", "b", "not ACTIVE"),
        ("ACTIVE", "DISABLED", "b", "encryption at rest is DISABLED"),
        ("ACTIVE", "ENABLED", "other", "the bucket other, not b"),
    ],
)
def test_a_stream_that_is_not_as_it_should_be(status: str, encryption: str, bucket: str, words: str) -> None:
    """Each of the three is wrong, in words."""
    part = stream_part(NAMES, Stream(status, encryption, bucket, "events/", "errors/", 128, 60))
    assert part.state is State.WRONG
    assert words in part.says


def test_a_prefix_with_other_keys_is_not_guessed() -> None:
    """Only the four partition keys have values that are known here."""
    prefix = "events/audit_type=!{partitionKeyFromLambda:audit_type}/day=!{partitionKeyFromLambda:day}/"
    assert type_prefixes(prefix, "login", NOW) == "events/audit_type=login/day=24/"
    assert type_prefixes(prefix + "!{partitionKeyFromLambda:tenant}/", "login", NOW) is None


def test_wrong_is_told_before_blind() -> None:
    """1 for wrong, 2 for blind, 0 for well."""
    wrong, blind, well = (Part("any", state, "") for state in (State.WRONG, State.BLIND, State.OK))
    assert [exit_code(parts) for parts in ([wrong, blind, well], [blind, well], [well])] == [1, 2, 0]
