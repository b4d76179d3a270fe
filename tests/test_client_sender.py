"""The sender: every answer of an endpoint, and every fault on the way to it, ends with each event where it belongs."""

import base64
import json
import logging
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from auditlake.batch_endpoint import Answer
from auditlake.client.line import encode_line
from auditlake.client.put_aside import count_damaged, dead_letters
from auditlake.client.sender import Sender, SendLimits, Stopped
from auditlake.client.signals import Signals
from auditlake.client.spool import pending, read_settled, segments, settled_path, write_settled
from auditlake.client.status import pending_events
from auditlake.client.writer import Limits, Writer
from auditlake.errors import SendError
from tests.spool_model import Endpoint, Killed, Time, flip_bit


def event(number: int) -> bytes:
    """An event."""
    return b'{"id":"e-%d"}' % number


def recorded(directory: Path, *numbers: int, sealed: bool = True, segment_bytes: int = 1 << 20) -> Writer:
    """Record events in a spool."""
    writer = Writer(directory, Limits(segment_bytes=segment_bytes), Time().clock())
    for number in numbers:
        writer.write(encode_line(1_700_000_000_000 + number, event(number)))
    if sealed:
        writer.close()
    return writer


class Scripted:
    """An endpoint that answers with what is scripted, then accepts; `requests` are the events of each request."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[list[bytes]] = []

    def post(self, events: Sequence[bytes], _now: datetime) -> Answer:
        """Answer one request."""
        self.requests.append(list(events))
        answer = self.answers.pop(0) if self.answers else Answer(accepted=tuple(range(len(events))))
        if isinstance(answer, Exception):
            raise answer
        return answer


def sender(
    directory: Path,
    endpoint: Scripted | Endpoint,
    time: Time | None = None,
    max_events: int = 1000,
    max_bytes: int = 4_000_000,
) -> Sender:
    """A sender whose waiting takes no time."""
    return Sender(directory, endpoint.post, SendLimits(max_events, max_bytes), (time or Time()).clock(), Signals())


def again(count: int, retry_after_s: float = 0.0) -> Answer:
    """An answer that takes nothing."""
    return Answer(again=tuple(range(count)), retry_after_s=retry_after_s, reason="503 full")


def test_batches_keep_to_the_limits_and_what_is_sent_is_gone(tmp_path: Path) -> None:
    """Each event arrives once with its exact bytes, in order, in batches of the limit; the spool is empty."""
    recorded(tmp_path, *range(7))
    endpoint = Scripted()
    one = sender(tmp_path, endpoint, max_events=3)
    one.drain()
    assert endpoint.requests == [[event(0), event(1), event(2)], [event(3), event(4), event(5)], [event(6)]]
    assert one.accepted == 7
    assert list(tmp_path.iterdir()) == []


def test_a_body_keeps_to_the_limit_of_bytes(tmp_path: Path) -> None:
    """Events are grouped by their bytes; one that is larger by itself is a batch by itself."""
    recorded(tmp_path, *range(4))
    endpoint = Scripted()
    sender(tmp_path, endpoint, max_bytes=2 * len(event(0)) + 2).drain()
    assert [len(request) for request in endpoint.requests] == [2, 2]
    recorded(tmp_path, 1)
    sender(tmp_path, endpoint, max_bytes=1).drain()
    assert endpoint.requests[-1] == [event(1)]


def test_the_backoff_grows_to_its_cap_and_has_no_end(tmp_path: Path) -> None:
    """Waits are half (the chance here) of 0.5, 1, 2, ... and at most 60 seconds; the event is sent in the end."""
    recorded(tmp_path, 1)
    endpoint, time = Scripted(*[again(1)] * 40), Time()
    sender(tmp_path, endpoint, time).drain()
    assert time.waited[:8] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert set(time.waited[8:]) == {30.0}
    assert len(time.waited) == 40
    assert endpoint.requests[-1] == [event(1)]


def test_retry_after_is_waited_on_top_of_the_backoff(tmp_path: Path) -> None:
    """What the endpoint asks for is waited whole, up to an hour."""
    recorded(tmp_path, 1)
    time = Time()
    sender(tmp_path, Scripted(again(1, 17.0), again(1, 1e9)), time).drain()
    assert time.waited == [17.0, 0.25, 3600.0, 0.5]


def test_only_what_is_asked_for_is_sent_again(tmp_path: Path) -> None:
    """Of a batch that is taken in part, the rest is sent again in its order, with the same bytes."""
    recorded(tmp_path, *range(5))
    endpoint = Scripted(Answer(accepted=(0, 2, 4), again=(1, 3)))
    sender(tmp_path, endpoint).drain()
    assert endpoint.requests[1] == [event(1), event(3)]


def test_refused_events_are_dead_letters(tmp_path: Path) -> None:
    """They are kept with the reason, the times and their exact bytes, counted, and cost no other event."""
    recorded(tmp_path, *range(3))
    endpoint = Scripted(Answer(accepted=(0, 2), rejected=((1, "timestamp: expected a string."),)))
    one = sender(tmp_path, endpoint)
    one.drain()
    (letter,) = dead_letters(tmp_path)
    assert (letter.id, letter.reason, bytes(letter.event)) == ("e-1", "timestamp: expected a string.", event(1))
    assert letter.recorded_at == "2023-11-14T22:13:20.001000+00:00"
    assert (one.accepted, one.refused) == (2, 1)
    assert segments(tmp_path) == []


def test_dead_letters_and_damage_have_a_name_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the sync of the directory failed the first time: the file is there then, and its name may not be."""
    (tmp_path / "0.events").write_bytes(b"no event\n" + encode_line(1, event(1)))
    synced: list[Path] = []

    def fail_at_first(directory: Path) -> None:
        synced.append(directory)
        if len(synced) in (1, 3):
            raise OSError(5, "Input/output error")

    for module in ("files", "put_aside"):
        monkeypatch.setattr(f"auditlake.client.{module}.sync_directory", fail_at_first)
    for attempts in (1, 3):
        with pytest.raises(OSError, match="Input/output error"):
            sender(tmp_path, Scripted(Answer(rejected=((0, "bad"),)))).drain()
        assert (len(synced), read_settled(tmp_path / "0.events")) == (attempts, 0)
    sender(tmp_path, Scripted(Answer(rejected=((0, "bad"),)))).drain()

    assert {dead.id for dead in dead_letters(tmp_path)} == {"e-1"}
    assert len(synced) >= 5, "each of the two files had its directory synced after the failure"


