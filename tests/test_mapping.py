"""Mappings: the language, its errors, and the mappings of the package on real events."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlake.errors import MappingError
from auditlake.mapping import UnmappableEvent, load_mapping, map_event, parse_mapping, shipped_mappings

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
REQUIRED = "  eventType: \"'t'\"\n  timestamp: received()\n  actor: {userId: who}\n"
BASE = "event:\n" + REQUIRED


def mapped(text: str, original: bytes) -> dict[str, Any]:
    """Map one event by a mapping's text."""
    document = json.loads(map_event(parse_mapping(text, "m", "m.yaml"), original, NOW))
    assert isinstance(document, dict)
    return document


def lines(shared_data: Path, name: str) -> list[bytes]:
    """The events of a file of real data."""
    return (shared_data / "events" / name).read_bytes().splitlines()


def test_literals_fallbacks_and_nested_fields() -> None:
    """Expressions, literals and fallbacks land where the YAML says; what is null is left out."""
    text = BASE + "  entityId: a.b || c\n  requestId: nothing\n  metadata: {source: \"'x'\", n: '`7`'}\n"
    assert mapped(text, b'{"who":"ann","c":"see"}') == {
        "eventType": "t",
        "timestamp": "2026-11-24T12:00:00Z",
        "actor": {"userId": "ann"},
        "entityId": "see",
        "metadata": {"source": "x", "n": 7},
        "original": {"who": "ann", "c": "see"},
    }


def test_definitions_are_evaluated_in_order_and_do_not_reach_the_original() -> None:
    """A named expression may use an earlier one; the original stays as it came."""
    text = "define:\n  _a: before(who, '@')\n  _b: join('-', [_a, 'x'])\n" + BASE + "  entityId: _b\n"
    result = mapped(text, b'{"who":"ann@example.com"}')
    assert result["entityId"] == "ann-x"
    assert result["original"] == {"who": "ann@example.com"}


def test_digest_is_of_the_original_bytes() -> None:
    """The same bytes give the same id; one space more gives another."""
    text = BASE + "  id: digest()\n"
    first, again, other = (mapped(text, body)["id"] for body in (b'{"who":"a"}', b'{"who":"a"}', b'{"who": "a"}'))
    assert first == again != other
    assert re.fullmatch("[0-9a-f]{64}", first)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("from_epoch(t, 's')", "2023-11-14T22:13:20Z"),
        ("from_epoch(`1700000000123`, 'ms')", "2023-11-14T22:13:20.123000Z"),
        ("from_epoch('1700000000.25', 's')", "2023-11-14T22:13:20.250000Z"),
        ("from_epoch(`1700000000123456789`, 'ns')", "2023-11-14T22:13:20.123456Z"),
    ],
)
def test_from_epoch_reads_numbers_and_texts_of_each_unit(expression: str, expected: str) -> None:
    """Numbers since 1970 become RFC 3339 times, cut to microseconds."""
    text = BASE + f'  entityId: "{expression}"\n'
    assert mapped(text, b'{"who":"a","t":1700000000}')["entityId"] == expected


@pytest.mark.parametrize("expression", ["from_epoch('soon', 's')", "from_epoch(`1e30`, 's')", "from_epoch(`1`, 'h')"])
def test_optional_field_that_fails_is_left_out_and_said(expression: str) -> None:
    """A failing expression costs its own field, and metadata.mappingProblems names it."""
    result = mapped(BASE + f'  entityId: "{expression}"\n', b'{"who":"a"}')
    assert "entityId" not in result
    assert result["metadata"]["mappingProblems"][0].startswith("entityId: from_epoch")


@pytest.mark.parametrize(
    ("original", "reason"),
    [
        (b'{"who":null}', "actor.userId: the mapping yields null, a string with text is required"),
        (b'{"who":""}', "actor.userId: the mapping yields an empty string"),
        (b'{"who":7}', "actor.userId: the mapping yields a number"),
        (b"[1]", "expected a JSON object, got an array"),
        (b'{"who":', "the event is not JSON"),
        (b"[" * 100_000, "the event is not JSON"),
    ],
)
def test_event_without_a_required_field_is_reported(original: bytes, reason: str) -> None:
    """What cannot be an event of ours says why."""
    with pytest.raises(UnmappableEvent, match=re.escape(reason)):
        mapped(BASE, original)


