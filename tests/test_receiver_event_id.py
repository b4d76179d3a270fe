"""Ids for events that have none."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from lambda_src.receiver.event_id import new_event_id

MILLISECONDS = st.integers(0, 2**48 - 1)


@given(MILLISECONDS)
def test_is_a_uuid_of_version_7(milliseconds: int) -> None:
    """The id is a UUIDv7 of RFC 9562 that holds the time, and no two are the same."""
    event_id = UUID(new_event_id(milliseconds))

    assert (event_id.version, event_id.variant) == (7, "specified in RFC 4122")
    assert event_id.int >> 80 == milliseconds
    assert str(event_id) != new_event_id(milliseconds)


@given(MILLISECONDS, MILLISECONDS)
def test_sorts_by_time(one: int, other: int) -> None:
    """Ids of different times sort as the times do."""
    if one != other:
        assert (new_event_id(one) < new_event_id(other)) == (one < other)