def test_a_body_refused_as_a_whole_is_divided(tmp_path: Path) -> None:
    """Only the event at fault becomes a dead letter, whatever the others are; dividing waits for nothing."""

    class Picky(Scripted):
        def post(self, events: Sequence[bytes], now: datetime) -> Answer:
            if event(5) in events:
                self.answers = [Answer(divide=True, reason="413 too large")]
            return super().post(events, now)

    recorded(tmp_path, *range(8))
    endpoint, time = Picky(), Time()
    one = sender(tmp_path, endpoint, time)
    one.drain()
    assert [letter.id for letter in dead_letters(tmp_path)] == ["e-5"]
    assert (one.accepted, one.refused, time.waited) == (7, 1, [])


def test_an_endpoint_that_fails_on_one_event_takes_the_others(tmp_path: Path) -> None:
    """An event on which the endpoint fails for ever makes way: those before and behind it are accepted, it is kept."""

    class Poisoned(Scripted):
        def post(self, events: Sequence[bytes], now: datetime) -> Answer:
            if event(6) in events:
                self.answers = [again(len(events))]
            return super().post(events, now)

    recorded(tmp_path, *range(20))
    endpoint, time = Poisoned(), Time()
    one = sender(tmp_path, endpoint, time)

    def stop_when_others_are_through(_: float) -> None:
        if one.accepted == 19:
            one._signals.halt()

    time.on_wait = stop_when_others_are_through
    one.drain()
    with pytest.raises(Stopped):
        one.drain()
    assert one.accepted == 19
    assert sum(time.waited) < 120
    assert list(pending_events(tmp_path)) == [event(6)]
    assert dead_letters(tmp_path) == []


