"""Where an event is: in each place it can be."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from auditlake.errors import QueryError, StoreError
from auditlake.runtime.buffer import Buffer
from auditlake.runtime.event_search import Found
from auditlake.runtime.explain import Explanation, explain, stages
from auditlake.runtime.function import FunctionError
from auditlake.runtime.plan import Plan
from auditlake.runtime.store import open_store
from auditlake.runtime.store_location import S3Location, choose_location
from auditlake.runtime.stream import StreamWorker
from lambda_src.common.envelope import Envelope, encode
from lambda_src.transform.record import made_id
from tests.conftest import Running
from tests.functions import scripted

NOW_MS = 1_795_521_600_000


class Scripted:
    """A transform that does what the bodies of the envelopes say."""

    def invoke(self, event: bytes, timeout_s: float | None = None) -> bytes | FunctionError:  # noqa: ARG002 - the seam
        """Answer as the records say."""
        return json.dumps(scripted(json.loads(event), None)).encode()


@pytest.fixture(name="plan")
def plan_with_an_error_prefix(plan: Plan, request: pytest.FixtureRequest) -> Plan:
    """The plan of the defaults, with another error prefix where a test asks for one."""
    prefix = getattr(request, "param", plan.stream.error_output_prefix)
    return replace(plan, stream=replace(plan.stream, error_output_prefix=prefix))


@pytest.fixture
def buffer(tmp_path: Path) -> Iterator[Buffer]:
    """The buffer of a data directory."""
    buffer = Buffer(tmp_path / "buffer.sqlite")
    yield buffer
    buffer.close()


Deliver = Callable[[bool], None]


@pytest.fixture
def transform(plan: Plan, buffer: Buffer, tmp_path: Path) -> Iterator[Deliver]:
    """Transform what is accepted, and store it too or leave it in its buffers."""
    now = [NOW_MS / 1000 + 61]
    store = open_store(tmp_path, plan.bucket.name, None, lambda: now[0])
    worker = StreamWorker(plan, buffer, Scripted(), store, clock=lambda: now[0])

    def deliver(everything: bool) -> None:
        worker.step(everything=everything)

    yield deliver
    worker.close()


def accept(buffer: Buffer, *records: bytes) -> list[str]:
    """Accept records and return their ids."""
    return [buffer.record_id(seq) for seq in buffer.accept(NOW_MS, records).result(timeout=10)]


def envelope(event_id: str, body: bytes) -> bytes:
    """An event in an envelope."""
    return encode(Envelope(event_id, "request-1", NOW_MS - 5, "192.0.2.1", "alice", body))


def told(event_id: str, do: str = "Ok") -> bytes:
    """A bare record that says what becomes of it, and whose row tells how it came in."""
    row = {"event_id": event_id, "received_at": "2026-11-24T12:00:00.250Z", "api_request_id": "request-1"}
    return json.dumps({"do": do, "id": event_id, "row": row}).encode()


def test_a_waiting_event_is_found_with_its_record_and_its_request(plan: Plan, buffer: Buffer, tmp_path: Path) -> None:
    """An event in an envelope, alone or packed with others, is found by its own id or by the envelope's."""
    packed = envelope("", b'{"id":"mine"}') + b"\n" + envelope("given", b"no json")
    first, second = accept(buffer, packed, b'{"_id":"bare"}')
    came = {"received_ms": NOW_MS - 5, "request_id": "request-1", "source_ip": "192.0.2.1", "principal": "alice"}

    for event_id in ("mine", "given"):
        assert explain(tmp_path, plan, event_id).found == [
            Found("transform", record_id=first, arrival_ms=NOW_MS, **came)  # type: ignore[arg-type]  # of both types
        ]
    assert explain(tmp_path, plan, "bare").found == [Found("transform", record_id=second, arrival_ms=NOW_MS)]
    assert explain(tmp_path, plan, "bare").scanned.waiting_records == 2


def test_an_event_without_an_id_is_found_by_the_one_that_is_made(plan: Plan, buffer: Buffer, tmp_path: Path) -> None:
    """The id that the transform will make of record and line finds the event before it is transformed."""
    (record_id,) = accept(buffer, b'{"a":1}\n{"a":2}')

    (found,) = explain(tmp_path, plan, made_id(record_id, 1)).found
    assert found.record_id == record_id


def test_an_event_in_the_buffer_of_its_partition_is_found(
    plan: Plan, buffer: Buffer, transform: Deliver, tmp_path: Path
) -> None:
    """After the transform the event waits in its partition, and its row tells the request."""
    (record_id,) = accept(buffer, told("e"))
    transform(False)

    (found,) = explain(tmp_path, plan, "e").found
    assert (found.place, found.record_id, found.request_id) == ("partition", record_id, "request-1")
    assert found.partition == {"audit_type": "login", "year": "2026", "month": "11", "day": "24"}
    assert found.received_ms == NOW_MS + 250


