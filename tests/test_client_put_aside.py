"""What a spool keeps beside its segments, and what of it somebody has dealt with."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditlake.client.line import Line
from auditlake.client.put_aside import dead_letters, settle, write_dead_letters
from auditlake.client.spool import DEAD_LETTERS, SETTLED_LETTERS
from auditlake.errors import SpoolError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def refuse(directory: Path, *bodies: bytes, at: datetime = NOW) -> None:
    """Put events among the dead letters."""
    write_dead_letters(directory, [(Line(0, 1, 1, body), "bad") for body in bodies], at, [""] * len(bodies))


def ids(directory: Path, *, settled: bool = False) -> list[str | None]:
    """The ids of a spool's dead letters."""
    return [letter.id for letter in dead_letters(directory, settled=settled)]


def test_a_settled_dead_letter_leaves_the_list_and_stays_in_the_file(tmp_path: Path) -> None:
    """Of two only the other is listed, the file is as it was, and with `settled` both are there."""
    refuse(tmp_path, b'{"id":"a"}', b'{"id":"b"}')
    before = (tmp_path / DEAD_LETTERS).read_bytes()
    settle(tmp_path, dead_letters(tmp_path)[:1], "mended", NOW)

    assert ids(tmp_path) == ["b"]
    assert ids(tmp_path, settled=True) == ["a", "b"]
    assert (tmp_path / DEAD_LETTERS).read_bytes() == before
    assert b'"how":"mended"' in (tmp_path / SETTLED_LETTERS).read_bytes()


@pytest.mark.parametrize("body", [b'{"id":"a"}', b'{"no":"id"}'])
def test_an_event_that_is_refused_again_is_a_dead_letter_again(tmp_path: Path, body: bytes) -> None:
    """What was settled is this refusal, not every one of the same event."""
    refuse(tmp_path, body)
    settle(tmp_path, dead_letters(tmp_path), "", NOW)
    refuse(tmp_path, body, at=NOW + timedelta(seconds=1))
    assert len(dead_letters(tmp_path)) == 1


def test_of_two_events_without_an_id_the_other_is_not_settled(tmp_path: Path) -> None:
    """They are told apart by their bytes."""
    refuse(tmp_path, b'{"n":1}', b'{"n":2}')
    settle(tmp_path, dead_letters(tmp_path)[:1], "", NOW)
    assert [bytes(letter.event) for letter in dead_letters(tmp_path)] == [b'{"n":2}']


def test_a_torn_line_settles_nothing(tmp_path: Path) -> None:
    """A crash in the middle of the line leaves the dead letter listed, wherever it came."""
    refuse(tmp_path, b'{"id":"a"}')
    settle(tmp_path, dead_letters(tmp_path), "mended", NOW)
    line = (tmp_path / SETTLED_LETTERS).read_bytes()
    for length in range(len(line) - 1):
        (tmp_path / SETTLED_LETTERS).write_bytes(line[:length])
        assert ids(tmp_path) == ["a"]


def test_what_is_put_aside_and_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    """A directory in the place of the file is told with its name."""
    (tmp_path / DEAD_LETTERS).mkdir()
    with pytest.raises(SpoolError, match=r"dead-letter\.ndjson cannot be read"):
        dead_letters(tmp_path)
