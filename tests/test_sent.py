"""What was sent is read from receipts, events, ids and spools."""

import gzip
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from auditlake.client.line import Line, encode_line
from auditlake.client.put_aside import dead_letters, settle, write_dead_letters
from auditlake.client.spool import write_settled
from auditlake.errors import ReconcileError
from auditlake.events_input import InputEvent
from auditlake.mapping import load_mapping
from auditlake.outgoing import identified
from auditlake.sent import NotSent, Sent, read_sent
from tests.failures import event


def digest(body: bytes) -> str:
    """Return SHA-256 in hexadecimal."""
    return sha256(body).hexdigest()


def written(tmp_path: Path, lines: Iterable[bytes], *, packed: bool = False) -> Path:
    """Return a file of lines, gzip if asked."""
    path = tmp_path / "sent"
    data = b"\n".join(lines) + b"\n"
    path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return path


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_events_are_read_with_the_hash_of_their_bytes(tmp_path: Path, packed: bool) -> None:
    """The exact bytes of the line, as `send` POSTs them."""
    bodies = [event("e0"), event("e1", note="x")]
    assert list(read_sent(written(tmp_path, bodies, packed=packed))) == [
        Sent("e0", digest(bodies[0])),
        Sent("e1", digest(bodies[1])),
    ]


def test_an_event_without_id_has_the_one_that_send_gives(tmp_path: Path) -> None:
    """By its place and bytes, so that the file that was sent can be told."""
    bodies = [event("e0"), event(None)]
    given = identified(InputEvent(1, bodies[1]))
    sent = list(read_sent(written(tmp_path, bodies)))
    assert sent[1] == Sent(given.id or "", digest(given.body))


def test_mapped_events_are_told_by_the_mapping_that_they_were_sent_with(tmp_path: Path) -> None:
    """Their ids and bytes are the mapping's."""
    trail = (
        b'{"Records":[{"eventTime":"2026-09-21T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject",'
        b'"eventID":"ct-1","userIdentity":{"type":"IAMUser","userName":"x"}}]}'
    )
    (sent,) = read_sent(written(tmp_path, [trail]), load_mapping("cloudtrail"))
    assert isinstance(sent, Sent)
    assert (sent.id, len(sent.sha256 or "")) == ("ct-1", 64)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("lines", "ids"),
    [
        ([b"01a20c40-7806-70ad-84ec-216234cf06c0", b"", b" e1 "], ["01a20c40-7806-70ad-84ec-216234cf06c0", "e1"]),
        ([b"123", b"true", b"null"], ["123", "true", "null"]),
        ([b'"e 0"', b'"caf\\u00e9"', "caf\u00e9".encode()], ["e 0", "caf\u00e9", "caf\u00e9"]),
        ([b"\xef\xbb\xbfe0", b"e1\r"], ["e0", "e1"]),
    ],
    ids=["plain", "json-like", "json strings", "windows"],
)
def test_bare_ids_are_read(tmp_path: Path, lines: list[bytes], ids: list[str], packed: bool) -> None:
    """One a line, as text or as a JSON string."""
    assert list(read_sent(written(tmp_path, lines, packed=packed))) == [Sent(one) for one in ids]


@pytest.mark.parametrize(
    "line",
    [
        b"<!DOCTYPE html>",
        b"2026-11-24T03:00:00Z INFO accepted e1",
        b'{"id": "e1"',
        b'"e1',
        b"e1]",
        b"\xff\xfe",
        b"e1\x00",
    ],
    ids=["HTML", "a log", "broken JSON", "a broken string", "the end of an array", "no text", "a null"],
)
def test_a_line_of_something_else_is_no_id(tmp_path: Path, line: bytes) -> None:
    """It is told with its number, so that nobody reads a clean bill, and costs no other line."""
    first, wrong, last = read_sent(written(tmp_path, [b"e0", line, b"e2"]))
    assert (first, last) == (Sent("e0"), Sent("e2"))
    assert isinstance(wrong, NotSent)
    assert wrong.reason.startswith("Line 2 is no id")


def test_receipts_are_read_with_their_time(tmp_path: Path) -> None:
    """As `send --receipt` writes them; a hash in capitals is the same one."""
    lines = [
        {"id": "e0", "sha256": "AB", "accepted_at": "2026-11-24T03:00:00.001Z"},
        {"id": "e1", "sha256": "cd"},
        {"id": "", "sha256": "ef"},
    ]
    sent = list(read_sent(written(tmp_path, (json.dumps(line).encode() for line in lines))))
    assert sent[:2] == [Sent("e0", "ab", 1795489200001), Sent("e1", "cd")]
    assert isinstance(sent[2], NotSent)


@pytest.mark.parametrize("line", [b"[1, 2", b"{broken", b'{"id": null, "_id": null, "eventType": "x"}', b"5"])
def test_what_names_no_event_is_told(tmp_path: Path, line: bytes) -> None:
    """And costs no other line."""
    sent = list(read_sent(written(tmp_path, [event("e0"), line, event("e1")])))
    assert [one.id for one in sent if isinstance(one, Sent)] == ["e0", "e1"]
    assert [type(one) for one in sent] == [Sent, NotSent, Sent]


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    """It names the file."""
    with pytest.raises(ReconcileError, match="cannot be read: No such file"):
        list(read_sent(tmp_path / "no"))


def test_a_spool_tells_what_waits_and_what_was_sent_and_kept(tmp_path: Path) -> None:
    """And what the endpoint refused, with its reason."""
    bodies = [event(f"e{n}") for n in range(4)]
    lines = [encode_line(1, body) for body in bodies]
    segment = tmp_path / "20260921T000000.000000Z-1-aaaa.events"
    segment.write_bytes(b"".join(lines[1:]))
    write_settled(segment, len(lines[1]) + len(lines[2]))
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "20260920T000000.000000Z-1-aaaa.events").write_bytes(lines[0])
    write_dead_letters(tmp_path, [(Line(0, 1, 1, bodies[2]), "no")], datetime.now(UTC), ["2026-09-21T00:00:00Z"])

    assert list(read_sent(tmp_path)) == [
        Sent("e2", digest(bodies[2]), refused="no"),
        Sent("e0", digest(bodies[0])),
        Sent("e1", digest(bodies[1])),
        Sent("e3", digest(bodies[3]), None, waits=True),
    ]


def test_what_was_sent_under_the_id_of_a_dead_letter_is_told_too(tmp_path: Path) -> None:
    """The bytes that were refused are one line, the mended ones that were accepted another; settled or not."""
    refused, mended = event("e", note="bad"), event("e", note="good")
    (tmp_path / "sent").mkdir()
    lines = b"".join(encode_line(1, body) for body in (refused, mended))
    (tmp_path / "sent" / "20260920T000000.000000Z-1-aaaa.events").write_bytes(lines)
    write_dead_letters(tmp_path, [(Line(0, 1, 1, refused), "no")], datetime.now(UTC), [""])
    expected = [Sent("e", digest(refused), refused="no"), Sent("e", digest(mended))]
    assert list(read_sent(tmp_path)) == expected
    settle(tmp_path, dead_letters(tmp_path), "mended", datetime.now(UTC))
    assert list(read_sent(tmp_path)) == expected
