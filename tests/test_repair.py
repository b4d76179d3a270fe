"""Repairs keep id and receipt, say where the original lies, and lose no event in silence."""

import json
import os
import select
from hashlib import sha256
from pathlib import Path

import pytest

from auditlake.errors import RedriveError
from auditlake.mapping import load_mapping
from auditlake.piped import StoppedError
from auditlake.recover import RecoveredEvent, recover
from auditlake.repair import Failed, by_command, by_mapping, with_id
from tests.failures import enveloped, event, record

BROKEN = [event(f"e{n}", timestamp=None) for n in range(3)]


def failed(*raws: bytes) -> list[Failed]:
    """Return the events of records, one each."""
    events = []
    for line, raw in enumerate(raws, start=1):
        (one,) = recover(record(raw, line=line))
        assert isinstance(one, RecoveredEvent)
        events.append(Failed("errors/a", line, one))
    return events


def script(tmp_path: Path, body: str) -> str:
    """Return a command that runs Python over the lines of its input: `lines` in, printed out."""
    path = tmp_path / "command.py"
    path.write_text(f"import json, sys\nlines = [json.loads(line) for line in sys.stdin]\n{body}\n", encoding="utf-8")
    return f"python3 {path}"


EACH = "for one in lines:\n    one['timestamp'] = '2026-09-21T14:00:00Z'\n    print(json.dumps(one))"


def test_a_command_mends_events_and_they_keep_their_receipt(tmp_path: Path) -> None:
    """What comes out is put in the envelope of what went in, with a note of the original."""
    (given,) = failed(enveloped(BROKEN[0], "e0"))
    (mended,) = by_command(script(tmp_path, EACH))([given])

    assert isinstance(mended, RecoveredEvent)
    assert mended.event_id == "e0"
    assert mended.envelope.principal == given.event.envelope.principal
    assert mended.envelope.received_at == given.event.envelope.received_at
    body = json.loads(mended.body)
    assert body.pop("redrive") == {"object": "errors/a", "line": 1, "sha256": sha256(BROKEN[0]).hexdigest()}
    assert body == {**json.loads(BROKEN[0]), "timestamp": "2026-09-21T14:00:00Z"}


def test_an_unchanged_event_stays_byte_for_byte() -> None:
    """A command that lets an event through has not repaired it."""
    given = failed(event("e0"), event("e1"))
    assert by_command("cat")(given) == [one.event for one in given]


def test_events_are_matched_by_their_ids(tmp_path: Path) -> None:
    """A command may change their order and leave some out; those are reported."""
    given = failed(*BROKEN)
    outcomes = by_command(script(tmp_path, "lines = [lines[2], lines[0]]\n" + EACH))(given)

    assert [one.event_id if isinstance(one, RecoveredEvent) else "" for one in outcomes] == ["e0", "", "e2"]
    assert "printed no event with its id" in str(outcomes[1])


def test_an_id_that_a_command_takes_away_is_put_back(tmp_path: Path) -> None:
    """By the event's place, when there are as many lines as before."""
    outcomes = by_command(script(tmp_path, "for one in lines:\n    del one['id']\n    print(json.dumps(one))"))(
        failed(*BROKEN)
    )
    for n, one in enumerate(outcomes):
        assert isinstance(one, RecoveredEvent)
        assert json.loads(one.body)["id"] == one.event_id == f"e{n}"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("for one in lines:\n    one['id'] += 'x'\n    print(json.dumps(one))", "printed no event with its id"),
        ("for one in lines:\n    print(json.dumps(one)); print(json.dumps(one))", "cannot be told apart"),
        ("for one in lines:\n    print('garbage')", "no JSON object"),
        ("for one in lines:\n    print('[]')", "no JSON object"),
        ("print('garbage')", "printed no event with its id"),
        ("pass", "printed no event with its id"),
    ],
    ids=["other ids", "twice", "garbage", "arrays", "one line", "nothing"],
)
def test_what_a_command_garbles_is_reported(tmp_path: Path, body: str, why: str) -> None:
    """No event of it is put, and none is lost without a word."""
    outcomes = by_command(script(tmp_path, body))(failed(*BROKEN))
    assert len(outcomes) == len(BROKEN)
    assert all(isinstance(one, str) and why in one for one in outcomes), outcomes


