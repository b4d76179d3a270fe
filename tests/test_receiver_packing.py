"""Packing events into records."""

from hypothesis import given
from hypothesis import strategies as st

from lambda_src.receiver.packing import MAX_RECORD_BYTES, PACKED_BYTES, Accepted, pack

KINDS: list[tuple[str, int | None]] = [("login", 20454), ("login", 20455), ("logout", None)]


@st.composite
def accepted(draw: st.DrawFn) -> list[Accepted]:
    """Make events of three kinds, small ones and such as fill a record."""
    sizes = st.integers(1, 300) | st.sampled_from([PACKED_BYTES // 2, PACKED_BYTES, MAX_RECORD_BYTES])
    shapes = draw(st.lists(st.tuples(sizes, st.sampled_from(KINDS)), max_size=30))
    return [Accepted(index, str(index), b"%d" % (index % 10) * size, kind) for index, (size, kind) in enumerate(shapes)]


@given(accepted(), st.booleans())
def test_nothing_is_lost_or_too_large(events: list[Accepted], packing: bool) -> None:
    """Every event is in exactly one record, with its bytes, beside events of its kind only, within the limits."""
    records = pack(events, packing)

    assert sorted(event.index for record in records for event in record.events) == list(range(len(events)))
    for record in records:
        assert record.data.split(b"\n") == [event.envelope for event in record.events]
        assert len({event.kind for event in record.events}) == 1
        assert [event.index for event in record.events] == sorted(event.index for event in record.events)
        assert len(record.data) <= (PACKED_BYTES if len(record.events) > 1 else MAX_RECORD_BYTES)


@given(accepted())
def test_without_packing(events: list[Accepted]) -> None:
    """Without packing each event is a record."""
    assert [record.events for record in pack(events, packing=False)] == [(event,) for event in events]


def test_small_events_share_a_record() -> None:
    """A thousand events of a kilobyte and of one kind take a handful of records, not a thousand."""
    events = [Accepted(index, str(index), b"x" * 1000, KINDS[0]) for index in range(1000)]

    assert len(pack(events, packing=True)) == 4
