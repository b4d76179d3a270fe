"""Sending, over real HTTP on loopback."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from auditlake.errors import SendError
from auditlake.mapping import load_mapping
from auditlake.outgoing import Outgoing
from auditlake.send import Clock, SendOptions, Source, batches, open_source, send, send_file
from auditlake.send_summary import Summary
from tests.batch_receiver import BatchReceiver, Fault, running_receiver

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def receiver() -> Iterator[BatchReceiver]:
    """The double of the endpoint."""
    with running_receiver() as running:
        yield running


class Time:
    """A clock whose time passes by sleeping only; chance is always one half."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def clock(self) -> Clock:
        """Give the clock to pass in."""
        return Clock(now=lambda: NOW, monotonic=lambda: sum(self.slept), sleep=self.slept.append, random=lambda: 0.5)


def event(number: int, **members: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    """One valid event."""
    return {
        "id": f"e-{number}",
        "eventType": "login",
        "timestamp": "2026-11-24T10:00:00Z",
        "actor": {"userId": "ann"},
        **members,
    }


def ndjson(*events: object) -> bytes:
    """Events as lines; bytes stand for themselves."""
    return b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in events) + b"\n"


def source(data: bytes) -> Source:
    """An opened input that holds the data."""
    return Source(io.BufferedReader(io.BytesIO(data)), "test", NOW, len(data))


def sent(data: bytes, receiver: BatchReceiver, folder: Path, time: Time | None = None, **options: Any) -> Summary:  # noqa: ANN401
    """Send data to the double."""
    return send(
        source(data),
        SendOptions(url=receiver.url, **options),
        rejected_path=folder / "x.rejected.ndjson",
        clock=(time or Time()).clock(),
    )


def rejected_lines(folder: Path, name: str = "x.rejected.ndjson") -> list[dict[str, Any]]:
    """The rejected file's lines."""
    return [json.loads(line) for line in (folder / name).read_bytes().splitlines()]