def test_required_field_whose_expression_fails_is_reported_with_the_failure() -> None:
    """The reason is the expression's own failure, not merely that nothing came."""
    text = BASE.replace("userId: who", "userId: \"before(who, '@')\"")
    with pytest.raises(UnmappableEvent, match=r"actor\.userId: In function before\(\)"):
        mapped(text, b'{"who":3}')


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "m.yaml: a mapping is a YAML object with the key `event`, got an array."),
        ("event: {a: [", "m.yaml: this is not YAML"),
        ("evnt: {}", "m.yaml: the key 'evnt' is unknown; allowed are description, records, define, event."),
        ("event: 7", "m.yaml: event: expected an object with our event's fields, got a number."),
        ("description: 7\n" + BASE, "m.yaml: description: expected a string, got a number."),
        ("records: [a]\n" + BASE, "m.yaml: records: expected a string, got an array."),
        ("define: {a: b}\n" + BASE, "m.yaml: define.a: the name must begin with `_`"),
        ("define: 1\n" + BASE, "m.yaml: define: expected an object of named expressions, got a number."),
        (BASE + "  actr: {x: y}\n", "m.yaml: event.actr.x is no field of our event; allowed are action.operation"),
        (BASE + "  original: a\n", "m.yaml: event.original is no field of our event"),
        (BASE + "  metadata: a\n", "m.yaml: event.metadata is no field of our event"),
        (BASE + "  details: {changes: {a: b}}\n", "m.yaml: event.details.changes: expected a JMESPath expression"),
        (BASE + "  entityId: 7\n", "got a number; write the literal as `7` in backticks."),
        (BASE + "  entityId: 'a['\n", "m.yaml: event.entityId: 'a[' is no JMESPath expression"),
        (
            BASE + "  entityId: a || befor(b)\n",
            "m.yaml: event.entityId: the function befor() is unknown; there are abs,",
        ),
        (BASE + "  entityId: before(b)\n", "m.yaml: event.entityId: before() takes 2 arguments, got 1."),
        (BASE + "  entityId: a\n  entityId: b\n", "the key 'entityId' is given twice"),
        ("event:\n  eventType: a\n  timestamp: b\n", "m.yaml: event.actor.userId is missing; our event requires it."),
        ("event:\n  timestamp: b\n  actor: {userId: a}\n", "m.yaml: event.eventType is missing"),
    ],
)
def test_wrong_mapping_is_a_sentence_with_file_and_key(text: str, sentence: str) -> None:
    """Every mistake in a mapping names the file, the key, what came and what is allowed, at load."""
    with pytest.raises(MappingError, match=re.escape(sentence)):
        parse_mapping(text, "m", "m.yaml")


def test_unknown_mapping_names_those_of_the_package(tmp_path: Path) -> None:
    """A name that is neither shipped nor a file lists what is; a file is loaded by its path."""
    assert shipped_mappings() == ["cloudtrail", "github"]
    with pytest.raises(MappingError, match=r"'cloudtrial' is neither a mapping of the package \(cloudtrail, github\)"):
        load_mapping("cloudtrial")
    own = tmp_path / "own.yaml"
    own.write_text(BASE)
    assert load_mapping(str(own)).name == "own"
    own.write_bytes(b"\xff\xfe")
    with pytest.raises(MappingError, match="not UTF-8"):
        load_mapping(str(own))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(
    members=st.dictionaries(st.text(), JSON_VALUES, max_size=5),
    space=st.sampled_from(["", " ", "  "]),
    ascii_=st.booleans(),
)
def test_original_is_kept_byte_for_byte(members: dict[str, Any], space: str, ascii_: bool) -> None:
    """Whatever the event holds, its bytes are the end of ours, and ours is JSON."""
    text = json.dumps({**members, "who": "ann"}, ensure_ascii=ascii_, separators=(space + ",", ":" + space))
    original = text.encode("utf-8", "surrogatepass" if not ascii_ else "strict")
    body = map_event(parse_mapping(BASE + "  metadata: {all: '@'}\n", "m", "m"), original, NOW)
    assert body.endswith(b',"original":' + original + b"}")
    assert json.loads(body)["metadata"]["all"]["who"] == "ann"


def test_numbers_and_repeated_keys_survive_exactly() -> None:
    """Integers over 2**53, long fractions, exponents and repeated keys are the same text in the original."""
    original = b'{"who":"a","big":12345678901234567890123,"f":0.10000000000000000001,"e":1E400,"who":"b"}'
    body = map_event(parse_mapping(BASE + "  entityId: to_string(big)\n", "m", "m"), original, NOW)
    assert original in body
    assert json.loads(body)["entityId"] == "12345678901234567890123"


def test_mapped_number_that_json_cannot_hold_is_reported() -> None:
    """A number beyond a double in a mapped field is a reason, never the word Infinity in our event."""
    with pytest.raises(UnmappableEvent, match="too large for JSON"):
        mapped(BASE + "  metadata: {e: e}\n", b'{"who":"a","e":1e400}')


@pytest.mark.parametrize("name", ["aws_cloudtrail_stratus.ndjson", "aws_cloudtrail_otrf_s3_exfil.ndjson"])
def test_cloudtrail_maps_every_real_event(shared_data: Path, name: str) -> None:
    """Type, time, actor and ids are CloudTrail's own, for every identity type of the data."""
    mapping = load_mapping("cloudtrail")
    for line in lines(shared_data, name):
        ours, theirs = json.loads(map_event(mapping, line, NOW)), json.loads(line)
        assert ours["id"] == theirs["eventID"]
        assert ours["eventType"] == f"aws.{theirs['eventSource'].split('.')[0]}.{theirs['eventName']}"
        assert ours["timestamp"] == theirs.get("eventTime", theirs.get("@timestamp"))
        identity = theirs["userIdentity"]
        assert ours["actor"] == {"userId": identity.get("arn", identity.get("invokedBy")), "role": identity["type"]}
        assert ours["action"]["status"] == ("failure" if "errorCode" in theirs else "success")
        assert ours["context"] == {"ipAddress": theirs["sourceIPAddress"], "userAgent": theirs["userAgent"]}
        assert ours["metadata"]["source"] == "cloudtrail"
        assert "mappingProblems" not in ours["metadata"]
        assert ours["original"] == theirs


