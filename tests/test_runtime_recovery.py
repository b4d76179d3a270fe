"""What a start says that it recovered."""

from dataclasses import replace

import pytest

from auditlake.runtime.recovery import Recovery

NOTHING = Recovery(
    opened_ms=10_000_000_000,
    was_closed=True,
    is_new=False,
    waiting=0,
    buffered=0,
    destinations=0,
    begun=0,
    oldest_arrival_ms=None,
    files_cleared=0,
)


def test_nothing_to_recover_is_a_sentence() -> None:
    """A new buffer and an empty one are told apart, and so is how the last process ended."""
    assert replace(NOTHING, is_new=True).sentence() == "The buffer is new."
    assert NOTHING.sentence() == "The last process stopped cleanly; the buffer is empty."
    assert replace(NOTHING, was_closed=False).sentence() == (
        "The last process did not stop cleanly; the buffer is empty."
    )


def test_what_waits_for_the_source_backup_is_told_beside_the_rest() -> None:
    """A record may wait for the backup alone, or for both."""
    found = replace(NOTHING, backup=3)
    assert found.sentence() == (
        "The last process stopped cleanly; recovered from the buffer: 3 accepted records for the source backup waiting."
    )
    both = replace(found, waiting=1, buffered=2, destinations=1).sentence()
    assert (
        "1 accepted record for the transform, 2 accepted records for 1 object and 3 accepted records for the source"
        in both
    )


def test_what_waits_is_told_with_its_age() -> None:
    """Counts by place, the objects that were begun, and the age of the oldest record."""
    found = replace(
        NOTHING,
        was_closed=False,
        waiting=1_200,
        buffered=1,
        destinations=1,
        begun=2,
        oldest_arrival_ms=NOTHING.opened_ms - 5 * 3_600_000,
    )

    assert found.sentence() == (
        "The last process did not stop cleanly; recovered from the buffer: 1,200 accepted records for the transform "
        "and 1 accepted record for 1 object waiting, the oldest for 5 hours; 2 objects being stored then will get the "
        "same key again."
    )


@pytest.mark.parametrize(
    ("age_ms", "told"),
    [
        (-5, "0 seconds"),
        (1_000, "1 second"),
        (119_000, "119 seconds"),
        (120_000, "2 minutes"),
        (3 * 86_400_000, "3 days"),
    ],
)
def test_ages_are_told_in_a_fitting_unit(age_ms: int, told: str) -> None:
    """Seconds, minutes, hours or days; a clock that went back makes nothing younger than now."""
    found = replace(NOTHING, waiting=1, oldest_arrival_ms=NOTHING.opened_ms - age_ms)

    assert f"the oldest for {told}." in found.sentence()