def test_each_event_arrives_once_with_its_exact_bytes(receiver: BatchReceiver, tmp_path: Path) -> None:
    """NDJSON lines arrive in order, byte for byte, in gzip bodies; the exit code is 0 and no rejected file is made."""
    lines = [json.dumps(event(n), separators=(" ,", " : ")).encode() for n in range(7)]
    summary = sent(b"\r\n".join(lines) + b"\n\n", receiver, tmp_path, max_events=3)
    assert receiver.taken == lines
    assert [len(request) for request in receiver.requests] == [3, 3, 1]
    assert {headers["Content-Encoding"] for headers in receiver.headers} == {"gzip"}
    assert (summary.read, summary.sent, summary.accepted, summary.rejected, summary.exit_code) == (7, 7, 7, 0, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("wrapped", [False, True])
def test_arrays_and_documents_are_read(
    receiver: BatchReceiver, tmp_path: Path, packed: bool, indent: int | None, wrapped: bool
) -> None:
    """A JSON array and {"events": [...]}, on one line or many, plain or gzip, stand for their elements."""
    events = [event(n) for n in range(5)]
    data = json.dumps({"note": [1], "events": events} if wrapped else events, indent=indent).encode()
    summary = sent(gzip.compress(data) if packed else data, receiver, tmp_path)
    assert [json.loads(body) for body in receiver.taken] == events
    assert summary.exit_code == 0


def test_event_without_id_gets_one_that_is_the_same_at_every_sending(receiver: BatchReceiver, tmp_path: Path) -> None:
    """The id is the first member, differs between equal events, and comes out the same from the same input."""
    bare = {name: value for name, value in event(0).items() if name != "id"}
    data = ndjson(bare, bare, {**bare, "_id": "mine"}, {**bare, "id": None})
    first = sent(data, receiver, tmp_path)
    taken, receiver.taken = receiver.taken, []
    sent(data, receiver, tmp_path)
    assert taken == receiver.taken
    documents = [json.loads(body) for body in taken]
    assert next(iter(documents[0])) == "id"
    assert documents[0]["id"] != documents[1]["id"]
    assert documents[2]["_id"] == "mine"
    assert "id" not in documents[2]
    assert documents[3]["_id"]
    assert taken[0].endswith(json.dumps(bare).encode()[1:])
    assert first.ids_given == 3


def test_wrong_events_cost_no_other_and_are_written_with_reason(receiver: BatchReceiver, tmp_path: Path) -> None:
    """Broken JSON names its line, a refused event the field; both are in the rejected file as they were read."""
    broken, refused = b'{"eventType": "login"', {"id": "bad", "eventType": "login", "timestamp": "2026-11-24T10:00:00Z"}
    summary = sent(ndjson(event(0), broken, refused, b"[1", b"17", event(5)), receiver, tmp_path)
    assert [json.loads(body)["id"] for body in receiver.taken] == ["e-0", "e-5"]
    lines = rejected_lines(tmp_path)
    assert {(line["index"], line["id"]) for line in lines} == {(1, None), (2, "bad"), (3, None), (4, None)}
    by_index = {line["index"]: line for line in lines}
    assert by_index[1]["reason"].startswith("line 2 is not JSON")
    assert by_index[1]["event"] == broken.decode()
    assert by_index[2] == {"index": 2, "id": "bad", "reason": "actor.userId: expected a string.", "event": refused}
    assert by_index[4]["event"] == 17
    assert (summary.read, summary.accepted, summary.rejected, summary.exit_code) == (6, 2, 4, 1)
    assert summary.rejected_file == str(tmp_path / "x.rejected.ndjson")


def test_rejected_file_of_an_earlier_run_is_kept(receiver: BatchReceiver, tmp_path: Path) -> None:
    """A second run numbers its rejected file and leaves the first as it was."""
    sent(ndjson({"first": 1}), receiver, tmp_path)
    summary = sent(ndjson({"second": 2}), receiver, tmp_path)
    assert rejected_lines(tmp_path)[0]["event"] == {"first": 1}
    assert rejected_lines(tmp_path, "x.rejected.2.ndjson")[0]["event"] == {"second": 2}
    assert summary.rejected_file == str(tmp_path / "x.rejected.2.ndjson")


def test_503_sends_again_exactly_what_the_answer_names(receiver: BatchReceiver, tmp_path: Path) -> None:
    """Only the events under `retry` are sent again, with the same bytes, after Retry-After and a random back-off."""
    receiver.faults = [Fault(503, again=(1, 3), retry_after="7"), Fault(503, again=(1,))]
    time = Time()
    data = ndjson(*(event(n) for n in range(5)), {"id": "bad"})
    summary = sent(data, receiver, tmp_path, time)
    assert [[json.loads(body)["id"] for body in request] for request in receiver.requests] == [
        ["e-0", "e-1", "e-2", "e-3", "e-4", "bad"],
        ["e-1", "e-3"],
        ["e-3"],
    ]
    assert sorted(receiver.taken) == sorted(json.dumps(event(n)).encode() for n in range(5))
    assert time.slept == [7.25, 0.5]
    assert (summary.accepted, summary.rejected, summary.retried) == (5, 1, 3)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_transient_answers_without_results_send_all_again(receiver: BatchReceiver, tmp_path: Path, status: int) -> None:
    """A throttle or a gateway's fault is for the whole body: it is sent again until it is taken."""
    receiver.faults = [Fault(status, retry_after="Tue, 24 Nov 2026 12:00:03 GMT"), Fault(status)]
    time = Time()
    summary = sent(ndjson(event(0), event(1)), receiver, tmp_path, time)
    assert time.slept == [3.25, 0.5]
    assert len(receiver.taken) == 2
    assert (summary.accepted, summary.retried, summary.exit_code) == (2, 4, 0)


def test_lost_answer_sends_the_same_bytes_again(receiver: BatchReceiver, tmp_path: Path) -> None:
    """When the connection breaks after the events were taken, the repeat carries the same bytes and ids."""
    receiver.faults = [Fault(0, taken=True), Fault(0)]
    bare = {name: value for name, value in event(0).items() if name != "id"}
    summary = sent(ndjson(bare, event(1)), receiver, tmp_path)
    assert receiver.taken[:2] == receiver.taken[2:]
    assert len(receiver.requests) == 3
    assert (summary.accepted, summary.exit_code) == (2, 0)


def test_tries_end_and_the_summary_says_how_to_go_on(receiver: BatchReceiver, tmp_path: Path) -> None:
    """After the limit of tries the run ends; --skip with the settled count sends the rest and nothing before it."""
    time = Time()
    data = ndjson(*(event(n) for n in range(6)))
    receiver.faults = [Fault(503, again=(1,)), Fault(202, again=()), *[Fault(429)] * 4]
    summary = sent(data, receiver, tmp_path, time, max_events=2, tries=4)
    assert summary.exit_code == 1
    assert summary.settled == 2
    assert summary.failure == "The endpoint did not take 2 events in 4 tries; it last said: 429 Fault 429."
    assert "--skip 2" in summary.lines()[-1]
    assert time.slept == [0.25, 0.25, 0.5, 1.0]
    rest = sent(data, receiver, tmp_path, skip=summary.settled)
    assert [json.loads(body)["id"] for body in receiver.requests[-1]] == ["e-2", "e-3", "e-4", "e-5"]
    assert (rest.skipped, rest.read, rest.accepted, rest.exit_code) == (2, 4, 4, 0)


def test_retry_after_beyond_the_limit_ends_the_run(receiver: BatchReceiver, tmp_path: Path) -> None:
    """Nobody waits an hour in silence: the sentence says what the endpoint asked for."""
    receiver.faults = [Fault(503, retry_after="3600")]
    summary = sent(ndjson(event(0)), receiver, tmp_path)
    assert summary.failure is not None
    assert "3600 s" in summary.failure
    assert (summary.requests, summary.exit_code) == (1, 1)


def test_body_too_large_is_halved_until_only_the_event_at_fault_is_rejected(
    receiver: BatchReceiver, tmp_path: Path
) -> None:
    """413 for a body costs only the event that is too large by itself; the order of the others stays."""
    receiver.limit_bytes = 1000
    events = [event(n) for n in range(20)]
    events[13]["blob"] = "x" * 2000
    summary = sent(ndjson(*events), receiver, tmp_path)
    assert [json.loads(body)["id"] for body in receiver.taken] == [f"e-{n}" for n in range(20) if n != 13]
    assert rejected_lines(tmp_path)[0]["reason"].startswith("413 The body has ")
    assert rejected_lines(tmp_path)[0]["event"] == events[13]
    assert (summary.accepted, summary.rejected, summary.retried) == (19, 1, 0)


def test_400_that_names_every_event_is_one_request(receiver: BatchReceiver, tmp_path: Path) -> None:
    """When all events of a batch are refused, each keeps its own reason and nothing is sent twice."""
    summary = sent(ndjson(*({"id": f"bad-{n}"} for n in range(5)), event(5)), receiver, tmp_path, max_events=5)
    assert [line["reason"] for line in rejected_lines(tmp_path)] == ["eventType: expected a string."] * 5
    assert (summary.requests, summary.rejected, summary.accepted) == (2, 5, 1)


def test_400_for_the_body_as_a_whole_is_halved(receiver: BatchReceiver, tmp_path: Path) -> None:
    """A 400 that names no event is tried in parts, so that one event costs no other."""
    receiver.faults = [Fault(400), Fault(400)]
    summary = sent(ndjson(*(event(n) for n in range(3))), receiver, tmp_path)
    assert [len(request) for request in receiver.requests] == [3, 1, 2]
    assert (summary.rejected, summary.accepted) == (1, 2)
    assert rejected_lines(tmp_path)[0]["reason"] == "400 Fault 400."


def test_refused_for_good_ends_the_run_with_a_sentence(receiver: BatchReceiver, tmp_path: Path) -> None:
    """401, 404 and the like do not change by trying: one request, and the endpoint's own words."""
    receiver.faults = [Fault(401)]
    summary = sent(ndjson(event(0)), receiver, tmp_path)
    assert summary.failure is not None
    assert "401 Fault 401." in summary.failure
    assert (summary.requests, summary.settled, summary.exit_code) == (1, 0, 1)
    wrong = send(source(ndjson(event(0))), SendOptions(url=receiver.url + "/nowhere"), rejected_path=tmp_path / "r")
    assert wrong.failure is not None
    assert "404 There is no /nowhere/events/batch." in wrong.failure


def test_token_is_sent_as_bearer(receiver: BatchReceiver, tmp_path: Path) -> None:
    """The token travels in the Authorization header."""
    sent(ndjson(event(0)), receiver, tmp_path, token="s3cret")  # noqa: S106  # a test's token
    assert receiver.headers[0]["Authorization"] == "Bearer s3cret"


def test_unreachable_endpoint_is_tried_and_named(tmp_path: Path) -> None:
    """A refused connection is tried again up to the limit and then told as a sentence."""
    with running_receiver() as gone:
        url = gone.url
    time = Time()
    notices: list[str] = []
    summary = send(
        source(ndjson(event(0))),
        SendOptions(url=url, tries=3),
        rejected_path=tmp_path / "r",
        clock=time.clock(),
        notice=notices.append,
    )
    assert time.slept == [0.25, 0.5]
    assert "try 2 of 3" in notices[0]
    assert summary.failure is not None
    assert url in summary.failure
    assert summary.exit_code == 1


def test_stop_ends_after_the_batch_in_flight(receiver: BatchReceiver, tmp_path: Path) -> None:
    """A stop is seen between batches: what was sent is counted, the exit code is 130 and --skip goes on from there."""
    summary = send(
        source(ndjson(*(event(n) for n in range(6)))),
        SendOptions(url=receiver.url, max_events=2),
        rejected_path=tmp_path / "r",
        stop=lambda: len(receiver.requests) == 2,
    )
    assert (summary.accepted, summary.settled, summary.exit_code, len(receiver.taken)) == (4, 4, 130, 4)
    assert "--skip 4" in summary.lines()[-1]


def test_ctrl_c_of_a_real_process_says_what_was_accepted(receiver: BatchReceiver, tmp_path: Path) -> None:
    """SIGINT while the endpoint throttles ends the wait at once, and the handler of before is in place again."""
    receiver.faults = [Fault(202, again=()), *[Fault(503, retry_after="200")] * 3]
    data = tmp_path / "in.ndjson"
    data.write_bytes(ndjson(*(event(n) for n in range(4))))
    program = (
        "import sys; from rich.console import Console; from auditlake.send import SendOptions, send_file\n"
        "summary = send_file(sys.argv[1], SendOptions(sys.argv[2], max_events=2), None, None, Console(stderr=True))\n"
        "print(summary.to_json()); sys.exit(summary.exit_code)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(data), receiver.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        assert b"again in 200" in process.stderr.readline()
        os.kill(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    summary = json.loads(output)
    assert process.returncode == 130
    assert (summary["accepted"], summary["settled"], summary["interrupted"]) == (2, 2, True)


def test_send_file_names_the_rejected_file_after_the_input(receiver: BatchReceiver, tmp_path: Path) -> None:
    """A file's rejected events land beside it; without a terminal nothing is drawn."""
    data = tmp_path / "in.ndjson"
    data.write_bytes(ndjson(event(0), {"id": "bad"}))
    console = Console(file=io.StringIO())
    summary = send_file(str(data), SendOptions(receiver.url), None, None, console)
    assert summary.rejected_file == f"{data}.rejected.ndjson"
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""
    assert "1 event rejected" in "\n".join(summary.lines())


def test_progress_is_drawn_on_a_terminal(receiver: BatchReceiver, tmp_path: Path) -> None:
    """On a terminal the bar says how many events are accepted."""
    data = tmp_path / "in.ndjson"
    data.write_bytes(ndjson(event(0), event(1)))
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    send_file(str(data), SendOptions(receiver.url), None, None, console)
    assert isinstance(console.file, io.StringIO)
    assert "2 accepted" in console.file.getvalue()


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://x", "", "http://", "http://[::1"])
def test_wrong_url_is_refused_before_anything_is_sent(url: str, tmp_path: Path) -> None:
    """What is no http(s) URL is a sentence that quotes it."""
    with pytest.raises(SendError, match=r"is no (http or https )?URL"):
        send(source(ndjson(event(0))), SendOptions(url=url), rejected_path=tmp_path / "r")


def test_missing_file_and_folder_are_sentences(tmp_path: Path) -> None:
    """A path that cannot be read names itself and the reason."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(SendError, match="cannot be read"), open_source(str(path), NOW):
            pass


def test_answer_that_does_not_account_for_every_event_is_no_success(tmp_path: Path, receiver: BatchReceiver) -> None:
    """202 from something that is not the receiver never counts as accepted."""
    receiver.faults = [Fault(202)]
    summary = sent(ndjson(event(0)), receiver, tmp_path)
    assert summary.accepted == 0
    assert summary.failure is not None
    assert "without saying what became of each event" in summary.failure


@given(
    lengths=st.lists(st.integers(0, 60), max_size=60),
    max_events=st.integers(1, 10),
    max_bytes=st.integers(1, 200),
)
def test_batches_hold_every_event_once_in_order_within_the_limits(
    lengths: list[int], max_events: int, max_bytes: int
) -> None:
    """No event is lost, doubled or moved; only an event too large by itself exceeds the bytes; batches are full."""
    events = [Outgoing(n, None, b"x" * length, b"") for n, length in enumerate(lengths)]
    groups = list(batches(events, max_events, max_bytes))
    assert [one for group in groups for one in group] == events
    sizes = [sum(len(one.body) + 1 for one in group) for group in groups]
    for group, size in zip(groups, sizes, strict=True):
        assert 1 <= len(group) <= max_events
        assert size <= max_bytes or len(group) == 1
    for group, size, following in zip(groups, sizes, groups[1:], strict=False):
        assert len(group) == max_events or size + len(following[0].body) + 1 > max_bytes


@pytest.mark.parametrize(
    ("mapping", "name", "count"),
    [
        ("cloudtrail", "aws_cloudtrail_stratus.ndjson", 310),
        ("cloudtrail", "aws_cloudtrail_otrf_s3_exfil.ndjson", 103),
        ("github", "github_webhooks_devset.ndjson", 111),
    ],
)
def test_real_events_arrive_mapped_with_the_original_whole(
    receiver: BatchReceiver, tmp_path: Path, shared_data: Path, mapping: str, name: str, count: int
) -> None:
    """Every real event of the product is accepted once, under its own id, its bytes whole at the end."""
    path = shared_data / "events" / name
    loaded = load_mapping(mapping)
    summary = send_file(str(path), SendOptions(receiver.url), loaded, tmp_path / "r", Console(file=io.StringIO()))
    assert (summary.read, summary.accepted, summary.exit_code) == (count, count, 0)
    assert len({json.loads(body)["id"] for body in receiver.taken}) == count
    for body, line in zip(receiver.taken, path.read_bytes().splitlines(), strict=True):
        assert body.endswith(b',"original":' + line + b"}")
