"""The receiver's handler over real HTTP, with odd bodies and while Firehose fails: what is answered was stored."""

import base64
import gc
import gzip
import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

import boto3
import pytest
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from lambda_src.common.envelope import Envelope, encode
from lambda_src.receiver import delivery
from lambda_src.receiver.body import MAX_EVENTS
from lambda_src.receiver.packing import MAX_RECORD_BYTES
from lambda_src.receiver.request import MAX_BODY_BYTES
from tests.firehose_stand_in import Call, StandIn, events, running_stand_in

NAME = "lambda_src.receiver.handler"
ENVIRONMENT = {
    "DELIVERY_STREAM_NAME": "auditlake-events",
    "PACKING": "true",
    "POWERTOOLS_SERVICE_NAME": "receiver",
    "POWERTOOLS_METRICS_NAMESPACE": "auditlake",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}


@dataclass
class Context:
    """A function whose time runs by a second each time it is asked for, or as `left_s` says."""

    left_s: list[float] = field(default_factory=lambda: [float(second) for second in range(29, 0, -1)])

    def get_remaining_time_in_millis(self) -> int:
        """Say how long the function may still run."""
        return int(1000 * (self.left_s.pop(0) if self.left_s else 0.0))


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    """Serve a stand-in for Firehose."""
    with running_stand_in() as served:
        yield served


