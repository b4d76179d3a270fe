"""Taking a document apart."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_src.common.documents import NOT_JSON, decodable, elements

PARTS = st.sampled_from(
    [
        *(b"1", b"null", b'"a"', b"{}", b"[ 1,  2 ]", b'{"a":"\xff\xfe"}', b'{"\xc3":1}', b'{"a":"\xed\xa0\x80"}'),
        *(b'{"a":"\\ud800"}', b'{"a":"\\ud83d\\ude00"}', b'{"a":"\\\\ud800"}', '{"a":"é😀"}'.encode()),
    ]
)


@given(st.lists(PARTS, max_size=12), st.sampled_from([b"%s", b'{"k":%s}', b' {"\xff":"\\udfff", "k" : %s}\n']))
def test_elements_are_cut_out_byte_for_byte(parts: list[bytes], form: bytes) -> None:
    """Whatever characters no text can hold stand in the document, each element comes out as it went in."""
    assert elements(form % (b"[" + b" ,\n".join(parts) + b" ]"), "k") == parts


def test_an_object_may_be_an_event_itself() -> None:
    """Without the key, or with an event's own type, an object is no list of events."""
    assert elements(b'{"a":[1]}', "k") is None
    assert elements(b'{"k":[1],"eventType":"x"}', "k") is None


@pytest.mark.parametrize("document", [b"5", b'"a"', b"null", b'{"k":{}}', b'{"k":"\\ud800"}'])
def test_json_of_another_shape_is_told_from_broken_json(document: bytes) -> None:
    """What is JSON but holds no array where one must be raises a ValidationError."""
    with pytest.raises(msgspec.ValidationError):
        elements(document, "k")


@pytest.mark.parametrize(
    "document", [b"", b"[1,]", b"[1", b"[" * 100_000, b"\xff[1]", b'["\\\xff"]', b'{"k":["\\ud800"],"l":["\\ud800"]}']
)
def test_broken_json_is_refused(document: bytes) -> None:
    """What is no JSON raises one of the errors that say so, and a list that stands there twice cannot be told apart."""
    with pytest.raises(NOT_JSON) as caught:
        elements(document, "k")
    assert not isinstance(caught.value, msgspec.ValidationError)


@given(st.binary(max_size=80) | st.text(alphabet='\\ud8cC0f"é', max_size=30).map(str.encode))
def test_everything_stays_in_its_place(data: bytes) -> None:
    """What is replaced keeps its length, ASCII that is no escape stays, and the result is UTF-8."""
    text = decodable(data)
    assert len(text) == len(data)
    text.decode()
    for before, after in zip(data, text, strict=True):
        assert before == after or before > 127 or b"\\" in data
