"""Reading an event."""

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_src.common import event as module
from lambda_src.common.event import ChangedField, read_event
from lambda_src.common.fields import MAX_PROBLEMS, RefusedError

BASE: dict[str, Any] = {"eventType": "login", "timestamp": "2026-01-31T09:30:00.069Z", "actor": {"userId": "u-1"}}
FULL: dict[str, Any] = BASE | {
    "id": "0192f0c1",
    "actor": {"userId": "u-1", "role": "admin"},
    "action": {"resource": "invoice", "operation": "update", "status": "success"},
    "entityType": "invoice",
    "entityId": "inv-1",
    "requestId": "req-1",
    "context": {"ipAddress": "203.0.113.9", "userAgent": "curl/8"},
    "details": {"entityType": "invoice", "entityId": "inv-1", "changeType": "update", "changes": []},
    "metadata": {"source": "billing"},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
OPTIONAL = ("id", "_id", "action", "entityType", "entityId", "requestId", "context", "details", "metadata")


def body(**changed: Any) -> bytes:  # noqa: ANN401  # any JSON
    """Write the smallest event with some fields changed."""
    return json.dumps(BASE | changed).encode()


def test_everything_is_read() -> None:
    """Each field of a whole event is read, without a problem."""
    event = read_event(json.dumps(FULL).encode())
    document = event.document

    assert event.problems == []
    assert (event.id, document.event_type, document.actor.user_id, document.actor.role) == (
        "0192f0c1",
        "login",
        "u-1",
        "admin",
    )
    assert document.action == module.Action("invoice", "update", "success")
    assert document.context == module.Context("203.0.113.9", "curl/8")
    assert (document.entity_type, document.entity_id, document.request_id) == ("invoice", "inv-1", "req-1")
    assert (event.metadata, event.source) == ('{"source": "billing"}', "billing")
    assert event.raw == json.dumps(FULL)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"eventType": None}, "eventType: expected a string, got null."),
        ({"eventType": ""}, "eventType: expected a string that is not empty, got an empty one."),
        ({"timestamp": 5}, "timestamp: expected a string, got a number."),
        ({"timestamp": "soon"}, "timestamp: expected RFC 3339 such as 2026-01-31T09:30:00Z"),
        ({"actor": "u-1"}, "actor: expected an object, got a string."),
        ({"actor": {}}, "actor.userId: expected a string, got nothing: the field is required."),
        ({"actor": {"userId": ["u"]}}, "actor.userId: expected a string, got an array."),
    ],
)
def test_required_fields(changed: dict[str, Any], reason: str) -> None:
    """A required field that is wrong refuses the event, in a sentence that names it."""
    with pytest.raises(RefusedError) as caught:
        read_event(body(**changed))

    assert str(caught.value).startswith(reason)


@given(st.dictionaries(st.sampled_from(OPTIONAL), JSON))
def test_wrong_optional_fields_never_lose_an_event(changed: dict[str, Any]) -> None:
    """Whatever stands in optional fields, the event is read, raw is exact, and what is wrong is named."""
    text = body(**changed)
    event = read_event(text)

    assert event.raw.encode() == text
    assert event.document.actor.user_id == "u-1"
    for name in ("action", "context", "details", "metadata"):
        wrong = changed.get(name) is not None and not isinstance(changed[name], dict)
        assert any(problem.startswith(f"{name}: expected an object") for problem in event.problems) == wrong


@given(st.fixed_dictionaries({}, optional={name: st.just(FULL.get(name, "x")) for name in OPTIONAL}), st.booleans())
def test_both_paths_read_the_same(changed: dict[str, Any], role: bool) -> None:
    """Read field by field, a right event is the one that the typed decoder reads."""
    text = body(**changed, actor={"userId": "u", "role": "r" if role else None})
    fast, slow = read_event(text), module._read_field_by_field(text)

    assert msgspec.structs.replace(fast, document=None, moment=None) == msgspec.structs.replace(
        slow, document=None, moment=None
    )
    assert msgspec.to_builtins(fast.moment) == msgspec.to_builtins(slow.moment)
    assert msgspec.json.encode(fast.document) == msgspec.json.encode(slow.document)