@pytest.fixture(scope="module")
def handler(stand_in: StandIn) -> Iterator[ModuleType]:
    """Import the handler as a fresh Lambda does; its waits are none."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": stand_in.url}.items():
            patch.setenv(name, value)
        sys.modules.pop(NAME, None)
        module = importlib.import_module(NAME)
        patch.setattr(module, "random", SimpleNamespace(uniform=lambda _low, _high: 0.0))
        yield module
        module.firehose.close()
        sys.modules.pop(NAME, None)
        gc.unfreeze()


@dataclass(frozen=True)
class Answered:
    """An answer of the handler."""

    status: int
    headers: dict[str, str]
    members: dict[str, Any]

    def indexes(self, name: str) -> list[int]:
        """Return the indexes of a list of the answer."""
        return [entry["index"] for entry in self.members.get(name, [])]


def post(handler: ModuleType, bodies: list[bytes], context: Context | None = None, single: bool = False) -> Answered:
    """POST events a line each, or the one event."""
    kind = "application/json" if single else "application/x-ndjson"
    return post_body(handler, b"\n".join(bodies), kind, context, single)


def post_body(
    handler: ModuleType, body: bytes, content_type: str, context: Context | None = None, single: bool = False
) -> Answered:
    """POST the bytes of a body."""
    event = {
        "resource": "/events" if single else "/events/batch",
        "headers": {"Content-Type": content_type},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
        "requestContext": {
            "requestId": "client",
            "extendedRequestId": "api-1=",
            "requestTimeEpoch": 4_102_444_800_000,  # to come: nothing of the time is used up
            "identity": {"sourceIp": "203.0.113.9"},
        },
    }
    response = handler.handle(event, context or Context())
    return Answered(response["statusCode"], response["headers"], json.loads(response["body"]))


def event(**changed: Any) -> bytes:  # noqa: ANN401  # any JSON
    """Write the smallest event with some fields changed."""
    whole = {"eventType": "login", "timestamp": "2026-01-31T09:00:00Z", "actor": {"userId": "u-1"}} | changed
    return json.dumps({name: value for name, value in whole.items() if value is not None}).encode()


def reset(stand_in: StandIn, *script: Call) -> None:
    """Forget what was taken, and set what is to come."""
    stand_in.script[:] = script
    for seen in (stand_in.calls, stand_in.taken, stand_in.told):
        seen.clear()


LINES = "application/x-ndjson"
JSON = "application/json"
ONE = b'{"eventType":"login","timestamp":"2026-01-31T09:00:00Z","actor":{"userId":"u-1"}}'


def extended(member: bytes) -> bytes:
    """Write the smallest event with one more member."""
    return ONE[:-1] + b"," + member + b"}"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "accepted", "rejected"),
    [
        (b"", LINES, 400, 0, []),
        (b"x", LINES, 400, 0, [0]),
        (b"[", JSON, 400, 0, []),
        (ONE, LINES, 202, 1, []),
        (b"\xef\xbb\xbf" + ONE + b"\r\n\r\n" + ONE + b"\r\n", LINES, 202, 2, []),
        (ONE + b"\n\x00\n" + ONE + b"\x00\n" + ONE, LINES, 202, 2, [1, 2]),
        (b"[" + ONE + b"," + ONE + b",]", JSON, 400, 0, []),
        (b"[\n" + ONE + b",\n" + ONE + b"\n]", LINES, 202, 1, [0, 1, 3]),
        (ONE + b"\n[" + ONE + b"]", LINES, 202, 1, [1]),
        (b"[" + ONE + b"]\n" + ONE, JSON, 400, 0, []),
        (b"[" + ONE + b",[" + ONE + b"],7,null]", JSON, 202, 1, [1, 2, 3]),
        (extended(b'"eventType":"logout","id":"a","id":"b"'), LINES, 202, 1, []),
        (ONE + b"\n" + extended(b'"x":' + b"[" * 100_000 + b"]" * 100_000), LINES, 202, 1, [1]),
        (extended(b'"details":{"changes":[{"oldValue":' + b"9" * 5000 + b"}]}"), LINES, 202, 1, []),
        (extended(b'"entityId":1e999'), LINES, 202, 1, []),
        (extended(b'"x":NaN') + b"\n" + extended(b'"x":-Infinity') + b"\n" + ONE, LINES, 202, 1, [0, 1]),
        (b"[" + extended(rb'"x":"\ud800"') + b"," + extended(b'"\xff":"\xfe"') + b"," + ONE + b"]", JSON, 202, 3, []),
        (b" " * (MAX_BODY_BYTES - len(ONE)) + ONE, LINES, 202, 1, []),
        (b" " * (MAX_BODY_BYTES - len(ONE) + 1) + ONE, LINES, 413, 0, []),
        (b"\n".join([ONE] * MAX_EVENTS), LINES, 202, MAX_EVENTS, []),
        (b"\n".join([ONE] * (MAX_EVENTS + 1)), LINES, 413, 0, []),
        (gzip.compress(ONE) + gzip.compress(b"\n" + ONE), "application/gzip", 202, 2, []),
        (gzip.compress(gzip.compress(ONE)), "application/gzip", 400, 0, []),
        (gzip.compress(b" " * 100_000_000), "application/gzip", 413, 0, []),
    ],
    ids=[
        *("no byte", "one byte", "a bracket", "one event", "BOM and CR LF", "NUL", "trailing comma", "array by lines"),
        *("an array among lines", "lines after an array", "what is no event in an array", "members twice", "depth"),
        *("5,000 digits", "1e999", "NaN", "characters that are none", "the limit", "one more", "10,000 events"),
        *("one event more", "two gzip members", "gzip in gzip", "a bomb"),
    ],
)
def test_the_edges_of_a_body(
    handler: ModuleType,
    stand_in: StandIn,
    body: bytes,
    content_type: str,
    status: int,
    accepted: int,
    rejected: list[int],
) -> None:
    """Whatever stands in a body: what is accepted is stored, what is refused is named; a refused body stores none."""
    reset(stand_in)
    answered = post_body(handler, body, content_type)

    assert answered.status == status, answered.members
    assert answered.members.get("accepted", 0) == accepted == len(events(stand_in.taken))
    assert answered.indexes("rejected") == rejected
    assert all(entry["reason"] for entry in answered.members.get("rejected", []))
    assert "nothing" in answered.members["detail"] or "send" in answered.members["detail"] if status >= 400 else True


def test_the_largest_event(handler: ModuleType, stand_in: StandIn) -> None:
    """An event that fills a record to the byte is stored; with a byte more it is refused with the numbers."""
    reset(stand_in)
    around = len(encode(Envelope("e-1", "api-1=", 4_102_444_800_000, "203.0.113.9", "", b"")))
    room = (MAX_RECORD_BYTES - around) // 4 * 3
    largest = event(id="e-1", note="").replace(b'"note": ""', b'"note": "%s"')
    largest = largest % (b"x" * (room - len(largest) + 2))
    assert post(handler, [largest]).status == 202
    assert [len(record) for record in stand_in.taken] == [MAX_RECORD_BYTES - (MAX_RECORD_BYTES - around) % 4]
    answered = post(handler, [largest.replace(b"xxxx", b"xxxxxxxx", 1), event(id="b")])
    assert (answered.status, answered.members["accepted"], answered.indexes("rejected")) == (202, 1, [0])
    assert "a record of the stream holds 1,024,000" in answered.members["rejected"][0]["reason"]


VALID = st.builds(
    lambda name, kind, day, note: event(
        id=name, eventType=kind, timestamp=f"2026-01-{day:02}T09:00:00Z", **({"note": note} if note else {})
    ),
    st.sampled_from(["a", "b", "c", "d", None]),
    st.sampled_from(["login", "logout"]),
    st.sampled_from([1, 31]),
    st.sampled_from([0, 0, 1]),
)
INVALID = st.sampled_from(
    [event(actor=None), event(timestamp="soon", id="x"), b"{broken", b"5", b"[]", b"\x00", b'{"a"']
)
CALLS = st.builds(
    Call,
    failing=st.frozensets(st.integers(0, 5), max_size=4),
    code=st.sampled_from(["ServiceUnavailableException", "InternalFailure", "SlowDown"]),
    hear=st.sampled_from(["answer", "answer", "answer", "error", "nothing", "garbage", "short"]),
    status=st.sampled_from([500, 502, 503, 429, 400]),
)


@given(st.lists(VALID | INVALID, min_size=1, max_size=12), st.lists(CALLS, max_size=14), st.booleans())
@settings(max_examples=80, deadline=None)
def test_what_is_answered_is_what_was_stored(
    handler: ModuleType, stand_in: StandIn, bodies: list[bytes], script: list[Call], packing: bool
) -> None:
    """Whatever fails: accepted is stored, known to be stored is accepted, the rest is told to come again, all in order.

    Sent again as the answer says, with the ids it gives, every valid event is stored in the end.
    """
    reset(stand_in, *(replace(call, code="ThrottlingException") if call.status == 400 else call for call in script))
    wanted: set[tuple[str, bytes]] = set()
    sent = bodies
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "SETTINGS", replace(handler.SETTINGS, packing=packing))
        while sent:
            answered = post(handler, sent)
            again = check_answer(answered, sent, stand_in, wanted)
            if again:
                reset_script_if_stuck(stand_in)
            sent = again
    assert wanted <= events(stand_in.taken)


def reset_script_if_stuck(stand_in: StandIn) -> None:
    """Let faults end some time: each request that had to be repeated takes one from the script."""
    del stand_in.script[:3]


def check_answer(
    answered: Answered, sent: list[bytes], stand_in: StandIn, wanted: set[tuple[str, bytes]]
) -> list[bytes]:
    """Hold one answer against what was sent and what is stored; return what it says to send again, with ids."""
    rejected, retry = answered.indexes("rejected"), answered.indexes("retry")
    assigned = {entry["index"]: entry["id"] for entry in answered.members.get("assigned", [])}
    accepted = [index for index in range(len(sent)) if index not in {*rejected, *retry}]
    for name in ("rejected", "retry", "assigned", "conflicting"):
        assert answered.indexes(name) == sorted(set(answered.indexes(name)))
    assert not set(rejected) & set(retry)
    assert answered.members.get("accepted") == len(accepted)
    assert rejected == [index for index, body in enumerate(sent) if not valid(body)]
    named = {index: assigned.get(index) or json.loads(sent[index])["id"] for index in (*accepted, *retry)}
    wanted |= {(named[index], sent[index]) for index in accepted}
    assert {(named[index], sent[index]) for index in accepted} <= events(stand_in.taken)
    assert not {(named[index], sent[index]) for index in retry} & events(stand_in.told)
    assert answered.status == (503 if retry else 202 if accepted else 400)
    assert [entry["id"] for entry in answered.members.get("retry", [])] == [named[index] for index in retry]
    if retry:
        assert "send those under retry again, with the same ids," in answered.members["detail"]
        assert answered.headers["Retry-After"] == "1"
    return [event(**{**json.loads(sent[index]), "id": named[index]}) for index in retry]


def valid(body: bytes) -> bool:
    """Say whether an event of these tests is one."""
    try:
        members = json.loads(body)
    except ValueError:
        return False
    return isinstance(members, dict) and isinstance(members.get("actor"), dict) and members["timestamp"] != "soon"


@pytest.mark.parametrize("hear", ["silence", "drip"])
def test_a_call_that_does_not_end_is_given_up(
    handler: ModuleType, stand_in: StandIn, hear: Literal["silence", "drip"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that does not come, or drips in so that no read times out, costs only the events that it is about.

    What was taken before is accepted, and what is not known is told to come again before API Gateway gives up.
    """
    monkeypatch.setattr(delivery, "CALL_S", 0.3)
    monkeypatch.setattr(handler, "SETTINGS", replace(handler.SETTINGS, packing=False))
    reset(stand_in, Call(), Call(hear=hear))
    answered = post(handler, [event(id=f"e-{number}") for number in range(501)], Context([29, 29]))

    assert (answered.status, answered.members["accepted"]) == (503, 500)
    assert answered.members["retry"] == [{"index": 500, "id": "e-500"}]
    assert len(stand_in.taken) == 501  # it was; the duplicate has the same id