def test_what_is_no_json_is_not_given_to_a_command(tmp_path: Path) -> None:
    """Or most commands would end, and with them the repair of all others."""
    garbage, mended = by_command(script(tmp_path, EACH))(failed(b"no json", BROKEN[0]))
    assert isinstance(garbage, str)
    assert isinstance(mended, RecoveredEvent)


def test_an_event_without_id_is_given_one(tmp_path: Path) -> None:
    """So that the command's line can be matched; the id is that of the redrive without a command."""
    (given,) = failed(event(None, timestamp=None))
    (mended,) = by_command(script(tmp_path, EACH))([given])
    assert isinstance(mended, RecoveredEvent)
    assert json.loads(mended.body)["id"] == mended.event_id == given.event.event_id


def test_a_command_that_fails_ends_the_redrive() -> None:
    """Its exit code and words are told."""
    with pytest.raises(RedriveError, match="exit code 3, saying: no such thing"):
        by_command("echo no such thing >&2; exit 3")(failed(*BROKEN))


def test_a_command_that_prints_without_end_is_ended() -> None:
    """Before it takes the memory of the machine."""
    with pytest.raises(RedriveError, match=r"printed more than 16,\d{3},\d{3} bytes for one batch and was ended"):
        by_command("yes")(failed(*BROKEN))


def ends(pid: int) -> bool:
    """Return whether a process that was killed is gone, or goes within 10 seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """After its time, with a sentence; what it left in the background goes, too."""
    pid = tmp_path / "pid"
    with pytest.raises(RedriveError, match=r"did not end within 0\.5 s .* --timeout"):
        by_command(f"sleep 600 & echo $! > {pid}; wait", timeout_s=0.5)(failed(*BROKEN))
    assert ends(int(pid.read_text()))


def test_a_command_is_stopped_when_the_user_asks() -> None:
    """That is no fault of the command."""
    with pytest.raises(StoppedError):
        by_command("sleep 600", stop=lambda: True)(failed(*BROKEN))


def test_a_wait_for_a_command_is_told() -> None:
    """Each second."""
    told: list[float] = []
    by_command("sleep 1.3; cat", waits=told.append)(failed(*BROKEN))
    assert len(told) == 1


def test_a_command_may_print_much_before_it_reads() -> None:
    """Neither waits for the other for ever: more goes both ways than pipes hold."""
    events = [event(f"e{n}", note="x" * 100_000) for n in range(5)]
    given = failed(*events)
    assert by_command("head -c 300000 /dev/zero | tr '\\0' '\\n'; head -c 300000 /dev/zero >&2; cat")(given) == [
        one.event for one in given
    ]


def test_a_command_need_not_read_what_it_is_given() -> None:
    """What it does not print is reported."""
    outcomes = by_command("true")(failed(*[event(f"e{n}", note="x" * 100_000) for n in range(5)]))
    assert all("printed no event with its id" in str(one) for one in outcomes)


def test_a_mapping_keeps_the_original_whole() -> None:
    """An event of another product, put bare, becomes ours under its product's id."""
    trail = b'{"eventVersion":"1.08","eventTime":"2026-09-21T10:00:00Z","eventSource":"s3.amazonaws.com",' \
            b'"eventName":"GetObject","eventID":"ct-1","userIdentity":{"type":"IAMUser","userName":"x"}}'  # fmt: skip
    good, bad = by_mapping(load_mapping("cloudtrail"))(failed(trail, b'{"eventName":5}'))

    assert isinstance(good, RecoveredEvent)
    assert good.event_id == "ct-1"
    assert b'"original":' + trail in good.body
    assert isinstance(bad, str)


def test_a_mapping_does_not_change_an_id_that_was_told() -> None:
    """The server gave the event an id, and its client knows it by that."""
    trail = b'{"eventTime":"2026-09-21T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject",' \
            b'"eventID":"ct-1","userIdentity":{"type":"IAMUser","userName":"x"}}'  # fmt: skip
    (good,) = by_mapping(load_mapping("cloudtrail"))(failed(enveloped(trail, "servers")))
    assert isinstance(good, RecoveredEvent)
    assert json.loads(good.body)["id"] == good.event_id == "servers"


def test_with_id_takes_the_other_one_out() -> None:
    """Two would leave open which counts."""
    assert json.loads(with_id(b'{"_id":"a","id":null,"n":1}', "b")) == {"id": "b", "n": 1}
