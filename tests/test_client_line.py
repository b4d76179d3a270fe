"""Lines of a segment: what is torn or changed costs its own line only."""

from hypothesis import given
from hypothesis import strategies as st

from auditlake.client.line import CHANGED, LINE_END, TORN, Damage, Line, encode_line, read_lines

BODIES = [b'{"id":"a"}', b'{"id":"b","pad":"xyz"}', b'{"id":"c"}']
LINES = [encode_line(number, body) for number, body in enumerate(BODIES)]
SEGMENT = b"".join(LINES)


def bodies(data: bytes, *, complete: bool = True) -> list[bytes]:
    """Return the events that are read."""
    return [line.body for line in read_lines(data, 0, complete=complete) if isinstance(line, Line)]


@given(st.lists(st.tuples(st.integers(0, 2**47), st.binary().filter(lambda body: b"\n" not in body)), max_size=8))
def test_lines_come_back_as_they_were_written(events: list[tuple[int, bytes]]) -> None:
    """Body, time and offsets come back; offsets count from where the data starts in the segment."""
    data = b"".join(encode_line(recorded_ms, body) for recorded_ms, body in events)
    lines = [line for line in read_lines(data, 100, complete=False) if isinstance(line, Line)]
    assert [(line.recorded_ms, line.body) for line in lines] == events
    assert [line.start for line in lines] == [100, *(line.end for line in lines)][: len(lines)]


def test_a_tail_torn_at_any_byte_costs_its_own_line() -> None:
    """Of a segment cut anywhere the whole lines are read; the rest is damage, or not yet written."""
    for length in range(len(SEGMENT) + 1):
        data = SEGMENT[:length]
        ends = [sum(map(len, LINES[: n + 1])) for n in range(3)]
        # Without its line end only, an event is whole.
        whole = [body for body, end in zip(BODIES, ends, strict=True) if end - 1 <= length]
        assert bodies(data) == whole, length
        assert bodies(data, complete=False) == whole
        damage = [line for line in read_lines(data, 0, complete=True) if isinstance(line, Damage)]
        rest = data[sum(map(len, LINES[: len(whole)])) :]
        assert [(one.why, one.data) for one in damage] == ([(TORN, rest)] if rest else [])


def test_every_flipped_bit_costs_its_own_line_and_is_named() -> None:
    """The other events are read, and the damage says where it stands and holds the bytes; no event is made up."""
    starts = [0, len(LINES[0]), len(LINES[0]) + len(LINES[1]), len(SEGMENT)]
    for offset in range(len(SEGMENT)):
        for bit in range(8):
            data = bytearray(SEGMENT)
            data[offset] ^= 1 << bit
            hit = max(number for number in range(3) if starts[number] <= offset)
            read = list(read_lines(bytes(data), 0, complete=True))
            found = [line.body for line in read if isinstance(line, Line)]
            (damage,) = [line for line in read if isinstance(line, Damage)]
            if offset == starts[hit + 1] - 1:
                assert found == BODIES
                assert (damage.start, damage.end, damage.why) == (offset, offset + 1, LINE_END)
            else:
                assert found == [body for number, body in enumerate(BODIES) if number != hit]
                assert (damage.start, damage.end, damage.why) == (starts[hit], starts[hit + 1], CHANGED)
            assert damage.data == bytes(data[damage.start : damage.end])


def test_a_line_that_is_being_written_is_no_damage() -> None:
    """Behind a damaged line of a segment that is written to, the part of a line waits for its rest."""
    data = b"?" + LINES[0][1:] + LINES[1] + LINES[2][:-5]
    read = list(read_lines(data, 0, complete=False))
    assert [type(line) for line in read] == [Damage, Line]
    broken_last = LINES[0] + b"?" + LINES[1][1:] + LINES[2][:-5]
    read = list(read_lines(broken_last, 0, complete=False))
    assert [(line.start, line.end) for line in read] == [
        (0, len(LINES[0])),
        (len(LINES[0]), len(LINES[0]) + len(LINES[1])),
    ]


def test_what_an_event_says_is_never_read_as_an_event() -> None:
    """A line inside an event's own text, which a client may choose, does not come alive when its event is damaged."""
    forged = encode_line(1, b'{"id":"forged"}').strip()
    data = bytearray(encode_line(2, b'{"text":"' + forged + b'"}') + LINES[0])
    data[3] ^= 1
    assert bodies(bytes(data)) == [BODIES[0]]