def test_nobody_there(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that cannot be reached at all is a 503 for every event, with the ids that were made."""
    nowhere = boto3.client(
        "firehose",
        endpoint_url="http://127.0.0.1:9",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106 - nobody is there
        config=Config(retries={"total_max_attempts": 1}),
    )
    monkeypatch.setattr(handler, "firehose", nowhere)
    answered = post(handler, [event(id="a"), event()])
    nowhere.close()

    assert answered.status == 503
    assert answered.members["retry"] == [{"index": 0, "id": "a"}, *answered.members["assigned"]]


def test_a_single_event_comes_again_with_the_id_that_it_was_given(handler: ModuleType, stand_in: StandIn) -> None:
    """POST /events says under which id the event has to be sent again, also when the server made it."""
    reset(stand_in, *[Call(hear="error")] * 30)
    answered = post(handler, [event()], single=True)

    assert (answered.status, answered.members["eventId"]) == (503, "api-1=")


@pytest.mark.parametrize(
    ("code", "status", "answer"),
    [
        *(("ThrottlingException", 400, 503), ("SlowDown", 400, 503), ("RequestTimeoutException", 400, 503)),
        *(("InvalidKMSResourceException", 400, 502), ("ResourceNotFoundException", 400, 502)),
    ],
)
def test_faults_that_pass_are_told_from_those_that_stay(
    handler: ModuleType, stand_in: StandIn, code: str, status: int, answer: int
) -> None:
    """What passes is a 503; what somebody has to mend is a 502 at once. Either lists the events."""
    reset(stand_in, *[Call(hear="error", status=status, code=code)] * 30)
    answered = post(handler, [event(id="a")])

    assert (answered.status, answered.indexes("retry")) == (answer, [0])
    assert (len(stand_in.calls) == 1) == (answer == 502)


def test_the_way_to_the_function_counts(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """API Gateway's 29 seconds began when it got the request: a start of five seconds leaves 23 and one to answer."""
    seen = []
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
    monkeypatch.setattr(handler, "time", SimpleNamespace(time=lambda: 1_000.0, monotonic=lambda: 50.0, sleep=None))

    def receive(_request: object, _settings: object, _firehose: object, clock: delivery.Clock) -> None:
        seen.append(clock.remaining_s())
        raise handler.Problem(HTTPStatus.BAD_REQUEST, "seen")

    monkeypatch.setattr(handler, "receive", receive)
    for sent_at_s in (1_000, 995, 0, 2_000):
        at = {"extendedRequestId": "api-1=", "requestTimeEpoch": sent_at_s * 1000}
        handler.handle({"resource": "/events", "body": "{}", "requestContext": at}, context)

    assert seen == [28.0, 23.0, 18.0, 28.0]
