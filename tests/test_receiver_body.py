"""Taking a body apart."""

import json
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_src.receiver.body import MAX_EVENTS, event_bodies
from lambda_src.receiver.problem import Problem
from lambda_src.receiver.request import Request

EVENT = b'{"eventType": "login", "n": 1.10}'
ELEMENTS = st.lists(
    st.sampled_from(
        [EVENT, b"1", b'"a\\n"', b"null", b"[ 1,  2 ]", b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"\xff":1}']
    ),
    min_size=1,
)


def request(body: bytes, single: bool = False, lines: bool = False) -> Request:
    """Make a parsed request of a body."""
    return Request(body, single, lines, "api-1", 0, "", "")


def refused(made: Request) -> Problem:
    """Take apart what is refused; give the problem."""
    with pytest.raises(Problem) as caught:
        event_bodies(made)
    return caught.value


@given(
    ELEMENTS,
    st.sampled_from([b"%s", b'{"events":%s}', b' {"x": 1, "events" : %s , "y":[]}\n', b'{"\xff":1,"events":%s}']),
    st.sampled_from([b",", b" ,\n "]),
)
def test_array(elements: list[bytes], form: bytes, comma: bytes) -> None:
    """The elements of an array, alone or under `events`, come out byte for byte and in order."""
    assert event_bodies(request(form % (b"[ " + comma.join(elements) + b" ]"))) == elements


@given(
    st.lists(st.sampled_from([EVENT, b"{broken", b"1", b"\xff"]), min_size=1),
    st.sampled_from([b"\n", b"\r\n", b"\n\n"]),
)
def test_lines(lines: list[bytes], newline: bytes) -> None:
    """Each line that is not empty is an event, broken or not."""
    assert event_bodies(request(newline.join(lines) + newline, lines=True)) == lines


@pytest.mark.parametrize("lines", [True, False])
def test_a_byte_order_mark_belongs_to_no_event(lines: bool) -> None:
    """A body that begins with a byte order mark is read; POST /events leaves it to the event's own reader."""
    assert event_bodies(request(b"\xef\xbb\xbf" + EVENT + b"\r\n" + EVENT, lines=lines)) == [EVENT, EVENT]
    assert event_bodies(request(b"\xef\xbb\xbf" + EVENT, single=True)) == [b"\xef\xbb\xbf" + EVENT]


def test_one_event() -> None:
    """An object without a list under `events` is one event; so is an event that has a field of that name."""
    assert event_bodies(request(b" " + EVENT + b"\n")) == [EVENT]
    broken = b'{"\xff":1}'
    assert event_bodies(request(broken)) == [broken]
    own = b'{"eventType":"x","events":[1]}'
    assert event_bodies(request(own)) == [own]


def test_lines_as_json() -> None:
    """Objects by line are taken under application/json too, since no JSON document is meant by them."""
    assert event_bodies(request(EVENT + b"\n{broken\n" + EVENT)) == [EVENT, b"{broken", EVENT]


def test_single() -> None:
    """On POST /events the body is one event, whatever it is."""
    assert event_bodies(request(b"[1]\n", single=True)) == [b"[1]"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "The body is empty: send a JSON array"),
        (b" \n", "The body is empty"),
        (b"[]", "The body holds no event"),
        (b'{"events":[]}', "The body holds no event"),
        (b'{"events":5}', "The body is JSON but neither an array of events"),
        (b"5", "The body is JSON but neither"),
        (
            b"[" + EVENT + b"," + EVENT,
            "The body is not valid JSON (Input data was truncated) and nothing of it was stored",
        ),
        (b"[" + EVENT + b",]", "The body is not valid JSON (JSON is malformed: trailing comma in array (byte 35))"),
        (b"[" * 100_000, "The body is not valid JSON (it is not UTF-8, or nested too deeply)"),
    ],
)
def test_refused_as_a_whole(body: bytes, detail: str) -> None:
    """A body in which no events can be told apart is a 400 with a sentence, and nothing of it is taken."""
    problem = refused(request(body))

    assert problem.status == HTTPStatus.BAD_REQUEST
    assert problem.detail.startswith(detail)


def test_too_many() -> None:
    """More events than a request may hold are a 413 that names the number."""
    problem = refused(request(b"1\n" * (MAX_EVENTS + 1), lines=True))

    assert problem.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert "10,001 events" in problem.detail
    assert len(event_bodies(request(b"1\n" * MAX_EVENTS, lines=True))) == MAX_EVENTS


def test_json_test_suite(shared_data: Path) -> None:
    """Each file of JSONTestSuite between two events: valid JSON comes out apart, broken JSON refuses the body."""
    files = sorted((shared_data / "conformance" / "json-parsing").glob("*.json"))
    assert len(files) > 300
    refusals = []
    for file in files:
        content = file.read_bytes()
        try:
            bodies = event_bodies(request(b"[" + EVENT + b"," + content + b"," + EVENT + b"]"))
        except Problem as problem:
            refusals.append((file.name[:2], problem.status))
            continue
        assert (bodies[0], bodies[-1]) == (EVENT, EVENT), file.name
        if file.name.startswith("y_"):
            assert bodies[1] == content.strip(), file.name
            json.loads(bodies[1])
    assert {status for _, status in refusals} == {HTTPStatus.BAD_REQUEST}
    assert "y_" not in {kind for kind, _ in refusals}