@pytest.mark.parametrize(
    "fault", [SendError("401 Unauthorized."), RuntimeError("a connection in no known state")], ids=["401", "unforeseen"]
)
def test_what_is_ours_to_mend_costs_no_event(
    tmp_path: Path, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """A token that expired or an error nobody thought of keeps events in the spool, is told once, and gets over."""
    recorded(tmp_path, 1, 2)
    endpoint = Scripted(fault, fault)
    one = sender(tmp_path, endpoint)
    with caplog.at_level(logging.WARNING):
        one.drain()
    assert endpoint.requests[0] == [event(1), event(2)]
    assert one.accepted == 2
    assert one.problem is None
    told = [record.getMessage() for record in caplog.records]
    assert len([text for text in told if str(fault) in text]) == 1
    assert any("are accepted again" in text for text in told)


def test_an_endpoint_that_is_down_is_asked_with_little(tmp_path: Path) -> None:
    """Each failure halves what is sent, each success lets it grow: an outage ends with a trickle, not a flood."""
    recorded(tmp_path, *range(16))
    endpoint = Scripted(*[again(n) for n in (16, 8, 4, 2, 1)])
    sender(tmp_path, endpoint).drain()
    sizes = [len(request) for request in endpoint.requests]
    assert sizes[:6] == [16, 8, 4, 2, 1, 1]
    assert sizes[6:] == [2, 3, 4, 5]


def test_a_killed_sender_repeats_at_most_a_batch(tmp_path: Path) -> None:
    """What was settled before is not sent again; the batch in flight is, with the same bytes."""
    recorded(tmp_path, *range(6))
    endpoint = Endpoint(fates=["accept", "killed after"])
    with pytest.raises(Killed):
        sender(tmp_path, endpoint, max_events=2).drain()
    sender(tmp_path, endpoint, max_events=2).drain()
    assert sorted(endpoint.accepted) == sorted([*map(event, range(6)), event(2), event(3)])


def test_a_live_segment_stays_and_is_not_sent_twice(tmp_path: Path) -> None:
    """The file that a writer holds is sent as it grows, and taken away when it is left."""
    writer = recorded(tmp_path, 1, sealed=False)
    endpoint = Scripted()
    one = sender(tmp_path, endpoint)
    one.drain()
    one.drain()
    (segment,) = segments(tmp_path)
    assert read_settled(segment) == segment.stat().st_size
    writer.write(encode_line(2, event(2)))
    one.drain()
    assert endpoint.requests == [[event(1)], [event(2)]]
    writer.close()
    one.tidy()
    assert list(tmp_path.iterdir()) == []


def test_damage_is_put_aside_with_its_place_and_its_bytes(tmp_path: Path) -> None:
    """A flipped bit and a torn tail are named and kept; every other event is accepted."""
    recorded(tmp_path, *range(4))
    (segment,) = segments(tmp_path)
    whole = segment.read_bytes()
    length = len(whole) // 4
    flip_bit(segment, length + 3, 4)
    os.truncate(segment, 3 * length + 10)
    endpoint = Scripted()
    sender(tmp_path, endpoint).drain()
    assert endpoint.requests == [[event(0), event(2)]]
    entries = [json.loads(text) for text in (tmp_path / "damaged.ndjson").read_text().splitlines()]
    assert [(one["segment"], one["offset"], one["length"]) for one in entries] == [
        (segment.name, length, length),
        (segment.name, 3 * length, 10),
    ]
    assert "checksum" in entries[0]["why"]
    assert "has no end" in entries[1]["why"]
    assert base64.b64decode(entries[1]["base64"]) == whole[3 * length : 3 * length + 10]
    assert count_damaged(tmp_path) == 2
    assert segments(tmp_path) == []


def test_a_damaged_note_of_progress_repeats_and_loses_nothing(tmp_path: Path) -> None:
    """A torn last line leaves the one before in force; a file without a sound line starts again."""
    writer = recorded(tmp_path, 1, 2, sealed=False)
    (segment,) = segments(tmp_path)
    write_settled(segment, 10)
    write_settled(segment, 20)
    os.truncate(settled_path(segment), settled_path(segment).stat().st_size - 4)
    assert read_settled(segment) == 10
    write_settled(segment, 30)
    assert read_settled(segment) == 30
    settled_path(segment).write_bytes(b"\0" * 50)
    assert read_settled(segment) == 0
    writer.close()


def test_a_segment_that_cannot_be_read_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is kept and told; the segments behind it are sent."""
    recorded(tmp_path, 1)
    recorded(tmp_path, 2)
    bad = segments(tmp_path)[0]
    real = os.open

    def failing(path: Path, flags: int, mode: int = 0o777) -> int:
        if path == bad:
            raise OSError(5, "Input/output error")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", failing)
    endpoint = Scripted()
    one = sender(tmp_path, endpoint)
    one.drain()
    assert len(endpoint.requests) == 1
    assert one.problem is not None
    assert "Input/output error" in caplog.text
    monkeypatch.undo()
    assert len(segments(tmp_path)) == 1
    one.drain()
    assert len(endpoint.requests) == 2


def test_a_disk_that_cannot_note_progress_does_not_stop_what_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk batches are sent once, and their segments go."""
    recorded(tmp_path, *range(4))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("auditlake.client.sender.write_settled", full)
    endpoint = Scripted()
    sender(tmp_path, endpoint, max_events=2).drain()
    assert endpoint.requests == [[event(0), event(1)], [event(2), event(3)]]
    assert segments(tmp_path) == []


def test_sent_segments_are_kept_by_choice(tmp_path: Path) -> None:
    """With keep_sent the file is under sent/ and can be read as a spool; nothing waits."""
    recorded(tmp_path, 1, 2)
    endpoint = Scripted()
    Sender(tmp_path, endpoint.post, SendLimits(keep_sent=True), Time().clock(), Signals()).drain()
    assert list(pending(tmp_path)) == []
    assert list(pending_events(tmp_path / "sent")) == [event(1), event(2)]


def test_leftovers_of_killed_processes_are_taken_away(tmp_path: Path) -> None:
    """A segment that never came to be and a note of progress without its segment go; nothing else does."""
    recorded(tmp_path, 1)
    (tmp_path / "x.new").write_bytes(b"")
    (tmp_path / "gone.settled").write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"mine")
    endpoint = Scripted()
    sender(tmp_path, endpoint).drain()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert endpoint.requests == [[event(1)]]
