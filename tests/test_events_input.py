"""Reading the events of a file."""

import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.errors import SendError
from auditlake.events_input import InputEvent, is_json, read_events, top_level


def read(data: bytes, key: str = "events") -> list[InputEvent]:
    """Read all events of some bytes."""
    return list(read_events(io.BufferedReader(io.BytesIO(data)), key))


def bodies(data: bytes, key: str = "events") -> list[bytes]:
    """The bytes of all events."""
    return [event.body for event in read(data, key)]


JSON_OBJECTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=8) | st.none(), max_size=4)


@given(
    objects=st.lists(JSON_OBJECTS, max_size=8), end=st.sampled_from([b"\n", b"\r\n", b"\n\n \n"]), packed=st.booleans()
)
def test_ndjson_yields_each_line_with_its_bytes(objects: list[dict[str, object]], end: bytes, packed: bool) -> None:
    """Every line comes once, in order, with its position and exact bytes, plain or gzip."""
    lines = [json.dumps(one, ensure_ascii=False).encode("utf-8", "replace") for one in objects]
    data = end.join([*lines, b""])
    events = read(gzip.compress(data) if packed else data)
    assert [event.body for event in events] == lines
    assert [event.index for event in events] == list(range(len(lines)))


@given(objects=st.lists(JSON_OBJECTS, max_size=6), indent=st.sampled_from([None, 0, 3]))
def test_array_elements_keep_their_bytes(objects: list[dict[str, object]], indent: int | None) -> None:
    """The elements of an array are cut out of it, white space inside them included."""
    elements = [json.dumps(one, indent=indent).encode() for one in objects]
    assert bodies(b" [ " + b" ,\n".join(elements) + b"\n]") == elements


def test_stream_is_read_as_it_comes() -> None:
    """NDJSON is not read whole before the first event: the reader is no further than its buffer."""
    line = b'{"a":"' + b"x" * 1000 + b'"}\n'
    stream: io.BufferedReader = io.BufferedReader(io.BytesIO(line * 1000))
    events = read_events(stream)
    next(events)
    assert stream.tell() <= 2 * len(line)


def test_document_key_names_the_array() -> None:
    """CloudTrail's {"Records": [...]} is a document under its key only; a line each is one as well."""
    data = b'{"Records":[{"a":1}, {"b":2}]}\n{"Records":[{"c":3}]}'
    assert bodies(data, "Records") == [b'{"a":1}', b'{"b":2}', b'{"c":3}']
    assert bodies(data) == data.split(b"\n")
    assert bodies(b'{"eventType":"x","events":[1]}') == [b'{"eventType":"x","events":[1]}']
    assert bodies(b'{"events":7}') == [b'{"events":7}']
    assert bodies(b"[]") == []


def test_one_event_over_several_lines() -> None:
    """A pretty-printed object is one event."""
    assert bodies(b'{\n  "a": 1\n}\n') == [b'{\n  "a": 1\n}']


def test_broken_line_names_itself_and_costs_no_other() -> None:
    """A line that is no JSON carries its problem, wherever it stands."""
    for data in (b'{"a":1}\n\n{"b"\n{"c":3}\n', b'{"b"\n\n{"a":1}\n{"c":3}'):
        events = read(data)
        assert sorted(event.body for event in events if event.problem is None) == [b'{"a":1}', b'{"c":3}']
        assert [event.body for event in events if event.problem] == [b'{"b"']
    assert read(b'{"a":1}\n\n{"b"\n')[1].problem == "line 3 is not JSON: Input data was truncated"


@pytest.mark.parametrize("body", [b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"\xff":1}'])
def test_what_the_server_repairs_is_no_broken_json(body: bytes) -> None:
    """Bytes that are no UTF-8 and lone surrogates are left for the server, bytes as they are."""
    assert read(body + b"\n" + body) == [InputEvent(0, body), InputEvent(1, body)]
    assert len(top_level(body)) == 1


@pytest.mark.parametrize("broken", [b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"\xff":1}'])
@pytest.mark.parametrize("form", [b"[%s]", b' {"events": [\n%s] }', b'{"\xff":0,"events":[%s]}'])
def test_what_the_server_repairs_costs_no_other_of_its_array(broken: bytes, form: bytes) -> None:
    """One such event in an array leaves it and its neighbours as they are, byte for byte."""
    events = [b'{"b":"\xc3\xa9"}', broken, b'{"c":[]}']
    assert read(form % b" ,".join(events)) == [InputEvent(index, body) for index, body in enumerate(events)]


def test_byte_order_marks_are_dropped() -> None:
    """Files joined by cat may hold a UTF-8 byte order mark in the middle."""
    assert bodies(b'\xef\xbb\xbf{"a":1}\n\xef\xbb\xbf{"b":2}\n') == [b'{"a":1}', b'{"b":2}']


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"a":1}'.encode("utf-16"), "UTF-16"),
        (gzip.compress(b'{"a":1}\n' * 50)[:-9], "damaged or ends early"),
        (b"\x1f\x8bnot gzip", "damaged or ends early"),
        (b'[\n{"a":1},\n{"b":\n]\n', "neither NDJSON nor one JSON document"),
    ],
    ids=["utf-16", "cut gzip", "no gzip", "array of lines"],
)
def test_input_that_is_none_is_a_sentence(data: bytes, words: str) -> None:
    """What cannot be read at all is said once, not line by line."""
    with pytest.raises(SendError, match=words):
        read(data)


def test_deep_nesting_is_a_problem_of_its_event() -> None:
    """JSON nested beyond reading costs only itself."""
    deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    events = read(b'{"a":1}\n' + deep + b'\n{"b":2}')
    assert [event.problem is None for event in events] == [True, False, True]
    assert not is_json(deep)