def test_cloudtrail_names_the_entity_of_known_resources() -> None:
    """The resource that has a whole ARN is the entity; without resources a known request parameter is."""
    base = {"eventSource": "s3.amazonaws.com", "eventName": "E", "eventTime": "2026-01-01T00:00:00Z"}
    base["userIdentity"] = {"type": "Root", "accountId": "1"}  # type: ignore[assignment]  # JSON
    prefix = {"ARNPrefix": "arn:aws:s3:::b/", "type": "AWS::S3::Object"}
    bucket = {"ARN": "arn:aws:s3:::b", "type": "AWS::S3::Bucket"}
    mapping = load_mapping("cloudtrail")

    def entity(**members: Any) -> tuple[Any, Any]:  # noqa: ANN401  # JSON
        ours = json.loads(map_event(mapping, json.dumps({**base, **members}).encode(), NOW))
        return ours.get("entityType"), ours.get("entityId")

    assert entity(resources=[prefix, bucket]) == ("AWS::S3::Bucket", "arn:aws:s3:::b")
    assert entity(requestParameters={"roleName": "r", "userName": "u"}) == ("AWS::IAM::Role", "r")
    assert entity(requestParameters=None) == (None, None)
    assert entity(resources=[{"ARN": "arn:x"}], requestParameters={"roleName": "r"}) == (None, "arn:x")


def test_github_maps_every_real_payload(shared_data: Path) -> None:
    """Each payload gets an id of its bytes, the event's inferred name, a time and its sender; none stays unknown."""
    mapping = load_mapping("github")
    payloads = lines(shared_data, "github_webhooks_devset.ndjson")
    ours = [json.loads(map_event(mapping, line, NOW)) for line in payloads]
    assert len({event["id"] for event in ours}) == len(payloads) == 111
    for event, line in zip(ours, payloads, strict=True):
        theirs = json.loads(line)
        name, action = event["action"]["resource"], theirs.get("action")
        assert name != "unknown"
        assert event["eventType"] == (f"github.{name}.{action}" if action else f"github.{name}")
        assert event["actor"]["userId"] == theirs["sender"]["login"]
        assert (event["timestamp"] == "2026-11-24T12:00:00Z") == (event["metadata"]["timestampSource"] == "received")
        assert "mappingProblems" not in event["metadata"]
        assert event["original"] == theirs
    assert sum(event["metadata"]["timestampSource"] == "received" for event in ours) == 25


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"action": "opened", "issue": {"id": 1}}, "issues"),
        ({"action": "created", "issue": {"id": 1}, "comment": {"id": 2}}, "issue_comment"),
        ({"action": "labeled", "pull_request": {"id": 1}, "label": {"id": 2}}, "pull_request"),
        ({"action": "submitted", "pull_request": {"id": 1}, "review": {"id": 2}}, "pull_request_review"),
        ({"action": "created", "pull_request": {"id": 1}, "comment": {"id": 2}}, "pull_request_review_comment"),
        ({"action": "added", "team": {"id": 1}, "member": {"id": 2}}, "membership"),
        ({"action": "created", "team": {"id": 1}}, "team"),
        ({"team": {"id": 1}}, "team_add"),
        ({"ref": "t", "ref_type": "tag", "master_branch": "main"}, "create"),
        ({"ref": "t", "ref_type": "tag"}, "delete"),
        ({"ref": "refs/heads/main", "before": "0", "after": "1", "commits": []}, "push"),
        ({"ref": "refs/heads/main", "workflow": "w.yml", "inputs": {}}, "workflow_dispatch"),
        ({"action": "created", "starred_at": None}, "star"),
        ({"action": "started"}, "watch"),
        ({"zen": "Keep it simple.", "hook": {"id": 1}}, "ping"),
        ({}, "public"),
    ],
)
def test_github_infers_the_event_from_its_members(members: dict[str, Any], name: str) -> None:
    """The name that GitHub sends in a header follows from the members of the payload."""
    payload = {
        **members,
        "repository": {"full_name": "o/r", "updated_at": "2026-01-01T00:00:00Z"},
        "sender": {"login": "a"},
    }
    ours = json.loads(map_event(load_mapping("github"), json.dumps(payload).encode(), NOW))
    assert ours["action"]["resource"] == name


def test_github_push_takes_the_time_of_the_push() -> None:
    """A push holds its time as a number of seconds."""
    payload = {
        "ref": "r",
        "after": "1",
        "repository": {"full_name": "o/r", "pushed_at": 1700000000},
        "sender": {"login": "a"},
    }
    ours = json.loads(map_event(load_mapping("github"), json.dumps(payload).encode(), NOW))
    assert (ours["timestamp"], ours["metadata"]["timestampSource"]) == ("2023-11-14T22:13:20Z", "payload")