def test_a_stored_event_is_found_in_its_object(plan: Plan, buffer: Buffer, transform: Deliver, tmp_path: Path) -> None:
    """Each copy of a stored event names its object, also after the runtime has stopped."""
    accept(buffer, told("e"), told("other"))
    transform(True)
    accept(buffer, told("e"))
    transform(True)
    buffer.close()

    explanation = explain(tmp_path, plan, "e")
    assert [found.place for found in explanation.found] == ["store", "store"]
    for found in explanation.found:
        assert found.object_key is not None
        assert (tmp_path / plan.bucket.name / found.object_key).is_file()
        assert found.received_ms == NOW_MS + 250
    assert explanation.scanned.table_objects == 2
    assert explanation.scanned.table_bytes_read > 0


@pytest.mark.parametrize("everything", [False, True])
def test_a_failed_event_is_found_with_the_reason(
    plan: Plan, buffer: Buffer, transform: Deliver, tmp_path: Path, everything: bool
) -> None:
    """A record that failed is found among the errors, buffered or stored, with type, code, words and attempts."""
    accept(buffer, told("e", do="ProcessingFailed"), told("unconverted").replace(b'"2026-11-24T', b'"2026-11-24X'))
    transform(everything)

    (found,) = explain(tmp_path, plan, "e").found
    assert (found.place, found.error_type, found.attempts) == ("errors", "processing-failed", 1)
    assert found.error_code == "Lambda.ProcessingFailedStatus"
    assert found.arrival_ms == NOW_MS
    assert (found.object_key is not None) == everything
    assert "failed after 1 attempt: Lambda.ProcessingFailedStatus" in dict(stages(found))["transform"]
    (other,) = explain(tmp_path, plan, "unconverted").found
    if everything:
        assert other.error_type == "format-conversion-failed"
        assert "convert" in dict(stages(other))


@pytest.mark.parametrize(
    ("record", "event_id"),
    [
        (b'\xef\xbb\xbf{"id":"marked"}', "marked"),
        (b'{"id":"half","x":"\\ud800"}', "half"),
        (b'{"id":7}', "7"),
        (b'{"id":"","_id":"second"}', "second"),
    ],
)
def test_an_event_has_the_id_that_the_transform_will_read(
    plan: Plan, buffer: Buffer, tmp_path: Path, record: bytes, event_id: str
) -> None:
    """A byte order mark, half a surrogate pair, a number as id and an empty id are read as the transform reads them."""
    accept(buffer, record)

    (found,) = explain(tmp_path, plan, event_id).found
    assert found.unreadable is None


@pytest.mark.parametrize(
    "record",
    [
        b'{"id":"lost","x":NaN}',
        b'{"id":"lost"}{"id":"other"}',
        b'[{"id":"lost"}]',
        b'{"id":"lost"}\x00',
        b'{"id":"lost","x":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{\n"id": "lost",\n"x": tru\n}',
        b'{"auditlake":1,"eventId":"lost"}',
    ],
)
def test_an_event_that_cannot_be_read_is_found_by_its_text(
    plan: Plan, buffer: Buffer, tmp_path: Path, record: bytes
) -> None:
    """What is no event for the transform will lie among the errors: it is found there, not told to be nowhere."""
    accept(buffer, record)

    (found,) = explain(tmp_path, plan, "lost").found
    assert found.unreadable
    assert "no event can be read in it" in dict(stages(found))["deliver"]
    assert explain(tmp_path, plan, "los").found == []


def test_an_empty_id_is_a_sentence(plan: Plan, buffer: Buffer, tmp_path: Path) -> None:
    """An empty id is no event's, though many records have none."""
    accept(buffer, b"no json")
    with pytest.raises(QueryError, match="The event id is empty"):
        explain(tmp_path, plan, "")


def test_a_dropped_event_leaves_no_trace_but_the_count(
    plan: Plan, buffer: Buffer, transform: Deliver, tmp_path: Path
) -> None:
    """An event that the transform dropped is nowhere; that records were dropped is told beside it."""
    accept(buffer, told("e", do="Dropped"), told("other"))
    assert explain(tmp_path, plan, "e").scanned.dropped_records == 0
    transform(True)

    explanation = explain(tmp_path, plan, "e")
    assert explanation.found == []
    assert explanation.scanned.dropped_records == 1


@pytest.mark.parametrize(
    "plan",
    ["!{firehose:error-output-type}/", "bad/errors-!{timestamp:yyyy/MM}/!{firehose:error-output-type}/x"],
    indirect=True,
)
def test_any_error_prefix_is_looked_under(plan: Plan, buffer: Buffer, transform: Deliver, tmp_path: Path) -> None:
    """An error prefix without a folder of its own, or that ends within a name, hides no failure and breaks no look."""
    accept(buffer, told("e"), told("f", do="ProcessingFailed"))
    transform(True)

    assert [found.place for found in explain(tmp_path, plan, "e").found] == ["store"]
    (found,) = explain(tmp_path, plan, "f").found
    assert (found.place, found.error_type) == ("errors", "processing-failed")