@pytest.mark.parametrize("stray", [b"", b', "role": 5'], ids=["typed", "field by field"])
def test_values_of_changes(stray: bytes) -> None:
    """A changed value is a string as it is, null as nothing, and any other JSON as the text that was sent."""
    changes = (
        b'[{"field":"a","oldValue":"x","newValue":null},{"field":"b","oldValue":1.10,"newValue":{"k": [1e400]}},{}]'
    )
    text = body(details="@").replace(b'"@"', b'{"changes":' + changes + b"}").replace(b'"u-1"', b'"u-1"' + stray)

    assert read_event(text).changes == [
        ChangedField("a", "x"),
        ChangedField("b", "1.10", '{"k": [1e400]}'),
        ChangedField(),
    ]


@pytest.mark.parametrize(
    ("changed", "event_id"),
    [({"id": "a", "_id": "b"}, "a"), ({"_id": "b"}, "b"), ({"id": None}, None), ({"id": ""}, None), ({"id": 7}, "7")],
)
def test_id(changed: dict[str, Any], event_id: str | None) -> None:
    """The id is `id`, else `_id`; an empty one is none."""
    assert read_event(body(**changed)).id == event_id


def test_what_is_not_utf_8_is_kept_as_base64() -> None:
    """An event with bytes that are no UTF-8 is read as far as possible, and raw keeps the bytes."""
    text = body(entityId="@").replace(b"@", b"\xff\xfe")
    event = read_event(text)

    assert base64.b64decode(event.raw) == text
    assert event.document.entity_id == "\ufffd\ufffd"
    assert event.problems == [
        f"the event: expected UTF-8, got another byte at {text.index(0xFF)}; raw holds the bytes as base64"
    ]


@pytest.mark.parametrize("place", ["entityId", "_id", "\ud800key"])
def test_lone_surrogates_lose_no_event(place: str) -> None:
    """A lone surrogate, which is JSON but no text, is replaced where it is read, and raw keeps the escape."""
    text = body(**{place: "\ud800"}, requestId=5)
    event = read_event(text)

    assert event.raw.encode() == text
    assert "the event: expected surrogates in pairs, got a lone one; it reads as U+FFFD" in event.problems


def test_impossible_day_is_a_problem() -> None:
    """A day that does not exist has the form of a time, which the API accepts, so the event is kept without a time."""
    event = read_event(body(timestamp="2026-02-30T00:00:00Z"))

    assert event.moment.text is None
    assert event.problems == ["timestamp: expected a time from 1678 to 2261, got a day that no calendar has"]


def test_problems_are_bounded() -> None:
    """A list of wrong elements without end gives a bounded list of problems that says how many more there are."""
    event = read_event(body(details={"changes": [1] * 1000}))

    assert len(event.problems) == MAX_PROBLEMS + 1
    assert event.problems[-1] == "and 900 more"


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_event_or_refused(data: bytes) -> None:
    """No bytes whatever raise anything but a refusal that quotes none of them."""
    with pytest.raises(RefusedError, match=r"\.$"):
        read_event(data)


def test_json_test_suite(shared_data: Path) -> None:
    """Each file of JSONTestSuite in an event's field: valid JSON is kept, broken JSON refused, nothing crashes."""
    files = sorted((shared_data / "conformance" / "json-parsing").glob("*.json"))
    assert len(files) > 300
    for file in files:
        text = body(extra="@").replace(b'"@"', file.read_bytes())
        try:
            read_event(text)
            read = True
        except RefusedError:
            read = False
        if file.name.startswith("y_"):
            assert read, file.name
        if file.name.startswith("n_") and not _whole(text):
            assert not read, file.name


def _whole(text: bytes) -> bool:
    """Say whether the standard library reads it, as with a broken piece that closes what stands around it."""
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> None:
    raise ValueError(name)


def test_real_events_are_read_as_metadata(shared_data: Path) -> None:
    """Real events of other products, kept as metadata, come out as the text that went in."""
    lines = (shared_data / "events" / "aws_cloudtrail_stratus.ndjson").read_bytes().splitlines()
    assert len(lines) == 310
    for line in lines:
        event = read_event(
            b'{"eventType":"x","timestamp":"2026-01-31T09:30:00Z","actor":{"userId":"u"},"metadata":' + line + b"}"
        )

        assert event.metadata is not None
        assert event.metadata.encode() == line