def test_an_unknown_event_says_what_was_looked_through(plan: Plan, buffer: Buffer, tmp_path: Path) -> None:
    """Nothing is found, and the answer tells among what."""
    accept(buffer, b"no json", b'{"id":7}', b"")
    explanation = explain(tmp_path, plan, "nobody")

    assert explanation.found == []
    assert explanation.scanned.waiting_records == 3
    assert json.loads(json.dumps(explanation.content()))["scanned"]["objects_read"] is True


def test_objects_behind_an_s3_endpoint_are_not_read_and_that_is_told(
    plan: Plan, buffer: Buffer, tmp_path: Path
) -> None:
    """The buffer is looked into; that the objects were not is no silence."""
    choose_location(tmp_path, plan.bucket.name, S3Location("b"))
    accept(buffer, b'{"id":"e"}')
    explanation = explain(tmp_path, plan, "e")

    assert len(explanation.found) == 1
    assert (explanation.scanned.objects_read, explanation.scanned.objects_in) == (False, "s3://b/")


def test_a_record_that_moves_on_is_looked_for_again(
    plan: Plan, buffer: Buffer, transform: Deliver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that is stored while the objects are read is neither missed nor found twice."""
    accept(buffer, told("e"))
    looks: list[Explanation] = []
    original = explain.__globals__["_look_into_objects"]

    def look_late(data: Path, plan: Plan, event_id: str) -> object:
        seen = original(data, plan, event_id)
        if not looks:
            looks.append(seen)
            transform(True)
        return seen

    monkeypatch.setattr("auditlake.runtime.explain._look_into_objects", look_late)

    assert [found.place for found in explain(tmp_path, plan, "e").found] == ["store"]


def test_a_directory_without_a_buffer_is_a_sentence(plan: Plan, tmp_path: Path) -> None:
    """What is no data directory, and what is no buffer, are told as such."""
    with pytest.raises(StoreError, match="There is no buffer in"):
        explain(tmp_path, plan, "e")
    (tmp_path / "buffer.sqlite").write_bytes(b"something else entirely, and long enough to be no header of SQLite")
    with pytest.raises(StoreError, match="cannot be read"):
        explain(tmp_path, plan, "e")


def test_a_table_without_event_ids_is_a_sentence(plan: Plan, tmp_path: Path) -> None:
    """A plan with another table is refused by the column that is missing."""
    other = Plan(**{**plan.__dict__, "table": type(plan.table)("d", "t", (), ())})
    with pytest.raises(QueryError, match="no column event_id"):
        explain(tmp_path, other, "e")


def test_the_command_asks_the_runtime_or_reads_the_directory(running: Running) -> None:
    """`auditlake explain` tells the stages, as a table or JSON, and exits 1 for an event that is nowhere."""
    event = {"id": "told", "eventType": "login", "timestamp": "2026-11-24T03:00:00Z", "actor": {"userId": "u"}}
    assert running.auditlake("send", "-", stdin=json.dumps(event)).returncode == 0
    waiting = running.auditlake("explain", "told")
    assert waiting.returncode == 0, waiting.stderr
    assert "waits for the transform" in waiting.stdout
    running.flush()

    asked = json.loads(running.auditlake("explain", "--json", "told").stdout)
    looked = json.loads(running.auditlake("explain", "--json", "--data", str(running.data), "told").stdout)
    assert asked == looked
    assert [step["stage"] for step in asked["found"][0]["stages"]][-1] == "store"
    nowhere = running.auditlake("explain", "nobody")
    assert nowhere.returncode == 1
    assert "nobody is nowhere" in nowhere.stdout
    assert "Looked through" in nowhere.stderr


def test_damaged_records_are_told_when_an_event_is_nowhere(plan: Plan, buffer: Buffer, tmp_path: Path) -> None:
    """An event that is not found may be in a record that cannot be read: how many there are, and in which files."""
    accept(buffer, envelope("lost", b"{}"), envelope("kept", b"{}"))
    (file,) = (tmp_path / "buffer.journal").iterdir()
    content = bytearray(file.read_bytes())
    content[content.index(b"lost")] ^= 1
    file.write_bytes(content)

    explanation = explain(tmp_path, plan, "lost").content()
    assert explanation["found"] == []
    assert (explanation["scanned"]["damaged_records"], explanation["scanned"]["damaged_files"]) == (1, (str(file),))
    assert explain(tmp_path, plan, "kept").found != []
